//! Time-outs, too many requests, draining and health. Time-outs are short here and awaited, never slept through.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::BoxError;
use portcullis::server::body::Inbound;
use portcullis::server::shutdown::Drained;
use tower::service_fn;

use crate::support::{End, OK, Options, Proxy, Wire, first_line, header, pair, pair_with};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_silent_store_is_a_gateway_timeout() {
    let (store, proxy) = pair_with(Options { response_header_timeout: SHORT, ..Options::default() }).await;
    let mut client = proxy.connect().await;
    for request in
        ["GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n", "PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 2\r\n\r\nok"]
    {
        client.send(request).await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        let (head, body) = client.answer().await;
        assert_eq!(first_line(&head), "HTTP/1.1 504 Gateway Timeout", "{request}");
        assert!(body.contains("<Code>GatewayTimeout</Code>"), "{body}");
        upstream.rest().await;
    }
}

#[tokio::test]
async fn a_slow_upload_is_not_the_stores_fault() {
    let (store, proxy) = pair_with(Options { response_header_timeout: SHORT, ..Options::default() }).await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 10\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    let mut beat = tokio::time::interval(SHORT * 2);
    for _ in 0..5 {
        beat.tick().await;
        client.send("xx").await;
        upstream.bytes(2).await;
    }
    upstream.send(OK).await;
    assert_eq!(client.answer().await.1, "ok");
}

#[tokio::test]
async fn a_client_that_stops_in_its_body_is_told_so() {
    let (store, proxy) = pair_with(Options { body_idle_timeout: SHORT, ..Options::default() }).await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 10\r\n\r\nhello").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    let (head, body) = client.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 400 Bad Request");
    assert!(body.contains("<Code>RequestTimeout</Code>"), "{body}");
    assert_eq!(header(&head, "connection"), Some("close"));
    assert_eq!(upstream.rest().await.0, b"hello", "half a body, and the connection closed");
}

#[tokio::test]
async fn a_store_that_stops_in_its_answer_is_broken_off() {
    let (store, proxy) = pair_with(Options { body_idle_timeout: SHORT, ..Options::default() }).await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    client.head().await;
    assert_eq!(client.rest().await.0, b"5\r\nhello\r\n");
}

#[tokio::test]
async fn connections_that_only_wait_are_closed() {
    let options = Options { request_header_timeout: SHORT, idle_timeout: SHORT, ..Options::default() };
    let (store, proxy) = pair_with(options).await;
    for begun in ["", "GET /b/k HTTP/1.1\r\nHos", "PRI * HTTP/2.0\r\n"] {
        let mut client = proxy.connect().await;
        client.send(begun).await;
        assert_eq!(client.rest().await, (Vec::new(), End::Closed), "{begun:?}");
    }
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send(OK).await;
    client.answer().await;
    assert_eq!(client.rest().await, (Vec::new(), End::Closed), "idle after a request");
}

#[tokio::test]
async fn one_request_too_many_is_told_to_slow_down() {
    let (store, proxy) = pair_with(Options { max_in_flight: 1, ..Options::default() }).await;
    let mut first = proxy.connect().await;
    first.send("GET /b/1 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    first.head().await;

    let mut second = proxy.connect().await;
    second.send("GET /b/2 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let (head, body) = second.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 503 Service Unavailable", "while the first answer is being sent");
    assert!(body.contains("<Code>SlowDown</Code>") && body.contains("<Resource>/b/2</Resource>"), "{body}");

    upstream.send("world").await;
    assert_eq!(first.bytes(10).await, b"helloworld");
    second.send("GET /b/3 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    assert_eq!(first_line(&upstream.head().await), "GET /b/3 HTTP/1.1", "and the connection was kept");
}

#[tokio::test]
async fn a_connection_too_many_waits_for_its_turn() {
    let (store, proxy) = pair_with(Options { max_connections: 1, ..Options::default() }).await;
    let first = proxy.connect().await;
    let mut second = proxy.connect().await;
    second.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    drop(first);
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send(OK).await;
    assert_eq!(second.answer().await.1, "ok");
}

#[tokio::test]
async fn a_drain_lets_running_requests_finish() {
    let (store, mut proxy) = pair().await;
    let mut idle = proxy.connect().await;
    idle.send("GET /b/1 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send(OK).await;
    idle.answer().await;

    let mut busy = proxy.connect().await;
    busy.send("GET /b/2 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    upstream.head().await;
    proxy.stop();
    assert_eq!(idle.rest().await, (Vec::new(), End::Closed), "idle connections go at once");
    let mut admin = Wire::connect(proxy.admin).await;
    admin.send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    let (head, body) = admin.answer().await;
    assert_eq!((first_line(&head), body.as_str()), ("HTTP/1.1 503 Service Unavailable", "draining\n"));

    upstream.send(OK).await;
    assert_eq!(busy.answer().await.1, "ok");
    let address = proxy.address;
    assert_eq!(proxy.stopped().await, Drained::Clean);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let (store, mut proxy) = pair_with(Options { drain_timeout: SHORT, ..Options::default() }).await;
    let mut busy = proxy.connect().await;
    busy.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    proxy.stop();
    assert_eq!(proxy.stopped().await, Drained::Cut(1));
    assert!(busy.rest().await.0.is_empty());
}

#[tokio::test]
async fn health_is_told_on_the_admin_listener_alone() {
    let (store, proxy) = pair().await;
    let mut admin = Wire::connect(proxy.admin).await;
    for (path, status) in [("/livez", "200 OK"), ("/readyz", "200 OK"), ("/b/k", "404 Not Found")] {
        admin.send(format!("GET {path} HTTP/1.1\r\nHost: admin\r\n\r\n")).await;
        assert_eq!(first_line(&admin.answer().await.0), format!("HTTP/1.1 {status}"), "{path}");
    }
    let mut client = proxy.connect().await;
    client.send("GET /livez HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    assert_eq!(first_line(&store.accept().await.head().await), "GET /livez HTTP/1.1", "a bucket may have that name");
}

/// A defect may end a connection; it must not take its place for good, nor have it counted as open.
#[tokio::test]
async fn a_connection_whose_task_panics_gives_its_place_back() {
    portcullis::telemetry::metrics::install();
    let service = service_fn(|request: Request<Inbound>| {
        assert!(request.uri().path() != "/defect", "a defect, on purpose");
        async { Ok::<_, BoxError>(Response::new(Full::new(Bytes::from_static(b"ok")))) }
    });
    let options = Options { name: "panicking", max_connections: 1, ..Options::default() };
    let proxy = Proxy::start_service(service, options).await;
    for _ in 0..3 {
        let mut client = proxy.connect().await;
        client.send("GET /defect HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        assert_eq!(client.next_head().await, None);
    }
    let mut client = proxy.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    assert_eq!(client.answer().await.1, "ok");
    let mut probe = Wire::connect(proxy.admin).await;
    probe.send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    let told = probe.answer().await.1;
    let line = told.lines().find(|line| line.starts_with("portcullis_connections{listener=\"panicking\"}"));
    assert_eq!(line, Some("portcullis_connections{listener=\"panicking\"} 1"));
}
