//! Answers of ours, where there is none of the store's to give.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;

use crate::layer::RequestId;
use crate::s3::error::S3Error;
use crate::s3::xml;

/// `error` as S3 writes it. `resource` is the path as it was sent. `Date` is the server's to add.
pub fn error_response(error: &S3Error, resource: &str) -> Response<Full<Bytes>> {
    let id = RequestId::random();
    let mut response = Response::new(Full::new(xml::error_body(error, resource, id.as_str(), id.host_id())));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("portcullis"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    for (name, value) in [("x-amz-request-id", id.as_str()), ("x-amz-id-2", id.host_id())] {
        // Hexadecimal digits always fit a header.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}
