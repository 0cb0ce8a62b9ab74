//! Bodies stream, in both directions, whatever their framing.

use crate::support::{OK, first_line, header, pair};

#[tokio::test]
async fn a_body_of_known_length_keeps_it() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 11\r\n\r\nhello").await;
    let mut upstream = store.accept().await;
    let head = upstream.head().await;
    assert_eq!((header(&head, "content-length"), header(&head, "transfer-encoding")), (Some("11"), None));
    assert_eq!(upstream.bytes(5).await, b"hello", "the first piece, before there is a second");
    client.send(" world").await;
    assert_eq!(upstream.bytes(6).await, b" world");
    upstream.send(OK).await;
    assert_eq!(client.answer().await.1, "ok");
}

#[tokio::test]
async fn an_empty_body_stays_empty() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 0\r\n\r\n").await;
    let mut upstream = store.accept().await;
    let head = upstream.head().await;
    assert_eq!((header(&head, "content-length"), header(&head, "transfer-encoding")), (Some("0"), None));
    upstream.send(OK).await;
    client.answer().await;
}

#[tokio::test]
async fn chunked_bodies_pass_in_both_directions() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    for method in ["PUT", "GET"] {
        client.send(format!("{method} /b/k HTTP/1.1\r\nHost: s3\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
        client.send("5\r\nhello\r\n0\r\n\r\n").await;
        let mut upstream = store.accept().await;
        let head = upstream.head().await;
        assert_eq!((header(&head, "content-length"), header(&head, "transfer-encoding")), (None, Some("chunked")));
        assert_eq!(upstream.until("0\r\n\r\n").await, "5\r\nhello\r\n0\r\n\r\n", "{method}");
        upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n").await;
        assert_eq!(header(&client.head().await, "transfer-encoding"), Some("chunked"));
        assert_eq!(client.until("ok\r\n").await, "2\r\nok\r\n", "the first chunk, before there is an end");
        upstream.send("0\r\n\r\n").await;
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    }
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client
        .send(
            "PUT /b/k HTTP/1.1\r\nHost: s3\r\nTE: trailers\r\nConnection: te\r\nTrailer: x-amz-checksum-crc32\r\n\
             Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32: NhCmhg==\r\n\r\n",
        )
        .await;
    let mut upstream = store.accept().await;
    let head = upstream.head().await;
    assert_eq!(header(&head, "trailer"), Some("x-amz-checksum-crc32"));
    assert_eq!(header(&head, "te"), Some("trailers"));
    assert_eq!(upstream.until("\r\n\r\n").await, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32: NhCmhg==\r\n\r\n");
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n")
        .await;
    assert_eq!(header(&client.head().await, "trailer"), Some("x-sum"));
    assert_eq!(client.until("\r\n\r\n").await, "2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n");
}

#[tokio::test]
async fn the_client_continues_when_the_store_says_so() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let mut upstream = store.accept().await;
    assert_eq!(header(&upstream.head().await, "expect"), Some("100-continue"));
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(first_line(&client.head().await), "HTTP/1.1 100 Continue");
    client.send("hello").await;
    assert_eq!(upstream.bytes(5).await, b"hello");
    upstream.send(OK).await;
    let (head, body) = client.answer().await;
    assert_eq!((header(&head, "connection"), body.as_str()), (None, "ok"));
    client.send("GET /again HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    assert_eq!(first_line(&upstream.head().await), "GET /again HTTP/1.1", "both connections are good for more");
}

#[tokio::test]
async fn a_store_that_refuses_at_once_spares_the_client_its_body() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied").await;
    let (head, body) = client.answer().await;
    assert_eq!((first_line(&head), body.as_str()), ("HTTP/1.1 403 Forbidden", "denied"), "and no 100 before it");
    assert_eq!(header(&head, "connection"), Some("close"));
    assert!(client.rest().await.0.is_empty());
    assert!(upstream.rest().await.0.is_empty(), "no body was made up for the store");
}

#[tokio::test]
async fn a_store_that_does_not_know_of_expect_gets_the_body_all_the_same() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    assert_eq!(first_line(&client.head().await), "HTTP/1.1 100 Continue", "after a second of silence");
    client.send("hello").await;
    assert_eq!(upstream.bytes(5).await, b"hello");
    upstream.send(OK).await;
    assert_eq!(client.answer().await.1, "ok");
}

#[tokio::test]
async fn a_client_that_closed_its_sending_half_gets_its_answer() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 5\r\n\r\nhello").await;
    client.half_close().await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    assert_eq!(upstream.bytes(5).await, b"hello");
    upstream.send(OK).await;
    assert_eq!(client.answer().await.1, "ok");
}

#[tokio::test]
async fn an_answer_to_an_unread_body_reaches_a_client_that_sends_it_first() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    const BODY: usize = 8 << 20;
    client.send(format!("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: {BODY}\r\n\r\n")).await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nConnection: close\r\n\r\ndenied").await;
    drop(upstream);
    client.send(vec![b'x'; BODY]).await;
    let (head, body) = client.answer().await;
    assert_eq!(body, "denied", "{head}");
}

/// While the receiving side reads nothing, the sender must come to a stop: what it got rid of by then is what the proxy
/// and the sockets' buffers hold. Afterwards all of it arrives.
#[tokio::test]
async fn large_bodies_are_not_gathered_up() {
    const BODY: u64 = 256 << 20;
    // Socket buffers on both sides may grow to several MiB each.
    const HELD: u64 = 64 << 20;
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send(format!("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: {BODY}\r\n\r\n")).await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    let held = client.send_until_stuck(BODY).await;
    assert!(held < HELD, "{held} bytes of an upload that nobody reads");
    tokio::join!(client.send_zeros(BODY - held), upstream.skip(BODY));

    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n")).await;
    client.head().await;
    let held = upstream.send_until_stuck(BODY).await;
    assert!(held < HELD, "{held} bytes of a download that nobody reads");
    tokio::join!(upstream.send_zeros(BODY - held), client.skip(BODY));
}

#[tokio::test]
async fn success_before_all_of_an_upload_is_none() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 11\r\n\r\nhello").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    assert_eq!(upstream.bytes(5).await, b"hello");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(first_line(&client.head().await), "HTTP/1.1 502 Bad Gateway");
}
