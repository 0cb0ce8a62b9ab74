//! Which account owns a bucket? The configured sources in their order, behind a cache.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cache::OwnerCache;
use super::{AclOwners, BucketOwners, BucketProbe, FixedOwners, Ownership, OwnershipError, ProbeError, RegistryOwners};
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::{BoxFuture, OwnerRegistry};

/// How many buckets' owners are kept at most.
const CACHED_OWNERS: usize = 10_000;

/// A place that may know a bucket's owner.
#[derive(Clone, Debug)]
pub enum Source {
    /// `static`: the entries of the configuration.
    Fixed(FixedOwners),
    /// `registry`: whoever created the bucket through us.
    Registry(RegistryOwners),
    /// `upstream-acl`: the owner in the bucket's ACL.
    UpstreamAcl(AclOwners),
    /// `default`: one account for all buckets.
    Default(AccountId),
}

impl Source {
    async fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, OwnershipError> {
        match self {
            Self::Fixed(owners) => Ok(owners.owner(bucket).cloned()),
            Self::Registry(owners) => owners.owner(bucket).await,
            Self::UpstreamAcl(owners) => owners.owner(bucket).await,
            Self::Default(account) => Ok(Some(account.clone())),
        }
    }
}

/// [`BucketOwners`] by [`Source`]s: the first that knows the bucket names its owner.
///
/// A source that fails ends the lookup with its error. Passing it over would let a later source name another owner for
/// as long as the failure lasts.
pub struct OwnerResolver {
    probe: Arc<dyn BucketProbe>,
    sources: Vec<Source>,
    registry: Option<RegistryOwners>,
    cache: OwnerCache,
    /// The owners of listed buckets. Kept apart: one may have been deleted since the store wrote its list, and must then not
    /// count as there.
    listed: OwnerCache,
    probe_is_blind: bool,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl OwnerResolver {
    /// Asks `sources` in this order, of buckets that `probe` finds to be there, and keeps each owner for `ttl`.
    /// Creations and deletions are recorded in the registry among the sources.
    pub fn new(probe: Arc<dyn BucketProbe>, sources: Vec<Source>, ttl: Duration) -> Self {
        let registry = sources.iter().find_map(|source| match source {
            Source::Registry(registry) => Some(registry.clone()),
            Source::Fixed(_) | Source::UpstreamAcl(_) | Source::Default(_) => None,
        });
        let (cache, listed) = (OwnerCache::new(ttl, CACHED_OWNERS), OwnerCache::new(ttl, CACHED_OWNERS));
        Self { probe, sources, registry, cache, listed, probe_is_blind: false, clock: Box::new(Instant::now) }
    }

    /// Records creations and deletions in `registry` though it is not among the sources. Without this, a registry that
    /// is taken out of the sources and put back later would name the owners of buckets long deleted.
    #[must_use]
    pub fn with_record(mut self, registry: Arc<dyn OwnerRegistry>) -> Self {
        self.registry = Some(RegistryOwners::new(registry));
        self
    }

    /// Takes the store's word that it deleted a bucket. For a probe without credentials: to it, many stores answer `403`
    /// for any name, so it finds no bucket gone.
    #[must_use]
    pub fn with_blind_probe(mut self) -> Self {
        self.probe_is_blind = true;
        self
    }

    /// Takes the time from `clock`, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    async fn look_up(&self, bucket: &BucketName) -> Result<Ownership, OwnershipError> {
        // Existence comes first: an entry in the configuration or the registry does not make a bucket.
        if !self.head(bucket).await? {
            return Ok(Ownership::NoSuchBucket);
        }
        self.ask_sources(bucket).await
    }

    async fn ask_sources(&self, bucket: &BucketName) -> Result<Ownership, OwnershipError> {
        for source in &self.sources {
            if let Some(account) = source.owner(bucket).await? {
                return Ok(Ownership::Account(account));
            }
        }
        Ok(Ownership::Unknown)
    }

    fn invalidate(&self, bucket: &BucketName) {
        self.cache.invalidate(bucket);
        self.listed.invalidate(bucket);
    }

    async fn head(&self, bucket: &BucketName) -> Result<bool, OwnershipError> {
        self.probe.head(bucket).await.map_err(|e: ProbeError| OwnershipError {
            bucket: bucket.clone(),
            reason: format!("asking whether it exists: {e}"),
        })
    }
}

impl BucketOwners for OwnerResolver {
    fn owner<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        Box::pin(async move {
            let began = match self.cache.get(bucket, (self.clock)()) {
                Ok(account) => return Ok(Ownership::Account(account)),
                Err(generation) => generation,
            };
            let found = self.look_up(bucket).await?;
            if let Ownership::Account(account) = &found {
                self.cache.insert(bucket, account, began, (self.clock)());
            }
            Ok(found)
        })
    }

    fn owner_of_listed<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        Box::pin(async move {
            let now = (self.clock)();
            let began = match (self.cache.get(bucket, now), self.listed.get(bucket, now)) {
                (Ok(account), _) | (Err(_), Ok(account)) => return Ok(Ownership::Account(account)),
                (Err(_), Err(generation)) => generation,
            };
            let found = self.ask_sources(bucket).await?;
            if let Ownership::Account(account) = &found {
                self.listed.insert(bucket, account, began, (self.clock)());
            }
            Ok(found)
        })
    }

    fn exists<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(async move {
            let exists = self.head(bucket).await?;
            if !exists {
                self.invalidate(bucket);
            }
            Ok(exists)
        })
    }

    fn gone<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(async move { Ok(self.probe_is_blind || !self.exists(bucket).await?) })
    }

    fn created<'a>(
        &'a self,
        bucket: &'a BucketName,
        creator: Option<&'a AccountId>,
    ) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(async move {
            let _stale = Stale { owners: self, bucket };
            match (&self.registry, creator) {
                (Some(registry), Some(creator)) => registry.record(bucket, creator).await,
                (Some(_), None) | (None, _) => Ok(()),
            }
        })
    }

    fn deleted<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(async move {
            let _stale = Stale { owners: self, bucket };
            match &self.registry {
                Some(registry) => registry.forget(bucket).await,
                None => Ok(()),
            }
        })
    }
}

/// Invalidates when dropped: after the registry was changed, and also when that failed or the caller went away midway.
struct Stale<'a> {
    owners: &'a OwnerResolver,
    bucket: &'a BucketName,
}

impl Drop for Stale<'_> {
    fn drop(&mut self) {
        self.owners.invalidate(self.bucket);
    }
}

impl fmt::Debug for OwnerResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerResolver").field("sources", &self.sources).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
