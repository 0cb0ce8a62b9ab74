//! The section `[upstream]`: where the store is, and what requests to it are signed with.

use std::time::Duration;

use http::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::file::{account_id, each_once};
use super::settings::{Endpoint, UpstreamAuth, UpstreamCredentials, UpstreamSettings};
use crate::auth::identity::AccessKeyId;
use crate::policy::AccountId;
use crate::toml_reader::{Reader, Secret, Table, Value, Zero};

/// The variable that is looked at where no secret is given.
const DEFAULT_SECRET_ENV: &str = "PORTCULLIS_UPSTREAM_SECRET";

/// Reads the section; none where no endpoint can be made out.
pub(super) fn read(mut table: Table<'_, '_>) -> Option<UpstreamSettings> {
    let reader = table.reader();
    let endpoints = endpoints(&mut table);
    let is_https = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Http(uri) if uri.scheme_str() == Some("https"));
    let is_https = (!endpoints.is_empty()).then(|| endpoints.iter().any(is_https));
    let authorities = authorities(&mut table, is_https);
    let region = table.take("region").and_then(|value| value.parse(region)).unwrap_or_else(|| "us-east-1".to_owned());
    let auth_value = table.take("auth");
    let auth_at = auth_value.as_ref().map_or(table.at(), Value::at);
    let words = [("preserve", UpstreamAuth::Preserve), ("resign", UpstreamAuth::Resign)];
    let auth = auth_value.and_then(|value| value.choice(&words)).unwrap_or(UpstreamAuth::Preserve);
    let pair = credentials(&mut table);
    let accounts = accounts(table.tables("account"));
    let connect_timeout = table.duration("connect_timeout", Zero::Refused, Duration::from_secs(3));
    let max_connections = table.take("max_connections").and_then(|value| value.count());
    let response_header_timeout = table.duration("response_header_timeout", Zero::Refused, Duration::from_secs(60));
    table.finish();

    let embedded = endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Embedded(_)));
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
    (!endpoints.is_empty()).then_some(UpstreamSettings {
        endpoints,
        authorities,
        region,
        auth,
        credentials,
        accounts,
        connect_timeout,
        max_connections,
        response_header_timeout,
    })
}

fn endpoints(table: &mut Table<'_, '_>) -> Vec<Endpoint> {
    let reader = table.reader();
    let (one, several) = (table.take("endpoint"), table.take("endpoints"));
    match (one, several) {
        (None, None) => {
            table.problem("endpoint", "is required: the store to stand in front of, such as `http://127.0.0.1:3900`");
            Vec::new()
        }
        (Some(_), Some(several)) => {
            several.problem("give either `endpoint` or `endpoints`");
            Vec::new()
        }
        (Some(one), None) => one.parse(|text| parse_endpoint(reader, text)).into_iter().collect(),
        (None, Some(several)) => {
            if several.is_empty_list() {
                several.problem("names no endpoint");
            }
            let entries = several.list();
            let are_several = entries.len() > 1;
            let mut first: Option<Uri> = None;
            each_once(entries, |entry| {
                let endpoint = entry.parse(|text| parse_endpoint(reader, text))?;
                match (&endpoint, &first) {
                    (Endpoint::Embedded(_), _) if are_several => {
                        entry.problem("an embedded store is all there is: it cannot be one of several");
                    }
                    // Most likely a slip, and one that would send a part of the requests in the clear.
                    (Endpoint::Http(uri), Some(first)) if uri.scheme() != first.scheme() => {
                        entry.problem("some are `http` and some `https`: they are one store, and all must be the same");
                    }
                    (Endpoint::Http(uri), None) => first = Some(uri.clone()),
                    _ => {}
                }
                Some(endpoint)
            })
        }
    }
}

/// Reads `ca_file`, beside endpoints of which some are `https` or none, where that is known.
pub(super) fn authorities(table: &mut Table<'_, '_>, is_https: Option<bool>) -> Option<Vec<CertificateDer<'static>>> {
    let value = table.take("ca_file")?;
    if is_https == Some(false) {
        value.warning("has no effect, since no endpoint is `https`");
    }
    let reader = table.reader();
    value.parse(|path| parse_authorities(path, &reader.read_input(path)?))
}

/// Certificates, and nothing that only looks like one.
pub(super) fn parse_authorities(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut authorities = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("`{path}` is not a PEM file: {error}"))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| format!("`{path}` holds a certificate that cannot be used: {error}"))?;
        authorities.push(certificate);
    }
    if authorities.is_empty() { Err(format!("`{path}` holds no certificate in PEM form")) } else { Ok(authorities) }
}

fn parse_endpoint(reader: &Reader<'_>, text: &str) -> Result<Endpoint, String> {
    match text.strip_prefix("embedded:") {
        Some("") => return Err("names no directory: write `embedded:PATH`".to_owned()),
        Some(path) => return Ok(Endpoint::Embedded(reader.resolve(path))),
        None => {}
    }
    let wrong = |what: &str| format!("{what}: write it as `http://HOST:PORT`");
    let uri = parse_http(text).map_err(wrong)?;
    if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") || text.contains('#') {
        return Err(wrong("has a path, a query or a fragment"));
    }
    Ok(Endpoint::Http(uri))
}

/// A URL with a host that can be connected to; or what is wrong with it, without quoting it, since what stands before an `@`
/// may be a password.
pub(super) fn parse_http(text: &str) -> Result<Uri, &'static str> {
    let uri = text.parse::<Uri>().map_err(|_| "is not a URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("is not a URL");
    };
    if !matches!(scheme, "http" | "https") {
        return Err("is neither `http` nor `https`");
    }
    if authority.as_str().contains('@') {
        return Err("has a user name in it");
    }
    // `http` takes any text for a port, and gives none where it is no number; clients would then take the default one.
    let port_is_none = authority.port_u16().is_none_or(|port| port == 0);
    if authority.host().is_empty() || (authority.as_str() != authority.host() && port_is_none) {
        return Err("has no host, or a port that is none");
    }
    Ok(uri)
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
