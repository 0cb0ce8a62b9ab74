use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::settings::{
    AuditTarget, CertificateSettings, ClientAuth, Endpoint, Enforcement, LogFormat, OwnershipSource, PolicyHandler,
    StoreUrl, TlsSettings, UpstreamAuth,
};
use super::{InvalidConfig, Loaded, load_admin, parse};
use crate::policy::AccountId;
use crate::s3::address::BucketName;

const ENDPOINT: &str = "[upstream]\nendpoint = \"http://127.0.0.1:3900\"\n";

fn read(text: &str) -> Result<Loaded, InvalidConfig> {
    let env = |name: &str| match name {
        "THE_SECRET" => Some("from-the-environment".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    parse(text, "proxy.toml", Path::new("/etc/portcullis"), &env)
}

/// The problems of a file, one a line, without the file's name.
fn problems(text: &str) -> Vec<String> {
    let invalid = read(text).err().map(|invalid| invalid.problems.to_string()).unwrap_or_default();
    invalid.lines().map(|line| line.strip_prefix("proxy.toml:").unwrap_or(line).trim_start().to_owned()).collect()
}

fn warnings(text: &str) -> Vec<String> {
    read(text).unwrap().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_upstream_is_all_a_file_needs() {
    let settings = read(ENDPOINT).unwrap().settings;
    assert_eq!(settings.listen.addresses, ["127.0.0.1:9000".parse::<SocketAddr>().unwrap()]);
    assert_eq!(settings.listen.domains, ["s3.localhost"]);
    assert!(settings.listen.trusted_proxies.is_empty());
    assert!(!settings.listen.proxy_protocol);
    assert_eq!(settings.listen.tls, None);
    assert_eq!(settings.admin.unwrap().address, "127.0.0.1:9001".parse().unwrap());
    assert_eq!(settings.upstream.endpoints, [Endpoint::Http("http://127.0.0.1:3900".parse().unwrap())]);
    assert_eq!(settings.upstream.region, "us-east-1");
    assert_eq!(settings.upstream.auth, UpstreamAuth::Preserve);
    assert_eq!(settings.upstream.credentials, None);
    assert_eq!(settings.upstream.connect_timeout, Duration::from_secs(3));
    assert_eq!(settings.upstream.max_connections, None);
    assert_eq!(settings.upstream.authorities, None);
    assert_eq!(settings.upstream.response_header_timeout, Duration::from_secs(60));
    assert_eq!(settings.policy.handler, PolicyHandler::Store);
    assert_eq!(settings.policy.enforcement, Enforcement::Enforce);
    assert!(settings.policy.lockout_guard);
    assert_eq!(settings.store.url, StoreUrl::Redb("/etc/portcullis/portcullis.redb".into()));
    assert_eq!(settings.store.max_staleness, Duration::from_secs(30));
    assert_eq!(settings.store.refresh, Duration::from_secs(5));
    assert_eq!(settings.identity.file, Path::new("/etc/portcullis/identities.toml"));
    use OwnershipSource::{Registry, Static, UpstreamAcl};
    assert_eq!(settings.ownership.sources, [Static, Registry, UpstreamAcl]);
    assert_eq!(settings.ownership.cache_ttl, Duration::from_secs(30));
    assert_eq!(settings.limits.max_connections, 10_000);
    assert_eq!(settings.limits.max_in_flight, 4_096);
    assert_eq!(settings.limits.max_held_bytes, 256 << 20);
    assert_eq!(settings.limits.request_header_timeout, Duration::from_secs(10));
    assert_eq!(settings.limits.idle_timeout, Duration::from_secs(75));
    assert_eq!(settings.limits.drain_timeout, Duration::from_secs(25));
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.log.level, tracing::Level::INFO);
    assert_eq!(settings.log.audit, AuditTarget::Stderr);
}

#[test]
fn the_shipped_file_gives_every_default() {
    let shipped = read(include_str!("../../proxy.toml")).unwrap().settings;
    let defaults = read(ENDPOINT).unwrap().settings;
    // What has no default is given there too, since the file shows every key.
    let account = |id| AccountId::parse(id).unwrap();
    let mut expected = defaults;
    expected.ownership.default_account = Some(account("111122223333"));
    expected.ownership.sources.push(OwnershipSource::Default);
    expected.ownership.buckets = vec![("shared-*".to_owned(), account("444455556666"))];
    assert_eq!(format!("{shipped:#?}"), format!("{expected:#?}"));
}

#[test]
fn every_key_can_be_set() {
    let text = r#"
[listen]
address = ["0.0.0.0:80", "[::]:80"]
domains = ["S3.Example.com"]
trusted_proxies = ["10.0.0.0/8", "192.0.2.1"]
proxy_protocol = true
tls = [{ cert = "tls.crt", key = "tls.key" }, { cert = "/run/b.pem", key = "/run/b.pem" }]
client_ca = "ca.crt"
client_auth = "optional"
[admin]
address = ""
[upstream]
endpoints = ["https://store.example:8443/", "https://STORE-2.example"]
region = "garage"
auth = "resign"
access_key_id = "AK"
secret_access_key_env = "THE_SECRET"
connect_timeout = "500ms"
max_connections = 64
response_header_timeout = "2m"
[[upstream.account]]
id = "111122223333"
access_key_id = "AK1"
secret_access_key = "s1"
[policy]
handler = "forward"
enforcement = "audit"
lockout_guard = false
[store]
url = "redb:/var/lib/p.redb"
max_staleness = "0s"
[identity]
file = "../ids.toml"
[ownership]
sources = ["default", "static"]
default_account = "111122223333"
cache_ttl = "1h"
bucket = [{ name = "a*", account = "444455556666" }]
[limits]
max_connections = 1
max_in_flight = 0x10
max_held_bytes = 1_000_000
request_header_timeout = "1s"
idle_timeout = "1s"
drain_timeout = "0s"
[log]
format = "json"
level = "debug"
audit = "audit.log"
"#;
    let settings = read(text).unwrap_or_else(|invalid| panic!("{invalid}")).settings;
    assert_eq!(settings.listen.addresses.len(), 2);
    assert_eq!(settings.listen.domains, ["s3.example.com"]);
    assert_eq!(settings.listen.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]);
    assert!(settings.listen.proxy_protocol);
    let tls = settings.listen.tls.unwrap();
    assert_eq!(
        tls.certificates,
        [
            CertificateSettings { cert: "/etc/portcullis/tls.crt".into(), key: "/etc/portcullis/tls.key".into() },
            CertificateSettings { cert: "/run/b.pem".into(), key: "/run/b.pem".into() },
        ]
    );
    assert_eq!(tls.client_auth, ClientAuth::Optional("/etc/portcullis/ca.crt".into()));
    assert_eq!(settings.admin, None);
    let endpoints = ["https://store.example:8443/", "https://store-2.example"];
    assert_eq!(settings.upstream.endpoints, endpoints.map(|endpoint| Endpoint::Http(endpoint.parse().unwrap())));
    assert_eq!(settings.upstream.max_connections, Some(64));
    assert_eq!(settings.upstream.auth, UpstreamAuth::Resign);
    let pair = settings.upstream.credentials.unwrap();
    assert_eq!((pair.access_key_id.as_str(), pair.secret_access_key.expose()), ("AK", "from-the-environment"));
    let (account, pair) = settings.upstream.accounts.first().unwrap();
    assert_eq!((account.as_str(), pair.secret_access_key.expose()), ("111122223333", "s1"));
    assert_eq!(settings.upstream.connect_timeout, Duration::from_millis(500));
    assert_eq!(settings.policy.handler, PolicyHandler::Forward);
    assert!(!settings.policy.lockout_guard);
    assert_eq!(settings.store.url, StoreUrl::Redb("/var/lib/p.redb".into()));
    assert_eq!(settings.identity.file, Path::new("/etc/portcullis/../ids.toml"));
    assert_eq!(settings.ownership.sources, [OwnershipSource::Default, OwnershipSource::Static]);
    assert_eq!(settings.ownership.buckets.len(), 1);
    assert_eq!(settings.limits.max_in_flight, 16);
    assert_eq!(settings.limits.max_held_bytes, 1_000_000);
    assert_eq!(settings.limits.drain_timeout, Duration::ZERO);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.log.audit, AuditTarget::File("/etc/portcullis/audit.log".into()));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"colour = "red"
[listen]
address = ["127.0.0.1:9000", "localhost:9000", "127.0.0.1:9000"]
domains = [".example.com", 7]
trusted_proxies = ["10.0.0.0/33"]
proxy_protocol = "v2"
[listen.tls]
cert = "tls.crt"
[admin]
address = "127.0.0.1:9000"
[upstream]
endpoints = ["http://a:1", "https://b:1", "http://A:1/", 7]
  time_out = "3s"
connect_timeout = "0s"
auth = "resign"
[policy]
handler = "keep"
enforcement = "on"
lockout_guard = "yes"
[store]
url = "s3:policies/x"
[ownership]
sources = ["default", "acl"]
bucket = [{ nmae = "a", account = "1" }]
[limits]
max_in_flight = 0
max_connections = "many"
[logs]
level = "loud"
"#;
    assert_eq!(
        problems(text),
        [
            "1:1: `colour`: unknown key",
            "3:30: `listen.address`: `localhost:9000` is not an address: write IP:PORT, such as 127.0.0.1:9000 or [::]:9000",
            "3:48: `listen.address`: is there twice",
            "4:12: `listen.domains`: `.example.com` is not a domain: write it without scheme, port or dot in front, such as s3.example.com",
            "4:28: `listen.domains`: expected a string, found an integer",
            "5:20: `listen.trusted_proxies`: `10.0.0.0/33` is not a network such as 10.0.0.0/8 or fd00::/8",
            "6:18: `listen.proxy_protocol`: expected true or false, found a string",
            "7:1: `listen.tls.key`: is required",
            "10:11: `admin.address`: `127.0.0.1:9000` is taken by `listen.address`: probes never share the data port",
            "12:28: `upstream.endpoints`: some are `http` and some `https`: they are one store, and all must be the same",
            "12:43: `upstream.endpoints`: is there twice",
            "12:58: `upstream.endpoints`: expected a string, found an integer",
            "13:3: `upstream.time_out`: unknown key (did you mean `connect_timeout`?)",
            "14:19: `upstream.connect_timeout`: must be more than zero",
            "15:8: `upstream.auth`: `resign` needs credentials: give `upstream.access_key_id` and its secret",
            "17:11: `policy.handler`: `keep` is not one of `store`, `forward`",
            "18:15: `policy.enforcement`: `on` is not one of `off`, `audit`, `enforce`",
            "19:17: `policy.lockout_guard`: expected true or false, found a string",
            "21:7: `store.url`: is no URL of a bucket: write `s3://BUCKET/PREFIX`",
            "23:12: `ownership.sources`: `default` needs `ownership.default_account`",
            "23:23: `ownership.sources`: `acl` is not one of `static`, `registry`, `upstream-acl`, `default`",
            "24:11: `ownership.bucket.name`: is required",
            "24:13: `ownership.bucket.nmae`: unknown key (did you mean `name`?)",
            "24:35: `ownership.bucket.account`: `1` is not an account id: twelve digits are",
            "26:17: `limits.max_in_flight`: `0` is not a whole number of at least 1",
            "27:19: `limits.max_connections`: expected a whole number, found a string",
            "28:2: `logs`: unknown key (did you mean `log`?)",
        ]
    );
}

#[test]
fn tls_is_one_certificate_or_several() {
    let file = |name: &str| Path::new("/etc/portcullis").join(name);
    let pair =
        |name: &str| CertificateSettings { cert: file(&format!("{name}.crt")), key: file(&format!("{name}.key")) };
    for (keys, certificates, client_auth) in [
        (r#"tls = { cert = "a.crt", key = "a.key" }"#, vec![pair("a")], ClientAuth::Off),
        (r#"tls = [{ cert = "a.crt", key = "a.key" }]"#, vec![pair("a")], ClientAuth::Off),
        (
            r#"tls = [{ cert = "b.crt", key = "b.key" }, { cert = "a.crt", key = "a.key" }]"#,
            vec![pair("b"), pair("a")],
            ClientAuth::Off,
        ),
        ("[listen.tls]\ncert = \"a.crt\"\nkey = \"a.key\"", vec![pair("a")], ClientAuth::Off),
        (
            "client_ca = \"ca.crt\"\n[[listen.tls]]\ncert = \"a.crt\"\nkey = \"a.key\"",
            vec![pair("a")],
            ClientAuth::Required(file("ca.crt")),
        ),
        (
            "tls = { cert = \"a.crt\", key = \"a.key\" }\nclient_ca = \"ca.crt\"\nclient_auth = \"required\"",
            vec![pair("a")],
            ClientAuth::Required(file("ca.crt")),
        ),
        (
            "tls = { cert = \"a.crt\", key = \"a.key\" }\nclient_ca = \"ca.crt\"\nclient_auth = \"optional\"",
            vec![pair("a")],
            ClientAuth::Optional(file("ca.crt")),
        ),
    ] {
        let tls = read(&format!("{ENDPOINT}[listen]\n{keys}\n")).unwrap().settings.listen.tls;
        assert_eq!(tls, Some(TlsSettings { certificates, client_auth }), "{keys}");
    }
    let pair = r#"{ cert = "a.crt", key = "a.key" }"#;
    for (keys, expected) in [
        ("tls = true".to_owned(), "4:7: `listen.tls`: expected a table, found a boolean"),
        ("tls = []".to_owned(), "4:7: `listen.tls`: names no certificate"),
        (format!("tls = [{pair}, {pair}]"), "4:43: `listen.tls`: is there twice"),
        (format!("tls = [{pair}, \"b.pem\"]"), "4:43: `listen.tls`: expected a table, found a string"),
        (r#"tls = { key = "a.key" }"#.to_owned(), "4:7: `listen.tls.cert`: is required"),
        (r#"tls = { cert = "", key = "a.key" }"#.to_owned(), "4:16: `listen.tls.cert`: names no file"),
        (r#"tls = { cert = "a", key = 7 }"#.to_owned(), "4:27: `listen.tls.key`: expected a string, found an integer"),
        (r#"tls = { cert = "a", key = "a", ca = "b" }"#.to_owned(), "4:32: `listen.tls.ca`: unknown key"),
        ("client_ca = \"ca.crt\"".to_owned(), "4:13: `listen.client_ca`: needs `listen.tls`"),
        ("client_auth = \"required\"".to_owned(), "4:15: `listen.client_auth`: needs `listen.tls`"),
        (
            format!("tls = {pair}\nclient_auth = \"required\""),
            "5:15: `listen.client_auth`: needs `listen.client_ca`: the certificates of those who sign the clients'",
        ),
        (
            format!("tls = {pair}\nclient_ca = \"ca.crt\"\nclient_auth = \"none\""),
            "6:15: `listen.client_auth`: `none` is not one of `optional`, `required`",
        ),
    ] {
        assert_eq!(problems(&format!("{ENDPOINT}[listen]\n{keys}\n")), [expected], "{keys}");
    }
}

#[test]
fn questions_are_answered_where_yes_means_something() {
    const PROXIES: &str = "[listen]\naddress = \"127.0.0.1:8\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let with = |text: &str| format!("{ENDPOINT}{text}");
    let on = "[authz]\naddress = \"127.0.0.1:9002\"\n";
    let authz = |text: &str| read(&with(text)).unwrap().settings.authz.map(|authz| authz.address.to_string());
    assert_eq!(authz(""), None);
    assert_eq!(authz("[authz]\naddress = \"\""), None);
    assert_eq!(authz(&format!("{on}{PROXIES}")).as_deref(), Some("127.0.0.1:9002"));
    for (text, expected) in [
        (
            on.to_owned(),
            "4:11: `authz.address`: needs `listen.trusted_proxies`: the proxies that may ask, and say who the client is",
        ),
        (
            format!("{on}{PROXIES}[policy]\nenforcement = \"off\""),
            "4:11: `authz.address`: with `policy.enforcement = \"off\"` the answer would always be yes",
        ),
        (
            format!("[authz]\naddress = \"127.0.0.1:8\"\n{PROXIES}"),
            "4:11: `authz.address`: `127.0.0.1:8` is taken by `listen.address`",
        ),
        (
            format!("[authz]\naddress = \"127.0.0.1:9001\"\n{PROXIES}"),
            "4:11: `authz.address`: `127.0.0.1:9001` is taken by `admin.address`",
        ),
        (format!("[authz]\nport = 7\n{PROXIES}"), "4:1: `authz.port`: unknown key"),
    ] {
        assert_eq!(problems(&with(&text)), [expected], "{text}");
    }
    assert_eq!(
        problems(&format!("[upstream]\nendpoint = \"embedded:x\"\nauth = \"resign\"\n{on}{PROXIES}")),
        [
            "5:11: `authz.address`: needs `upstream.auth = \"preserve\"`: who asks sends requests on as they were signed, for the store to verify"
        ],
    );
}

#[test]
fn a_file_is_refused_for_one_thing() {
    for (text, expected) in [
        ("", "`upstream.endpoint`: is required: the store to stand in front of, such as `http://127.0.0.1:3900`"),
        ("listen = 3\n[upstream]\nendpoint = \"http://a\"", "1:10: `listen`: expected a table, found an integer"),
        (
            "[upstream]\nendpoint = \"ftp://x\"",
            "2:12: `upstream.endpoint`: is neither `http` nor `https`: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"http://x/base\"",
            "2:12: `upstream.endpoint`: has a path, a query or a fragment: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"http://x?a\"",
            "2:12: `upstream.endpoint`: has a path, a query or a fragment: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"http://u:p@x\"",
            "2:12: `upstream.endpoint`: has a user name in it: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"127.0.0.1:3900\"",
            "2:12: `upstream.endpoint`: is not a URL: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"http://127.0.0.1:390O\"",
            "2:12: `upstream.endpoint`: has no host, or a port that is none: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"https://store:65536\"",
            "2:12: `upstream.endpoint`: has no host, or a port that is none: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"http://:3900\"",
            "2:12: `upstream.endpoint`: has no host, or a port that is none: write it as `http://HOST:PORT`",
        ),
        (
            "[upstream]\nendpoint = \"embedded:\"",
            "2:12: `upstream.endpoint`: names no directory: write `embedded:PATH`",
        ),
        ("[upstream]\nendpoints = []", "2:13: `upstream.endpoints`: names no endpoint"),
        (
            "[upstream]\nendpoints = [\"http://a\", \"embedded:x\"]",
            "2:26: `upstream.endpoints`: an embedded store is all there is: it cannot be one of several",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\nendpoints = [\"http://a\"]",
            "3:13: `upstream.endpoints`: give either `endpoint` or `endpoints`",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\nmax_connections = 0",
            "3:19: `upstream.max_connections`: `0` is not a whole number of at least 1",
        ),
        (
            "[upstream]\nendpoint = \"https://a\"\nca_file = \"/nowhere/at-all\"",
            "3:11: `upstream.ca_file`: `/nowhere/at-all` cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\nregion = \"a/b\"",
            "3:10: `upstream.region`: `a/b` is not a region such as us-east-1",
        ),
        ("[upstream]\nendpoint = \"http://a\"\nendpoint = \"http://b\"", "3:1: not TOML: duplicate key"),
        ("[upstream]\nendpoint = \"http://a", "2:21: not TOML: invalid basic string, expected `\"`"),
        #[cfg(not(feature = "etcd"))]
        (
            "[upstream]\nendpoint = \"http://a\"\n[store]\nurl = \"etcd://a/b\"",
            "4:7: `store.url`: this build has no etcd: build with `--features etcd`, or use another place",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\n[store]\nurl = \"s3://policies\"",
            "3:1: `store.url`: to keep policies in the object store needs `upstream.access_key_id`",
        ),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[store]\nurl = \"s3://p/x\"",
            "4:7: `store.url`: names no bucket: write `s3://BUCKET/PREFIX`",
        ),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[store]\nurl = \"s3://policies/a//b\"",
            "4:7: `store.url`: has a prefix of other characters than `A-Z a-z 0-9 . _ -`, or a long one: write `s3://BUCKET/PREFIX`",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\n[store]\nrefresh = \"31s\"",
            "3:1: `store.refresh`: is longer than `store.max_staleness`, and copies that old do not count",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\n[policy]\nhandler = \"forward\"\nenforcement = \"audit\"",
            "3:1: `policy.enforcement`: to read the policies that the store keeps needs `upstream.access_key_id`",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\n[ownership]\nsources = []",
            "4:11: `ownership.sources`: names no source",
        ),
        ("[upstream]\nendpoint = \"http://a\"\n[listen]\naddress = []", "4:11: `listen.address`: names no address"),
        (
            "[upstream]\nendpoint = \"http://a\"\n[listen]\naddress = \"127.0.0.1:9001\"",
            "`admin.address`: its default, 127.0.0.1:9001, is taken by `listen.address`: write another, or \"\" for no such listener",
        ),
        // Credentials.
        (
            "[upstream]\nendpoint = \"http://a\"\naccess_key_id = \"AK\"",
            "1:1: `upstream.access_key_id`: its secret is missing: give `secret_access_key`, `…_env` or `…_file`, or set the environment variable `PORTCULLIS_UPSTREAM_SECRET`",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\naccess_key_id = \"AK\"\nsecret_access_key_env = \"NO\"",
            "4:25: `upstream.secret_access_key_env`: the environment variable `NO` is not set",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\naccess_key_id = \"AK\"\nsecret_access_key_env = \"EMPTY\"",
            "4:25: `upstream.secret_access_key_env`: the secret is empty",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\naccess_key_id = \"AK\"\nsecret_access_key_file = \"/nowhere/at-all\"",
            "4:26: `upstream.secret_access_key_file`: `/nowhere/at-all` cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\naccess_key_id = \"AK\"\nsecret_access_key = \"s\"\nsecret_access_key_env = \"THE_SECRET\"",
            "5:25: `upstream.secret_access_key_env`: give only one of `secret_access_key`, `secret_access_key_env` and `secret_access_key_file`",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\nsecret_access_key = \"s\"",
            "1:1: `upstream.access_key_id`: is missing, and its secret is given",
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\n[[upstream.account]]\nid = \"111122223333\"\naccess_key_id = \"A\"",
            "3:1: `upstream.account.secret_access_key`: is required, or `…_env` or `…_file`",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn policies_may_be_kept_in_the_object_store() {
    for (url, bucket, prefix) in [
        ("s3://policies", "policies", ""),
        ("s3://policies/", "policies", ""),
        ("s3://policies/prod", "policies", "prod/"),
        ("s3://policies/prod/eu-1/", "policies", "prod/eu-1/"),
    ] {
        let text = format!("[upstream]\nendpoint = \"embedded:x\"\n[store]\nurl = \"{url}\"\nrefresh = \"2s\"");
        let store = read(&text).unwrap().settings.store;
        let bucket = BucketName::parse(bucket).unwrap();
        assert_eq!(store.url, StoreUrl::S3 { bucket, prefix: prefix.to_owned() }, "{url}");
        assert_eq!(store.refresh, Duration::from_secs(2));
    }
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let unsigned = "`upstream.access_key_id`: without it buckets are asked for unsigned, and the source `upstream-acl` of `ownership.sources` finds no owner";
    let powerful = "`policy.enforcement`: until it is `enforce`, with `upstream.auth = \"resign\"` every known access key acts with the rights of the upstream's credentials";
    let idle = "`policy.enforcement`: with `off`, stored policies decide `?policy` calls and no other request";
    let unbelieved = "`listen.proxy_protocol`: PROXY headers are read, and with an empty `listen.trusted_proxies` none is believed: the proxy in front counts as the client";
    let cases: [(&str, &[&str]); 11] = [
        ("[upstream]\nendpoint = \"http://a\"", &[&format!("proxy.toml:1:1: {unsigned}")]),
        ("[upstream]\nendpoint = \"embedded:x\"", &[]),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[listen]\nproxy_protocol = true",
            &[&format!("proxy.toml:4:18: {unbelieved}")],
        ),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[listen]\nproxy_protocol = true\ntrusted_proxies = []",
            &[&format!("proxy.toml:4:18: {unbelieved}")],
        ),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[listen]\nproxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\"]",
            &[],
        ),
        ("[upstream]\nendpoint = \"embedded:x\"\n[listen]\nproxy_protocol = false", &[]),
        ("[upstream]\nendpoint = \"embedded:x\"\nauth = \"resign\"", &[]),
        (
            "[upstream]\nendpoint = \"embedded:x\"\nauth = \"resign\"\n[policy]\nenforcement = \"audit\"",
            &[&format!("proxy.toml:4:1: {powerful}")],
        ),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[policy]\nenforcement = \"off\"",
            &[&format!("proxy.toml:3:1: {idle}")],
        ),
        (
            "[upstream]\nendpoint = \"http://a\"\n[[upstream.account]]\nid = \"111122223333\"\naccess_key_id = \"A\"\nsecret_access_key = \"s\"",
            &[
                &format!("proxy.toml:1:1: {unsigned}"),
                "proxy.toml:1:1: `upstream.account`: has no effect with `preserve`",
            ],
        ),
        (
            "[upstream]\nendpoint = \"embedded:x\"\n[policy]\nhandler = \"forward\"\n[ownership]\nsources = [\"registry\"]\ndefault_account = \"111122223333\"\nbucket = [{ name = \"a\", account = \"111122223333\" }]",
            &[
                "proxy.toml:6:11: `ownership.sources`: without `default`, `ownership.default_account` has no effect",
                "proxy.toml:6:11: `ownership.sources`: without `static`, `ownership.bucket` has no effect",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(warnings(text), expected, "{text}");
    }
}

#[test]
fn owners_that_nobody_declares_are_warned_of() {
    let text = "[upstream]\nendpoint = \"http://a\"\n[ownership]\ndefault_account = \"111122223333\"\n[[ownership.bucket]]\nname = \"x\"\naccount = \"444455556666\"";
    let loaded = read(text).unwrap();
    let warned = loaded.undeclared_accounts(|id| id.as_str() == "111122223333");
    let warned: Vec<_> = warned.iter().map(ToString::to_string).collect();
    assert_eq!(
        warned,
        [
            "proxy.toml:7:11: `ownership.bucket.account`: the identity file declares no account 444455556666, so nobody can act for it"
        ]
    );
}

#[test]
fn an_empty_access_key_id_means_none_whatever_secret_is_named() {
    let text = format!("{ENDPOINT}access_key_id = \"\"\nsecret_access_key_env = \"NO\"\n");
    assert_eq!(read(&text).unwrap().settings.upstream.credentials, None);
}

#[test]
fn a_secret_file_ends_at_its_line_ending() {
    let directory = tempfile::tempdir().unwrap();
    for (content, expected) in
        [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s \n\n", "s \n")]
    {
        std::fs::write(directory.path().join("secret"), content).unwrap();
        let text = format!("{ENDPOINT}access_key_id = \"AK\"\nsecret_access_key_file = \"secret\"\n");
        let loaded = parse(&text, "proxy.toml", directory.path(), &|_| None).unwrap();
        let pair = loaded.settings.upstream.credentials.unwrap();
        assert_eq!(pair.secret_access_key.expose(), expected, "{content:?}");
    }
}

#[test]
fn a_ca_file_holds_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap()
    };
    let (one, two) = (authority("one"), authority("two"));
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    type Found<'a> = Result<Vec<&'a [u8]>, &'a str>;
    let cases: [(String, Found<'_>); 6] = [
        (one.pem(), Ok(vec![one.der().as_ref()])),
        (format!("the first\n{}the second\n{}", one.pem(), two.pem()), Ok(vec![one.der(), two.der()])),
        (String::new(), Err("`ca.pem` holds no certificate in PEM form")),
        ("not PEM".to_owned(), Err("`ca.pem` holds no certificate in PEM form")),
        (no_certificate.to_owned(), Err("`ca.pem` holds a certificate that cannot be used: ")),
        ("-----BEGIN CERTIFICATE-----\nAA".to_owned(), Err("`ca.pem` is not a PEM file: ")),
    ];
    let text = "[upstream]\nendpoint = \"https://a\"\nca_file = \"ca.pem\"\n";
    for (content, expected) in cases {
        std::fs::write(directory.path().join("ca.pem"), &content).unwrap();
        let found = parse(text, "proxy.toml", directory.path(), &|_| None);
        match (found, expected) {
            (Ok(loaded), Ok(expected)) => {
                let found = loaded.settings.upstream.authorities.unwrap();
                let found: Vec<&[u8]> = found.iter().map(AsRef::as_ref).collect();
                assert_eq!(found, expected, "{content}");
            }
            (Err(invalid), Err(expected)) => {
                let expected = format!("proxy.toml:3:11: `upstream.ca_file`: {expected}");
                assert!(invalid.problems.to_string().starts_with(&expected), "{content}: {invalid}");
            }
            (found, _) => panic!("{content}: {found:?}"),
        }
    }
    std::fs::write(directory.path().join("ca.pem"), one.pem()).unwrap();
    let plain = parse(&text.replace("https", "http"), "proxy.toml", directory.path(), &|_| None).unwrap();
    let warnings: Vec<_> = plain.warnings.iter().map(ToString::to_string).collect();
    let expected = "proxy.toml:3:11: `upstream.ca_file`: has no effect, since no endpoint is `https`";
    assert!(warnings.iter().any(|warning| warning == expected), "{warnings:?}");
}

#[test]
fn a_token_file_is_read_and_held_to_its_rules() {
    const TOKEN: &str = "0123456789-secret";
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    let read = |admin: &str| parse(&format!("{ENDPOINT}[admin]\n{admin}\n"), "proxy.toml", directory.path(), &|_| None);
    let refused = |admin: &str| {
        let told = read(admin).unwrap_err().problems.to_string();
        assert!(!told.contains("0123"), "{told}");
        told
    };
    assert!(refused("token_file = \"token\"").contains("4:14: `admin.token_file`: "), "it is not there");
    for (content, why) in [("0123456", "fewer than 16"), ("0123456789 secret", "visible ASCII"), ("", "fewer than 16")]
    {
        std::fs::write(&token, content).unwrap();
        assert!(refused("token_file = \"token\"").contains(why), "{content:?}");
    }
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    assert!(
        refused("address = \"\"\ntoken_file = \"token\"").contains("`admin.token_file`: opens an API on a listener")
    );
    assert_eq!(read("token_file = \"\"").unwrap().settings.admin.unwrap().token_file, None);
    #[cfg(unix)]
    for (mode, warned) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let loaded = read("token_file = \"token\"").unwrap();
        assert_eq!(loaded.settings.admin.unwrap().token_file.as_deref(), Some(&*token));
        let told: String = loaded.warnings.iter().map(|warning| warning.to_string()).collect();
        assert_eq!(told.contains("may be read by everybody"), warned, "{mode:o}: {told}");
    }
}

#[test]
fn a_client_needs_no_more_of_a_file_than_its_admin_section() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        load_admin(&path).map(|admin| admin.map(|admin| (admin.address.to_string(), admin.token_file)))
    };
    std::fs::write(directory.path().join("token"), "0123456789-secret").unwrap();
    let elsewhere = "[listen]\naddress = \"x\"\n[upstream]\nsecret_access_key_env = \"NO\"\n";
    let admin = "[admin]\naddress = \"0.0.0.0:9\"\ntoken_file = \"token\"\n";
    let token = directory.path().join("token");
    assert_eq!(read(&format!("{elsewhere}{admin}")), Ok(Some(("0.0.0.0:9".to_owned(), Some(token)))));
    assert_eq!(read(elsewhere), Ok(Some(("127.0.0.1:9001".to_owned(), None))));
    assert_eq!(read("[admin]\naddress = \"\""), Ok(None));
    for (text, why) in [
        ("[admin]\nport = 1", "2:1: `admin.port`: unknown key"),
        ("[admin]\ntoken_file = \"none\"", "2:14: `admin.token_file`: "),
        ("[admin", "not TOML"),
    ] {
        assert!(read(text).unwrap_err().to_string().contains(why), "{text}");
    }
}

#[test]
fn the_identity_file_is_known_of_a_refused_file() {
    let invalid = read("[identity]\nfile = \"ids.toml\"").unwrap_err();
    assert_eq!(invalid.identity_file.as_deref(), Some(Path::new("/etc/portcullis/ids.toml")));
    assert_eq!(read("[").unwrap_err().identity_file, None);
}

#[test]
fn secrets_are_never_shown() {
    let secret = "tell-nobody";
    let good = format!("{ENDPOINT}access_key_id = \"AK\"\nsecret_access_key = \"{secret}\"\n");
    assert!(!format!("{:?}", read(&good).unwrap()).contains(secret));
    for bad in [
        format!("{ENDPOINT}access_key_id = \"AK\"\nsecret_access_key = [\"{secret}\"]\n"),
        format!("{ENDPOINT}access_key_id = \"AK\"\nsecret_access_key = \"{secret}\n"),
        format!("{ENDPOINT}access_key_id = \"AK\"\nsecret_access_key = {secret}\n"),
        format!("{ENDPOINT}access_key_id = \"AK\"\nsecret_acces_key = \"{secret}\"\n"),
        format!("[upstream]\nendpoint = \"http://user:{secret}@host\"\n"),
    ] {
        let invalid = read(&bad).unwrap_err();
        assert!(!format!("{invalid} {invalid:?}").contains(secret), "{bad}");
    }
}
