//! Answers of ours, where there is none of the store's to give.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;

use crate::s3::error::S3Error;
use crate::s3::xml;

/// `error` as S3 writes it. `resource` is the path as it was sent. `Date` is the server's to add.
pub fn error_response(error: &S3Error, resource: &str) -> Response<Full<Bytes>> {
    let (id, host_id) = request_ids();
    let mut response = Response::new(Full::new(xml::error_body(error, resource, &id, &host_id)));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("portcullis"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    for (name, value) in [("x-amz-request-id", &id), ("x-amz-id-2", &host_id)] {
        // Hexadecimal digits always fit a header.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn request_ids() -> (String, String) {
    let mut random = [0_u8; 40];
    if let Err(error) = getrandom::fill(&mut random) {
        // Ids are for finding log lines; without random numbers zeros do.
        tracing::warn!(%error, "no random numbers for a request id");
    }
    let (id, host_id) = random.split_at(8);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    (hex(id).to_ascii_uppercase(), hex(host_id))
}
