//! What the mirror holds of each bucket. Documents stay for as long as they are in force; what they compile to, for as long
//! as there is room.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::{Count, Counted, Entry, Known, KnownPolicy};
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::etcd::keys::{Item, Keys};
use crate::store::record;
use crate::store::{PolicyRecord, Revision};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) count: Counted,
    buckets: BTreeMap<BucketName, Slot>,
    owners: BTreeMap<BucketName, Result<AccountId, String>>,
    /// The length of all documents that are compiled.
    compiled_bytes: usize,
}

/// A bucket that something is stored for.
#[derive(Debug, Default)]
struct Slot {
    policy: Option<Stored>,
    /// The block, or none where it was taken out of force; or why that is not known.
    block: Option<Result<Option<PublicAccessBlock>, String>>,
}

/// What is under the key of a bucket's policy.
#[derive(Debug)]
struct Stored {
    /// How often it was put there.
    version: i64,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// A deletion, or a document that nobody has asked for lately.
    Revision(Arc<Revision>),
    Compiled(Arc<PolicyRecord>),
    /// There is a policy, and nobody can tell what it says.
    Unreadable {
        /// Its number, where that much is known.
        revision: Option<u64>,
        reason: String,
    },
}

/// What is known of a bucket's policy.
#[derive(Debug)]
pub(super) enum Lookup {
    /// None is in force.
    Absent,
    Compiled(Arc<PolicyRecord>),
    /// This one, which is to be compiled.
    Document(Arc<Revision>),
    Unreadable(String),
}

impl State {
    /// Takes a key as it is now.
    pub(super) fn apply(&mut self, keys: &Keys, entry: Entry) {
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
                let held = match record::read_numbered(&bucket, &value) {
                    Ok(revision) => Held::Revision(Arc::new(revision)),
                    Err(damage) => {
                        let reason = damage.to_string();
                        unreadable(&bucket, &reason);
                        Held::Unreadable { revision: None, reason }
                    }
                };
                let slot = self.buckets.entry(bucket).or_default();
                let before = slot.policy.replace(Stored { version, held });
                self.forget(before.as_ref());
            }
            (Some(Item::Policy(bucket)), None) => {
                let before = self.buckets.get_mut(&bucket).and_then(|slot| slot.policy.take());
                self.forget(before.as_ref());
                self.drop_if_empty(&bucket);
            }
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
            (Some(Item::Block(bucket)), None) => {
                if let Some(slot) = self.buckets.get_mut(&bucket) {
                    slot.block = None;
                }
                self.drop_if_empty(&bucket);
            }
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

    /// Takes over what `before` has compiled and still holds.
    pub(super) fn inherit(&mut self, before: &Self) {
        for (bucket, slot) in &mut self.buckets {
            let Some(Stored { held, .. }) = &mut slot.policy else { continue };
            let before = before.buckets.get(bucket).and_then(|slot| slot.policy.as_ref());
            if let (Held::Revision(revision), Some(Stored { held: Held::Compiled(record), .. })) = (&*held, before)
                && is_of(record, revision)
            {
                self.compiled_bytes += record.document.len();
                *held = Held::Compiled(Arc::clone(record));
            }
        }
    }

    pub(super) fn policy(&self, bucket: &BucketName) -> Lookup {
        let Some(Stored { held, .. }) = self.buckets.get(bucket).and_then(|slot| slot.policy.as_ref()) else {
            return Lookup::Absent;
        };
        match held {
            Held::Revision(revision) if revision.document.is_none() => Lookup::Absent,
            Held::Revision(revision) => Lookup::Document(Arc::clone(revision)),
            Held::Compiled(record) => Lookup::Compiled(Arc::clone(record)),
            Held::Unreadable { reason, .. } => Lookup::Unreadable(reason.clone()),
        }
    }

    pub(super) fn block(&self, bucket: &BucketName) -> Result<Option<PublicAccessBlock>, String> {
        self.buckets.get(bucket).and_then(|slot| slot.block.clone()).unwrap_or(Ok(None))
    }

    pub(super) fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, String> {
        self.owners.get(bucket).cloned().transpose()
    }

    /// `revision` was compiled. Of no consequence if another has come into force meanwhile.
    ///
    /// Past the budget nothing else stays compiled. What is in use is compiled again for its next request; so no order of
    /// use has to be kept, and the common path stays a look into a map.
    pub(super) fn compiled(
        &mut self,
        bucket: &BucketName,
        revision: &Arc<Revision>,
        compiled: Result<Arc<PolicyRecord>, String>,
        budget: usize,
    ) {
        let stored = self.buckets.get_mut(bucket).and_then(|slot| slot.policy.as_mut());
        let Some(Stored { held, .. }) = stored else { return };
        if !matches!(held, Held::Revision(held) if Arc::ptr_eq(held, revision)) {
            return;
        }
        let number = Some(revision.revision);
        *held = compiled.map_or_else(|reason| Held::Unreadable { revision: number, reason }, Held::Compiled);
        self.compiled_bytes += held.compiled_bytes();
        if self.compiled_bytes <= budget {
            return;
        }
        self.compiled_bytes = held.compiled_bytes();
        let others = self.buckets.iter_mut().filter(|(other, _)| *other != bucket);
        for held in others.filter_map(|(_, slot)| slot.policy.as_mut()).map(|stored| &mut stored.held) {
            if let Held::Compiled(record) = held {
                *held = Held::Revision(Arc::new(revision_of(record)));
            }
        }
    }

    /// What a change of `bucket` starts from.
    pub(super) fn known(&self, bucket: &BucketName) -> Known {
        let slot = self.buckets.get(bucket);
        let policy = slot.and_then(|slot| slot.policy.as_ref()).map(|Stored { version, held }| KnownPolicy {
            version: *version,
            in_force: match held {
                Held::Revision(revision) => revision.document.is_some(),
                Held::Compiled(_) | Held::Unreadable { .. } => true,
            },
        });
        let block = slot.and_then(|slot| slot.block.as_ref()).map(|block| block.as_ref().map_or(true, Option::is_some));
        Known {
            count: self.count.clone(),
            last_revision: self.last_revision(),
            policy,
            block,
            owner: self.owners.contains_key(bucket),
        }
    }

    /// The first `limit` names after `after` of buckets that something is stored for.
    pub(super) fn stored(&self, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
        names(&self.buckets, after, limit)
    }

    /// The same of buckets whose creator is recorded.
    pub(super) fn owned(&self, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
        names(&self.owners, after, limit)
    }

    /// The last number given; where the count does not tell, the highest that is seen.
    fn last_revision(&self) -> u64 {
        let seen = || {
            let stored = self.buckets.values().filter_map(|slot| slot.policy.as_ref());
            stored.filter_map(|stored| stored.held.revision()).max().unwrap_or(0)
        };
        self.count.last_revision.unwrap_or_else(seen)
    }

    /// What is no longer there takes no room.
    fn forget(&mut self, before: Option<&Stored>) {
        let bytes = before.map_or(0, |stored| stored.held.compiled_bytes());
        self.compiled_bytes = self.compiled_bytes.saturating_sub(bytes);
    }

    fn drop_if_empty(&mut self, bucket: &BucketName) {
        if matches!(self.buckets.get(bucket), Some(Slot { policy: None, block: None })) {
            self.buckets.remove(bucket);
        }
    }
}

impl Held {
    fn compiled_bytes(&self) -> usize {
        match self {
            Self::Compiled(record) => record.document.len(),
            Self::Revision(_) | Self::Unreadable { .. } => 0,
        }
    }

    fn revision(&self) -> Option<u64> {
        match self {
            Self::Revision(revision) => Some(revision.revision),
            Self::Compiled(record) => Some(record.revision),
            Self::Unreadable { revision, .. } => *revision,
        }
    }
}

/// The policy in force, by what its document says.
pub(super) fn compile(bucket: &BucketName, revision: &Revision) -> Result<Arc<PolicyRecord>, String> {
    let document = revision.document.as_deref().unwrap_or_default();
    match Policy::parse(document, bucket.as_str()) {
        Ok(validated) => Ok(record_of(revision, Arc::new(validated.policy))),
        Err(error) => {
            let reason = format!("its document is no policy by the rules of this version: {error}");
            unreadable(bucket, &reason);
            Err(reason)
        }
    }
}

/// What is in force by a revision, and is this when it is compiled.
pub(super) fn record_of(revision: &Revision, policy: Arc<Policy>) -> Arc<PolicyRecord> {
    let Revision { revision, document, change } = revision.clone();
    Arc::new(PolicyRecord { document: document.unwrap_or_default(), policy, revision, change })
}

fn revision_of(record: &PolicyRecord) -> Revision {
    let PolicyRecord { document, revision, change, .. } = record.clone();
    Revision { revision, document: Some(document), change }
}

fn is_of(record: &PolicyRecord, revision: &Revision) -> bool {
    let PolicyRecord { document, change, .. } = record;
    record.revision == revision.revision && Some(document) == revision.document.as_ref() && *change == revision.change
}

fn unreadable(bucket: &BucketName, reason: &str) {
    tracing::error!(%bucket, reason, "unreadable policy record: the bucket is denied until its policy is put anew");
}

fn names<T>(of: &BTreeMap<BucketName, T>, after: Option<&BucketName>, limit: usize) -> Vec<BucketName> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    of.range::<BucketName, _>((from, Bound::Unbounded)).map(|(name, _)| name.clone()).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::*;
    use crate::store::Change;

    const BUDGET: usize = 500;

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).unwrap()
    }

    /// A state, and etcd's side of it.
    struct Followed {
        keys: Keys,
        state: State,
        version: i64,
    }

    impl Followed {
        fn new() -> Self {
            Self { keys: Keys::new("p"), state: State::default(), version: 0 }
        }

        fn entry(&mut self, key: String, value: Option<Vec<u8>>) -> Entry {
            self.version += 1;
            Entry { key: key.into_bytes(), mod_revision: self.version, version: self.version, value }
        }

        /// A policy whose document has this length; 0 for a deletion.
        fn put(&mut self, name: &str, revision: u64, length: usize) {
            let record = sealed(name, revision, length);
            let entry = self.entry(self.keys.policy(&bucket(name)), Some(record));
            self.state.apply(&self.keys, entry);
        }

        fn purge(&mut self, name: &str) {
            for key in [self.keys.policy(&bucket(name)), self.keys.block(&bucket(name))] {
                let entry = self.entry(key, None);
                self.state.apply(&self.keys, entry);
            }
        }

        fn ask(&mut self, name: &str) {
            if let Lookup::Document(revision) = self.state.policy(&bucket(name)) {
                let compiled = compile(&bucket(name), &revision);
                self.state.compiled(&bucket(name), &revision, compiled, BUDGET);
            }
        }

        fn told(&self, name: &str) -> String {
            match self.state.policy(&bucket(name)) {
                Lookup::Absent => "absent".to_owned(),
                Lookup::Compiled(record) => format!("compiled {}", record.revision),
                Lookup::Document(revision) => format!("document {}", revision.revision),
                Lookup::Unreadable(_) => "unreadable".to_owned(),
            }
        }
    }

    fn sealed(name: &str, revision: u64, length: usize) -> Vec<u8> {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{name}/*"}}]}}"#
        );
        let document = (length > 0).then(|| Bytes::from(format!("{text:length$}")));
        let change = Change { at: SystemTime::UNIX_EPOCH, by: String::new(), request_id: String::new() };
        record::seal_numbered(&bucket(name), &Revision { revision, document, change }).unwrap()
    }

    #[test]
    fn past_its_budget_all_but_the_newest_are_documents_again() {
        let mut followed = Followed::new();
        for (revision, name) in (1..).zip(["one", "two", "three"]) {
            followed.put(name, revision, 200);
        }
        for (name, expected) in [
            ("one", ["compiled 1", "document 2", "document 3"]),
            ("two", ["compiled 1", "compiled 2", "document 3"]),
            ("two", ["compiled 1", "compiled 2", "document 3"]),
            ("three", ["document 1", "document 2", "compiled 3"]),
            ("one", ["compiled 1", "document 2", "compiled 3"]),
        ] {
            followed.ask(name);
            assert_eq!(["one", "two", "three"].map(|name| followed.told(name)), expected, "{name}");
        }
        // Larger than all there is room for.
        followed.put("two", 4, 600);
        followed.ask("two");
        assert_eq!(["one", "two", "three"].map(|name| followed.told(name)), ["document 1", "compiled 4", "document 3"]);
    }

    #[test]
    fn what_goes_out_of_force_gives_its_room_back() {
        let mut followed = Followed::new();
        for step in 1..10 {
            followed.put("photos", 2 * step, 300);
            followed.ask("photos");
            followed.put("videos", 2 * step + 1, 200);
            followed.ask("videos");
            assert_eq!(followed.state.compiled_bytes, 500, "step {step}");
            match step % 3 {
                0 => followed.put("photos", 50, 0),
                1 => followed.purge("photos"),
                _ => {
                    let entry = followed.entry(followed.keys.policy(&bucket("photos")), Some(b"damaged".to_vec()));
                    followed.state.apply(&followed.keys, entry);
                }
            }
            assert_eq!(followed.told("photos"), ["absent", "absent", "unreadable"][step as usize % 3]);
            assert_eq!(followed.state.compiled_bytes, 200, "step {step}");
            assert_eq!(followed.told("videos"), format!("compiled {}", 2 * step + 1));
        }
        followed.purge("photos");
        followed.purge("videos");
        assert!(followed.state.compiled_bytes == 0 && followed.state.buckets.is_empty(), "{:?}", followed.state);
    }

    #[test]
    fn what_was_compiled_of_an_older_revision_does_not_replace_a_newer_one() {
        let mut followed = Followed::new();
        followed.put("photos", 1, 200);
        let Lookup::Document(old) = followed.state.policy(&bucket("photos")) else { panic!() };
        followed.put("photos", 2, 300);
        for compiled in [compile(&bucket("photos"), &old), Err("no policy".to_owned())] {
            followed.state.compiled(&bucket("photos"), &old, compiled, BUDGET);
            assert_eq!((followed.told("photos"), followed.state.compiled_bytes), ("document 2".to_owned(), 0));
        }
    }

    #[test]
    fn read_anew_it_keeps_compiled_what_is_the_same() {
        let mut before = Followed::new();
        for (revision, name) in (1..).zip(["same", "changed", "gone"]) {
            before.put(name, revision, 160);
            before.ask(name);
        }
        let mut after = Followed::new();
        after.put("same", 1, 160);
        // As in an etcd that has lost its data: the number is not all there is to compare.
        after.put("changed", 2, 170);
        after.put("new", 9, 160);
        after.state.inherit(&before.state);
        let told = ["same", "changed", "gone", "new"].map(|name| after.told(name));
        assert_eq!(told, ["compiled 1", "document 2", "absent", "document 9"]);
        assert_eq!(after.state.compiled_bytes, 160);
    }

    #[test]
    fn a_document_that_is_no_policy_closes_its_bucket_and_keeps_its_number() {
        let mut followed = Followed::new();
        let change = Change { at: SystemTime::UNIX_EPOCH, by: String::new(), request_id: String::new() };
        let revision = Revision { revision: 7, document: Some(Bytes::from_static(b"{}")), change };
        let value = record::seal_numbered(&bucket("photos"), &revision).unwrap();
        let entry = followed.entry(followed.keys.policy(&bucket("photos")), Some(value));
        followed.state.apply(&followed.keys, entry);
        followed.ask("photos");
        assert_eq!(followed.told("photos"), "unreadable");
        let known = followed.state.known(&bucket("photos"));
        assert_eq!((known.last_revision, known.policy.map(|policy| policy.in_force)), (7, Some(true)));
    }
}
