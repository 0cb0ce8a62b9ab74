//! Policies, public access blocks and owners in [etcd]: [`EtcdStore`], for several processes at once.
//!
//! All of it is mirrored in memory, where reads find it (`mirror`), and watched, so that what one process changes is in
//! force in all of them at once (`follow`). A change is one transaction on the condition that nobody else has made one
//! meanwhile (`write`, `change`). What is under which key is told in `keys`; a record carries its own check, so that a
//! damaged one costs its bucket alone (`store/record`).
//!
//! While etcd does not answer, reads go on from the mirror until it is older than `max_staleness`; changes fail at once.
//!
//! [etcd]: https://etcd.io

mod change;
mod connection;
mod follow;
mod keys;
mod mirror;
mod registry;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{GetOptions, SortOrder, SortTarget};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::change::Action;
use self::connection::Connection;
use self::keys::Keys;
use self::mirror::Mirror;
use self::write::Done;
use super::{
    BoxFuture, Change, Contents, InForce, PolicyRecord, PolicyStore, REVISIONS_KEPT, Revision, StoreError, record,
};
use crate::auth::identity::SecretKey;
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

pub use self::registry::EtcdRegistry;

/// How long the first reading is waited for.
const FIRST_READING: Duration = Duration::from_secs(5);

/// How long reading a history may take.
const HISTORY: Duration = Duration::from_secs(3);

/// Which etcd, and how to speak to it.
#[derive(Clone, Debug)]
pub struct EtcdStoreSettings {
    /// Its members: `HOST:PORT`, at least one.
    pub endpoints: Vec<String>,
    /// What all keys begin with.
    pub prefix: String,
    /// How the way there is secured; none for not at all.
    pub tls: Option<EtcdTls>,
    /// Who we are to it: name and password; none for nobody.
    pub user: Option<(String, SecretKey)>,
    /// How old what is known may be while it does not answer. Zero for asking etcd before each read.
    pub max_staleness: Duration,
}

/// How the way to etcd is secured. The files are read whenever connections are made anew.
#[derive(Clone, Debug, Default)]
pub struct EtcdTls {
    /// The authorities whose certificates are trusted; none for those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate that we show and its key, where we show one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// A [`PolicyStore`] in etcd.
///
/// Its futures need a tokio runtime. Clones are handles of the same store; when the last is dropped, its connections are
/// closed.
#[derive(Clone)]
pub struct EtcdStore {
    inner: Arc<Inner>,
    _following: Arc<Following>,
}

#[derive(Debug)]
struct Inner {
    settings: Arc<EtcdStoreSettings>,
    keys: Keys,
    connection: Connection,
    mirror: Mirror,
    writing: tokio::sync::Mutex<()>,
    /// Where the store was opened. Connections live there, whoever asks.
    runtime: Handle,
}

/// The task that keeps the mirror current, for as long as there is a handle of the store.
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl EtcdStore {
    /// Begins to follow what is in etcd, and waits some seconds for the first of it. Where etcd does not answer by then,
    /// the store answers [`StoreError::Unavailable`] until it does.
    pub async fn open(settings: EtcdStoreSettings) -> Self {
        let settings = Arc::new(settings);
        let keys = Keys::new(&settings.prefix);
        let inner = Arc::new(Inner {
            connection: Connection::new(Arc::clone(&settings)),
            mirror: Mirror::new(keys.clone(), settings.max_staleness),
            writing: tokio::sync::Mutex::default(),
            runtime: Handle::current(),
            keys,
            settings,
        });
        let following = tokio::spawn({
            let inner = Arc::clone(&inner);
            async move { follow::follow(&inner).await }
        });
        let store = Self { inner, _following: Arc::new(Following(following.abort_handle())) };
        store.mirror().reaches(0, Instant::now() + FIRST_READING).await;
        store
    }

    /// The owners' registry, in the same etcd.
    pub fn registry(&self) -> EtcdRegistry {
        EtcdRegistry::new(self.clone())
    }

    /// Whether what is known may be relied on: whether it is younger than `max_staleness`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.current().await.map(drop)
    }

    /// How long ago all that is known was last proven to be current; none before it was first read.
    pub fn age(&self) -> Option<Duration> {
        self.mirror().age()
    }

    fn mirror(&self) -> &Mirror {
        &self.inner.mirror
    }

    /// What is known, where it may be relied on.
    async fn current(&self) -> Result<&Mirror, StoreError> {
        if self.inner.settings.max_staleness.is_zero() {
            let inner = Arc::clone(&self.inner);
            self.ask(async move { follow::catch_up(&inner).await }).await?;
        } else {
            self.mirror().check()?;
        }
        Ok(self.mirror())
    }

    async fn write(&self, bucket: &BucketName, action: Action) -> Result<Done, StoreError> {
        let (inner, bucket) = (Arc::clone(&self.inner), bucket.clone());
        self.ask(async move { write::write(&inner, &bucket, &action).await }).await
    }

    /// Asks etcd, to the end also where the caller stops waiting: a change may hold the turn of others.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let broken_off =
            |error| Err(StoreError::Unavailable { reason: format!("asking etcd was broken off: {error}") });
        self.inner.runtime.spawn(question).await.unwrap_or_else(broken_off)
    }
}

impl Inner {
    async fn history(&self, bucket: &BucketName) -> Result<Vec<Revision>, StoreError> {
        let Self { connection, keys, .. } = self;
        let options = GetOptions::new().with_prefix().with_sort(SortTarget::Key, SortOrder::Ascend);
        let answer = connection.get(keys.history(bucket), Some(options), Instant::now() + HISTORY).await?;
        let mut history = Vec::new();
        for kv in answer.kvs() {
            let revision = record::read_numbered(bucket, kv.value()).map_err(|damage| StoreError::Unreadable {
                bucket: bucket.clone(),
                reason: format!("a past revision ({}): {damage}", String::from_utf8_lossy(kv.key())),
            })?;
            history.push(revision);
        }
        history.sort_unstable_by_key(|revision| std::cmp::Reverse(revision.revision));
        history.truncate(REVISIONS_KEPT);
        Ok(history)
    }
}

impl PolicyStore for EtcdStore {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        Box::pin(async move { self.current().await?.policy(bucket) })
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        Box::pin(async move { self.current().await?.in_force(bucket) })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.write(bucket, Action::Put { document, policy, change }).await?.revision) })
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.write(bucket, Action::Delete { change }).await?.existed) })
    }

    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        change: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.write(bucket, Action::SetBlock { block: Some(block), change }).await?;
            Ok(())
        })
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        change: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.write(bucket, Action::SetBlock { block: None, change }).await?.existed) })
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.write(bucket, Action::Purge).await?.existed) })
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async move {
            let (inner, bucket) = (Arc::clone(&self.inner), bucket.clone());
            self.ask(async move { inner.history(&bucket).await }).await
        })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(async move { Ok(self.current().await?.stored(after, limit)) })
    }

    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        Box::pin(async move {
            // What nobody compiled must not come into force.
            contents.in_force()?;
            let has_revisions = !contents.revisions.is_empty();
            let done = self.write(bucket, Action::Restore(contents)).await?;
            Ok(has_revisions.then_some(done.revision))
        })
    }
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore").field("keys", &self.inner.keys).finish_non_exhaustive()
    }
}
