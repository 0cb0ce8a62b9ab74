//! Answers of ours, where there is none of the store's to give.

use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::layer::RequestId;
use crate::layer::respond::Responder;
use crate::s3::error::S3Error;

/// `error` as S3 writes it, under an id of its own. `resource` is the path as it was sent.
pub fn error_response(error: &S3Error, resource: &str) -> Response<Full<Bytes>> {
    let responder = Responder { id: RequestId::random(), resource: resource.to_owned(), now: SystemTime::now() };
    responder.bare_error(error).map(Full::new)
}
