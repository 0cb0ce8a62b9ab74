//! Policies and public access blocks in memory: for a Layer used alone, and for tests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{BoxFuture, Change, InForce, PolicyRecord, PolicyStore, REVISIONS_KEPT, Revision, StoreError};
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

/// A [`PolicyStore`] that is gone with the process. It needs no runtime and never fails.
///
/// Nothing is durable here beyond the process; all else that the trait promises holds.
#[derive(Debug, Default)]
pub struct MemoryStore(RwLock<Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// The last revision given; one count for all buckets, so that a number means one change even after a purge.
    last_revision: u64,
    buckets: HashMap<BucketName, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    in_force: InForce,
    /// Newest first.
    history: VecDeque<Revision>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Contents> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn next_revision(&mut self) -> u64 {
        self.last_revision += 1;
        self.last_revision
    }
}

impl Entry {
    fn record(&mut self, revision: Revision) {
        self.history.push_front(revision);
        self.history.truncate(REVISIONS_KEPT);
    }
}

impl PolicyStore for MemoryStore {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        Box::pin(async move { Ok(self.read().buckets.get(bucket).and_then(|entry| entry.in_force.policy.clone())) })
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        Box::pin(
            async move { Ok(self.read().buckets.get(bucket).map(|entry| entry.in_force.clone()).unwrap_or_default()) },
        )
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut contents = self.write();
            let revision = contents.next_revision();
            let entry = contents.buckets.entry(bucket.clone()).or_default();
            entry.record(Revision { revision, document: Some(document.clone()), change: change.clone() });
            entry.in_force.policy = Some(Arc::new(PolicyRecord { document, policy, revision, change }));
            Ok(revision)
        })
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut contents = self.write();
            if contents.buckets.get(bucket).is_none_or(|entry| entry.in_force.policy.is_none()) {
                return Ok(false);
            }
            let revision = contents.next_revision();
            let entry = contents.buckets.entry(bucket.clone()).or_default();
            entry.record(Revision { revision, document: None, change });
            entry.in_force.policy = None;
            Ok(true)
        })
    }

    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        _: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.write().buckets.entry(bucket.clone()).or_default().in_force.public_access_block = Some(block);
            Ok(())
        })
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        _: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut contents = self.write();
            let before = contents.buckets.get_mut(bucket).and_then(|entry| entry.in_force.public_access_block.take());
            Ok(before.is_some())
        })
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.write().buckets.remove(bucket).is_some()) })
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async move {
            let contents = self.read();
            Ok(contents.buckets.get(bucket).map(|entry| entry.history.iter().cloned().collect()).unwrap_or_default())
        })
    }
}
