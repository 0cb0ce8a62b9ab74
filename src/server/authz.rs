//! Answers for proxies that carry the bytes themselves: may this request go on to the store?
//!
//! An `auth_request` of nginx knows three answers: with `2xx` the request passes, with `401` or `403` it does not, and any
//! other is an error of the proxy's own. So `401` says here that the request must go through Portcullis whole, and `403` is
//! everything else: S3's status stands in [`STATUS`] then and its XML in [`ERROR`], since nginx drops the body of an
//! answer. An `ext_authz` of Envoy hands on every answer but `200` to the client just as it is.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Empty, Full};
use tower::{ServiceBuilder, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_layer::layer_fn;
use tower_service::Service;

use super::body::{Inbound, OrOwn};
use super::in_flight::InFlightLayer;
use super::listener::ListenerSettings;
use super::rescue;
use crate::layer::authorizer::{Authorizer, Verdict};
use crate::layer::question::{Asking, InvalidQuestion, asked_about};
use crate::layer::respond::Responder;
use crate::layer::{BoxError, RequestId};
use crate::s3::error::ErrorCode;
use crate::spans::Tracer;
use crate::telemetry::access_log::{AccessLogLayer, Counted};

/// The status that the client is to get, of a request that nginx was told not to let pass.
pub static STATUS: HeaderName = HeaderName::from_static("x-portcullis-status");

/// The body that goes with it.
pub static ERROR: HeaderName = HeaderName::from_static("x-portcullis-error");

static REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Longer ones would not fit into the buffer that proxies have for the head of an answer. Nothing but a path of that length
/// makes one so long.
const MAX_ERROR_BYTES: usize = 8 * 1024;

/// What a listener for questions needs to know, beside a data listener with these settings. Only proxies may ask: who
/// connects is believed about who the client is. They come from nearby, without a PROXY header and without TLS.
pub fn listener(address: SocketAddr, data: &ListenerSettings) -> ListenerSettings {
    ListenerSettings {
        name: "authz",
        addresses: vec![address],
        proxies_alone: true,
        proxy_protocol: false,
        tls: None,
        ..data.clone()
    }
}

/// The service that answers them. `in_flight` bounds how many at once, with the requests that share it; `tracer` begins
/// their traces.
pub fn decisions(
    in_flight: InFlightLayer,
    authorizer: Authorizer,
    tracer: Option<Tracer>,
) -> impl Service<
    Request<Inbound>,
    Response = Response<impl Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static>,
    Error = BoxError,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new()
        // Outermost, so that all others see the request that is asked about and not the question.
        .layer(layer_fn(|inner| Questions { inner }))
        .layer(AccessLogLayer::new(tracer))
        .layer(CatchPanicLayer::custom(rescue::answer))
        .layer(in_flight)
        .service(service_fn(move |request: Request<Counted<Empty<Bytes>>>| {
            let authorizer = authorizer.clone();
            async move { Ok::<_, BoxError>(decide(&authorizer, request.into_parts().0).await) }
        }))
}

/// Reads questions, and hands on the requests they are about.
#[derive(Clone, Debug)]
struct Questions<S> {
    inner: S,
}

impl<S, ResB> Service<Request<Inbound>> for Questions<S>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<ResB>>,
    S::Future: Send + 'static,
    ResB: Body<Data = Bytes> + 'static,
{
    type Response = Response<OrOwn<ResB>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Inbound>) -> Self::Future {
        // Envoy can be told to send bodies along. They are not asked for, and decide nothing.
        let (parts, _) = request.into_parts();
        match asked_about(parts) {
            Ok(parts) => {
                let answer = self.inner.call(Request::from_parts(parts, Empty::new()));
                Box::pin(async move { Ok(answer.await?.map(OrOwn::inner)) })
            }
            Err(error) => Box::pin(async move { Ok(unanswerable(&error).map(OrOwn::own)) }),
        }
    }
}

/// Nothing passes because a question makes no sense.
fn unanswerable(error: &InvalidQuestion) -> Response<Full<Bytes>> {
    tracing::warn!(%error, "a proxy asks what cannot be answered");
    match error {
        // The client's doing, as far as the proxy did not mind.
        InvalidQuestion::Target(target) => {
            let responder =
                Responder { id: RequestId::random(), resource: target.clone(), now: std::time::SystemTime::now() };
            answer_in_headers(responder.bare_error(&ErrorCode::InvalidURI.into()))
        }
        _ => {
            let mut response = Response::new(Full::from(format!("{error}\n")));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            response
        }
    }
}

async fn decide(authorizer: &Authorizer, mut parts: Parts) -> Response<Full<Bytes>> {
    let asking = parts.extensions.get::<Asking>().copied();
    // The same in the log, the audit trail, and what the client is told.
    let id = RequestId::random();
    parts.extensions.insert(id.clone());
    match (authorizer.authorize(parts).await, asking) {
        (Verdict::Allowed, _) => empty(StatusCode::OK, &id),
        (Verdict::Undecidable(_), Some(Asking::AuthRequest)) => empty(StatusCode::UNAUTHORIZED, &id),
        (Verdict::Refused(answer), Some(Asking::AuthRequest)) => answer_in_headers(answer),
        (Verdict::Undecidable(answer) | Verdict::Refused(answer), _) => answer.map(Full::new),
    }
}

fn empty(status: StatusCode, id: &RequestId) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID.clone(), id);
    }
    response
}

/// An error as nginx can read it.
fn answer_in_headers(answer: Response<Bytes>) -> Response<Full<Bytes>> {
    let (mut head, body) = answer.into_parts();
    head.headers.insert(STATUS.clone(), HeaderValue::from(head.status.as_u16()));
    let line: Vec<u8> = body.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
    if let Some(line) = HeaderValue::from_bytes(&line).ok().filter(|line| line.len() <= MAX_ERROR_BYTES) {
        head.headers.insert(ERROR.clone(), line);
    }
    head.headers.remove(CONTENT_TYPE);
    head.status = StatusCode::FORBIDDEN;
    Response::from_parts(head, Full::default())
}
