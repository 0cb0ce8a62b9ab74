//! The owners' registry in the store's file.

use std::fmt;
use std::sync::Arc;

use super::Inner;
use super::file::StoreFile;
use super::writer::Action;
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::{BoxFuture, OwnerRegistry, StoreError};

/// The [`OwnerRegistry`] of a [`RedbStore`](super::RedbStore), which it keeps open. Its futures need a tokio runtime.
#[derive(Clone)]
pub struct RedbRegistry {
    inner: Arc<Inner>,
}

impl RedbRegistry {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl OwnerRegistry for RedbRegistry {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>> {
        Box::pin(async move { self.inner.read(bucket, StoreFile::owner).await })
    }

    fn set<'a>(&'a self, bucket: &'a BucketName, account: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.inner.writer.run(bucket, Action::SetOwner(account.clone())).await?;
            Ok(())
        })
    }

    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.inner.writer.run(bucket, Action::ForgetOwner).await?.existed) })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        let after = after.cloned();
        Box::pin(async move { self.inner.read_all(move |file| file.owned(after.as_ref(), limit)).await })
    }
}

impl fmt::Debug for RedbRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbRegistry").field("file", &self.inner.file).finish_non_exhaustive()
    }
}
