//! What `policy migrate` moves, and what it does not.

use std::fs;

use serde_json::{Value, json};

use crate::ground::{Ground, Writer, object, policy};

const LIVE: [&str; 3] = ["live-a", "live-b", "live-c"];
const BLOCK: &str =
    r#"{"BlockPublicAcls":true,"IgnorePublicAcls":false,"BlockPublicPolicy":true,"RestrictPublicBuckets":true}"#;

/// From one file to the object store behind, with three clients that never cease to change policies.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_while_it_is_moved() {
    let still = ["photos", "videos", "notes", "empty"];
    let ground = Ground::new(&[&still[..], &LIVE].concat());
    let old = ground.serve("redb:old.redb").await;
    for n in 0..25 {
        old.put("photos", n).await;
    }
    old.put("videos", 1).await;
    assert_eq!(old.call("PUT", "/v1/buckets/videos/public-access-block", BLOCK).await.0, 200);
    old.put("notes", 1).await;
    assert_eq!(old.call("DELETE", "/v1/buckets/notes/policy", "").await.0, 200);

    let writers: Vec<_> = LIVE.map(|bucket| Writer::start(&old, bucket)).into();
    for writer in &writers {
        writer.has_written(5).await;
    }
    let url = old.url();
    let (said, counts) = ground.migrate(&url, "s3://policies/prod", &["--freeze", &url]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((&counts["buckets"], &counts["frozen"]), (&json!(6), &json!([url])), "{counts}");

    let mut acknowledged = Vec::new();
    for writer in writers {
        let bucket = writer.bucket;
        let (last, status) = writer.ended().await;
        assert_eq!(status, 503, "{bucket}: refused, not lost");
        acknowledged.push((bucket, last));
    }
    let kept = old.kept().await;
    assert_eq!(old.call("PUT", "/v1/buckets/videos/public-access-block", BLOCK).await.0, 503);
    assert_eq!(old.call("GET", "/v1/buckets/videos/policy", "").await.0, 200, "reading goes on");

    let new = ground.serve("s3://policies/prod").await;
    assert_eq!(new.kept().await, kept);
    for (bucket, last) in acknowledged {
        let (_, document) = new.call("GET", &format!("/v1/buckets/{bucket}/policy"), "").await;
        assert_eq!(document, policy(bucket, last), "{bucket}");
    }
    new.put("photos", 99).await;

    // What nobody switched to can be given up: thawed, it goes on.
    let thawed = ground.policy(&["thaw", "--admin", &url, "--token-file", "token"]).await;
    assert_eq!(thawed.code, Some(0), "{thawed:?}");
    old.put("videos", 2).await;
    old.stop().await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_can_be_repeated_and_only_replaces_where_it_is_told_to() {
    let ground = Ground::new(&["photos", "videos", "notes"]);
    let old = ground.serve("redb:old.redb").await;
    old.put("photos", 1).await;
    old.put("videos", 1).await;
    let locked = ground.policy(&["migrate", "--from", "redb:old.redb", "--to", "redb:new.redb"]).await;
    assert_eq!(locked.code, Some(1), "the server has it open: {locked:?}");
    let kept = old.kept().await;
    old.stop().await;

    let first = |new: u64, replaced: u64, removed: u64, unchanged: u64| {
        let buckets = new + replaced + unchanged;
        json!({"buckets": buckets, "new": new, "replaced": replaced, "removed": removed, "unchanged": unchanged,
               "different": [], "unreadable": [], "frozen": []})
    };
    let there = "s3://policies/prod";
    assert_eq!(ground.migrate("redb:old.redb", there, &[]).await.1, first(2, 0, 0, 0));
    assert_eq!(ground.migrate("redb:old.redb", there, &[]).await.1, first(0, 0, 0, 2));
    // And back, and on to another.
    assert_eq!(ground.migrate(there, "redb:back.redb", &[]).await.1, first(2, 0, 0, 0));
    assert_eq!(ground.migrate(there, "s3://policies/other", &[]).await.1, first(2, 0, 0, 0));
    // The configuration on the disk does not say where, so it is the default.
    assert_eq!(ground.migrate("redb:portcullis.redb", "redb:again.redb", &[]).await.1, first(0, 0, 0, 0));
    assert_eq!(ground.migrate(there, "config", &[]).await.1, first(2, 0, 0, 0));
    assert_eq!(ground.migrate("redb:portcullis.redb", there, &[]).await.1, first(0, 0, 0, 2));

    let new = ground.serve(there).await;
    assert_eq!(new.kept().await, kept);
    new.put("photos", 7).await;
    new.put("notes", 7).await;
    new.stop().await;
    let (said, counts) = ground.migrate("redb:old.redb", there, &[]).await;
    assert_eq!((said.code, &counts["different"]), (Some(1), &json!(["photos", "notes"])), "{said:?}");
    assert!(said.err.contains("photos") && said.err.contains("--replace"), "{said:?}");
    assert_eq!(ground.migrate("redb:old.redb", there, &["--replace"]).await.1, first(0, 1, 1, 1));
    let back = ground.serve("redb:back.redb").await;
    assert_eq!(back.kept().await, kept);
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_read_is_named_and_not_passed_over() {
    let ground = Ground::new(&["photos", "videos"]);
    let old = ground.serve("s3://policies/prod").await;
    old.put("photos", 1).await;
    old.put("videos", 1).await;
    let url = old.url();
    let record = object(&ground, "policies/prod/buckets/photos");
    let content = fs::read(&record).unwrap();
    fs::write(&record, &content[..content.len() - 1]).unwrap();
    // Asked of the object store and of the server, neither of which freezes for it.
    for from in ["s3://policies/prod", &url] {
        let (said, counts) = ground.migrate(from, "redb:new.redb", &["--freeze", &url]).await;
        assert_eq!((said.code, &counts["unreadable"]), (Some(1), &json!(["photos"])), "{from}: {said:?}");
        assert!(said.err.contains("photos"), "{said:?}");
        assert_eq!(counts["frozen"], json!([]));
    }
    let (_, freeze) = old.call("GET", "/v1/freeze", "").await;
    assert_eq!(serde_json::from_str::<Value>(&freeze).unwrap()["frozen"], Value::Null);
    old.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_command_line_that_makes_no_sense_moves_nothing() {
    let ground = Ground::new(&["photos"]);
    for (from, to, word) in [
        ("redb:a.redb", "redb:a.redb", "same"),
        ("redb:a.redb", "http://127.0.0.1:9001", "place for policies"),
        ("sqlite:a", "redb:b.redb", "place for policies"),
        ("redb:a.redb", "s3://policies/a//b", "prefix"),
    ] {
        let (said, _) = ground.migrate(from, to, &[]).await;
        assert_eq!(said.code, Some(2), "{from} {to}: {said:?}");
        assert!(said.err.contains(word), "{from} {to}: {said:?}");
    }
}
