//! The owners' registry in etcd.

use std::fmt;

use super::EtcdStore;
use super::change::Action;
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::{BoxFuture, OwnerRegistry, StoreError};

/// The [`OwnerRegistry`] of an [`EtcdStore`], which it keeps open. Its futures need a tokio runtime.
#[derive(Clone)]
pub struct EtcdRegistry {
    store: EtcdStore,
}

impl EtcdRegistry {
    pub(super) fn new(store: EtcdStore) -> Self {
        Self { store }
    }
}

impl OwnerRegistry for EtcdRegistry {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>> {
        Box::pin(async move { self.store.current().await?.owner(bucket) })
    }

    fn set<'a>(&'a self, bucket: &'a BucketName, account: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.store.write(bucket, Action::SetOwner(account.clone())).await?;
            Ok(())
        })
    }

    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.store.write(bucket, Action::ForgetOwner).await?.existed) })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(async move { Ok(self.store.current().await?.owned(after, limit)) })
    }
}

impl fmt::Debug for EtcdRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EtcdRegistry").field(&self.store).finish()
    }
}
