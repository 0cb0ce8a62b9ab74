//! How long a store takes, and how often it cannot answer: [`Metered`].

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use metrics::{Counter, Histogram};

use super::{BoxFuture, Change, Contents, InForce, PolicyRecord, PolicyStore, Revision, StoreError};
use crate::meters;
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

/// A store whose calls are counted.
pub struct Metered {
    store: Arc<dyn PolicyStore>,
    get: Call,
    in_force: Call,
    put: Call,
    delete: Call,
    put_public_access_block: Call,
    delete_public_access_block: Call,
    purge: Call,
    history: Call,
    list: Call,
    restore: Call,
}

/// One method's handles.
struct Call {
    duration: Histogram,
    errors: Counter,
}

impl Metered {
    /// Counts the calls of `store`.
    pub fn new(store: Arc<dyn PolicyStore>) -> Self {
        let call = |name| Call {
            duration: meters::STORE_DURATION.histogram(&[name]),
            errors: meters::STORE_ERRORS.counter(&[name]),
        };
        Self {
            store,
            get: call("get"),
            in_force: call("in_force"),
            put: call("put"),
            delete: call("delete"),
            put_public_access_block: call("put_public_access_block"),
            delete_public_access_block: call("delete_public_access_block"),
            purge: call("purge"),
            history: call("history"),
            list: call("list"),
            restore: call("restore"),
        }
    }
}

impl Call {
    fn time<'a, T: 'a>(&'a self, answer: BoxFuture<'a, Result<T, StoreError>>) -> BoxFuture<'a, Result<T, StoreError>> {
        let started = Instant::now();
        Box::pin(async move {
            let answer = answer.await;
            self.duration.record(started.elapsed().as_secs_f64());
            if answer.is_err() {
                self.errors.increment(1);
            }
            answer
        })
    }
}

impl PolicyStore for Metered {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        self.get.time(self.store.get(bucket))
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        self.in_force.time(self.store.in_force(bucket))
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.put.time(self.store.put(bucket, document, policy, change))
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.delete.time(self.store.delete(bucket, change))
    }

    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        change: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.put_public_access_block.time(self.store.put_public_access_block(bucket, block, change))
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        change: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.delete_public_access_block.time(self.store.delete_public_access_block(bucket, change))
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.purge.time(self.store.purge(bucket))
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        self.history.time(self.store.history(bucket))
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        self.list.time(self.store.list(after, limit))
    }

    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        self.restore.time(self.store.restore(bucket, contents))
    }
}
