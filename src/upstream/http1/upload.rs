//! A request's body on its way to the store.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Body;
use tokio::time::{Sleep, sleep};

use super::connection::Connection;
use super::request::{Framing, write_headers};
use crate::layer::BoxError;

/// How long a client that expects `100 Continue` is kept waiting where the store says nothing: it may be one that does
/// not know the header (RFC 9110, section 10.1.1). As long as clients themselves wait.
const CONTINUE_AFTER: Duration = Duration::from_secs(1);

/// The client's body, asked for only when the store wants it.
///
/// hyper tells the client to continue when the body is first polled, so not polling it is what keeps `Expect:
/// 100-continue` whole from end to end.
pub(super) struct Upload<B> {
    /// None once it is over.
    body: Option<B>,
    framing: Framing,
    /// The trailers that may follow.
    trailers: Vec<HeaderName>,
    /// How many bytes of a known length are yet to come.
    left: u64,
    /// Whether the store has yet to say that it wants the body.
    is_held: bool,
    patience: Option<Pin<Box<Sleep>>>,
    /// Whether the client's next piece is waited for.
    is_clients_turn: bool,
}

/// Why a body did not arrive whole.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The store takes no more of it.
    Write(io::Error),
    /// The client's body failed.
    Body(BoxError),
    /// It has another length than was announced.
    Length,
}

/// The rest of a body, of whatever kind, that is sent while the answer comes already.
pub(super) trait Rest: Send {
    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<Result<(), UploadError>>;
}

impl<B> Upload<B> {
    pub(super) fn new(body: B, framing: Framing, trailers: Vec<HeaderName>, is_held: bool) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Self { body: Some(body), framing, trailers, left, is_held, patience: None, is_clients_turn: false }
    }

    /// The store wants the body.
    pub(super) fn release(&mut self) {
        self.is_held = false;
    }

    /// Whether the client was not asked for its body yet.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    pub(super) fn is_clients_turn(&self) -> bool {
        self.is_clients_turn
    }

    /// The body, of which nothing was asked for yet.
    pub(super) fn into_body(self) -> Option<B> {
        self.body
    }
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Sends what can be sent; ready once all of it, or of a request without a body its head, is sent.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<Result<(), UploadError>> {
        loop {
            self.is_clients_turn = false;
            ready!(connection.poll_write(cx)).map_err(UploadError::Write)?;
            if self.framing == Framing::Empty {
                self.body = None;
            }
            let Some(body) = &mut self.body else {
                return connection.poll_flush(cx).map_err(UploadError::Write);
            };
            if self.is_held {
                // The head must be there for the store to say something.
                ready!(connection.poll_flush(cx)).map_err(UploadError::Write)?;
                let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(CONTINUE_AFTER)));
                ready!(patience.as_mut().poll(cx));
                self.is_held = false;
            }
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => {
                    ready!(connection.poll_flush(cx)).map_err(UploadError::Write)?;
                    self.is_clients_turn = true;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.body = None;
                    return Poll::Ready(Err(UploadError::Body(error.into())));
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.send(data, connection)?,
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.end(&trailers, connection)?;
                    }
                },
                Poll::Ready(None) => self.end(&HeaderMap::new(), connection)?,
            }
        }
    }

    fn send(&mut self, data: Bytes, connection: &mut Connection) -> Result<(), UploadError> {
        if data.is_empty() {
            return Ok(());
        }
        if let Framing::Length(_) = self.framing {
            self.left = self.left.checked_sub(data.len() as u64).ok_or(UploadError::Length)?;
            if self.left == 0 {
                self.body = None;
            }
        } else {
            connection.put(format!("{:x}\r\n", data.len()).as_bytes());
            connection.tail = b"\r\n";
        }
        connection.data = data;
        Ok(())
    }

    fn end(&mut self, trailers: &HeaderMap, connection: &mut Connection) -> Result<(), UploadError> {
        self.body = None;
        match self.framing {
            Framing::Length(_) if self.left > 0 => Err(UploadError::Length),
            Framing::Length(_) | Framing::Empty => Ok(()),
            Framing::Chunked => {
                connection.put(b"0\r\n");
                write_headers(&mut connection.head, trailers, |name| self.trailers.contains(name));
                connection.put(b"\r\n");
                Ok(())
            }
        }
    }
}

impl<B> Rest for Upload<B>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<Result<(), UploadError>> {
        Upload::poll(self, cx, connection)
    }
}
