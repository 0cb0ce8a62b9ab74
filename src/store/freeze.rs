//! Keeping still what is kept, so that it can be moved to another place: [`Freeze`].

use std::sync::Arc;

use async_lock::RwLock;
use bytes::Bytes;

use super::{BoxFuture, Change, Contents, InForce, OwnerRegistry, PolicyRecord, PolicyStore, Revision, StoreError};
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

/// Whether changes are refused for now. Clones are handles of the same switch.
#[derive(Clone, Debug, Default)]
pub struct Freeze(Arc<RwLock<Option<String>>>);

impl Freeze {
    /// Refuses all changes from now on, once those that are under way have ended: what is then kept stays. Answers the id
    /// by which this freeze is told from another; `id` becomes it, unless there is one already.
    pub async fn freeze(&self, id: String) -> String {
        self.0.write().await.get_or_insert(id).clone()
    }

    /// Lets changes be made again. Whether they were not.
    pub async fn thaw(&self) -> bool {
        self.0.write().await.take().is_some()
    }

    /// The id of the freeze, where there is one.
    pub async fn id(&self) -> Option<String> {
        self.0.read().await.clone()
    }

    /// Makes a change, or refuses it. A freeze waits until its future is ready or dropped; one that was dropped was not
    /// acknowledged.
    async fn change<T>(&self, change: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let frozen = self.0.read().await;
        match &*frozen {
            Some(_) => Err(StoreError::Unavailable {
                reason: "it is frozen, to be moved: nothing is changed until it is thawed".to_owned(),
            }),
            None => change.await,
        }
    }
}

/// A [`PolicyStore`] or an [`OwnerRegistry`] that a [`Freeze`] holds still. Reading it goes on.
#[derive(Clone, Debug)]
pub struct Freezable<T: ?Sized> {
    inner: Arc<T>,
    freeze: Freeze,
}

impl<T: ?Sized> Freezable<T> {
    /// What is kept in `inner`.
    pub fn new(inner: Arc<T>, freeze: Freeze) -> Self {
        Self { inner, freeze }
    }
}

impl PolicyStore for Freezable<dyn PolicyStore> {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        self.inner.get(bucket)
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        self.inner.in_force(bucket)
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.freeze.change(self.inner.put(bucket, document, policy, change)))
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.freeze.change(self.inner.delete(bucket, change)))
    }

    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        change: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.freeze.change(self.inner.put_public_access_block(bucket, block, change)))
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        change: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.freeze.change(self.inner.delete_public_access_block(bucket, change)))
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.freeze.change(self.inner.purge(bucket)))
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        self.inner.history(bucket)
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        self.inner.list(after, limit)
    }

    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        Box::pin(self.freeze.change(self.inner.restore(bucket, contents)))
    }
}

impl OwnerRegistry for Freezable<dyn OwnerRegistry> {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>> {
        self.inner.get(bucket)
    }

    fn set<'a>(&'a self, bucket: &'a BucketName, account: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.freeze.change(self.inner.set(bucket, account)))
    }

    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.freeze.change(self.inner.remove(bucket)))
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        self.inner.list(after, limit)
    }
}

#[cfg(all(test, feature = "proxy"))]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::store::{MemoryRegistry, MemoryStore};

    #[tokio::test]
    async fn a_freeze_waits_for_changes_and_then_refuses_them() {
        let freeze = Freeze::default();
        let inner: Arc<dyn PolicyStore> = Arc::new(MemoryStore::new());
        let store = Freezable::new(Arc::clone(&inner), freeze.clone());
        let registry = Freezable::<dyn OwnerRegistry>::new(Arc::new(MemoryRegistry::new()), freeze.clone());
        let bucket = BucketName::parse("photos").unwrap();
        let account = AccountId::parse("111122223333").unwrap();
        let change = Change { at: SystemTime::UNIX_EPOCH, by: "admin".to_owned(), request_id: "1".to_owned() };
        let block = PublicAccessBlock::default();
        store.put_public_access_block(&bucket, block, change.clone()).await.unwrap();
        registry.set(&bucket, &account).await.unwrap();

        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let under_way = {
            let freeze = freeze.clone();
            tokio::spawn(async move { freeze.change(async { gone.await.map_err(|_| unreachable!()) }).await })
        };
        tokio::task::yield_now().await;
        let freezing = {
            let freeze = freeze.clone();
            tokio::spawn(async move { freeze.freeze("one".to_owned()).await })
        };
        tokio::task::yield_now().await;
        assert!(!freezing.is_finished(), "a change is under way");
        go.send(()).unwrap();
        under_way.await.unwrap().unwrap();
        assert_eq!(freezing.await.unwrap(), "one");
        assert_eq!(freeze.freeze("two".to_owned()).await, "one", "it is frozen already");

        for refused in [
            store.put_public_access_block(&bucket, block, change.clone()).await,
            store.delete_public_access_block(&bucket, change.clone()).await.map(drop),
            store.delete(&bucket, change.clone()).await.map(drop),
            store.purge(&bucket).await.map(drop),
            store.restore(&bucket, Contents::default()).await.map(drop),
            registry.set(&bucket, &account).await,
            registry.remove(&bucket).await.map(drop),
        ] {
            assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
        }
        assert_eq!(store.in_force(&bucket).await.unwrap().public_access_block, Some(block), "and reading goes on");
        assert_eq!(registry.get(&bucket).await.unwrap(), Some(account));

        assert!(freeze.thaw().await && !freeze.thaw().await);
        assert!(store.purge(&bucket).await.unwrap());
        assert_eq!(freeze.id().await, None);
    }
}
