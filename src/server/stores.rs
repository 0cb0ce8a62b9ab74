//! Opens the place that policies and owners are kept in: whichever it is, the same three things come of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::ServeError;
use crate::admin::health::Check;
use crate::config::settings::{StoreSettings, StoreUrl};
use crate::s3::address::BucketName;
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
    fn new(
        policies: Arc<dyn PolicyStore>,
        registry: Arc<dyn OwnerRegistry>,
        check: Check,
        staleness: Staleness,
    ) -> Self {
        let freeze = Freeze::default();
        Self {
            policies: Arc::new(Freezable::new(policies, freeze.clone())),
            registry: Arc::new(Freezable::new(registry, freeze.clone())),
            check,
            freeze,
            staleness,
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
            let registry = Arc::new(store.registry());
            let policies = Arc::new(store.clone());
            let check = check(move || {
                let store = store.clone();
                async move { store.check().await }
            });
            // What is kept in a file of this machine's is what is in force.
            Ok(Stores::new(policies, registry, check, Box::new(|| Duration::ZERO)))
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
            let registry = Arc::new(store.registry());
            let policies = Arc::new(store.clone());
            let aging = store.clone();
            let check = check(move || {
                let store = store.clone();
                async move { store.check().await }
            });
            Ok(Stores::new(policies, registry, check, Box::new(move || aging.staleness())))
        }
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
