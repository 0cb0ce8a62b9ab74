//! What is in force, in memory: every bucket that has a policy or a public access block, all the blocks, and the
//! compiled policies asked for lately.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::{COMPILED_BYTES, PolicyRecord};

/// The state of each bucket that has a policy or a public access block in force.
///
/// Both are behind one lock, so that whoever looks sees what was in force at one moment.
#[derive(Debug)]
pub(super) struct Index {
    slots: RwLock<Slots>,
    budget: usize,
}

#[derive(Debug, Default)]
struct Slots {
    /// A bucket is here as long as it has one of the two.
    by_bucket: HashMap<BucketName, Slot>,
    compiled_bytes: usize,
}

#[derive(Debug, Default)]
struct Slot {
    policy: Held,
    block: Block,
}

#[derive(Debug, Default)]
enum Held {
    #[default]
    Absent,
    /// This revision, not read yet.
    InFile(u64),
    Compiled(Arc<PolicyRecord>),
    /// There is a policy, and nobody can tell what it says.
    Unreadable(String),
}

/// What a freshly opened file says is in force.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// For each bucket with a policy its revision, or why that is unknown.
    pub(super) heads: HashMap<BucketName, Result<u64, String>>,
    /// For each bucket with a public access block what it says, or why that is unknown.
    pub(super) blocks: HashMap<BucketName, Result<PublicAccessBlock, String>>,
}

/// What the index knows of a bucket, as of one moment.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) policy: Lookup,
    pub(super) block: Block,
}

/// What the index knows of a bucket's policy.
#[derive(Debug, Default)]
pub(super) enum Lookup {
    /// It has none.
    #[default]
    Absent,
    /// It has this one.
    Compiled(Arc<PolicyRecord>),
    /// It has this revision, which is to be read from the file.
    InFile(u64),
    /// It has one that cannot be read, for this reason.
    Unreadable(String),
}

/// What is known of a bucket's public access block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Block {
    /// It has none.
    #[default]
    Absent,
    /// It has this one.
    InForce(PublicAccessBlock),
    /// It has one that cannot be read, for this reason.
    Unreadable(String),
}

impl Default for Index {
    fn default() -> Self {
        Self::with_budget(COMPILED_BYTES)
    }
}

impl Index {
    fn with_budget(budget: usize) -> Self {
        Self { slots: RwLock::default(), budget }
    }

    pub(super) fn look_up(&self, bucket: &BucketName) -> State {
        let slots = self.read();
        let Some(slot) = slots.by_bucket.get(bucket) else { return State::default() };
        let policy = match &slot.policy {
            Held::Absent => Lookup::Absent,
            Held::InFile(revision) => Lookup::InFile(*revision),
            Held::Compiled(record) => Lookup::Compiled(Arc::clone(record)),
            Held::Unreadable(reason) => Lookup::Unreadable(reason.clone()),
        };
        State { policy, block: slot.block.clone() }
    }

    /// Takes over what a freshly opened file says.
    pub(super) fn replace(&self, Known { heads, blocks }: Known) {
        let mut by_bucket: HashMap<BucketName, Slot> = HashMap::with_capacity(heads.len());
        for (bucket, head) in heads {
            by_bucket.entry(bucket).or_default().policy = head.map_or_else(Held::Unreadable, Held::InFile);
        }
        for (bucket, block) in blocks {
            by_bucket.entry(bucket).or_default().block = block.map_or_else(Block::Unreadable, Block::InForce);
        }
        *self.write() = Slots { by_bucket, compiled_bytes: 0 };
    }

    /// A policy was put in force.
    pub(super) fn set(&self, bucket: &BucketName, record: Arc<PolicyRecord>) {
        let mut slots = self.write();
        slots.hold(bucket, Held::Compiled(record));
        slots.keep_within(self.budget, bucket);
    }

    /// A policy was taken out of force.
    pub(super) fn remove(&self, bucket: &BucketName) {
        let mut slots = self.write();
        slots.hold(bucket, Held::Absent);
        slots.forget_if_empty(bucket);
    }

    /// A public access block was put in force, or taken out of force.
    pub(super) fn set_block(&self, bucket: &BucketName, block: Option<PublicAccessBlock>) {
        let mut slots = self.write();
        slots.by_bucket.entry(bucket.clone()).or_default().block = block.map_or(Block::Absent, Block::InForce);
        slots.forget_if_empty(bucket);
    }

    /// All about a bucket was taken out of force.
    pub(super) fn purge(&self, bucket: &BucketName) {
        let mut slots = self.write();
        if let Some(slot) = slots.by_bucket.remove(bucket) {
            slots.compiled_bytes = slots.compiled_bytes.saturating_sub(slot.policy.compiled_bytes());
        }
    }

    /// All about a bucket was replaced, in one step: nobody sees the bucket without what is in force before and after.
    pub(super) fn restore(
        &self,
        bucket: &BucketName,
        policy: Option<Arc<PolicyRecord>>,
        block: Option<PublicAccessBlock>,
    ) {
        let mut slots = self.write();
        slots.hold(bucket, policy.map_or(Held::Absent, Held::Compiled));
        slots.by_bucket.entry(bucket.clone()).or_default().block = block.map_or(Block::Absent, Block::InForce);
        slots.forget_if_empty(bucket);
        slots.keep_within(self.budget, bucket);
    }

    /// The file was read for `revision` of the bucket. Of no consequence if another has come into force meanwhile:
    /// `None`. Otherwise the block that is in force beside it.
    pub(super) fn loaded(
        &self,
        bucket: &BucketName,
        revision: u64,
        read: Result<Arc<PolicyRecord>, String>,
    ) -> Option<Block> {
        let mut slots = self.write();
        let block = match slots.by_bucket.get(bucket) {
            Some(Slot { policy: Held::InFile(expected), block }) if *expected == revision => block.clone(),
            _ => return None,
        };
        slots.hold(bucket, read.map_or_else(Held::Unreadable, Held::Compiled));
        slots.keep_within(self.budget, bucket);
        Some(block)
    }

    fn read(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slots> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn hold(&mut self, bucket: &BucketName, policy: Held) {
        self.compiled_bytes += policy.compiled_bytes();
        let slot = self.by_bucket.entry(bucket.clone()).or_default();
        let before = std::mem::replace(&mut slot.policy, policy);
        self.compiled_bytes = self.compiled_bytes.saturating_sub(before.compiled_bytes());
    }

    fn forget_if_empty(&mut self, bucket: &BucketName) {
        if matches!(self.by_bucket.get(bucket), Some(Slot { policy: Held::Absent, block: Block::Absent })) {
            self.by_bucket.remove(bucket);
        }
    }

    /// Past the budget, all but `newest` go back to the file at once. Those in use come back with their next request;
    /// so no order of use has to be kept, and the common path stays a look into a map.
    fn keep_within(&mut self, budget: usize, newest: &BucketName) {
        if self.compiled_bytes <= budget {
            return;
        }
        self.compiled_bytes = 0;
        for (bucket, slot) in &mut self.by_bucket {
            if bucket == newest {
                self.compiled_bytes = slot.policy.compiled_bytes();
            } else if let Held::Compiled(record) = &slot.policy {
                slot.policy = Held::InFile(record.revision);
            }
        }
    }
}

impl Held {
    fn compiled_bytes(&self) -> usize {
        match self {
            Self::Compiled(record) => record.document.len(),
            Self::Absent | Self::InFile(_) | Self::Unreadable(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::*;
    use crate::policy::Policy;
    use crate::store::Change;

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).unwrap()
    }

    fn record(revision: u64, size: usize) -> Arc<PolicyRecord> {
        let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",
            "Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}"#;
        let policy = Arc::new(Policy::parse(document.as_bytes(), "photos").unwrap().policy);
        let change = Change { at: SystemTime::UNIX_EPOCH, by: String::new(), request_id: String::new() };
        Arc::new(PolicyRecord { document: Bytes::from(vec![b' '; size]), policy, revision, change })
    }

    fn state(index: &Index, name: &str) -> String {
        match index.look_up(&bucket(name)).policy {
            Lookup::Absent => "absent".to_owned(),
            Lookup::Compiled(record) => format!("compiled {}", record.revision),
            Lookup::InFile(revision) => format!("in file {revision}"),
            Lookup::Unreadable(reason) => format!("unreadable: {reason}"),
        }
    }

    #[test]
    fn what_was_read_of_an_older_revision_does_not_replace_a_newer_one() {
        let index = Index::default();
        let in_file = |revision| Known { heads: HashMap::from([(bucket("photos"), Ok(revision))]), ..Known::default() };

        index.replace(in_file(3));
        index.set(&bucket("photos"), record(4, 10));
        assert_eq!(index.loaded(&bucket("photos"), 3, Ok(record(3, 10))), None);
        assert_eq!(state(&index, "photos"), "compiled 4");

        index.replace(in_file(4));
        assert_eq!(index.loaded(&bucket("photos"), 3, Err("damaged".to_owned())), None);
        assert_eq!(state(&index, "photos"), "in file 4");

        index.remove(&bucket("photos"));
        assert_eq!(index.loaded(&bucket("photos"), 4, Ok(record(4, 10))), None);
        assert_eq!(state(&index, "photos"), "absent");

        index.replace(in_file(5));
        assert_eq!(index.loaded(&bucket("photos"), 5, Err("damaged".to_owned())), Some(Block::Absent));
        assert_eq!(state(&index, "photos"), "unreadable: damaged");
    }

    #[test]
    fn past_its_budget_all_but_the_newest_go_back_to_the_file() {
        let index = Index::with_budget(100);
        for (step, (name, size, expected)) in [
            ("one", 40, ["compiled 1", "absent", "absent"]),
            ("two", 60, ["compiled 1", "compiled 2", "absent"]),
            ("one", 30, ["compiled 3", "compiled 2", "absent"]),
            ("three", 10, ["compiled 3", "compiled 2", "compiled 4"]),
            ("three", 11, ["in file 3", "in file 2", "compiled 5"]),
            ("one", 89, ["compiled 6", "in file 2", "compiled 5"]),
            ("two", 1000, ["in file 6", "compiled 7", "in file 5"]),
        ]
        .into_iter()
        .enumerate()
        {
            index.set(&bucket(name), record(step as u64 + 1, size));
            assert_eq!(["one", "two", "three"].map(|name| state(&index, name)), expected, "step {step}");
        }
    }

    #[test]
    fn a_policy_and_a_block_come_and_go_by_themselves() {
        let index = Index::with_budget(100);
        let photos = bucket("photos");
        let on = PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() };
        let known = Known {
            heads: HashMap::from([(photos.clone(), Ok(3))]),
            blocks: HashMap::from([(photos.clone(), Ok(on)), (bucket("videos"), Err("damaged".to_owned()))]),
        };
        index.replace(known);
        assert_eq!(
            (state(&index, "photos"), index.look_up(&photos).block),
            ("in file 3".to_owned(), Block::InForce(on))
        );
        assert_eq!(index.look_up(&bucket("videos")).block, Block::Unreadable("damaged".to_owned()));

        index.set_block(&photos, Some(PublicAccessBlock::default()));
        let beside = index.loaded(&photos, 3, Ok(record(3, 60)));
        assert_eq!(beside, Some(Block::InForce(PublicAccessBlock::default())), "that of now, not of when it was asked");
        index.set(&bucket("one"), record(4, 60));
        assert_eq!(state(&index, "photos"), "in file 3", "past the budget");
        assert_eq!(index.look_up(&photos).block, Block::InForce(PublicAccessBlock::default()), "a block stays");

        index.remove(&photos);
        assert_eq!(state(&index, "photos"), "absent");
        assert_eq!(index.look_up(&photos).block, Block::InForce(PublicAccessBlock::default()));
        index.set(&photos, record(5, 10));
        index.set_block(&photos, None);
        assert_eq!((state(&index, "photos"), index.look_up(&photos).block), ("compiled 5".to_owned(), Block::Absent));
        index.remove(&photos);
        index.set_block(&bucket("videos"), Some(on));
        index.purge(&bucket("videos"));
        index.purge(&bucket("one"));
        let slots = index.read();
        assert!(slots.by_bucket.is_empty() && slots.compiled_bytes == 0, "nothing is kept of what is gone: {slots:?}");
    }
}
