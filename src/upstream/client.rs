//! Sends a request on to the object store and brings its answer back, both as they came.
//!
//! The path and the query keep their bytes: they are taken over as `http` parsed them and never pass a URL library.
//! Bodies stream, trailers included, so memory does not depend on their size. Of the interim answers `100 Continue`
//! decides when the client's body is asked for (`upload.rs`); the others are dropped, as a proxy may
//! (RFC 9110, section 15.2). A trailer is only passed if `Trailer` announced it, which hyper wants.
//!
//! What the store does wrong becomes an answer here, and nowhere else: no connection `503`, silence `504`, nonsense
//! `502`. What the *client's* body does wrong is an error, for whoever read that body to explain.
//!
//! At which endpoint, and on which connection, is for `dispatch.rs` to find out. The request is signed when that is known,
//! since the endpoint's host is a part of what is signed.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use super::credentials::UpstreamCredentials;
use super::dispatch::{Answer, Dispatcher, Unanswered};
use super::download::ResponseBody;
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::flow::{Flow, Gate};
use super::headers;
use super::respond::error_response;
use super::sign::{SignError, Signer, anonymous_target, unsign_body, unsign_headers, unsigned_target};
use super::upload::Upload;
use crate::layer::BoxError;
use crate::meters;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::forward::{Resign, Unsigned};

/// What an [`UpstreamClient`] needs to know.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The store.
    pub endpoints: Endpoints,
    /// The region that new signatures name.
    pub region: String,
    /// The keys for requests that are signed anew.
    pub credentials: UpstreamCredentials,
    /// Connections to each endpoint at once; none for as many as there are requests. A request that finds all of them busy
    /// waits for one as long as it may take to connect.
    pub max_connections: Option<usize>,
    /// How long the store may take to begin its answer once it has the request (connecting counts), and to take the
    /// next piece of a body. Not how long a body may take as long as it moves, nor how long a client takes to send it.
    pub response_header_timeout: Duration,
}

/// A tower service whose answers are the object store's.
pub struct UpstreamClient<B> {
    dispatcher: Dispatcher<B>,
    shared: Arc<ClientSettings>,
}

/// A request as it goes up, and what its parts know of each other.
struct Exchange<B> {
    request: Request<Upload<B>>,
    manner: Manner,
    flow: Option<Arc<Flow>>,
}

/// What an endpoint has to say about a request that is to go there.
#[derive(Debug)]
enum Manner {
    /// Nothing: it goes on as it was sent, to the host it was sent to.
    AsSent,
    /// Its host.
    Addressed,
    /// Its host, which is signed.
    Signed(Resign),
}

/// The request's own body failed: the client went away, or its body was not what it should have been. The cause is
/// among the [sources](std::error::Error::source).
#[derive(Debug)]
pub struct RequestBodyFailed(hyper::Error);

impl<B> UpstreamClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// A client with connections of its own, which clones share.
    pub fn new(settings: ClientSettings) -> Self {
        let dispatcher = Dispatcher::new(settings.endpoints.clone(), settings.max_connections);
        Self { dispatcher, shared: Arc::new(settings) }
    }

    fn prepare(&self, request: Request<B>) -> Result<Exchange<B>, S3Error> {
        if request.method() == Method::CONNECT {
            return Err(S3Error::new(ErrorCode::MethodNotAllowed));
        }
        let authority = request.uri().authority().cloned();
        let mut request = request;
        let unsigned = request.extensions_mut().remove::<Unsigned>();
        if unsigned.is_some() {
            announce_length(&mut request);
        }
        headers::prepare_request(&mut request, authority.as_ref());
        let (target, manner) = match (request.extensions_mut().remove::<Resign>(), unsigned) {
            (None, None) => {
                // HTTP/1.0 may have none.
                let has_host = request.headers().contains_key(HOST);
                (target(&request), if has_host { Manner::AsSent } else { Manner::Addressed })
            }
            (None, Some(unsigned)) => (unsign(&mut request, &unsigned)?, Manner::Addressed),
            // Written anew with the signature.
            (Some(resign), None) => (target(&request), Manner::Signed(resign)),
            (Some(_), Some(_)) => {
                tracing::error!("a request is to be sent both signed and not signed");
                return Err(S3Error::new(ErrorCode::InternalError));
            }
        };
        *request.uri_mut() = origin_form(target)?;
        let (mut parts, body) = request.into_parts();
        parts.version = Version::HTTP_11;
        // The layers' own facts about the request are not the connection's business.
        parts.extensions.clear();
        let flow = (!body.is_end_stream())
            .then(|| Arc::new(Flow::new(if expects_continue(&parts.headers) { Gate::Shut } else { Gate::Open })));
        let mut request = Request::from_parts(parts, Upload::new(body, flow.clone()));
        if let Some(flow) = flow.as_ref().filter(|flow| flow.gate() == Gate::Shut) {
            let flow = Arc::clone(flow);
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    flow.move_gate(Gate::Open);
                }
            });
        }
        Ok(Exchange { request, manner, flow })
    }
}

impl ClientSettings {
    /// Makes `request` one for `endpoint`; again, where it was made one for another before and not sent.
    fn address<B>(&self, request: &mut Request<B>, manner: &Manner, endpoint: &Endpoint) -> Result<(), S3Error> {
        match manner {
            Manner::AsSent => {}
            Manner::Addressed => {
                request.headers_mut().insert(HOST, endpoint.host().clone());
            }
            Manner::Signed(resign) => {
                let target = self.resign(request, resign, endpoint)?;
                *request.uri_mut() = origin_form(target)?;
            }
        }
        Ok(())
    }

    fn resign<B>(
        &self,
        request: &mut Request<B>,
        resign: &Resign,
        endpoint: &Endpoint,
    ) -> Result<PathAndQuery, S3Error> {
        let Some(credentials) = self.credentials.of(resign.account.as_ref()) else {
            tracing::error!(account = ?resign.account, "no upstream credentials to sign a request with");
            return Err(S3Error::new(ErrorCode::InternalError));
        };
        let target = unsigned_target(&resign.path, request.uri().query()).map_err(refuse)?;
        unsign_headers(request.headers_mut());
        let signing_keys = self.credentials.signing_keys();
        let signer = Signer { credentials, signing_keys, region: &self.region, endpoint, now: SystemTime::now() };
        let method = request.method().clone();
        signer.sign(&method, &target, request.headers_mut(), &resign.payload).map_err(refuse)?;
        Ok(target)
    }
}

fn target<B>(request: &Request<B>) -> PathAndQuery {
    request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

/// What stands in a request line; hyper writes it as it is.
fn origin_form(target: PathAndQuery) -> Result<Uri, S3Error> {
    if target.as_str().starts_with('/') { Ok(Uri::from(target)) } else { Err(S3Error::new(ErrorCode::InvalidURI)) }
}

fn unsign<B>(request: &mut Request<B>, unsigned: &Unsigned) -> Result<PathAndQuery, S3Error> {
    let target = anonymous_target(&unsigned.path, request.uri().query()).map_err(refuse)?;
    let headers = request.headers_mut();
    unsign_headers(headers);
    unsign_body(headers);
    Ok(target)
}

fn refuse(error: SignError) -> S3Error {
    tracing::info!(%error, "a request cannot be signed for the object store");
    S3Error::new(match error {
        SignError::Header(_) => ErrorCode::InvalidArgument,
        SignError::Target(_) => ErrorCode::InvalidURI,
        SignError::Written(_) | SignError::Clock(_) => ErrorCode::InternalError,
    })
}

/// Says how long the body is, whatever was said of the one it was made from.
fn announce_length<B: Body>(request: &mut Request<B>) {
    let exact = request.body().size_hint().exact();
    let headers = request.headers_mut();
    // Without any, a request without a body stays one.
    if headers.remove(CONTENT_LENGTH).is_none() && exact == Some(0) {
        return;
    }
    if let Some(length) = exact {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl<B> Service<Request<B>> for UpstreamClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = RequestBodyFailed;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RequestBodyFailed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let resource = request.uri().path_and_query().cloned();
        match self.prepare(request) {
            Ok(Exchange { request, manner, flow }) => {
                let limit = self.shared.response_header_timeout;
                let (dispatcher, shared) = (self.dispatcher.clone(), Arc::clone(&self.shared));
                let answer = Box::pin(async move {
                    dispatcher.send(request, |request, endpoint| shared.address(request, &manner, endpoint)).await
                });
                let started = Instant::now();
                ResponseFuture { kind: Kind::Sent { answer, limit, timer: sleep(limit), started, flow, resource } }
            }
            Err(error) => ResponseFuture { kind: Kind::Refused { error, resource } },
        }
    }
}

impl<B> Clone for UpstreamClient<B> {
    fn clone(&self) -> Self {
        Self { dispatcher: self.dispatcher.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<B> fmt::Debug for UpstreamClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamClient").field("settings", &self.shared).finish_non_exhaustive()
    }
}

pin_project! {
    /// Resolves to the store's answer, or to ours in its place.
    pub struct ResponseFuture {
        #[pin]
        kind: Kind,
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>>;

pin_project! {
    #[project = KindProj]
    enum Kind {
        Sent {
            answer: Sending,
            limit: Duration,
            #[pin]
            timer: Sleep,
            started: Instant,
            // None for a request without a body.
            flow: Option<Arc<Flow>>,
            resource: Option<PathAndQuery>,
        },
        Refused { error: S3Error, resource: Option<PathAndQuery> },
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, RequestBodyFailed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Refused { error, resource } => Poll::Ready(Ok(own_answer(error, resource.as_ref()))),
            KindProj::Sent { answer, limit, mut timer, started, flow, resource } => {
                if let Poll::Ready(result) = answer.as_mut().poll(cx) {
                    return Poll::Ready(match result {
                        Ok(answer) => {
                            answer.load.standing().answered(started.elapsed());
                            Ok(stores_answer(answer, flow.take()))
                        }
                        Err(error) => failure(error, flow.as_deref(), resource.as_ref()),
                    });
                }
                while timer.as_mut().poll(cx).is_ready() {
                    let waited = match flow {
                        None => started.elapsed(),
                        // The client's turn: nothing the store could be blamed for, so the time begins anew.
                        Some(flow) => flow.waiting_for_store().unwrap_or_default(),
                    };
                    if waited >= *limit {
                        tracing::warn!(?waited, "the object store did not answer in time");
                        meters::UPSTREAM_ERRORS.counter(&["timeout"]).increment(1);
                        return Poll::Ready(Ok(own_answer(&ErrorCode::GatewayTimeout.into(), resource.as_ref())));
                    }
                    timer.as_mut().reset(Instant::now() + (*limit - waited));
                }
                Poll::Pending
            }
        }
    }
}

fn stores_answer(Answer { response, load }: Answer, flow: Option<Arc<Flow>>) -> Response<ResponseBody> {
    if let Some(flow) = &flow {
        flow.answered();
    }
    let (mut parts, body) = response.into_parts();
    headers::prepare_response(&mut parts.headers);
    // What the store speaks says nothing of what the client does.
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    Response::from_parts(parts, ResponseBody::streamed(body, load, flow))
}

fn failure(
    error: Unanswered,
    flow: Option<&Flow>,
    resource: Option<&PathAndQuery>,
) -> Result<Response<ResponseBody>, RequestBodyFailed> {
    let error = match error {
        Unanswered::Broken(cause) if flow.is_some_and(Flow::has_body_failed) => return Err(RequestBodyFailed(cause)),
        // Told where it was found out.
        Unanswered::Refused(error) => return Ok(own_answer(&error, resource)),
        error => error,
    };
    tracing::warn!(%error, "the object store did not answer");
    let (code, reason) = match error {
        Unanswered::Unreachable(_) => (ErrorCode::ServiceUnavailable, "unreachable"),
        // The store works and has enough to do, so clients should come back later, and slower: what SDKs make of it.
        Unanswered::Crowded(_) => {
            meters::LIMITED.counter(&["max_connections"]).increment(1);
            (ErrorCode::SlowDown, "crowded")
        }
        Unanswered::Broken(_) | Unanswered::Refused(_) => (ErrorCode::BadGateway, "broken"),
    };
    meters::UPSTREAM_ERRORS.counter(&[reason]).increment(1);
    Ok(own_answer(&code.into(), resource))
}

fn own_answer(error: &S3Error, resource: Option<&PathAndQuery>) -> Response<ResponseBody> {
    error_response(error, resource.map_or("/", PathAndQuery::path)).map(ResponseBody::own)
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl fmt::Display for RequestBodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body failed on its way to the object store")
    }
}

impl StdError for RequestBodyFailed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}
