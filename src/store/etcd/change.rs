//! What a change does to the keys, and what it comes to.

use std::sync::Arc;

use bytes::Bytes;
use etcd_client::{DeleteOptions, TxnOp};

use super::keys::Keys;
use super::mirror::Known;
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::record::{self, Place};
use crate::store::{Change, Contents, PastRevision, REVISIONS_KEPT, Revision, StoreError};

/// A change of what is stored for one bucket.
#[derive(Debug)]
pub(super) enum Action {
    Put { document: Bytes, policy: Arc<Policy>, change: Change },
    Delete { change: Change },
    SetBlock { block: Option<PublicAccessBlock>, change: Change },
    Purge,
    Restore(Contents),
    SetOwner(AccountId),
    ForgetOwner,
}

/// A change in a transaction's terms, right for what it started from and nothing else.
pub(super) struct Plan {
    /// Nothing where there is nothing to change.
    pub(super) operations: Vec<TxnOp>,
    /// The last revision given once it is made.
    pub(super) last_revision: u64,
    /// Whether there was something to replace or take away.
    pub(super) existed: bool,
}

impl Action {
    /// What is to be done for it to `bucket`, of which this is `known`.
    pub(super) fn plan(&self, keys: &Keys, bucket: &BucketName, known: &Known) -> Result<Plan, StoreError> {
        let mut plan = Plan { operations: Vec::new(), last_revision: known.last_revision, existed: false };
        let (has_policy, has_block) = (known.policy.is_some(), known.block.is_some());
        match self {
            Self::Put { document, change, .. } => {
                plan.existed = has_policy;
                plan.add_revision(keys, bucket, known, Some(document), change)?;
            }
            Self::Delete { change } => {
                plan.existed = known.policy.is_some_and(|policy| policy.in_force);
                if plan.existed {
                    plan.add_revision(keys, bucket, known, None, change)?;
                }
            }
            Self::SetBlock { block, change } => {
                plan.existed = known.block == Some(true);
                if block.is_some() || plan.existed {
                    plan.put_block(keys, bucket, *block, change)?;
                }
            }
            Self::Purge => {
                plan.existed = has_policy || has_block;
                if plan.existed {
                    plan.purge(keys, bucket);
                }
            }
            Self::Restore(contents) => {
                plan.existed = has_policy || has_block;
                plan.restore(keys, bucket, known, contents)?;
            }
            Self::SetOwner(account) => {
                plan.existed = known.owner;
                let header = record::owner_header(account).map_err(|error| StoreError::Unavailable {
                    reason: format!("the owner cannot be written down: {error}"),
                })?;
                plan.put(keys.owner(bucket), record::seal(Place::Owner(bucket), &header, b""));
            }
            Self::ForgetOwner => {
                plan.existed = known.owner;
                if plan.existed {
                    plan.delete(keys.owner(bucket));
                }
            }
        }
        Ok(plan)
    }
}

impl Plan {
    fn put(&mut self, key: String, value: Vec<u8>) {
        self.operations.push(TxnOp::put(key, value, None));
    }

    fn delete(&mut self, key: String) {
        self.operations.push(TxnOp::delete(key, None));
    }

    /// Puts a revision under the next number, also in the place of the oldest of those that are kept.
    fn add_revision(
        &mut self,
        keys: &Keys,
        bucket: &BucketName,
        known: &Known,
        document: Option<&Bytes>,
        change: &Change,
    ) -> Result<(), StoreError> {
        self.last_revision += 1;
        let revision = Revision { revision: self.last_revision, document: document.cloned(), change: change.clone() };
        let record = record::seal_numbered(bucket, &revision)?;
        self.put(keys.past(bucket, next_version(known)), record.clone());
        self.put(keys.policy(bucket), record);
        Ok(())
    }

    fn put_block(
        &mut self,
        keys: &Keys,
        bucket: &BucketName,
        block: Option<PublicAccessBlock>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let header = record::block_header(block, change)?;
        self.put(keys.block(bucket), record::seal(Place::Block(bucket), &header, b""));
        Ok(())
    }

    fn purge(&mut self, keys: &Keys, bucket: &BucketName) {
        self.delete(keys.policy(bucket));
        self.delete(keys.block(bucket));
        self.delete_history(keys, bucket);
    }

    fn delete_history(&mut self, keys: &Keys, bucket: &BucketName) {
        self.operations.push(TxnOp::delete(keys.history(bucket), Some(DeleteOptions::new().with_prefix())));
    }

    /// Puts `contents` in place of all there is. Etcd refuses a transaction that changes a key twice, so each of the
    /// places of the history is either put or deleted.
    fn restore(
        &mut self,
        keys: &Keys,
        bucket: &BucketName,
        known: &Known,
        contents: &Contents,
    ) -> Result<(), StoreError> {
        let kept = contents.revisions.get(..REVISIONS_KEPT).unwrap_or(&contents.revisions);
        let version = next_version(known);
        for (age, PastRevision { document, change }) in kept.iter().enumerate().rev() {
            self.last_revision += 1;
            let revision =
                Revision { revision: self.last_revision, document: document.clone(), change: change.clone() };
            let record = record::seal_numbered(bucket, &revision)?;
            if age == 0 {
                self.put(keys.policy(bucket), record.clone());
            }
            self.put(keys.past(bucket, version - age as i64), record);
        }
        if !kept.is_empty() {
            for age in kept.len()..REVISIONS_KEPT {
                self.delete(keys.past(bucket, version - age as i64));
            }
        } else if known.policy.is_some() {
            self.delete(keys.policy(bucket));
            self.delete_history(keys, bucket);
        }
        match &contents.public_access_block {
            Some((block, change)) => self.put_block(keys, bucket, Some(*block), change)?,
            None if known.block.is_some() => self.delete(keys.block(bucket)),
            None => {}
        }
        Ok(())
    }
}

/// How often the policy's key has been put once it is put again.
fn next_version(known: &Known) -> i64 {
    known.policy.map_or(0, |policy| policy.version) + 1
}
