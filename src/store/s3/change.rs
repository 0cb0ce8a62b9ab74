//! Changing what is kept of a bucket, whoever else does so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Inner;
use super::cache::unreadable;
use super::objects::{Condition, Fetched, Written};
use super::record::{Damage, Record};
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::{Change, StoreError};

/// How long a change that keeps losing the race begins anew. Each time another one won.
const CONTEST: Duration = Duration::from_secs(10);

/// What a change makes of a record.
pub(super) enum Step<T> {
    /// It stays as it is.
    Unchanged(T),
    /// It is to be written. With the policy that its newest document compiles to, where that is known.
    Changed(T, Option<Arc<Policy>>),
}

/// A record as it was read.
pub(super) enum Found {
    Readable(Record),
    /// The last number it spoke of, and what is wrong with it.
    Unreadable(u64, Damage),
}

impl Found {
    /// What a change of the policy begins with. Of a damaged record it is not known what it blocked, so all is.
    pub(super) fn or_blocked(self, change: &Change) -> Record {
        match self {
            Self::Readable(record) => record,
            Self::Unreadable(last_revision, _) => {
                let all = PublicAccessBlock {
                    block_public_acls: true,
                    ignore_public_acls: true,
                    block_public_policy: true,
                    restrict_public_buckets: true,
                };
                Record { last_revision, block: Some((Some(all), change.clone())), ..Record::default() }
            }
        }
    }

    /// What a change begins with that leaves nothing of what was.
    pub(super) fn or_nothing(self) -> Record {
        match self {
            Self::Readable(record) => record,
            Self::Unreadable(last_revision, _) => Record { last_revision, ..Record::default() },
        }
    }
}

impl Inner {
    /// Changes what is kept of `bucket`. Where another change comes in between, `change` is asked anew about what that
    /// one left.
    pub(super) async fn change<T>(
        &self,
        bucket: &BucketName,
        mut change: impl FnMut(Found) -> Result<(Record, Step<T>), Damage>,
    ) -> Result<T, StoreError> {
        let slot = self.policies.slot_of(bucket);
        let mut turn = slot.turn(&self.policies).await?;
        let key = self.policies.key(bucket);
        let mut conditional = match self.conditional().await {
            Ok(conditional) => conditional,
            Err(error) => return Err(turn.failed(error)),
        };
        let deadline = Instant::now() + CONTEST;
        loop {
            let (found, condition) = match self.objects.get(&key, None).await {
                Ok(Fetched::Found { content, etag }) => {
                    let found = match Record::decode(bucket, &content) {
                        Ok(record) => Found::Readable(record),
                        Err(damage) => {
                            tracing::error!(%bucket, key, %damage, "a record that is to be changed is unreadable");
                            Found::Unreadable(Record::last_revision_of(&content), damage)
                        }
                    };
                    (found, etag.map_or(Condition::None, Condition::Unchanged))
                }
                Ok(Fetched::Absent | Fetched::Unchanged) => (Found::Readable(Record::default()), Condition::Absent),
                Err(error) => return Err(turn.failed(error)),
            };
            let damaged = |damage: Damage| unreadable(bucket, &damage);
            let (record, answer, policy) = match change(found).map_err(damaged)? {
                (_, Step::Unchanged(answer)) => return Ok(answer),
                (record, Step::Changed(answer, policy)) => (record, answer, policy),
            };
            let object = record.encode(bucket).map_err(damaged)?;
            let in_force = match policy {
                Some(policy) => Ok(record.in_force(Some(policy))),
                None => record.compiled(bucket),
            };
            let condition = if conditional { condition } else { Condition::None };
            turn.sending();
            match self.objects.put(&key, object, &condition).await {
                Ok(Written::Done(etag)) => {
                    turn.done(in_force, etag);
                    return Ok(answer);
                }
                Ok(Written::Refused) => {
                    turn.refused();
                    if Instant::now() >= deadline {
                        let reason = format!("other changes of `{bucket}` came first for {CONTEST:?}");
                        return Err(StoreError::Unavailable { reason });
                    }
                    sleep(moment()).await;
                }
                // It has been replaced by another, or is one of several that are not alike.
                Ok(Written::NotSupported) => {
                    turn.refused();
                    conditional = false;
                }
                Err(error) => return Err(turn.failed(error)),
            }
        }
    }
}

/// A short time, another each time, so that those who lost a race do not meet again.
fn moment() -> Duration {
    let mut random = [0_u8; 1];
    // Without one they may meet again, and no more.
    let _ = getrandom::fill(&mut random);
    Duration::from_micros(1_000 + u64::from(random[0]) * 100)
}
