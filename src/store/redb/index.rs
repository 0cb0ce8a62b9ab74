//! What is in force, in memory: every bucket that has a policy, and the compiled policies asked for lately.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::s3::address::BucketName;
use crate::store::PolicyRecord;

/// How many bytes of documents may be compiled in memory. A compiled policy takes a few times its document.
const COMPILED_BYTES: usize = 16 * 1024 * 1024;

/// The state of each bucket that has a policy in force.
#[derive(Debug)]
pub(super) struct Index {
    slots: RwLock<Slots>,
    budget: usize,
}

#[derive(Debug, Default)]
struct Slots {
    by_bucket: HashMap<BucketName, Slot>,
    compiled_bytes: usize,
}

#[derive(Debug)]
enum Slot {
    /// This revision, not read yet.
    InFile(u64),
    Compiled(Arc<PolicyRecord>),
    /// There is a policy, and nobody can tell what it says.
    Unreadable(String),
}

/// What the index knows of a bucket.
#[derive(Debug)]
pub(super) enum Lookup {
    /// It has no policy.
    Absent,
    /// It has this one.
    Compiled(Arc<PolicyRecord>),
    /// It has this revision, which is to be read from the file.
    InFile(u64),
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

    pub(super) fn look_up(&self, bucket: &BucketName) -> Lookup {
        match self.read().by_bucket.get(bucket) {
            None => Lookup::Absent,
            Some(Slot::InFile(revision)) => Lookup::InFile(*revision),
            Some(Slot::Compiled(record)) => Lookup::Compiled(Arc::clone(record)),
            Some(Slot::Unreadable(reason)) => Lookup::Unreadable(reason.clone()),
        }
    }

    /// Takes over what a freshly opened file says: for each bucket with a policy its revision, or why that is unknown.
    pub(super) fn replace(&self, heads: HashMap<BucketName, Result<u64, String>>) {
        let mut slots = self.write();
        *slots = Slots::default();
        slots.by_bucket = heads
            .into_iter()
            .map(|(bucket, head)| (bucket, head.map_or_else(Slot::Unreadable, Slot::InFile)))
            .collect();
    }

    /// A policy was put in force.
    pub(super) fn set(&self, bucket: &BucketName, record: Arc<PolicyRecord>) {
        let mut slots = self.write();
        slots.put(bucket, Slot::Compiled(record));
        slots.keep_within(self.budget, bucket);
    }

    /// A policy was taken out of force.
    pub(super) fn remove(&self, bucket: &BucketName) {
        let mut slots = self.write();
        if let Some(slot) = slots.by_bucket.remove(bucket) {
            slots.compiled_bytes = slots.compiled_bytes.saturating_sub(slot.compiled_bytes());
        }
    }

    /// The file was read for `revision` of the bucket. Of no consequence if another has come into force meanwhile:
    /// `false`.
    pub(super) fn loaded(&self, bucket: &BucketName, revision: u64, read: Result<Arc<PolicyRecord>, String>) -> bool {
        let mut slots = self.write();
        if !matches!(slots.by_bucket.get(bucket), Some(Slot::InFile(expected)) if *expected == revision) {
            return false;
        }
        slots.put(bucket, read.map_or_else(Slot::Unreadable, Slot::Compiled));
        slots.keep_within(self.budget, bucket);
        true
    }

    fn read(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slots> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn put(&mut self, bucket: &BucketName, slot: Slot) {
        self.compiled_bytes += slot.compiled_bytes();
        let before = match self.by_bucket.entry(bucket.clone()) {
            Entry::Occupied(mut entry) => entry.insert(slot).compiled_bytes(),
            Entry::Vacant(entry) => {
                entry.insert(slot);
                0
            }
        };
        self.compiled_bytes = self.compiled_bytes.saturating_sub(before);
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
                self.compiled_bytes = slot.compiled_bytes();
            } else if let Slot::Compiled(record) = slot {
                *slot = Slot::InFile(record.revision);
            }
        }
    }
}

impl Slot {
    fn compiled_bytes(&self) -> usize {
        match self {
            Self::Compiled(record) => record.document.len(),
            Self::InFile(_) | Self::Unreadable(_) => 0,
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
        match index.look_up(&bucket(name)) {
            Lookup::Absent => "absent".to_owned(),
            Lookup::Compiled(record) => format!("compiled {}", record.revision),
            Lookup::InFile(revision) => format!("in file {revision}"),
            Lookup::Unreadable(reason) => format!("unreadable: {reason}"),
        }
    }

    #[test]
    fn what_was_read_of_an_older_revision_does_not_replace_a_newer_one() {
        let index = Index::default();
        let in_file = |revision| HashMap::from([(bucket("photos"), Ok(revision))]);

        index.replace(in_file(3));
        index.set(&bucket("photos"), record(4, 10));
        assert!(!index.loaded(&bucket("photos"), 3, Ok(record(3, 10))));
        assert_eq!(state(&index, "photos"), "compiled 4");

        index.replace(in_file(4));
        assert!(!index.loaded(&bucket("photos"), 3, Err("damaged".to_owned())));
        assert_eq!(state(&index, "photos"), "in file 4");

        index.remove(&bucket("photos"));
        assert!(!index.loaded(&bucket("photos"), 4, Ok(record(4, 10))));
        assert_eq!(state(&index, "photos"), "absent");

        index.replace(in_file(5));
        assert!(index.loaded(&bucket("photos"), 5, Err("damaged".to_owned())));
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
}
