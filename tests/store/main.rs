//! What every policy store and every owners' registry must do, run against each implementation.
//!
//! - `policies`, `at_once` and `registry`: what holds of one store, in any place. [`conformance`] is all of it.
//! - `again`: what holds of a store that is opened a second time. For whatever outlives the process.
//! - `replicas`: what holds of two stores in one place. For whatever several processes share.
//! - `redb`: the store in a file.
//! - `s3`: the store in objects: in the embedded object store, in Garage and in moto (`peers`).
//! - `etcd`: the store in etcd, a real one.
//!
//! Each is given the place as a function that opens it. The kill test has a file of its own, `store_kill.rs`: it starts
//! itself as a second process.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

#[cfg(feature = "proxy")]
mod again;
mod at_once;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "proxy")]
#[allow(dead_code, clippy::panic, reason = "the end-to-end tests' own, of which not all is needed here")]
mod peers;
mod policies;
#[cfg(feature = "proxy")]
mod redb;
mod registry;
mod replicas;
#[cfg(feature = "proxy")]
mod s3;
mod support;

use std::sync::Arc;

use portcullis::store::{MemoryRegistry, MemoryStore};

use support::Opened;

async fn conformance(opened: Opened) {
    conformance_in(opened, 100).await;
}

/// All of it, where so many rounds of what happens at once are enough: over a network each takes its time.
async fn conformance_in(Opened { policies: store, registry }: Opened, rounds: u64) {
    registry::conformance(&*registry).await;
    policies::a_policy_comes_back_as_it_was_put(&*store).await;
    policies::buckets_do_not_mix(&*store).await;
    policies::a_deletion_is_a_revision_without_document(&*store).await;
    policies::the_history_is_bounded(&*store).await;
    policies::a_purged_bucket_starts_clean(&*store).await;
    policies::a_public_access_block_comes_back_as_it_was_put(&*store).await;
    policies::a_policy_and_a_block_leave_each_other_alone(&*store).await;
    policies::a_purge_takes_the_block_away(&*store).await;
    policies::what_is_stored_is_listed_page_by_page(&*store).await;
    policies::what_is_restored_takes_the_place_of_all(&*store).await;
    policies::what_nobody_compiled_is_not_restored(&*store).await;
    at_once::a_restored_bucket_is_never_seen_without_a_policy(&store, rounds).await;
    at_once::policy_and_block_are_read_as_of_one_moment(&store, 3 * rounds).await;
    at_once::writers_and_readers_at_once(&store, 2 * rounds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_conforms() {
    let opened = Opened { policies: Arc::new(MemoryStore::new()), registry: Arc::new(MemoryRegistry::new()) };
    conformance(opened.clone()).await;
    replicas::conformance(async || opened.clone()).await;
}
