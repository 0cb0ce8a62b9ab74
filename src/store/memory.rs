//! Policies in memory: for a Layer used alone, and for tests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{BoxFuture, Change, PolicyRecord, PolicyStore, REVISIONS_KEPT, Revision, StoreError};
use crate::policy::Policy;
use crate::s3::address::BucketName;

/// A [`PolicyStore`] that is gone with the process. It needs no runtime and never fails.
///
/// Nothing is durable here beyond the process; all else that the trait promises holds.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// The last revision given; one count for all buckets, so that a number means one change even after a purge.
    last_revision: u64,
    buckets: HashMap<BucketName, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    in_force: Option<Arc<PolicyRecord>>,
    /// Newest first.
    history: VecDeque<Revision>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        Box::pin(async move { Ok(self.contents().buckets.get(bucket).and_then(|entry| entry.in_force.clone())) })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut contents = self.contents();
            let revision = contents.next_revision();
            let entry = contents.buckets.entry(bucket.clone()).or_default();
            entry.record(Revision { revision, document: Some(document.clone()), change: change.clone() });
            entry.in_force = Some(Arc::new(PolicyRecord { document, policy, revision, change }));
            Ok(revision)
        })
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut contents = self.contents();
            if contents.buckets.get(bucket).is_none_or(|entry| entry.in_force.is_none()) {
                return Ok(false);
            }
            let revision = contents.next_revision();
            let entry = contents.buckets.entry(bucket.clone()).or_default();
            entry.record(Revision { revision, document: None, change });
            entry.in_force = None;
            Ok(true)
        })
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.contents().buckets.remove(bucket).is_some()) })
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async move {
            let contents = self.contents();
            Ok(contents.buckets.get(bucket).map(|entry| entry.history.iter().cloned().collect()).unwrap_or_default())
        })
    }
}
