//! The store in a file.

use std::path::Path;
use std::sync::Arc;

use portcullis::store::RedbStore;

use crate::support::Opened;
use crate::{again, conformance};

fn open(path: &Path) -> Opened {
    let store = RedbStore::open(path).unwrap();
    Opened { registry: Arc::new(store.registry()), policies: Arc::new(store) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_a_file_conforms() {
    let directory = tempfile::tempdir().unwrap();
    conformance(open(&directory.path().join("policies.redb"))).await;
}

#[tokio::test]
async fn all_is_there_again_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policies.redb");
    again::conformance(async || open(&path)).await;
}
