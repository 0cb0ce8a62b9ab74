//! `portcullis policy migrate` to etcd and away from it, by the rules of `tests/migrate`.

use std::fs;

use portcullis::policy::AccountId;
use portcullis::store::{OwnerRegistry, PolicyStore, RedbStore};
use serde_json::{Value, json};

use crate::ground::{Ground, Running, Writer, policy};
use crate::server::Etcd;
use crate::support::{bucket, eventually, put};

const STILL: [&str; 4] = ["photos", "videos", "notes", "empty"];
const LIVE: [&str; 4] = ["live-a", "live-b", "live-c", "live-d"];
const BLOCK: &str =
    r#"{"BlockPublicAcls":true,"IgnorePublicAcls":false,"BlockPublicPolicy":true,"RestrictPublicBuckets":true}"#;

fn place(etcd: &Etcd, prefix: &str) -> String {
    format!("etcd://{}/{prefix}", etcd.address())
}

fn owner() -> AccountId {
    AccountId::parse("444455556666").unwrap()
}

/// A history longer than is kept, a block, a deletion: what a server has that was in use.
async fn fill(server: &Running) {
    for n in 0..25 {
        server.put("photos", n).await;
    }
    server.put("videos", 1).await;
    assert_eq!(server.call("PUT", "/v1/buckets/videos/public-access-block", BLOCK).await.0, 200);
    server.put("notes", 1).await;
    assert_eq!(server.call("DELETE", "/v1/buckets/notes/policy", "").await.0, 200);
}

/// Each writer was refused in the end. The last policy that each got acknowledged.
async fn acknowledged(writers: Vec<Writer>) -> Vec<(&'static str, u64)> {
    let mut all = Vec::new();
    for writer in writers {
        let bucket = writer.bucket;
        let (last, status) = writer.ended().await;
        assert_eq!(status, 503, "{bucket}: refused, not lost");
        all.push((bucket, last));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_a_file_to_etcd_nothing_acknowledged_is_lost() {
    let etcd = Etcd::start();
    let ground = Ground::new(&[&STILL[..], &LIVE].concat());
    let file = RedbStore::open(ground.path("old.redb")).unwrap();
    file.registry().set(&bucket("empty"), &owner()).await.unwrap();
    drop(file);
    let old = ground.serve("redb:old.redb").await;
    fill(&old).await;
    let writers: Vec<_> = LIVE.map(|bucket| Writer::start(&old, bucket)).into();
    for writer in &writers {
        writer.has_written(5).await;
    }
    let (url, prod) = (old.url(), place(&etcd, "prod"));
    let (said, counts) = ground.migrate(&url, &prod, &["--freeze", &url]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((&counts["buckets"], &counts["frozen"]), (&json!(8), &json!([url])), "{counts}");
    let acknowledged = acknowledged(writers).await;
    let kept = old.kept().await;
    assert_eq!(old.call("GET", "/v1/buckets/videos/policy", "").await.0, 200, "reading goes on");

    // Both of the new ones have all of it, and what one of them changes is the other's.
    let (one, two) = (ground.serve(&prod).await, ground.serve(&prod).await);
    for server in [&one, &two] {
        assert_eq!(server.kept().await, kept);
        for (bucket, last) in &acknowledged {
            let (_, document) = server.call("GET", &format!("/v1/buckets/{bucket}/policy"), "").await;
            assert_eq!(document, policy(bucket, *last), "{bucket}");
        }
    }
    assert_eq!(etcd.open("prod").await.registry().get(&bucket("empty")).await.unwrap(), Some(owner()));
    one.put("photos", 99).await;
    eventually("the other sees it", async || {
        two.call("GET", "/v1/buckets/photos/policy", "").await.1 == policy("photos", 99)
    })
    .await;
    for server in [old, one, two] {
        server.stop().await;
    }
}

/// Both servers of a fleet, with clients that change policies through each.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_etcd_to_a_file_nothing_acknowledged_is_lost() {
    let etcd = Etcd::start();
    let ground = Ground::new(&[&STILL[..], &LIVE].concat());
    let prod = place(&etcd, "prod");
    let (one, two) = (ground.serve(&prod).await, ground.serve(&prod).await);
    fill(&one).await;
    etcd.open("prod").await.registry().set(&bucket("empty"), &owner()).await.unwrap();
    let each = LIVE.into_iter().zip([&one, &two].into_iter().cycle());
    let writers: Vec<_> = each.map(|(bucket, server)| Writer::start(server, bucket)).collect();
    for writer in &writers {
        writer.has_written(5).await;
    }
    let (first, second) = (one.url(), two.url());
    let freeze = ["--freeze", &first, "--freeze", &second];
    let (said, counts) = ground.migrate(&prod, "redb:new.redb", &freeze).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((&counts["buckets"], &counts["frozen"]), (&json!(8), &json!([first, second])), "{counts}");
    let acknowledged = acknowledged(writers).await;
    let kept = one.kept().await;
    assert_eq!(two.kept().await, kept);

    let new = ground.serve("redb:new.redb").await;
    assert_eq!(new.kept().await, kept);
    for (bucket, last) in acknowledged {
        let (_, document) = new.call("GET", &format!("/v1/buckets/{bucket}/policy"), "").await;
        assert_eq!(document, policy(bucket, last), "{bucket}");
    }
    let owned = kept.iter().find(|record| record["bucket"] == "empty").unwrap();
    assert_eq!(owned["owner"], owner().as_str());
    for server in [one, two, new] {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_can_be_repeated_and_only_replaces_where_it_is_told_to() {
    let etcd = Etcd::start();
    let ground = Ground::new(&STILL);
    let (prod, other) = (place(&etcd, "prod"), place(&etcd, "other"));
    let old = ground.serve("redb:old.redb").await;
    fill(&old).await;
    let kept = old.kept().await;
    old.stop().await;
    let tally = |new: u64, replaced: u64, removed: u64, unchanged: u64| {
        let buckets = new + replaced + unchanged;
        json!({"buckets": buckets, "new": new, "replaced": replaced, "removed": removed, "unchanged": unchanged,
               "different": [], "unreadable": [], "frozen": []})
    };
    for (from, to, expected) in [
        ("redb:old.redb", &*prod, tally(3, 0, 0, 0)),
        ("redb:old.redb", &prod, tally(0, 0, 0, 3)),
        (&prod, &other, tally(3, 0, 0, 0)),
        (&prod, "s3://policies/prod", tally(3, 0, 0, 0)),
        ("s3://policies/prod", &other, tally(0, 0, 0, 3)),
        (&other, "redb:back.redb", tally(3, 0, 0, 0)),
        ("redb:old.redb", "redb:back.redb", tally(0, 0, 0, 3)),
    ] {
        let (said, counts) = ground.migrate(from, to, &[]).await;
        assert_eq!(counts, expected, "{from} {to}: {said:?}");
    }
    let new = ground.serve(&prod).await;
    assert_eq!(new.kept().await, kept);
    new.put("photos", 77).await;
    new.put("empty", 77).await;
    new.stop().await;
    let (said, counts) = ground.migrate("redb:old.redb", &prod, &[]).await;
    assert_eq!((said.code, &counts["different"]), (Some(1), &json!(["photos", "empty"])), "{said:?}");
    assert_eq!(ground.migrate("redb:old.redb", &prod, &["--replace"]).await.1, tally(0, 1, 1, 2));
    assert_eq!(ground.migrate(&other, &prod, &[]).await.1, tally(0, 0, 0, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_read_and_an_etcd_that_is_away_are_named() {
    let mut etcd = Etcd::start();
    let ground = Ground::new(&["photos", "videos"]);
    let prod = place(&etcd, "prod");
    let old = ground.serve(&prod).await;
    old.put("photos", 1).await;
    old.put("videos", 1).await;
    let mut client = etcd.client().await;
    client.put("/prod/now/policy/photos", "damaged", None).await.unwrap();
    client.put("/prod/past/photos/01", "damaged", None).await.unwrap();
    let url = old.url();
    let (said, counts) = ground.migrate(&prod, "redb:new.redb", &["--freeze", &url]).await;
    assert_eq!((said.code, &counts["unreadable"]), (Some(1), &json!(["photos"])), "{said:?}");
    assert!(said.err.contains("photos"), "{said:?}");
    let (_, freeze) = old.call("GET", "/v1/freeze", "").await;
    assert_eq!(serde_json::from_str::<Value>(&freeze).unwrap()["frozen"], Value::Null);
    old.stop().await;

    etcd.kill();
    for (from, to) in [(&*prod, "redb:new.redb"), ("redb:new.redb", &prod)] {
        let (said, _) = ground.migrate(from, to, &[]).await;
        assert_eq!(said.code, Some(1), "{from} {to}: {said:?}");
        assert!(said.err.contains("etcd"), "{from} {to}: {said:?}");
    }
}

/// Who one is, no URL says: the configuration does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_etcd_that_asks_who_one_is_is_named_in_a_configuration() {
    let etcd = Etcd::start();
    let store = etcd.open("tenant").await;
    put(&store, "photos", 1).await;
    etcd.let_in("/tenant/", "correct horse").await;

    let ground = Ground::new(&["photos"]);
    let tenant = place(&etcd, "tenant");
    fs::write(ground.path("password"), "correct horse").unwrap();
    let text = fs::read_to_string(ground.path("proxy.toml")).unwrap();
    let who = "username = \"portcullis\"\npassword_file = \"password\"";
    fs::write(ground.path("proxy.toml"), format!("{text}url = \"{tenant}\"\n{who}\n")).unwrap();
    let (said, _) = ground.migrate(&tenant, "redb:refused.redb", &[]).await;
    assert_eq!(said.code, Some(1), "a URL names nobody: {said:?}");
    let (said, counts) = ground.migrate("config", "redb:new.redb", &[]).await;
    assert_eq!((said.code, &counts["new"]), (Some(0), &json!(1)), "{said:?}");
    let moved = RedbStore::open(ground.path("new.redb")).unwrap();
    assert!(moved.get(&bucket("photos")).await.unwrap().is_some());
    drop(moved);
    let (said, counts) = ground.migrate("redb:new.redb", "config", &[]).await;
    assert_eq!((said.code, &counts["unchanged"]), (Some(0), &json!(1)), "{said:?}");
}
