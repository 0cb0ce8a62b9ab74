//! The owners' registry beside the policies.

use std::fmt;
use std::sync::Arc;

use super::cache::{Cached, unreadable};
use super::objects::{Condition, Fetched, Written};
use super::record::{Damage, decode_owner, encode_owner};
use super::{Inner, Kind};
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::{BoxFuture, OwnerRegistry, StoreError};

/// The [`OwnerRegistry`] of an [`S3Store`](super::S3Store). Its futures need a tokio runtime.
#[derive(Clone)]
pub struct S3Registry {
    inner: Arc<Inner>,
}

impl S3Registry {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl Cached for Option<AccountId> {
    fn read(bucket: &BucketName, object: &[u8]) -> Result<Self, Damage> {
        decode_owner(bucket, object).map(Some)
    }

    fn weight(&self) -> usize {
        64
    }
}

impl OwnerRegistry for S3Registry {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>> {
        Box::pin(self.inner.owners.get(bucket))
    }

    fn set<'a>(&'a self, bucket: &'a BucketName, account: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let owners = &self.inner.owners;
            let object = encode_owner(bucket, account).map_err(|damage| unreadable(bucket, &damage))?;
            let slot = owners.slot_of(bucket);
            let mut turn = slot.turn(owners).await?;
            turn.sending();
            // In place of any other, so there is no condition.
            match self.inner.objects.put(&owners.key(bucket), object, &Condition::None).await {
                Ok(Written::Done(etag)) => {
                    turn.done(Ok(Some(account.clone())), etag);
                    Ok(())
                }
                Ok(Written::Refused | Written::NotSupported) => Err(StoreError::Unavailable {
                    reason: "the object store refused an unconditional write".to_owned(),
                }),
                Err(error) => Err(turn.failed(error)),
            }
        })
    }

    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let owners = &self.inner.owners;
            let key = owners.key(bucket);
            let slot = owners.slot_of(bucket);
            let mut turn = slot.turn(owners).await?;
            match self.inner.objects.get(&key, None).await {
                Ok(Fetched::Absent | Fetched::Unchanged) => return Ok(false),
                Ok(Fetched::Found { .. }) => {}
                Err(error) => return Err(turn.failed(error)),
            }
            turn.sending();
            match self.inner.objects.delete(&key).await {
                Ok(()) => {
                    turn.done(Ok(None), None);
                    Ok(true)
                }
                Err(error) => Err(turn.failed(error)),
            }
        })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(self.inner.buckets(Kind::Owners, after, limit))
    }
}

impl fmt::Debug for S3Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Registry").field("prefix", &self.inner.prefix).finish_non_exhaustive()
    }
}
