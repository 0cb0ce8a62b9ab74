//! Re-reads an identity file when the system says that something changed around it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::file::{IdentityFile, Refreshed};

/// How long after its first sign a change is read: an editor or a copy is then done writing.
const SETTLE: Duration = Duration::from_millis(200);

/// Keeps a file watched until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct Watch {
    ended: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

impl Watch {
    /// Watches `file`; `looked` is told of every look at it, after it counts.
    pub(super) fn start(
        file: Arc<IdentityFile>,
        looked: impl Fn(&Refreshed) + Send + 'static,
    ) -> Result<Self, WatchError> {
        // One sign waiting is enough: it makes the thread look at all that changed until then.
        let (wake, signs) = sync_channel(1);
        let sign = wake.clone();
        let failed = |reason: notify::Error| WatchError { file: file.path().to_owned(), reason: reason.to_string() };
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is also an event, and would have us look at our own looks. An error may hide a change.
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                // A full channel holds a sign already.
                let _ = sign.try_send(());
            }
        })
        .map_err(failed)?;
        let mut directories = Directories { watcher, watched: Vec::new() };
        directories.add(&file).map_err(failed)?;
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        std::thread::Builder::new()
            .name("identities".to_owned())
            .spawn(move || look_at_each_sign(&file, &signs, directories, &until, looked))
            .map(|_| Self { ended, wake })
            .map_err(|error| WatchError { file: PathBuf::new(), reason: error.to_string() })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
    }
}

/// A file cannot be watched.
#[derive(Clone, Debug)]
pub struct WatchError {
    file: PathBuf,
    reason: String,
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be watched for changes: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for WatchError {}

/// The directories under watch.
struct Directories {
    watcher: RecommendedWatcher,
    watched: Vec<PathBuf>,
}

impl Directories {
    /// Watches those of `file` that are not watched yet.
    fn add(&mut self, file: &IdentityFile) -> Result<(), notify::Error> {
        for directory in file.directories() {
            if !self.watched.contains(&directory) {
                self.watcher.watch(&directory, RecursiveMode::NonRecursive)?;
                self.watched.push(directory);
            }
        }
        Ok(())
    }
}

fn look_at_each_sign(
    file: &IdentityFile,
    signs: &Receiver<()>,
    mut directories: Directories,
    ended: &AtomicBool,
    looked: impl Fn(&Refreshed),
) {
    while signs.recv().is_ok() {
        if ended.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(SETTLE);
        // What was signed so far is seen by this look; what comes from here on gets a look of its own.
        while signs.try_recv().is_ok() {}
        let refreshed = file.refresh();
        report(file, &refreshed);
        if let Err(error) = directories.add(file) {
            tracing::warn!(file = %file.path().display(), %error, "a directory of the identities cannot be watched");
        }
        looked(&refreshed);
    }
}

fn report(file: &IdentityFile, refreshed: &Refreshed) {
    let path = file.path().display();
    match refreshed {
        Refreshed::Unchanged => {}
        Refreshed::Replaced => {
            let (accounts, keys) = file.counts();
            tracing::info!(file = %path, accounts, keys, "identities re-read");
            for warning in file.warnings() {
                tracing::warn!("{warning}");
            }
        }
        Refreshed::Refused(problems) => {
            tracing::error!(file = %path, "the new identities are refused; the old ones stay in force:\n{problems}");
        }
    }
}
