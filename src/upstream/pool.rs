//! The connections to one endpoint: kept while they are idle, and never more at once than allowed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::connect::Stream;
use super::upload::Upload;
use crate::layer::BoxError;

/// A connection that was idle for longer is not used again. Shorter than the five seconds after which Node's HTTP
/// server, the most hasty of those stores are built on, closes one: a request that meets a closing connection is lost,
/// since nothing is sent twice.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(4);

/// How many idle connections are kept for one endpoint; one more, and the oldest goes. What a burst leaves behind beyond
/// that is cheaper to open again than to hold.
pub(super) const MAX_IDLE: usize = 256;

/// The connections to one endpoint. Clones share them.
pub(super) struct Pool<B> {
    idle: Arc<Mutex<Idle<B>>>,
    /// One permit for each connection that a request holds. An idle one needs none, and still there are never more open
    /// than permits: one is opened by a holder of a permit alone, and only when none is idle.
    room: Option<Arc<Semaphore>>,
}

struct Idle<B> {
    /// The one that was used last is at the end.
    connections: VecDeque<Rested<B>>,
    most: usize,
    /// Somebody closes what is idle for too long.
    is_swept: bool,
}

struct Rested<B> {
    sender: SendRequest<Upload<B>>,
    since: Instant,
}

/// The right to one connection.
pub(super) struct Slot<B> {
    pool: Pool<B>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A connection for one request at a time. Closed when dropped, unless it is [given back](Self::give_back).
pub(super) struct Connection<B> {
    sender: SendRequest<Upload<B>>,
    is_reused: bool,
    slot: Slot<B>,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// At most `max_connections` at once; `None` for as many as there are requests.
    pub(super) fn new(max_connections: Option<usize>) -> Self {
        let idle = Idle { connections: VecDeque::new(), most: MAX_IDLE, is_swept: false };
        let room = max_connections.map(|count| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))));
        Self { idle: Arc::new(Mutex::new(idle)), room }
    }

    /// The right to a connection; `None` if there was none in `limit`. Who waits longest is next.
    pub(super) async fn slot(&self, limit: Duration) -> Option<Slot<B>> {
        let permit = match &self.room {
            None => None,
            Some(room) => match Arc::clone(room).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => Some(timeout(limit, Arc::clone(room).acquire_owned()).await.ok()?.ok()?),
            },
        };
        Some(Slot { pool: self.clone(), _permit: permit })
    }

    fn take(&self) -> Option<SendRequest<Upload<B>>> {
        let mut idle = lock(&self.idle);
        loop {
            let Rested { sender, since } = idle.connections.pop_back()?;
            if sender.is_ready() && since.elapsed() < POOL_IDLE {
                return Some(sender);
            }
        }
    }

    fn put(&self, sender: SendRequest<Upload<B>>) {
        let mut idle = lock(&self.idle);
        if idle.connections.len() >= idle.most {
            idle.connections.pop_front();
        }
        idle.connections.push_back(Rested { sender, since: Instant::now() });
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle)));
        }
    }
}

impl<B> Slot<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// An idle connection; the slot comes back where there is none.
    pub(super) fn idle(self) -> Result<Connection<B>, Self> {
        match self.pool.take() {
            Some(sender) => Ok(Connection { sender, is_reused: true, slot: self }),
            None => Err(self),
        }
    }

    /// A connection on this new stream.
    ///
    /// # Errors
    /// Whatever hyper says; nothing has been sent by then.
    pub(super) async fn open(self, stream: Stream) -> Result<Connection<B>, hyper::Error> {
        let (sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the object store ended");
            }
        });
        Ok(Connection { sender, is_reused: false, slot: self })
    }
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Whether it has carried a request before, so that the store may have closed it by now, as it may an idle one.
    pub(super) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Sends a request, and waits for the answer's head.
    ///
    /// # Errors
    /// With the request in it where the connection ended before anything of it was sent or asked of its body.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload<B>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upload<B>>>> {
        self.sender.try_send_request(request).await
    }

    /// Keeps the connection for the next request, as soon as both bodies of this one are over.
    pub(super) fn give_back(mut self) {
        if self.sender.is_ready() {
            self.slot.pool.put(self.sender);
        } else if !self.sender.is_closed() {
            tokio::spawn(async move {
                if self.sender.ready().await.is_ok() {
                    self.slot.pool.put(self.sender);
                }
                // Not before: who waits for the permit takes the connection.
                drop(self.slot);
            });
        }
    }
}

/// Closes connections when their time is over, until none is left.
async fn sweep<B>(idle: Weak<Mutex<Idle<B>>>) {
    loop {
        sleep(POOL_IDLE).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = lock(&idle);
        idle.connections.retain(|rested| !rested.sender.is_closed() && rested.since.elapsed() < POOL_IDLE);
        if idle.connections.is_empty() {
            idle.connections.shrink_to_fit();
            idle.is_swept = false;
            return;
        }
    }
}

fn lock<B>(idle: &Mutex<Idle<B>>) -> MutexGuard<'_, Idle<B>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self { idle: Arc::clone(&self.idle), room: self.room.clone() }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper_rustls::MaybeHttpsStream;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    type Connections = Pool<Full<Bytes>>;

    /// A new connection, ready for a request, and the store's end of it.
    async fn open(pool: &Connections, listener: &TcpListener) -> (Connection<Full<Bytes>>, TcpStream) {
        let slot = pool.slot(Duration::from_secs(10)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stores_end = listener.accept().await.unwrap().0;
        let mut connection = slot.open(MaybeHttpsStream::Http(TokioIo::new(stream))).await.unwrap();
        connection.sender.ready().await.unwrap();
        (connection, stores_end)
    }

    fn idle(pool: &Connections) -> usize {
        lock(&pool.idle).connections.len()
    }

    #[tokio::test]
    async fn no_more_idle_connections_are_kept_than_allowed_and_the_oldest_goes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Connections::new(None);
        lock(&pool.idle).most = 2;
        let mut stores_ends = Vec::new();
        let mut opened = Vec::new();
        for _ in 0..3 {
            let (connection, stores_end) = open(&pool, &listener).await;
            opened.push(connection);
            stores_ends.push(stores_end);
        }
        opened.into_iter().for_each(Connection::give_back);
        assert_eq!(idle(&pool), 2);
        assert_eq!(stores_ends[0].read(&mut [0]).await.unwrap(), 0, "closed");
        for left in [1, 0] {
            assert!(pool.slot(Duration::ZERO).await.unwrap().idle().is_ok_and(|connection| connection.is_reused()));
            assert_eq!(idle(&pool), left);
        }
        assert!(pool.slot(Duration::ZERO).await.unwrap().idle().is_err());
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Connections::new(None);
        let (connection, _stores_end) = open(&pool, &listener).await;
        tokio::time::pause();
        connection.give_back();
        tokio::time::advance(POOL_IDLE - Duration::from_millis(1)).await;
        let connection = pool.slot(Duration::ZERO).await.unwrap().idle().ok().expect("it is as good as new");
        connection.give_back();
        tokio::time::advance(POOL_IDLE).await;
        assert!(pool.slot(Duration::ZERO).await.unwrap().idle().is_err());
    }

    #[tokio::test]
    async fn idle_connections_are_closed_when_their_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Connections::new(None);
        let (connection, mut stores_end) = open(&pool, &listener).await;
        tokio::time::pause();
        connection.give_back();
        // Time passes by itself while everybody waits for it.
        assert_eq!(stores_end.read(&mut [0]).await.unwrap(), 0, "closed");
        assert_eq!(idle(&pool), 0);
        assert!(!lock(&pool.idle).is_swept, "and nobody looks after none");
    }

    #[tokio::test]
    async fn a_slot_is_waited_for_and_the_connection_comes_with_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Connections::new(Some(1));
        let (connection, _stores_end) = open(&pool, &listener).await;
        assert!(pool.slot(Duration::ZERO).await.is_none());
        let next = tokio::spawn({
            let pool = pool.clone();
            async move { pool.slot(Duration::from_secs(10)).await }
        });
        connection.give_back();
        let slot = next.await.unwrap().unwrap();
        assert!(slot.idle().is_ok(), "not a second one");
        assert!(pool.slot(Duration::ZERO).await.is_some(), "free again");
    }
}
