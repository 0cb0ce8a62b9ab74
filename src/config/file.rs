//! `proxy.toml`, section by section: keys, types and defaults.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::settings::{
    AdminSettings, AuditTarget, AuthzSettings, CertificateSettings, ClientAuth, Enforcement, IdentitySettings,
    LimitSettings, ListenSettings, LogFormat, LogSettings, OwnershipSettings, OwnershipSource, PolicyHandler,
    PolicySettings, Settings, TlsSettings, UpstreamAuth, UpstreamSettings,
};
use super::{store, trace, upstream};
use crate::auth::admin_token::AdminToken;
use crate::policy::AccountId;
use crate::s3::held_bytes::DEFAULT_HELD_BYTES;
use crate::toml_reader::{Place, Reader, Table, Value, Zero};

/// What was read of the file.
pub(super) struct Read {
    /// The settings; whether they may be used, the reader's problems tell. None where the upstream is not known.
    pub(super) settings: Option<Settings>,
    /// The identity file, known even where the rest is not.
    pub(super) identity_file: PathBuf,
    /// The accounts named as owners: where, by which key.
    pub(super) named_accounts: Vec<(Place, &'static str, AccountId)>,
}

/// Reads the whole document.
pub(super) fn read(mut root: Table<'_, '_>) -> Read {
    let listen = listen(root.section("listen"));
    let admin = admin(root.section("admin"), &listen.addresses);
    let upstream = upstream::read(root.section("upstream"));
    let policy = policy(root.section("policy"), upstream.as_ref());
    let authz = authz(root.section("authz"), &listen, admin.as_ref(), upstream.as_ref(), policy);
    let store = store::read(root.section("store"), upstream.as_ref());
    let identity = identity(root.section("identity"));
    let (ownership, named_accounts) = ownership(root.section("ownership"));
    let limits = limits(root.section("limits"));
    let log = log(root.section("log"));
    let trace = trace::read(root.section("trace"));
    root.finish();
    let identity_file = identity.file.clone();
    let settings = upstream.map(|upstream| Settings {
        listen,
        admin,
        authz,
        upstream,
        policy,
        store,
        identity,
        ownership,
        limits,
        log,
        trace,
    });
    Read { settings, identity_file, named_accounts }
}

fn listen(mut table: Table<'_, '_>) -> ListenSettings {
    let addresses = match table.take("address") {
        Some(value) => some_of("no address", value, |value| value.parse(socket_address)),
        None => vec![SocketAddr::from(([127, 0, 0, 1], 9000))],
    };
    let domains = match table.take("domains") {
        Some(value) => each_once(value.list(), |value| value.parse(domain)),
        None => vec!["s3.localhost".to_owned()],
    };
    let trusted_proxies = table.take("trusted_proxies").map(Value::list).unwrap_or_default();
    let trusted_proxies = each_once(trusted_proxies, |value| value.parse(network));
    let proxy_protocol = match table.take("proxy_protocol") {
        Some(value) => {
            let expected = value.flag().unwrap_or(false);
            if expected && trusted_proxies.is_empty() {
                value.warning(
                    "PROXY headers are read, and with an empty `listen.trusted_proxies` none is believed: the proxy in \
                     front counts as the client",
                );
            }
            expected
        }
        None => false,
    };
    let tls = tls(&mut table);
    table.finish();
    ListenSettings { addresses, domains, trusted_proxies, proxy_protocol, tls }
}

/// The keys of `[listen]` about TLS. Whether the files are good is for whoever reads them.
fn tls(table: &mut Table<'_, '_>) -> Option<TlsSettings> {
    #[derive(Clone, Copy)]
    enum Asked {
        Optional,
        Required,
    }
    let reader = table.reader();
    let file = |value: Value<'_, '_>| Some(reader.resolve(&value.parse(file_name)?));
    let value = table.take("tls");
    let is_there = value.is_some();
    let certificates = value.map_or_else(Vec::new, |value| {
        if value.is_empty_list() {
            value.problem("names no certificate");
        }
        let mut certificates = Vec::new();
        for mut entry in value.one_or_list().into_iter().filter_map(Value::table) {
            let at = entry.at();
            let cert = entry.require("cert").and_then(file);
            let key = entry.require("key").and_then(file);
            entry.finish();
            let Some((cert, key)) = cert.zip(key) else { continue };
            let certificate = CertificateSettings { cert, key };
            if certificates.contains(&certificate) {
                reader.problem(at, "`listen.tls`: is there twice".to_owned());
            }
            certificates.push(certificate);
        }
        certificates
    });
    let ca = table.take("client_ca");
    let auth = table.take("client_auth");
    if !is_there {
        for value in [&ca, &auth].into_iter().flatten() {
            value.problem("needs `listen.tls`");
        }
    } else if let (None, Some(auth)) = (&ca, &auth) {
        auth.problem("needs `listen.client_ca`: the certificates of those who sign the clients'");
    }
    let words = [("optional", Asked::Optional), ("required", Asked::Required)];
    let asked = auth.and_then(|value| value.choice(&words));
    let client_auth = match (ca.and_then(file), asked) {
        (None, _) => ClientAuth::Off,
        (Some(ca), Some(Asked::Optional)) => ClientAuth::Optional(ca),
        // Who names an authority means that it counts.
        (Some(ca), Some(Asked::Required) | None) => ClientAuth::Required(ca),
    };
    is_there.then_some(TlsSettings { certificates, client_auth })
}

/// Reads `[admin]`; `taken` are the addresses of the data listener.
pub(super) fn admin(mut table: Table<'_, '_>, taken: &[SocketAddr]) -> Option<AdminSettings> {
    let reader = table.reader();
    let default = SocketAddr::from(([127, 0, 0, 1], 9001));
    let token = table.take("token_file").filter(|value| !value.is_text(""));
    let token_file = token.as_ref().and_then(|value| token_file(reader, value));
    let Some(value) = table.take("address") else {
        if taken.contains(&default) {
            let taken = "is taken by `listen.address`: write another, or \"\" for no such listener";
            table.problem("address", &format!("its default, {default}, {taken}"));
        }
        table.finish();
        return Some(AdminSettings { address: default, token_file });
    };
    table.finish();
    if value.is_text("") {
        if let Some(token) = token {
            token.problem("opens an API on a listener that `admin.address` says there is none of");
        }
        return None;
    }
    let address = value.parse(|text| {
        let address = socket_address(text)?;
        if address.port() != 0 && taken.contains(&address) {
            return Err(format!("`{text}` is taken by `listen.address`: probes never share the data port"));
        }
        Ok(address)
    })?;
    Some(AdminSettings { address, token_file })
}

/// Reads `[authz]`, which rests on what other sections say.
fn authz(
    mut table: Table<'_, '_>,
    listen: &ListenSettings,
    admin: Option<&AdminSettings>,
    upstream: Option<&UpstreamSettings>,
    policy: PolicySettings,
) -> Option<AuthzSettings> {
    let value = table.take("address").filter(|value| !value.is_text(""));
    table.finish();
    let value = value?;
    let address = value.parse(|text| {
        let address = socket_address(text)?;
        let taken_by = if listen.addresses.contains(&address) {
            "listen.address"
        } else if admin.is_some_and(|admin| admin.address == address) {
            "admin.address"
        } else {
            return Ok(address);
        };
        if address.port() == 0 { Ok(address) } else { Err(format!("`{text}` is taken by `{taken_by}`")) }
    });
    if listen.trusted_proxies.is_empty() {
        value.problem("needs `listen.trusted_proxies`: the proxies that may ask, and say who the client is");
    }
    if upstream.is_some_and(|upstream| upstream.auth == UpstreamAuth::Resign) {
        value.problem(
            "needs `upstream.auth = \"preserve\"`: who asks sends requests on as they were signed, for the store to verify",
        );
    }
    if policy.enforcement == Enforcement::Off {
        value.problem("with `policy.enforcement = \"off\"` the answer would always be yes");
    }
    Some(AuthzSettings { address: address? })
}

/// The path of a file that holds a token.
fn token_file(reader: &Reader<'_>, value: &Value<'_, '_>) -> Option<PathBuf> {
    let path = value.parse(|text| {
        let content = Zeroizing::new(reader.read_input(text)?);
        let path = reader.resolve(text);
        AdminToken::parse(&content).map_err(|error| format!("`{}`: {error}", path.display()))?;
        Ok(path)
    })?;
    #[cfg(unix)]
    if std::fs::metadata(&path)
        .is_ok_and(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o004 != 0)
    {
        value.warning(&format!("`{}` may be read by everybody on this machine: chmod o-r it", path.display()));
    }
    Some(path)
}

fn policy(mut table: Table<'_, '_>, upstream: Option<&UpstreamSettings>) -> PolicySettings {
    let handlers = [("store", PolicyHandler::Store), ("forward", PolicyHandler::Forward)];
    let handler = table.take("handler").and_then(|value| value.choice(&handlers)).unwrap_or(PolicyHandler::Store);
    let words = [("off", Enforcement::Off), ("audit", Enforcement::Audit), ("enforce", Enforcement::Enforce)];
    let by_default = match handler {
        // A stored policy that nobody enforces would be a trap; to choose it, say so.
        PolicyHandler::Store => Enforcement::Enforce,
        PolicyHandler::Forward => Enforcement::Off,
    };
    let enforcement = table.take("enforcement").and_then(|value| value.choice(&words)).unwrap_or(by_default);
    let can_be_asked = upstream.is_none_or(UpstreamSettings::can_be_asked);
    if handler == PolicyHandler::Forward && enforcement != Enforcement::Off && !can_be_asked {
        table.problem("enforcement", "to read the policies that the store keeps needs `upstream.access_key_id`");
    }
    if handler == PolicyHandler::Store && enforcement == Enforcement::Off {
        table.warning("enforcement", "with `off`, stored policies decide `?policy` calls and no other request");
    }
    let signs = upstream.is_some_and(|upstream| upstream.auth == UpstreamAuth::Resign);
    if signs && enforcement != Enforcement::Enforce {
        let what = "until it is `enforce`, with `upstream.auth = \"resign\"` every known access key acts with the rights of \
                    the upstream's credentials";
        table.warning("enforcement", what);
    }
    let lockout_guard = table.flag("lockout_guard", true);
    table.finish();
    PolicySettings { handler, enforcement, lockout_guard }
}

fn identity(mut table: Table<'_, '_>) -> IdentitySettings {
    let file = table.take("file").and_then(|value| value.parse(file_name));
    let file = table.reader().resolve(file.as_deref().unwrap_or("identities.toml"));
    table.finish();
    IdentitySettings { file }
}

fn ownership(mut table: Table<'_, '_>) -> (OwnershipSettings, Vec<(Place, &'static str, AccountId)>) {
    use OwnershipSource::{Default, Registry, Static, UpstreamAcl};
    let reader = table.reader();
    let mut named = Vec::new();

    let default_value = table.take("default_account");
    let default_account = default_value.as_ref().and_then(|value| value.parse(account_id));
    if let (Some(value), Some(id)) = (&default_value, &default_account) {
        named.push((reader.place(value.at()), "ownership.default_account", id.clone()));
    }

    let mut buckets = Vec::new();
    let entries = table.tables("bucket");
    let first_entry = entries.first().map(Table::at);
    for mut entry in entries {
        let name = entry.require("name").and_then(|value| value.parse(bucket_pattern));
        let account = entry.require("account").and_then(|value| Some((value.at(), value.parse(account_id)?)));
        entry.finish();
        if let (Some(name), Some((at, account))) = (name, account) {
            named.push((reader.place(at), "ownership.bucket.account", account.clone()));
            buckets.push((name, account));
        }
    }

    let words = [("static", Static), ("registry", Registry), ("upstream-acl", UpstreamAcl), ("default", Default)];
    let sources = match table.take("sources") {
        Some(value) => {
            let at = value.at();
            let sources = some_of("no source", value, |value| {
                let source = value.choice(&words)?;
                if source == Default && default_value.is_none() {
                    value.problem("`default` needs `ownership.default_account`");
                }
                Some(source)
            });
            let unused = |key: &str, source: &str| {
                reader.warning(at, format!("`ownership.sources`: without `{source}`, `ownership.{key}` has no effect"));
            };
            if default_value.is_some() && !sources.contains(&Default) {
                unused("default_account", "default");
            }
            if first_entry.is_some() && !sources.contains(&Static) {
                unused("bucket", "static");
            }
            sources
        }
        None if default_value.is_some() => vec![Static, Registry, UpstreamAcl, Default],
        None => vec![Static, Registry, UpstreamAcl],
    };
    let cache_ttl = table.duration("cache_ttl", Zero::Allowed, Duration::from_secs(30));
    table.finish();
    (OwnershipSettings { sources, default_account, cache_ttl, buckets }, named)
}

fn limits(mut table: Table<'_, '_>) -> LimitSettings {
    let workers = table.take("workers").and_then(|value| value.count()).and_then(NonZeroUsize::new);
    let limits = LimitSettings {
        workers: workers.unwrap_or_else(|| available_parallelism().unwrap_or(NonZeroUsize::MIN)),
        max_connections: table.count("max_connections", 10_000),
        max_in_flight: table.count("max_in_flight", 4_096),
        max_held_bytes: table.count("max_held_bytes", DEFAULT_HELD_BYTES),
        request_header_timeout: table.duration("request_header_timeout", Zero::Refused, Duration::from_secs(10)),
        idle_timeout: table.duration("idle_timeout", Zero::Refused, Duration::from_secs(75)),
        drain_timeout: table.duration("drain_timeout", Zero::Allowed, Duration::from_secs(25)),
    };
    table.finish();
    limits
}

fn log(mut table: Table<'_, '_>) -> LogSettings {
    use tracing::Level;
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let reader = table.reader();
    let format = table.take("format").and_then(|value| value.choice(&formats)).unwrap_or(LogFormat::Text);
    let level = table.take("level").and_then(|value| value.choice(&levels)).unwrap_or(Level::INFO);
    let target = |text: &str| match text {
        "" => Err("names neither `stderr` nor a file".to_owned()),
        "stderr" => Ok(AuditTarget::Stderr),
        path => Ok(AuditTarget::File(reader.resolve(path))),
    };
    let audit = table.take("audit").and_then(|value| value.parse(target)).unwrap_or(AuditTarget::Stderr);
    table.finish();
    LogSettings { format, level, audit }
}

/// What `read` makes of a value or of each entry of a list; none at all is a problem, as is one twice.
fn some_of<T: PartialEq>(none: &str, value: Value<'_, '_>, read: impl FnMut(&Value<'_, '_>) -> Option<T>) -> Vec<T> {
    if value.is_empty_list() {
        value.problem(&format!("names {none}"));
    }
    each_once(value.one_or_list(), read)
}

/// What `read` makes of each of `values`; one that is there twice is a problem.
pub(super) fn each_once<T: PartialEq>(
    values: Vec<Value<'_, '_>>,
    mut read: impl FnMut(&Value<'_, '_>) -> Option<T>,
) -> Vec<T> {
    let mut results = Vec::with_capacity(values.len());
    for value in values {
        match read(&value) {
            Some(result) if results.contains(&result) => value.problem("is there twice"),
            Some(result) => results.push(result),
            None => {}
        }
    }
    results
}

/// Not nothing.
pub(super) fn file_name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("names no file".to_owned()) } else { Ok(text.to_owned()) }
}

/// Twelve digits.
pub(super) fn account_id(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).map_err(|error| error.to_string())
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address: write IP:PORT, such as 127.0.0.1:9000 or [::]:9000"))
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8 or fd00::/8"))
}

fn domain(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if text.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed)) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("`{text}` is not a domain: write it without scheme, port or dot in front, such as s3.example.com"))
    }
}

fn bucket_pattern(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*');
    if !text.is_empty() && text.len() <= 255 && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not the name of a bucket, which may hold `*`"))
    }
}
