//! The connections to one endpoint: kept while they are idle, and never more at once than allowed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::connect::Stream;
use super::http1::Connection;

/// A connection that was idle for longer is not used again. Shorter than the five seconds after which Node's HTTP
/// server, the most hasty of those stores are built on, closes one: a request that meets a closing connection is lost,
/// since nothing is sent twice.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(4);

/// How many idle connections are kept for one endpoint; one more, and the oldest goes. What a burst leaves behind beyond
/// that is cheaper to open again than to hold.
pub(super) const MAX_IDLE: usize = 256;

/// The connections to one endpoint. Clones share them.
#[derive(Clone)]
pub(super) struct Pool {
    idle: Arc<Mutex<Idle>>,
    /// One permit for each connection that a request holds. An idle one needs none, and still there are never more open
    /// than permits: one is opened by a holder of a permit alone, and only when none is idle.
    room: Option<Arc<Semaphore>>,
}

struct Idle {
    /// The one that was used last is at the end.
    connections: VecDeque<Rested>,
    most: usize,
    /// Somebody closes what is idle for too long.
    is_swept: bool,
}

struct Rested {
    connection: Box<Connection>,
    since: Instant,
}

/// The right to one connection.
pub(super) struct Slot {
    pool: Pool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

impl Pool {
    /// At most `max_connections` at once; `None` for as many as there are requests.
    pub(super) fn new(max_connections: Option<usize>) -> Self {
        let idle = Idle { connections: VecDeque::new(), most: MAX_IDLE, is_swept: false };
        let room = max_connections.map(|count| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))));
        Self { idle: Arc::new(Mutex::new(idle)), room }
    }

    /// The right to a connection; `None` if there was none in `limit`. Who waits longest is next.
    pub(super) async fn slot(&self, limit: Duration) -> Option<Slot> {
        let permit = match &self.room {
            None => None,
            Some(room) => match Arc::clone(room).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => Some(timeout(limit, Arc::clone(room).acquire_owned()).await.ok()?.ok()?),
            },
        };
        Some(Slot { pool: self.clone(), _permit: permit })
    }

    fn take(&self) -> Option<Box<Connection>> {
        let mut idle = lock(&self.idle);
        loop {
            let Rested { mut connection, since } = idle.connections.pop_back()?;
            if since.elapsed() < POOL_IDLE && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn put(&self, connection: Box<Connection>) {
        let mut idle = lock(&self.idle);
        if idle.connections.len() >= idle.most {
            idle.connections.pop_front();
        }
        idle.connections.push_back(Rested { connection, since: Instant::now() });
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle)));
        }
    }
}

impl Slot {
    /// An idle connection, where there is one.
    pub(super) fn idle(&self) -> Option<Box<Connection>> {
        self.pool.take()
    }

    /// A connection on this new stream.
    pub(super) fn open(&self, stream: Stream) -> Box<Connection> {
        Box::new(Connection::new(stream))
    }

    /// Keeps the connection for the next request.
    pub(super) fn give_back(self, connection: Box<Connection>) {
        // The permit goes after it: who waits for that takes the connection.
        self.pool.put(connection);
    }
}

/// Closes connections when their time is over, until none is left.
async fn sweep(idle: Weak<Mutex<Idle>>) {
    loop {
        sleep(POOL_IDLE).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = lock(&idle);
        idle.connections.retain_mut(|rested| rested.since.elapsed() < POOL_IDLE && rested.connection.is_quiet());
        if idle.connections.is_empty() {
            idle.connections.shrink_to_fit();
            idle.is_swept = false;
            return;
        }
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hyper_rustls::MaybeHttpsStream;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A new connection, and the store's end of it.
    async fn open(pool: &Pool, listener: &TcpListener) -> (Slot, Box<Connection>, TcpStream) {
        let slot = pool.slot(Duration::from_secs(10)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stores_end = listener.accept().await.unwrap().0;
        let connection = slot.open(TokioIo::new(MaybeHttpsStream::Http(TokioIo::new(stream))));
        (slot, connection, stores_end)
    }

    async fn idle(pool: &Pool) -> Option<Box<Connection>> {
        pool.slot(Duration::ZERO).await.unwrap().idle()
    }

    fn count(pool: &Pool) -> usize {
        lock(&pool.idle).connections.len()
    }

    #[tokio::test]
    async fn no_more_idle_connections_are_kept_than_allowed_and_the_oldest_goes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(None);
        lock(&pool.idle).most = 2;
        let mut stores_ends = Vec::new();
        let mut opened = Vec::new();
        for _ in 0..3 {
            let (slot, connection, stores_end) = open(&pool, &listener).await;
            opened.push((slot, connection));
            stores_ends.push(stores_end);
        }
        opened.into_iter().for_each(|(slot, connection)| slot.give_back(connection));
        assert_eq!(count(&pool), 2);
        assert_eq!(stores_ends[0].read(&mut [0]).await.unwrap(), 0, "closed");
        for left in [1, 0] {
            assert!(idle(&pool).await.is_some());
            assert_eq!(count(&pool), left);
        }
        assert!(idle(&pool).await.is_none());
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(None);
        let (slot, connection, _stores_end) = open(&pool, &listener).await;
        tokio::time::pause();
        slot.give_back(connection);
        tokio::time::advance(POOL_IDLE - Duration::from_millis(1)).await;
        let slot = pool.slot(Duration::ZERO).await.unwrap();
        let connection = slot.idle().expect("it is as good as new");
        slot.give_back(connection);
        tokio::time::advance(POOL_IDLE).await;
        assert!(idle(&pool).await.is_none());
    }

    #[tokio::test]
    async fn a_connection_that_the_store_has_closed_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(None);
        let (slot, mut connection, stores_end) = open(&pool, &listener).await;
        assert!(connection.is_quiet());
        drop(stores_end);
        while connection.is_quiet() {
            tokio::task::yield_now().await;
        }
        slot.give_back(connection);
        assert!(idle(&pool).await.is_none());
    }

    #[tokio::test]
    async fn idle_connections_are_closed_when_their_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(None);
        let (slot, connection, mut stores_end) = open(&pool, &listener).await;
        tokio::time::pause();
        slot.give_back(connection);
        // Time passes by itself while everybody waits for it.
        assert_eq!(stores_end.read(&mut [0]).await.unwrap(), 0, "closed");
        assert_eq!(count(&pool), 0);
        assert!(!lock(&pool.idle).is_swept, "and nobody looks after none");
    }

    #[tokio::test]
    async fn a_slot_is_waited_for_and_the_connection_comes_with_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(Some(1));
        let (slot, connection, _stores_end) = open(&pool, &listener).await;
        assert!(pool.slot(Duration::ZERO).await.is_none());
        let next = tokio::spawn({
            let pool = pool.clone();
            async move { pool.slot(Duration::from_secs(10)).await }
        });
        slot.give_back(connection);
        let slot = next.await.unwrap().unwrap();
        assert!(slot.idle().is_some(), "not a second one");
        drop(slot);
        assert!(pool.slot(Duration::ZERO).await.is_some(), "free again");
    }
}
