//! Policies, public access blocks and owners in one file: [`RedbStore`].
//!
//! The file is a [redb] database. A write is acknowledged once the transaction that holds it is flushed; writes that
//! come in while one is being flushed share the next (`writer`). A record carries its own check, so that a damaged one is
//! found and costs its bucket alone (`store/record`). Policies in force are compiled when first asked for and kept in memory,
//! public access blocks always are (`index`); only this process may have the file open, so memory and file cannot differ.
//!
//! [redb]: https://docs.rs/redb

mod file;
mod index;
mod registry;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use self::file::{Fault, StoreFile};
use self::index::{Block, Lookup, State};
use self::writer::{Action, Restored, Writer};
use super::{BoxFuture, Change, Contents, InForce, PolicyRecord, PolicyStore, Revision, StoreError, record};
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;

pub use self::file::OpenError;
pub use self::registry::RedbRegistry;

/// A [`PolicyStore`] in one file, safe against a crash at any instant.
///
/// Its futures need a tokio runtime. Clones are handles of the same store; when the last is dropped, what is under way
/// is finished and the file is closed.
#[derive(Clone)]
pub struct RedbStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: Arc<StoreFile>,
    writer: Writer,
}

impl RedbStore {
    /// Opens the file at `path`, and makes it (readable by its owner alone) where there is none. Blocks for the time it
    /// takes to read it through if the last process to use it did not close it.
    ///
    /// # Errors
    /// [`OpenError`], which names the path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::start(StoreFile::open(path.as_ref())?)
    }

    /// The owners' registry, in the same file.
    pub fn registry(&self) -> RedbRegistry {
        RedbRegistry::new(Arc::clone(&self.inner))
    }

    /// Whether the file can be read. One that failed is opened anew for it, so the store also recovers by being asked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.inner.read_all(StoreFile::check).await
    }

    fn start(file: StoreFile) -> Result<Self, OpenError> {
        let file = Arc::new(file);
        let writer = Writer::start(Arc::clone(&file))?;
        Ok(Self { inner: Arc::new(Inner { file, writer }) })
    }
}

impl Inner {
    /// Runs a read on a thread where it may block.
    async fn read<T, F>(self: &Arc<Self>, bucket: &BucketName, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&StoreFile, &BucketName) -> Result<T, Fault> + Send + 'static,
    {
        let (inner, name) = (Arc::clone(self), bucket.clone());
        match tokio::task::spawn_blocking(move || read(&inner.file, &name)).await {
            Ok(result) => result.map_err(|fault| fault.into_error(bucket)),
            Err(e) => Err(StoreError::Unavailable { reason: format!("reading was broken off: {e}") }),
        }
    }

    /// The same of a read that is about no bucket in particular.
    async fn read_all<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&StoreFile) -> Result<T, Fault> + Send + 'static,
    {
        let inner = Arc::clone(self);
        let unavailable = |reason| StoreError::Unavailable { reason };
        match tokio::task::spawn_blocking(move || read(&inner.file)).await {
            Ok(result) => result.map_err(|fault| unavailable(fault.into_reason())),
            Err(e) => Err(unavailable(format!("reading was broken off: {e}"))),
        }
    }
}

impl PolicyStore for RedbStore {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        Box::pin(async move {
            match self.inner.file.index().look_up(bucket).policy {
                Lookup::Absent => Ok(None),
                Lookup::Compiled(record) => Ok(Some(record)),
                Lookup::Unreadable(reason) => Err(StoreError::Unreadable { bucket: bucket.clone(), reason }),
                Lookup::InFile(_) => Ok(self.inner.read(bucket, StoreFile::in_force).await?.0),
            }
        })
    }

    fn in_force<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        Box::pin(async move {
            let unreadable = |reason| StoreError::Unreadable { bucket: bucket.clone(), reason };
            let State { policy, block } = self.inner.file.index().look_up(bucket);
            let (policy, block) = match policy {
                Lookup::Absent => (None, block),
                Lookup::Compiled(record) => (Some(record), block),
                Lookup::Unreadable(reason) => return Err(unreadable(reason)),
                Lookup::InFile(_) => self.inner.read(bucket, StoreFile::in_force).await?,
            };
            let public_access_block = match block {
                Block::Absent => None,
                Block::InForce(block) => Some(block),
                Block::Unreadable(reason) => return Err(unreadable(reason)),
            };
            Ok(InForce { policy, public_access_block })
        })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a BucketName,
        document: Bytes,
        policy: Arc<Policy>,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let header = record::revision_header(&change, true)?;
            let done = self.inner.writer.run(bucket, Action::Put { document, policy, change, header }).await?;
            Ok(done.revision)
        })
    }

    fn delete<'a>(&'a self, bucket: &'a BucketName, change: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let header = record::revision_header(&change, false)?;
            Ok(self.inner.writer.run(bucket, Action::Delete { header }).await?.existed)
        })
    }

    fn put_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        block: PublicAccessBlock,
        change: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let header = record::block_header(Some(block), &change)?;
            self.inner.writer.run(bucket, Action::PutBlock { block, header }).await?;
            Ok(())
        })
    }

    fn delete_public_access_block<'a>(
        &'a self,
        bucket: &'a BucketName,
        change: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let header = record::block_header(None, &change)?;
            Ok(self.inner.writer.run(bucket, Action::DeleteBlock { header }).await?.existed)
        })
    }

    fn purge<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.inner.writer.run(bucket, Action::Purge).await?.existed) })
    }

    fn history<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async move { self.inner.read(bucket, StoreFile::history).await })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        let after = after.cloned();
        Box::pin(async move { self.inner.read_all(move |file| file.stored(after.as_ref(), limit)).await })
    }

    fn restore<'a>(
        &'a self,
        bucket: &'a BucketName,
        contents: Contents,
    ) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        Box::pin(async move {
            let restored = Restored::new(contents)?;
            let has_revisions = restored.has_revisions();
            let done = self.inner.writer.run(bucket, Action::Restore(restored)).await?;
            Ok(has_revisions.then_some(done.revision))
        })
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("file", &self.inner.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
