//! A request and its answer on one connection.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::chunked::{Chunked, ChunkedError, Piece};
use super::connection::{Connection, READ, READ_MOST};
use super::request::{Framing, announced_trailers, write_head};
use super::response::{Extent, HeadError, MAX_HEAD, ResponseHead};
use super::upload::{Rest, Upload, UploadError};
use crate::layer::BoxError;

/// A request that is being sent.
pub(in crate::upstream) struct Exchange<B> {
    connection: Box<Connection>,
    request: Parts,
    upload: Upload<B>,
    stage: Stage,
    /// Since when it is the store's turn: since the last it took of the request.
    since: Instant,
    /// How much of the input was looked at and has no whole head.
    seen: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The request is on its way.
    Sending,
    /// All of it is sent.
    Sent,
    /// The store takes no more of it, but may have said why.
    Abandoned,
}

/// Why there is no answer.
pub(in crate::upstream) enum Failure<B> {
    /// The connection had ended before anything of the request was sent, or asked of its body.
    Unsent(Box<Request<B>>, Broken),
    /// The request's own body failed.
    Body(BoxError),
    /// The connection ended, or the store spoke nonsense.
    Broken(Broken),
    /// The store said nothing for so long.
    TimedOut(Duration),
}

/// An unsent request has its caller's headers and its body, which are nobody's to see.
impl<B> fmt::Debug for Failure<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(_, broken) => f.debug_tuple("Unsent").field(broken).finish(),
            Self::Body(error) => f.debug_tuple("Body").field(error).finish(),
            Self::Broken(broken) => f.debug_tuple("Broken").field(broken).finish(),
            Self::TimedOut(limit) => f.debug_tuple("TimedOut").field(limit).finish(),
        }
    }
}

/// What became of a connection.
#[derive(Debug)]
pub(in crate::upstream) enum Broken {
    Read(io::Error),
    Write(io::Error),
    /// The store closed it.
    Closed,
    Head(HeadError),
    Chunked(ChunkedError),
    /// The request's body has another length than its head says.
    Length,
    /// The store said that all is well before it had all of the request.
    Early,
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    pub(in crate::upstream) fn new(mut connection: Box<Connection>, request: Request<B>) -> Self {
        let (mut request, body) = request.into_parts();
        let framing = Framing::settle(&mut request.headers, &body);
        write_head(&mut connection.head, &request);
        let trailers = if framing == Framing::Chunked { announced_trailers(&request.headers) } else { Vec::new() };
        let is_held = framing != Framing::Empty && expects_continue(&request.headers);
        let upload = Upload::new(body, framing, trailers, is_held);
        Self { connection, request, upload, stage: Stage::Sending, since: Instant::now(), seen: 0 }
    }

    /// Sends the request, and waits for the answer's head: for `limit` each time it is the store's turn.
    ///
    /// # Errors
    /// [`Failure`].
    pub(in crate::upstream) async fn answer(mut self, limit: Duration) -> Result<(ResponseHead, Incoming), Failure<B>> {
        match poll_fn(|cx| self.poll_head(cx, limit)).await {
            Ok(head) => self.receive(head).map_err(Failure::Broken),
            Err(Fault::Broken(broken)) if self.connection.written == 0 => {
                // INVARIANT: a body is asked for once the head is written.
                let Some(body) = self.upload.into_body() else { return Err(Failure::Broken(broken)) };
                Err(Failure::Unsent(Box::new(Request::from_parts(self.request, body)), broken))
            }
            Err(Fault::Broken(broken)) => Err(Failure::Broken(broken)),
            Err(Fault::Body(error)) => Err(Failure::Body(error)),
            Err(Fault::TimedOut) => Err(Failure::TimedOut(limit)),
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<Result<ResponseHead, Fault>> {
        loop {
            if self.stage == Stage::Sending {
                self.send(cx)?;
            }
            match self.take_head().map_err(|error| Fault::Broken(Broken::Head(error)))? {
                Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    // Nobody asked for that.
                    return Poll::Ready(Err(Fault::Broken(Broken::Head(HeadError::Status(101)))));
                }
                Some(head) if head.status.is_informational() => {
                    if head.status == StatusCode::CONTINUE {
                        self.upload.release();
                    }
                    continue;
                }
                Some(head) => return Poll::Ready(Ok(head)),
                None => {}
            }
            match self.connection.poll_read(cx, READ) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Fault::Broken(Broken::Closed))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Broken(Broken::Read(error)))),
                Poll::Pending if self.stage == Stage::Sending && self.upload.is_clients_turn() => return Poll::Pending,
                Poll::Pending => {
                    let deadline = self.since + limit;
                    ready!(self.connection.poll_deadline(cx, deadline));
                    return Poll::Ready(Err(Fault::TimedOut));
                }
            }
        }
    }

    /// A head is read from its beginning, so it is only once another of its lines has come: it may come byte by byte.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, HeadError> {
        let input = &mut self.connection.input;
        let has_more = input.get(self.seen..).is_some_and(|fresh| memchr::memchr(b'\n', fresh).is_some());
        let head = if has_more || input.len() > MAX_HEAD { ResponseHead::take(input)? } else { None };
        self.seen = if head.is_some() { 0 } else { input.len() };
        Ok(head)
    }

    /// Sends what can be sent, and notes whose turn it is.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let written = self.connection.written;
        match self.upload.poll(cx, &mut self.connection) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.stage = Stage::Sent,
            Poll::Ready(Err(UploadError::Body(error))) => return Err(Fault::Body(error)),
            Poll::Ready(Err(UploadError::Length)) => return Err(Fault::Broken(Broken::Length)),
            Poll::Ready(Err(UploadError::Write(error))) if self.connection.written == 0 => {
                return Err(Fault::Broken(Broken::Write(error)));
            }
            Poll::Ready(Err(UploadError::Write(_))) => self.stage = Stage::Abandoned,
        }
        if self.connection.written != written || self.upload.is_clients_turn() {
            self.since = Instant::now();
        }
        Ok(())
    }

    fn receive(self, head: ResponseHead) -> Result<(ResponseHead, Incoming), Broken> {
        let left = Left::from(head.extent(&self.request.method).map_err(Broken::Head)?);
        let keeps_alive = self.stage != Stage::Abandoned && left != Left::Close && head.keeps_alive();
        // Success of half a request is none: were the rest not sent, nobody would know.
        let needs_all = head.status.is_success() && !self.upload.is_held();
        if needs_all && self.stage == Stage::Abandoned {
            return Err(Broken::Early);
        }
        // What was not asked for by now never will be.
        let rest = (self.stage == Stage::Sending).then(|| Box::new(self.upload) as Box<dyn Rest>);
        let connection = Some(self.connection);
        let mut incoming = Incoming { connection, left, rest, needs_all, keeps_alive, is_over: false };
        if left == Left::Length(0) {
            incoming.end()?;
        }
        Ok((head, incoming))
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

enum Fault {
    Body(BoxError),
    Broken(Broken),
    TimedOut,
}

/// An answer's body as it comes from the store.
pub(in crate::upstream) struct Incoming {
    /// None once it failed, or somebody has taken it for another request.
    connection: Option<Box<Connection>>,
    left: Left,
    /// What is yet to be sent of the request.
    rest: Option<Box<dyn Rest>>,
    /// Whether the answer counts only if all of the request was sent.
    needs_all: bool,
    keeps_alive: bool,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Length(u64),
    Chunked(Chunked),
    Close,
}

impl From<Extent> for Left {
    fn from(extent: Extent) -> Self {
        match extent {
            Extent::Length(length) => Self::Length(length),
            Extent::Chunked => Self::Chunked(Chunked::default()),
            Extent::Close => Self::Close,
        }
    }
}

impl Incoming {
    /// The connection, where the answer is over and it is good for another request.
    pub(in crate::upstream) fn take_connection(&mut self) -> Option<Box<Connection>> {
        if !self.is_over || !self.keeps_alive {
            return None;
        }
        let mut connection = self.connection.take()?;
        connection.rest();
        Some(connection)
    }

    fn end(&mut self) -> Result<(), Broken> {
        if self.needs_all && self.rest.is_some() {
            return Err(Broken::Early);
        }
        self.is_over = true;
        // A request that is not all sent yet, or an answer to none, leave nothing to go on with.
        let is_done = self.rest.take().is_none();
        self.keeps_alive &= is_done && self.connection.as_ref().is_some_and(|connection| connection.input.is_empty());
        if !self.keeps_alive {
            self.connection = None;
        }
        Ok(())
    }

    /// The rest of the request goes on while the answer comes.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        if let (Some(rest), Some(connection)) = (&mut self.rest, &mut self.connection) {
            match rest.poll(cx, connection) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.rest = None,
                Poll::Ready(Err(UploadError::Write(_))) if self.needs_all => return Err(Broken::Early),
                // The store has said what it has to say, and takes no more.
                Poll::Ready(Err(UploadError::Write(_))) => {
                    self.rest = None;
                    self.keeps_alive = false;
                }
                // The client is gone, or sends what it should not: what the store makes of the half must not look whole.
                Poll::Ready(Err(UploadError::Body(error))) => return Err(Broken::Write(io::Error::other(error))),
                Poll::Ready(Err(UploadError::Length)) => return Err(Broken::Length),
            }
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Broken>> {
        if self.is_over {
            return Poll::Ready(Ok(None));
        }
        self.poll_rest(cx)?;
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
            match &mut self.left {
                Left::Length(left) if !connection.input.is_empty() => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(connection.input.len());
                    *left = left.saturating_sub(length as u64);
                    let data = connection.input.split_to(length).freeze();
                    if *left == 0 {
                        self.end()?;
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Left::Chunked(chunked) => match chunked.next(&mut connection.input).map_err(Broken::Chunked)? {
                    Some(Piece::Data(data)) => return Poll::Ready(Ok(Some(Frame::data(data)))),
                    Some(Piece::End(trailers)) => {
                        self.end()?;
                        return Poll::Ready(Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers))));
                    }
                    None => {}
                },
                Left::Close if !connection.input.is_empty() => {
                    return Poll::Ready(Ok(Some(Frame::data(connection.input.split().freeze()))));
                }
                Left::Length(_) | Left::Close => {}
            }
            let size = match self.left {
                Left::Length(left) => usize::try_from(left).unwrap_or(READ_MOST).clamp(READ, READ_MOST),
                Left::Chunked(_) | Left::Close => READ_MOST / 4,
            };
            if ready!(connection.poll_read(cx, size)).map_err(Broken::Read)? == 0 {
                if self.left != Left::Close {
                    return Poll::Ready(Err(Broken::Closed));
                }
                self.end()?;
                return Poll::Ready(Ok(None));
            }
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = ready!(self.poll(cx));
        if polled.is_err() {
            self.is_over = true;
            self.keeps_alive = false;
            self.connection = None;
            self.rest = None;
        }
        Poll::Ready(polled.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Left::Length(left) => SizeHint::with_exact(left),
            Left::Chunked(_) | Left::Close => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("left", &self.left).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "reading the answer failed: {error}"),
            Self::Write(error) => write!(f, "sending the request failed: {error}"),
            Self::Closed => f.write_str("the store closed the connection before the answer was complete"),
            Self::Head(error) => error.fmt(f),
            Self::Chunked(error) => error.fmt(f),
            Self::Length => f.write_str("the request's body has another length than was announced"),
            Self::Early => f.write_str("the store answered with success before it had all of the request"),
        }
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read(error) | Self::Write(error) => Some(error),
            Self::Head(error) => Some(error),
            Self::Chunked(error) => Some(error),
            Self::Closed | Self::Length | Self::Early => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_not_sent_is_not_shown() {
        let request = Request::put("http://s3/photos/a?X-Amz-Signature=query-secret")
            .header("authorization", "header-secret")
            .header("x-amz-server-side-encryption-customer-key", "header-secret")
            .body("body-secret")
            .unwrap();
        let failure = Failure::Unsent(Box::new(request), Broken::Closed);
        let shown = format!("{failure:?} {failure:#?}");
        assert!(shown.contains("Closed"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
