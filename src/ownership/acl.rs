//! Owners named by the store's own ACLs: the source `upstream-acl`.

use std::fmt;
use std::sync::Arc;

use super::{BucketProbe, OwnershipError};
use crate::policy::AccountId;
use crate::s3::address::BucketName;

/// Finds the account with a canonical id.
type Accounts = dyn Fn(&str) -> Option<AccountId> + Send + Sync;

/// The account whose canonical id stands as `Owner/ID` in the bucket's ACL.
#[derive(Clone)]
pub struct AclOwners {
    probe: Arc<dyn BucketProbe>,
    accounts: Arc<Accounts>,
}

impl AclOwners {
    /// Asks `probe` for the ACL, and `accounts` whose canonical id it names: as the store writes it, which need not be
    /// Amazon's 64 digits. `accounts` is called on every lookup, so
    /// that it can follow identities that are read anew.
    pub fn new(
        probe: Arc<dyn BucketProbe>,
        accounts: impl Fn(&str) -> Option<AccountId> + Send + Sync + 'static,
    ) -> Self {
        Self { probe, accounts: Arc::new(accounts) }
    }

    /// The account; none where the store shows no ACL, or one whose owner is no account of ours.
    ///
    /// # Errors
    /// [`OwnershipError`] when the store does not answer.
    pub async fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, OwnershipError> {
        let id = self
            .probe
            .acl_owner(bucket)
            .await
            .map_err(|e| OwnershipError { bucket: bucket.clone(), reason: format!("asking for its ACL: {e}") })?;
        Ok(id.and_then(|id| (self.accounts)(&id)))
    }
}

impl fmt::Debug for AclOwners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AclOwners")
    }
}
