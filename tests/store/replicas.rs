//! What holds where several processes have a store in one place.
//!
//! Each sees its own changes at once, as `policies` asks of it, and those of the others soon.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use portcullis::policy::AccountId;
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::store::{Contents, PolicyStore, REVISIONS_KEPT};

use crate::support::{Opened, block, bucket, change, compiled, document, eventually, in_force, past, put, put_block};

/// `open` opens the place once more; it may be called while other stores of it are there.
pub(crate) async fn conformance(open: impl AsyncFn() -> Opened) {
    let (here, there) = (open().await, open().await);
    sharing(&here, &there).await;
    writers_here_and_there_end_with_one_of_them(&here.policies, &there.policies).await;
    // One that comes later begins with all of it.
    let late = open().await;
    for name in ["shared", "shared-contended"] {
        assert_eq!(in_force(&*late.policies, name).await, in_force(&*here.policies, name).await, "{name}");
    }
}

/// What holds also in a place where of two changes in the same moment the last one stays, and may take the other with it.
pub(crate) async fn sharing(here: &Opened, there: &Opened) {
    a_change_made_here_is_seen_there(&*here.policies, &*there.policies).await;
    an_owner_recorded_here_is_known_there(here, there).await;
}

async fn a_change_made_here_is_seen_there(here: &dyn PolicyStore, there: &dyn PolicyStore) {
    let name = "shared";
    let seen = async |policy: Option<Bytes>, block: Option<PublicAccessBlock>| {
        let what = format!("{policy:?} and {block:?} seen there");
        eventually(&what, async || in_force(there, name).await == (policy.clone(), block)).await;
    };
    seen(None, None).await;
    let revision = put(here, name, 1).await;
    seen(Some(document(name, 1)), None).await;
    let record = there.get(&bucket(name)).await.unwrap().expect("seen before");
    assert_eq!((record.revision, &record.change), (revision, &change(1)));
    put_block(here, name, 5).await;
    seen(Some(document(name, 1)), Some(block(5))).await;
    assert!(here.delete(&bucket(name), change(2)).await.unwrap());
    seen(None, Some(block(5))).await;
    assert!(here.delete_public_access_block(&bucket(name), change(3)).await.unwrap());
    seen(None, None).await;

    // What the other one did counts here: there is nothing left to delete.
    assert!(!there.delete(&bucket(name), change(4)).await.unwrap());
    assert!(put(there, name, 5).await > revision, "the numbers are those of the place");
    seen(Some(document(name, 5)), None).await;
    eventually("the history is one", async || {
        let history = here.history(&bucket(name)).await.unwrap();
        history.len() == 3 && history == there.history(&bucket(name)).await.unwrap()
    })
    .await;
    assert!(here.purge(&bucket(name)).await.unwrap());
    seen(None, None).await;
    eventually("nothing is listed", async || !there.list(None, usize::MAX).await.unwrap().contains(&bucket(name)))
        .await;

    let contents = Contents {
        revisions: vec![past(name, 8), past(name, 7)],
        policy: Some(compiled(name, 8)),
        public_access_block: Some((block(3), change(6))),
    };
    here.restore(&bucket(name), contents).await.unwrap();
    seen(Some(document(name, 8)), Some(block(3))).await;
}

async fn an_owner_recorded_here_is_known_there(here: &Opened, there: &Opened) {
    let [first, second] = ["111122223333", "444455556666"].map(|id| AccountId::parse(id).unwrap());
    let name = bucket("shared-owner");
    let known = async |expected: Option<&AccountId>| {
        let what = format!("{expected:?} known there");
        eventually(&what, async || there.registry.get(&name).await.unwrap().as_ref() == expected).await;
    };
    known(None).await;
    for account in [&first, &second] {
        here.registry.set(&name, account).await.unwrap();
        known(Some(account)).await;
    }
    assert!(here.registry.remove(&name).await.unwrap());
    known(None).await;
    assert!(!there.registry.remove(&name).await.unwrap());
}

async fn writers_here_and_there_end_with_one_of_them(here: &Arc<dyn PolicyStore>, there: &Arc<dyn PolicyStore>) {
    const WRITERS: u64 = 40;
    let name = "shared-contended";
    let writers = (0..WRITERS).map(|n| {
        let store = Arc::clone(if n % 2 == 0 { here } else { there });
        tokio::spawn(async move {
            let revision = put(&*store, name, n).await;
            let seen = store.get(&bucket(name)).await.unwrap().expect("put before").revision;
            assert!(seen >= revision, "put as {revision}, then read {seen}");
            (revision, n)
        })
    });
    let mut written = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        written.insert(writer.await.unwrap());
    }
    let numbers: BTreeSet<u64> = written.iter().map(|(revision, _)| *revision).collect();
    assert_eq!(numbers.len(), WRITERS as usize, "every put has a revision of its own");
    let kept: Vec<_> = written.iter().rev().take(REVISIONS_KEPT).collect();
    let (newest, n) = **kept.first().unwrap();
    for store in [here, there] {
        eventually("the last one is in force on both sides", async || {
            let record = store.get(&bucket(name)).await.unwrap().expect("never without a policy");
            record.revision == newest && record.document == document(name, n) && record.change == change(n)
        })
        .await;
        let history = store.history(&bucket(name)).await.unwrap();
        let found = history.iter().map(|past| (past.revision, past.document.clone()));
        let expected = kept.iter().map(|&&(revision, n)| (revision, Some(document(name, n))));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
