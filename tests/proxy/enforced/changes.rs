//! Policies that change under load: each request is decided by one of them, and by none that is older than the last
//! change its sender could know of.
//!
//! Policy `n` can be told from every other by what it grants:
//! - `get/n`: its number;
//! - of each pair `bit/i/0` and `bit/i/1` one, after the digits of its number and of a checksum of it, so that a batch
//!   delete that asks for all of them answers with the number, and two policies together make none;
//! - copies from `from/p` to `to/p`, where `p` is whether it is odd: never from one side to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::PassThrough;
use portcullis::store::redb::RedbStore;
use tokio::sync::watch;
use tokio::time::interval;

use super::recorder::Recorder;
use super::{enforcing, put_policy, with_credentials};
use crate::support::{Options, Proxy, Wire, first_line};

const CHANGES: u64 = 200;
const PACE: Duration = Duration::from_millis(10);
/// The digits of a number, and as many of its checksum.
const DIGITS: u64 = 10;

/// Its number, and a checksum in which the digits of neighbours differ in about half of their places.
fn code(n: u64) -> u64 {
    let check = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % (1 << DIGITS);
    (check << DIGITS) | n
}

fn bit(n: u64, place: u64) -> u64 {
    (code(n) >> place) & 1
}

fn policy(n: u64) -> String {
    let arn = |key: String| format!("\"arn:aws:s3:::photos/{key}\"");
    let bits: Vec<String> = (0..2 * DIGITS).map(|place| arn(format!("bit/{place}/{}", bit(n, place)))).collect();
    let odd = n % 2;
    format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":[{},{}]}},
            {{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":{}}},
            {{"Effect":"Allow","Principal":"*","Action":"s3:DeleteObject","Resource":[{}]}}]}}"#,
        arn(format!("get/{n}")),
        arn(format!("from/{odd}")),
        arn(format!("to/{odd}")),
        bits.join(",")
    )
}

/// What a client needs to judge an answer: changes that were begun, and those that were acknowledged.
#[derive(Default)]
struct Clock {
    begun: AtomicU64,
    acknowledged: AtomicU64,
}

impl Clock {
    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }
}

/// Requests made, and those that were granted.
#[derive(Default)]
struct Counts {
    gets: AtomicUsize,
    copies: AtomicUsize,
    deletes: AtomicUsize,
    granted: AtomicUsize,
    /// Those that met a change: nobody could tell before by which of two policies they would be decided.
    during_a_change: AtomicUsize,
}

async fn is_granted(client: &mut Wire, counts: &Counts, request: &str) -> bool {
    client.send(request).await;
    let (head, body) = client.answer().await;
    match first_line(&head) {
        "HTTP/1.1 200 OK" => {
            counts.granted.fetch_add(1, Ordering::Relaxed);
            true
        }
        "HTTP/1.1 403 Forbidden" => false,
        other => panic!("{other}: {body}"),
    }
}

fn get(n: u64) -> String {
    format!("GET /photos/get/{n} HTTP/1.1\r\nHost: s3.localhost\r\n\r\n")
}

fn copy(from: u64, to: u64) -> String {
    format!(
        "PUT /photos/to/{to} HTTP/1.1\r\nHost: s3.localhost\r\nx-amz-copy-source: photos/from/{from}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Asks for the objects of three policies: the last one, its predecessor and its successor.
async fn gets(address: std::net::SocketAddr, clock: Arc<Clock>, counts: Arc<Counts>, over: watch::Receiver<bool>) {
    let mut client = Wire::connect(address).await;
    let mut turn = 0;
    while !*over.borrow() {
        let before = clock.acknowledged();
        let asked = (before + turn % 3).saturating_sub(1);
        turn += 1;
        let granted = is_granted(&mut client, &counts, &get(asked)).await;
        let after = clock.begun();
        counts.gets.fetch_add(1, Ordering::Relaxed);
        if before == after {
            assert_eq!(granted, asked == before, "policy {before} was in force all the time, {asked} was asked for");
        } else {
            counts.during_a_change.fetch_add(1, Ordering::Relaxed);
            assert!(
                !granted || (before..=after).contains(&asked),
                "decided by {asked}, in force were {before} to {after}"
            );
        }
    }
}

/// Copies need two actions; those from one side to the other are granted by no policy, but by two of them together.
async fn copies(address: std::net::SocketAddr, clock: Arc<Clock>, counts: Arc<Counts>, over: watch::Receiver<bool>) {
    let mut client = Wire::connect(address).await;
    let mut turn = 0;
    while !*over.borrow() {
        let before = clock.acknowledged();
        let (from, to) = (turn % 2, turn / 2 % 2);
        turn += 1;
        let granted = is_granted(&mut client, &counts, &copy(from, to)).await;
        let after = clock.begun();
        counts.copies.fetch_add(1, Ordering::Relaxed);
        assert!(!granted || from == to, "decided by a mix of two between {before} and {after}");
        if before == after {
            assert_eq!(granted, from == to && from == before % 2, "policy {before} was in force all the time");
        } else {
            counts.during_a_change.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Asks to delete both of each pair. What is denied spells the number of the policy, in the digits that are not its own.
async fn deletes(address: std::net::SocketAddr, clock: Arc<Clock>, counts: Arc<Counts>, over: watch::Receiver<bool>) {
    let objects: String = (0..2 * DIGITS)
        .flat_map(|place| [0, 1].map(|value| format!("<Object><Key>bit/{place}/{value}</Key></Object>")))
        .collect();
    let body = format!("<Delete>{objects}</Delete>");
    let request =
        format!("POST /photos?delete HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut client = Wire::connect(address).await;
    while !*over.borrow() {
        let before = clock.acknowledged();
        client.send(&request).await;
        let (head, body) = client.answer().await;
        let after = clock.begun();
        assert_eq!(first_line(&head), "HTTP/1.1 200 OK", "{body}");
        counts.deletes.fetch_add(1, Ordering::Relaxed);
        counts.granted.fetch_add(1, Ordering::Relaxed);
        let denied =
            |place: u64, value: u64| body.contains(&format!("<Key>bit/{place}/{value}</Key><Code>AccessDenied"));
        let spelt = (0..2 * DIGITS).fold(0, |spelt, place| match (denied(place, 0), denied(place, 1)) {
            (true, false) => spelt | (1 << place),
            (false, true) => spelt,
            both => panic!("place {place} is decided by a mix: {both:?}"),
        });
        let n = spelt % (1 << DIGITS);
        assert_eq!(code(n), spelt, "decided by a mix of two between {before} and {after}");
        assert!((before..=after).contains(&n), "decided by {n}, in force were {before} to {after}");
        if before != after {
            counts.during_a_change.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Puts one policy after the other, and asks by each at once, on this connection and on another.
async fn write(address: std::net::SocketAddr, clock: &Clock, counts: &Counts) {
    let (mut client, mut other) = (Wire::connect(address).await, Wire::connect(address).await);
    let mut pace = interval(PACE);
    for n in 1..=CHANGES {
        pace.tick().await;
        clock.begun.store(n, Ordering::SeqCst);
        put_policy(&mut client, &policy(n)).await;
        clock.acknowledged.store(n, Ordering::SeqCst);
        for asker in [&mut client, &mut other] {
            for (asked, expected) in [(n, true), (n - 1, false), (n + 1, false)] {
                let granted = is_granted(asker, counts, &get(asked)).await;
                assert_eq!(granted, expected, "{asked} is asked for right after {n} was acknowledged");
                counts.gets.fetch_add(1, Ordering::Relaxed);
            }
            assert!(is_granted(asker, counts, &copy(n % 2, n % 2)).await, "after {n}");
            assert!(!is_granted(asker, counts, &copy(n % 2, 1 - n % 2)).await, "after {n}");
            counts.copies.fetch_add(2, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_decided_by_one_policy_that_is_not_too_old() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(RedbStore::open(directory.path().join("policies.redb")).unwrap());
    let recorder = Recorder::start().await;
    let layer = enforcing(PassThrough::Verified, store);
    let options = with_credentials(Options::default());
    let mut proxy = Proxy::start_policies(recorder.address(), options, layer).await;
    let address = proxy.address;
    put_policy(&mut Wire::connect(address).await, &policy(0)).await;

    let (clock, counts) = (Arc::new(Clock::default()), Arc::new(Counts::default()));
    let (end, over) = watch::channel(false);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..2 {
        clients.spawn(gets(address, Arc::clone(&clock), Arc::clone(&counts), over.clone()));
        clients.spawn(copies(address, Arc::clone(&clock), Arc::clone(&counts), over.clone()));
        clients.spawn(deletes(address, Arc::clone(&clock), Arc::clone(&counts), over.clone()));
    }
    write(address, &clock, &counts).await;
    end.send(true).unwrap();
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    proxy.stop();
    proxy.stopped().await;

    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let all = [&counts.gets, &counts.copies, &counts.deletes].map(count);
    println!("gets, copies, deletes: {all:?}; during a change: {}", count(&counts.during_a_change));
    let changes = usize::try_from(CHANGES).unwrap();
    assert!(all.iter().all(|count| *count > changes), "{all:?} in {changes} changes is no load");
    assert!(count(&counts.during_a_change) > 0, "no request met a change");
    let asked = recorder.end().await;
    assert_eq!(asked.len(), count(&counts.granted), "what was granted reached the store, and nothing else");
    assert!(asked.iter().all(|asked| asked.whole && asked.fault.is_none()));
}
