//! The admin API: what `portcullis policy list`, `get`, `put` and their like ask, under `/v1/`.
//!
//! | | |
//! |---|---|
//! | `GET /v1/buckets?after=&limit=&all=` | buckets with a policy, in order; with `all=true` all that anything is kept for |
//! | `GET /v1/buckets/BUCKET/policy` | the exact bytes; `ETag` is the revision |
//! | `PUT /v1/buckets/BUCKET/policy` | puts a policy in force; `If-Match: "REVISION"` or `If-None-Match: *`, else `412` |
//! | `DELETE /v1/buckets/BUCKET/policy` | takes it out of force; `If-Match` as above |
//! | `GET /v1/buckets/BUCKET/policy/revisions` | the history, newest first |
//! | `GET /v1/buckets/BUCKET/policy/revisions/N` | the exact bytes of a revision |
//! | `POST /v1/buckets/BUCKET/policy/revisions/N/rollback` | puts them in force as a new revision; `If-Match` as above |
//! | `GET`, `PUT`, `DELETE /v1/buckets/BUCKET/public-access-block` | the four switches |
//! | `GET /v1/archive?after=&limit=` | all that is kept of each bucket, page by page |
//! | `POST /v1/archive?replace=&dry_run=` | takes records back |
//! | `GET`, `PUT`, `DELETE /v1/freeze` | whether all changes are refused, so that what is kept can be moved |
//!
//! Every call needs `Authorization: Bearer TOKEN` (RFC 6750). Errors are `{"error":{"code","message","detail"}}`, with
//! S3's codes and words where S3 has some. A change is durable before it is answered, and in the audit trail as one made
//! through S3 is, by the principal `admin`.

mod answer;
mod archive;
mod ask;
mod freeze;
mod policies;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use zeroize::Zeroizing;

use self::answer::ApiError;
use self::ask::{Ask, Route};
use crate::auth::admin_token::AdminToken;
use crate::layer::administration::{Administration, Occasion};
use crate::layer::{BoxError, PeerAddress, RequestId};
use crate::store::freeze::Freeze;

/// What every path of the API begins with.
pub(super) const ROOT: &str = "/v1/";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The admin API.
#[derive(Clone)]
pub struct AdminApi(Arc<Inner>);

struct Inner {
    token_file: PathBuf,
    administration: ArcSwapOption<Administration>,
    freeze: Freeze,
}

impl AdminApi {
    /// Opens `administration` to whoever presents the token in `token_file`. Where that is none, since the policies are
    /// kept elsewhere, every call is answered so. `freeze` holds the store of it still.
    pub fn new(token_file: PathBuf, administration: Option<Administration>, freeze: Freeze) -> Self {
        let administration = ArcSwapOption::new(administration.map(Arc::new));
        Self(Arc::new(Inner { token_file, administration, freeze }))
    }

    /// Opens `administration` from the next call on.
    pub fn replace(&self, administration: Option<Administration>) {
        self.0.administration.store(administration.map(Arc::new));
    }

    /// Answers a request whose path begins with `/v1/`.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<PeerAddress>().map(|PeerAddress(address)| *address);
        let occasion = Occasion { request_id: RequestId::random(), peer };
        let mut response = match self.0.handle(&parts, body, &occasion).await {
            Ok(response) => response,
            Err(error) => {
                if error.status().is_server_error() {
                    tracing::error!(request_id = %occasion.request_id, %error, "a call of the admin API failed");
                }
                error.into_response()
            }
        };
        // Ids are ASCII by construction.
        if let Ok(id) = HeaderValue::from_str(occasion.request_id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

impl fmt::Debug for AdminApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminApi").field("token_file", &self.0.token_file).finish_non_exhaustive()
    }
}

impl Inner {
    async fn handle<B>(&self, parts: &Parts, body: B, occasion: &Occasion) -> Result<Response<Full<Bytes>>, ApiError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // Before anything else, so that nobody learns what there is.
        self.authenticate(&parts.headers).await.inspect_err(|error| {
            let peer = occasion.peer.map(|peer| peer.to_string()).unwrap_or_default();
            tracing::warn!(%peer, request_id = %occasion.request_id, %error, "a call of the admin API was refused");
        })?;
        let administration = self.administration.load_full().ok_or_else(kept_elsewhere)?;
        let route = Route::parse(parts.uri.path())?;
        if !route.methods().contains(&parts.method) {
            return Err(method_not_allowed(&route));
        }
        let ask = Ask { administration: &administration, occasion, parts };
        match route {
            Route::Buckets => policies::list(&ask).await,
            Route::Policy(bucket) => match parts.method {
                Method::PUT => policies::put(&ask, &bucket, body).await,
                Method::DELETE => policies::delete(&ask, &bucket).await,
                _ => policies::get(&ask, &bucket).await,
            },
            Route::Revisions(bucket) => policies::history(&ask, &bucket).await,
            Route::Revision(bucket, revision) => policies::revision(&ask, &bucket, revision).await,
            Route::Rollback(bucket, revision) => policies::roll_back(&ask, &bucket, revision).await,
            Route::PublicAccessBlock(bucket) => match parts.method {
                Method::PUT => policies::put_block(&ask, &bucket, body).await,
                Method::DELETE => policies::delete_block(&ask, &bucket).await,
                _ => policies::get_block(&ask, &bucket).await,
            },
            Route::Freeze => freeze::answer(&ask, &self.freeze).await,
            Route::Archive => match parts.method {
                Method::POST => archive::import(&ask, body).await,
                _ => archive::export(&ask).await,
            },
        }
    }

    /// Whether the caller has the token.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let presented = bearer(headers).ok_or_else(unauthorized)?;
        // Read for each call: they are few, the file is small, and a token that was exchanged or taken away is so at once.
        let content =
            tokio::fs::read(&self.token_file).await.map(Zeroizing::new).map_err(|error| self.closed(&error))?;
        let token = AdminToken::parse(&content).map_err(|error| self.closed(&error))?;
        if token.matches(presented) { Ok(()) } else { Err(unauthorized()) }
    }

    /// Without a token that can be read there is none that opens anything.
    fn closed(&self, error: &dyn fmt::Display) -> ApiError {
        tracing::error!(file = %self.token_file.display(), %error, "the admin API is closed: there is no token");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The admin API is closed.")
    }
}

/// What follows `Bearer`, from the one header there may be.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

fn unauthorized() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "The admin API needs its token: Authorization: Bearer TOKEN.",
    )
    .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis\""))
}

fn kept_elsewhere() -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "The policies are not kept here.")
        .with_detail("With `policy.handler = \"forward\"` the store behind keeps them: ask it, through S3.")
}

fn method_not_allowed(route: &Route) -> ApiError {
    let allowed = route.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let error = ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
    );
    match HeaderValue::from_str(&allowed) {
        Ok(allowed) => error.with_header(ALLOW, allowed),
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests;
