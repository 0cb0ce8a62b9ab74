//! The file: opening it, reading it, and opening it again after it failed.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ::redb::backends::FileBackend;
use ::redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};

use super::index::{Block, Index, Known, Lookup, State};
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::record::{self, Damage};
use crate::store::{PolicyRecord, REVISIONS_KEPT, Revision, StoreError};

/// Bucket -> its newest revision.
pub(super) const HEADS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("heads");
/// Bucket and revision -> change and document.
pub(super) const REVISIONS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("revisions");
/// Bucket -> the account that created it.
pub(super) const OWNERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("owners");
/// Bucket -> the last change of its public access block. Files of older releases have no such table.
pub(super) const BLOCKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("public-access-blocks");
/// [`FORMAT`] and [`LAST_REVISION`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Key of the number that says how the tables are laid out.
const FORMAT: &str = "format";
/// Key of the last revision given. Buckets share it, so that a purged bucket's numbers do not come again.
pub(super) const LAST_REVISION: &str = "last-revision";
/// The one layout there is.
const CURRENT_FORMAT: u64 = 1;

/// Pages kept in memory, in bytes. Compiled policies are kept above it, so the file is seldom read twice.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Opens the database behind the store: a file, or what a test puts in its place.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// An open file and what is known of it.
pub(super) struct StoreFile {
    path: PathBuf,
    opener: Opener,
    /// How often it has been opened.
    openings: AtomicU64,
    /// None after a failure, until it is opened again. Whoever reads or writes holds this lock for reading, so that
    /// the file is never exchanged under a transaction, nor between a commit and the index's hearing of it.
    open: RwLock<Option<Open>>,
    index: Index,
    last_revision: AtomicU64,
}

struct Open {
    database: Database,
    /// Told apart from earlier openings, which may have failed for somebody who has not noticed yet.
    opening: u64,
}

/// Why the store's file cannot be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// What is in it is not what a store left there.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => write!(f, "the policy store `{}` is in use by another process", path.display()),
            Self::Damaged { path, reason } => {
                write!(f, "the policy store `{}` cannot be used: {reason}", path.display())
            }
            Self::Io { path, reason } => write!(f, "the policy store `{}` cannot be opened: {reason}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why a transaction failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// This record is not readable; others may be.
    Record(String),
    /// The file failed, and is to be opened again before it is used.
    File(String),
}

impl Fault {
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Record(reason) | Self::File(reason) => reason,
        }
    }

    pub(super) fn into_error(self, bucket: &BucketName) -> StoreError {
        match self {
            Self::Record(reason) => StoreError::Unreadable { bucket: bucket.clone(), reason },
            Self::File(reason) => StoreError::Unavailable { reason },
        }
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self::Record(damage.to_string())
    }
}

impl From<::redb::Error> for Fault {
    fn from(e: ::redb::Error) -> Self {
        match e {
            ::redb::Error::Corrupted(reason) => Self::Record(format!("its place in the file is damaged: {reason}")),
            other => Self::File(other.to_string()),
        }
    }
}

macro_rules! fault_from {
    ($($error:ty),+) => {
        $(impl From<$error> for Fault {
            fn from(e: $error) -> Self {
                ::redb::Error::from(e).into()
            }
        })+
    };
}
fault_from!(StorageError, TableError, ::redb::TransactionError, ::redb::CommitError, ::redb::SetDurabilityError);

impl StoreFile {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        create(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
        let file = path.to_owned();
        Self::open_with(path, Box::new(move || open_database(&file)))
    }

    pub(super) fn open_with(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let file = Self {
            path: path.to_owned(),
            opener,
            openings: AtomicU64::new(0),
            open: RwLock::new(None),
            index: Index::default(),
            last_revision: AtomicU64::new(0),
        };
        file.reopen()?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn last_revision(&self) -> &AtomicU64 {
        &self.last_revision
    }

    /// Runs a transaction. redb goes on refusing after its first failure, a full disk among them, until the file is
    /// opened anew; so a failed file is closed here and the next use opens it again.
    pub(super) fn with<T>(&self, transaction: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            drop(open);
            self.reopen().map_err(|e| Fault::File(e.to_string()))?;
            open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        }
        let Some(Open { database, opening }) = open.as_ref() else {
            return Err(Fault::File("the file failed and is being opened again".to_owned()));
        };
        let opening = *opening;
        let result = catch(|| transaction(database)).unwrap_or_else(|panic| Err(Fault::File(panic)));
        if let Err(Fault::File(reason)) = &result {
            tracing::error!(path = %self.path.display(), reason, "the policy store failed");
            drop(open);
            self.close(opening);
        }
        result
    }

    /// The policy in force, compiled, from memory, or from the file and into memory; and the block of the same moment.
    pub(super) fn in_force(&self, bucket: &BucketName) -> Result<(Option<Arc<PolicyRecord>>, Block), Fault> {
        loop {
            let State { policy, block } = self.index.look_up(bucket);
            let revision = match policy {
                Lookup::Absent => return Ok((None, block)),
                Lookup::Compiled(record) => return Ok((Some(record), block)),
                Lookup::Unreadable(reason) => return Err(Fault::Record(reason)),
                Lookup::InFile(revision) => revision,
            };
            let read = match self.with(|database| compiled(database, bucket, revision)) {
                Ok(record) => Ok(record),
                Err(Fault::Record(reason)) => Err(reason),
                Err(Fault::File(reason)) => return Err(Fault::File(reason)),
            };
            // Else another revision came into force meanwhile, and this one may have been dropped from the file.
            if let Some(block) = self.index.loaded(bucket, revision, read.clone()) {
                if let Err(reason) = &read {
                    unreadable(bucket, reason);
                }
                return read.map(|record| (Some(record), block)).map_err(Fault::Record);
            }
        }
    }

    /// The bucket's revisions, newest first.
    pub(super) fn history(&self, bucket: &BucketName) -> Result<Vec<Revision>, Fault> {
        self.with(|database| {
            let revisions = database.begin_read()?.open_table(REVISIONS)?;
            let name = bucket.as_str();
            let mut history = Vec::new();
            for entry in revisions.range((name, 0)..=(name, u64::MAX))?.rev().take(REVISIONS_KEPT) {
                let (key, record) = entry?;
                let (_, revision) = key.value();
                let read = record::read_revision(bucket, revision, record.value());
                history.push(read.map_err(|e| Fault::Record(format!("revision {revision}: {e}")))?);
            }
            Ok(history)
        })
    }

    /// The first `limit` names after `after` of buckets that have, or had, a policy or a public access block.
    pub(super) fn stored(&self, after: Option<&BucketName>, limit: usize) -> Result<Vec<BucketName>, Fault> {
        self.with(|database| {
            let read = database.begin_read()?;
            let mut names = names(&read.open_table(HEADS)?, after, limit)?;
            match read.open_table(BLOCKS) {
                Ok(blocks) => names.append(&mut self::names(&blocks, after, limit)?),
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(e) => return Err(e.into()),
            }
            // Whatever is not among the first of either table is not among the first of both.
            names.sort_unstable();
            names.dedup();
            names.truncate(limit);
            Ok(names)
        })
    }

    /// The first `limit` names after `after` of buckets whose creator is recorded.
    pub(super) fn owned(&self, after: Option<&BucketName>, limit: usize) -> Result<Vec<BucketName>, Fault> {
        self.with(|database| names(&database.begin_read()?.open_table(OWNERS)?, after, limit))
    }

    /// Reads what every file of ours holds.
    pub(super) fn check(&self) -> Result<(), Fault> {
        self.with(|database| match database.begin_read()?.open_table(META)?.get(FORMAT)? {
            Some(_) => Ok(()),
            None => Err(Fault::Record("it does not state its format".to_owned())),
        })
    }

    /// The account recorded as the bucket's creator.
    pub(super) fn owner(&self, bucket: &BucketName) -> Result<Option<AccountId>, Fault> {
        self.with(|database| {
            let owners = database.begin_read()?.open_table(OWNERS)?;
            let record = owners.get(bucket.as_str())?;
            record
                .map(|record| record::read_owner(bucket, record.value()))
                .transpose()
                .map_err(|e| Fault::Record(format!("the record of its creator: {e}")))
        })
    }

    fn reopen(&self) -> Result<(), OpenError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Ok(());
        }
        let damaged = |reason: String| OpenError::Damaged { path: self.path.clone(), reason };
        let database = catch(|| (self.opener)()).map_err(damaged)?.map_err(|e| self.open_error(e))?;
        let contents = catch(|| contents(&database)).map_err(damaged)?.map_err(|fault| match fault {
            Fault::Record(reason) => damaged(reason),
            Fault::File(reason) => OpenError::Io { path: self.path.clone(), reason },
        })?;
        self.index.replace(contents.known);
        // A number that was given to a change whose commit failed is not given again: the change may be in the file.
        self.last_revision.fetch_max(contents.last_revision, Ordering::Relaxed);
        let opening = self.openings.fetch_add(1, Ordering::Relaxed);
        *open = Some(Open { database, opening });
        Ok(())
    }

    fn close(&self, opening: u64) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.opening == opening) {
            // A database that failed may panic once more on its way out. It is gone all the same.
            let _ = catch(|| *open = None);
        }
    }

    fn open_error(&self, e: DatabaseError) -> OpenError {
        let path = self.path.clone();
        match e {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
            DatabaseError::Storage(StorageError::Io(e)) if e.kind() != io::ErrorKind::InvalidData => {
                OpenError::Io { path, reason: e.to_string() }
            }
            other => OpenError::Damaged { path, reason: other.to_string() },
        }
    }
}

impl fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes the file where there is none, and sees to it that its name survives a crash.
///
/// It is made under another name and appears under its own when complete: redb takes a file that it was interrupted in
/// making for one that it never made, and refuses it ever after.
fn create(path: &Path) -> Result<(), String> {
    let failed = |e: io::Error| e.to_string();
    if !path.try_exists().map_err(failed)? {
        let name = path.file_name().ok_or("it is not the name of a file")?.to_string_lossy();
        let random = getrandom::u64().map_err(|e| e.to_string())?;
        let unfinished = path.with_file_name(format!(".{name}.{random:016x}"));
        let made = make(&unfinished).and_then(|()| match std::fs::hard_link(&unfinished, path) {
            // Another process was faster; the file is its.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result.map_err(failed),
        });
        let removed = std::fs::remove_file(&unfinished);
        made.and(removed.map_err(failed))?;
    }
    // In any case: whoever made it may have been killed before coming here.
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Makes a database with our tables, readable by its owner alone.
fn make(path: &Path) -> Result<(), String> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|e| e.to_string())?;
    let database = FileBackend::new(file).and_then(|file| Builder::new().create_with_backend(file));
    initialise(&database.map_err(|e| e.to_string())?).map_err(Fault::into_reason)
}

/// Locks the file and opens the database in it. An empty file becomes an empty database.
fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    let file = File::options().read(true).write(true).open(path)?;
    Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)
}

struct Contents {
    known: Known,
    last_revision: u64,
}

/// What a file just opened holds; in one that is new, lays out the tables.
fn contents(database: &Database) -> Result<Contents, Fault> {
    let read = database.begin_read()?;
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => {
            initialise(database)?;
            return Ok(Contents { known: Known::default(), last_revision: 0 });
        }
        Err(e) => return Err(e.into()),
    };
    match meta.get(FORMAT)?.map(|format| format.value()) {
        Some(CURRENT_FORMAT) => {}
        Some(other) => {
            let reason = format!("its format is {other}, and this version knows only {CURRENT_FORMAT}");
            return Err(Fault::Record(reason));
        }
        None => return Err(Fault::Record("it does not state its format".to_owned())),
    }
    let mut last_revision = meta.get(LAST_REVISION)?.map_or(0, |revision| revision.value());
    let mut known = Known::default();
    for entry in read.open_table(HEADS)?.iter()? {
        let (name, record) = entry?;
        // Whatever stands under such a key, nobody can ask for it.
        let Ok(bucket) = BucketName::parse(name.value()) else { continue };
        match record::read_head(&bucket, record.value()) {
            Ok(head) => {
                last_revision = last_revision.max(head.revision);
                if head.in_force {
                    known.heads.insert(bucket, Ok(head.revision));
                }
            }
            Err(damage) => {
                unreadable(&bucket, &damage.to_string());
                known.heads.insert(bucket, Err(damage.to_string()));
            }
        }
    }
    known.blocks = match read.open_table(BLOCKS) {
        Ok(table) => blocks(&table)?,
        Err(TableError::TableDoesNotExist(_)) => HashMap::new(),
        Err(e) => return Err(e.into()),
    };
    Ok(Contents { known, last_revision })
}

/// For each bucket with a public access block what it says, or why that is unknown.
fn blocks(
    table: &ReadOnlyTable<&'static str, &'static [u8]>,
) -> Result<HashMap<BucketName, Result<PublicAccessBlock, String>>, Fault> {
    let mut blocks = HashMap::new();
    for entry in table.iter()? {
        let (name, record) = entry?;
        let Ok(bucket) = BucketName::parse(name.value()) else { continue };
        match record::read_block(&bucket, record.value()) {
            Ok(Some(block)) => {
                blocks.insert(bucket, Ok(block));
            }
            Ok(None) => {}
            Err(damage) => {
                tracing::error!(
                    %bucket,
                    reason = %damage,
                    "unreadable public access block: the bucket is denied until it is put anew or deleted"
                );
                blocks.insert(bucket, Err(format!("the record of its public access block: {damage}")));
            }
        }
    }
    Ok(blocks)
}

/// The first `limit` buckets of a table whose names come after `after`, in their order.
fn names(
    table: &ReadOnlyTable<&'static str, &'static [u8]>,
    after: Option<&BucketName>,
    limit: usize,
) -> Result<Vec<BucketName>, Fault> {
    let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_str()));
    let mut names = Vec::new();
    for entry in table.range::<&str>((from, Bound::Unbounded))? {
        if names.len() == limit {
            break;
        }
        // Whatever stands under a key that is no name, nobody can ask for it.
        names.extend(BucketName::parse(entry?.0.value()));
    }
    Ok(names)
}

fn initialise(database: &Database) -> Result<(), Fault> {
    let write = database.begin_write()?;
    if write.list_tables()?.next().is_some() {
        return Err(Fault::Record("it is the database of another program".to_owned()));
    }
    {
        write.open_table(HEADS)?;
        write.open_table(REVISIONS)?;
        write.open_table(OWNERS)?;
        write.open_table(BLOCKS)?;
        write.open_table(META)?.insert(FORMAT, CURRENT_FORMAT)?;
    }
    Ok(write.commit()?)
}

/// Reads one revision, which must hold a document, and compiles it by today's rules.
fn compiled(database: &Database, bucket: &BucketName, revision: u64) -> Result<Arc<PolicyRecord>, Fault> {
    let revisions = database.begin_read()?.open_table(REVISIONS)?;
    let missing = || Fault::Record(format!("its revision {revision} is not in the file"));
    let record = revisions.get((bucket.as_str(), revision))?.ok_or_else(missing)?;
    let Revision { document, change, .. } = record::read_revision(bucket, revision, record.value())?;
    let document = document.ok_or_else(missing)?;
    let policy = Policy::parse(&document, bucket.as_str())
        .map_err(|e| Fault::Record(format!("its document is no policy by the rules of this version: {e}")))?
        .policy;
    Ok(Arc::new(PolicyRecord { document, policy: Arc::new(policy), revision, change }))
}

fn unreadable(bucket: &BucketName, reason: &str) {
    tracing::error!(%bucket, reason, "unreadable policy record: the bucket is denied until its policy is put anew");
}

/// Runs what may panic: redb does, on some kinds of damage.
fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        format!("the database broke off: {}", text.unwrap_or("no reason given"))
    })
}
