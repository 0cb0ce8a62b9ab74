//! Spans, what they say, and what they never say.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use aws_sigv4::http_request::SignatureLocation;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::collector::{Collector, Span, SpanKind, only};
use crate::store::{Store, read_head};
use crate::support::process::free_address;
use crate::support::{Client, Proxy, SOON, signed};
use crate::{CALLER, TRACE, proxy, proxy_at, signed_get, traceparent, with};

#[test]
fn a_request_is_a_span_within_its_callers_and_its_parts_are_within_it() {
    let (store, collector) = (Store::start("store"), Collector::start());
    let proxy = proxy(&store, &collector, "resign", "service_name = \"gate\"\n");
    let request = signed("GET", "/photos/dir/a%20b?versionId=null", "ROOT", "");
    let request =
        with(&request, &[("traceparent", &traceparent()), ("tracestate", "vendor=1"), ("User-Agent", "tests/1")]);
    let answer = Client::connect(proxy.address).ask(&request);
    assert_eq!((answer.status, &*answer.body), (200, "store"));
    let port = proxy.address.port();
    let directory = proxy.stop();

    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let server = only(&spans, SpanKind::Server);
    let decide = only(&spans, SpanKind::Internal);
    let client = only(&spans, SpanKind::Client);
    assert_eq!((&*server.name, &*server.trace, &*server.parent), ("GetObject", TRACE, CALLER), "{server:#?}");
    assert_eq!((&*decide.name, &*decide.trace, &decide.parent), ("decide", TRACE, &server.id), "{decide:#?}");
    assert_eq!((&*client.name, &*client.trace, &client.parent), ("GET", TRACE, &server.id), "{client:#?}");
    assert_eq!(server.state, "vendor=1");
    for child in [decide, client] {
        assert!(server.begun <= child.begun && child.begun <= child.ended && child.ended <= server.ended, "{spans:#?}");
    }
    assert!(!spans.iter().any(|span| span.failed), "{spans:#?}");

    for (span, expected) in [
        (
            server,
            &[
                ("http.request.method", "GET"),
                ("http.response.status_code", "200"),
                ("url.path", "/photos/dir/a%20b"),
                ("url.scheme", "http"),
                ("server.address", "s3.localhost"),
                ("client.address", "127.0.0.1"),
                ("network.protocol.version", "1.1"),
                ("user_agent.original", "tests/1"),
                ("http.request.body.size", "0"),
                ("http.response.body.size", "5"),
                ("aws.s3.bucket", "photos"),
                ("portcullis.decision", "allowed"),
            ][..],
        ),
        (decide, &[("portcullis.decision", "allowed")]),
        (
            client,
            &[
                ("http.request.method", "GET"),
                ("http.response.status_code", "200"),
                ("server.address", "127.0.0.1"),
                ("server.port", &store.address.port().to_string()),
                ("url.full", &format!("{}/photos/dir/a%20b", store.url())),
            ],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sorted = |mut attributes: Vec<_>| {
            attributes.sort_unstable();
            attributes
        };
        assert_eq!(sorted(span.attributes.clone()), sorted(expected), "{} on {port}", span.name);
    }
    let of = |key: &str| server.resource.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(of("service.name"), Some("gate"));
    assert_eq!(of("service.version"), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(of("telemetry.sdk.language"), Some("rust"));
    let calls = collector.calls();
    let head = &calls[0].head;
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
    // Whoever reads the log of a request finds its trace.
    let log = std::fs::read_to_string(directory.path().join("portcullis.stderr")).unwrap();
    assert!(log.contains(&format!("trace_id=\"{TRACE}\"")), "{log}");
}

#[test]
fn the_store_is_told_of_by_the_path_that_it_got() {
    let (store, collector) = (Store::start("store"), Collector::start());
    for auth in ["preserve", "resign"] {
        let proxy = proxy(&store, &collector, auth, "");
        let request = signed_get("/k?versionId=1", SignatureLocation::Headers, &[("host", "photos.s3.localhost")]);
        assert_eq!(Client::connect(proxy.address).ask(&request).status, 200, "{auth}");
        proxy.stop();
    }
    let spans = collector.spans();
    let told = |kind, key| -> Vec<_> {
        spans.iter().filter(|span| span.kind == kind).map(|span| span.get(key).unwrap().to_owned()).collect()
    };
    assert_eq!(told(SpanKind::Client, "url.full"), [format!("{}/k", store.url()), format!("{}/photos/k", store.url())]);
    assert_eq!(told(SpanKind::Server, "aws.s3.bucket"), ["photos", "photos"]);
    assert_eq!(told(SpanKind::Server, "url.path"), ["/k", "/k"]);
}

#[test]
fn what_was_denied_or_failed_is_told_as_such() {
    let (store, collector) = (failing_store(), Collector::start());
    let proxy = proxy_at(&format!("http://{store}"), &format!("http://{}", collector.address), "resign", "");
    let mut client = Client::connect(proxy.address);
    let asked = [
        ("denied", "GET /photos/denied HTTP/1.1\r\nHost: s3.localhost\r\n\r\n".to_owned(), 403),
        ("broken", signed("GET", "/photos/broken", "ROOT", ""), 502),
        ("failing", signed("GET", "/photos/failing", "ROOT", ""), 500),
        ("missing", signed("GET", "/photos/missing", "ROOT", ""), 404),
        ("unknown", signed("GET", "/photos/unknown", "NOBODY", ""), 403),
    ];
    for (name, request, status) in &asked {
        assert_eq!(client.ask(request).status, *status, "{name}");
    }
    let cut = Client::connect(proxy.address).try_ask(&signed("GET", "/photos/cut", "ROOT", ""));
    assert!(cut.is_err(), "half an object must not look like a whole one: {cut:?}");
    assert_eq!(client.ask("BREW /photos/odd HTTP/1.1\r\nHost: s3.localhost\r\n\r\n").status / 100, 4);
    proxy.stop();

    let spans = collector.spans();
    let of = |key: &str| -> (&Span, Vec<&Span>) {
        let path = format!("/photos/{key}");
        let is_it = |span: &&Span| span.get("url.path") == Some(&path);
        let server = spans.iter().find(is_it).unwrap_or_else(|| panic!("{key}: {spans:#?}"));
        (server, spans.iter().filter(|span| span.parent == server.id).collect())
    };
    let (server, children) = of("denied");
    assert!(!server.failed && server.parent.is_empty(), "{server:#?}");
    assert_eq!(server.get("portcullis.decision"), Some("denied"), "{server:#?}");
    assert!(children.iter().all(|span| span.kind != SpanKind::Client), "it was sent on: {children:#?}");
    assert!(children.iter().all(|span| span.get("portcullis.decision") == Some("denied")), "{children:#?}");

    for (key, status, of_server, of_client) in [
        ("broken", "502", Some("502"), Some("broken")),
        ("failing", "500", Some("500"), Some("500")),
        ("missing", "404", None, None),
        ("cut", "200", None, Some("broken")),
    ] {
        let (server, children) = of(key);
        let client = children.iter().find(|span| span.kind == SpanKind::Client).unwrap();
        assert_eq!(server.get("http.response.status_code"), Some(status), "{server:#?}");
        for (span, error) in [(server, of_server), (*client, of_client)] {
            assert_eq!((span.failed, span.get("error.type")), (error.is_some(), error), "{key}: {span:#?}");
        }
    }

    let (server, children) = of("unknown");
    assert!(!server.failed && children.is_empty(), "{server:#?} {children:#?}");
    assert_eq!(server.get("portcullis.decision"), Some("refused"), "{server:#?}");

    let (server, _) = of("odd");
    assert_eq!((&*server.name, server.get("http.request.method")), ("HTTP", Some("_OTHER")), "{server:#?}");
}

#[test]
fn a_body_that_fails_on_its_way_is_an_error_of_the_exchange() {
    let (store, collector) = (Store::start("store"), Collector::start());
    let proxy = proxy(&store, &collector, "resign", "");
    let whole = |key: &str| signed("PUT", &format!("/photos/{key}"), "ROOT", "whole");
    let other = whole("other").replace("\r\n\r\nwhole", "\r\n\r\nother");
    assert_eq!(Client::connect(proxy.address).ask(&other).status, 400);
    // The client says that it has no more to say, and waits for what is said to that.
    let mut half = TcpStream::connect(proxy.address).unwrap();
    half.write_all(whole("half").strip_suffix("le").unwrap().as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    half.set_read_timeout(Some(SOON)).unwrap();
    half.read_to_end(&mut Vec::new()).unwrap();
    proxy.stop();
    let spans = collector.spans();
    for key in ["other", "half"] {
        let path = format!("/photos/{key}");
        let server = spans.iter().find(|span| span.get("url.path") == Some(&path)).unwrap();
        let is_it = |span: &&Span| span.kind == SpanKind::Client && span.parent == server.id;
        let client = spans.iter().find(is_it).unwrap_or_else(|| panic!("{key}: {spans:#?}"));
        assert_eq!((client.failed, client.get("error.type")), (true, Some("aborted")), "{key}: {client:#?}");
        assert_eq!(client.get("http.response.status_code"), None, "{key}: {client:#?}");
    }
}

/// A store that answers with a status, but where a key says that it is to hang up.
fn failing_store() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Some(head) = read_head(&mut BufReader::new(&stream)) else { continue };
            let status = match head.split(' ').nth(1) {
                Some("/photos/broken") => continue,
                Some("/photos/cut") => {
                    let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                    continue;
                }
                Some("/photos/failing") => "500 Internal Server Error",
                Some("/photos/missing") => "404 Not Found",
                _ => "200 OK",
            };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn nothing_that_could_be_used_is_told() {
    let (store, collector) = (Store::start("store"), Collector::start());
    for auth in ["preserve", "resign"] {
        let proxy = proxy(&store, &collector, auth, "");
        let mut client = Client::connect(proxy.address);
        let link = signed_get("/photos/by-link?versionId=hidden", SignatureLocation::QueryParams, &[]);
        assert!(link.contains("X-Amz-Signature=") && link.contains("X-Amz-Credential=ROOT"), "{link}");
        let in_header = [
            ("Authorization-Extra", "hidden"),
            ("x-amz-server-side-encryption-customer-key", "hidden"),
            ("Cookie", "session=hidden"),
        ];
        let signed = with(&signed("GET", "/photos/by-header?versionId=hidden", "ROOT", ""), &in_header[..1]);
        let with_key = signed_get("/photos/with-key", SignatureLocation::Headers, &in_header[1..]);
        for request in [link, signed, with_key] {
            client.ask(&request);
        }
        proxy.stop();
    }
    let paths: Vec<_> = collector.spans().iter().filter_map(|span| span.get("url.path").map(str::to_owned)).collect();
    for path in ["/photos/by-link", "/photos/by-header", "/photos/with-key"] {
        assert_eq!(paths.iter().filter(|told| *told == path).count(), 2, "{path}: {paths:?}");
    }
    for call in collector.calls().iter() {
        let told = String::from_utf8_lossy(&call.body).to_ascii_lowercase();
        for secret in ["hidden", "signature", "x-amz", "credential", "aws4", "root", "ours", "authorization"] {
            assert!(!told.contains(secret), "{secret} in {told:?}");
        }
    }
}

#[test]
fn a_question_is_a_span_within_the_proxys_that_asks() {
    let (store, collector, asking) = (Store::start("store"), Collector::start(), free_address());
    let proxy = Proxy::start(
        "trusted_proxies = [\"127.0.0.1\"]",
        &format!(
            "[authz]\naddress = \"{asking}\"\n[upstream]\nendpoint = \"{}\"\naccess_key_id = \"OURS\"\n\
             secret_access_key = \"ours\"\n[trace]\notlp_endpoint = \"http://{}\"\n",
            store.url(),
            collector.address
        ),
    );
    let link = signed_get("/photos/k", SignatureLocation::QueryParams, &[]);
    let target = link.split(' ').nth(1).unwrap();
    let question = format!(
        "GET /auth_request HTTP/1.1\r\nHost: s3.localhost\r\nX-Forwarded-For: 192.0.2.7\r\nX-Original-Method: GET\r\n\
         X-Original-URI: {target}\r\ntraceparent: {}\r\n\r\n",
        traceparent()
    );
    assert_eq!(Client::connect(asking).ask(&question).status, 200);
    proxy.stop();
    let spans = collector.spans();
    let (server, decide) = (only(&spans, SpanKind::Server), only(&spans, SpanKind::Internal));
    assert_eq!((spans.len(), &*server.trace, &*server.parent, &decide.parent), (2, TRACE, CALLER, &server.id));
    for (key, value) in [
        ("portcullis.asked_by", "auth_request"),
        ("portcullis.decision", "allowed"),
        ("url.path", "/photos/k"),
        ("client.address", "192.0.2.7"),
        ("aws.s3.bucket", "photos"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(server.get(key), Some(value), "{key}: {server:#?}");
    }
}

#[test]
fn of_the_traces_that_begin_here_a_share_is_told_and_of_others_what_was_decided_before() {
    let (store, collector) = (Store::start("store"), Collector::start());
    let proxy = proxy(&store, &collector, "preserve", "sample_ratio = 0\n");
    let mut client = Client::connect(proxy.address);
    let request = |name: &str, parent: Option<String>| {
        let request = signed("GET", &format!("/photos/{name}"), "ROOT", "");
        parent.map_or(request.clone(), |parent| with(&request, &[("traceparent", &parent)]))
    };
    client.ask(&request("begun-here", None));
    client.ask(&request("sampled", Some(traceparent())));
    client.ask(&request("not-sampled", Some(format!("00-{TRACE}-{CALLER}-00"))));
    proxy.stop();
    let spans = collector.spans();
    assert_eq!(only(&spans, SpanKind::Server).get("url.path"), Some("/photos/sampled"));
    // The store is told the truth of it.
    for (name, flags) in [("begun-here", "00"), ("sampled", "01"), ("not-sampled", "00")] {
        let head = store.until_asked(&format!("get /photos/{name} "));
        let parent = head.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap();
        assert!(parent.ends_with(flags), "{name}: {parent}");
        assert_eq!(parent.contains(TRACE), name != "begun-here", "{name}: {parent}");
    }
}

#[test]
fn a_collector_is_reached_by_tls_with_the_headers_that_it_wants() {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let collector = Collector::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), Some(Arc::new(config)));
    let store = Store::start("store");
    let files = tempfile::tempdir().unwrap();
    let (ca, headers) = (files.path().join("ca.pem"), files.path().join("headers"));
    std::fs::write(&ca, authority.pem()).unwrap();
    std::fs::write(&headers, "authorization=Bearer%20let-us-in,x-scope-orgid=acme\n").unwrap();
    let proxy = proxy_at(
        &store.url(),
        &format!("https://{}/otlp", collector.address),
        "resign",
        &format!("ca_file = \"{}\"\nheaders_file = \"{}\"\n", ca.display(), headers.display()),
    );
    Client::connect(proxy.address).ask(&signed("GET", "/photos/k", "ROOT", ""));
    let directory = proxy.stop();
    let calls = collector.calls();
    let log = std::fs::read_to_string(directory.path().join("portcullis.stderr")).unwrap();
    assert_eq!(calls.len(), 1, "{log}");
    let head = &calls[0].head;
    assert!(head.starts_with("post /otlp/v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: bearer let-us-in\r\n"), "{head}");
    assert!(head.contains("\r\nx-scope-orgid: acme\r\n"), "{head}");
    assert!(!log.contains("let-us-in"), "{log}");
}
