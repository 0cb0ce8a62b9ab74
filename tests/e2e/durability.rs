//! What was acknowledged is there, with many writers and after a kill.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::script::{check, command};
use crate::support::{Auth, Backend, Stack, cache};

#[test]
fn two_hundred_concurrent_writers_leave_one_of_their_policies() {
    check("writers", &Stack::start(Backend::Embedded, Auth::Preserve));
}

/// Five rounds: four writers, a kill in the middle of their work, a restart on the same file.
#[test]
fn kill_9_loses_no_acknowledged_policy() {
    const BUCKETS: &str = "kill-a kill-b kill-c kill-d";
    let mut stack = Stack::start(Backend::Embedded, Auth::Preserve);
    cache::must_run(command("in_force", &stack).env("BUCKETS", BUCKETS).env("CREATE", "yes"), "creating buckets");

    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..5_u64 {
        let first = round * 1_000_000;
        let mut writers = command("keep_writing", &stack)
            .env("BUCKETS", BUCKETS)
            .env("FIRST", first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The kill falls at another count each round, while the other writers' requests are in flight.
        let kill_after = 40 + round * 17;
        let mut lines = 0;
        for line in BufReader::new(writers.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let (bucket, number) = line.split_once(' ').unwrap();
            let number = number.parse().unwrap_or_else(|_| panic!("round {round}: {line}"));
            acknowledged.insert(bucket.to_owned(), number);
            lines += 1;
            if lines == kill_after {
                stack.proxy.server.kill();
            }
        }
        assert!(writers.wait().unwrap().success(), "round {round}: the writers failed");
        assert!(lines >= kill_after, "round {round}: the writers stopped after {lines} policies");

        stack.proxy.restart();
        let found = cache::must_run(command("in_force", &stack).env("BUCKETS", BUCKETS), "reading after the restart");
        for (bucket, last) in &acknowledged {
            let (_, number) =
                found.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| name == bucket).unwrap();
            let number: u64 = number.parse().unwrap();
            // The one after the last acknowledged may have been stored, its answer lost in the kill.
            let sent_next = number == last + 1 || number == first;
            assert!(number == *last || sent_next, "round {round}: {bucket} has {number}, but {last} was acknowledged");
        }
    }
}
