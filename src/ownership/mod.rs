//! Who owns a bucket: [`BucketOwners`], and [`OwnerResolver`], which asks the configured sources in their order.

pub mod acl;
mod cache;
pub mod fixed;
pub mod probe;
pub mod registry;
pub mod resolver;

pub use acl::AclOwners;
pub use fixed::{BucketPattern, FixedOwners};
pub use probe::{BucketProbe, ProbeError};
pub use registry::RegistryOwners;
pub use resolver::{OwnerResolver, Source};

use std::fmt;

use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::BoxFuture;

/// What is known of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// There is no such bucket.
    NoSuchBucket,
    /// It belongs to this account.
    Account(AccountId),
    /// It is there, and no source names its owner. Denied to everybody.
    Unknown,
}

/// Resolves the account that owns a bucket.
pub trait BucketOwners: Send + Sync + 'static {
    /// The owner; may be answered from a cache.
    ///
    /// # Errors
    /// [`OwnershipError`] when it cannot be known, which answers `503`.
    fn owner<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>>;

    /// The owner of a bucket that is there, since the store has just listed it: nobody needs to ask for its existence.
    /// For showing it or not; what is to be decided asks [`owner`](Self::owner).
    ///
    /// # Errors
    /// [`OwnershipError`] when it cannot be known.
    fn owner_of_listed<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        self.owner(bucket)
    }

    /// Whether the bucket is there now, asked past any cache.
    ///
    /// # Errors
    /// [`OwnershipError`] when it cannot be known.
    fn exists<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>>;

    /// Whether a bucket is gone whose deletion the store has just acknowledged, asked past any cache: what we took for
    /// `DeleteBucket` may have been another operation to the store.
    ///
    /// # Errors
    /// [`OwnershipError`] when it cannot be known.
    fn gone<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(async move { Ok(!self.exists(bucket).await?) })
    }

    /// A `CreateBucket` succeeded. `creator` is the account whose signature was verified, and is given only when the
    /// bucket was not there before.
    ///
    /// # Errors
    /// [`OwnershipError`] when it could not be recorded durably.
    fn created<'a>(
        &'a self,
        bucket: &'a BucketName,
        creator: Option<&'a AccountId>,
    ) -> BoxFuture<'a, Result<(), OwnershipError>>;

    /// A `DeleteBucket` succeeded: forget the bucket.
    ///
    /// # Errors
    /// [`OwnershipError`] when it could not be recorded durably.
    fn deleted<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>>;
}

/// Ownership could not be resolved or recorded.
#[derive(Clone, Debug)]
pub struct OwnershipError {
    /// The bucket in question.
    pub bucket: BucketName,
    /// What was attempted and why it failed.
    pub reason: String,
}

impl fmt::Display for OwnershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the owner of bucket `{}` cannot be resolved: {}", self.bucket, self.reason)
    }
}

impl std::error::Error for OwnershipError {}
