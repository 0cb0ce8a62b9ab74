//! What is in etcd, in memory: as of one revision of etcd's, and known to have been current not long ago.
//!
//! Only [`follow`](super::follow) changes it, in etcd's order, so whoever looks sees what was in force at one moment.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use self::state::{Lookup, State};
use super::keys::Keys;
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::store::{COMPILED_BYTES, InForce, PolicyRecord, StoreError};

/// The mirror of one store.
#[derive(Debug)]
pub(super) struct Mirror {
    keys: Keys,
    max_staleness: Duration,
    state: RwLock<State>,
    /// Etcd's revision that the state is of; none before it was first read.
    reached: watch::Sender<Option<i64>>,
    freshness: Mutex<Freshness>,
}

#[derive(Debug, Default)]
struct Freshness {
    /// A moment at which the state was what etcd held.
    proven: Option<Instant>,
    /// Since when etcd has not been heard from, and why.
    trouble: Option<(Instant, String)>,
}

/// The key that every change puts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Etcd's revision of it; 0 where there is none.
    pub(super) mod_revision: i64,
    /// None where it is not there or not understood.
    last_revision: Option<u64>,
}

/// Its value.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Count {
    /// The last revision given; one count for all buckets, so that a number means one change even after a purge.
    pub(super) last_revision: u64,
    /// Tells the change that put it from all others.
    pub(super) change: String,
}

/// A key as it is now.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) mod_revision: i64,
    pub(super) version: i64,
    /// None where it was deleted.
    pub(super) value: Option<Vec<u8>>,
}

/// What a change of one bucket starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) count: Counted,
    /// The last number that was given to a revision.
    pub(super) last_revision: u64,
    pub(super) policy: Option<KnownPolicy>,
    /// Whether one is in force, where there is a record. One that cannot be read counts: taking it out is how to be rid
    /// of it.
    pub(super) block: Option<bool>,
    pub(super) owner: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownPolicy {
    pub(super) version: i64,
    /// As for the block.
    pub(super) in_force: bool,
}

impl Mirror {
    pub(super) fn new(keys: Keys, max_staleness: Duration) -> Self {
        let (reached, _) = watch::channel(None);
        Self { keys, max_staleness, state: RwLock::default(), reached, freshness: Mutex::default() }
    }

    /// Etcd's revision that the state is of.
    pub(super) fn reached(&self) -> Option<i64> {
        *self.reached.borrow()
    }

    /// Takes what all keys are at `revision`, which was asked for at `moment`, in place of all that was known.
    pub(super) fn replace(&self, entries: Vec<Entry>, revision: i64, moment: Instant) {
        let mut fresh = State::default();
        for entry in entries {
            fresh.apply(&self.keys, entry);
        }
        let mut state = self.write();
        // What has not changed need not be compiled again.
        fresh.inherit(&state);
        *state = fresh;
        drop(state);
        self.prove(moment);
        self.reached.send_replace(Some(revision));
    }

    /// Takes the changes of one or several revisions, whole ones, in one step.
    pub(super) fn apply(&self, entries: Vec<Entry>) {
        let Some(revision) = entries.iter().map(|entry| entry.mod_revision).max() else { return };
        let mut state = self.write();
        for entry in entries {
            state.apply(&self.keys, entry);
        }
        drop(state);
        self.reached.send_replace(Some(revision));
    }

    /// Waits until the state is of `revision` or a later one. Whether it came to that.
    pub(super) async fn reaches(&self, revision: i64, deadline: Instant) -> bool {
        let mut reached = self.reached.subscribe();
        let waiting = reached.wait_for(|reached| reached.is_some_and(|reached| reached >= revision));
        matches!(timeout_at(deadline, waiting).await, Ok(Ok(_)))
    }

    /// Waits until the count is another than `count`. Whether it came to that.
    pub(super) async fn leaves(&self, count: &Counted, deadline: Instant) -> bool {
        let mut reached = self.reached.subscribe();
        let waiting = reached.wait_for(|_| self.read().count != *count);
        matches!(timeout_at(deadline, waiting).await, Ok(Ok(_)))
    }

    /// At `moment` the state was what etcd held.
    pub(super) fn prove(&self, moment: Instant) {
        let mut freshness = self.freshness();
        freshness.proven = freshness.proven.max(Some(moment));
        freshness.trouble = None;
    }

    /// Etcd was not heard from. Whether that is news.
    pub(super) fn trouble(&self, reason: &str) -> bool {
        let mut freshness = self.freshness();
        let is_news = freshness.trouble.is_none();
        let since = freshness.trouble.take().map_or_else(Instant::now, |(since, _)| since);
        freshness.trouble = Some((since, reason.to_owned()));
        is_news
    }

    /// Since when etcd has not been heard from, and why.
    pub(super) fn troubled(&self) -> Option<(Instant, String)> {
        self.freshness().trouble.clone()
    }

    /// How long ago the state was known to be current; none before it was first read.
    pub(super) fn age(&self) -> Option<Duration> {
        self.freshness().proven.map(|proven| proven.elapsed())
    }

    /// Whether the state may be relied on.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let reason = match self.age() {
            Some(age) if age <= self.max_staleness => return Ok(()),
            Some(age) => {
                format!("what is known of it is {} s old, past `store.max_staleness`", age.as_secs())
            }
            None => "it has not been read yet".to_owned(),
        };
        let trouble = self.troubled().map(|(_, trouble)| format!(": {trouble}")).unwrap_or_default();
        Err(StoreError::Unavailable { reason: format!("{reason}{trouble}") })
    }

    pub(super) fn policy(&self, bucket: &BucketName) -> Result<Option<Arc<PolicyRecord>>, StoreError> {
        let found = self.read().policy(bucket);
        self.record(bucket, found)
    }

    pub(super) fn in_force(&self, bucket: &BucketName) -> Result<InForce, StoreError> {
        // Both as of one moment.
        let (found, block) = {
            let state = self.read();
            (state.policy(bucket), state.block(bucket))
        };
        let public_access_block =
            block.map_err(|reason| unreadable(bucket, format!("its public access block: {reason}")))?;
        Ok(InForce { policy: self.record(bucket, found)?, public_access_block })
    }

    pub(super) fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, StoreError> {
        let owner = self.read().owner(bucket);
        owner.map_err(|reason| unreadable(bucket, format!("the record of its creator: {reason}")))
    }

    /// The first `limit` names after `after` of buckets that something is stored for.
    pub(super) fn stored(&self, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
        self.read().stored(after, limit)
    }

    /// The same of buckets whose creator is recorded.
    pub(super) fn owned(&self, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
        self.read().owned(after, limit)
    }

    /// What a change of `bucket` starts from, whether it is current or not: etcd tells when it is not.
    pub(super) fn known(&self, bucket: &BucketName) -> Known {
        self.read().known(bucket)
    }

    /// Saves compiling what the one who put it has compiled.
    pub(super) fn compiled(&self, bucket: &BucketName, revision: u64, policy: &Arc<Policy>) {
        let mut state = self.write();
        if let Lookup::Document(stored) = state.policy(bucket)
            && stored.revision == revision
        {
            let record = state::record_of(&stored, Arc::clone(policy));
            state.compiled(bucket, &stored, Ok(record), COMPILED_BYTES);
        }
    }

    /// The policy that was found, compiled now where it is not.
    fn record(&self, bucket: &BucketName, found: Lookup) -> Result<Option<Arc<PolicyRecord>>, StoreError> {
        match found {
            Lookup::Absent => Ok(None),
            Lookup::Compiled(record) => Ok(Some(record)),
            Lookup::Document(revision) => {
                // Without the lock, since it takes its time. Two may do it at once, to the same end.
                let compiled = state::compile(bucket, &revision);
                self.write().compiled(bucket, &revision, compiled.clone(), COMPILED_BYTES);
                compiled.map(Some).map_err(|reason| unreadable(bucket, reason))
            }
            Lookup::Unreadable(reason) => Err(unreadable(bucket, reason)),
        }
    }

    fn freshness(&self) -> MutexGuard<'_, Freshness> {
        self.freshness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable(bucket: &BucketName, reason: String) -> StoreError {
    StoreError::Unreadable { bucket: bucket.clone(), reason }
}
