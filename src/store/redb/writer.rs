//! The one thread that writes: it takes every change that waits, makes one transaction of them, and flushes once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use ::redb::{Database, Durability, ReadableTable, Table};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::file::{BLOCKS, Fault, HEADS, LAST_REVISION, META, OWNERS, OpenError, REVISIONS, StoreFile};
use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::record::{self, Head, Place};
use crate::store::{Change, Contents, PastRevision, PolicyRecord, REVISIONS_KEPT, StoreError};

/// How many changes may share a flush, and how many may wait for the next before callers wait to hand theirs in.
const BATCH: usize = 256;

/// Hands changes to the thread. Dropped, it waits for those handed in.
#[derive(Debug)]
pub(super) struct Writer {
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// A change of what is stored for one bucket.
#[derive(Debug)]
pub(super) enum Action {
    Put { document: Bytes, policy: Arc<Policy>, change: Change, header: Vec<u8> },
    Delete { header: Vec<u8> },
    PutBlock { block: PublicAccessBlock, header: Vec<u8> },
    DeleteBlock { header: Vec<u8> },
    Purge,
    Restore(Restored),
    SetOwner(AccountId),
    ForgetOwner,
}

/// All that is to be stored for a bucket, written down but for its numbers.
#[derive(Debug)]
pub(super) struct Restored {
    /// Header and document, oldest first.
    revisions: Vec<(Vec<u8>, Option<Bytes>)>,
    /// What is in force once it is stored: document, policy and change.
    policy: Option<(Bytes, Arc<Policy>, Change)>,
    block: Option<(PublicAccessBlock, Vec<u8>)>,
}

impl Restored {
    pub(super) fn new(contents: Contents) -> Result<Self, StoreError> {
        let policy = contents.in_force()?;
        let Contents { mut revisions, public_access_block, .. } = contents;
        revisions.truncate(REVISIONS_KEPT);
        let written =
            |PastRevision { document, change }| Ok((record::revision_header(&change, document.is_some())?, document));
        let revisions = revisions.into_iter().rev().map(written).collect::<Result<_, StoreError>>()?;
        let block = match public_access_block {
            Some((block, change)) => Some((block, record::block_header(Some(block), &change)?)),
            None => None,
        };
        Ok(Self { revisions, policy, block })
    }

    pub(super) fn has_revisions(&self) -> bool {
        !self.revisions.is_empty()
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// The newest revision given once it was made.
    pub(super) revision: u64,
    /// Whether there was something to replace or take away.
    pub(super) existed: bool,
}

#[derive(Debug)]
struct Command {
    bucket: BucketName,
    action: Action,
    done: oneshot::Sender<Result<Done, StoreError>>,
}

impl Writer {
    pub(super) fn start(file: Arc<StoreFile>) -> Result<Self, OpenError> {
        let path = file.path().to_owned();
        let (commands, mut waiting) = mpsc::channel(BATCH);
        let thread = std::thread::Builder::new()
            .name("policy-store".to_owned())
            .spawn(move || write_until_closed(&file, &mut waiting))
            .map_err(|e| OpenError::Io { path, reason: format!("its thread cannot be started: {e}") })?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Makes a change; ready once it is flushed and seen by all reads. It is made too if the caller stops waiting.
    pub(super) async fn run(&self, bucket: &BucketName, action: Action) -> Result<Done, StoreError> {
        let gone = || StoreError::Unavailable { reason: "its writer has ended".to_owned() };
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        let (done, answer) = oneshot::channel();
        commands.send(Command { bucket: bucket.clone(), action, done }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // It ends without a panic: every transaction's is caught.
            let _ = thread.join();
        }
    }
}

fn write_until_closed(file: &StoreFile, waiting: &mut mpsc::Receiver<Command>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        // Whatever failed while writing, a transaction was broken off: the file is opened anew.
        let written = file.with(|database| write(file, database, &batch).map_err(|e| Fault::File(e.into_reason())));
        match written {
            Ok(all) => {
                for (command, done) in batch.drain(..).zip(all) {
                    // The caller may have gone.
                    let _ = command.done.send(Ok(done));
                }
            }
            Err(fault) => {
                let reason = format!("writing: {}", fault.into_reason());
                for command in batch.drain(..) {
                    let _ = command.done.send(Err(StoreError::Unavailable { reason: reason.clone() }));
                }
            }
        }
    }
}

/// Writes a batch in one transaction, and tells the index once it is flushed.
fn write(file: &StoreFile, database: &Database, batch: &[Command]) -> Result<Vec<Done>, Fault> {
    let mut write = database.begin_write()?;
    // One flush, or two where the file has to grow. redb can be told to flush in two phases, against authors who can
    // both craft pages and crash the machine mid-flush; that would take three.
    write.set_durability(Durability::Immediate)?;
    let mut all = Vec::with_capacity(batch.len());
    let (last_revision, changed) = {
        let mut tables = Tables {
            heads: write.open_table(HEADS)?,
            revisions: write.open_table(REVISIONS)?,
            owners: write.open_table(OWNERS)?,
            blocks: write.open_table(BLOCKS)?,
            last_revision: file.last_revision().load(Ordering::Relaxed),
            lengthened: BTreeSet::new(),
            changed: false,
        };
        for Command { bucket, action, .. } in batch {
            all.push(tables.apply(bucket, action)?);
        }
        tables.drop_old_revisions()?;
        (tables.last_revision, tables.changed)
    };
    // Also where the commit fails: a number that may be in the file is not given again.
    file.last_revision().store(last_revision, Ordering::Relaxed);
    if changed {
        write.open_table(META)?.insert(LAST_REVISION, last_revision)?;
        write.commit()?;
    } else {
        write.abort()?;
    }
    for (Command { bucket, action, .. }, done) in batch.iter().zip(&all) {
        match action {
            Action::Put { document, policy, change, .. } => {
                let (document, policy, change) = (document.clone(), Arc::clone(policy), change.clone());
                let record = PolicyRecord { document, policy, revision: done.revision, change };
                file.index().set(bucket, Arc::new(record));
            }
            Action::Delete { .. } => file.index().remove(bucket),
            Action::PutBlock { block, .. } => file.index().set_block(bucket, Some(*block)),
            Action::DeleteBlock { .. } => file.index().set_block(bucket, None),
            Action::Purge => file.index().purge(bucket),
            Action::Restore(Restored { policy, block, .. }) => {
                let record = policy.clone().map(|(document, policy, change)| {
                    Arc::new(PolicyRecord { document, policy, revision: done.revision, change })
                });
                file.index().restore(bucket, record, block.as_ref().map(|(block, _)| *block));
            }
            Action::SetOwner(_) | Action::ForgetOwner => {}
        }
    }
    Ok(all)
}

/// The tables of a transaction under way.
struct Tables<'t> {
    heads: Table<'t, &'static str, &'static [u8]>,
    revisions: Table<'t, (&'static str, u64), &'static [u8]>,
    owners: Table<'t, &'static str, &'static [u8]>,
    blocks: Table<'t, &'static str, &'static [u8]>,
    last_revision: u64,
    /// Buckets that got revisions, and may now have more than are kept.
    lengthened: BTreeSet<BucketName>,
    changed: bool,
}

impl Tables<'_> {
    fn apply(&mut self, bucket: &BucketName, action: &Action) -> Result<Done, Fault> {
        let existed = match action {
            Action::Put { document, header, .. } => self.add_revision(bucket, header, Some(document))?,
            Action::Delete { header } => {
                let in_force = match self.heads.get(bucket.as_str())? {
                    // One that cannot be read counts as one in force: taking it out is how to be rid of it.
                    Some(record) => record::read_head(bucket, record.value()).map_or(true, |head| head.in_force),
                    None => false,
                };
                in_force && self.add_revision(bucket, header, None)?
            }
            Action::PutBlock { header, .. } => self.put_block(bucket, header)?,
            Action::DeleteBlock { header } => {
                let in_force = match self.blocks.get(bucket.as_str())? {
                    // As with a policy, one that cannot be read counts.
                    Some(record) => record::read_block(bucket, record.value()).map_or(true, |block| block.is_some()),
                    None => false,
                };
                in_force && self.put_block(bucket, header)?
            }
            Action::Purge => self.purge(bucket)?,
            Action::Restore(Restored { revisions, block, .. }) => {
                let existed = self.purge(bucket)?;
                for (header, document) in revisions {
                    self.add_revision(bucket, header, document.as_ref())?;
                }
                if let Some((_, header)) = block {
                    self.put_block(bucket, header)?;
                }
                existed
            }
            Action::SetOwner(account) => {
                let header = record::owner_header(account).map_err(|e| Fault::File(e.to_string()))?;
                let record = record::seal(Place::Owner(bucket), &header, b"");
                self.changed = true;
                self.owners.insert(bucket.as_str(), record.as_slice())?.is_some()
            }
            Action::ForgetOwner => {
                let existed = self.owners.remove(bucket.as_str())?.is_some();
                self.changed |= existed;
                existed
            }
        };
        Ok(Done { revision: self.last_revision, existed })
    }

    /// Whether the bucket had revisions before.
    fn add_revision(&mut self, bucket: &BucketName, header: &[u8], document: Option<&Bytes>) -> Result<bool, Fault> {
        self.last_revision += 1;
        let revision = self.last_revision;
        let record = record::seal(Place::Revision(bucket, revision), header, document.map_or(b"", |d| d));
        self.revisions.insert((bucket.as_str(), revision), record.as_slice())?;
        let head = record::head_header(Head { revision, in_force: document.is_some() })
            .map_err(|e| Fault::File(e.to_string()))?;
        let head = record::seal(Place::Head(bucket), &head, b"");
        self.lengthened.insert(bucket.clone());
        self.changed = true;
        Ok(self.heads.insert(bucket.as_str(), head.as_slice())?.is_some())
    }

    /// Whether the bucket had a block, or had one taken out of force, before.
    fn put_block(&mut self, bucket: &BucketName, header: &[u8]) -> Result<bool, Fault> {
        let record = record::seal(Place::Block(bucket), header, b"");
        self.changed = true;
        Ok(self.blocks.insert(bucket.as_str(), record.as_slice())?.is_some())
    }

    fn purge(&mut self, bucket: &BucketName) -> Result<bool, Fault> {
        let name = bucket.as_str();
        let mut existed = self.heads.remove(name)?.is_some();
        existed |= self.blocks.remove(name)?.is_some();
        self.revisions.retain_in((name, 0)..=(name, u64::MAX), |_, _| {
            existed = true;
            false
        })?;
        self.lengthened.remove(bucket);
        self.changed |= existed;
        Ok(existed)
    }

    fn drop_old_revisions(&mut self) -> Result<(), Fault> {
        for bucket in std::mem::take(&mut self.lengthened) {
            let name = bucket.as_str();
            let oldest_kept = match self.revisions.range((name, 0)..=(name, u64::MAX))?.rev().nth(REVISIONS_KEPT - 1) {
                Some(entry) => entry?.0.value().1,
                None => continue,
            };
            self.revisions.retain_in((name, 0)..(name, oldest_kept), |_, _| false)?;
        }
        Ok(())
    }
}
