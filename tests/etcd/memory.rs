//! What a replica keeps in memory of policies that nobody asks for.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use portcullis::policy::Policy;
use portcullis::store::{EtcdStore, PolicyStore};

use crate::server::Etcd;
use crate::support::{bucket, change, document};

/// As long as a document may be, white space most of it.
const LENGTH: usize = 60_000;

/// More of them than are kept compiled.
const BUCKETS: u64 = 320;

/// What docs/stores.md promises.
const COMPILED: usize = 16 * 1024 * 1024;

fn name(n: u64) -> String {
    format!("bucket-{n}")
}

fn long(n: u64) -> Bytes {
    let mut document = document(&name(n), n).to_vec();
    document.resize(LENGTH, b' ');
    document.into()
}

/// The policy of the bucket, which is what was put there.
async fn policy(store: &EtcdStore, n: u64) -> Weak<Policy> {
    let record = store.get(&bucket(&name(n))).await.unwrap().unwrap();
    assert!(record.document == long(n), "{n}");
    Arc::downgrade(&record.policy)
}

fn are_bounded(policies: &[Weak<Policy>]) {
    let kept: Vec<_> = policies.iter().map(|policy| policy.upgrade().is_some()).collect();
    let count = kept.iter().filter(|kept| **kept).count();
    assert!(count * LENGTH <= COMPILED, "{count} are compiled");
    assert_eq!(kept.last(), Some(&true), "the last one asked for is");
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_policies_are_bounded_and_compiled_again_when_they_are_asked_for() {
    let etcd = Etcd::start();
    let (here, there) = (etcd.open("memory").await, etcd.open("memory").await);
    // Where they are put they come compiled.
    let mut policies = Vec::new();
    for n in 0..BUCKETS {
        let policy = Arc::new(Policy::parse(&long(n), &name(n)).unwrap().policy);
        policies.push(Arc::downgrade(&policy));
        here.put(&bucket(&name(n)), long(n), policy, change(n)).await.unwrap();
    }
    are_bounded(&policies);
    // Where they are watched they are compiled for whoever asks first.
    let late = etcd.open("memory").await;
    for store in [&there, &late, &here] {
        let mut policies = Vec::new();
        for n in 0..BUCKETS {
            let first = policy(store, n).await;
            assert!(first.ptr_eq(&policy(store, n).await), "{n} is compiled once");
            policies.push(first);
        }
        are_bounded(&policies);
        assert!(policies[0].upgrade().is_none());
        assert!(policy(store, 0).await.upgrade().is_some(), "and again when it is asked for");
    }
}
