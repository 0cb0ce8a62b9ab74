//! No more requests at once than we can hold: [`InFlightLayer`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use metrics::Counter;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{Guarded, OrOwn};
use crate::meters;
use crate::s3::error::ErrorCode;
use crate::upstream::respond::error_response;

/// Answers `503 SlowDown` at once when too many requests are under way. One is under way until its answer's body has
/// been sent.
#[derive(Clone, Debug)]
pub struct InFlightLayer {
    places: Arc<Semaphore>,
    limit: usize,
    refused: Counter,
}

impl InFlightLayer {
    /// For at most `limit` requests at once, over all services of this layer.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let refused = meters::LIMITED.counter(&["max_in_flight"]);
        Self { places: Arc::new(Semaphore::new(limit)), limit, refused }
    }

    /// How many may be under way at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.limit.saturating_sub(self.places.available_permits())
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, places: Arc::clone(&self.places), refused: self.refused.clone() }
    }
}

/// What [`InFlightLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct InFlight<S> {
    inner: S,
    places: Arc<Semaphore>,
    refused: Counter,
}

impl<S, B, ResB> Service<Request<B>> for InFlight<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<OrOwn<Guarded<ResB, Option<OwnedSemaphorePermit>>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => ResponseFuture { kind: Kind::Running { inner: self.inner.call(request), place: Some(place) } },
            Err(_) => {
                self.refused.increment(1);
                ResponseFuture { kind: Kind::Full { path: request.uri().path().to_owned() } }
            }
        }
    }
}

pin_project! {
    /// The future of [`InFlight`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<F> {
        // The place is the answer's body's, once there is one.
        Running { #[pin] inner: F, place: Option<OwnedSemaphorePermit> },
        Full { path: String },
    }
}

impl<F, ResB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    ResB: Body<Data = Bytes>,
{
    type Output = Result<Response<OrOwn<Guarded<ResB, Option<OwnedSemaphorePermit>>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Running { inner, place } => {
                let response = ready!(inner.poll(cx))?;
                let place = place.take();
                Poll::Ready(Ok(response.map(|body| OrOwn::inner(Guarded::new(body, place)))))
            }
            KindProj::Full { path } => {
                Poll::Ready(Ok(error_response(&ErrorCode::SlowDown.into(), path).map(OrOwn::own)))
            }
        }
    }
}
