//! Opens the place that policies and owners are kept in: whichever it is, the same three things come of it.

use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "etcd")]
use std::time::Instant;

use tokio::time::timeout;

use super::ServeError;
use crate::admin::health::Check;
use crate::config::settings::{StoreSettings, StoreUrl};
use crate::s3::address::BucketName;
#[cfg(feature = "etcd")]
use crate::store::etcd::{EtcdStore, EtcdStoreSettings, EtcdTls};
use crate::store::freeze::{Freezable, Freeze};
use crate::store::redb::RedbStore;
use crate::store::s3::{S3Store, S3StoreSettings};
use crate::store::{OwnerRegistry, PolicyStore, StoreError};
use crate::upstream::{BucketObjects, ControlSettings};

/// How long a question about policies may take: a request waits for the answer, and a change for several of them.
const OBJECTS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a probe waits for the place that the policies are kept in.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// An open store.
pub(super) struct Stores {
    /// Policies and public access blocks.
    pub(super) policies: Arc<dyn PolicyStore>,
    /// The owners of the buckets that were made through us.
    pub(super) registry: Arc<dyn OwnerRegistry>,
    /// Whether it can be relied on now.
    pub(super) check: Check,
    /// Holds both still.
    pub(super) freeze: Freeze,
    /// For how long it has not confirmed what is in force here; zero while it does.
    pub(super) staleness: Staleness,
}

impl Stores {
    /// An open store with its registry; `ask` checks it, and `age` tells how old what it knows is.
    fn new<S, F>(
        store: S,
        registry: impl OwnerRegistry,
        ask: impl Fn(S) -> F + Send + Sync + 'static,
        age: impl Fn(&S) -> Duration + Send + Sync + 'static,
    ) -> Self
    where
        S: PolicyStore + Clone,
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (freeze, asked, aging) = (Freeze::default(), store.clone(), store.clone());
        let (policies, registry): (Arc<dyn PolicyStore>, Arc<dyn OwnerRegistry>) =
            (Arc::new(store), Arc::new(registry));
        Self {
            policies: Arc::new(Freezable::new(policies, freeze.clone())),
            registry: Arc::new(Freezable::new(registry, freeze.clone())),
            check: check(move || ask(asked.clone())),
            freeze,
            staleness: Box::new(move || age(&aging)),
        }
    }
}

/// Tells how old what is in force may be.
pub(super) type Staleness = Box<dyn Fn() -> Duration + Send + Sync>;

/// Opens the store that `settings` name. `upstream` is the object store that we stand before, for those that are kept in
/// it; one that `is_embedded` gets the bucket for them made.
pub(super) async fn open(
    settings: &StoreSettings,
    upstream: &ControlSettings,
    is_embedded: bool,
) -> Result<Stores, ServeError> {
    match &settings.url {
        StoreUrl::Redb(path) => {
            let store = RedbStore::open(path).map_err(ServeError::Store)?;
            // What is kept in a file of this machine's is what is in force.
            let age = |_: &RedbStore| Duration::ZERO;
            Ok(Stores::new(store.clone(), store.registry(), |store| async move { store.check().await }, age))
        }
        StoreUrl::S3 { bucket, prefix } => {
            let asked = ControlSettings { timeout: OBJECTS_TIMEOUT, ..upstream.clone() };
            let objects = BucketObjects::new(asked, bucket.clone()).map_err(ServeError::Tls)?;
            if is_embedded {
                objects.make().await.map_err(ServeError::Objects)?;
            }
            let store = S3Store::new(
                Arc::new(objects),
                S3StoreSettings {
                    prefix: prefix.clone(),
                    refresh: settings.refresh,
                    max_staleness: settings.max_staleness,
                },
            );
            tokio::spawn(tell_of(store.clone(), bucket.clone()));
            let age = S3Store::staleness;
            Ok(Stores::new(store.clone(), store.registry(), |store| async move { store.check().await }, age))
        }
        #[cfg(feature = "etcd")]
        StoreUrl::Etcd(etcd) => {
            let store = EtcdStore::open(EtcdStoreSettings {
                endpoints: etcd.endpoints.clone(),
                prefix: etcd.prefix.clone(),
                tls: etcd.tls.as_ref().map(|tls| EtcdTls {
                    ca_file: tls.ca_file.clone(),
                    client: tls.client.as_ref().map(|files| (files.cert.clone(), files.key.clone())),
                }),
                user: etcd.user.clone(),
                max_staleness: settings.max_staleness,
            })
            .await;
            if let Err(error) = store.check().await {
                tracing::warn!(%error, "serving begins all the same, and answers 503 until the policies can be read");
            }
            let opened = Instant::now();
            let age = move |store: &EtcdStore| store.age().unwrap_or_else(|| opened.elapsed());
            Ok(Stores::new(store.clone(), store.registry(), |store| async move { store.check().await }, age))
        }
        // `config` says so before, and where.
        #[cfg(not(feature = "etcd"))]
        StoreUrl::Etcd(_) => Err(ServeError::NotBuilt { feature: "etcd" }),
    }
}

/// Finds out what the object store can do, and tells. It may be away: then it is asked again when it is needed.
async fn tell_of(store: S3Store, bucket: BucketName) {
    if let Err(error) = store.heeds_conditions().await {
        tracing::error!(%error, %bucket, "policies cannot be kept in this bucket for now: is it there, and may our key write to it?");
    }
}

/// A check that answers in time, whatever the store does.
fn check<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Check
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    Box::new(move || {
        let asked = ask();
        Box::pin(async move {
            match timeout(CHECK_TIMEOUT, asked).await {
                Ok(checked) => checked.map_err(|error| error.to_string()),
                Err(_) => Err(format!("the policy store did not answer in {CHECK_TIMEOUT:?}")),
            }
        })
    })
}
