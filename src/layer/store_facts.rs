//! What a decision may have to ask the store behind: [`StoreFacts`].

use std::fmt;

use http::{HeaderMap, HeaderValue, Method};

use crate::s3::address::{BucketName, ObjectKey};
use crate::store::BoxFuture;

/// What only the store behind knows, and a decision may need.
///
/// Each question is a request, so one is asked only where a policy in force, or the operation itself, needs its answer.
/// Without one there is no decision: every error answers `503`, since what a policy on tags closes must not open because
/// they could not be read.
pub trait StoreFacts: Send + Sync + 'static {
    /// The tags of an object, or of this version of it. None where there is no such object, it has none, or the store has
    /// no tags at all (`404`, `405`, `501`).
    ///
    /// # Errors
    /// [`StoreFactsError`] for any other answer, a refusal (`403`) included.
    fn object_tags<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>>;

    /// Whether an object, or this version of it, has annotations. A store that knows of none answers with something else,
    /// an object's bytes for one: then it has none.
    ///
    /// # Errors
    /// [`StoreFactsError`], as for [`object_tags`](Self::object_tags).
    fn has_annotations<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreFactsError>>;

    /// The tags of a bucket whose owner enabled ABAC (`GET ?abac` says `Enabled`), and none otherwise: Amazon fills
    /// `s3:BucketTag` and `aws:ResourceTag` only then.
    ///
    /// # Errors
    /// [`StoreFactsError`], as for [`object_tags`](Self::object_tags).
    fn bucket_tags<'a>(
        &'a self,
        bucket: &'a BucketName,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>>;

    /// The headers by which a browser may read an answer to `method` from `origin`, as the store tells a preflight:
    /// `Access-Control-Allow-Origin`, `-Allow-Credentials`, `-Expose-Headers` and `Vary`, each at most once. Empty where it
    /// allows none or gives no answer: then the browser shows its page no more than that the request failed.
    fn cors<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: Option<&'a ObjectKey>,
        origin: &'a HeaderValue,
        method: &'a Method,
    ) -> BoxFuture<'a, HeaderMap>;
}

/// The store left a question open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFactsError {
    /// What was asked and why there is no answer.
    pub reason: String,
}

impl fmt::Display for StoreFactsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store left a question open: {}", self.reason)
    }
}

impl std::error::Error for StoreFactsError {}
