//! Is a client's connection being used, or is somebody just holding it?
//!
//! hyper knows of half of this, and `auto` connections of nothing until their first bytes, so it is watched here for
//! all alike: from what passes the socket and from the requests that begin and end.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What goes on on one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    request_header_timeout: Duration,
    idle_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    requests: usize,
    http2: bool,
    /// Since when the client takes nothing of what we have for it.
    write_blocked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Quiet,
    /// A header has begun to arrive, or, on a new connection, ought to.
    Header,
    /// A request is being answered.
    Busy,
}

/// Why a connection should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// No request for too long.
    Idle,
    /// A request's header took too long.
    HeaderTimeout,
    /// The client stopped reading.
    WriteStalled,
}

impl Activity {
    pub(crate) fn new(request_header_timeout: Duration, idle_timeout: Duration) -> Arc<Self> {
        let state =
            State { phase: Phase::Header, since: Instant::now(), requests: 0, http2: false, write_blocked: None };
        Arc::new(Self { request_header_timeout, idle_timeout, state: Mutex::new(state) })
    }

    /// A request has begun; it ends when the returned value is dropped.
    pub(crate) fn request(self: &Arc<Self>, http2: bool) -> Busy {
        let mut state = self.state();
        state.requests += 1;
        state.phase = Phase::Busy;
        state.http2 = http2;
        Busy(Arc::clone(self))
    }

    /// When the connection will be stale unless something happens, and why.
    fn deadline(&self) -> Option<(Instant, Stale)> {
        let state = self.state();
        if let Some(since) = state.write_blocked {
            return Some((since + self.idle_timeout, Stale::WriteStalled));
        }
        match state.phase {
            Phase::Quiet => Some((state.since + self.idle_timeout, Stale::Idle)),
            Phase::Header => Some((state.since + self.request_header_timeout, Stale::HeaderTimeout)),
            Phase::Busy => None,
        }
    }

    /// Ready when the connection is stale. To be polled after the connection, whose polling is what changes things.
    pub(crate) async fn stale(&self, mut timer: Pin<&mut Sleep>) -> Stale {
        poll_fn(|cx| {
            if let Some((at, _)) = self.deadline()
                && at < timer.deadline()
            {
                timer.as_mut().reset(at);
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                let now = Instant::now();
                match self.deadline() {
                    Some((at, why)) if at <= now => return Poll::Ready(why),
                    Some((at, _)) => timer.as_mut().reset(at),
                    None => timer.as_mut().reset(now + self.idle_timeout),
                }
            }
        })
        .await
    }

    fn read(&self) {
        let mut state = self.state();
        // HTTP/2 has frames that begin no request.
        if state.phase == Phase::Quiet && !state.http2 {
            state.phase = Phase::Header;
            state.since = Instant::now();
        }
    }

    fn wrote(&self, blocked: bool) {
        let mut state = self.state();
        match (blocked, state.write_blocked) {
            (false, Some(_)) => state.write_blocked = None,
            (true, None) => state.write_blocked = Some(Instant::now()),
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request that is being answered.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests = state.requests.saturating_sub(1);
        if state.requests == 0 {
            state.phase = Phase::Quiet;
            state.since = Instant::now();
        }
    }
}

/// A connection of which is noted what is read, which must be what the client said and nothing else: with TLS, what is
/// inside of it, for TLS has messages of its own.
#[derive(Debug)]
pub(crate) struct WatchedReads<T> {
    connection: T,
    activity: Arc<Activity>,
}

/// A socket of which is noted whether it can be written to: with TLS, the one below it, for TLS has buffers of its own.
#[derive(Debug)]
pub(crate) struct WatchedWrites<T> {
    socket: T,
    activity: Arc<Activity>,
}

impl<T> WatchedReads<T> {
    pub(crate) fn new(connection: T, activity: Arc<Activity>) -> Self {
        Self { connection, activity }
    }
}

impl<T> WatchedWrites<T> {
    pub(crate) fn new(socket: T, activity: Arc<Activity>) -> Self {
        Self { socket, activity }
    }

    fn note<R>(&self, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        self.activity.wrote(written.is_pending());
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedReads<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.connection).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.activity.read();
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedReads<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedWrites<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedWrites<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    async fn stale(activity: &Activity) -> (Stale, Duration) {
        let started = Instant::now();
        let timer = std::pin::pin!(sleep_until(started + IDLE));
        (activity.stale(timer).await, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_must_send_a_header() {
        let activity = Activity::new(HEADER, IDLE);
        assert_eq!(stale(&activity).await, (Stale::HeaderTimeout, HEADER));
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_connection_may_idle() {
        let activity = Activity::new(HEADER, IDLE);
        drop(activity.request(false));
        assert_eq!(stale(&activity).await, (Stale::Idle, IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_of_a_next_header_starts_its_clock() {
        let activity = Activity::new(HEADER, IDLE);
        drop(activity.request(false));
        advance(IDLE / 2).await;
        activity.read();
        assert_eq!(stale(&activity).await, (Stale::HeaderTimeout, HEADER));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_begin_no_header() {
        let activity = Activity::new(HEADER, IDLE);
        drop(activity.request(true));
        activity.read();
        assert_eq!(stale(&activity).await, (Stale::Idle, IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_request_is_never_stale_unless_its_client_stops_reading() {
        let activity = Activity::new(HEADER, IDLE);
        let one = activity.request(false);
        let two = activity.request(false);
        drop(one);
        assert!(tokio::time::timeout(IDLE * 10, stale(&activity)).await.is_err());
        activity.wrote(true);
        activity.wrote(true);
        activity.wrote(false);
        activity.wrote(true);
        assert_eq!(stale(&activity).await, (Stale::WriteStalled, IDLE));
        drop(two);
    }
}
