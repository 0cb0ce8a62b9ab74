//! One change of a bucket at a time.
//!
//! A `DeleteBucket` on its way to the store and a `PUT ?policy` must not pass each other, or the policy would outlive
//! its bucket and greet the next one of that name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::{Mutex as AsyncMutex, MutexGuardArc};

use crate::s3::address::BucketName;

/// A lock for each bucket that is being changed. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct BucketLocks(Arc<Mutex<HashMap<BucketName, Arc<AsyncMutex<()>>>>>);

/// Holds a bucket's lock until dropped.
#[derive(Debug)]
pub(crate) struct BucketGuard {
    bucket: BucketName,
    locks: Arc<Mutex<HashMap<BucketName, Arc<AsyncMutex<()>>>>>,
    lock: Arc<AsyncMutex<()>>,
    held: Option<MutexGuardArc<()>>,
}

impl BucketLocks {
    /// Waits for the bucket's turn.
    pub(crate) async fn lock(&self, bucket: &BucketName) -> BucketGuard {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(bucket.clone()).or_default())
        };
        // Made before waiting, so that a caller who goes away while waiting is counted out by the same `Drop`.
        let mut guard = BucketGuard { bucket: bucket.clone(), locks: Arc::clone(&self.0), lock, held: None };
        let held = guard.lock.lock_arc().await;
        guard.held = Some(held);
        guard
    }

    /// How many hold the bucket's turn or wait for it.
    #[cfg(all(test, feature = "proxy"))]
    pub(crate) fn held_or_awaited(&self, bucket: &BucketName) -> usize {
        let locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // But for the map's own: two of each, the guard's and the one with which it holds or awaits the mutex.
        locks.get(bucket).map_or(0, |lock| (Arc::strong_count(lock) - 1) / 2)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for BucketGuard {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this guard's: nobody else holds or awaits it. New holders come only through the map, which is
        // locked.
        if Arc::strong_count(&self.lock) == 2 {
            locks.remove(&self.bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_bucket_waits_and_another_does_not() {
        let locks = BucketLocks::default();
        let (one, two) = (BucketName::parse("one").unwrap(), BucketName::parse("two").unwrap());
        let held = locks.lock(&one).await;
        let _other = locks.lock(&two).await;
        let mut waiting = Box::pin(locks.lock(&one));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
        drop(held);
        let _now = waiting.await;
    }

    #[tokio::test]
    async fn nothing_is_kept_of_a_bucket_that_nobody_changes() {
        let locks = BucketLocks::default();
        let bucket = BucketName::parse("one").unwrap();
        let held = locks.lock(&bucket).await;
        let mut abandoned = Box::pin(locks.lock(&bucket));
        let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(abandoned.as_mut().poll(cx).is_pending())).await;
        drop(abandoned);
        assert_eq!(locks.len(), 1);
        drop(held);
        assert_eq!(locks.len(), 0);

        let held = locks.lock(&bucket).await;
        let mut abandoned = Box::pin(locks.lock(&bucket));
        let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(abandoned.as_mut().poll(cx).is_pending())).await;
        drop(held);
        drop(abandoned);
        assert_eq!(locks.len(), 0);
    }
}
