//! Policies and public access blocks in memory: for a Layer used alone, and for tests.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{BoxFuture, Change, Contents, InForce, PolicyRecord, PolicyStore, REVISIONS_KEPT, Revision, StoreError};
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

/// A [`PolicyStore`] that is gone with the process. It needs no runtime and never fails.
///
/// Nothing is durable here beyond the process; all else that the trait promises holds.
#[derive(Debug, Default)]
pub struct MemoryStore(RwLock<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    /// The last revision given; one count for all buckets, so that a number means one change even after a purge.
    last_revision: u64,
    by_name: BTreeMap<BucketName, Entry>,
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

    fn read(&self) -> RwLockReadGuard<'_, Buckets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Buckets> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
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
        Box::pin(async move { Ok(self.read().by_name.get(bucket).and_then(|entry| entry.in_force.policy.clone())) })
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        Box::pin(
            async move { Ok(self.read().by_name.get(bucket).map(|entry| entry.in_force.clone()).unwrap_or_default()) },
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
            let mut buckets = self.write();
            let revision = buckets.next_revision();
            let entry = buckets.by_name.entry(bucket.clone()).or_default();
            entry.record(Revision { revision, document: Some(document.clone()), change: change.clone() });
            entry.in_force.policy = Some(Arc::new(PolicyRecord { document, policy, revision, change }));
            Ok(revision)
        })
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut buckets = self.write();
            if buckets.by_name.get(bucket).is_none_or(|entry| entry.in_force.policy.is_none()) {
                return Ok(false);
            }
            let revision = buckets.next_revision();
            let entry = buckets.by_name.entry(bucket.clone()).or_default();
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
            self.write().by_name.entry(bucket.clone()).or_default().in_force.public_access_block = Some(block);
            Ok(())
        })
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        _: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut buckets = self.write();
            let before = buckets.by_name.get_mut(bucket).and_then(|entry| entry.in_force.public_access_block.take());
            Ok(before.is_some())
        })
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.write().by_name.remove(bucket).is_some()) })
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async move {
            let buckets = self.read();
            Ok(buckets.by_name.get(bucket).map(|entry| entry.history.iter().cloned().collect()).unwrap_or_default())
        })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(async move {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let buckets = self.read();
            let names = buckets.by_name.range::<BucketName, _>((from, Bound::Unbounded)).map(|(name, _)| name.clone());
            Ok(names.take(limit).collect())
        })
    }

    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        Box::pin(async move {
            let in_force = contents.in_force()?;
            let Contents { revisions, public_access_block, .. } = contents;
            let mut buckets = self.write();
            let mut entry = Entry::default();
            entry.in_force.public_access_block = public_access_block.map(|(block, _)| block);
            for past in revisions.into_iter().take(REVISIONS_KEPT).rev() {
                let revision = buckets.next_revision();
                entry.record(Revision { revision, document: past.document, change: past.change });
            }
            let revision = entry.history.front().map(|newest| newest.revision);
            if let (Some(revision), Some((document, policy, change))) = (revision, in_force) {
                entry.in_force.policy = Some(Arc::new(PolicyRecord { document, policy, revision, change }));
            }
            if revision.is_none() && entry.in_force.public_access_block.is_none() {
                buckets.by_name.remove(bucket);
            } else {
                buckets.by_name.insert(bucket.clone(), entry);
            }
            Ok(revision)
        })
    }
}
