//! `proxy.toml`, read anew while the server runs: [`ConfigFile`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::live::{Applied, Live};
use crate::config::{self, Loaded, Problem, Problems};
use crate::meters::File;
use crate::watch::{Fingerprint, Refreshed, Reread, Watch, WatchError, fingerprint, read_from};

/// The configuration of a running server. A new version with a problem is refused as a whole, loudly, and the old one
/// stays in force.
pub struct ConfigFile {
    path: PathBuf,
    live: Arc<Live>,
    /// For what is made of new settings and needs one.
    runtime: tokio::runtime::Handle,
    seen: Mutex<Seen>,
}

/// What was read last.
#[derive(Default)]
struct Seen {
    /// Of the files as they were then, whether that was good or not. None before the first look, so that what changed since
    /// the server was started counts.
    fingerprint: Option<Fingerprint>,
    /// The files that the last good version named.
    inputs: Vec<PathBuf>,
    /// The last version was refused.
    refused: bool,
}

impl ConfigFile {
    pub(super) fn new(path: PathBuf, live: Arc<Live>) -> Self {
        Self { path, live, runtime: tokio::runtime::Handle::current(), seen: Mutex::default() }
    }

    /// Reads the file anew, whether it has changed or not, and says in the log what came of it. It blocks.
    pub fn reload(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Refreshed::Unchanged = self.read(&mut seen) {
            File::Config.reloaded();
            tracing::info!(file = %self.path.display(), "config re-read: it asks for nothing new");
        }
    }

    /// Re-reads the file whenever it changes, or a file it names, for as long as the answer is kept.
    ///
    /// # Errors
    /// [`WatchError`] where the system has no watch to give.
    pub fn watch(self: &Arc<Self>) -> Result<Watch, WatchError> {
        Watch::start(Arc::clone(self), |_| {})
    }

    fn files_of(&self, inputs: &[PathBuf]) -> Vec<PathBuf> {
        std::iter::once(&self.path).chain(inputs).cloned().collect()
    }

    fn read(&self, seen: &mut Seen) -> Refreshed {
        let (mark, loaded) = read_from(
            self.files_of(&seen.inputs),
            |loaded: &Loaded| self.files_of(&loaded.inputs),
            || config::load(&self.path),
        );
        seen.fingerprint = Some(mark);
        let was_refused = std::mem::replace(&mut seen.refused, true);
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(invalid) => return self.refused(invalid.problems),
        };
        seen.inputs.clone_from(&loaded.inputs);
        let warnings = self.warnings(&loaded);
        let _runtime = self.runtime.enter();
        let file = self.path.display();
        match self.live.apply(loaded.settings) {
            Ok(Applied::Unchanged) => {
                seen.refused = false;
                if was_refused {
                    // And now what was wrong has been taken back.
                    File::Config.reloaded();
                    tracing::info!(%file, "config re-read: it is what is in force");
                }
                Refreshed::Unchanged
            }
            Ok(Applied::InForce { need_restart }) => {
                seen.refused = false;
                File::Config.reloaded();
                tracing::info!(%file, "config re-read: it is in force from the next request on");
                if !need_restart.is_empty() {
                    let keys = need_restart.join(", ");
                    tracing::warn!(%file, %keys, "these keys need a restart; until then they are what they were");
                }
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                Refreshed::Replaced
            }
            Err(error) => self.refused(Problems::whole_file(&file.to_string(), error.to_string())),
        }
    }

    fn warnings(&self, loaded: &Loaded) -> Vec<Problem> {
        let identities = &self.live.lasting.identities;
        let undeclared = loaded.undeclared_accounts(|id| identities.account(id).is_some());
        loaded.warnings.iter().cloned().chain(undeclared).collect()
    }

    fn refused(&self, problems: Problems) -> Refreshed {
        File::Config.refused();
        let file = self.path.display();
        tracing::error!(%file, "the new config is refused; the old one stays in force:\n{problems}");
        Refreshed::Refused(problems)
    }
}

impl Reread for ConfigFile {
    const NAME: &'static str = "config";

    fn path(&self) -> &Path {
        &self.path
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files_of(&self.seen.lock().unwrap_or_else(PoisonError::into_inner).inputs)
    }

    fn look(&self) -> Refreshed {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.fingerprint == Some(fingerprint(&self.files_of(&seen.inputs))) {
            return Refreshed::Unchanged;
        }
        self.read(&mut seen)
    }
}

impl std::fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigFile").field("path", &self.path).finish_non_exhaustive()
    }
}
