//! The store in etcd.

use std::sync::Arc;

use portcullis::store::EtcdStore;

use crate::peers::etcd::Etcd;
use crate::support::Opened;
use crate::{again, conformance, replicas};

fn opened(store: EtcdStore) -> Opened {
    Opened { registry: Arc::new(store.registry()), policies: Arc::new(store) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_etcd_conforms() {
    let etcd = Etcd::start();
    conformance(opened(etcd.open("one").await)).await;
    replicas::conformance(async || opened(etcd.open("two/three").await)).await;
    // Nothing of the others is in it.
    again::conformance(async || opened(etcd.open("two").await)).await;
}
