//! The bodies that the server's own layers wrap around others.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::timeout;

use crate::layer::BoxError;

pin_project! {
    /// A body that keeps something until it has ended or is dropped.
    #[derive(Debug)]
    pub struct Guarded<B, G> {
        #[pin]
        body: B,
        guard: Option<G>,
    }
}

impl<B: Body, G> Guarded<B, G> {
    pub(crate) fn new(body: B, guard: G) -> Self {
        let guard = (!body.is_end_stream()).then_some(guard);
        Self { body, guard }
    }
}

impl<B: Body, G> Body for Guarded<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
            *this.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// A body from further in, or one of a layer's own.
    #[derive(Debug)]
    pub struct OrOwn<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { #[pin] body: Full<Bytes> },
    }
}

impl<B> OrOwn<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) fn own(body: Full<Bytes>) -> Self {
        Self { kind: Kind::Own { body } }
    }
}

impl<B: Body<Data = Bytes>> Body for OrOwn<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Own { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { body } => body.size_hint(),
        }
    }
}

/// How long the rest of a body that nobody wants is still read and thrown away. A client mostly reads the answer only
/// after it has sent everything, and closing on what is underway would take the answer from it.
const LINGER: Duration = Duration::from_secs(5);

/// A request's body as it comes from the client.
#[derive(Debug)]
pub struct Inbound {
    body: Option<Incoming>,
    http2: bool,
    continuation: Option<Continuation>,
}

/// Whether a client that waits for `100 Continue` was told to: it is when its body is first asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Continuation(Arc<AtomicBool>);

impl Continuation {
    pub(crate) fn was_told(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Inbound {
    pub(crate) fn new(body: Incoming, http2: bool, continuation: Option<Continuation>) -> Self {
        Self { body: Some(body), http2, continuation }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(continuation) = &this.continuation {
            continuation.0.store(true, Ordering::Release);
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => {
                this.body = None;
                Some(Err(error.into()))
            }
            None => {
                // hyper takes a stream that was reset with NO_ERROR for one that has ended. From a client that is an
                // upload given up, and half an object must not look like a whole one.
                let whole = !this.http2 || body.is_end_stream();
                this.body = None;
                (!whole).then(|| Err(io::Error::from(io::ErrorKind::ConnectionReset).into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // An HTTP/2 stream ends alone, and a client that was not told to continue sends nothing.
        if self.http2 || self.continuation.as_ref().is_some_and(|continuation| !continuation.was_told()) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(LINGER, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// A client or the store stopped in the middle of a body.
#[derive(Debug)]
pub struct BodyIdle {
    limit: Duration,
    /// What readers of any layer know a time-out by.
    kind: io::Error,
}

impl BodyIdle {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, kind: io::ErrorKind::TimedOut.into() }
    }
}

impl fmt::Display for BodyIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing came of a body for {:?}", self.limit)
    }
}

impl std::error::Error for BodyIdle {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}
