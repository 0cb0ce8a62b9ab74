//! When one side goes away in the middle, the other must see that too, and never a clean end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;

use crate::support::{End, OK, first_line, header, pair, soon};

#[tokio::test]
async fn a_client_that_goes_away_aborts_its_upload() {
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let (store, proxy) = pair().await;
        let mut client = proxy.connect().await;
        client.send(format!("PUT /b/k HTTP/1.1\r\nHost: s3\r\n{framing}\r\n\r\n")).await;
        client.send("5\r\nhello\r\n").await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        upstream.until("hello\r\n").await;
        drop(client);
        let (rest, _) = upstream.rest().await;
        assert!(rest.is_empty(), "{framing}: {rest:?} would end the body");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_answered_where_the_client_still_listens() {
    for (framing, body, ends) in [
        ("Content-Length: 100", "hello", true),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n", true),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\nnot a length\r\n", false),
    ] {
        let (store, proxy) = pair().await;
        let mut client = proxy.connect().await;
        client.send(format!("PUT /b/k HTTP/1.1\r\nHost: s3\r\n{framing}\r\n\r\n{body}")).await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        if ends {
            client.half_close().await;
        }
        let (head, body) = client.answer().await;
        assert_eq!(first_line(&head), "HTTP/1.1 400 Bad Request", "{framing}");
        assert!(body.contains("<Code>IncompleteBody</Code>"), "{body}");
        assert_eq!(header(&head, "connection"), Some("close"));
        assert!(!upstream.rest().await.0.ends_with(b"0\r\n\r\n"), "{framing}: never whole");
    }
}

#[tokio::test]
async fn an_http2_client_that_resets_its_stream_aborts_its_upload() {
    let (store, proxy) = pair().await;
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (pieces, receiver) = mpsc::channel(1);
    let request = http::Request::put("http://s3/b/k").body(Pieces(receiver)).unwrap();
    let answer = tokio::spawn(client.send_request(request));
    pieces.send(Ok(Frame::data(Bytes::from_static(b"hello")))).await.unwrap();
    let mut upstream = store.accept().await;
    assert_eq!(header(&upstream.head().await, "transfer-encoding"), Some("chunked"));
    assert_eq!(upstream.until("hello\r\n").await, "5\r\nhello\r\n");
    pieces.send(Err(std::io::Error::other("changed my mind"))).await.unwrap();
    let (rest, _) = upstream.rest().await;
    assert!(rest.is_empty(), "{rest:?} would end the body");
    assert!(answer.await.unwrap().is_err());
}

struct Pieces(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}

#[tokio::test]
async fn a_store_that_goes_away_breaks_off_the_download() {
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let (store, proxy) = pair().await;
        let mut client = proxy.connect().await;
        client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        upstream.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n")).await;
        client.head().await;
        client.until("hello\r\n").await;
        drop(upstream);
        let (rest, _) = client.rest().await;
        assert!(rest.is_empty(), "{framing}: {rest:?} would end the body");
    }
}

#[tokio::test]
async fn a_store_that_breaks_off_a_download_resets_the_http2_stream() {
    let (store, proxy) = pair().await;
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://s3/b/k").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let answer = tokio::spawn(client.send_request(request));
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let mut body = answer.await.unwrap().unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(upstream);
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_download() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nhello", 1_u64 << 40)).await;
    client.head().await;
    client.reset();
    let piece = vec![b'x'; 1 << 16];
    // Far less than what was announced, and far more than any buffer: it ends because the proxy closed.
    for _ in 0..10_000 {
        if upstream.try_send(&piece).await.is_err() {
            return;
        }
    }
    panic!("the store was left to send what nobody reads");
}

#[tokio::test]
async fn a_store_that_closes_without_an_answer_is_a_bad_gateway() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/a%2Fb?x HTTP/1.1\r\nHost: s3\r\nContent-Length: 5\r\n\r\nhello").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.bytes(5).await;
    drop(upstream);
    let (head, body) = client.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 502 Bad Gateway");
    assert!(body.contains("<Code>BadGateway</Code>") && body.contains("<Resource>/b/a%2Fb</Resource>"), "{body}");
    for name in ["x-amz-request-id", "x-amz-id-2", "date"] {
        assert!(header(&head, name).is_some(), "{name} in {head}");
    }
    assert_eq!(header(&head, "server"), Some("portcullis"));
}

#[tokio::test]
async fn nonsense_from_the_store_is_a_bad_gateway() {
    let (store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    upstream.send("SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    assert_eq!(first_line(&client.answer().await.0), "HTTP/1.1 502 Bad Gateway");
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    store.accept().await.head().await;
}

#[tokio::test]
async fn no_store_at_all_is_service_unavailable() {
    let (store, proxy) = pair().await;
    drop(store);
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 503 Service Unavailable");
    assert!(body.contains("<Code>ServiceUnavailable</Code>"), "{body}");
}

#[tokio::test]
async fn an_answer_to_one_that_left_half_a_request_is_nothing() {
    let (_store, proxy) = pair().await;
    let mut client = proxy.connect().await;
    client.send("PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-").await;
    client.half_close().await;
    assert_eq!(client.rest().await.1, End::Closed);
}

/// The tasks of the runtime that serves this test alone, proxy and all.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn who_goes_away_leaves_no_task_behind() {
    let (store, proxy) = pair().await;
    // Under way all the time: what serves it is all that there is before and after.
    let mut waiting = proxy.connect().await;
    waiting.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut asked = store.accept().await;
    asked.head().await;
    let before = tasks();
    let (mut clients, mut upstreams) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let mut client = proxy.connect().await;
        let request = match number % 2 {
            0 => "PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 100\r\n\r\nhello",
            _ => "GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n",
        };
        client.send(request).await;
        let mut upstream = store.accept().await;
        if upstream.head().await.starts_with("GET") {
            upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello").await;
            client.until("hello").await;
        }
        clients.push(client);
        upstreams.push(upstream);
    }
    assert!(tasks() >= before + clients.len(), "one for each client");
    // Clients that upload, and the stores of those that download.
    for (number, (client, upstream)) in clients.into_iter().zip(upstreams).enumerate() {
        match number % 4 {
            0 => {
                client.reset();
                let mut upstream = upstream;
                upstream.rest().await;
            }
            1 => {
                upstream.reset();
                let mut client = client;
                client.rest().await;
            }
            2 => {
                drop(client);
                let mut upstream = upstream;
                upstream.rest().await;
            }
            _ => {
                drop(upstream);
                let mut client = client;
                client.rest().await;
            }
        }
    }
    soon("end of all tasks", async {
        while tasks() != before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    asked.send(OK).await;
    assert_eq!(waiting.answer().await.1, "ok");
}
