//! Who created which bucket: [`OwnerRegistry`], kept beside the policies.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BoxFuture, StoreError};
use crate::policy::AccountId;
use crate::s3::address::BucketName;

/// Durable record of the accounts that created buckets through us.
///
/// As with [`PolicyStore`](super::PolicyStore): a change whose future is ready with `Ok` survives a crash, and every
/// later [`get`](Self::get) sees it.
pub trait OwnerRegistry: Send + Sync + 'static {
    /// The account recorded for `bucket`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be known. Never `Ok(None)` because of an error.
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>>;

    /// Records `account` for `bucket`, in place of any other.
    ///
    /// # Errors
    /// [`StoreError`]: it may or may not have been recorded.
    fn set<'a>(&'a self, bucket: &'a BucketName, account: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Forgets `bucket`. `Ok(false)` where nothing was recorded.
    ///
    /// # Errors
    /// [`StoreError`]: it may or may not have been forgotten.
    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The buckets that an account is recorded for, be it in a record that cannot be read: the first `limit` of those
    /// whose names come after `after`, in the order of their bytes. Fewer than `limit` are the last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when they cannot be known.
    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>>;
}

/// An [`OwnerRegistry`] that is gone with the process: for a Layer used alone, and for tests.
#[derive(Debug, Default)]
pub struct MemoryRegistry(Mutex<BTreeMap<BucketName, AccountId>>);

impl MemoryRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<BucketName, AccountId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwnerRegistry for MemoryRegistry {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>> {
        Box::pin(async move { Ok(self.entries().get(bucket).cloned()) })
    }

    fn set<'a>(&'a self, bucket: &'a BucketName, account: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.entries().insert(bucket.clone(), account.clone());
            Ok(())
        })
    }

    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.entries().remove(bucket).is_some()) })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(async move {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let entries = self.entries();
            let names = entries.range::<BucketName, _>((from, Bound::Unbounded)).map(|(name, _)| name.clone());
            Ok(names.take(limit).collect())
        })
    }
}
