//! What a store does with policies and public access blocks, one call after the other.

use portcullis::store::{Contents, PastRevision, PolicyStore, REVISIONS_KEPT, Revision};

use crate::support::{block, bucket, change, compiled, document, in_force, past, put, put_block};

pub(crate) async fn a_policy_comes_back_as_it_was_put(store: &dyn PolicyStore) {
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

pub(crate) async fn buckets_do_not_mix(store: &dyn PolicyStore) {
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

pub(crate) async fn a_deletion_is_a_revision_without_document(store: &dyn PolicyStore) {
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

pub(crate) async fn the_history_is_bounded(store: &dyn PolicyStore) {
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

pub(crate) async fn a_purged_bucket_starts_clean(store: &dyn PolicyStore) {
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

pub(crate) async fn a_public_access_block_comes_back_as_it_was_put(store: &dyn PolicyStore) {
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

pub(crate) async fn a_policy_and_a_block_leave_each_other_alone(store: &dyn PolicyStore) {
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

pub(crate) async fn a_purge_takes_the_block_away(store: &dyn PolicyStore) {
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

pub(crate) async fn what_is_stored_is_listed_page_by_page(store: &dyn PolicyStore) {
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

pub(crate) async fn what_is_restored_takes_the_place_of_all(store: &dyn PolicyStore) {
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

pub(crate) async fn what_nobody_compiled_is_not_restored(store: &dyn PolicyStore) {
    let name = "unchecked";
    put(store, name, 1).await;
    let unchecked = Contents { revisions: vec![past(name, 2)], ..Contents::default() };
    let without_document = Contents { policy: Some(compiled(name, 2)), ..Contents::default() };
    for contents in [unchecked, without_document] {
        assert!(store.restore(&bucket(name), contents).await.is_err());
        assert_eq!(in_force(store, name).await, (Some(document(name, 1)), None));
    }
}
