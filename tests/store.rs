//! What every policy store and every owners' registry must do, run against each implementation.
//!
//! The kill test has a file of its own, `store_kill.rs`: it starts itself as a second process.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use portcullis::policy::{AccountId, Policy};
use portcullis::s3::address::BucketName;
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::store::{
    Change, Contents, InForce, MemoryRegistry, MemoryStore, OwnerRegistry, PastRevision, PolicyStore, REVISIONS_KEPT,
    Revision,
};

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

/// A policy for `name`, told apart from others by `n`; with white space that a store has no business with.
fn document(name: &str, n: u64) -> Bytes {
    let statement = format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{name}/{n}/*"}}"#
    );
    Bytes::from(format!("{{\"Version\": \"2012-10-17\",\r\n\t\"Id\":\"{n}\",\n \"Statement\":[{statement}]}}\n\n"))
}

fn compiled(name: &str, n: u64) -> Arc<Policy> {
    Arc::new(Policy::parse(&document(name, n), name).unwrap().policy)
}

fn change(n: u64) -> Change {
    Change {
        at: SystemTime::UNIX_EPOCH + Duration::new(1_764_000_000 + n, 123_456_789),
        by: format!("arn:aws:iam::111122223333:user/ünï-{n}"),
        request_id: format!("4442587FB7D0{n:04}"),
    }
}

async fn put(store: &dyn PolicyStore, name: &str, n: u64) -> u64 {
    store.put(&bucket(name), document(name, n), compiled(name, n), change(n)).await.unwrap()
}

/// One of the sixteen public access blocks there are.
fn block(n: u64) -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: n & 1 != 0,
        ignore_public_acls: n & 2 != 0,
        block_public_policy: n & 4 != 0,
        restrict_public_buckets: n & 8 != 0,
    }
}

async fn put_block(store: &dyn PolicyStore, name: &str, n: u64) {
    store.put_public_access_block(&bucket(name), block(n), change(n)).await.unwrap();
}

/// The document of the policy in force and the public access block.
async fn in_force(store: &dyn PolicyStore, name: &str) -> (Option<Bytes>, Option<PublicAccessBlock>) {
    let InForce { policy, public_access_block } = store.in_force(&bucket(name)).await.unwrap();
    (policy.map(|record| record.document.clone()), public_access_block)
}

async fn conformance(store: Arc<dyn PolicyStore>) {
    a_policy_comes_back_as_it_was_put(&*store).await;
    buckets_do_not_mix(&*store).await;
    a_deletion_is_a_revision_without_document(&*store).await;
    the_history_is_bounded(&*store).await;
    a_purged_bucket_starts_clean(&*store).await;
    a_public_access_block_comes_back_as_it_was_put(&*store).await;
    a_policy_and_a_block_leave_each_other_alone(&*store).await;
    a_purge_takes_the_block_away(&*store).await;
    what_is_stored_is_listed_page_by_page(&*store).await;
    what_is_restored_takes_the_place_of_all(&*store).await;
    what_nobody_compiled_is_not_restored(&*store).await;
    a_restored_bucket_is_never_seen_without_a_policy(&store).await;
    policy_and_block_are_read_as_of_one_moment(&store).await;
    writers_and_readers_at_once(&store).await;
}

async fn a_policy_comes_back_as_it_was_put(store: &dyn PolicyStore) {
    let name = "round-trip";
    assert!(store.get(&bucket(name)).await.unwrap().is_none());
    assert_eq!(store.history(&bucket(name)).await.unwrap(), []);
    let mut before = 0;
    for n in 1..=3 {
        let revision = put(store, name, n).await;
        let record = store.get(&bucket(name)).await.unwrap().expect("just put");
        assert_eq!((record.revision, &record.document, &record.change), (revision, &document(name, n), &change(n)));
        assert!(revision > before, "{revision} after {before}");
        before = revision;
    }
}

async fn buckets_do_not_mix(store: &dyn PolicyStore) {
    // Each is the beginning of the next, or differs in case alone.
    let names = ["abc", "abc.d", "abc.d-e", "ABC"];
    for (n, name) in (0..).zip(names) {
        put(store, name, n).await;
    }
    assert!(store.delete(&bucket("abc.d"), change(9)).await.unwrap());
    for (n, name) in (0..).zip(names) {
        let found = store.get(&bucket(name)).await.unwrap().map(|record| record.document.clone());
        assert_eq!(found, (name != "abc.d").then(|| document(name, n)), "{name}");
    }
    assert!(store.purge(&bucket("abc")).await.unwrap());
    for (name, revisions) in [("abc", 0), ("abc.d", 2), ("abc.d-e", 1), ("ABC", 1)] {
        assert_eq!(store.history(&bucket(name)).await.unwrap().len(), revisions, "{name}");
    }
}

async fn a_deletion_is_a_revision_without_document(store: &dyn PolicyStore) {
    let name = "deleted";
    assert!(!store.delete(&bucket(name), change(0)).await.unwrap(), "nothing was there");
    assert_eq!(store.history(&bucket(name)).await.unwrap(), [], "and nothing is noted");

    let first = put(store, name, 1).await;
    assert!(store.delete(&bucket(name), change(2)).await.unwrap());
    assert!(store.get(&bucket(name)).await.unwrap().is_none());
    assert!(!store.delete(&bucket(name), change(3)).await.unwrap(), "it is gone already");
    let second = put(store, name, 4).await;

    let history = store.history(&bucket(name)).await.unwrap();
    let deletion = history[1].revision;
    assert!(first < deletion && deletion < second, "{first}, {deletion}, {second}");
    let expected = [
        Revision { revision: second, document: Some(document(name, 4)), change: change(4) },
        Revision { revision: deletion, document: None, change: change(2) },
        Revision { revision: first, document: Some(document(name, 1)), change: change(1) },
    ];
    assert_eq!(history, expected);
}

async fn the_history_is_bounded(store: &dyn PolicyStore) {
    let name = "history";
    let mut revisions = Vec::new();
    for n in 0..25 {
        revisions.push(put(store, name, n).await);
        let history = store.history(&bucket(name)).await.unwrap();
        let expected: Vec<Revision> = (0..=n)
            .rev()
            .zip(revisions.iter().rev())
            .take(REVISIONS_KEPT)
            .map(|(n, &revision)| Revision { revision, document: Some(document(name, n)), change: change(n) })
            .collect();
        assert_eq!(history, expected, "after put {n}");
    }
}

async fn a_purged_bucket_starts_clean(store: &dyn PolicyStore) {
    let name = "purged";
    assert!(!store.purge(&bucket(name)).await.unwrap(), "nothing was known");
    put(store, name, 1).await;
    let before = put(store, name, 2).await;
    assert!(store.purge(&bucket(name)).await.unwrap());
    assert!(store.get(&bucket(name)).await.unwrap().is_none());
    assert_eq!(store.history(&bucket(name)).await.unwrap(), []);
    assert!(!store.purge(&bucket(name)).await.unwrap(), "it is forgotten already");
    assert!(put(store, name, 3).await > before, "a number means one change");
    assert_eq!(store.history(&bucket(name)).await.unwrap().len(), 1);

    assert!(store.delete(&bucket(name), change(4)).await.unwrap());
    assert!(store.purge(&bucket(name)).await.unwrap(), "a deleted policy has a history to forget");
}

async fn a_public_access_block_comes_back_as_it_was_put(store: &dyn PolicyStore) {
    let (name, other) = ("blocked", "blocked.2");
    assert_eq!(in_force(store, name).await, (None, None));
    assert!(!store.delete_public_access_block(&bucket(name), change(0)).await.unwrap(), "nothing was there");
    for n in 0..16 {
        put_block(store, name, n).await;
        assert_eq!(in_force(store, name).await, (None, Some(block(n))));
    }
    put_block(store, other, 3).await;
    assert!(store.delete_public_access_block(&bucket(name), change(16)).await.unwrap());
    assert_eq!(in_force(store, name).await, (None, None));
    assert!(!store.delete_public_access_block(&bucket(name), change(17)).await.unwrap(), "it is gone already");
    put_block(store, name, 0).await;
    assert_eq!(in_force(store, name).await, (None, Some(block(0))), "all off is not the same as none");
    assert_eq!(in_force(store, other).await, (None, Some(block(3))));
}

async fn a_policy_and_a_block_leave_each_other_alone(store: &dyn PolicyStore) {
    let name = "beside";
    put_block(store, name, 1).await;
    assert!(store.get(&bucket(name)).await.unwrap().is_none());
    assert!(!store.delete(&bucket(name), change(1)).await.unwrap(), "a block is no policy");
    assert_eq!(store.history(&bucket(name)).await.unwrap(), [], "nor in its history");

    let revision = put(store, name, 2).await;
    put_block(store, name, 2).await;
    let found = store.in_force(&bucket(name)).await.unwrap().policy.expect("put");
    assert_eq!((found.revision, &found.document, &found.change), (revision, &document(name, 2), &change(2)));
    assert_eq!(in_force(store, name).await, (Some(document(name, 2)), Some(block(2))));
    assert!(store.delete(&bucket(name), change(3)).await.unwrap());
    assert_eq!(in_force(store, name).await, (None, Some(block(2))));
    put(store, name, 4).await;
    assert!(store.delete_public_access_block(&bucket(name), change(5)).await.unwrap());
    assert_eq!(in_force(store, name).await, (Some(document(name, 4)), None));
    assert_eq!(store.history(&bucket(name)).await.unwrap().len(), 3);
}

async fn a_purge_takes_the_block_away(store: &dyn PolicyStore) {
    let name = "purged-block";
    for (n, (policy, taken)) in (0..).zip([(false, false), (true, false), (false, true)]) {
        if policy {
            put(store, name, n).await;
        }
        put_block(store, name, n).await;
        if taken {
            assert!(store.delete_public_access_block(&bucket(name), change(n)).await.unwrap());
        }
        assert!(store.purge(&bucket(name)).await.unwrap(), "there was a block, or is a note that it was taken away");
        assert_eq!(in_force(store, name).await, (None, None));
        assert!(!store.purge(&bucket(name)).await.unwrap(), "it is forgotten already");
    }
}

async fn what_is_stored_is_listed_page_by_page(store: &dyn PolicyStore) {
    // Between two names that nothing else here begins with.
    let (from, to) = ("list", "list~");
    let names = ["list-Z", "list-a", "list-a.b", "list-b", "list-blocked", "list-deleted", "list-unblocked"];
    for (n, name) in (0..).zip(["list-b", "list-a.b", "list-Z", "list-deleted", "list-a", "list-purged"]) {
        put(store, name, n).await;
    }
    assert!(store.delete(&bucket("list-deleted"), change(9)).await.unwrap());
    for name in ["list-b", "list-blocked", "list-unblocked"] {
        put_block(store, name, 1).await;
    }
    assert!(store.delete_public_access_block(&bucket("list-unblocked"), change(9)).await.unwrap());
    assert!(store.purge(&bucket("list-purged")).await.unwrap());
    assert!(!store.delete(&bucket("list-never"), change(9)).await.unwrap());
    for limit in 1..=names.len() + 1 {
        let (mut found, mut after) = (Vec::new(), bucket(from));
        loop {
            let page = store.list(Some(&after), limit).await.unwrap();
            assert!(page.len() <= limit, "{page:?}");
            assert!(page.iter().is_sorted_by(|a, b| a < b), "{page:?}");
            let ours = page.iter().filter(|name| name.as_str() < to).map(ToString::to_string);
            found.extend(ours);
            match page.last() {
                Some(last) if last.as_str() < to && page.len() == limit => after = last.clone(),
                _ => break,
            }
        }
        assert_eq!(found, names, "by {limit}");
    }
    assert_eq!(store.list(None, 0).await.unwrap(), []);
    let all = store.list(None, usize::MAX).await.unwrap();
    assert!(all.contains(&bucket("list-a")) && all.iter().is_sorted_by(|a, b| a < b), "{all:?}");
    assert_eq!(store.list(all.last(), 10).await.unwrap(), []);
}

fn past(name: &str, n: u64) -> PastRevision {
    PastRevision { document: Some(document(name, n)), change: change(n) }
}

async fn what_is_restored_takes_the_place_of_all(store: &dyn PolicyStore) {
    let name = "restored";
    let before = put(store, name, 1).await;
    put_block(store, name, 1).await;
    let deletion = PastRevision { document: None, change: change(8) };

    let contents = Contents {
        revisions: vec![past(name, 9), deletion.clone(), past(name, 7)],
        policy: Some(compiled(name, 9)),
        public_access_block: Some((block(6), change(5))),
    };
    let newest = store.restore(&bucket(name), contents).await.unwrap().expect("there are revisions");
    assert_eq!(in_force(store, name).await, (Some(document(name, 9)), Some(block(6))));
    let record = store.get(&bucket(name)).await.unwrap().expect("restored");
    assert_eq!((record.revision, &record.change), (newest, &change(9)));
    let history = store.history(&bucket(name)).await.unwrap();
    let documents = history.iter().map(|revision| (revision.document.clone(), revision.change.clone()));
    let expected = [(Some(document(name, 9)), change(9)), (None, change(8)), (Some(document(name, 7)), change(7))];
    assert_eq!(documents.collect::<Vec<_>>(), expected);
    assert_eq!(history[0].revision, newest);
    assert!(history.iter().rev().is_sorted_by(|a, b| a.revision < b.revision), "{history:?}");
    assert!(history[2].revision > before, "a number means one change");
    assert!(put(store, name, 10).await > newest);

    let gone = Contents { revisions: vec![deletion], ..Contents::default() };
    assert!(store.restore(&bucket(name), gone).await.unwrap().is_some());
    assert_eq!(in_force(store, name).await, (None, None), "the block was not among it");
    assert_eq!(store.history(&bucket(name)).await.unwrap().len(), 1);

    let only_a_block = Contents { public_access_block: Some((block(3), change(1))), ..Contents::default() };
    assert_eq!(store.restore(&bucket(name), only_a_block).await.unwrap(), None);
    assert_eq!(in_force(store, name).await, (None, Some(block(3))));
    assert_eq!(store.history(&bucket(name)).await.unwrap(), []);

    let many = REVISIONS_KEPT as u64 + 5;
    let revisions: Vec<_> = (0..many).rev().map(|n| past(name, n)).collect();
    let contents = Contents { policy: Some(compiled(name, many - 1)), revisions, ..Contents::default() };
    store.restore(&bucket(name), contents).await.unwrap();
    let history = store.history(&bucket(name)).await.unwrap();
    let kept: Vec<_> = history.iter().map(|revision| revision.change.clone()).collect();
    assert_eq!(kept, (5..many).rev().map(change).collect::<Vec<_>>());

    assert_eq!(store.restore(&bucket(name), Contents::default()).await.unwrap(), None);
    assert!(!store.purge(&bucket(name)).await.unwrap(), "nothing is left of it");
}

async fn what_nobody_compiled_is_not_restored(store: &dyn PolicyStore) {
    let name = "unchecked";
    put(store, name, 1).await;
    let unchecked = Contents { revisions: vec![past(name, 2)], ..Contents::default() };
    let without_document = Contents { policy: Some(compiled(name, 2)), ..Contents::default() };
    for contents in [unchecked, without_document] {
        assert!(store.restore(&bucket(name), contents).await.is_err());
        assert_eq!(in_force(store, name).await, (Some(document(name, 1)), None));
    }
}

async fn a_restored_bucket_is_never_seen_without_a_policy(store: &Arc<dyn PolicyStore>) {
    const ROUNDS: u64 = 100;
    let name = "restored-at-once";
    put(&**store, name, 0).await;
    put_block(&**store, name, 0).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let reader = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            while !*stopped.borrow() {
                let InForce { policy, public_access_block } = store.in_force(&bucket(name)).await.unwrap();
                let policy = policy.expect("never without a policy");
                let n = policy.change.at.duration_since(change(0).at).unwrap().as_secs();
                assert_eq!((&policy.document, public_access_block), (&document(name, n), Some(block(n))), "a mix");
                tokio::task::yield_now().await;
            }
        })
    };
    for n in 1..=ROUNDS {
        let contents = Contents {
            revisions: vec![past(name, n), past(name, n - 1)],
            policy: Some(compiled(name, n)),
            public_access_block: Some((block(n), change(n))),
        };
        store.restore(&bucket(name), contents).await.unwrap();
    }
    stop.send(true).unwrap();
    reader.await.unwrap();
}

/// A writer puts policy 1, block 1, policy 2, block 2, and so on. Whoever looks must see the block of the policy's number
/// or of the one before; a later one was never in force together with it.
async fn policy_and_block_are_read_as_of_one_moment(store: &Arc<dyn PolicyStore>) {
    const ROUNDS: u64 = 300;
    let name = "moment";
    put(&**store, name, 0).await;
    put_block(&**store, name, 0).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, stopped) = (Arc::clone(store), stopped.clone());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    let InForce { policy, public_access_block } = store.in_force(&bucket(name)).await.unwrap();
                    let policy = policy.expect("never without a policy");
                    let n = policy.change.at.duration_since(change(0).at).unwrap().as_secs();
                    let found = public_access_block.expect("never without a block");
                    assert!(
                        found == block(n) || n > 0 && found == block(n - 1),
                        "policy {n} was never in force with {found:?}"
                    );
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 1..=ROUNDS {
        put(&**store, name, n).await;
        assert_eq!(in_force(&**store, name).await, (Some(document(name, n)), Some(block(n - 1))));
        put_block(&**store, name, n).await;
        assert_eq!(in_force(&**store, name).await, (Some(document(name, n)), Some(block(n))));
    }
    stop.send(true).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
}

async fn writers_and_readers_at_once(store: &Arc<dyn PolicyStore>) {
    const WRITERS: u64 = 200;
    let name = "contended";
    put(&**store, name, WRITERS).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);

    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, stopped) = (Arc::clone(store), stopped.clone());
            tokio::spawn(async move {
                let mut last = 0;
                while !*stopped.borrow() {
                    let record = store.get(&bucket(name)).await.unwrap().expect("never without a policy");
                    assert!(record.revision >= last, "revision {} after {last}", record.revision);
                    last = record.revision;
                    let n = record.change.at.duration_since(change(0).at).unwrap().as_secs();
                    assert_eq!((&record.document, &record.change), (&document(name, n), &change(n)), "a mix");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let revision = put(&*store, name, n).await;
                let seen = store.get(&bucket(name)).await.unwrap().expect("put before").revision;
                assert!(seen >= revision, "put as {revision}, then read {seen}");
                (revision, n)
            })
        })
        .collect();
    let mut written = BTreeSet::new();
    for writer in writers {
        written.insert(writer.await.unwrap());
    }
    stop.send(true).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }

    let numbers: BTreeSet<u64> = written.iter().map(|(revision, _)| *revision).collect();
    assert_eq!(numbers.len(), WRITERS as usize, "every put has a revision of its own");
    let record = store.get(&bucket(name)).await.unwrap().expect("put");
    let (revision, n) = *written.last().unwrap();
    assert_eq!((record.revision, &record.document, &record.change), (revision, &document(name, n), &change(n)));
    let kept: Vec<Revision> = written
        .iter()
        .rev()
        .take(REVISIONS_KEPT)
        .map(|&(revision, n)| Revision { revision, document: Some(document(name, n)), change: change(n) })
        .collect();
    assert_eq!(store.history(&bucket(name)).await.unwrap(), kept);
}

async fn registry_conformance(registry: &dyn OwnerRegistry) {
    let [first, second] = ["111122223333", "444455556666"].map(|id| AccountId::parse(id).unwrap());
    let (name, other) = (bucket("photos"), bucket("photos2"));
    assert_eq!(registry.get(&name).await.unwrap(), None);
    assert!(!registry.remove(&name).await.unwrap());
    registry.set(&name, &first).await.unwrap();
    assert_eq!(registry.get(&name).await.unwrap().as_ref(), Some(&first));
    assert_eq!(registry.get(&other).await.unwrap(), None);
    registry.set(&name, &second).await.unwrap();
    registry.set(&other, &first).await.unwrap();
    assert_eq!(registry.get(&name).await.unwrap().as_ref(), Some(&second));
    assert!(registry.remove(&name).await.unwrap());
    assert_eq!(registry.get(&name).await.unwrap(), None);
    assert_eq!(registry.get(&other).await.unwrap().as_ref(), Some(&first));

    let names = [bucket("a.b"), bucket("photos-2"), other];
    registry.set(&names[1], &second).await.unwrap();
    registry.set(&names[0], &second).await.unwrap();
    assert_eq!(registry.list(None, 10).await.unwrap(), names);
    assert_eq!(registry.list(None, 2).await.unwrap(), names[..2]);
    assert_eq!(registry.list(Some(&names[0]), 1).await.unwrap(), names[1..2]);
    assert_eq!(
        registry.list(Some(&name), 10).await.unwrap(),
        names[1..],
        "one that is not there is a place all the same"
    );
    assert_eq!(registry.list(Some(&names[2]), 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_conforms() {
    conformance(Arc::new(MemoryStore::new())).await;
    registry_conformance(&MemoryRegistry::new()).await;
}

#[cfg(feature = "proxy")]
mod redb {
    use portcullis::store::RedbStore;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_store_in_a_file_conforms() {
        let directory = tempfile::tempdir().unwrap();
        let store = RedbStore::open(directory.path().join("policies.redb")).unwrap();
        registry_conformance(&store.registry()).await;
        conformance(Arc::new(store)).await;
    }

    #[tokio::test]
    async fn all_is_there_again_when_the_file_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policies.redb");
        let account = AccountId::parse("111122223333").unwrap();
        let mut revisions = Vec::new();
        for n in 0..30 {
            let store = RedbStore::open(&path).unwrap();
            if let Some(before) = revisions.last() {
                let record = store.get(&bucket("photos")).await.unwrap().expect("put before");
                assert_eq!((record.revision, &record.document), (*before, &document("photos", n - 1)), "opening {n}");
                assert_eq!(record.change, change(n - 1), "opening {n}");
                assert_eq!(in_force(&store, "photos").await, (Some(document("photos", n - 1)), Some(block(n - 1))));
                assert_eq!(in_force(&store, "blocked").await, (None, Some(block(n - 1))), "opening {n}");
                assert_eq!(store.registry().get(&bucket("photos")).await.unwrap().as_ref(), Some(&account));
            }
            let restored = Contents {
                revisions: vec![past("restored", n), past("restored", n + 100)],
                policy: Some(compiled("restored", n)),
                public_access_block: Some((block(n), change(n))),
            };
            if n > 0 {
                assert_eq!(in_force(&store, "restored").await, (Some(document("restored", n - 1)), Some(block(n - 1))));
                assert_eq!(store.history(&bucket("restored")).await.unwrap().len(), 2, "opening {n}");
            }
            assert!(store.restore(&bucket("restored"), restored).await.unwrap().is_some(), "opening {n}");
            assert!(store.get(&bucket("deleted")).await.unwrap().is_none(), "opening {n}");
            put(&store, "deleted", n).await;
            assert!(store.delete(&bucket("deleted"), change(n)).await.unwrap(), "opening {n}");
            assert_eq!(in_force(&store, "deleted").await, (None, None), "opening {n}");
            put_block(&store, "deleted", n).await;
            assert!(store.delete_public_access_block(&bucket("deleted"), change(n)).await.unwrap(), "opening {n}");
            put_block(&store, "photos", n).await;
            put_block(&store, "blocked", n).await;
            store.registry().set(&bucket("photos"), &account).await.unwrap();
            revisions.push(put(&store, "photos", n).await);
        }
        assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");

        let store = RedbStore::open(&path).unwrap();
        let history = store.history(&bucket("photos")).await.unwrap();
        let kept: Vec<u64> = history.iter().map(|revision| revision.revision).collect();
        assert_eq!(kept, revisions.iter().rev().take(REVISIONS_KEPT).copied().collect::<Vec<_>>());
        assert!(store.purge(&bucket("photos")).await.unwrap());
        drop(store);
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(in_force(&store, "photos").await, (None, None));
        assert!(put(&store, "photos", 99).await > revisions[29], "not even a purge brings a number back");
    }
}
