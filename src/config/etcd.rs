//! The keys of `[store]` that are about etcd.

use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::file::file_name;
use super::settings::{CertificateSettings, EtcdSettings, EtcdTlsSettings, StoreUrl};
use super::upstream::parse_authorities;
use crate::toml_reader::{Reader, Secret, Table, Value};

/// The port that etcd listens on where it is not told another.
const PORT: u16 = 2379;

/// A mirror is proven to be current by asking, which takes some time, and is refused when it is older than this.
const LEAST_STALENESS: Duration = Duration::from_secs(1);

/// Reads what follows `etcd:`.
pub(super) fn parse_url(rest: &str) -> Result<EtcdSettings, String> {
    if !cfg!(feature = "etcd") {
        return Err("this build has no etcd: build with `--features etcd`, or use another place".to_owned());
    }
    let wrong = |what: &str| Err(format!("{what}: write `etcd://HOST:PORT,HOST:PORT/PREFIX`"));
    let Some(rest) = rest.strip_prefix("//") else { return wrong("is no URL of etcd") };
    let Some((members, prefix)) = rest.split_once('/') else { return wrong("has no prefix for the keys") };
    let mut endpoints = Vec::new();
    for member in members.split(',') {
        // Not quoted, since what stands before an `@` may be a password.
        if member.contains('@') {
            return wrong("has a user name in it, which is for `store.username`");
        }
        let Ok(authority) = member.parse::<Authority>() else { return wrong("has a member that is no `HOST:PORT`") };
        let port = match authority.port_u16() {
            None if authority.as_str() == authority.host() => PORT,
            Some(port) if port > 0 => port,
            _ => return wrong("has a member with a port that is none"),
        };
        let endpoint = format!("{}:{port}", authority.host().to_ascii_lowercase());
        if endpoints.contains(&endpoint) {
            return Err(format!("names `{endpoint}` twice"));
        }
        endpoints.push(endpoint);
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(allowed);
    if !prefix.split('/').all(is_segment) {
        return wrong("has a prefix that is empty or of other characters than `A-Z a-z 0-9 . _ - /`");
    }
    Ok(EtcdSettings { endpoints, prefix: prefix.to_owned(), tls: None, user: None })
}

/// Reads the keys into `url`, where it is etcd's.
pub(super) fn read(table: &mut Table<'_, '_>, url: &mut StoreUrl, max_staleness: Duration) {
    let reader = table.reader();
    let (is_secured, ca) = (table.take("tls"), table.take("ca_file"));
    let (cert, key) = (table.take("client_cert"), table.take("client_key"));
    let username = table.take("username");
    let StoreUrl::Etcd(etcd) = url else {
        let no_effect = |value: &Value<'_, '_>| value.warning("has no effect, since `store.url` is not `etcd://`");
        if let Some(value) = is_secured.filter(|value| value.flag().is_some()) {
            no_effect(&value);
        }
        let passwords = ["password", "password_env", "password_file"].map(|key| table.take(key));
        for value in [ca, cert, key, username].into_iter().chain(passwords).flatten() {
            if value.text().is_some() {
                no_effect(&value);
            }
        }
        return;
    };
    if max_staleness < LEAST_STALENESS {
        table.problem("max_staleness", "must be at least 1s with `etcd://`");
    }

    let is_asked_for = is_secured.as_ref().and_then(|value| value.flag());
    let ca_file = ca.as_ref().and_then(|value| {
        value.parse(|path| parse_authorities(path, &reader.read_input(path)?).map(|_| reader.resolve(path)))
    });
    let client = match (&cert, &key) {
        (Some(cert), Some(key)) => client(reader, cert, key),
        (Some(alone), None) => {
            alone.problem("needs `store.client_key`");
            None
        }
        (None, Some(alone)) => {
            alone.problem("needs `store.client_cert`");
            None
        }
        (None, None) => None,
    };
    let needs_tls = [&ca, &cert, &key].into_iter().flatten();
    if is_asked_for == Some(false) {
        for value in needs_tls {
            value.problem("needs TLS, and `store.tls` is false");
        }
    } else if is_asked_for == Some(true) || needs_tls.count() > 0 {
        etcd.tls = Some(EtcdTlsSettings { ca_file, client });
    }

    let password = table.secret("password", "password_env", "password_file");
    match (username, password) {
        (None, Secret::Absent) => {}
        (None, Secret::Given(_) | Secret::Refused) => {
            table.problem("username", "is missing, and its password is given")
        }
        (Some(_), Secret::Refused) => {}
        (Some(name), Secret::Absent) => {
            name.problem("its password is missing: give `password_env`, `password_file` or `password`");
        }
        (Some(name), Secret::Given(password)) => {
            let text =
                name.parse(|text| if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) });
            if etcd.tls.is_none() && !etcd.endpoints.iter().all(|endpoint| is_loopback(endpoint)) {
                name.warning("its password goes over the network as it is: give `store.tls` or `store.ca_file`");
            }
            etcd.user = text.map(|text| (text, password));
        }
    }
}

/// The certificate that we show, found to be one with its key.
fn client(reader: &Reader<'_>, cert: &Value<'_, '_>, key: &Value<'_, '_>) -> Option<CertificateSettings> {
    let read = |path: &str, is_good: fn(&[u8]) -> bool, what: &str| -> Result<PathBuf, String> {
        let path = file_name(path)?;
        let pem = zeroize::Zeroizing::new(reader.read_input(&path)?);
        if is_good(&pem) { Ok(reader.resolve(&path)) } else { Err(format!("`{path}` holds no {what} in PEM form")) }
    };
    let holds_certificate =
        |pem: &[u8]| CertificateDer::pem_slice_iter(pem).next().is_some_and(|certificate| certificate.is_ok());
    let cert = cert.parse(|path| read(path, holds_certificate, "certificate"));
    let key = key.parse(|path| read(path, |pem| PrivateKeyDer::from_pem_slice(pem).is_ok(), "private key"));
    Some(CertificateSettings { cert: cert?, key: key? })
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(all(test, feature = "etcd"))]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::auth::identity::SecretKey;
    use crate::config::{self, Loaded};

    /// Reads a `[store]` section in `directory`; its problems or warnings, one a line.
    fn read_in(directory: &Path, section: &str) -> Result<Loaded, String> {
        let text = format!("[store]\n{section}\n[upstream]\nendpoint = \"embedded:data\"\n");
        let env = |name: &str| (name == "PASSWORD").then(|| "a secret".to_owned());
        config::parse(&text, "proxy.toml", directory, &env).map_err(|invalid| invalid.to_string())
    }

    fn etcd(loaded: Loaded) -> EtcdSettings {
        let StoreUrl::Etcd(etcd) = loaded.settings.store.url else { unreachable!("{:?}", loaded.settings.store) };
        etcd
    }

    #[test]
    fn members_and_prefix_are_read() {
        for (url, endpoints, prefix) in [
            ("etcd://127.0.0.1:2379/p", &["127.0.0.1:2379"][..], "p"),
            (
                "etcd://A.example,b.example:1,[::1]:23790/prod/eu-1/",
                &["a.example:2379", "b.example:1", "[::1]:23790"],
                "prod/eu-1",
            ),
        ] {
            let read = etcd(read_in(Path::new(""), &format!("url = \"{url}\"")).unwrap());
            let endpoints = endpoints.iter().map(ToString::to_string).collect();
            assert_eq!(read, EtcdSettings { endpoints, prefix: prefix.to_owned(), tls: None, user: None }, "{url}");
        }
    }

    #[test]
    fn what_is_no_place_in_etcd_is_refused() {
        let prefix = "has a prefix that is empty or of other characters than `A-Z a-z 0-9 . _ - /`";
        let how = "write `etcd://HOST:PORT,HOST:PORT/PREFIX`";
        for (url, what) in [
            ("etcd:a/p", "is no URL of etcd"),
            ("etcd://a", "has no prefix for the keys"),
            ("etcd://a/", prefix),
            ("etcd://a//", prefix),
            ("etcd://a/p//q", prefix),
            ("etcd://a/p?q", prefix),
            ("etcd:///p", "has a member that is no `HOST:PORT`"),
            ("etcd://a,,b/p", "has a member that is no `HOST:PORT`"),
            ("etcd://a b/p", "has a member that is no `HOST:PORT`"),
            ("etcd://a:0/p", "has a member with a port that is none"),
            ("etcd://a:x/p", "has a member with a port that is none"),
            ("etcd://me:secret@a/p", "has a user name in it, which is for `store.username`"),
        ] {
            let problems = read_in(Path::new(""), &format!("url = \"{url}\"")).unwrap_err();
            assert_eq!(problems, format!("proxy.toml:2:7: `store.url`: {what}: {how}"), "{url}");
        }
        let twice = read_in(Path::new(""), "url = \"etcd://a,A:2379/p\"").unwrap_err();
        assert_eq!(twice, "proxy.toml:2:7: `store.url`: names `a:2379` twice");
    }

    #[test]
    fn the_way_there_may_be_secured() {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["etcd".to_owned()]).unwrap();
        std::fs::write(directory.path().join("crt"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(directory.path().join("pw"), "from a file\n").unwrap();
        let path = |name: &str| directory.path().join(name);
        let read = |section: &str| read_in(directory.path(), &format!("url = \"etcd://a/p\"\n{section}"));
        let client = Some(CertificateSettings { cert: path("crt"), key: path("key") });
        for (section, tls, user) in [
            ("tls = false", None, None),
            ("tls = true", Some((None, None)), None),
            ("ca_file = \"crt\"", Some((Some(path("crt")), None)), None),
            ("client_cert = \"crt\"\nclient_key = \"key\"", Some((None, client)), None),
            ("username = \"me\"\npassword_env = \"PASSWORD\"", None, Some("a secret")),
            ("username = \"me\"\npassword_file = \"pw\"", None, Some("from a file")),
            ("username = \"me\"\npassword = \"here\"", None, Some("here")),
        ] {
            let read = etcd(read(section).unwrap());
            assert_eq!(read.tls, tls.map(|(ca_file, client)| EtcdTlsSettings { ca_file, client }), "{section}");
            assert_eq!(read.user, user.map(|password| ("me".to_owned(), SecretKey::new(password))), "{section}");
        }

        for (section, problem) in [
            ("tls = false\nca_file = \"crt\"", "4:11: `store.ca_file`: needs TLS, and `store.tls` is false"),
            ("ca_file = \"key\"", "3:11: `store.ca_file`: `key` holds no certificate in PEM form"),
            ("client_cert = \"crt\"", "3:15: `store.client_cert`: needs `store.client_key`"),
            ("client_key = \"key\"", "3:14: `store.client_key`: needs `store.client_cert`"),
            (
                "client_cert = \"key\"\nclient_key = \"crt\"",
                "3:15: `store.client_cert`: `key` holds no certificate in PEM form\nproxy.toml:4:14: `store.client_key`: `crt` holds no private key in PEM form",
            ),
            ("password = \"x\"", "1:1: `store.username`: is missing, and its password is given"),
            (
                "username = \"me\"",
                "3:12: `store.username`: its password is missing: give `password_env`, `password_file` or `password`",
            ),
            ("username = \"\"\npassword = \"x\"", "3:12: `store.username`: is empty"),
            (
                "username = \"me\"\npassword_env = \"NONE\"",
                "4:16: `store.password_env`: the environment variable `NONE` is not set",
            ),
            ("max_staleness = \"999ms\"", "1:1: `store.max_staleness`: must be at least 1s with `etcd://`"),
        ] {
            assert_eq!(read(section).unwrap_err(), format!("proxy.toml:{problem}"), "{section}");
        }
    }

    #[test]
    fn what_may_not_be_meant_is_a_warning() {
        let warnings = |section: &str| -> Vec<String> {
            read_in(Path::new(""), section).unwrap().warnings.iter().map(|warning| warning.message.clone()).collect()
        };
        let user = "username = \"me\"\npassword = \"x\"";
        let clear =
            "`store.username`: its password goes over the network as it is: give `store.tls` or `store.ca_file`";
        assert_eq!(warnings(&format!("url = \"etcd://a/p\"\n{user}")), [clear]);
        for quiet in ["url = \"etcd://a/p\"\ntls = true", "url = \"etcd://[::1],localhost,127.0.0.1/p\""] {
            assert_eq!(warnings(&format!("{quiet}\n{user}")), [""; 0], "{quiet}");
        }
        let no_effect = "`store.tls`: has no effect, since `store.url` is not `etcd://`";
        assert_eq!(warnings("url = \"redb:x\"\ntls = true"), [no_effect]);
    }

    #[test]
    fn no_password_is_shown() {
        let loaded = read_in(Path::new(""), "url = \"etcd://a/p\"\nusername = \"me\"\npassword = \"hush\"").unwrap();
        assert!(!format!("{:?}", loaded.settings).contains("hush"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_place_or_none(rest in "(//)?[a-zA-Z0-9.:,@\\[\\]%/ _-]{0,40}") {
            if let Ok(read) = parse_url(&rest) {
                let written = format!("//{}/{}", read.endpoints.join(","), read.prefix);
                prop_assert_eq!(parse_url(&written), Ok(read));
            }
        }
    }
}
