//! Re-reads files when the system says that something changed around them.
//!
//! Directories are what is watched, so that files put in another's place and Kubernetes' exchange of a symbolic link
//! count as changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::toml_reader::Problems;

/// How long after its first sign a change is read: an editor or a copy is then done writing.
const SETTLE: Duration = Duration::from_millis(200);

/// Something that was read from files, and is read anew when they change.
pub(crate) trait Reread: Send + Sync + 'static {
    /// What it is, in one word: a thread has this name.
    const NAME: &'static str;

    /// The file that messages name.
    fn path(&self) -> &Path;

    /// All files that it was read from.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads the files anew if they hold something else than when they were last read, and says in the log what came of
    /// it.
    fn look(&self) -> Refreshed;
}

/// What a look at the files found.
#[derive(Debug)]
pub(crate) enum Refreshed {
    Unchanged,
    Replaced,
    Refused(Problems),
}

/// Tells one content of files from another.
pub(crate) type Fingerprint = [u8; 32];

/// The fingerprint of what `files` hold now. A file that cannot be read counts as a content of its own.
pub(crate) fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    let mut hash = Sha256::new();
    for file in files {
        match std::fs::read(file).map(Zeroizing::new) {
            Ok(content) => {
                hash.update((content.len() as u64).to_be_bytes());
                hash.update(content.as_slice());
            }
            Err(_) => hash.update(u64::MAX.to_be_bytes()),
        }
    }
    hash.finalize().into()
}

/// Reads something that names files it depends on, and gives the fingerprint of those it was read from. `known` are the files
/// that the last version depended on.
///
/// The fingerprint is taken before reading: a change in between is then seen by the next look. So what depends on other files
/// than were in view is read again. Of what cannot be read the fingerprint is that of the known files.
pub(crate) fn read_from<T, E>(
    known: Vec<PathBuf>,
    files: impl Fn(&T) -> Vec<PathBuf>,
    read: impl Fn() -> Result<T, E>,
) -> (Fingerprint, Result<T, E>) {
    let first = fingerprint(&known);
    let (mut in_view, mut seen) = (known, first);
    loop {
        match read() {
            Ok(version) if files(&version) == in_view => return (seen, Ok(version)),
            Ok(version) => in_view = files(&version),
            Err(error) => return (first, Err(error)),
        }
        seen = fingerprint(&in_view);
    }
}

/// The directories in which a change may change what `files` hold.
pub(crate) fn directories(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for file in files {
        // A symbolic link may change, or what it points to.
        for file in [Some(file.clone()), file.canonicalize().ok()].into_iter().flatten() {
            let directory = match file.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
    }
    directories
}

/// Keeps files watched until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct Watch {
    ended: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

impl Watch {
    /// Watches what `target` was read from; `looked` is told of every look at it, after it counts.
    pub(crate) fn start<T: Reread>(
        target: Arc<T>,
        looked: impl Fn(&Refreshed) + Send + 'static,
    ) -> Result<Self, WatchError> {
        // One sign waiting is enough: it makes the thread look at all that changed until then.
        let (wake, signs) = sync_channel(1);
        let sign = wake.clone();
        let failed = |reason: notify::Error| WatchError { file: target.path().to_owned(), reason: reason.to_string() };
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is also an event, and would have us look at our own looks. An error may hide a change.
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                // A full channel holds a sign already.
                let _ = sign.try_send(());
            }
        })
        .map_err(failed)?;
        let mut directories = Directories { watcher, watched: Vec::new() };
        directories.add(&*target).1.map_err(failed)?;
        // What changed since it was read, and before it was watched, is seen by a first look.
        let _ = wake.try_send(());
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        std::thread::Builder::new()
            .name(T::NAME.to_owned())
            .spawn({
                let target = Arc::clone(&target);
                move || look_at_each_sign(&*target, &signs, directories, &until, looked)
            })
            .map(|_| Self { ended, wake })
            .map_err(|error| WatchError { file: target.path().to_owned(), reason: error.to_string() })
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
    /// Watches those of `target` that are not watched yet. Says whether there are any new ones, and why another could not be
    /// watched, which keeps none of them from it.
    fn add(&mut self, target: &impl Reread) -> (bool, Result<(), notify::Error>) {
        let (watched, mut failed) = (self.watched.len(), Ok(()));
        for directory in directories(&target.files()) {
            if !self.watched.contains(&directory) {
                match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
                    Ok(()) => self.watched.push(directory),
                    Err(error) => failed = failed.and(Err(error)),
                }
            }
        }
        (self.watched.len() > watched, failed)
    }
}

fn look_at_each_sign<T: Reread>(
    target: &T,
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
        let mut is_seen = false;
        while !is_seen {
            let found = target.look();
            let (is_new, watched) = directories.add(target);
            if let Err(error) = watched {
                let (file, what) = (target.path().display(), T::NAME);
                tracing::warn!(%file, %error, "a directory of the {what} cannot be watched");
            }
            // What changes in a new directory before it is watched gives no sign, so it is looked at once more.
            is_seen = !is_new;
            looked(&found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;

    #[test]
    fn what_changes_while_it_is_read_is_seen_by_the_next_look() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let (main, key) = (file("main"), file("key"));
        let write = |text: &str| fs::write(&key, text).unwrap();
        let files = |text: &String| vec![main.clone(), file(text)];
        fs::write(&main, "key").unwrap();
        for known in [vec![main.clone()], vec![main.clone(), key.clone()]] {
            write("old");
            let reads = Cell::new(0);
            let (seen, read) = read_from(known.clone(), files, || {
                let text = fs::read_to_string(&main);
                write(&format!("as of read {}", reads.replace(reads.get() + 1)));
                text
            });
            assert_eq!(read.unwrap(), "key");
            assert_eq!(reads.get(), 3 - known.len(), "again, where it names what was not in view");
            assert_ne!(seen, fingerprint(&[main.clone(), key.clone()]), "{known:?}");
            let (seen, _) = read_from(known, files, || fs::read_to_string(&main));
            assert_eq!(seen, fingerprint(&[main.clone(), key.clone()]));
        }
        let (seen, read) = read_from(vec![main.clone()], files, || Err::<String, _>(()));
        assert_eq!((seen, read), (fingerprint(std::slice::from_ref(&main)), Err(())));
    }
}
