//! What readers see while others write.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis::store::{Contents, InForce, PolicyStore, REVISIONS_KEPT, Revision};

use crate::support::{block, bucket, change, compiled, document, in_force, past, put, put_block};

pub(crate) async fn a_restored_bucket_is_never_seen_without_a_policy(store: &Arc<dyn PolicyStore>, rounds: u64) {
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
    for n in 1..=rounds {
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
pub(crate) async fn policy_and_block_are_read_as_of_one_moment(store: &Arc<dyn PolicyStore>, rounds: u64) {
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
    for n in 1..=rounds {
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

pub(crate) async fn writers_and_readers_at_once(store: &Arc<dyn PolicyStore>, writers: u64) {
    let name = "contended";
    put(&**store, name, writers).await;
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
    let writing: Vec<_> = (0..writers)
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
    for writer in writing {
        written.insert(writer.await.unwrap());
    }
    stop.send(true).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }

    let numbers: BTreeSet<u64> = written.iter().map(|(revision, _)| *revision).collect();
    assert_eq!(numbers.len() as u64, writers, "every put has a revision of its own");
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
