use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use ::redb::{BackendError, Builder, Database, ReadableDatabase, ReadableTable, StorageBackend};
use tempfile::TempDir;

use super::file::{BLOCKS, HEADS, LAST_REVISION, META, OWNERS, REVISIONS};
use super::*;
use crate::policy::AccountId;
use crate::store::{OwnerRegistry, REVISIONS_KEPT};

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn document(name: &str, n: usize) -> Bytes {
    Bytes::from(format!(
        r#"{{"Version":"2012-10-17","Id":"{n}","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{name}/*"}}]}}"#
    ))
}

fn change(n: usize) -> Change {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(n as u64);
    Change { at, by: "arn:aws:iam::111122223333:root".to_owned(), request_id: format!("R{n}") }
}

async fn try_put(store: &RedbStore, name: &str, n: usize) -> Result<u64, StoreError> {
    let policy = Policy::parse(&document(name, n), name).unwrap().policy;
    store.put(&bucket(name), document(name, n), Arc::new(policy), change(n)).await
}

async fn put(store: &RedbStore, name: &str, n: usize) -> u64 {
    try_put(store, name, n).await.unwrap()
}

async fn stored(store: &RedbStore, name: &str) -> Option<Bytes> {
    store.get(&bucket(name)).await.unwrap().map(|record| record.document.clone())
}

fn block(n: usize) -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: n & 1 != 0,
        ignore_public_acls: n & 2 != 0,
        block_public_policy: n & 4 != 0,
        restrict_public_buckets: n & 8 != 0,
    }
}

async fn try_put_block(store: &RedbStore, name: &str, n: usize) -> Result<(), StoreError> {
    store.put_public_access_block(&bucket(name), block(n), change(n)).await
}

async fn stored_block(store: &RedbStore, name: &str) -> Option<PublicAccessBlock> {
    store.in_force(&bucket(name)).await.unwrap().public_access_block
}

/// A disk in memory that remembers what a power cut would leave, counts flushes, and fails when told to.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>, Arc<Mutex<()>>);

#[derive(Debug, Default)]
struct Platter {
    written: Vec<u8>,
    flushed: Vec<u8>,
    flushes: usize,
    full: bool,
}

impl Disk {
    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// What the machine finds after a power cut at this instant.
    fn after_power_cut(&self) -> Self {
        let flushed = self.platter().flushed.clone();
        Self(Arc::new(Mutex::new(Platter { written: flushed.clone(), flushed, ..Platter::default() })), Arc::default())
    }

    fn store(&self) -> RedbStore {
        let disk = self.clone();
        let opener = Box::new(move || Builder::new().create_with_backend(disk.clone()));
        RedbStore::start(StoreFile::open_with(Path::new("disk"), opener).unwrap()).unwrap()
    }

    fn check_room(&self) -> Result<(), BackendError> {
        if self.platter().full { Err(io::Error::from(io::ErrorKind::StorageFull).into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.platter().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let start = offset as usize;
        out.copy_from_slice(&self.platter().written[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.check_room()?;
        self.platter().written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let _held_up = self.1.lock().unwrap();
        self.check_room()?;
        let mut platter = self.platter();
        platter.flushes += 1;
        platter.flushed = platter.written.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.check_room()?;
        let start = offset as usize;
        self.platter().written[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[tokio::test]
async fn a_put_takes_at_most_two_flushes() {
    let disk = Disk::default();
    let store = disk.store();
    let mut taken = BTreeMap::<usize, usize>::new();
    for n in 0..300 {
        let before = disk.platter().flushes;
        put(&store, &format!("bucket-{}", n % 150), n).await;
        *taken.entry(disk.platter().flushes - before).or_default() += 1;
    }
    assert!(taken.keys().all(|flushes| (1..=2).contains(flushes)), "flushes: how often {taken:?}");
    assert!(taken[&1] > 280, "a second flush is for a file that grows: {taken:?}");
}

#[tokio::test]
async fn a_block_takes_no_more_flushes_than_a_policy() {
    let disk = Disk::default();
    let store = disk.store();
    let mut taken = BTreeMap::<usize, usize>::new();
    for n in 0..200 {
        let (name, before) = (format!("bucket-{}", n % 50), disk.platter().flushes);
        if n % 5 == 4 {
            store.delete_public_access_block(&bucket(&name), change(n)).await.unwrap();
        } else {
            try_put_block(&store, &name, n).await.unwrap();
        }
        *taken.entry(disk.platter().flushes - before).or_default() += 1;
    }
    assert!(taken.keys().all(|flushes| *flushes <= 2), "flushes: how often {taken:?}");
    // Of the fifty buckets ten only ever have a block deleted; where there is none, nothing is written.
    assert!(taken[&0] == 40 && taken[&1] > 150, "a second flush is for a file that grows: {taken:?}");

    let before = disk.platter().flushes;
    for n in 0..200 {
        store.in_force(&bucket(&format!("bucket-{n}"))).await.unwrap();
    }
    assert_eq!(disk.platter().flushes, before, "reading writes nothing");
}

#[tokio::test]
async fn changes_that_wait_for_a_flush_share_the_next() {
    let disk = Disk::default();
    let store = disk.store();
    let before = disk.platter().flushes;
    let held_up = disk.1.lock().unwrap();
    let policy = Arc::new(Policy::parse(&document("photos", 0), "photos").unwrap().policy);
    let name = bucket("photos");
    let mut puts: Vec<_> =
        (0..200).map(|n| store.put(&name, document("photos", n), Arc::clone(&policy), change(n))).collect();
    // Each hands in its change the first time it is polled; unconstrained, since tokio would make the later ones wait.
    let mut hand_in = std::pin::pin!(tokio::task::unconstrained(std::future::poll_fn(|context| {
        assert!(puts.iter_mut().all(|put| put.as_mut().poll(context).is_pending()));
        Poll::Ready(())
    })));
    assert!(hand_in.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    drop(held_up);
    let mut revisions = Vec::new();
    for put in puts {
        revisions.push(put.await.unwrap());
    }
    assert_eq!(revisions, (1..=200).collect::<Vec<u64>>());
    // Those that were there when the thread first looked, and the rest; either may have made the file grow.
    let flushes = disk.platter().flushes - before;
    assert!(flushes <= 4, "{flushes} flushes");
}

#[tokio::test]
async fn what_is_acknowledged_survives_a_power_cut() {
    let disk = Disk::default();
    let store = disk.store();
    for n in 0..60 {
        let name = format!("bucket-{}", n % 7);
        let revision = put(&store, &name, n).await;
        let found = disk.after_power_cut().store();
        let record = found.get(&bucket(&name)).await.unwrap().expect("acknowledged");
        assert_eq!((record.revision, &record.document, &record.change), (revision, &document(&name, n), &change(n)));
        if n % 5 == 4 {
            assert!(store.delete(&bucket(&name), change(n)).await.unwrap());
            assert_eq!(stored(&disk.after_power_cut().store(), &name).await, None, "deletion {n}");
        }
        try_put_block(&store, &name, n).await.unwrap();
        assert_eq!(stored_block(&disk.after_power_cut().store(), &name).await, Some(block(n)), "block {n}");
        if n % 5 == 3 {
            assert!(store.delete_public_access_block(&bucket(&name), change(n)).await.unwrap());
            assert_eq!(stored_block(&disk.after_power_cut().store(), &name).await, None, "block {n} deleted");
        }
    }
}

#[tokio::test]
async fn a_full_disk_costs_the_change_and_not_the_store() {
    let disk = Disk::default();
    let store = disk.store();
    let registry = store.registry();
    let account = AccountId::parse("111122223333").unwrap();
    put(&store, "photos", 1).await;
    put(&store, "videos", 1).await;
    try_put_block(&store, "photos", 1).await.unwrap();

    for round in 0..3 {
        disk.platter().full = true;
        for _ in 0..3 {
            let error = try_put(&store, "photos", 100).await.expect_err("full");
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
            assert!(registry.set(&bucket("photos"), &account).await.is_err());
            assert!(try_put_block(&store, "photos", 2).await.is_err());
            assert!(store.delete_public_access_block(&bucket("photos"), change(2)).await.is_err());
            let kept = store.get(&bucket("videos")).await.unwrap().expect("from memory");
            assert_eq!(kept.document, document("videos", 1));
        }
        disk.platter().full = false;
        let last = store.get(&bucket("photos")).await.unwrap().expect("photos").revision;
        assert_eq!(stored_block(&store, "photos").await, Some(block(1)), "round {round}");
        assert!(put(&store, "photos", round).await > last, "round {round}");
        assert_eq!(stored(&store, "photos").await, Some(document("photos", round)), "round {round}");
        assert_eq!(stored(&store, "videos").await, Some(document("videos", 1)), "round {round}");
        assert_eq!(stored(&disk.after_power_cut().store(), "photos").await, Some(document("photos", round)));
    }
}

#[tokio::test]
async fn a_check_tells_when_the_file_cannot_be_used_and_when_it_can_again() {
    let disk = Disk::default();
    let store = disk.store();
    store.check().await.unwrap();
    disk.platter().full = true;
    try_put(&store, "photos", 1).await.expect_err("full");
    let error = store.check().await.expect_err("it failed, and cannot be opened anew");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    disk.platter().full = false;
    store.check().await.unwrap();
}

/// A file with policies for `photos` and `videos` and an owner for `photos`, closed.
async fn closed_file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policies.redb");
    let store = RedbStore::open(&path).unwrap();
    for n in 1..=3 {
        put(&store, "photos", n).await;
        put(&store, "videos", n).await;
    }
    store.registry().set(&bucket("photos"), &AccountId::parse("111122223333").unwrap()).await.unwrap();
    (directory, path)
}

#[derive(Clone, Copy, Debug)]
enum Hurt {
    Head,
    Revision,
    MissingRevision,
    Document,
}

fn hurt(path: &Path, what: Hurt) {
    let database = Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut heads = write.open_table(HEADS).unwrap();
        let mut revisions = write.open_table(REVISIONS).unwrap();
        let newest = revisions.range(("photos", 0)..=("photos", u64::MAX)).unwrap().next_back().unwrap().unwrap();
        let (key, mut record) = (newest.0.value().1, newest.1.value().to_vec());
        drop(newest);
        match what {
            Hurt::Head => {
                let mut head = heads.get("photos").unwrap().unwrap().value().to_vec();
                *head.last_mut().unwrap() ^= 1;
                heads.insert("photos", head.as_slice()).unwrap();
            }
            Hurt::Revision => {
                *record.last_mut().unwrap() ^= 1;
                revisions.insert(("photos", key), record.as_slice()).unwrap();
            }
            Hurt::MissingRevision => {
                revisions.remove(("photos", key)).unwrap();
            }
            Hurt::Document => {
                let header = record::revision_header(&change(9), true).unwrap();
                let name = bucket("photos");
                let place = record::Place::Revision(&name, key);
                let sealed = record::seal(place, &header, br#"{"Statement":"once upon a time valid"}"#);
                revisions.insert(("photos", key), sealed.as_slice()).unwrap();
            }
        }
    }
    write.commit().unwrap();
}

#[tokio::test]
async fn an_unreadable_record_is_named_and_costs_its_bucket_alone_until_it_is_replaced() {
    for what in [Hurt::Head, Hurt::Revision, Hurt::MissingRevision, Hurt::Document] {
        for replace in [true, false] {
            let (_directory, path) = closed_file().await;
            hurt(&path, what);
            let store = RedbStore::open(&path).unwrap();
            for attempt in 0..2 {
                match store.get(&bucket("photos")).await {
                    Err(StoreError::Unreadable { bucket: named, reason }) => {
                        assert_eq!(named, bucket("photos"), "{what:?}: {reason}");
                    }
                    other => panic!("{what:?}, attempt {attempt}: {other:?}"),
                }
                assert_eq!(stored(&store, "videos").await, Some(document("videos", 3)), "{what:?}");
            }
            assert_eq!(put(&store, "videos", 4).await, 7, "{what:?}");
            let expected = if replace {
                put(&store, "photos", 5).await;
                Some(document("photos", 5))
            } else {
                assert!(store.delete(&bucket("photos"), change(6)).await.unwrap(), "{what:?}");
                None
            };
            assert_eq!(stored(&store, "photos").await, expected, "{what:?}");
            drop(store);
            let store = RedbStore::open(&path).unwrap();
            assert_eq!(stored(&store, "photos").await, expected, "{what:?}, opened again");
        }
    }
}

#[tokio::test]
async fn a_history_with_an_unreadable_revision_says_which() {
    let (_directory, path) = closed_file().await;
    hurt(&path, Hurt::Revision);
    let store = RedbStore::open(&path).unwrap();
    let error = store.history(&bucket("photos")).await.unwrap_err().to_string();
    assert!(error.contains("`photos`") && error.contains("revision 5"), "{error}");
    assert_eq!(store.history(&bucket("videos")).await.unwrap().len(), 3);
    assert!(store.purge(&bucket("photos")).await.unwrap());
    assert_eq!(store.history(&bucket("photos")).await.unwrap(), []);
}

#[tokio::test]
async fn an_unreadable_block_closes_its_bucket_alone_until_it_is_replaced() {
    for (way, replacement) in [("put", Some(block(5))), ("delete", None), ("purge", None)] {
        let (_directory, path) = closed_file().await;
        {
            let store = RedbStore::open(&path).unwrap();
            for name in ["photos", "videos"] {
                try_put_block(&store, name, 15).await.unwrap();
            }
        }
        {
            let database = Database::open(&path).unwrap();
            let write = database.begin_write().unwrap();
            {
                let mut blocks = write.open_table(BLOCKS).unwrap();
                let mut record = blocks.get("photos").unwrap().unwrap().value().to_vec();
                *record.last_mut().unwrap() ^= 1;
                blocks.insert("photos", record.as_slice()).unwrap();
            }
            write.commit().unwrap();
        }
        let store = RedbStore::open(&path).unwrap();
        let name = bucket("photos");
        for attempt in 0..2 {
            let error = store.in_force(&name).await.expect_err("nobody knows what is in force");
            assert!(matches!(&error, StoreError::Unreadable { bucket: named, .. } if *named == name), "{error}");
            assert!(error.to_string().contains("public access block"), "{way}, attempt {attempt}: {error}");
            assert_eq!(stored(&store, "photos").await, Some(document("photos", 3)), "the policy by itself is known");
            assert_eq!(stored_block(&store, "videos").await, Some(block(15)), "{way}");
        }
        put(&store, "photos", 4).await;
        assert!(store.in_force(&name).await.is_err(), "another policy does not make up for it");
        match way {
            "put" => try_put_block(&store, "photos", 5).await.unwrap(),
            "delete" => assert!(store.delete_public_access_block(&name, change(6)).await.unwrap()),
            _ => assert!(store.purge(&name).await.unwrap()),
        }
        assert_eq!(stored_block(&store, "photos").await, replacement, "{way}");
        drop(store);
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(stored_block(&store, "photos").await, replacement, "{way}, opened again");
    }
}

#[tokio::test]
async fn a_file_of_a_release_without_blocks_has_none_and_takes_them() {
    let (_directory, path) = closed_file().await;
    let without_blocks = || {
        let database = Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        assert!(write.delete_table(BLOCKS).unwrap(), "a new file has the table");
        write.commit().unwrap();
    };
    without_blocks();
    let store = RedbStore::open(&path).unwrap();
    let found = store.in_force(&bucket("photos")).await.unwrap();
    assert_eq!(found.policy.unwrap().document, document("photos", 3));
    assert_eq!(found.public_access_block, None);
    assert!(!store.delete_public_access_block(&bucket("photos"), change(4)).await.unwrap());
    try_put_block(&store, "photos", 9).await.unwrap();
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(stored_block(&store, "photos").await, Some(block(9)));
    assert_eq!(stored(&store, "photos").await, Some(document("photos", 3)));
}

#[tokio::test]
async fn an_unreadable_owner_is_an_error_and_not_nobody() {
    let (_directory, path) = closed_file().await;
    {
        let database = Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(OWNERS).unwrap().insert("photos", &b"\x01 something else"[..]).unwrap();
        write.commit().unwrap();
    }
    let registry = RedbStore::open(&path).unwrap().registry();
    let error = registry.get(&bucket("photos")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { bucket: named, .. } if *named == bucket("photos")), "{error}");
    assert_eq!(registry.get(&bucket("videos")).await.unwrap(), None);
    let account = AccountId::parse("444455556666").unwrap();
    registry.set(&bucket("photos"), &account).await.unwrap();
    assert_eq!(registry.get(&bucket("photos")).await.unwrap(), Some(account));
}

#[tokio::test]
async fn revisions_past_the_last_twenty_leave_the_file() {
    let (_directory, path) = closed_file().await;
    let store = RedbStore::open(&path).unwrap();
    for n in 0..50 {
        put(&store, "photos", n).await;
    }
    drop(store);
    let database = Database::open(&path).unwrap();
    let read = database.begin_read().unwrap();
    let revisions = read.open_table(REVISIONS).unwrap();
    let count = |name| revisions.range((name, 0)..=(name, u64::MAX)).unwrap().count();
    assert_eq!((count("photos"), count("videos")), (REVISIONS_KEPT, 3));
    assert_eq!(read.open_table(META).unwrap().get(LAST_REVISION).unwrap().unwrap().value(), 56);
}

#[tokio::test]
async fn what_is_not_a_store_is_refused_by_name_and_left_as_it_is() {
    let other_program = |path: &Path| {
        let database = Database::create(path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(::redb::TableDefinition::<u64, u64>::new("numbers")).unwrap().insert(1, 2).unwrap();
        write.commit().unwrap();
    };
    let later_format = |path: &Path| {
        drop(RedbStore::open(path).unwrap());
        let database = Database::open(path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(META).unwrap().insert("format", 2).unwrap();
        write.commit().unwrap();
    };
    let cut_off = |path: &Path| {
        drop(RedbStore::open(path).unwrap());
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(5000).unwrap();
    };
    let text = |path: &Path| std::fs::write(path, "[store]\nurl = \"redb:\"\n".repeat(500)).unwrap();
    type Prepare<'a> = &'a dyn Fn(&Path);
    let rows: [(&str, Prepare<'_>, &str); 4] = [
        ("text", &text, "cannot be used"),
        ("cut off", &cut_off, "cannot be used"),
        ("another program's", &other_program, "another program"),
        ("a later format", &later_format, "its format is 2"),
    ];
    for (row, prepare, says) in rows {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policies.redb");
        prepare(&path);
        let error = RedbStore::open(&path).expect_err(row);
        assert!(matches!(error, OpenError::Damaged { .. }), "{row}: {error:?}");
        let error = error.to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains(says), "{row}: {error}");
    }
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("missing/policies.redb")] {
        let error = RedbStore::open(&path).expect_err("no file can be there");
        assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_is_open_once_and_its_owner_s_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policies.redb");
    let store = RedbStore::open(&path).unwrap();
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    let error = RedbStore::open(&path).expect_err("in use");
    assert!(matches!(&error, OpenError::InUse { path: named } if *named == path), "{error:?}");
    // The registry is a handle like any other.
    let registry = store.registry();
    drop(store);
    assert!(matches!(RedbStore::open(&path), Err(OpenError::InUse { .. })));
    drop(registry);
    RedbStore::open(&path).unwrap();
}
