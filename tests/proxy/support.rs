//! A proxy on port 0, and raw ends for either side of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use portcullis::admin::health::{Check, Health};
use portcullis::identity::StaticCredentials;
use portcullis::ownership::fixed::OneOwner;
use portcullis::policy::AccountId;
use portcullis::server::body::Inbound;
use portcullis::server::client_address::TrustedProxies;
use portcullis::server::frontend::{Frontend, FrontendSettings};
use portcullis::server::in_flight::InFlightLayer;
use portcullis::server::listener::ListenerSettings;
use portcullis::server::shutdown::Drained;
use portcullis::server::stack::{StackSettings, stack};
use portcullis::server::tls::Certificates;
use portcullis::server::workers::Workers;
use portcullis::store::memory::MemoryStore;
use portcullis::upstream::{ClientSettings, Endpoint, Endpoints, Trust, UpstreamClient, UpstreamCredentials};
use portcullis::{BoxError, BucketPolicyLayer, Enforcement, Handler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_service::Service;

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// No byte taken for so long means that nobody reads. On a slow machine a stop is seen too early, never too late.
const STUCK: Duration = Duration::from_millis(500);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} in {PATIENCE:?}"))
}

/// All that a test may want to set.
#[derive(Clone)]
pub(crate) struct Options {
    /// What its connections are counted as.
    pub(crate) name: &'static str,
    pub(crate) credentials: UpstreamCredentials,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_upstream_connections: Option<usize>,
    pub(crate) response_header_timeout: Duration,
    pub(crate) request_header_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) body_idle_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_connections: usize,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) proxy_protocol: bool,
    pub(crate) tls: Option<Arc<Certificates>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "data",
            credentials: UpstreamCredentials::default(),
            connect_timeout: Duration::from_secs(3),
            max_upstream_connections: None,
            response_header_timeout: Duration::from_secs(60),
            request_header_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            body_idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(60),
            max_in_flight: 100,
            max_connections: 100,
            trusted_proxies: TrustedProxies::default(),
            proxy_protocol: false,
            tls: None,
        }
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    run: JoinHandle<Drained>,
}

impl Proxy {
    pub(crate) async fn start_with(store: SocketAddr, options: Options) -> Self {
        Self::start_policies(store, options, policies()).await
    }

    pub(crate) async fn start_policies(store: SocketAddr, options: Options, policies: BucketPolicyLayer) -> Self {
        let upstream = client_settings(store, &options);
        Self::start_stack(upstream, options, policies).await
    }

    /// In front of stores at these places.
    pub(crate) async fn start_endpoints(endpoints: Endpoints, options: Options) -> Self {
        Self::start_stack(settings_for(endpoints, &options), options, policies()).await
    }

    async fn start_stack(upstream: ClientSettings, options: Options, policies: BucketPolicyLayer) -> Self {
        let settings = StackSettings {
            in_flight: InFlightLayer::new(options.max_in_flight),
            body_idle_timeout: options.body_idle_timeout,
            tracer: None,
        };
        Self::start_service(stack(settings, policies, UpstreamClient::new(upstream)), options).await
    }

    /// The listeners alone, around any service.
    pub(crate) async fn start_service<S, B>(service: S, options: Options) -> Self
    where
        S: Service<Request<Inbound>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = FrontendSettings {
            listen: ListenerSettings {
                name: options.name,
                addresses: vec![local],
                max_connections: options.max_connections,
                request_header_timeout: options.request_header_timeout,
                idle_timeout: options.idle_timeout,
                trusted_proxies: options.trusted_proxies,
                proxies_alone: false,
                proxy_protocol: options.proxy_protocol,
                tls: options.tls,
            },
            admin: Some(local),
            drain_timeout: options.drain_timeout,
        };
        let checks: [(&'static str, Check); 0] = [];
        let server = Frontend::bind(settings, Workers::here(service), Health::new(checks)).await.unwrap();
        let (address, admin) = (server.local_addrs()[0], server.admin_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { address, admin, stop: Some(stop), run }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// Asks the proxy to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// How the drain ended.
    pub(crate) async fn stopped(self) -> Drained {
        soon("end of the drain", self.run).await.unwrap()
    }
}

/// As the binary's, in front of a store that judges signatures itself. Nothing is enforced, so that every request passes.
fn policies() -> BucketPolicyLayer {
    let owner = OneOwner::new(AccountId::parse("111122223333").unwrap());
    let handler = Handler::Store(Arc::new(MemoryStore::default()));
    BucketPolicyLayer::builder(Arc::new(StaticCredentials::default()), Arc::new(owner), handler)
        .with_enforcement(Enforcement::Off)
        .build()
}

pub(crate) fn client_settings(store: SocketAddr, options: &Options) -> ClientSettings {
    settings_for(endpoints([store], options.connect_timeout), options)
}

pub(crate) fn settings_for(endpoints: Endpoints, options: &Options) -> ClientSettings {
    ClientSettings {
        endpoints,
        region: "us-east-1".to_owned(),
        credentials: options.credentials.clone(),
        max_connections: options.max_upstream_connections,
        response_header_timeout: options.response_header_timeout,
    }
}

/// Plain ones.
pub(crate) fn endpoints(stores: impl IntoIterator<Item = SocketAddr>, connect_timeout: Duration) -> Endpoints {
    let stores = stores.into_iter().map(|store| Endpoint::parse(&format!("http://{store}")).unwrap());
    Endpoints::new(stores, Trust::System, connect_timeout).unwrap()
}

/// A store that does what the test says, byte by byte.
pub(crate) struct Store {
    socket: TcpListener,
}

impl Store {
    pub(crate) async fn start() -> Self {
        Self { socket: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) async fn accept(&self) -> Wire {
        Wire::new(soon("connection to the store", self.socket.accept()).await.unwrap().0)
    }
}

/// A store and a proxy in front of it.
pub(crate) async fn pair() -> (Store, Proxy) {
    pair_with(Options::default()).await
}

pub(crate) async fn pair_with(options: Options) -> (Store, Proxy) {
    let store = Store::start().await;
    let proxy = Proxy::start_with(store.address(), options).await;
    (store, proxy)
}

/// One end of a connection.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Fails when the other side has closed.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        soon("room to send", self.stream.write_all(bytes.as_ref())).await
    }

    /// Sends zeros until the other side has taken none for a while, or until there were `limit`. How many it took.
    pub(crate) async fn send_until_stuck(&mut self, limit: u64) -> u64 {
        let zeros = vec![0; 1 << 16];
        let mut sent = 0;
        while sent < limit {
            match timeout(STUCK, self.stream.write(&zeros)).await {
                Ok(count) => sent += count.unwrap() as u64,
                Err(_) => break,
            }
        }
        sent
    }

    /// Sends so many zeros.
    pub(crate) async fn send_zeros(&mut self, mut count: u64) {
        let zeros = vec![0; 1 << 16];
        while count > 0 {
            let piece = zeros.len().min(usize::try_from(count).unwrap());
            self.send(&zeros[..piece]).await;
            count -= piece as u64;
        }
    }

    /// Reads so many bytes and forgets them.
    pub(crate) async fn skip(&mut self, mut count: u64) {
        while count > 0 {
            let piece = count.min(1 << 16);
            self.bytes(usize::try_from(piece).unwrap()).await;
            count -= piece;
        }
    }

    /// Ends what this side sends; it still reads.
    pub(crate) async fn half_close(&mut self) {
        self.try_half_close().await.unwrap();
    }

    /// Fails when the other side has closed with a reset.
    pub(crate) async fn try_half_close(&mut self) -> std::io::Result<()> {
        self.stream.shutdown().await
    }

    /// Closes with a reset, as a process that dies with unread data does.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// A message's head, with its empty line.
    pub(crate) async fn head(&mut self) -> String {
        self.next_head().await.unwrap_or_else(|| panic!("the connection ended within a head: {:?}", self.text()))
    }

    /// The same; `None` when the connection ends first.
    pub(crate) async fn next_head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if self.more().await.is_some() {
                return None;
            }
        }
    }

    /// So many bytes; none where the connection ends before.
    pub(crate) async fn try_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if self.more().await.is_some() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// So many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.more().await.is_none(), "the connection ended after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// All up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end.as_bytes()) {
                let found: Vec<u8> = self.buffer.drain(..at + end.len()).collect();
                return String::from_utf8(found).unwrap();
            }
            assert!(self.more().await.is_none(), "the connection ended before {end:?}: {:?}", self.text());
        }
    }

    /// All up to the connection's end, and how that was.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Some(end) = self.more().await {
                return (std::mem::take(&mut self.buffer), end);
            }
        }
    }

    /// A whole answer with `Content-Length`: its head and its body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        (head, String::from_utf8(self.bytes(length).await).unwrap())
    }

    async fn more(&mut self) -> Option<End> {
        let mut piece = [0; 16 * 1024];
        match soon("bytes", self.stream.read(&mut piece)).await {
            Ok(0) => Some(End::Closed),
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                None
            }
            Err(_) => Some(End::Reset),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

/// The value of a header in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The first line of a head.
pub(crate) fn first_line(head: &str) -> &str {
    head.lines().next().unwrap_or_default()
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
