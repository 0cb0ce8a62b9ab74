//! What a browser needs to read an answer of ours that the store never saw.
//!
//! The store has the bucket's CORS configuration, and tells what it allows when it is asked as a browser asks
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html>). A page that is not told may not even see
//! that it was denied.

use http::Method;
use http::header::{HeaderMap, HeaderValue, ORIGIN};

use super::service::Exchange;
use crate::s3::address::{Address, BucketName, ObjectKey};

/// A request that a web page of another origin makes.
pub(super) struct CrossOrigin {
    origin: HeaderValue,
    method: Method,
    bucket: BucketName,
    key: Option<ObjectKey>,
}

impl Exchange {
    /// Whether a web page makes the request, and which.
    pub(super) fn cross_origin(&self, address: &Address) -> Option<CrossOrigin> {
        Some(CrossOrigin {
            origin: self.parts.headers.get(ORIGIN)?.clone(),
            method: self.parts.method.clone(),
            bucket: address.bucket()?.clone(),
            key: address.key().cloned(),
        })
    }

    /// The headers that let the page read an answer of ours, where the bucket's configuration would let it read the
    /// store's.
    pub(super) async fn what_a_browser_may_read(&self) -> HeaderMap {
        let (Some(asked), Some(facts)) = (&self.asked_by, &self.shared.store_facts) else { return HeaderMap::new() };
        facts.cors(&asked.bucket, asked.key.as_ref(), &asked.origin, &asked.method).await
    }
}
