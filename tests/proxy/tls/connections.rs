//! How connections with TLS begin, idle and end.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::server::body::Inbound;
use portcullis::server::shutdown::Drained;
use portcullis::server::tls::ClientAuth;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tower::service_fn;

use super::ground::{Ground, Secure, Sender, dial};
use crate::proxy_protocol::who_is_it;
use crate::support::{End, Options, Proxy, first_line, header, soon};

const SHORT: Duration = Duration::from_millis(50);
const GET: &[u8] = b"GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n";
/// How a handshake begins, and this is not all of it.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

fn options(ground: &Ground) -> Options {
    ground.options(&[ground.issue("x", &["s3.test"])], ClientAuth::Off)
}

async fn secure(ground: &Ground, proxy: &Proxy) -> Secure {
    dial(proxy, ground.client(&[&TLS13], &["http/1.1"]), "s3.test").await.unwrap()
}

/// Reads to the end, which must be said by TLS too.
async fn rest(stream: &mut Secure) -> String {
    let mut rest = Vec::new();
    soon("end", stream.read_to_end(&mut rest)).await.unwrap();
    String::from_utf8(rest).unwrap()
}

#[tokio::test]
async fn http_without_tls_is_told_so_and_closed() {
    let ground = Ground::new();
    let proxy = who_is_it(options(&ground)).await;
    let body = "x".repeat(100_000);
    let put = format!("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for request in [GET, put.as_bytes(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"nonsense"] {
        let mut client = proxy.connect().await;
        client.send(request).await;
        let (head, body) = client.answer().await;
        assert_eq!(first_line(&head), "HTTP/1.1 400 Bad Request");
        assert_eq!(header(&head, "connection"), Some("close"));
        assert_eq!(header(&head, "content-type"), Some("application/xml"));
        assert!(
            body.contains("<Code>InvalidRequest</Code><Message>This port speaks TLS: use https.</Message>"),
            "{body}"
        );
        client.half_close().await;
        assert_eq!(client.rest().await, (Vec::new(), End::Closed));
    }
    for nonsense in [&b"\0"[..], b"\r\n\r\n", b"\x15\x03\x01\0\x02\x01\0", b"\x80\x2e\x01"] {
        let mut client = proxy.connect().await;
        client.send(nonsense).await;
        let (said, _) = client.rest().await;
        assert!(said.is_empty(), "{}: {}", nonsense.escape_ascii(), said.escape_ascii());
    }
}

#[tokio::test]
async fn tls_without_any_here_is_no_request() {
    let ground = Ground::new();
    let proxy = who_is_it(Options::default()).await;
    for version in [&TLS12, &TLS13] {
        let refused = dial(&proxy, ground.client(&[version], &["h2"]), "s3.test").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData, "{refused}");
    }
    let mut client = proxy.connect().await;
    client.send([HELLO, &[0; 600]].concat()).await;
    let (said, _) = client.rest().await;
    assert!(said.starts_with(b"HTTP/1.1 400 Bad Request\r\n"), "{}", said.escape_ascii());
}

#[tokio::test]
async fn a_handshake_is_not_waited_for_for_ever() {
    let ground = Ground::new();
    let proxy = who_is_it(Options { request_header_timeout: SHORT, ..options(&ground) }).await;
    for begun in [&b""[..], &HELLO[..1], HELLO] {
        let mut client = proxy.connect().await;
        client.send(begun).await;
        assert_eq!(client.rest().await.0, b"", "{}", begun.escape_ascii());
    }
    // The request's header is next, and the time is the same.
    let mut stream = secure(&ground, &proxy).await;
    stream.write_all(&GET[..10]).await.unwrap();
    let ended = soon("end", stream.read(&mut [0; 100])).await;
    assert!(matches!(&ended, Ok(0)) || ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn stuck_handshakes_are_connections_and_hinder_no_others() {
    let ground = Ground::new();
    let proxy = who_is_it(Options { max_connections: 9, ..options(&ground) }).await;
    let mut stuck = Vec::new();
    for begun in [&b""[..], HELLO].into_iter().cycle().take(8) {
        let mut client = proxy.connect().await;
        client.send(begun).await;
        stuck.push(client);
    }
    // The last place is free, however many are stuck.
    let mut ninth = Sender::new(secure(&ground, &proxy).await).await;
    assert_eq!(ninth.get("/b/k").await.0, 200);
    // Now none is, since all of them count.
    let config = ground.client(&[&TLS13], &["http/1.1"]);
    let mut tenth = Box::pin(dial(&proxy, config, "s3.test"));
    assert!(timeout(SHORT, tenth.as_mut()).await.is_err());
    stuck.pop();
    let mut tenth = Sender::new(tenth.await.unwrap()).await;
    assert_eq!(tenth.get("/b/k").await.0, 200);
}

#[tokio::test]
async fn a_client_may_close_its_half() {
    let ground = Ground::new();
    let proxy = who_is_it(options(&ground)).await;
    for version in [&TLS12, &TLS13] {
        let config = ground.client(&[version], &["http/1.1"]);
        let mut stream = dial(&proxy, config, "s3.test").await.unwrap();
        stream.write_all(GET).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("127.0.0.1 tls"), "{answer}");
    }
}

#[tokio::test]
async fn between_requests_a_connection_may_idle_for_its_time() {
    let ground = Ground::new();
    // A header's time is far too long here, so it must be the idle time that ends it.
    let proxy = who_is_it(Options { idle_timeout: SHORT, ..options(&ground) }).await;
    let mut stream = secure(&ground, &proxy).await;
    stream.write_all(GET).await.unwrap();
    assert!(rest(&mut stream).await.ends_with("127.0.0.1 tls 1.3"));

    // What TLS says for itself is no header that has begun.
    let proxy = who_is_it(Options { idle_timeout: SHORT, request_header_timeout: SHORT * 4, ..options(&ground) }).await;
    let mut stream = secure(&ground, &proxy).await;
    stream.write_all(GET).await.unwrap();
    let mut first = [0; 12];
    soon("answer", stream.read_exact(&mut first)).await.unwrap();
    stream.get_mut().1.refresh_traffic_keys().unwrap();
    stream.flush().await.unwrap();
    assert!(rest(&mut stream).await.ends_with("127.0.0.1 tls 1.3"), "closed as an idle one, properly");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left_alone_no_longer_than_it_may_idle() {
    let ground = Ground::new();
    let options = Options { idle_timeout: SHORT, ..options(&ground) };
    let service = service_fn(|_: Request<Inbound>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; 64 << 20]))))
    });
    let mut proxy = Proxy::start_service(service, options).await;
    let mut stream = secure(&ground, &proxy).await;
    stream.write_all(GET).await.unwrap();
    soon("answer", stream.read_exact(&mut [0; 12])).await.unwrap();
    proxy.stop();
    // It would have a minute to finish, and is not waited for so long.
    assert_eq!(proxy.stopped().await, Drained::Clean);
    let mut rest = Vec::new();
    let _ = soon("end", stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 64 << 20);
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_waits_for_nothing_else() {
    let ground = Ground::new();
    let mut proxy = who_is_it(options(&ground)).await;
    let (mut silent, mut begun) = (proxy.connect().await, proxy.connect().await);
    begun.send(HELLO).await;
    let mut fresh = secure(&ground, &proxy).await;
    let mut idle = secure(&ground, &proxy).await;
    idle.write_all(GET).await.unwrap();
    let mut first = [0; 12];
    soon("answer", idle.read_exact(&mut first)).await.unwrap();
    let mut running = secure(&ground, &proxy).await;
    running
        .write_all(b"PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    soon("leave to go on", running.read_exact(&mut [0; 25])).await.unwrap();
    proxy.stop();
    assert_eq!(silent.rest().await.0, b"");
    assert_eq!(begun.rest().await.0, b"");
    // It has asked for nothing, so nothing can be cut off that TLS would have to show the end of.
    let mut said = Vec::new();
    let _ = soon("end", fresh.read_to_end(&mut said)).await;
    assert_eq!(said, b"");
    assert!(rest(&mut idle).await.ends_with("127.0.0.1 tls 1.3"));
    running.write_all(b"body").await.unwrap();
    assert!(rest(&mut running).await.ends_with("127.0.0.1 tls 1.3body"));
    assert_eq!(proxy.stopped().await, Drained::Clean);
}
