//! Where policies and public access blocks live: [`PolicyStore`], its records and its implementations.

#[cfg(feature = "etcd")]
pub mod etcd;
pub mod freeze;
pub mod memory;
pub mod metered;
#[cfg(feature = "proxy")]
mod record;
#[cfg(feature = "proxy")]
pub mod redb;
mod registry;
#[cfg(feature = "proxy")]
pub mod s3;
#[cfg(feature = "proxy")]
mod switches;

#[cfg(feature = "etcd")]
pub use etcd::EtcdStore;
pub use memory::MemoryStore;
pub use metered::Metered;
#[cfg(feature = "proxy")]
pub use redb::RedbStore;
pub use registry::{MemoryRegistry, OwnerRegistry};
#[cfg(feature = "proxy")]
pub use s3::S3Store;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

/// The future a store returns: boxed, so that the traits can be used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How many revisions of a bucket's policy are kept.
pub const REVISIONS_KEPT: usize = 20;

/// How many bytes of documents a store that knows all of them keeps compiled. A compiled policy takes a few times its
/// document.
#[cfg(feature = "proxy")]
const COMPILED_BYTES: usize = 16 * 1024 * 1024;

/// Durable storage of bucket policies, and of the public access blocks beside them.
///
/// Two writes to one bucket end with one of the two; a read sees the old policy or the new one; once a write's future
/// is ready with `Ok`, it survives a crash and every later read through this store sees it.
pub trait PolicyStore: Send + Sync + 'static {
    /// The policy in force for `bucket`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be known. Never `Ok(None)` because of an error.
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>>;

    /// What is in force for `bucket`: policy and public access block, as of one moment.
    ///
    /// # Errors
    /// [`StoreError`] when either cannot be known.
    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>>;

    /// Puts a policy in force and answers its revision once it is durable.
    ///
    /// # Errors
    /// [`StoreError`]: the policy may or may not have been stored, and must not be acknowledged.
    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Takes the policy out of force, durably; it stays in the history. `Ok(false)` where there was none.
    ///
    /// # Errors
    /// [`StoreError`], as for [`put`](Self::put).
    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Puts a public access block in force, in place of any other; ready once it is durable.
    ///
    /// # Errors
    /// [`StoreError`], as for [`put`](Self::put).
    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        change: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes the public access block out of force, durably. `Ok(false)` where there was none.
    ///
    /// # Errors
    /// [`StoreError`], as for [`put`](Self::put).
    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        change: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Forgets all about a bucket that no longer exists: its policy with the history, and its public access block.
    /// `Ok(false)` where nothing was known.
    ///
    /// # Errors
    /// [`StoreError`], as for [`put`](Self::put).
    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The last [`REVISIONS_KEPT`] revisions, newest first; a deletion is one without document.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>>;

    /// The buckets that something is stored for, be it a history or a record that cannot be read: the first `limit` of
    /// those whose names come after `after`, in the order of their bytes. Fewer than `limit` are the last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when they cannot be known.
    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>>;

    /// Puts `contents` in place of all that is stored for `bucket`, in one step, and answers the newest revision's number
    /// once it is durable; `None` where there is no revision. The revisions keep their order and their changes, and get
    /// numbers of this store.
    ///
    /// # Errors
    /// [`StoreError`], as for [`put`](Self::put).
    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>>;
}

/// Reads a bucket's present policy from whoever keeps it.
pub trait PolicySource: Send + Sync + 'static {
    /// The policy in force for `bucket`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be known.
    fn policy<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<Policy>>, StoreError>>;
}

/// Who changed a policy or a public access block, when, and in which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// The caller's ARN.
    pub by: String,
    /// The request's id.
    pub request_id: String,
}

/// A policy in force: the bytes as sent, and what they compiled to.
#[derive(Clone, Debug)]
pub struct PolicyRecord {
    /// The exact bytes of the `PUT`.
    pub document: Bytes,
    /// The checked policy.
    pub policy: Arc<Policy>,
    /// Counts up with every change of this bucket's policy.
    pub revision: u64,
    /// The change that put it in force.
    pub change: Change,
}

/// What a request to a bucket is decided by.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// The policy, where there is one.
    pub policy: Option<Arc<PolicyRecord>>,
    /// The public access block, where there is one.
    pub public_access_block: Option<PublicAccessBlock>,
}

/// One entry of a bucket's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// The bytes put in force; none for a deletion.
    pub document: Option<Bytes>,
    /// The change.
    pub change: Change,
}

/// All that a store holds of a bucket, to be taken into another.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The history, newest first. Of more than [`REVISIONS_KEPT`] the oldest are dropped.
    pub revisions: Vec<PastRevision>,
    /// What the newest revision's document compiled to. None where it is a deletion, or there is no revision.
    pub policy: Option<Arc<Policy>>,
    /// The public access block, and the change that put it in force.
    pub public_access_block: Option<(PublicAccessBlock, Change)>,
}

impl Contents {
    /// Document, policy and change of what comes into force.
    pub(crate) fn in_force(&self) -> Result<Option<(Bytes, Arc<Policy>, Change)>, StoreError> {
        let newest = self.revisions.first().and_then(|past| Some((past.document.clone()?, past.change.clone())));
        match (newest, &self.policy) {
            (Some((document, change)), Some(policy)) => Ok(Some((document, Arc::clone(policy), change))),
            (None, None) => Ok(None),
            // A document that nobody checked must not come into force, and a policy without one could not be read again.
            (Some(_), None) | (None, Some(_)) => {
                let reason = "what is to be restored has a document without a policy, or a policy without a document";
                Err(StoreError::Unavailable { reason: reason.to_owned() })
            }
        }
    }
}

/// A revision without its number, which is its store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRevision {
    /// The bytes put in force; none for a deletion.
    pub document: Option<Bytes>,
    /// The change.
    pub change: Change,
}

/// Why a store cannot answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The record of this one bucket cannot be read; the others can.
    Unreadable {
        /// The bucket.
        bucket: BucketName,
        /// What is wrong with the record.
        reason: String,
    },
    /// The store as a whole does not answer.
    Unavailable {
        /// What was attempted and why it failed.
        reason: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { bucket, reason } => {
                write!(f, "the policy record of bucket `{bucket}` is unreadable: {reason}")
            }
            Self::Unavailable { reason } => write!(f, "the policy store is unavailable: {reason}"),
        }
    }
}

impl std::error::Error for StoreError {}
