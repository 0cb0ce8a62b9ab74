//! Ten thousand requests at once, and clients and stores that go away in the middle: every request has its answer, and
//! nothing is left behind. Counted from outside: open files, requests under way, the connections at the store.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Portcullis, Settings};

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// `limits.max_in_flight`, unless it is set.
const IN_FLIGHT: usize = 4_096;
/// Clients with a connection for each request.
const HTTP1_CLIENTS: usize = 4_000;
/// Clients with [`STREAMS`] requests at once on one connection.
const HTTP2_CLIENTS: usize = 60;
const STREAMS: usize = 100;
/// Who connect at once: as many as most systems let wait to be accepted. Who is turned away tries again a second later, then
/// two, then four.
const CONNECTING: usize = 500;
/// Who go away at once.
const VANISHING: usize = 50;

/// What the store does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conduct {
    /// Answers when all are let go.
    Answers,
    /// Sends half an answer, and is gone.
    Vanishes,
    /// Reads what comes, and never answers.
    Reads,
}

/// A store that counts.
#[derive(Clone)]
struct Store {
    address: SocketAddr,
    /// Connections open now.
    open: Arc<AtomicUsize>,
    /// Requests that came.
    seen: Arc<AtomicUsize>,
    /// Bytes of bodies that came, with what frames them.
    read: Arc<AtomicUsize>,
    let_go: Arc<watch::Sender<bool>>,
}

impl Store {
    fn start(conduct: Conduct) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // All come at once.
        let listener = socket.listen(8_192).unwrap();
        let store = Self {
            address: listener.local_addr().unwrap(),
            open: Arc::default(),
            seen: Arc::default(),
            read: Arc::default(),
            let_go: Arc::new(watch::channel(false).0),
        };
        let serving = store.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let store = serving.clone();
                store.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    store.serve(stream, conduct).await;
                    store.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        store
    }

    /// Serves one connection until it ends.
    async fn serve(&self, mut stream: TcpStream, conduct: Conduct) {
        let mut let_go = self.let_go.subscribe();
        let mut buffer = Vec::new();
        loop {
            let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
                match stream.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => continue,
                }
            };
            buffer.drain(..end + 4);
            self.seen.fetch_add(1, Ordering::SeqCst);
            match conduct {
                Conduct::Answers => {
                    let_go.wait_for(|let_go| *let_go).await.unwrap();
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                        return;
                    }
                }
                Conduct::Vanishes => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
                    let _ = stream.write_all(&[b'x'; 50_000]).await;
                    return;
                }
                Conduct::Reads => {
                    self.read.fetch_add(buffer.len(), Ordering::SeqCst);
                    let mut piece = [0; 1 << 16];
                    while let Ok(count @ 1..) = stream.read(&mut piece).await {
                        self.read.fetch_add(count, Ordering::SeqCst);
                    }
                    return;
                }
            }
        }
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// A proxy in front of it that decides nothing, so that requests need no signature; and its directory, to be dropped later.
fn proxy(store: &Store) -> (TempDir, Portcullis) {
    // As many files as we may have; the proxy starts with few, and must ask for itself.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let enough = limit.current.is_none_or(|files| files > 12_000);
    assert!(enough, "these tests need 12000 open files, and the system allows {:?}", limit.current);

    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(format!("http://{}", store.address), "us-east-1", "preserve");
    settings.enforcement = "off";
    let proxy = Portcullis::start(directory.path(), &settings);
    (directory, proxy)
}

/// How many files the proxy has open, its sockets among them.
fn open_files(proxy: &Portcullis) -> usize {
    fs::read_dir(format!("/proc/{}/fd", proxy.server.id())).unwrap().count()
}

/// The requests that it says are under way.
async fn in_flight(proxy: &Portcullis) -> usize {
    let text =
        exchange(proxy.admin, "GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("portcullis_requests_in_flight "));
    line.unwrap_or_else(|| panic!("no such gauge in {text}")).trim().parse().unwrap()
}

/// Sends a request, and reads all up to the end of the connection.
async fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    exchange_on(&mut TcpStream::connect(address).await?, request).await
}

async fn exchange_on(stream: &mut TcpStream, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

async fn http2<B>(address: SocketAddr) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A body that begins, and never ends.
struct Begun(Option<Bytes>);

impl Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// Polls until it holds; else tells what there was.
async fn eventually(what: &str, mut state: impl AsyncFnMut() -> Result<(), String>) {
    let mut last = String::new();
    let settled = timeout(PATIENCE, async {
        while let Err(found) = state().await {
            last = found;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    settled.await.unwrap_or_else(|_| panic!("{what}: {last}"));
}

fn equal(found: usize, wanted: usize, what: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{found} {what} where {wanted} are due")) }
}

/// Waits until nothing is under way and no more files are open than there were, none of them to the store.
async fn nothing_is_left(proxy: &Portcullis, store: &Store, files: usize, what: &str) {
    eventually(what, async || {
        equal(store.open(), 0, "connections at the store")?;
        equal(in_flight(proxy).await, 0, "requests under way")?;
        // When they were counted first, the one of the probe that waited for the start may have been among them.
        match open_files(proxy) {
            found if found <= files => Ok(()),
            found => Err(format!("{found} open files where there were {files}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once_are_answered_or_refused() {
    let store = Store::start(Conduct::Answers);
    let (_directory, proxy) = proxy(&store);
    let refused = Arc::new(AtomicUsize::new(0));
    let note = {
        let refused = Arc::clone(&refused);
        move |status: u16, body: &str| {
            match status {
                200 => assert_eq!(body, "ok"),
                503 => assert!(body.contains("<Code>SlowDown</Code>"), "{body}"),
                other => panic!("{other}: {body}"),
            }
            refused.fetch_add(usize::from(status == 503), Ordering::SeqCst);
            status
        }
    };
    let mut clients = JoinSet::new();
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    for client in 0..HTTP1_CLIENTS {
        let (address, note, connecting) = (proxy.address, note.clone(), Arc::clone(&connecting));
        clients.spawn(async move {
            let turn = connecting.acquire().await.unwrap();
            let mut stream = TcpStream::connect(address).await.unwrap();
            drop(turn);
            let request = format!("GET /b/{client} HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n");
            let answer = exchange_on(&mut stream, &request).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            vec![note(head.split(' ').nth(1).unwrap().parse().unwrap(), body)]
        });
    }
    for _ in 0..HTTP2_CLIENTS {
        let (address, note) = (proxy.address, note.clone());
        clients.spawn(async move {
            let client = http2::<Empty<Bytes>>(address).await;
            let mut streams = JoinSet::new();
            for stream in 0..STREAMS {
                let (mut client, note) = (client.clone(), note.clone());
                streams.spawn(async move {
                    client.ready().await.unwrap();
                    let request = Request::get(format!("http://s3/b/{stream}")).body(Empty::new()).unwrap();
                    let (head, body) = client.send_request(request).await.unwrap().into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    note(head.status.as_u16(), std::str::from_utf8(&body).unwrap())
                });
            }
            streams.join_all().await
        });
    }
    let all = HTTP1_CLIENTS + HTTP2_CLIENTS * STREAMS;
    eventually("before any is answered", async || {
        equal(store.seen() + refused.load(Ordering::SeqCst), all, "requests that came to something")
    })
    .await;
    assert_eq!(store.seen(), IN_FLIGHT, "what is not refused is at the store");
    assert_eq!(in_flight(&proxy).await, IN_FLIGHT);
    store.let_go.send_replace(true);
    let answers: Vec<u16> = timeout(PATIENCE, clients.join_all()).await.expect("one hangs").concat();
    let granted = answers.iter().filter(|status| **status == 200).count();
    assert_eq!((answers.len(), granted), (all, IN_FLIGHT));
    eventually("at rest", async || equal(in_flight(&proxy).await, 0, "requests under way")).await;
    let again = exchange(proxy.address, "GET /b/k HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(again.starts_with("HTTP/1.1 200 OK\r\n"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_vanish_in_their_uploads_leave_nothing_behind() {
    let store = Store::start(Conduct::Reads);
    let (_directory, proxy) = proxy(&store);
    let files = open_files(&proxy);
    let head = "PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 1000000\r\n\r\n";
    for reset in [false, true] {
        let before = (store.seen(), store.read.load(Ordering::SeqCst));
        let mut clients = Vec::new();
        for _ in 0..VANISHING {
            let mut client = TcpStream::connect(proxy.address).await.unwrap();
            client.write_all(head.as_bytes()).await.unwrap();
            client.write_all(&[b'x'; 200_000]).await.unwrap();
            clients.push(client);
        }
        eventually("half of each upload at the store", async || {
            equal(store.seen() - before.0, VANISHING, "uploads")?;
            equal(store.read.load(Ordering::SeqCst) - before.1, VANISHING * 200_000, "bytes of them")
        })
        .await;
        assert_eq!((store.open(), in_flight(&proxy).await), (VANISHING, VANISHING));
        assert!(open_files(&proxy) > files + VANISHING, "both sides of each are counted");
        for client in clients {
            if reset {
                client.set_zero_linger().unwrap();
            }
        }
        nothing_is_left(&proxy, &store, files, if reset { "after resets" } else { "after closing" }).await;
    }

    // The same with one connection, whose streams end with it.
    let seen = store.seen();
    let client = http2(proxy.address).await;
    let mut uploads = JoinSet::new();
    for _ in 0..VANISHING {
        let mut client = client.clone();
        uploads.spawn(async move {
            let begun = Begun(Some(Bytes::from_static(b"begun")));
            let answer = client.send_request(Request::put("http://s3/b/k").body(begun).unwrap()).await;
            panic!("an answer to half an upload: {answer:?}")
        });
    }
    eventually("all uploads at the store", async || equal(store.seen() - seen, VANISHING, "uploads")).await;
    uploads.shutdown().await;
    drop(client);
    nothing_is_left(&proxy, &store, files, "after streams that were reset").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_vanish_in_their_answers_leave_nothing_behind() {
    let store = Store::start(Conduct::Vanishes);
    let (_directory, proxy) = proxy(&store);
    let files = open_files(&proxy);
    let mut clients = JoinSet::new();
    for _ in 0..VANISHING {
        let address = proxy.address;
        clients.spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            // The connection ends, in whatever way: that is how a client learns that there is no more.
            let _ = client.read_to_end(&mut answer).await;
            answer.len()
        });
        clients.spawn(async move {
            let mut client = http2::<Empty<Bytes>>(address).await;
            let request = Request::get("http://s3/b/k").body(Empty::new()).unwrap();
            // A reset overtakes what is not sent yet, the answer's head as well.
            let Ok(answer) = client.send_request(request).await else { return 0 };
            let (mut body, mut length) = (answer.into_body(), 0);
            loop {
                match body.frame().await {
                    Some(Ok(frame)) => length += frame.into_data().unwrap().len(),
                    Some(Err(_)) => return length,
                    None => panic!("as if {length} bytes were all"),
                }
            }
        });
    }
    let lengths = timeout(PATIENCE, clients.join_all()).await.expect("one hangs");
    assert_eq!(lengths.len(), 2 * VANISHING);
    assert!(lengths.iter().all(|length| *length < 60_000), "{lengths:?}");
    assert_eq!(store.seen(), 2 * VANISHING, "none is asked for again");
    nothing_is_left(&proxy, &store, files, "after answers that were cut off").await;
}
