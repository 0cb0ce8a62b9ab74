//! What is there when a store is opened again.

use portcullis::policy::AccountId;
use portcullis::store::{Contents, REVISIONS_KEPT};

use crate::support::{Opened, block, bucket, change, compiled, document, in_force, past, put, put_block};

/// `open` opens the place, which nobody has used before, and is not called while an earlier store of it is there.
pub(crate) async fn conformance(open: impl AsyncFn() -> Opened) {
    let account = AccountId::parse("111122223333").unwrap();
    let mut revisions = Vec::new();
    for n in 0..30 {
        let Opened { policies: store, registry } = open().await;
        let store = &*store;
        if let Some(before) = revisions.last() {
            let record = store.get(&bucket("photos")).await.unwrap().expect("put before");
            assert_eq!((record.revision, &record.document), (*before, &document("photos", n - 1)), "opening {n}");
            assert_eq!(record.change, change(n - 1), "opening {n}");
            assert_eq!(in_force(store, "photos").await, (Some(document("photos", n - 1)), Some(block(n - 1))));
            assert_eq!(in_force(store, "blocked").await, (None, Some(block(n - 1))), "opening {n}");
            assert_eq!(registry.get(&bucket("photos")).await.unwrap().as_ref(), Some(&account));
        }
        let restored = Contents {
            revisions: vec![past("restored", n), past("restored", n + 100)],
            policy: Some(compiled("restored", n)),
            public_access_block: Some((block(n), change(n))),
        };
        if n > 0 {
            assert_eq!(in_force(store, "restored").await, (Some(document("restored", n - 1)), Some(block(n - 1))));
            assert_eq!(store.history(&bucket("restored")).await.unwrap().len(), 2, "opening {n}");
        }
        assert!(store.restore(&bucket("restored"), restored).await.unwrap().is_some(), "opening {n}");
        assert!(store.get(&bucket("deleted")).await.unwrap().is_none(), "opening {n}");
        put(store, "deleted", n).await;
        assert!(store.delete(&bucket("deleted"), change(n)).await.unwrap(), "opening {n}");
        assert_eq!(in_force(store, "deleted").await, (None, None), "opening {n}");
        put_block(store, "deleted", n).await;
        assert!(store.delete_public_access_block(&bucket("deleted"), change(n)).await.unwrap(), "opening {n}");
        put_block(store, "photos", n).await;
        put_block(store, "blocked", n).await;
        registry.set(&bucket("photos"), &account).await.unwrap();
        revisions.push(put(store, "photos", n).await);
    }
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");

    let Opened { policies: store, registry } = open().await;
    let history = store.history(&bucket("photos")).await.unwrap();
    let kept: Vec<u64> = history.iter().map(|revision| revision.revision).collect();
    assert_eq!(kept, revisions.iter().rev().take(REVISIONS_KEPT).copied().collect::<Vec<_>>());
    assert!(store.purge(&bucket("photos")).await.unwrap());
    drop((store, registry));
    let Opened { policies: store, registry: _registry } = open().await;
    assert_eq!(in_force(&*store, "photos").await, (None, None));
    assert!(put(&*store, "photos", 99).await > revisions[29], "not even a purge brings a number back");
}
