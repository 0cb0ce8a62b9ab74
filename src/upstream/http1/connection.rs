//! A connection to the store, and what is on its way on it.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::upstream::connect::Stream;

/// What is read at once of an answer's head, in bytes, and with it of a small body.
pub(super) const READ: usize = 8 * 1024;

/// What is read at once of a large body, at most. More is no faster: the client's side gathers several of these before it
/// writes.
pub(super) const READ_MOST: usize = 256 * 1024;

/// One connection. It is closed when dropped.
pub(in crate::upstream) struct Connection {
    stream: Stream,
    /// What was read and not yet taken.
    pub(super) input: BytesMut,
    /// What is to be written first: heads and the sizes of chunks.
    pub(super) head: BytesMut,
    /// Then this piece of a body.
    pub(super) data: Bytes,
    /// And then what follows it.
    pub(super) tail: &'static [u8],
    /// How many bytes were written of the present request.
    pub(super) written: u64,
    /// Whether it has carried a request before, so that the store may have closed it by now, as it may an idle one.
    is_reused: bool,
    watchdog: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(in crate::upstream) fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            head: BytesMut::new(),
            data: Bytes::new(),
            tail: &[],
            written: 0,
            is_reused: false,
            watchdog: None,
        }
    }

    pub(in crate::upstream) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Keeps it for another request, without what a large body left behind.
    pub(super) fn rest(&mut self) {
        self.is_reused = true;
        self.written = 0;
        self.data = Bytes::new();
        if self.input.capacity() > READ {
            self.input = BytesMut::new();
        }
        if self.head.capacity() > READ {
            self.head = BytesMut::new();
        }
    }

    /// Whether the store has neither closed it nor said anything while nothing was asked.
    pub(in crate::upstream) fn is_quiet(&mut self) -> bool {
        if !self.input.is_empty() {
            return false;
        }
        // Out of tokio's budget, or a task that has looked at many connections would be told of none that it is closed.
        let read = pin!(unconstrained(poll_fn(|cx| self.poll_read(cx, READ))));
        read.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Reads what there is, with room for about `size` bytes: how many, none at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, size: usize) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < size / 2 {
            self.input.reserve(size);
        }
        pin!(self.stream.read_buf(&mut self.input)).poll(cx)
    }

    /// Writes all that is to be written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let written = match (self.head.is_empty(), self.data.is_empty(), self.tail.is_empty()) {
                (true, true, true) => return Poll::Ready(Ok(())),
                (false, true, true) => ready!(Pin::new(&mut self.stream).poll_write(cx, &self.head))?,
                (true, false, true) => ready!(Pin::new(&mut self.stream).poll_write(cx, &self.data))?,
                _ => {
                    let pieces = [IoSlice::new(&self.head), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                    ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &pieces))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
            self.advance(written);
        }
    }

    fn advance(&mut self, mut count: usize) {
        let head = count.min(self.head.len());
        if head == self.head.len() {
            // Its memory is for the next one.
            self.head.clear();
        } else {
            self.head.advance(head);
        }
        count -= head;
        let data = count.min(self.data.len());
        self.data.advance(data);
        self.tail.advance(count - data);
    }

    /// Hands on what was written, where something in between has kept it (TLS).
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ready once `deadline` has passed. A deadline is mostly not reached and the next one is later, so the timer is set to the
    /// first and looks for the last only then.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let watchdog = self.watchdog.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if watchdog.deadline() > deadline {
            watchdog.as_mut().reset(deadline);
        }
        loop {
            ready!(watchdog.as_mut().poll(cx));
            if watchdog.deadline() >= deadline {
                return Poll::Ready(());
            }
            watchdog.as_mut().reset(deadline);
        }
    }

    /// Adds what is to be written before the next piece of a body.
    pub(super) fn put(&mut self, text: &[u8]) {
        self.head.put_slice(text);
    }
}
