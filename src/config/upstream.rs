//! The section `[upstream]`: where the store is, and what requests to it are signed with.

use std::time::Duration;

use http::Uri;

use super::file::{NOT_YET, account_id};
use super::settings::{Endpoint, UpstreamAuth, UpstreamCredentials, UpstreamSettings};
use crate::auth::identity::AccessKeyId;
use crate::policy::AccountId;
use crate::toml_reader::{Reader, Secret, Table, Value, Zero};

/// The variable that is looked at where no secret is given.
const DEFAULT_SECRET_ENV: &str = "PORTCULLIS_UPSTREAM_SECRET";

/// Reads the section; none where no endpoint can be made out.
pub(super) fn read(mut table: Table<'_, '_>) -> Option<UpstreamSettings> {
    let reader = table.reader();
    let endpoint = endpoint(&mut table);
    let region = table.take("region").and_then(|value| value.parse(region)).unwrap_or_else(|| "us-east-1".to_owned());
    let auth_value = table.take("auth");
    let auth_at = auth_value.as_ref().map_or(table.at(), Value::at);
    let words = [("preserve", UpstreamAuth::Preserve), ("resign", UpstreamAuth::Resign)];
    let auth = auth_value.and_then(|value| value.choice(&words)).unwrap_or(UpstreamAuth::Preserve);
    let pair = credentials(&mut table);
    let accounts = accounts(table.tables("account"));
    let connect_timeout = table.duration("connect_timeout", Zero::Refused, Duration::from_secs(3));
    let response_header_timeout = table.duration("response_header_timeout", Zero::Refused, Duration::from_secs(60));
    table.finish();

    let embedded = matches!(endpoint, Some(Endpoint::Embedded(_)));
    let pair_is_absent = matches!(pair, Pair::Absent);
    match auth {
        UpstreamAuth::Resign if pair_is_absent && accounts.is_empty() && !embedded => reader.problem(
            auth_at,
            "`upstream.auth`: `resign` needs credentials: give `upstream.access_key_id` and its secret".to_owned(),
        ),
        UpstreamAuth::Resign if pair_is_absent && !embedded => reader.warning(
            auth_at,
            "`upstream.auth`: without `upstream.access_key_id`, only requests of the accounts in `upstream.account` can \
             be signed, and owners cannot be asked for"
                .to_owned(),
        ),
        UpstreamAuth::Resign => {}
        UpstreamAuth::Preserve if pair_is_absent && !embedded => reader.warning(
            auth_at,
            "`upstream.access_key_id`: without it buckets are asked for unsigned, and the source `upstream-acl` of \
             `ownership.sources` finds no owner"
                .to_owned(),
        ),
        UpstreamAuth::Preserve => {}
    }
    if auth == UpstreamAuth::Preserve && !accounts.is_empty() {
        reader.warning(auth_at, "`upstream.account`: has no effect with `preserve`".to_owned());
    }
    let credentials = match pair {
        Pair::Given(credentials) => Some(credentials),
        Pair::Absent | Pair::Refused => None,
    };
    let endpoints = vec![endpoint?];
    Some(UpstreamSettings { endpoints, region, auth, credentials, accounts, connect_timeout, response_header_timeout })
}

fn endpoint(table: &mut Table<'_, '_>) -> Option<Endpoint> {
    let reader = table.reader();
    let (one, several) = (table.take("endpoint"), table.take("endpoints"));
    match (one, several) {
        (None, None) => {
            table.problem("endpoint", "is required: the store to stand in front of, such as `http://127.0.0.1:3900`");
            None
        }
        (Some(_), Some(several)) => {
            several.problem("give either `endpoint` or `endpoints`");
            None
        }
        (Some(one), None) => one.parse(|text| parse_endpoint(reader, text)),
        (None, Some(several)) => {
            let at = several.at();
            let entries = several.list();
            let count = entries.len();
            let mut parsed: Vec<_> =
                entries.iter().filter_map(|entry| entry.parse(|text| parse_endpoint(reader, text))).collect();
            if count == 0 {
                reader.problem(at, "`upstream.endpoints`: names no endpoint".to_owned());
            } else if count > 1 {
                reader.problem(at, format!("`upstream.endpoints`: more than one endpoint {NOT_YET}"));
            }
            parsed.pop()
        }
    }
}

fn parse_endpoint(reader: &Reader<'_>, text: &str) -> Result<Endpoint, String> {
    match text.strip_prefix("embedded:") {
        Some("") => return Err("names no directory: write `embedded:PATH`".to_owned()),
        Some(path) => return Ok(Endpoint::Embedded(reader.resolve(path))),
        None => {}
    }
    let wrong = |what: &str| Err(format!("{what}: write it as `http://HOST:PORT`"));
    let Ok(uri) = text.parse::<Uri>() else { return wrong("is not a URL") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return wrong("is not a URL");
    };
    if !matches!(scheme, "http" | "https") {
        return wrong("is neither `http` nor `https`");
    }
    // Not quoted above or here, since what stands before an `@` may be a password.
    if authority.as_str().contains('@') {
        return wrong("has a user name in it");
    }
    // `http` takes any text for a port, and gives none where it is no number; clients would then take the default one.
    let port_is_none = authority.port_u16().is_none_or(|port| port == 0);
    if authority.host().is_empty() || (authority.as_str() != authority.host() && port_is_none) {
        return wrong("has no host, or a port that is none");
    }
    if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") || text.contains('#') {
        return wrong("has a path, a query or a fragment");
    }
    Ok(Endpoint::Http(uri))
}

enum Pair {
    Absent,
    Refused,
    Given(UpstreamCredentials),
}

/// The pair of the section itself. An empty `access_key_id` says that there is none, whatever secret stands beside it.
fn credentials(table: &mut Table<'_, '_>) -> Pair {
    let id = table.take("access_key_id");
    if id.as_ref().is_some_and(|id| id.is_text("")) {
        table.skip(&["secret_access_key", "secret_access_key_env", "secret_access_key_file"]);
        return Pair::Absent;
    }
    let secret = table.secret("secret_access_key", "secret_access_key_env", "secret_access_key_file");
    match (id.map(|id| id.text()), secret) {
        (None, Secret::Absent) => Pair::Absent,
        (None, Secret::Given(_) | Secret::Refused) => {
            table.problem("access_key_id", "is missing, and its secret is given");
            Pair::Refused
        }
        (Some(None), _) | (Some(Some(_)), Secret::Refused) => Pair::Refused,
        (Some(Some(id)), Secret::Given(secret_access_key)) => {
            Pair::Given(UpstreamCredentials { access_key_id: AccessKeyId::new(id), secret_access_key })
        }
        (Some(Some(id)), Secret::Absent) => match table.reader().env(DEFAULT_SECRET_ENV) {
            Some(secret) if !secret.is_empty() => Pair::Given(UpstreamCredentials {
                access_key_id: AccessKeyId::new(id),
                secret_access_key: crate::auth::identity::SecretKey::new(secret),
            }),
            _ => {
                table.problem(
                    "access_key_id",
                    &format!(
                        "its secret is missing: give `secret_access_key`, `…_env` or `…_file`, or set the environment \
                         variable `{DEFAULT_SECRET_ENV}`"
                    ),
                );
                Pair::Refused
            }
        },
    }
}

fn accounts(tables: Vec<Table<'_, '_>>) -> Vec<(AccountId, UpstreamCredentials)> {
    let mut accounts: Vec<(AccountId, UpstreamCredentials)> = Vec::new();
    for mut table in tables {
        let id = table.require("id").and_then(|value| {
            value.parse(|text| {
                let id = account_id(text)?;
                match accounts.iter().any(|(known, _)| *known == id) {
                    true => Err(format!("the account {id} is there twice")),
                    false => Ok(id),
                }
            })
        });
        let not_empty =
            |text: &str| if text.is_empty() { Err("is empty".to_owned()) } else { Ok(AccessKeyId::new(text)) };
        let key = table.require("access_key_id").and_then(|value| value.parse(not_empty));
        let secret = table.secret("secret_access_key", "secret_access_key_env", "secret_access_key_file");
        if matches!(secret, Secret::Absent) {
            table.problem("secret_access_key", "is required, or `…_env` or `…_file`");
        }
        if let (Some(id), Some(access_key_id), Secret::Given(secret_access_key)) = (id, key, secret) {
            accounts.push((id, UpstreamCredentials { access_key_id, secret_access_key }));
        }
        table.finish();
    }
    accounts
}

fn region(text: &str) -> Result<String, String> {
    // A `/` or white space would break the credential scope it becomes a part of.
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a region such as us-east-1"))
    }
}
