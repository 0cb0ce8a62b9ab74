//! Which certificate a client gets, and when new ones count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis::server::tls::ClientAuth;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use super::ground::{Ground, Sender, dial, shown};
use crate::proxy_protocol::who_is_it;
use crate::support::{Options, soon};

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let ground = Ground::new();
    let files = [
        ground.issue("first", &["first.test", "127.0.0.1"]),
        ground.issue("s3", &["s3.test"]),
        ground.issue("buckets", &["*.s3.test", "*.other.test"]),
    ];
    let of = files.each_ref().map(|files| CertificateDer::from_pem_file(&files.cert).unwrap());
    let proxy = who_is_it(ground.options(&files, ClientAuth::Off)).await;
    for version in [&TLS12, &TLS13] {
        let config = ground.client(&[version], &["http/1.1"]);
        for (name, expected) in [
            ("first.test", Some(0)),
            ("s3.test", Some(1)),
            ("S3.Test", Some(1)),
            ("photos.s3.test", Some(2)),
            ("photos.other.test", Some(2)),
            // An address is no name: such a client asks for none.
            ("127.0.0.1", Some(0)),
            // The first is not for it, so the client goes away.
            ("other.test", None),
            ("a.photos.s3.test", None),
        ] {
            let found = match dial(&proxy, Arc::clone(&config), name).await {
                Ok(stream) => of.iter().position(|certificate| *certificate == shown(&stream)),
                Err(error) => {
                    assert!(error.to_string().contains("not valid for name"), "{name}: {error}");
                    None
                }
            };
            assert_eq!(found, expected, "{version:?} {name}");
        }
    }
}

#[tokio::test]
async fn new_files_count_for_new_connections_and_open_ones_go_on() {
    let ground = Ground::new();
    let files = ground.issue("x", &["s3.test"]);
    let certificates = ground.certificates(std::slice::from_ref(&files), ClientAuth::Off);
    let proxy = who_is_it(Options { tls: Some(Arc::clone(&certificates)), ..Options::default() }).await;
    let config = |protocol| ground.client(&[&TLS13], &[protocol]);
    let mut open = Vec::new();
    for protocol in ["h2", "http/1.1"] {
        let stream = dial(&proxy, config(protocol), "s3.test").await.unwrap();
        let mut sender = Sender::new(stream).await;
        assert_eq!(sender.get("/b/k").await.0, 200);
        open.push(sender);
    }

    let old = CertificateDer::from_pem_file(&files.cert).unwrap();
    ground.issue("x", &["s3.test", "new.test"]);
    let new = CertificateDer::from_pem_file(&files.cert).unwrap();
    assert_eq!(shown(&dial(&proxy, config("h2"), "s3.test").await.unwrap()), old, "not before they are read");
    certificates.reload().unwrap();
    assert_eq!(shown(&dial(&proxy, config("h2"), "new.test").await.unwrap()), new);

    // Another's key, half of it, nothing.
    let key = std::fs::read_to_string(&files.key).unwrap();
    let other = std::fs::read_to_string(ground.issue("y", &["s3.test"]).key).unwrap();
    for bad in [&*other, key.split_at(key.len() / 2).0, ""] {
        std::fs::write(&files.key, bad).unwrap();
        certificates.reload().unwrap_err();
        assert_eq!(shown(&dial(&proxy, config("h2"), "new.test").await.unwrap()), new, "{} bytes", bad.len());
    }
    for mut sender in open {
        assert_eq!(sender.get("/b/k").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_files_are_exchanged() {
    let ground = Arc::new(Ground::new());
    let certificates = ground.certificates(&[ground.issue("x", &["s3.test"])], ClientAuth::Off);
    let proxy = Arc::new(who_is_it(Options { tls: Some(Arc::clone(&certificates)), ..Options::default() }).await);
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = ["h2", "http/1.1", "h2", "http/1.1"]
        .into_iter()
        .enumerate()
        .map(|(index, protocol)| {
            let (proxy, done, answered) = (Arc::clone(&proxy), Arc::clone(&done), Arc::clone(&answered));
            let config = ground.client(&[&TLS13, &TLS12], &[protocol]);
            tokio::spawn(async move {
                let mut sender = Sender::new(dial(&proxy, Arc::clone(&config), "s3.test").await.unwrap()).await;
                while !done.load(Ordering::Acquire) {
                    // Two stay on their connection, and two come anew each time.
                    if index >= 2 {
                        sender = Sender::new(dial(&proxy, Arc::clone(&config), "s3.test").await.unwrap()).await;
                    }
                    assert_eq!(sender.get("/b/k").await.0, 200);
                    answered.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let before = answered.load(Ordering::Acquire);
        ground.issue("x", &["s3.test"]);
        certificates.reload().unwrap();
        soon("requests after a reload", async {
            while answered.load(Ordering::Acquire) < before + 8 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    done.store(true, Ordering::Release);
    for client in clients {
        soon("end of a client", client).await.unwrap();
    }
}
