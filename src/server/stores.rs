//! Opens the place that policies and owners are kept in: whichever it is, the same three things come of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::ServeError;
use crate::admin::health::Check;
use crate::config::settings::{StoreSettings, StoreUrl};
use crate::store::redb::RedbStore;
use crate::store::{OwnerRegistry, PolicyStore, StoreError};

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
}

/// Opens the store that `settings` name.
pub(super) async fn open(settings: &StoreSettings) -> Result<Stores, ServeError> {
    match &settings.url {
        StoreUrl::Redb(path) => {
            let store = RedbStore::open(path).map_err(ServeError::Store)?;
            let registry = Arc::new(store.registry());
            let policies = Arc::new(store.clone());
            let check = check(move || {
                let store = store.clone();
                async move { store.check().await }
            });
            Ok(Stores { policies, registry, check })
        }
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
