//! A request's body on its way to the store.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::flow::{Flow, Gate};
use crate::layer::BoxError;

/// How long a client that expects `100 Continue` is kept waiting where the store says nothing: it may be one that does
/// not know the header (RFC 9110, section 10.1.1). As long as clients themselves wait.
const CONTINUE_AFTER: Duration = Duration::from_secs(1);

/// The client's body, asked for only when the store wants it.
///
/// hyper tells the client to continue when the body is first polled, so not polling it is what keeps `Expect:
/// 100-continue` whole from end to end.
pub(crate) struct Upload<B> {
    body: Option<B>,
    flow: Option<Arc<Flow>>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl<B> Upload<B> {
    /// `flow` is there unless the body is known to be empty.
    pub(crate) fn new(body: B, flow: Option<Arc<Flow>>) -> Self {
        Self { body: Some(body), flow, patience: None }
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(flow) = &this.flow else {
            return match &mut this.body {
                Some(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
                None => Poll::Ready(None),
            };
        };
        loop {
            match flow.gate() {
                Gate::Open => break,
                Gate::Shut => {
                    let patience = this.patience.get_or_insert_with(|| Box::pin(sleep(CONTINUE_AFTER)));
                    if patience.as_mut().poll(cx).is_ready() {
                        flow.move_gate(Gate::Open);
                        continue;
                    }
                }
                Gate::Refused => this.body = None,
                Gate::Over => {
                    this.body = None;
                    return Poll::Ready(Some(Err(Box::new(NoLongerWanted))));
                }
            }
            let seen = flow.gate();
            flow.wait(cx.waker());
            // It may have moved before there was anybody to wake.
            if flow.gate() == seen && seen != Gate::Over {
                return Poll::Pending;
            }
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                flow.stores_turn();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                flow.body_failed();
                this.body = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                flow.stores_turn();
                this.body = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                flow.clients_turn();
                flow.wait(cx.waker());
                if flow.gate() == Gate::Over {
                    this.body = None;
                    return Poll::Ready(Some(Err(Box::new(NoLongerWanted))));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // A body that was given up is not one that has ended.
        let given_up = self.flow.as_ref().is_some_and(|flow| matches!(flow.gate(), Gate::Refused | Gate::Over));
        !given_up && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Ends a body that the store answered without having read it, and with it the connection.
#[derive(Debug)]
struct NoLongerWanted;

impl fmt::Display for NoLongerWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the exchange was over before the request's body was")
    }
}

impl std::error::Error for NoLongerWanted {}
