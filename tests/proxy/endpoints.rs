//! Several endpoints of one store: who gets a request, who gets none for now, and that nothing is sent twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use portcullis::identity::StaticCredentials;
use portcullis::s3::address::{BucketName, Domains};
use portcullis::s3::forward::{Resign, SignedPayload};
use portcullis::upstream::{
    ControlClient, ControlSettings, EmbeddedStore, Endpoints, UpstreamClient, UpstreamCredentials,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

use crate::stores::key;
use crate::support::{OK, Options, Proxy, Store, Wire, endpoints, first_line, header, settings_for, soon};

const LIMIT: Duration = Duration::from_secs(3);

/// A place that refuses connections, until a store begins to listen there. The port stays taken all the time.
struct Closed(TcpSocket);

impl Closed {
    fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn open(self, name: &'static str) -> Running {
        Running::new(self.0.listen(1024).unwrap(), name)
    }
}

/// A store that answers every request with its name.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn new(listener: TcpListener, name: &'static str) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, name, stopped));
        Self { address, stop, task }
    }

    /// Takes the store away between two requests, and comes back when the proxy has noticed: its connections are closed on
    /// both sides.
    async fn close(self) -> Closed {
        self.stop.send(true).unwrap();
        soon("end of the store", self.task).await.unwrap();
        Closed::at(self.address)
    }
}

async fn serve(listener: TcpListener, name: &'static str, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        let (mut wire, mut stopped) = (Wire::new(stream), stopped.clone());
        connections.spawn(async move {
            loop {
                let head = tokio::select! {
                    head = wire.next_head() => head,
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                };
                let Some(head) = head else { return };
                let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
                wire.bytes(length).await;
                wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len())).await;
            }
            wire.half_close().await;
            wire.rest().await;
        });
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        ended.unwrap();
    }
}

/// Asks once: the status and who answered.
async fn ask(client: &mut Wire) -> (String, String) {
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let (head, body) = client.answer().await;
    (first_line(&head).to_owned(), body)
}

/// Asks so many times, one after the other. How many answers each store gave; there was no other answer.
async fn ask_often(client: &mut Wire, count: usize) -> HashMap<String, usize> {
    let mut answers = HashMap::new();
    for _ in 0..count {
        let (status, name) = ask(client).await;
        assert_eq!(status, "HTTP/1.1 200 OK", "{name}");
        *answers.entry(name).or_default() += 1;
    }
    answers
}

async fn ask_until(client: &mut Wire, wanted: &str) {
    soon(wanted, async { while ask(client).await.1 != wanted {} }).await;
}

fn counts(answers: &HashMap<String, usize>) -> (usize, usize) {
    let count = |name| answers.get(name).copied().unwrap_or_default();
    (count("a"), count("b"))
}

async fn in_front_of(stores: impl IntoIterator<Item = SocketAddr>) -> (Proxy, Endpoints) {
    let endpoints = endpoints(stores, LIMIT);
    (Proxy::start_endpoints(endpoints.clone(), Options::default()).await, endpoints)
}

#[tokio::test]
async fn an_endpoint_that_dies_takes_no_request_with_it_and_gets_requests_again_when_it_is_back() {
    let (a, b) = (Closed::new().open("a"), Closed::new().open("b"));
    let (proxy, _) = in_front_of([a.address, b.address]).await;
    let mut client = proxy.connect().await;
    assert_eq!(counts(&ask_often(&mut client, 10).await), (5, 5));
    let a = a.close().await;
    assert_eq!(counts(&ask_often(&mut client, 10).await), (0, 10));
    let a = a.open("a");
    ask_until(&mut client, "a").await;
    let (from_a, from_b) = counts(&ask_often(&mut client, 10).await);
    assert_eq!((from_a, from_b), (5, 5));
    let b = b.close().await;
    assert_eq!(counts(&ask_often(&mut client, 10).await), (10, 0));
    drop((a, b));
}

#[tokio::test]
async fn with_no_endpoint_left_the_answer_is_unavailable_until_one_is_back() {
    for back in [0, 1] {
        let mut places = [Some(Closed::new()), Some(Closed::new())];
        let addresses = places.each_ref().map(|place| place.as_ref().unwrap().address());
        let (proxy, _) = in_front_of(addresses).await;
        let mut client = proxy.connect().await;
        for _ in 0..5 {
            let (status, body) = ask(&mut client).await;
            assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
            assert!(body.contains("<Code>ServiceUnavailable</Code>"), "{body}");
        }
        let store = places[back].take().unwrap().open("back");
        ask_until(&mut client, "back").await;
        assert_eq!(ask_often(&mut client, 5).await["back"], 5, "not lost again to the one that is still away");
        drop(store);
    }
}

#[tokio::test]
async fn an_upload_goes_whole_to_another_endpoint_where_the_first_accepts_no_connection() {
    for framing in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        let (away, store) = (Closed::new(), Store::start().await);
        let (proxy, _) = in_front_of([away.address(), store.address()]).await;
        let mut client = proxy.connect().await;
        client.send(format!("PUT /b/k HTTP/1.1\r\nHost: b.s3.example.com\r\n{framing}")).await;
        let mut upstream = store.accept().await;
        let head = upstream.head().await;
        assert_eq!(first_line(&head), "PUT /b/k HTTP/1.1");
        assert_eq!(header(&head, "host"), Some("b.s3.example.com"), "the client's own, wherever it goes");
        upstream.until("hello").await;
        upstream.send(OK).await;
        assert_eq!(client.answer().await.1, "ok");
    }
}

#[tokio::test]
async fn a_request_without_host_gets_that_of_the_endpoint_it_goes_to() {
    let (away, store) = (Closed::new(), Store::start().await);
    let (proxy, _) = in_front_of([away.address(), store.address()]).await;
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.0\r\n\r\n").await;
    let head = store.accept().await.head().await;
    assert_eq!(header(&head, "host"), Some(store.address().to_string().as_str()));
}

#[tokio::test]
async fn a_request_is_signed_for_the_endpoint_it_goes_to() {
    let directory = tempfile::tempdir().unwrap();
    let domains = Domains::parse(["s3.example.com"]).unwrap();
    let nobody = Arc::new(StaticCredentials::default());
    // It checks signatures, and `Host` is signed.
    let store = EmbeddedStore::start(directory.path(), key("STORE"), nobody, domains).await.unwrap();
    let away = Closed::new();
    let credentials = UpstreamCredentials::new(Some(&key("STORE")), []);
    let options = Options { credentials: credentials.clone(), ..Options::default() };
    let places = endpoints([away.address(), store.address()], LIMIT);
    let client = UpstreamClient::<Full<Bytes>>::new(settings_for(places, &options));
    let resign = Resign { account: None, payload: SignedPayload::Unsigned, path: "/demo".to_owned() };
    let request = Request::put("/").header("host", "demo.s3.example.com").extension(resign).body(Full::default());
    assert_eq!(client.oneshot(request.unwrap()).await.unwrap().status(), 200);

    // Questions too, and what one client finds out the other knows.
    let control = ControlClient::new(ControlSettings {
        endpoints: endpoints([away.address(), store.address()], LIMIT),
        region: "us-east-1".to_owned(),
        credentials,
        timeout: Duration::from_secs(10),
    });
    let demo = BucketName::parse("demo").unwrap();
    assert!(control.unwrap().head_bucket(&demo).await.unwrap());
}

#[tokio::test]
async fn questions_and_requests_know_the_same_of_the_endpoints() {
    let away = Closed::new();
    let (a, b) = (Closed::new().open("a"), Closed::new().open("b"));
    let (proxy, endpoints) = in_front_of([away.address(), a.address, b.address]).await;
    let control = ControlClient::new(ControlSettings {
        endpoints: endpoints.clone(),
        region: "us-east-1".to_owned(),
        credentials: UpstreamCredentials::default(),
        timeout: Duration::from_secs(10),
    });
    let control = control.unwrap();
    assert_eq!(endpoints.ejected().count(), 0);
    let bucket = BucketName::parse("demo").unwrap();
    assert!(control.head_bucket(&bucket).await.unwrap());
    let ejected: Vec<_> = endpoints.ejected().map(ToString::to_string).collect();
    assert_eq!(ejected, [format!("http://{}", away.address())]);
    // The question went to `a`, so it is the turn of `b`.
    assert_eq!(ask(&mut proxy.connect().await).await.1, "b");

    control.reachable().await.unwrap();
    let (a, b) = (a.close().await, b.close().await);
    let error = control.reachable().await.unwrap_err().to_string();
    for place in [&away, &a, &b] {
        assert!(error.contains(&place.address().to_string()), "{error}");
    }
    let error = control.head_bucket(&bucket).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    let b = b.open("b");
    control.reachable().await.unwrap();
    drop(b);
}

#[tokio::test]
async fn what_was_sent_is_never_sent_again() {
    for request in
        ["GET /b/1 HTTP/1.1\r\nHost: s3\r\n\r\n", "PUT /b/1 HTTP/1.1\r\nHost: s3\r\nContent-Length: 9\r\n\r\n"]
    {
        let (a, b) = (Store::start().await, Store::start().await);
        let (proxy, _) = in_front_of([a.address(), b.address()]).await;
        let mut client = proxy.connect().await;
        client.send(request).await;
        let mut upstream = a.accept().await;
        upstream.head().await;
        drop(upstream);
        let (head, body) = client.answer().await;
        assert_eq!(first_line(&head), "HTTP/1.1 502 Bad Gateway", "{request}");
        assert!(body.contains("<Code>BadGateway</Code>"), "{body}");

        let mut client = proxy.connect().await;
        client.send("GET /b/2 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        let mut upstream = b.accept().await;
        assert_eq!(first_line(&upstream.head().await), "GET /b/2 HTTP/1.1", "the first that this one hears of");
        upstream.send(OK).await;
        client.answer().await;
        client.send("GET /b/3 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        let head = a.accept().await.head().await;
        assert_eq!(first_line(&head), "GET /b/3 HTTP/1.1", "and the other is not ejected for it");
    }
}

#[tokio::test]
async fn a_slow_endpoint_gets_fewer_requests() {
    let (slow, quick) = (Store::start().await, Closed::new().open("quick"));
    let (proxy, _) = in_front_of([slow.address(), quick.address]).await;
    let mut patient = proxy.connect().await;
    patient.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let mut upstream = slow.accept().await;
    upstream.head().await;
    let mut client = proxy.connect().await;
    assert_eq!(ask_often(&mut client, 5).await["quick"], 5, "before its answer");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    patient.head().await;
    assert_eq!(ask_often(&mut client, 5).await["quick"], 5, "while its answer is read");
    upstream.send("world").await;
    patient.bytes(10).await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    upstream.head().await;
    upstream.send(OK).await;
    assert_eq!(client.answer().await.1, "ok", "its turn again");
}

#[tokio::test]
async fn connections_too_many_are_waited_for_but_not_for_ever() {
    for (limit, in_time) in [(Duration::from_millis(50), false), (Duration::from_secs(60), true)] {
        let store = Store::start().await;
        let options = Options { max_upstream_connections: Some(1), ..Options::default() };
        let proxy = Proxy::start_endpoints(endpoints([store.address()], limit), options).await;
        let (mut first, mut second) = (proxy.connect().await, proxy.connect().await);
        first.send("GET /b/1 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
        first.head().await;
        second.send("GET /b/2 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        if !in_time {
            let (head, body) = second.answer().await;
            assert_eq!(first_line(&head), "HTTP/1.1 503 Service Unavailable");
            assert!(body.contains("<Code>SlowDown</Code>"), "{body}");
        }
        upstream.send("world").await;
        assert_eq!(first.bytes(10).await, b"helloworld");
        if !in_time {
            second.send("GET /b/2 HTTP/1.1\r\nHost: s3\r\n\r\n").await;
        }
        assert_eq!(first_line(&upstream.head().await), "GET /b/2 HTTP/1.1", "on the one connection");
        upstream.send(OK).await;
        assert_eq!(second.answer().await.1, "ok");
    }
}
