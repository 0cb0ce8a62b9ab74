//! From where and how a request comes is what the connection says, not what the request says.

use portcullis::server::client_address::TrustedProxies;

use super::{BOTH, Gate, lines, verdicts};
use crate::support::Options;

#[tokio::test]
async fn nobody_talks_themselves_into_a_network_or_into_tls() {
    const ADDRESS: &str = "X-Forwarded-For: 203.0.113.9\r\n";
    const TLS: &str = "X-Forwarded-Proto: https\r\n";
    let local = || TrustedProxies::new(["127.0.0.0/8".parse().unwrap()]);
    for mode in BOTH {
        for (trusted, target, headers, granted) in [
            (TrustedProxies::default(), "/photos/net/a", "", false),
            (TrustedProxies::default(), "/photos/net/a", ADDRESS, false),
            (TrustedProxies::default(), "/photos/net/a", "X-Real-IP: 203.0.113.9\r\n", false),
            (TrustedProxies::default(), "/photos/net/a", "Forwarded: for=203.0.113.9\r\n", false),
            (TrustedProxies::default(), "/photos/net/a", "X_Forwarded_For: 203.0.113.9\r\n", false),
            (TrustedProxies::default(), "/photos/net/a", "True-Client-IP: 203.0.113.9\r\n", false),
            (TrustedProxies::default(), "/photos/tls/a", TLS, false),
            (TrustedProxies::default(), "/photos/tls/a", "Forwarded: proto=https\r\n", false),
            (TrustedProxies::default(), "/photos/tls/a", "X-Forwarded-Ssl: on\r\n", false),
            (TrustedProxies::default(), "/photos/tls/a", "Front-End-Https: on\r\n", false),
            // The very same from one that is believed, or these would be denied for another reason.
            (local(), "/photos/net/a", ADDRESS, true),
            (local(), "/photos/net/a", "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n", false),
            (local(), "/photos/net/a", "X_Forwarded_For: 203.0.113.9\r\n", false),
            (local(), "/photos/net/a", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n", false),
            (local(), "/photos/tls/a", TLS, true),
            (local(), "/photos/tls/a", "X-Forwarded-Proto: http, https\r\n", false),
            // Naming it in `Connection` takes it from nobody here.
            (local(), "/photos/tls/a", "X-Forwarded-Proto: https\r\nConnection: x-forwarded-proto\r\n", false),
            (TrustedProxies::default(), "/photos/page/a", "Referer: https://example.com/\r\n", true),
            (TrustedProxies::default(), "/photos/page/a", "Referrer: https://example.com/\r\n", false),
            (
                TrustedProxies::default(),
                "/photos/page/a",
                "Referer: https://example.com/\r\nConnection: referer\r\n",
                false,
            ),
        ] {
            let gate = Gate::start_with(mode, Options { trusted_proxies: trusted, ..Options::default() }).await;
            let mut client = gate.proxy.connect().await;
            client.send(format!("GET {target} HTTP/1.1\r\nHost: s3.localhost\r\n{headers}\r\n")).await;
            client.half_close().await;
            let answers = verdicts(&client.rest().await.0);
            drop(client);
            let asked = lines(&gate.end().await);
            match granted {
                true => {
                    assert_eq!((answers, asked), (vec!["200".to_owned()], vec![format!("GET {target}")]), "{headers}")
                }
                false => {
                    assert!(answers[0].starts_with('4'), "{target} {headers}, {mode:?}: {answers:?}");
                    assert_eq!(asked, [""; 0], "{target} {headers}, {mode:?}");
                }
            }
        }
    }
}
