//! A body that stops moving is given up: [`BodyIdleLayer`]. How long it takes as a whole does not matter.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{BodyIdle, OrOwn};
use crate::layer::BoxError;
use crate::s3::error::ErrorCode;
use crate::upstream::RequestBodyFailed;
use crate::upstream::respond::error_response;

/// Limits the pause between two pieces of a body, of requests and of answers alike.
///
/// The clock runs only while a piece is waited for, so backpressure from the other side does not count. A request whose
/// body stopped is answered `400 RequestTimeout`, and one whose body broke off, `400 IncompleteBody`, should the client
/// still listen; an answer that stopped is broken off.
#[derive(Clone, Copy, Debug)]
pub struct BodyIdleLayer {
    limit: Duration,
}

impl BodyIdleLayer {
    /// With a limit for each pause.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for BodyIdleLayer {
    type Service = BodyIdleService<S>;

    fn layer(&self, inner: S) -> BodyIdleService<S> {
        BodyIdleService { inner, limit: self.limit }
    }
}

/// What [`BodyIdleLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct BodyIdleService<S> {
    inner: S,
    limit: Duration,
}

impl<S, B, ResB> Service<Request<B>> for BodyIdleService<S>
where
    S: Service<Request<Moving<B>>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<OrOwn<Moving<ResB>>>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let uri = request.uri().clone();
        let inner = self.inner.call(request.map(|body| Moving::new(body, self.limit)));
        ResponseFuture { inner, limit: self.limit, uri }
    }
}

pin_project! {
    /// The future of [`BodyIdleService`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        limit: Duration,
        uri: Uri,
    }
}

impl<F, ResB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<OrOwn<Moving<ResB>>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.inner.poll(cx).map(|result| match result {
            Ok(response) => Ok(response.map(|body| OrOwn::inner(Moving::new(body, *this.limit)))),
            Err(error) => {
                let error = error.into();
                let code = if stopped(error.as_ref()) {
                    ErrorCode::RequestTimeout
                } else if error.is::<RequestBodyFailed>() {
                    ErrorCode::IncompleteBody
                } else {
                    return Err(error);
                };
                let mut response = error_response(&code.into(), this.uri.path());
                // The rest of the body may come yet, and would be read as a request.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                Ok(response.map(OrOwn::own))
            }
        })
    }
}

fn stopped(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<BodyIdle>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A body that fails when it stops moving.
#[derive(Debug)]
pub struct Moving<B> {
    body: B,
    limit: Duration,
    /// Made when a piece is first waited for: most bodies are there already.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<B> Moving<B> {
    fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, timer: None, waiting: false }
    }
}

impl<B> Body for Moving<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !this.waiting {
            this.waiting = true;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx).map(|()| Some(Err(Box::new(BodyIdle::new(limit)) as BoxError)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;
    use tokio::sync::mpsc;
    use tokio::time::advance;

    use super::*;

    struct Channel(mpsc::Receiver<&'static str>);

    impl Body for Channel {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    const LIMIT: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_passes_as_long_as_it_moves() {
        let (sender, receiver) = mpsc::channel(1);
        let mut body = Moving::new(Channel(receiver), LIMIT);
        for _ in 0..5 {
            let (frame, ()) = tokio::join!(body.frame(), async {
                tokio::task::yield_now().await;
                advance(LIMIT - Duration::from_millis(1)).await;
                sender.send("piece").await.unwrap();
            });
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "piece");
        }
        drop(sender);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_fails_and_says_why() {
        let (_sender, receiver) = mpsc::channel(1);
        let mut body = Moving::new(Channel(receiver), LIMIT);
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(stopped(error.as_ref()), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_asked_does_not_count() {
        let (sender, receiver) = mpsc::channel(1);
        let mut body = Moving::new(Channel(receiver), LIMIT);
        sender.send("one").await.unwrap();
        body.frame().await.unwrap().unwrap();
        advance(LIMIT * 3).await;
        sender.send("two").await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
    }
}
