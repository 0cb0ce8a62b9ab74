//! Policies, public access blocks and owners as objects in an object store: [`S3Store`].
//!
//! All that is kept of a bucket is one object (`record`), so whoever reads it sees one moment, and whoever replaces it
//! leaves no mix: `PREFIX/buckets/BUCKET`, and beside it `PREFIX/owners/BUCKET`. They are read through a cache (`cache`).
//! A change reads the object, and writes the next one on the condition that it still is what was read; one that lost the
//! race begins anew. Where the object store heeds no conditions (`conditions`), the last one stays.
//!
//! What the object store is, this module does not know: it has an [`ObjectStorage`].

mod cache;
mod change;
mod conditions;
pub mod objects;
mod record;
mod registry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OnceCell;

use self::cache::{Ages, Cache, Cached, unreadable};
use self::change::{Found, Step};
use self::objects::{Fetched, ObjectError, ObjectStorage};
use self::record::{Damage, Record};
use super::{BoxFuture, Change, Contents, InForce, PolicyRecord, PolicyStore, Revision, StoreError};
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

pub use self::record::MAX_RECORD;
pub use self::registry::S3Registry;

/// What an [`S3Store`] needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3StoreSettings {
    /// What the keys of all objects begin with: nothing, or something that ends with `/`.
    pub prefix: String,
    /// How long a copy counts without a question: so long it takes at most until a change made through another replica is
    /// in force here.
    pub refresh: Duration,
    /// How long a copy counts where the store does not answer.
    pub max_staleness: Duration,
}

/// A [`PolicyStore`] in an object store, which several replicas may share.
///
/// Its futures need a tokio runtime. Clones are handles of the same store.
#[derive(Clone)]
pub struct S3Store {
    inner: Arc<Inner>,
}

struct Inner {
    objects: Arc<dyn ObjectStorage>,
    prefix: String,
    policies: Arc<Cache<InForce>>,
    owners: Arc<Cache<Option<AccountId>>>,
    /// Whether conditions on writes are heeded.
    conditional: OnceCell<bool>,
}

impl S3Store {
    /// A store of these objects. Nothing is asked yet.
    pub fn new(objects: Arc<dyn ObjectStorage>, settings: S3StoreSettings) -> Self {
        let S3StoreSettings { prefix, refresh, max_staleness } = settings;
        let ages = Ages { refresh, max_staleness };
        let policies = Cache::new(Arc::clone(&objects), format!("{prefix}buckets/"), ages);
        let owners = Cache::new(Arc::clone(&objects), format!("{prefix}owners/"), ages);
        Self { inner: Arc::new(Inner { objects, prefix, policies, owners, conditional: OnceCell::new() }) }
    }

    /// The owners' registry, in the same place.
    pub fn registry(&self) -> S3Registry {
        S3Registry::new(Arc::clone(&self.inner))
    }

    /// Whether the object store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.inner.objects.list(&self.inner.prefix, None, 1).await.map(drop).map_err(unavailable)
    }

    /// For how long what is in force here has not been confirmed: of the buckets in use, the one that is worst off; zero
    /// while all questions are answered.
    pub fn staleness(&self) -> Duration {
        self.inner.policies.staleness()
    }

    /// Whether the object store heeds conditions on writes. It is tried out once; before the first change at the latest.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where that could not be found out.
    pub async fn heeds_conditions(&self) -> Result<bool, StoreError> {
        self.inner.conditional().await.map_err(unavailable)
    }
}

/// What is kept of a bucket, each in an object of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Records,
    Owners,
}

impl Inner {
    async fn conditional(&self) -> Result<bool, ObjectError> {
        let heeded = self.conditional.get_or_try_init(|| conditions::are_heeded(&*self.objects, &self.prefix));
        heeded.await.copied()
    }

    /// The record itself, as it is now.
    async fn record(&self, bucket: &BucketName) -> Result<Record, StoreError> {
        match self.objects.get(&self.policies.key(bucket), None).await.map_err(unavailable)? {
            Fetched::Found { content, .. } => {
                Record::decode(bucket, &content).map_err(|damage| unreadable(bucket, &damage))
            }
            Fetched::Absent | Fetched::Unchanged => Ok(Record::default()),
        }
    }

    /// Whether nothing is kept of a bucket whose object has `size` bytes.
    async fn is_nothing(&self, bucket: &BucketName, size: u64) -> Result<bool, StoreError> {
        if size > Record::longest_nothing(bucket) {
            return Ok(false);
        }
        match self.record(bucket).await {
            Ok(record) => Ok(record.is_nothing()),
            Err(StoreError::Unreadable { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The buckets that something of this kind is kept of, in the order of their names.
    async fn buckets(
        &self,
        kind: Kind,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, StoreError> {
        const PAGE: usize = 1000;
        let prefix = match kind {
            Kind::Records => self.policies.prefix(),
            Kind::Owners => self.owners.prefix(),
        };
        let mut buckets = Vec::new();
        let mut after = after.map(|bucket| format!("{prefix}{bucket}"));
        while buckets.len() < limit {
            let wanted = (limit - buckets.len()).min(PAGE);
            let page = self.objects.list(prefix, after.as_deref(), wanted).await.map_err(unavailable)?;
            for listed in &page.objects {
                // Nobody can ask for what has another name, so it is none of ours.
                let name = listed.key.strip_prefix(prefix).map(BucketName::parse);
                let Some(Ok(bucket)) = name else { continue };
                if kind == Kind::Owners || !self.is_nothing(&bucket, listed.size).await? {
                    buckets.push(bucket);
                }
            }
            match page.objects.into_iter().next_back() {
                Some(last) if !page.is_last => after = Some(last.key),
                Some(_) | None => break,
            }
        }
        buckets.truncate(limit);
        Ok(buckets)
    }
}

fn unavailable(error: ObjectError) -> StoreError {
    StoreError::Unavailable { reason: error.reason }
}

impl Cached for InForce {
    fn read(bucket: &BucketName, object: &[u8]) -> Result<Self, Damage> {
        Record::decode(bucket, object)?.compiled(bucket)
    }

    fn weight(&self) -> usize {
        // Compiled, a document takes several times its length.
        self.policy.as_ref().map_or(0, |record| 1024 + 8 * record.document.len())
    }
}

impl PolicyStore for S3Store {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        Box::pin(async move { Ok(self.inner.policies.get(bucket).await?.policy) })
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        Box::pin(self.inner.policies.get(bucket))
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.inner.change(bucket, move |found| {
            let mut record = found.or_blocked(&change);
            let revision = record.add(Some(document.clone()), change.clone());
            Ok((record, Step::Changed(revision, Some(Arc::clone(&policy)))))
        }))
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.inner.change(bucket, move |found| {
            let is_readable = matches!(found, Found::Readable(_));
            let mut record = found.or_blocked(&change);
            if is_readable && !record.has_policy() {
                return Ok((record, Step::Unchanged(false)));
            }
            record.add(None, change.clone());
            Ok((record, Step::Changed(true, None)))
        }))
    }

    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        change: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.inner.change(bucket, move |found| match found {
            Found::Readable(mut record) => {
                record.block = Some((Some(block), change.clone()));
                Ok((record, Step::Changed((), None)))
            }
            // It would do away with a policy that nobody can read.
            Found::Unreadable(_, damage) => Err(damage),
        }))
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        change: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.inner.change(bucket, move |found| match found {
            Found::Readable(record) if record.block_in_force().is_none() => Ok((record, Step::Unchanged(false))),
            Found::Readable(mut record) => {
                record.block = Some((None, change.clone()));
                Ok((record, Step::Changed(true, None)))
            }
            Found::Unreadable(_, damage) => Err(damage),
        }))
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.inner.change(bucket, |found| {
            let is_readable = matches!(found, Found::Readable(_));
            let record = found.or_nothing();
            if is_readable && record.is_nothing() {
                return Ok((record, Step::Unchanged(false)));
            }
            // The object stays, and holds the last number alone: else a new bucket's first would have been given before.
            Ok((Record { last_revision: record.last_revision, ..Record::default() }, Step::Changed(true, None)))
        }))
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async move { Ok(self.inner.record(bucket).await?.revisions.into()) })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(self.inner.buckets(Kind::Records, after, limit))
    }

    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        Box::pin(async move {
            contents.in_force()?;
            self.inner
                .change(bucket, |found| {
                    let before = found.or_nothing();
                    let mut record = Record { last_revision: before.last_revision, ..Record::default() };
                    for past in contents.revisions.iter().take(super::REVISIONS_KEPT).rev() {
                        record.add(past.document.clone(), past.change.clone());
                    }
                    let block = contents.public_access_block.clone();
                    record.block = block.map(|(block, change)| (Some(block), change));
                    if record == before && record.is_nothing() {
                        return Ok((record, Step::Unchanged(None)));
                    }
                    let newest = record.revisions.front().map(|revision| revision.revision);
                    Ok((record, Step::Changed(newest, contents.policy.clone())))
                })
                .await
        })
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("prefix", &self.inner.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
