//! The one place where layers are put around the upstream client: every layer a request passes, from the outside in.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_service::Service;

use super::body::Inbound;
use super::idle::{BodyIdleLayer, Moving};
use super::in_flight::InFlightLayer;
use super::rescue;
use crate::layer::{BoxError, BucketPolicyLayer, RequestBody};
use crate::spans::Tracer;
use crate::telemetry::access_log::{AccessLogLayer, Counted};
use crate::upstream::UpstreamClient;

/// What the stack needs to know.
#[derive(Clone, Debug)]
pub struct StackSettings {
    /// Bounds the requests at once, over all stacks that share it.
    pub in_flight: InFlightLayer,
    /// How long a body may stand still.
    pub body_idle_timeout: Duration,
    /// Begins the traces of requests; none for no traces.
    pub tracer: Option<Tracer>,
}

/// What reaches the store's client of a request's body.
pub type Outbound = RequestBody<Moving<Counted<Inbound>>>;

/// A service that the data listener can serve.
pub trait DataService:
    Service<Request<Inbound>, Response = Response<Self::Body>, Error = BoxError, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// Its answers' bodies.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> DataService for S
where
    S: Service<Request<Inbound>, Response = Response<B>, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// The service that the data listener serves.
pub fn stack(
    settings: StackSettings,
    policies: BucketPolicyLayer,
    upstream: UpstreamClient<Outbound>,
) -> impl DataService {
    ServiceBuilder::new()
        // Outermost, so that its line tells what the client got, whoever said it, and how much of it.
        .layer(AccessLogLayer::new(settings.tracer))
        // Around all that decides or forwards: a defect costs its own request, which is told so, and nothing passes by it.
        .layer(CatchPanicLayer::custom(rescue::answer))
        // Before anything that costs: what cannot be held is refused with next to no work.
        .layer(settings.in_flight)
        // Around all that reads bodies, so that no reader further in can be kept waiting for ever.
        .layer(BodyIdleLayer::new(settings.body_idle_timeout))
        // Right before the store: what passes here is all that the store ever sees.
        .layer(policies)
        .service(upstream)
}
