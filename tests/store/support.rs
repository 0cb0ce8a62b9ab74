//! What is put into stores, and told apart when it comes back.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use portcullis::policy::Policy;
use portcullis::s3::address::BucketName;
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::store::{Change, InForce, OwnerRegistry, PastRevision, PolicyStore};

/// Nothing here takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store, and the registry kept in the same place.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) policies: Arc<dyn PolicyStore>,
    pub(crate) registry: Arc<dyn OwnerRegistry>,
}

pub(crate) fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

/// Waits until `reached` says so; not forever.
pub(crate) async fn eventually(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached().await {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A policy for `name`, told apart from others by `n`; with white space that a store has no business with.
pub(crate) fn document(name: &str, n: u64) -> Bytes {
    let statement = format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{name}/{n}/*"}}"#
    );
    Bytes::from(format!("{{\"Version\": \"2012-10-17\",\r\n\t\"Id\":\"{n}\",\n \"Statement\":[{statement}]}}\n\n"))
}

pub(crate) fn compiled(name: &str, n: u64) -> Arc<Policy> {
    Arc::new(Policy::parse(&document(name, n), name).unwrap().policy)
}

pub(crate) fn change(n: u64) -> Change {
    Change {
        at: SystemTime::UNIX_EPOCH + Duration::new(1_764_000_000 + n, 123_456_789),
        by: format!("arn:aws:iam::111122223333:user/ünï-{n}"),
        request_id: format!("4442587FB7D0{n:04}"),
    }
}

pub(crate) async fn put(store: &dyn PolicyStore, name: &str, n: u64) -> u64 {
    store.put(&bucket(name), document(name, n), compiled(name, n), change(n)).await.unwrap()
}

/// One of the sixteen public access blocks there are.
pub(crate) fn block(n: u64) -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: n & 1 != 0,
        ignore_public_acls: n & 2 != 0,
        block_public_policy: n & 4 != 0,
        restrict_public_buckets: n & 8 != 0,
    }
}

pub(crate) async fn put_block(store: &dyn PolicyStore, name: &str, n: u64) {
    store.put_public_access_block(&bucket(name), block(n), change(n)).await.unwrap();
}

/// The document of the policy in force and the public access block.
pub(crate) async fn in_force(store: &dyn PolicyStore, name: &str) -> (Option<Bytes>, Option<PublicAccessBlock>) {
    let InForce { policy, public_access_block } = store.in_force(&bucket(name)).await.unwrap();
    (policy.map(|record| record.document.clone()), public_access_block)
}

pub(crate) fn past(name: &str, n: u64) -> PastRevision {
    PastRevision { document: Some(document(name, n)), change: change(n) }
}
