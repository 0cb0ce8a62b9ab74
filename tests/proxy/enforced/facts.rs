//! A store that has nothing but its objects to tell of.

use http::{HeaderMap, HeaderValue, Method};
use portcullis::layer::{StoreFacts, StoreFactsError};
use portcullis::s3::address::{BucketName, ObjectKey};
use portcullis::store::BoxFuture;

pub(super) struct Plain;

impl StoreFacts for Plain {
    fn object_tags<'a>(
        &'a self,
        _bucket: &'a BucketName,
        _key: &'a ObjectKey,
        _version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn has_annotations<'a>(
        &'a self,
        _bucket: &'a BucketName,
        _key: &'a ObjectKey,
        _version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreFactsError>> {
        Box::pin(async { Ok(false) })
    }

    fn bucket_tags<'a>(
        &'a self,
        _bucket: &'a BucketName,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn cors<'a>(
        &'a self,
        _bucket: &'a BucketName,
        _key: Option<&'a ObjectKey>,
        _origin: &'a HeaderValue,
        _method: &'a Method,
    ) -> BoxFuture<'a, HeaderMap> {
        Box::pin(async { HeaderMap::new() })
    }
}
