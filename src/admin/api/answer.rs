//! What comes back: documents, and errors.

use std::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::admin::wire::{ErrorAnswer, ErrorDocument, Notice};
use crate::layer::administration::AdministrationError;
use crate::policy::InvalidPolicy;
use crate::s3::error::ErrorCode;
use crate::store::StoreError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `200 OK` with a document of ours.
pub(super) fn json(document: &impl Serialize) -> Result<Response<Full<Bytes>>, ApiError> {
    let body = serde_json::to_vec(document).map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The answer could not be written.")
            .with_detail(error.to_string())
    })?;
    Ok(response(StatusCode::OK, body.into()))
}

/// `200 OK` with the exact bytes of a policy.
pub(super) fn document(document: Bytes, revision: u64) -> Response<Full<Bytes>> {
    with_revision(response(StatusCode::OK, document), revision)
}

/// The same response, with the revision as its `ETag`.
pub(super) fn with_revision(mut response: Response<Full<Bytes>>, revision: u64) -> Response<Full<Bytes>> {
    // A number in quotes is a header's value.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer that is an error. Its detail may tell reasons: whoever is told has the token.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    document: Box<ErrorDocument>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, message: &str) -> Self {
        let document =
            ErrorDocument { code: code.to_owned(), message: message.to_owned(), detail: None, problems: Vec::new() };
        Self { status, document: Box::new(document), header: None }
    }

    /// With the status and the words that S3 has for it.
    pub(super) fn s3(code: ErrorCode) -> Self {
        Self::new(code.status(), code.name(), code.message())
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.document.detail = Some(detail.into());
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// `400 MalformedPolicy` with S3's message of the first problem, and all of them.
    pub(super) fn malformed(invalid: &InvalidPolicy) -> Self {
        let mut error = Self::s3(ErrorCode::MalformedPolicy);
        if let Some(first) = invalid.first() {
            error.document.message.clone_from(&first.message);
            error.document.detail.clone_from(&first.detail);
        }
        error.document.problems = invalid.problems().iter().map(Notice::from).collect();
        error
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let body = serde_json::to_vec(&ErrorAnswer { error: *self.document }).unwrap_or_default();
        let mut response = response(self.status, body.into());
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorDocument { code, message, detail, .. } = &*self.document;
        write!(f, "{code}: {message}")?;
        match detail {
            Some(detail) => write!(f, " {detail}"),
            None => Ok(()),
        }
    }
}

impl From<AdministrationError> for ApiError {
    fn from(error: AdministrationError) -> Self {
        let detail = error.to_string();
        match error {
            AdministrationError::Invalid(invalid) => Self::malformed(&invalid),
            AdministrationError::NoSuchBucket => Self::s3(ErrorCode::NoSuchBucket),
            AdministrationError::NoSuchRevision(_) => {
                Self::new(StatusCode::NOT_FOUND, "NoSuchRevision", "The revision does not exist.").with_detail(detail)
            }
            AdministrationError::NoDocument(_) => {
                Self::new(StatusCode::CONFLICT, "RevisionIsDeletion", "The revision has no document.")
                    .with_detail(detail)
            }
            AdministrationError::NotAsExpected { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "PreconditionFailed",
                "At least one of the preconditions you specified did not hold.",
            )
            .with_detail(detail),
            AdministrationError::PublicPolicyBlocked => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::AccessDenied.name(),
                "Public policies are blocked by the BlockPublicPolicy setting of the bucket.",
            )
            .with_detail("To put it nevertheless, turn that setting off first, or delete the public access block."),
            AdministrationError::InTheWay => {
                Self::new(StatusCode::CONFLICT, "InTheWay", "Something else is kept for the bucket.")
            }
            AdministrationError::Store(error) => error.into(),
            AdministrationError::Owner(error) => {
                tracing::error!(%error, "a bucket's owner or existence is not known");
                Self::s3(ErrorCode::ServiceUnavailable).with_detail(error.to_string())
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::s3(ErrorCode::ServiceUnavailable).with_detail(error.to_string())
    }
}
