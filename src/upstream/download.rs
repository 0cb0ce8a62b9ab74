//! An answer's body on its way to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use super::balance::Load;
use super::flow::{Flow, Gate};

/// The body of an answer: the store's as it comes, or one of ours.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    Streamed { body: Incoming, exchange: Exchange },
    Own(Full<Bytes>),
}

/// Ends the request's body when the answer has ended, or when nobody wants it any more; until then it is a load for the
/// endpoint.
#[derive(Debug, Default)]
struct Exchange {
    flow: Option<Arc<Flow>>,
    _load: Option<Load>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(flow) = &self.flow {
            flow.move_gate(Gate::Over);
        }
    }
}

impl ResponseBody {
    pub(super) fn streamed(body: Incoming, load: Load, flow: Option<Arc<Flow>>) -> Self {
        Self(Kind::Streamed { body, exchange: Exchange { flow, _load: Some(load) } })
    }

    pub(crate) fn own(body: Full<Bytes>) -> Self {
        Self(Kind::Own(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Kind::Streamed { body, exchange } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if frame.is_none() {
                    drop(std::mem::take(exchange));
                }
                Poll::Ready(frame)
            }
            Kind::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Streamed { body, .. } => body.is_end_stream(),
            Kind::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Streamed { body, .. } => body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}
