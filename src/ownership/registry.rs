//! Owners of the buckets that were created through us: the source `registry`.

use std::fmt;
use std::sync::Arc;

use super::OwnershipError;
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::{OwnerRegistry, StoreError};

/// The accounts recorded when buckets were created.
#[derive(Clone)]
pub struct RegistryOwners(Arc<dyn OwnerRegistry>);

impl RegistryOwners {
    /// Reads and records in `registry`.
    pub fn new(registry: Arc<dyn OwnerRegistry>) -> Self {
        Self(registry)
    }

    /// The account recorded for the bucket.
    ///
    /// # Errors
    /// [`OwnershipError`] when the registry cannot be read.
    pub async fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, OwnershipError> {
        self.0.get(bucket).await.map_err(|e| failed(bucket, "reading the registry of owners", &e))
    }

    /// Records the bucket's creator, durably.
    ///
    /// # Errors
    /// [`OwnershipError`] when it may not have been recorded.
    pub async fn record(&self, bucket: &BucketName, creator: &AccountId) -> Result<(), OwnershipError> {
        self.0.set(bucket, creator).await.map_err(|e| failed(bucket, "recording its creator", &e))
    }

    /// Forgets the bucket, durably.
    ///
    /// # Errors
    /// [`OwnershipError`] when it may not have been forgotten.
    pub async fn forget(&self, bucket: &BucketName) -> Result<(), OwnershipError> {
        self.0.remove(bucket).await.map(|_| ()).map_err(|e| failed(bucket, "forgetting its creator", &e))
    }
}

impl fmt::Debug for RegistryOwners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryOwners")
    }
}

fn failed(bucket: &BucketName, doing: &str, error: &StoreError) -> OwnershipError {
    OwnershipError { bucket: bucket.clone(), reason: format!("{doing}: {error}") }
}
