//! Accepts clients: HTTP/1.1 and HTTP/2 on the same ports, by TLS (ALPN) or without (prior knowledge).

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use metrics::Gauge;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, sleep_until};
use tower_service::Service;

use super::activity::{Activity, Busy, Stale, WatchedReads, WatchedWrites};
use super::body::{Continuation, Guarded, Inbound};
use super::caller::Caller;
use super::client_address::TrustedProxies;
use super::proxy_protocol::{self, Header};
use super::shutdown::{Phase, Running};
use super::tls::{Certificates, handshake};
use super::transport::Transport;
use super::workers::Workers;
use crate::layer::BoxError;
use crate::layer::PeerAddress;
use crate::meters;

/// How many connections wait in the system's queue for us to accept them: what Linux takes at most, until it is told otherwise
/// (`net.core.somaxconn`). One that finds it full is tried again by the client's system a second later.
const BACKLOG: u32 = 4096;

/// What HTTP/1.1 connections may gather of bodies that move, in bytes, before a new one's [`share`] of it becomes less.
const BUFFERS: usize = 256 * 1024 * 1024;

/// The most that one of them may. What is read and written in large pieces wakes the other side less often, which is what a
/// large body costs most beside being copied.
const BUFFER_MOST: usize = 1024 * 1024;

/// And the least, which a request's head must fit into as well.
const BUFFER_LEAST: usize = 128 * 1024;

/// What a [`Listener`] needs to know.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// What its connections are counted as.
    pub name: &'static str,
    /// Where to listen.
    pub addresses: Vec<SocketAddr>,
    /// Connections at once; further ones wait in the system's queue.
    pub max_connections: usize,
    /// How long a request's header may take, from its first byte, or from the connection's start for the first one, the
    /// PROXY header and the TLS handshake before it.
    pub request_header_timeout: Duration,
    /// How long a connection may be without a request, and a client without reading what it asked for.
    pub idle_timeout: Duration,
    /// The proxies in front that are believed about where a request came from.
    pub trusted_proxies: TrustedProxies,
    /// Whether nobody else but trusted proxies may connect.
    pub proxies_alone: bool,
    /// Whether every connection must begin with a PROXY header, of whomever; without one it is closed.
    pub proxy_protocol: bool,
    /// The certificates that TLS is ended with, after the PROXY header; none where connections come without.
    pub tls: Option<Arc<Certificates>>,
}

/// An address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub cause: io::Error,
}

/// Sockets that listen, not yet served.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<(SocketAddr, TcpListener)>,
    connections: Arc<Semaphore>,
    settings: LiveSettings,
}

/// Settings that can be exchanged while they are in use. New connections go by the new ones, and so do the next requests of
/// old ones where it is about `trusted_proxies`; the addresses and `max_connections` stay what they were.
pub(crate) type LiveSettings = Arc<ArcSwap<ListenerSettings>>;

impl Listener {
    /// Listens on every address of `settings`.
    ///
    /// # Errors
    /// [`BindError`] for the first that is not to be had.
    pub async fn bind(settings: ListenerSettings) -> Result<Self, BindError> {
        let mut sockets = Vec::with_capacity(settings.addresses.len());
        for &address in &settings.addresses {
            let failed = |cause| BindError { address, cause };
            let socket = listen(address).map_err(failed)?;
            sockets.push((socket.local_addr().map_err(failed)?, socket));
        }
        let limit = settings.max_connections.min(Semaphore::MAX_PERMITS);
        #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
        meters::CONNECTIONS_LIMIT.gauge(&[settings.name]).set(limit as f64);
        let connections = Arc::new(Semaphore::new(limit));
        Ok(Self { sockets, connections, settings: Arc::new(ArcSwap::from_pointee(settings)) })
    }

    /// Its settings, to be exchanged.
    pub(crate) fn live(&self) -> &LiveSettings {
        &self.settings
    }

    /// The addresses, with the ports that were given for port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }

    /// Has `workers` serve in the background until `running` drains.
    pub(crate) fn serve<S, ResB>(self, workers: &Workers<S>, running: &Running)
    where
        S: Service<Request<Inbound>, Response = Response<ResB>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        ResB: Body<Data = Bytes> + Send + 'static,
        ResB::Error: Into<BoxError>,
    {
        let limit = self.connections.available_permits();
        for (_, socket) in self.sockets {
            let (connections, settings) = ((Arc::clone(&self.connections), limit), Arc::clone(&self.settings));
            tokio::spawn(accept(socket, workers.clone(), connections, settings, running.clone()));
        }
    }
}

/// What the newest of so many open connections may gather, in bytes: its share of [`BUFFERS`]. Older ones keep what they were
/// given when there were fewer: two thousand have 0.8 GiB between them, were all to move large bodies to peers that are slow,
/// and each thousand more 0.12 GiB.
fn share(connections: usize) -> usize {
    BUFFERS.checked_div(connections).unwrap_or(BUFFERS).clamp(BUFFER_LEAST, BUFFER_MOST)
}

/// As tokio binds, with a longer queue.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that is started anew finds its port taken by what its last connections left behind.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept<S, ResB>(
    socket: TcpListener,
    workers: Workers<S>,
    (connections, limit): (Arc<Semaphore>, usize),
    settings: LiveSettings,
    mut running: Running,
) where
    S: Service<Request<Inbound>, Response = Response<ResB>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let name = settings.load().name;
    let accepted_total = meters::CONNECTIONS_ACCEPTED.counter(&[name]);
    let open = meters::CONNECTIONS.gauge(&[name]);
    open.increment(0.0);
    let count = |place| {
        open.increment(1.0);
        Counted { open: open.clone(), _place: place }
    };
    loop {
        let accepted = tokio::select! {
            () = running.reached(Phase::Draining) => return,
            accepted = next(&socket, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let (settings, running) = (Arc::clone(&settings), running.clone());
                accepted_total.increment(1);
                let counted = count(place);
                let buffer = share(limit.saturating_sub(connections.available_permits()));
                workers.serve(move |service| async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => serve_connection(stream, peer, buffer, service, settings, running).await,
                        Err(error) => tracing::warn!(%error, "a client's connection cannot be served"),
                    }
                    drop(counted);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Most likely out of file descriptors: some time must pass for one to come free.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A connection that is open, until this is dropped: by its end, a defect that ends its task, or nobody being left to serve
/// it.
struct Counted {
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

/// The next connection, of no runtime yet.
async fn next(
    socket: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(std::net::TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = socket.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, peer, place))
}

async fn serve_connection<S, ResB>(
    mut stream: TcpStream,
    peer: SocketAddr,
    buffer: usize,
    service: S,
    live: LiveSettings,
    mut running: Running,
) where
    S: Service<Request<Inbound>, Response = Response<ResB>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let settings = live.load_full();
    if settings.proxies_alone && !settings.trusted_proxies.contains(peer.ip().to_canonical()) {
        tracing::warn!(%peer, "a connection is closed: it comes from none of `listen.trusted_proxies`");
        return;
    }
    let activity = Activity::new(settings.request_header_timeout, settings.idle_timeout);
    let mut timer = pin!(sleep_until(tokio::time::Instant::now() + settings.request_header_timeout));
    let header = if settings.proxy_protocol {
        match before_requests(proxy_protocol::read(&mut stream), peer, timer.as_mut(), &mut running).await {
            Some(header) => header,
            None => return,
        }
    } else {
        Header::default()
    };
    let (transport, tls) = if let Some(certificates) = &settings.tls {
        let handshake = handshake(stream, certificates.config(), &activity);
        match before_requests(handshake, peer, timer.as_mut(), &mut running).await {
            Some((stream, tls)) => (Transport::Tls(Box::new(stream)), Some(tls)),
            None => return,
        }
    } else {
        (Transport::Plain(WatchedWrites::new(stream, Arc::clone(&activity))), None)
    };
    let watched = TokioIo::new(WatchedReads::new(transport, Arc::clone(&activity)));
    let mut server = auto::Builder::new(TokioExecutor::new());
    // A client may close its sending half once it has sent its request. `Activity` keeps the time.
    server.http1().half_close(true).header_read_timeout(None).max_buf_size(buffer);
    let requests = Arc::clone(&activity);
    let serve = service_fn(move |mut request: Request<Incoming>| {
        // Whom to believe may have changed since the connection was made.
        let settings = live.load();
        let trusted = &settings.trusted_proxies;
        let is_stranger = settings.proxies_alone && !trusted.contains(peer.ip().to_canonical());
        let caller = Caller::new(trusted, peer.ip(), &header, tls);
        let client = caller.client(trusted, request.headers());
        request.extensions_mut().insert(PeerAddress(client));
        if let Some(tls) = caller.client_tls(request.headers()) {
            request.extensions_mut().insert(tls);
        }
        let answer = answer(service.clone(), request, &requests);
        async move {
            if is_stranger {
                return Err(Unanswered("it comes from none of `listen.trusted_proxies` any more".into()));
            }
            answer.await.map_err(|error| Unanswered(error.into()))
        }
    });
    let mut connection = pin!(server.serve_connection(watched, serve));
    let mut closing = false;
    loop {
        let phase = if closing { Phase::Cut } else { Phase::Draining };
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, error = error.as_ref(), "a client's connection ended");
                }
                return;
            }
            () = running.reached(phase) => {
                if closing {
                    return;
                }
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            why = activity.stale(timer.as_mut()) => {
                tracing::debug!(%peer, ?why, "a client's connection is closed");
                match why {
                    // Said goodbye to properly; the next turn drops it if that is not enough.
                    Stale::Idle if !closing => {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Stale::Idle | Stale::HeaderTimeout | Stale::WriteStalled => return,
                }
            }
        }
    }
}

/// What comes before requests; none where the connection is to be closed. `timer` runs from the connection's start.
async fn before_requests<T, E: fmt::Display>(
    begun: impl Future<Output = Result<T, E>>,
    peer: SocketAddr,
    timer: Pin<&mut Sleep>,
    running: &mut Running,
) -> Option<T> {
    tokio::select! {
        biased;
        begun = begun => match begun {
            Ok(begun) => return Some(begun),
            Err(error) => tracing::debug!(%peer, %error, "a client's connection is closed"),
        },
        // Nobody has asked for anything yet.
        () = running.reached(Phase::Draining) => {}
        () = timer => tracing::debug!(%peer, why = ?Stale::HeaderTimeout, "a client's connection is closed"),
    }
    None
}

/// One request and its answer, with what only the connection knows.
fn answer<S, ResB>(
    service: S,
    request: Request<Incoming>,
    activity: &Arc<Activity>,
) -> impl Future<Output = Result<Response<Guarded<ResB, Busy>>, S::Error>> + use<S, ResB>
where
    S: Service<Request<Inbound>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes>,
{
    let http2 = request.version() == Version::HTTP_2;
    let busy = activity.request(http2);
    let expects = !http2 && request.headers().contains_key(EXPECT);
    let continuation = expects.then(Continuation::default);
    let request = request.map(|body| Inbound::new(body, http2, continuation.clone()));
    async move {
        // As `oneshot` does it, which moves the request twice more.
        let mut service = service;
        poll_fn(|cx| service.poll_ready(cx)).await?;
        let mut response = service.call(request).await?;
        if http2 {
            // Layers speak HTTP/1.1; there is no such header in HTTP/2.
            response.headers_mut().remove(CONNECTION);
        } else if continuation.is_some_and(|continuation| !continuation.was_told()) {
            // The body was announced and will not come, or will: the client alone knows, so nothing can follow.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Guarded::new(body, busy)))
    }
}

/// Why a request gets no answer, and its connection is closed.
#[derive(Debug)]
struct Unanswered(BoxError);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a request is not answered: {}", self.0)
    }
}

impl std::error::Error for Unanswered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.cause)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
