//! What is in etcd, in memory: as of one revision of etcd's, and known to have been current not long ago.
//!
//! Only [`follow`](super::follow) changes it, in etcd's order, so whoever looks sees what was in force at one moment.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::keys::{Item, Keys};
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::record;
use crate::store::{InForce, PolicyRecord, Revision, StoreError};

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

#[derive(Debug, Default)]
struct State {
    count: Counted,
    buckets: BTreeMap<BucketName, Slot>,
    owners: BTreeMap<BucketName, Result<AccountId, String>>,
}

/// A bucket that something is stored for.
#[derive(Clone, Debug, Default)]
struct Slot {
    policy: Option<Policies>,
    /// The block, or none where it was taken out of force; or why that is not known.
    block: Option<Result<Option<PublicAccessBlock>, String>>,
}

/// What is under the key of a bucket's policy.
#[derive(Clone, Debug)]
struct Policies {
    /// How often it was put there.
    version: i64,
    held: Result<Arc<Held>, String>,
}

/// A revision, and what its document compiles to once somebody asks.
#[derive(Debug)]
struct Held {
    revision: Revision,
    compiled: OnceLock<Result<Arc<PolicyRecord>, String>>,
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
        for (bucket, slot) in &mut fresh.buckets {
            let before = state.buckets.get(bucket).and_then(|slot| slot.policy.as_ref());
            if let (Some(Policies { held: Ok(held), .. }), Some(Policies { held: Ok(before), .. })) =
                (&mut slot.policy, before)
                && held.revision == before.revision
            {
                *held = Arc::clone(before);
            }
        }
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
        self.slot(bucket).policy(bucket)
    }

    pub(super) fn in_force(&self, bucket: &BucketName) -> Result<InForce, StoreError> {
        let slot = self.slot(bucket);
        let public_access_block = match &slot.block {
            Some(Ok(block)) => *block,
            Some(Err(reason)) => {
                let reason = format!("its public access block: {reason}");
                return Err(StoreError::Unreadable { bucket: bucket.clone(), reason });
            }
            None => None,
        };
        Ok(InForce { policy: slot.policy(bucket)?, public_access_block })
    }

    pub(super) fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, StoreError> {
        match self.read().owners.get(bucket) {
            Some(Ok(account)) => Ok(Some(account.clone())),
            Some(Err(reason)) => {
                let reason = format!("the record of its creator: {reason}");
                Err(StoreError::Unreadable { bucket: bucket.clone(), reason })
            }
            None => Ok(None),
        }
    }

    /// The first `limit` names after `after` of buckets that something is stored for.
    pub(super) fn stored(&self, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
        names(&self.read().buckets, after, limit)
    }

    /// The same of buckets whose creator is recorded.
    pub(super) fn owned(&self, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
        names(&self.read().owners, after, limit)
    }

    /// What a change of `bucket` starts from, whether it is current or not: etcd tells when it is not.
    pub(super) fn known(&self, bucket: &BucketName) -> Known {
        let state = self.read();
        let slot = state.buckets.get(bucket);
        let policy = slot.and_then(|slot| slot.policy.as_ref()).map(|policy| KnownPolicy {
            version: policy.version,
            in_force: policy.held.as_ref().map_or(true, |held| held.revision.document.is_some()),
        });
        let block = slot.and_then(|slot| slot.block.as_ref()).map(|block| block.as_ref().map_or(true, Option::is_some));
        Known {
            count: state.count.clone(),
            last_revision: state.last_revision(),
            policy,
            block,
            owner: state.owners.contains_key(bucket),
        }
    }

    /// Saves compiling what the one who put it has compiled.
    pub(super) fn compiled(&self, bucket: &BucketName, revision: u64, policy: &Arc<Policy>) {
        let state = self.read();
        let held = state.buckets.get(bucket).and_then(|slot| slot.policy.as_ref()?.held.as_ref().ok());
        if let Some(held) = held.filter(|held| held.revision.revision == revision) {
            held.compiled.get_or_init(|| held.record(Arc::clone(policy)));
        }
    }

    fn slot(&self, bucket: &BucketName) -> Slot {
        self.read().buckets.get(bucket).cloned().unwrap_or_default()
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

impl State {
    fn apply(&mut self, keys: &Keys, entry: Entry) {
        let Entry { key, mod_revision, version, value } = entry;
        let item = keys.item(&key);
        match (item, value) {
            (Some(Item::Count), Some(value)) => {
                let count = serde_json::from_slice::<Count>(&value);
                if let Err(error) = &count {
                    tracing::error!(%error, "the count of revisions in etcd is not understood: it begins with the last one seen");
                }
                self.count = Counted { mod_revision, last_revision: count.ok().map(|count| count.last_revision) };
            }
            (Some(Item::Count), None) => self.count = Counted::default(),
            (Some(Item::Policy(bucket)), Some(value)) => {
                let held = record::read_numbered(&bucket, &value).map_err(|damage| damage.to_string());
                if let Err(reason) = &held {
                    unreadable(&bucket, reason);
                }
                let held = held.map(|revision| Arc::new(Held { revision, compiled: OnceLock::new() }));
                self.buckets.entry(bucket).or_default().policy = Some(Policies { version, held });
            }
            (Some(Item::Policy(bucket)), None) => self.clear(bucket, |slot| slot.policy = None),
            (Some(Item::Block(bucket)), Some(value)) => {
                let block = record::read_block(&bucket, &value).map_err(|damage| damage.to_string());
                if let Err(reason) = &block {
                    tracing::error!(
                        %bucket, reason,
                        "unreadable public access block: the bucket is denied until it is put anew"
                    );
                }
                self.buckets.entry(bucket).or_default().block = Some(block);
            }
            (Some(Item::Block(bucket)), None) => self.clear(bucket, |slot| slot.block = None),
            (Some(Item::Owner(bucket)), Some(value)) => {
                let owner = record::read_owner(&bucket, &value).map_err(|damage| damage.to_string());
                if let Err(reason) = &owner {
                    tracing::error!(%bucket, reason, "unreadable record of a bucket's owner");
                }
                self.owners.insert(bucket, owner);
            }
            (Some(Item::Owner(bucket)), None) => {
                self.owners.remove(&bucket);
            }
            (None, _) => {
                let key = String::from_utf8_lossy(&key);
                tracing::warn!(%key, "a key in etcd that is not Portcullis's stands among its own");
            }
        }
    }

    fn clear(&mut self, bucket: BucketName, clear: impl FnOnce(&mut Slot)) {
        let mut slot = self.buckets.remove(&bucket).unwrap_or_default();
        clear(&mut slot);
        if slot.policy.is_some() || slot.block.is_some() {
            self.buckets.insert(bucket, slot);
        }
    }

    /// The last number given; where the count does not tell, the highest that is seen.
    fn last_revision(&self) -> u64 {
        let seen = || {
            let policies = self.buckets.values().filter_map(|slot| slot.policy.as_ref()?.held.as_ref().ok());
            policies.map(|held| held.revision.revision).max().unwrap_or(0)
        };
        self.count.last_revision.unwrap_or_else(seen)
    }
}

impl Slot {
    /// The policy in force, compiled now where nobody has asked for it before.
    fn policy(&self, bucket: &BucketName) -> Result<Option<Arc<PolicyRecord>>, StoreError> {
        let of_bucket = |reason: &String| StoreError::Unreadable { bucket: bucket.clone(), reason: reason.clone() };
        let Some(Policies { held, .. }) = &self.policy else { return Ok(None) };
        let held = held.as_ref().map_err(of_bucket)?;
        let Some(document) = &held.revision.document else { return Ok(None) };
        let compiled = held.compiled.get_or_init(|| match Policy::parse(document, bucket.as_str()) {
            Ok(validated) => held.record(Arc::new(validated.policy)),
            Err(error) => {
                let reason = format!("its document is no policy by the rules of this version: {error}");
                unreadable(bucket, &reason);
                Err(reason)
            }
        });
        compiled.as_ref().map(|record| Some(Arc::clone(record))).map_err(of_bucket)
    }
}

impl Held {
    fn record(&self, policy: Arc<Policy>) -> Result<Arc<PolicyRecord>, String> {
        let Revision { revision, document, change } = self.revision.clone();
        let document = document.ok_or("it is a deletion")?;
        Ok(Arc::new(PolicyRecord { document, policy, revision, change }))
    }
}

fn unreadable(bucket: &BucketName, reason: &str) {
    tracing::error!(%bucket, reason, "unreadable policy record: the bucket is denied until its policy is put anew");
}

fn names<T>(of: &BTreeMap<BucketName, T>, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    of.range::<BucketName, _>((from, Bound::Unbounded)).map(|(name, _)| name.clone()).take(limit).collect()
}
