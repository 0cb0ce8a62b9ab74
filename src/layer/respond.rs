//! The one way out: every answer of ours is made here.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, SERVER};
use http::{HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use crate::s3::checksum::hex;
use crate::s3::error::S3Error;
use crate::s3::xml;

/// What S3 puts in `x-amz-request-id` and `x-amz-id-2`. The layer makes one for each request, unless an outer layer
/// has put one among the request's extensions already.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<OnceLock<Ids>>);

#[derive(Debug, PartialEq, Eq)]
struct Ids {
    id: String,
    host_id: String,
}

impl RequestId {
    /// An id from 40 random bytes: 16 upper-case hexadecimal digits, and 64 of lower case for the host's id.
    pub fn from_random(bytes: [u8; 40]) -> Self {
        Self(Arc::new(OnceLock::from(Ids::from_random(bytes))))
    }

    /// A fresh id from the system's random numbers, which are asked for with the id: most requests pass and need none.
    /// Ids are for finding log lines, so where the system has none to give, zeros will do.
    pub fn random() -> Self {
        Self(Arc::new(OnceLock::new()))
    }

    /// `x-amz-request-id`.
    pub fn as_str(&self) -> &str {
        &self.ids().id
    }

    /// `x-amz-id-2`.
    pub fn host_id(&self) -> &str {
        &self.ids().host_id
    }

    fn ids(&self) -> &Ids {
        self.0.get_or_init(|| {
            let mut bytes = [0; 40];
            if let Err(error) = getrandom::fill(&mut bytes) {
                tracing::warn!(%error, "no random numbers for a request id");
            }
            Ids::from_random(bytes)
        })
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.ids() == other.ids()
    }
}

impl Eq for RequestId {}

impl Ids {
    fn from_random(bytes: [u8; 40]) -> Self {
        let text = hex(&bytes);
        let (id, host_id) = text.split_at_checked(16).unwrap_or((&text, ""));
        Self { id: id.to_ascii_uppercase(), host_id: host_id.to_owned() }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an answer of ours needs to know of its request.
#[derive(Clone, Debug)]
pub(crate) struct Responder {
    /// The request's id.
    pub(crate) id: RequestId,
    /// The path as sent, for `<Resource>`.
    pub(crate) resource: String,
    /// Now, for `Date`.
    pub(crate) now: SystemTime,
}

impl Responder {
    /// A success without a body.
    pub(crate) fn empty<B>(&self, status: StatusCode) -> Response<ResponseBody<B>> {
        self.finish(status, None, Bytes::new()).map(ResponseBody::own)
    }

    /// `200 OK` with a document of S3's.
    pub(crate) fn xml<B>(&self, document: Bytes) -> Response<ResponseBody<B>> {
        self.finish(StatusCode::OK, Some(HeaderValue::from_static("application/xml")), document).map(ResponseBody::own)
    }

    /// `200 OK` with a policy as it was sent.
    pub(crate) fn document<B>(&self, document: Bytes) -> Response<ResponseBody<B>> {
        self.finish(StatusCode::OK, Some(HeaderValue::from_static("application/json")), document).map(ResponseBody::own)
    }

    /// An error, as S3 writes it.
    pub(crate) fn error<B>(&self, error: &S3Error) -> Response<ResponseBody<B>> {
        self.bare_error(error).map(ResponseBody::own)
    }

    /// The same, for those around and behind the layer whose bodies are others.
    pub(crate) fn bare_error(&self, error: &S3Error) -> Response<Bytes> {
        let body = xml::error_body(error, &self.resource, self.id.as_str(), self.id.host_id());
        self.finish(error.status(), Some(HeaderValue::from_static("application/xml")), body)
    }

    fn finish(&self, status: StatusCode, content_type: Option<HeaderValue>, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut set = |name: http::HeaderName, value: &str| {
            // Ids and dates are ASCII by construction.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(http::HeaderName::from_static("x-amz-request-id"), self.id.as_str());
        set(http::HeaderName::from_static("x-amz-id-2"), self.id.host_id());
        set(DATE, &httpdate::fmt_http_date(self.now));
        set(SERVER, "portcullis");
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        response
    }
}
