//! TLS in front, spoken to by a client of its own.

mod connections;
mod ground;
mod names;
mod policies;

use std::io::ErrorKind;
use std::sync::Arc;

use portcullis::server::tls::ClientAuth;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::proxy_protocol::{V1, behind_a_balancer, ssl, tcp4, who_is_it};
use crate::support::{Options, Wire, soon};
use ground::{Ground, Sender, dial, dial_behind};

#[tokio::test]
async fn version_and_protocol_are_agreed_on_and_known_of_each_request() {
    let ground = Ground::new();
    let proxy = who_is_it(ground.options(&[ground.issue("x", &["s3.test"])], ClientAuth::Off)).await;
    for (version, number) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        for (offered, agreed) in [
            (&["h2", "http/1.1"][..], Some("h2")),
            (&["http/1.1", "h2"], Some("h2")),
            (&["h2"], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&["spdy/3", "http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let config = ground.client(&[version], offered);
            let stream = dial(&proxy, config, "s3.test").await.unwrap();
            let protocol = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
            assert_eq!(protocol.as_deref(), agreed, "{number} {offered:?}");
            let mut sender = Sender::new(stream).await;
            for _ in 0..2 {
                let (status, body) = sender.get("/b/k").await;
                assert_eq!((status, &*body), (200, &*format!("127.0.0.1 tls {number}")), "{offered:?}");
            }
        }
        // Nothing to agree on.
        let refused = dial(&proxy, ground.client(&[version], &["spdy/3"]), "s3.test").await.unwrap_err();
        assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    }
}

#[tokio::test]
async fn sessions_are_resumed_until_the_files_are_read_anew() {
    let ground = Ground::new();
    let files = ground.issue("x", &["s3.test"]);
    let certificates = ground.certificates(&[files], ClientAuth::Off);
    let proxy = who_is_it(Options { tls: Some(Arc::clone(&certificates)), ..Options::default() }).await;
    for version in [&TLS12, &TLS13] {
        let config = ground.client(&[version], &["http/1.1"]);
        let mut kinds = Vec::new();
        for reloaded in [false, false, true] {
            if reloaded {
                certificates.reload().unwrap();
            }
            let stream = dial(&proxy, Arc::clone(&config), "s3.test").await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind());
            // Tickets come with the answer.
            assert_eq!(Sender::new(stream).await.get("/b/k").await.0, 200);
        }
        let [first, second, third] = kinds.try_into().unwrap();
        assert_eq!(first, Some(HandshakeKind::Full), "{version:?}");
        assert_eq!(second, Some(HandshakeKind::Resumed), "{version:?}");
        assert_eq!(third, Some(HandshakeKind::Full), "{version:?}");
    }
}

#[tokio::test]
async fn clients_certificates_open_the_connection_or_not() {
    let (ground, strangers) = (Ground::new(), Ground::new());
    let ca = ground.authority_file("ca.crt");
    let files = ground.issue("x", &["s3.test"]);
    for (client_auth, shown, welcome) in [
        (ClientAuth::Required(ca.clone()), None, false),
        (ClientAuth::Required(ca.clone()), Some(&strangers), false),
        (ClientAuth::Required(ca.clone()), Some(&ground), true),
        (ClientAuth::Optional(ca.clone()), None, true),
        (ClientAuth::Optional(ca.clone()), Some(&strangers), false),
        (ClientAuth::Optional(ca), Some(&ground), true),
        (ClientAuth::Off, Some(&strangers), true),
    ] {
        let what = format!("{client_auth:?}, with one of its own: {:?}", shown.map(|by| std::ptr::eq(by, &ground)));
        let proxy = who_is_it(ground.options(std::slice::from_ref(&files), client_auth)).await;
        for version in [&TLS12, &TLS13] {
            let config = match shown {
                None => ground.client(&[version], &["http/1.1"]),
                Some(by) => ground.client_with_certificate(&[version], by),
            };
            // With TLS 1.3 a client learns only afterwards that its certificate will not do.
            let answered = match dial(&proxy, config, "s3.test").await {
                Ok(stream) => Sender::new(stream).await.try_get("/b/k").await.is_ok_and(|(status, _)| status == 200),
                Err(_) => false,
            };
            assert_eq!(answered, welcome, "{version:?}, {what}");
        }
    }
}

#[tokio::test]
async fn whose_authority_is_taken_away_does_not_resume_what_it_had() {
    let (ground, other) = (Ground::new(), Ground::new());
    let ca = ground.authority_file("ca.crt");
    let certificates = ground.certificates(&[ground.issue("x", &["s3.test"])], ClientAuth::Required(ca.clone()));
    let proxy = who_is_it(Options { tls: Some(Arc::clone(&certificates)), ..Options::default() }).await;
    for version in [&TLS12, &TLS13] {
        std::fs::write(&ca, ground.authority_pem()).unwrap();
        certificates.reload().unwrap();
        let config = ground.client_with_certificate(&[version], &ground);
        let open = dial(&proxy, Arc::clone(&config), "s3.test").await.unwrap();
        let mut open = Sender::new(open).await;
        assert_eq!(open.get("/b/k").await.0, 200, "{version:?}");
        std::fs::write(&ca, other.authority_pem()).unwrap();
        certificates.reload().unwrap();
        let again = match dial(&proxy, config, "s3.test").await {
            Ok(stream) => Sender::new(stream).await.try_get("/b/k").await,
            Err(error) => Err(error.to_string()),
        };
        assert!(again.is_err(), "{version:?}");
        assert_eq!(open.get("/b/k").await.0, 200, "{version:?}: what is open goes on");
    }
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_handshake() {
    let ground = Ground::new();
    let tls = Some(ground.certificates(&[ground.issue("x", &["s3.test"])], ClientAuth::Off));
    let options = Options { tls, ..behind_a_balancer() };
    let proxy = who_is_it(options.clone()).await;
    for protocol in ["h2", "http/1.1"] {
        for (header, forwarded, expected) in [
            // What it passed on is the client's own.
            (V1.to_vec(), "http", "203.0.113.9 tls 1.2"),
            (tcp4("203.0.113.9", b""), "http", "203.0.113.9 tls 1.2"),
            // It ended the client's, and speaks its own.
            (tcp4("203.0.113.9", &ssl(1)), "http", "203.0.113.9 tls 1.3"),
            (tcp4("203.0.113.9", &ssl(0)), "https", "203.0.113.9"),
            // It speaks for a proxy, which speaks for others.
            (tcp4("10.0.0.2", b""), "https", "198.51.100.7 tls"),
            (tcp4("10.0.0.2", b""), "http", "198.51.100.7"),
        ] {
            let stream = dial_behind(&header, &proxy, ground.client(&[&TLS12], &[protocol]), "s3.test").await.unwrap();
            let told = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", forwarded)];
            let (_, body) = Sender::new(stream).await.get_with("/b/k", &told).await;
            assert_eq!(body, expected, "{protocol} {} {forwarded}", header.escape_ascii());
        }
    }
    // Without one there is no handshake, and within it no header.
    let refused = dial(&proxy, ground.client(&[&TLS13], &["h2"]), "s3.test").await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{refused}");
    let mut plain = proxy.connect().await;
    plain.send([V1, b"GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n"].concat()).await;
    assert!(plain.rest().await.0.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
}

#[tokio::test]
async fn what_a_client_writes_of_its_tls_counts_for_nothing() {
    let ground = Ground::new();
    let proxy = who_is_it(ground.options(&[ground.issue("x", &["s3.test"])], ClientAuth::Off)).await;
    let stream = dial(&proxy, ground.client(&[&TLS12], &["h2"]), "s3.test").await.unwrap();
    let told = [("x-forwarded-proto", "http"), ("x-forwarded-for", "198.51.100.7")];
    assert_eq!(Sender::new(stream).await.get_with("/b/k", &told).await.1, "127.0.0.1 tls 1.2");
    // Of a trusted proxy that speaks TLS to us, only what it writes counts.
    let trusted = Options { proxy_protocol: false, ..behind_a_balancer() };
    let tls = Some(ground.certificates(&[ground.issue("y", &["s3.test"])], ClientAuth::Off));
    let proxy = who_is_it(Options { tls, ..trusted }).await;
    for (proto, expected) in [("https", "198.51.100.7 tls"), ("http", "198.51.100.7")] {
        let stream = dial(&proxy, ground.client(&[&TLS13], &["h2"]), "s3.test").await.unwrap();
        let told = [("x-forwarded-proto", proto), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(Sender::new(stream).await.get_with("/b/k", &told).await.1, expected);
    }
}

#[tokio::test]
async fn probes_come_without_tls() {
    let ground = Ground::new();
    let proxy = who_is_it(ground.options(&[ground.issue("x", &["s3.test"])], ClientAuth::Off)).await;
    let mut probe = Wire::connect(proxy.admin).await;
    probe.send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    assert_eq!(soon("answer", probe.answer()).await.1, "ok\n");
}
