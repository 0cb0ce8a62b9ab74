//! Request lines and headers arrive as they were sent, less what was for one connection.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{OK, first_line, header, pair, soon};

#[tokio::test]
async fn targets_arrive_byte_for_byte() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    let mut upstream = None;
    for target in [
        "/",
        "//",
        "/b//k",
        "/b/a%2Fb",
        "/b/a%2fb",
        "/b/../x",
        "/b/./x/..",
        "/b/a+b%20c",
        "/b/%61",
        "/b/k?",
        "/b/k?Policy=1",
        "/b/policy",
        "/b/k??a=b?c",
        "/b?prefix=a+b%2Fc&&delimiter=/&=&x",
        "/b/k?x=%zz&y=[]{}|\\^`",
        "/b/\u{fc}n\u{ef}?p=\u{fc}",
        "/b/k;v=1,2:3@4!$&'()*~",
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: b.s3.example.com\r\n\r\n")).await;
        if upstream.is_none() {
            upstream = Some(store.accept().await);
        }
        let wire = upstream.as_mut().unwrap();
        let head = wire.head().await;
        assert_eq!(first_line(&head), format!("GET {target} HTTP/1.1"));
        assert_eq!(header(&head, "host"), Some("b.s3.example.com"), "{target}");
        wire.send(OK).await;
        assert_eq!(client.answer().await.1, "ok", "{target}");
    }
}

#[tokio::test]
async fn an_absolute_target_arrives_as_path_and_host() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET http://b.s3.example.com/a%2Fb?x HTTP/1.1\r\nHost: b.s3.example.com\r\n\r\n").await;
    let head = store.accept().await.head().await;
    assert_eq!(first_line(&head), "GET /a%2Fb?x HTTP/1.1");
    assert_eq!(header(&head, "host"), Some("b.s3.example.com"));
}

#[tokio::test]
async fn one_connection_serves_many_requests_on_both_sides() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /1 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    for n in 1..=5 {
        assert_eq!(first_line(&upstream.head().await), format!("GET /{n} HTTP/1.1"));
        upstream.send(OK).await;
        client.answer().await;
        client.send(format!("GET /{} HTTP/1.1\r\nHost: s3\r\n\r\n", n + 1)).await;
    }
}

#[tokio::test]
async fn what_is_for_one_connection_stays_there() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client
        .send(
            "GET /b/k HTTP/1.1\r\nHost: s3\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Authorization: Basic eA==\r\nTE: gzip\r\nUpgrade: h2c\r\nX-End: 1\r\nAuthorization: AWS4 x\r\n\r\n",
        )
        .await;
    let mut upstream = store.accept().await;
    let head = upstream.head().await;
    for gone in ["connection", "x-hop", "keep-alive", "proxy-authorization", "te", "upgrade"] {
        assert_eq!(header(&head, gone), None, "{gone} in {head}");
    }
    assert_eq!(header(&head, "x-end"), Some("1"));
    assert_eq!(header(&head, "authorization"), Some("AWS4 x"));
    upstream
        .send(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Back\r\nX-Back: 1\r\nKeep-Alive: timeout=5\r\n\
             ETag: \"x\"\r\n\r\nok",
        )
        .await;
    let (head, body) = client.answer().await;
    for gone in ["connection", "x-back", "keep-alive"] {
        assert_eq!(header(&head, gone), None, "{gone} in {head}");
    }
    assert_eq!((header(&head, "etag"), body.as_str()), (Some("\"x\""), "ok"));
}

#[tokio::test]
async fn ranges_pass() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\nRange: bytes=1-2\r\n\r\n").await;
    let mut upstream = store.accept().await;
    assert_eq!(header(&upstream.head().await, "range"), Some("bytes=1-2"));
    upstream.send("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/9\r\nContent-Length: 2\r\n\r\nbc").await;
    let (head, body) = client.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 206 Partial Content");
    assert_eq!((header(&head, "content-range"), body.as_str()), (Some("bytes 1-2/9"), "bc"));
}

#[tokio::test]
async fn answers_without_body_keep_their_length() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("HEAD /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\nETag: \"x\"\r\n\r\n").await;
    assert_eq!(header(&client.head().await, "content-length"), Some("5368709120"));

    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\nIf-None-Match: \"x\"\r\n\r\n").await;
    upstream.head().await;
    upstream.send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!(first_line(&head), "HTTP/1.1 304 Not Modified");
    assert_eq!(header(&head, "transfer-encoding"), None);

    client.send("DELETE /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    assert_eq!(first_line(&upstream.head().await), "DELETE /b/k HTTP/1.1");
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(first_line(&client.head().await), "HTTP/1.1 204 No Content");
}

#[tokio::test]
async fn interim_answers_but_100_are_dropped() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    upstream.send(OK).await;
    assert_eq!(first_line(&client.head().await), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_the_same() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 4\r\n\r\nbody";
    for byte in interim.bytes().chain(last.bytes()) {
        upstream.send([byte]).await;
        tokio::task::yield_now().await;
    }
    let (head, body) = client.answer().await;
    assert_eq!((first_line(&head), header(&head, "etag"), &*body), ("HTTP/1.1 200 OK", Some("\"x\""), "body"));
}

#[tokio::test]
async fn a_head_without_an_end_is_no_answer() {
    for endless in ["x".repeat(66 * 1024), "x: y\r\n".repeat(300)] {
        let (store, proxy) = pair().await;
        let mut client = proxy.connect().await;
        client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        upstream.send("HTTP/1.1 200 OK\r\nx: ").await;
        // It may have hung up by then.
        let _ = upstream.try_send(endless).await;
        assert_eq!(first_line(&client.head().await), "HTTP/1.1 502 Bad Gateway");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_an_answer_it_can_read() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.0\r\n\r\n").await;
    let mut upstream = store.accept().await;
    let head = upstream.head().await;
    assert_eq!(first_line(&head), "GET /b/k HTTP/1.1");
    assert_eq!(header(&head, "host"), Some(store.address().to_string().as_str()));
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
    let (answer, _) = client.rest().await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn http2_without_tls_is_spoken_too() {
    let (store, proxy) = pair().await;
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::put("http://b.s3.example.com/b/a%2Fb//c?x=+&Policy")
        .body(Full::new(Bytes::from_static(b"hello")))
        .unwrap();
    let answer = tokio::spawn(client.send_request(request));
    let mut upstream = store.accept().await;
    let head = upstream.head().await;
    assert_eq!(first_line(&head), "PUT /b/a%2Fb//c?x=+&Policy HTTP/1.1");
    assert_eq!(header(&head, "host"), Some("b.s3.example.com"));
    assert_eq!(header(&head, "content-length"), Some("5"));
    assert_eq!(upstream.bytes(5).await, b"hello");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let response = soon("answer", answer).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("connection"), None);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
}
