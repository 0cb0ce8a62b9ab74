//! A record that cannot be read costs its bucket alone, until it is replaced.

use portcullis::policy::AccountId;
use portcullis::store::{EtcdStore, OwnerRegistry, PolicyStore, StoreError};

use crate::server::Etcd;
use crate::support::{bucket, change, document, eventually, in_force, put, put_block};

#[track_caller]
fn names(error: StoreError, name: &str) {
    match error {
        StoreError::Unreadable { bucket, .. } => assert_eq!(bucket.as_str(), name),
        other => panic!("{other}"),
    }
}

async fn overwrite(etcd: &Etcd, key: &str, value: &[u8]) {
    let mut client = etcd.client().await;
    assert!(!client.get(key, None).await.unwrap().kvs().is_empty(), "no such key: {key}");
    client.put(key, value, None).await.unwrap();
}

async fn is_closed(store: &EtcdStore, name: &str) -> bool {
    store.in_force(&bucket(name)).await.is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_policy_closes_its_bucket_until_it_is_put_anew() {
    let etcd = Etcd::start();
    let (store, other) = (etcd.open("damage").await, etcd.open("damage").await);
    put(&store, "photos", 1).await;
    put(&store, "videos", 1).await;
    let mut client = etcd.client().await;
    let videos = client.get("/damage/now/policy/videos", None).await.unwrap().take_kvs().remove(0);
    // Cut short, another bucket's, and nothing at all.
    for (n, value) in (2..).zip([&videos.value()[..videos.value().len() - 1], videos.value(), b""]) {
        overwrite(&etcd, "/damage/now/policy/photos", value).await;
        for store in [&store, &other] {
            eventually("the bucket is closed", async || is_closed(store, "photos").await).await;
            names(store.get(&bucket("photos")).await.unwrap_err(), "photos");
            assert_eq!(in_force(store, "videos").await.0, Some(document("videos", 1)), "and no other");
            assert!(store.list(None, 10).await.unwrap().contains(&bucket("photos")), "it is listed");
        }
        put(&store, "photos", n).await;
        assert_eq!(in_force(&store, "photos").await.0, Some(document("photos", n)));
        eventually("there too", async || !is_closed(&other, "photos").await).await;
        assert_eq!(store.history(&bucket("photos")).await.unwrap().len() as u64, n);
    }
    // To take it out of force is a way out as well.
    overwrite(&etcd, "/damage/now/policy/photos", b"gone").await;
    eventually("the bucket is closed", async || is_closed(&store, "photos").await).await;
    assert!(store.delete(&bucket("photos"), change(9)).await.unwrap());
    assert_eq!(in_force(&store, "photos").await, (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_block_owner_or_past_revision_is_told_of_by_its_bucket() {
    let etcd = Etcd::start();
    let store = etcd.open("damage").await;
    let registry = store.registry();
    let account = AccountId::parse("111122223333").unwrap();
    put(&store, "photos", 1).await;
    put_block(&store, "photos", 3).await;
    registry.set(&bucket("photos"), &account).await.unwrap();

    overwrite(&etcd, "/damage/now/block/photos", b"{}").await;
    eventually("the bucket is closed", async || is_closed(&store, "photos").await).await;
    names(store.in_force(&bucket("photos")).await.unwrap_err(), "photos");
    assert!(store.delete_public_access_block(&bucket("photos"), change(2)).await.unwrap(), "it counts as one");
    assert_eq!(in_force(&store, "photos").await, (Some(document("photos", 1)), None));

    overwrite(&etcd, "/damage/now/owner/photos", b"{}").await;
    eventually("nobody knows the owner", async || registry.get(&bucket("photos")).await.is_err()).await;
    names(registry.get(&bucket("photos")).await.unwrap_err(), "photos");
    registry.set(&bucket("photos"), &account).await.unwrap();
    assert_eq!(registry.get(&bucket("photos")).await.unwrap(), Some(account));

    overwrite(&etcd, "/damage/past/photos/01", b"{}").await;
    names(store.history(&bucket("photos")).await.unwrap_err(), "photos");
    assert_eq!(in_force(&store, "photos").await.0, Some(document("photos", 1)), "the past closes nothing");
}

/// The numbers go on after those that are seen, and foreign keys do no harm.
#[tokio::test(flavor = "multi_thread")]
async fn the_count_may_be_lost() {
    let etcd = Etcd::start();
    let store = etcd.open("damage").await;
    let before = put(&store, "photos", 1).await;
    let mut client = etcd.client().await;
    client.put("/damage/now/stranger", "?", None).await.unwrap();
    client.put([b"/damage/now/policy/\xff".as_slice(), b"x"].concat(), "?", None).await.unwrap();
    overwrite(&etcd, "/damage/now/count", b"many").await;
    let second = put(&store, "photos", 2).await;
    assert!(second > before);
    client.delete("/damage/now/count", None).await.unwrap();
    let third = put(&store, "videos", 3).await;
    assert!(third > second);
    let late = etcd.open("damage").await;
    assert_eq!(in_force(&late, "photos").await.0, Some(document("photos", 2)));
    assert_eq!(late.list(None, 10).await.unwrap(), [bucket("photos"), bucket("videos")]);
}
