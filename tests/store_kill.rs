//! `kill -9` at any instant loses no acknowledged change.
//!
//! The test starts itself as a second process, which changes policies as fast as it can and says on its standard output
//! what has been acknowledged. It is killed after a random number of lines, wherever it then is, and what it said is
//! held against the file it leaves.

#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(all(feature = "proxy", unix))]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use portcullis::policy::Policy;
use portcullis::s3::address::BucketName;
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::store::redb::OpenError;
use portcullis::store::{Change, PolicyStore, RedbStore, StoreError};

/// Set for the second process: the store's file.
const FILE: &str = "PORTCULLIS_STORE_KILL_FILE";
/// Set for the second process: the first number it gives to a change.
const FIRST: &str = "PORTCULLIS_STORE_KILL_FIRST";
const ROUNDS: u64 = 25;
/// Every how many changes one is a deletion: the last of each.
const PERIOD: u64 = 7;
const BUCKETS: [&str; 3] = ["photos", "photos.2", "videos"];

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

/// What change `n` puts in force for `name`: nothing, for the last of each [`PERIOD`]. From some hundred bytes to some ten thousand.
fn document(name: &str, n: u64) -> Option<Bytes> {
    let statements: Vec<String> = (0..=n % 50)
        .map(|i| {
            format!(
                r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{name}/{n}/{i}/*"}}"#
            )
        })
        .collect();
    let statements = statements.join(",");
    (n % PERIOD != PERIOD - 1)
        .then(|| format!(r#"{{"Version":"2012-10-17","Id":"{n}","Statement":[{statements}]}}"#).into())
}

fn change(n: u64) -> Change {
    Change { at: SystemTime::UNIX_EPOCH + Duration::from_secs(n), by: "root".to_owned(), request_id: n.to_string() }
}

async fn make(store: &RedbStore, name: &str, n: u64) -> Result<(), StoreError> {
    match document(name, n) {
        Some(document) => {
            let policy = Policy::parse(&document, name).unwrap().policy;
            store.put(&bucket(name), document, Arc::new(policy), change(n)).await.map(|_| ())
        }
        None => store.delete(&bucket(name), change(n)).await.map(|_| ()),
    }
}

/// What change `n` makes of a public access block: none, for the last of each [`PERIOD`]. It differs from that of the
/// change before and of the one after.
fn block(n: u64) -> Option<PublicAccessBlock> {
    (n % PERIOD != PERIOD - 1).then_some(PublicAccessBlock {
        block_public_acls: n & 1 != 0,
        ignore_public_acls: n & 2 != 0,
        block_public_policy: n & 4 != 0,
        restrict_public_buckets: n & 8 != 0,
    })
}

async fn make_block(store: &RedbStore, name: &str, n: u64) -> Result<(), StoreError> {
    match block(n) {
        Some(block) => store.put_public_access_block(&bucket(name), block, change(n)).await,
        None => store.delete_public_access_block(&bucket(name), change(n)).await.map(|_| ()),
    }
}

/// The second process. In a plain test run there is nothing for it to do.
#[tokio::test]
async fn in_the_second_process_changes_are_made_until_the_kill() {
    let (Ok(file), Ok(first)) = (std::env::var(FILE), std::env::var(FIRST)) else { return };
    let first: u64 = first.parse().unwrap();
    let store = RedbStore::open(file).unwrap();
    // One write a line, so that lines do not mix. It starts a new one: the test harness leaves its own open.
    let say = |what: &str, name, n| {
        std::io::stdout().write_all(format!("\nacknowledged {what} {name} {n}\n").as_bytes()).unwrap();
    };
    let policies = BUCKETS.map(|name| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in first.. {
                make(&store, name, n).await.unwrap();
                say("policy", name, n);
            }
        })
    });
    let blocks = BUCKETS.map(|name| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in first.. {
                make_block(&store, name, n).await.unwrap();
                say("block", name, n);
            }
        })
    });
    // Whatever happens to the first process, this one does not outlive it for long.
    let _ = tokio::time::timeout(Duration::from_secs(60), async {
        for writer in policies.into_iter().chain(blocks) {
            writer.await.unwrap();
        }
    })
    .await;
}

fn start(file: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_the_second_process_changes_are_made_until_the_kill", "--nocapture"])
        .env(FILE, file)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// In half of the rounds there is no file yet, and its making is cut short; in the others, its opening.
#[tokio::test]
async fn a_kill_while_the_file_is_made_or_opened_leaves_one_that_opens() {
    for round in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policies.redb");
        if round % 2 == 1 {
            make(&RedbStore::open(&path).unwrap(), "photos", 0).await.unwrap();
        }
        let mut child = start(&path, PERIOD);
        // The test harness says that it starts the test; shortly after, the file is made.
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        output.read_line(&mut String::new()).unwrap();
        for _ in 0..getrandom::u32().unwrap() % 1_000_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let store = RedbStore::open(&path).unwrap_or_else(|e| panic!("round {round}: {e}"));
        // The process may have got as far as changing it.
        let history = store.history(&bucket("photos")).await.unwrap();
        assert!(!history.is_empty() || round % 2 == 0, "round {round}: what was there is gone");
        let expected = history.first().and_then(|newest| newest.document.clone());
        let found = store.get(&bucket("photos")).await.unwrap().map(|record| record.document.clone());
        assert_eq!(found, expected, "round {round}");
    }
}

#[tokio::test]
async fn a_kill_at_any_instant_loses_no_acknowledged_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policies.redb");
    let mut acknowledged: HashMap<&str, u64> = HashMap::new();
    let mut acknowledged_blocks: HashMap<&str, u64> = HashMap::new();
    let mut first = 0u64;
    for round in 0..ROUNDS {
        let mut child = start(&path, first);
        let lines_before_kill = 1 + getrandom::u32().unwrap() % 80;
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut seen = 0;
        let mut killed = false;
        // Up to the end of the output: what was said before the kill took effect counts too.
        for line in output.lines() {
            let line = line.unwrap();
            let Some(said) = line.strip_prefix("acknowledged ") else { continue };
            let [what, name, n] = said.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let name = *BUCKETS.iter().find(|bucket| **bucket == name).unwrap();
            let told = if what == "policy" { &mut acknowledged } else { &mut acknowledged_blocks };
            told.insert(name, n.parse().unwrap());
            seen += 1;
            if seen == 1 {
                let error = RedbStore::open(&path).expect_err("the other process has it open");
                assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
            }
            if seen >= lines_before_kill && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "round {round}: the second process ended by itself after {seen} lines");

        let store = RedbStore::open(&path).unwrap_or_else(|e| panic!("round {round}: {e}"));
        for name in BUCKETS {
            // The newest change in the file: the last acknowledged, or the one whose acknowledgement was cut off.
            let history = store.history(&bucket(name)).await.unwrap();
            let newest = history.first().map(|revision| revision.change.request_id.parse::<u64>().unwrap());
            let last = acknowledged.get(name).copied();
            let next = last.filter(|last| *last >= first).map_or(first, |last| last + 1);
            assert!(
                newest >= last && newest.is_none_or(|newest| Some(newest) == last || newest == next),
                "round {round}, {name}: {newest:?} is stored, {last:?} was acknowledged"
            );
            let expected = newest.and_then(|newest| document(name, newest));
            let found = store.get(&bucket(name)).await.unwrap();
            assert_eq!(found.as_ref().map(|record| &record.document), expected.as_ref(), "round {round}, {name}");
            for revision in history {
                let n = revision.change.request_id.parse().unwrap();
                assert_eq!(revision.document, document(name, n), "round {round}, {name}, change {n}");
            }
            acknowledged.extend(newest.map(|newest| (name, newest)));

            // The block does not tell its number, but it is not that of the change before or after.
            let last = acknowledged_blocks.get(name).copied();
            let next = last.filter(|last| *last >= first).map_or(first, |last| last + 1);
            let found = store.in_force(&bucket(name)).await.unwrap().public_access_block;
            if found != last.and_then(block) {
                assert_eq!(found, block(next), "round {round}, {name}: {last:?} was acknowledged");
                acknowledged_blocks.insert(name, next);
            }
        }
        // The next process starts past every number used, and with a put: a deletion of what is not there is no change.
        first = acknowledged
            .values()
            .chain(acknowledged_blocks.values())
            .max()
            .map_or(0, |newest| (newest + 1).next_multiple_of(PERIOD));
    }
    assert!(first > 0 && !acknowledged_blocks.is_empty(), "nothing was ever acknowledged");
}
