//! What the store does while etcd is away, and once it is back.

use std::time::Duration;

use portcullis::store::etcd::EtcdStoreSettings;
use portcullis::store::{EtcdStore, OwnerRegistry, PolicyStore, StoreError};
use tokio::time::timeout;

use crate::server::Etcd;
use crate::support::{bucket, change, compiled, document, eventually, in_force, put, put_block};

/// What answers "at once" where the right answer takes milliseconds and the wrong one minutes.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A store whose mirror is soon too old, with a policy in it.
async fn impatient(etcd: &Etcd) -> EtcdStore {
    let settings = EtcdStoreSettings { max_staleness: Duration::from_secs(3), ..etcd.settings("away") };
    let store = EtcdStore::open(settings).await;
    put(&store, "photos", 1).await;
    put_block(&store, "photos", 5).await;
    store
}

async fn is_unavailable(store: &EtcdStore) -> bool {
    match store.in_force(&bucket("photos")).await {
        Ok(_) => false,
        Err(StoreError::Unavailable { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

/// A change is refused as long as etcd is away.
async fn changes_are_refused(store: &EtcdStore) {
    let photos = bucket("photos");
    let put = store.put(&photos, document("photos", 2), compiled("photos", 2), change(2));
    let refused = timeout(AT_ONCE, put).await.expect("a change is refused at once");
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let refused = timeout(AT_ONCE, store.history(&photos)).await.expect("so is a question about the past");
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let account = portcullis::policy::AccountId::parse("111122223333").unwrap();
    let registry = store.registry();
    let recorded = timeout(AT_ONCE, registry.set(&photos, &account)).await.expect("an owner is refused at once");
    assert!(matches!(recorded, Err(StoreError::Unavailable { .. })), "{recorded:?}");
}

/// It is there again, and the store has found out by itself.
async fn all_is_well_again(store: &EtcdStore) {
    eventually("reads answer again", async || store.check().await.is_ok() && !is_unavailable(store).await).await;
    eventually("changes are made again", async || {
        store.put(&bucket("photos"), document("photos", 3), compiled("photos", 3), change(3)).await.is_ok()
    })
    .await;
    assert_eq!(in_force(store, "photos").await.0, Some(document("photos", 3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_reads_go_on_until_max_staleness_and_changes_are_refused_at_once() {
    let mut etcd = Etcd::start();
    let store = impatient(&etcd).await;
    let before = in_force(&store, "photos").await;
    etcd.kill();
    // As long as anybody reads anything, it is what was in force.
    changes_are_refused(&store).await;
    eventually("what is known is too old", async || match store.in_force(&bucket("photos")).await {
        Ok(found) => {
            assert_eq!((found.policy.map(|record| record.document.clone()), found.public_access_block), before);
            store.check().await.is_err()
        }
        Err(error) => matches!(error, StoreError::Unavailable { .. }),
    })
    .await;
    assert!(is_unavailable(&store).await);
    assert!(store.check().await.is_err(), "a probe hears of it");
    assert!(store.registry().get(&bucket("photos")).await.is_err(), "nor are owners known");
    assert!(store.list(None, 10).await.is_err());
    changes_are_refused(&store).await;

    etcd.start_again();
    all_is_well_again(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_it_is_as_good_as_stopped() {
    let etcd = Etcd::start();
    let store = impatient(&etcd).await;
    etcd.hold();
    changes_are_refused(&store).await;
    eventually("what is known is too old", async || is_unavailable(&store).await).await;
    changes_are_refused(&store).await;
    etcd.go_on();
    all_is_well_again(&store).await;
    // What was refused may have been made after all, once; the numbers are still one for each change.
    let history = store.history(&bucket("photos")).await.unwrap();
    assert!(history.is_sorted_by(|newer, older| newer.revision > older.revision), "{history:?}");
    assert!(history.len() <= 4, "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_passing_is_not_noticed_by_reads() {
    let mut etcd = Etcd::start();
    let store = etcd.open("restarted").await;
    put(&store, "photos", 1).await;
    for n in 2..5 {
        etcd.kill();
        assert_eq!(in_force(&store, "photos").await.0, Some(document("photos", n - 1)));
        etcd.start_again();
        eventually("changes are made again", async || {
            store.put(&bucket("photos"), document("photos", n), compiled("photos", n), change(n)).await.is_ok()
        })
        .await;
        assert_eq!(in_force(&store, "photos").await.0, Some(document("photos", n)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_opened_before_etcd_is_there_finds_it_later() {
    let mut etcd = Etcd::prepared("http", Vec::new());
    let store = EtcdStore::open(etcd.settings("early")).await;
    assert_eq!(store.age(), None);
    let error = store.get(&bucket("photos")).await.unwrap_err().to_string();
    assert!(error.contains("has not been read yet") && error.contains("etcd"), "{error}");
    assert!(store.check().await.is_err());
    changes_are_refused(&store).await;
    etcd.start_again();
    all_is_well_again(&store).await;
    assert!(store.age().is_some());
}

/// An etcd that was restored from a backup, or made anew, has revisions that are lower than those seen before. A watch
/// from the old ones would see nothing for a long time.
#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_has_lost_its_data_is_believed() {
    let mut etcd = Etcd::start();
    let store = etcd.open("lost").await;
    for n in 0..10 {
        put(&store, "photos", n).await;
    }
    etcd.kill();
    etcd.wipe();
    etcd.start_again();
    eventually("the policy is gone", async || in_force(&store, "photos").await == (None, None)).await;
    let other = etcd.open("lost").await;
    eventually("changes are made again", async || {
        store.put(&bucket("photos"), document("photos", 11), compiled("photos", 11), change(11)).await.is_ok()
    })
    .await;
    eventually("and seen", async || in_force(&other, "photos").await.0 == Some(document("photos", 11))).await;
    put(&other, "photos", 12).await;
    eventually("on both sides", async || in_force(&store, "photos").await.0 == Some(document("photos", 12))).await;
}
