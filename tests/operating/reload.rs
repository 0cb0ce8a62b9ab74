//! What is re-read while requests run: `proxy.toml`, identities, certificates. Nothing is lost on the way, what is bad is
//! refused, and all of it is told.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::store::Store;
use crate::support::process::{eventually, free_address};
use crate::support::{ACCOUNT, Client, PUBLIC, Proxy, SOON, identities, signed};

pub(crate) fn reloads(file: &str, result: &str) -> String {
    format!("portcullis_reloads_total{{file=\"{file}\",result=\"{result}\"}}")
}

pub(crate) fn in_force(file: &str) -> String {
    format!("portcullis_last_reload_successful{{file=\"{file}\"}}")
}

/// In front of this store.
fn upstream(store: &Store) -> String {
    format!(
        "[upstream]\nendpoint = \"{}\"\nauth = \"resign\"\naccess_key_id = \"OURS\"\nsecret_access_key = \"ours\"\n",
        store.url()
    )
}

const GET: &str = "GET /photos/public/hello HTTP/1.1\r\nHost: s3.localhost\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";

#[test]
fn what_is_new_counts_from_the_next_request_on_the_same_connection() {
    let (old, new) = (Store::start("old"), Store::start("new"));
    let proxy = Proxy::start("", &upstream(&old));
    proxy.put_policy(PUBLIC);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.ask(GET).body, "old");

    proxy.rewrite("", &upstream(&new));
    proxy.until_metric(&reloads("config", "success"), 1.0);
    assert_eq!(client.ask(GET).body, "new", "the store");

    // Who is believed about the client's address.
    let from_there =
        PUBLIC.replace("\"Action\"", "\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}},\"Action\"");
    proxy.put_policy(&from_there);
    assert_eq!(client.ask(GET).status, 403);
    proxy.rewrite("trusted_proxies = [\"127.0.0.0/8\"]", &upstream(&new));
    proxy.until_metric(&reloads("config", "success"), 2.0);
    assert_eq!(client.ask(GET).body, "new", "the trusted proxies");
    proxy.rewrite("", &upstream(&new));
    proxy.until_metric(&reloads("config", "success"), 3.0);
    assert_eq!(client.ask(GET).status, 403, "nobody is believed any more");

    // Whose the buckets are; then what is written of it.
    proxy.put_policy(PUBLIC);
    let expecting = GET.replace("\r\n\r\n", &format!("\r\nx-amz-expected-bucket-owner: {ACCOUNT}\r\n\r\n"));
    assert_eq!(client.ask(&expecting).body, "new");
    let given = "[[ownership.bucket]]\nname = \"photos\"\naccount = \"444455556666\"\n";
    proxy.rewrite("", &format!("{given}{}", upstream(&new)));
    proxy.until_metric(&reloads("config", "success"), 4.0);
    assert_eq!(client.ask(&expecting).status, 403, "the owner");
    proxy.rewrite("domains = [\"s3.example.com\"]", &format!("{}[log]\nlevel = \"error\"\n", upstream(&new)));
    proxy.until_metric(&reloads("config", "success"), 5.0);
    let by_host = "GET /public/hello HTTP/1.1\r\nHost: photos.s3.example.com\r\n\r\n";
    assert_eq!(client.ask(by_host).body, "new", "the domains");
    proxy.rewrite("", &format!("{}[log]\nlevel = \"info\"\n", upstream(&new)));
    proxy.until_metric(&reloads("config", "success"), 6.0);
    assert_eq!(client.ask(&GET.replace("/hello", "/written")).body, "new");
    proxy.until_said("/photos/public/written");
    assert!(!proxy.server.stderr().contains("path=/public/hello"), "an error it was not");
    assert_eq!(proxy.metric("portcullis_restart_needed"), Some(0.0));
    proxy.stop();
}

#[test]
fn a_request_under_way_ends_where_it_began() {
    let (old, new) = (Store::start("old"), Store::start("new"));
    let proxy = Proxy::start("", &upstream(&old));
    proxy.put_policy(&PUBLIC.replace("s3:GetObject", "s3:*Object"));
    old.hold();
    let mut reading = Client::connect(proxy.address);
    reading.send(GET);
    old.until_asked("get /photos/public/hello");
    let mut writing = Client::connect(proxy.address);
    writing.send("PUT /photos/public/new HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: 10\r\n\r\n12345");
    old.until_asked("put /photos/public/new");

    proxy.rewrite("", &upstream(&new));
    proxy.until_metric(&reloads("config", "success"), 1.0);
    assert_eq!(Client::connect(proxy.address).ask(GET).body, "new");
    writing.send("67890");
    old.let_go();
    assert_eq!(reading.answer().body, "old");
    assert_eq!(writing.answer().body, "old");
    assert_eq!(reading.ask(GET).body, "new", "and the next is the new one's");
    proxy.stop();
}

#[test]
fn under_load_nothing_is_lost() {
    let stores = [Store::start("one"), Store::start("two")];
    let proxy = Proxy::start("", &upstream(&stores[0]));
    proxy.put_policy(PUBLIC);
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::connect(proxy.address);
                while !over.load(Ordering::Relaxed) {
                    let answer = client.ask(GET);
                    assert!(answer.status == 200 && ["one", "two"].contains(&answer.body.as_str()), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=10_u8 {
            // Some requests go each way.
            let so_far = answered.load(Ordering::Relaxed);
            assert!(eventually(SOON, || answered.load(Ordering::Relaxed) >= so_far + 16));
            let limits = format!("[limits]\nmax_in_flight = {}\n", 100 + u32::from(round));
            proxy.rewrite("", &format!("{}{limits}", upstream(&stores[usize::from(round % 2)])));
            proxy.server.signal("HUP");
            proxy.until_metric("portcullis_requests_in_flight_limit", f64::from(100 + u32::from(round)));
        }
        over.store(true, Ordering::Relaxed);
    });
    for store in &stores {
        store.until_asked("get /photos/public/hello");
    }
    proxy.stop();
}

#[test]
fn a_bad_version_is_refused_with_its_lines_and_the_old_one_stays() {
    let store = Store::start("store");
    let proxy = Proxy::start("", &upstream(&store));
    proxy.put_policy(PUBLIC);
    let good = fs::read_to_string(proxy.path("proxy.toml")).unwrap();
    let bad = good.replace("[identity]\n", "[identity]\nfiel = 1\n") + "[limits]\nidle_timeout = \"soon\"\n";
    proxy.write("proxy.toml", &bad);
    proxy.until_metric(&reloads("config", "failure"), 1.0);
    assert_eq!(proxy.metric(&in_force("config")), Some(0.0));
    let line = |word: &str| bad.lines().position(|line| line.contains(word)).unwrap() + 1;
    for word in ["fiel", "soon"] {
        proxy.until_said(&format!("proxy.toml:{}", line(word)));
    }
    proxy.until_said("the new config is refused; the old one stays in force");
    assert_eq!(Client::connect(proxy.address).ask(GET).body, "store");

    proxy.server.signal("HUP");
    proxy.until_metric(&reloads("config", "failure"), 2.0);
    // What cannot be made of what is well written is refused as well.
    let nowhere = good.replace(&format!("endpoint = \"{}\"", store.url()), "endpoint = \"https://127.0.0.1:1\"");
    let nowhere = nowhere.replace("[upstream]\n", "[upstream]\nca_file = \"none.pem\"\n");
    proxy.write("proxy.toml", &nowhere);
    proxy.until_metric(&reloads("config", "failure"), 3.0);
    proxy.write("proxy.toml", &good);
    proxy.until_metric(&in_force("config"), 1.0);
    assert_eq!(Client::connect(proxy.address).ask(GET).body, "store");
    proxy.stop();
}

#[test]
fn what_takes_a_restart_is_named_and_stays_what_it_was() {
    let store = Store::start("store");
    let proxy = Proxy::start("", &upstream(&store));
    proxy.put_policy(PUBLIC);
    let old = fs::read_to_string(proxy.path("proxy.toml")).unwrap();
    let elsewhere = old.replace(&proxy.address.to_string(), &free_address().to_string());
    let more = "[store]\nurl = \"redb:other.redb\"\n[log]\nformat = \"json\"\n[limits]\nmax_connections = 7\n";
    proxy.write("proxy.toml", &format!("{elsewhere}{more}"));
    proxy.until_metric("portcullis_restart_needed", 1.0);
    proxy.until_said("keys=listen.address, [store], limits.max_connections, log.format");
    assert_eq!(Client::connect(proxy.address).ask(GET).body, "store");
    assert!(!proxy.path("other.redb").exists());
    proxy.write("proxy.toml", &old);
    proxy.until_metric("portcullis_restart_needed", 0.0);
    proxy.stop();
}

#[test]
fn a_removed_key_is_refused_and_a_broken_file_removes_none() {
    let store = Store::start("store");
    let proxy = Proxy::start("", &upstream(&store));
    let ask = |key: &str| Client::connect(proxy.address).ask(&signed("GET", "/photos/any", key, ""));
    assert_eq!(ask("ROOT").body, "store");
    proxy.write("identities.toml", "[[account]]\nid = \"1\"\n");
    proxy.server.signal("HUP");
    proxy.until_metric(&in_force("identities"), 0.0);
    proxy.until_said("identities.toml:2");
    assert_eq!(ask("ROOT").body, "store", "the old identities stay");
    assert_eq!(ask("OTHER").status, 403);

    proxy.write("identities.toml", &identities(&["OTHER"]));
    proxy.server.signal("HUP");
    proxy.until_metric(&in_force("identities"), 1.0);
    let refused = ask("ROOT");
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("<Code>InvalidAccessKeyId</Code>"), "{refused:?}");
    assert_eq!(ask("OTHER").body, "store");
    proxy.stop();
}

/// Whether a client that trusts this certificate alone gets it; why not otherwise.
fn handshake(address: SocketAddr, trusted: &CertificateDer<'static>) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = "s3.localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn an_expired_certificate_is_served_and_told_of_and_a_broken_one_is_not_taken() {
    let issue = |directory: &Path, until: i32| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["s3.localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let cert = params.self_signed(&key).unwrap();
        fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
        fs::write(directory.join("tls.crt"), cert.pem()).unwrap();
        (cert.der().clone(), params.not_after.unix_timestamp())
    };
    let directory = tempfile::tempdir().unwrap();
    let (good, until) = issue(directory.path(), 2100);
    let proxy = Proxy::start_in(directory, "tls = { cert = \"tls.crt\", key = \"tls.key\" }", "");
    let expiry = format!(
        "portcullis_certificate_expiry_timestamp_seconds{{certificate=\"{}\"}}",
        proxy.path("tls.crt").display()
    );
    let seconds = |until: i64| f64::from(u32::try_from(until).unwrap());
    assert_eq!(handshake(proxy.address, &good), Ok(()));
    proxy.until_metric(&expiry, seconds(until));

    // One that nobody can use is not taken.
    proxy.write("tls.crt", "-----BEGIN CERTIFICATE-----\nnonsense\n");
    proxy.server.signal("HUP");
    proxy.until_metric(&in_force("certificates"), 0.0);
    proxy.until_said("the new certificates are refused; the old ones stay in force");
    assert_eq!(handshake(proxy.address, &good), Ok(()));

    // One that has expired is: who asks for it may not mind, and all are told.
    let (expired, until) = issue(proxy.directory.path(), 2001);
    proxy.server.signal("HUP");
    proxy.until_metric(&in_force("certificates"), 1.0);
    proxy.until_said("the certificate expired at 2001-01-01");
    proxy.until_metric(&expiry, seconds(until));
    let refused = handshake(proxy.address, &expired).unwrap_err();
    assert!(refused.contains("expired") || refused.contains("Expired"), "{refused}");
    proxy.stop();
}
