//! An answer's body on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::balance::Load;
use super::http1::{Broken, Incoming};
use super::pool::Slot;
use crate::layer::BoxError;
use crate::spans::{Span, Value};

/// The body of an answer: the store's as it comes, or one of ours.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    // On the heap, since it passes through many hands on its way.
    Streamed(Box<Download>),
    Own(Full<Bytes>),
}

/// A load for the endpoint until it has ended, or nobody wants it any more; then the connection is for the next request,
/// and the span of this one ends.
#[derive(Debug)]
struct Download {
    body: Incoming,
    held: Option<(Slot, Load, Option<Span>)>,
}

impl Download {
    fn release(&mut self) {
        if let Some((slot, _load, _span)) = self.held.take()
            && let Some(connection) = self.body.take_connection()
        {
            slot.give_back(connection);
        }
    }
}

impl ResponseBody {
    pub(super) fn streamed(body: Incoming, slot: Slot, load: Load, span: Option<Span>) -> Self {
        let mut download = Box::new(Download { body, held: Some((slot, load, span)) });
        if download.body.is_end_stream() {
            download.release();
        }
        Self(Kind::Streamed(download))
    }

    pub(crate) fn own(body: Full<Bytes>) -> Self {
        Self(Kind::Own(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Streamed(download) => {
                let frame = ready!(Pin::new(&mut download.body).poll_frame(cx));
                if let (Some(Err(_)), Some((_, _, Some(span)))) = (&frame, &download.held) {
                    span.failed(Value::Word("broken"));
                }
                if download.body.is_end_stream() {
                    download.release();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Broken::into)))
            }
            Kind::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Streamed(download) => download.body.is_end_stream(),
            Kind::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Streamed(download) => download.body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}
