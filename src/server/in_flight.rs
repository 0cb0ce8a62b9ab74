//! No more requests at once than we can hold: [`InFlightLayer`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use metrics::Gauge;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{Guarded, OrOwn};
use crate::s3::error::ErrorCode;
use crate::upstream::respond::error_response;

/// Answers `503 SlowDown` at once when too many requests are under way. One is under way until its answer's body has
/// been sent.
#[derive(Clone, Debug)]
pub struct InFlightLayer {
    places: Places,
}

#[derive(Clone, Debug)]
struct Places {
    free: Arc<Semaphore>,
    taken: Gauge,
}

/// A request's place, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    taken: Gauge,
}

impl Places {
    fn take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        self.taken.increment(1);
        Some(Place { _permit: permit, taken: self.taken.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.decrement(1);
    }
}

impl InFlightLayer {
    /// For at most `limit` requests at once, over all services of this layer.
    pub fn new(limit: usize) -> Self {
        let free = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Self { places: Places { free, taken: metrics::gauge!("portcullis_requests_in_flight") } }
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, places: self.places.clone() }
    }
}

/// What [`InFlightLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct InFlight<S> {
    inner: S,
    places: Places,
}

impl<S, B, ResB> Service<Request<B>> for InFlight<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<OrOwn<Guarded<ResB, Option<Place>>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.places.take() {
            Some(place) => {
                ResponseFuture { kind: Kind::Running { inner: self.inner.call(request), place: Some(place) } }
            }
            None => ResponseFuture { kind: Kind::Full { path: request.uri().path().to_owned() } },
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
        Running { #[pin] inner: F, place: Option<Place> },
        Full { path: String },
    }
}

impl<F, ResB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    ResB: Body<Data = Bytes>,
{
    type Output = Result<Response<OrOwn<Guarded<ResB, Option<Place>>>>, E>;

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
