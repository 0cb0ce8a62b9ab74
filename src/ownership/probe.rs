//! What ownership has to ask of the store behind us: [`BucketProbe`].

use std::fmt;

use crate::s3::address::BucketName;
use crate::store::BoxFuture;

/// Asks the store behind us about a bucket, in our own name.
pub trait BucketProbe: Send + Sync + 'static {
    /// Whether the bucket is there (`HEAD` on it): `Ok(false)` for `404` alone. An answer that says the bucket is there
    /// but not for us (`403`) or elsewhere (`301`) is `Ok(true)`.
    ///
    /// # Errors
    /// [`ProbeError`] for anything that leaves it open: no connection, a time-out, a `5xx`.
    fn head<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, ProbeError>>;

    /// `Owner/ID` of the bucket's ACL (`GET ?acl`), as it stands there; `Ok(None)` where the store shows no ACL (`501`,
    /// `405`, `403`).
    ///
    /// # Errors
    /// [`ProbeError`] for any other failure: it must not pass for a bucket without ACL, since the next source may name
    /// another owner.
    fn acl_owner<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<String>, ProbeError>>;
}

/// The store behind us did not answer a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeError {
    /// What was asked and why there is no answer.
    pub reason: String,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store did not answer: {}", self.reason)
    }
}

impl std::error::Error for ProbeError {}
