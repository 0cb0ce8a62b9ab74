//! Sends a request on to the object store and brings its answer back, both as they came.
//!
//! The path and the query keep their bytes: they are taken over as `http` parsed them and never pass a URL library.
//! Bodies stream, trailers included, so memory does not depend on their size. Of the interim answers `100 Continue`
//! decides when the client's body is asked for (`http1/upload.rs`); the others are dropped, as a proxy may
//! (RFC 9110, section 15.2). A trailer is only passed if `Trailer` announced it, as hyper has it towards clients.
//!
//! What the store does wrong becomes an answer here, and nowhere else: no connection `503`, silence `504`, nonsense
//! `502`. What the *client's* body does wrong is an error, for whoever read that body to explain.
//!
//! At which endpoint, and on which connection, is for `dispatch.rs` to find out. The request is signed when that is known,
//! since the endpoint's host is a part of what is signed.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::credentials::UpstreamCredentials;
use super::dispatch::{Answer, Dispatcher, Unanswered};
use super::download::ResponseBody;
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::headers;
use super::respond::error_response;
use super::sign::{SignError, Signer, anonymous_target, unsign_body, unsign_headers, unsigned_target};
use super::spans::{self, Traced};
use crate::layer::BoxError;
use crate::meters;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::forward::{Resign, Unsigned};
use crate::spans::Span;

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
    shared: Arc<Shared>,
    bodies: PhantomData<fn(B)>,
}

struct Shared {
    dispatcher: Dispatcher,
    settings: ClientSettings,
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

impl Manner {
    /// How it is signed anew, where it is.
    fn resign(&self) -> Option<&Resign> {
        match self {
            Self::Signed(resign) => Some(resign),
            Self::AsSent | Self::Addressed => None,
        }
    }
}

/// The request's own body failed: the client went away, or its body was not what it should have been. The cause is
/// among the [sources](std::error::Error::source).
#[derive(Debug)]
pub struct RequestBodyFailed(BoxError);

impl<B> UpstreamClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// A client with connections of its own, which clones share.
    pub fn new(settings: ClientSettings) -> Self {
        let limit = settings.response_header_timeout;
        let dispatcher = Dispatcher::new(settings.endpoints.clone(), settings.max_connections, limit);
        Self { shared: Arc::new(Shared { dispatcher, settings }), bodies: PhantomData }
    }
}

impl ClientSettings {
    fn prepare<B: Body>(request: Request<B>) -> Result<(Request<B>, Manner), S3Error> {
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
        *request.version_mut() = Version::HTTP_11;
        // The layers' own facts about the request are not the connection's business.
        request.extensions_mut().clear();
        Ok((request, manner))
    }

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
        let (shared, started) = (Arc::clone(&self.shared), Instant::now());
        ResponseFuture(Box::pin(async move {
            let resource = request.uri().path_and_query().cloned();
            let span = spans::begin(&request);
            let (mut request, manner) = match ClientSettings::prepare(request) {
                Ok(prepared) => prepared,
                Err(error) => return Ok(own_answer(&error, resource.as_ref())),
            };
            let traced = span.map(|span| Traced::begin(span, &mut request, manner.resign()));
            let address =
                |request: &mut Request<B>, endpoint: &Endpoint| shared.settings.address(request, &manner, endpoint);
            match shared.dispatcher.send(request, address).await {
                Ok(answer) => {
                    answer.load.standing().answered(started.elapsed());
                    let span = traced.map(|traced| traced.answered(&answer));
                    Ok(stores_answer(answer, span))
                }
                Err(Unanswered::Body(error)) => {
                    if let Some(traced) = traced {
                        traced.failed("aborted");
                    }
                    Err(RequestBodyFailed(error))
                }
                Err(unanswered) => Ok(failure(&unanswered, resource.as_ref(), traced)),
            }
        }))
    }
}

impl<B> Clone for UpstreamClient<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bodies: PhantomData }
    }
}

impl<B> fmt::Debug for UpstreamClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamClient").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// Resolves to the store's answer, or to ours in its place.
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Answered> + Send>>);

type Answered = Result<Response<ResponseBody>, RequestBodyFailed>;

impl Future for ResponseFuture {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        self.0.as_mut().poll(cx)
    }
}

fn stores_answer(Answer { head, body, slot, load }: Answer, span: Option<Span>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::streamed(body, slot, load, span));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    headers::prepare_response(response.headers_mut());
    response
}

fn failure(unanswered: &Unanswered, resource: Option<&PathAndQuery>, traced: Option<Traced>) -> Response<ResponseBody> {
    let (code, reason) = match unanswered {
        // Told where it was found out.
        Unanswered::Refused(error) => return own_answer(error, resource),
        Unanswered::Unreachable(_) => (ErrorCode::ServiceUnavailable, "unreachable"),
        // The store works and has enough to do, so clients should come back later, and slower: what SDKs make of it.
        Unanswered::Crowded(_) => {
            meters::LIMITED.counter(&["max_connections"]).increment(1);
            (ErrorCode::SlowDown, "crowded")
        }
        Unanswered::TimedOut(_) => (ErrorCode::GatewayTimeout, "timeout"),
        Unanswered::Broken(_) | Unanswered::Body(_) => (ErrorCode::BadGateway, "broken"),
    };
    tracing::warn!(error = %unanswered, "the object store did not answer");
    meters::UPSTREAM_ERRORS.counter(&[reason]).increment(1);
    if let Some(traced) = traced {
        traced.failed(reason);
    }
    own_answer(&code.into(), resource)
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
        Some(self.0.as_ref())
    }
}
