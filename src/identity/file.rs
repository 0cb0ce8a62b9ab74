//! [`IdentityFile`]: identities from a file, re-read when it changes.
//!
//! The file is TOML (accounts with their root keys, users, groups and roles, and the policies these name), or Zenko
//! CloudServer's `authdata.json` as it is. A new version with a problem is refused as a whole, loudly, and what was
//! declared before stays in force.
//!
//! ```toml
//! [[account]]
//! id = "111122223333"
//! root_keys = [{ access_key_id = "ACMEROOT", secret_access_key_env = "ACME_ROOT_SECRET" }]
//!
//! [[account.user]]
//! name = "alice"
//! policies = ["policy-admin"]
//! keys = [{ access_key_id = "ALICE", secret_access_key_file = "secrets/alice" }]
//!
//! [[policy]]
//! name = "policy-admin"
//! file = "policies/policy-admin.json"
//! ```
//!
//! Relative paths are relative to the file's own directory. An account's `canonical_id`, where absent, is the SHA-256
//! of `portcullis:canonical:ID`; the unique ids of users and roles are derived from their ARNs. A role's `sessions`
//! are written like keys, with a `name` and, where requests must carry one, a `session_token`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::declared::Declared;
use super::{CredentialError, CredentialStore};
use crate::auth::identity::{AccessKeyId, Credential};
use crate::meters::File;
use crate::policy::{Account, AccountId};
use crate::store::BoxFuture;
pub use crate::toml_reader::{Place, Problem, Problems};
use crate::toml_reader::{Reader, Surroundings};
use crate::watch::{Fingerprint, Refreshed, Reread, fingerprint, read_from};
pub use crate::watch::{Watch, WatchError};

/// The identities of a file, always those of its last good version.
pub struct IdentityFile {
    path: PathBuf,
    current: ArcSwap<Version>,
    /// What the files held when they were last read, whether that was good or not. Locked while re-reading.
    last_seen: Mutex<Fingerprint>,
}

/// What a file said at some time.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) declared: Declared,
    pub(super) warnings: Vec<Problem>,
    /// The other files it named, which count as parts of it.
    pub(super) inputs: Vec<PathBuf>,
}

impl IdentityFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let (seen, read) = read_from(vec![path.to_owned()], |version| files(path, version), || read(path));
        Ok(Self { path: path.to_owned(), current: ArcSwap::from_pointee(read?), last_seen: Mutex::new(seen) })
    }

    /// Reads the file anew.
    ///
    /// # Errors
    /// Every problem of the new version; the old one stays in force.
    pub fn reload(&self) -> Result<(), Problems> {
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(&mut last_seen)
    }

    /// Re-reads the file whenever it changes, for as long as the answer is kept. Its directory is what is watched, so
    /// that files put in its place and Kubernetes' exchange of a symbolic link count as changes.
    ///
    /// # Errors
    /// [`WatchError`] where the system has no watch to give.
    pub fn watch(self: &Arc<Self>) -> Result<Watch, WatchError> {
        Watch::start(Arc::clone(self), |_| {})
    }

    /// The account with this id.
    pub fn account(&self, id: &AccountId) -> Option<Account> {
        self.current.load().declared.account(id).cloned()
    }

    /// The account with this canonical user id, compared without case.
    pub fn account_by_canonical_id(&self, id: &str) -> Option<Account> {
        self.current.load().declared.account_by_canonical_id(id).cloned()
    }

    /// Every access key of the file, in no order.
    pub fn access_keys(&self) -> impl Iterator<Item = Arc<Credential>> + use<> {
        let keys: Vec<_> = self.current.load().declared.credentials().cloned().collect();
        keys.into_iter()
    }

    /// What the version in force holds that may not be meant.
    pub fn warnings(&self) -> Vec<Problem> {
        self.current.load().warnings.clone()
    }

    /// How many accounts and access keys the version in force declares.
    pub fn counts(&self) -> (usize, usize) {
        let version = self.current.load();
        (version.declared.account_count(), version.declared.key_count())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file anew if it, or a file it names, holds something else than when it was last read.
    pub(super) fn refresh(&self) -> Refreshed {
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if fingerprint(&self.files()) == *last_seen {
            return Refreshed::Unchanged;
        }
        match self.replace(&mut last_seen) {
            Ok(()) => Refreshed::Replaced,
            Err(problems) => Refreshed::Refused(problems),
        }
    }

    fn replace(&self, last_seen: &mut Fingerprint) -> Result<(), Problems> {
        let (seen, read) = read_from(self.files(), |version| files(&self.path, version), || read(&self.path));
        *last_seen = seen;
        let version = read.inspect_err(|_| File::Identities.refused())?;
        self.current.store(Arc::new(version));
        File::Identities.reloaded();
        Ok(())
    }
}

impl Reread for IdentityFile {
    const NAME: &'static str = "identities";

    fn path(&self) -> &Path {
        &self.path
    }

    fn files(&self) -> Vec<PathBuf> {
        files(&self.path, &self.current.load())
    }

    fn look(&self) -> Refreshed {
        let refreshed = self.refresh();
        let path = self.path.display();
        match &refreshed {
            Refreshed::Unchanged => {}
            Refreshed::Replaced => {
                let (accounts, keys) = self.counts();
                tracing::info!(file = %path, accounts, keys, "identities re-read");
                for warning in self.warnings() {
                    tracing::warn!("{warning}");
                }
            }
            Refreshed::Refused(problems) => {
                tracing::error!(file = %path, "the new identities are refused; the old ones stay in force:\n{problems}");
            }
        }
        refreshed
    }
}

impl CredentialStore for IdentityFile {
    fn credential<'a>(
        &'a self,
        id: &'a AccessKeyId,
    ) -> BoxFuture<'a, Result<Option<Arc<Credential>>, CredentialError>> {
        Box::pin(std::future::ready(Ok(self.current.load().declared.credential(id).cloned())))
    }
}

impl fmt::Debug for IdentityFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accounts, keys) = self.counts();
        f.debug_struct("IdentityFile")
            .field("path", &self.path)
            .field("accounts", &accounts)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("cannot be read: {error}; `examples/identities.toml` is one to begin with")
        }
        _ => format!("cannot be read: {error}"),
    }
}

fn read(path: &Path) -> Result<Version, Problems> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Problems::whole_file(&name, unreadable(&error)))?;
    let base_dir = path.parent().unwrap_or(Path::new(""));
    parse(&text, &name, base_dir, &|variable| std::env::var(variable).ok())
}

/// Reads `text`, JSON where it begins with a brace, TOML otherwise.
pub(super) fn parse(
    text: &str,
    name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Version, Problems> {
    let reader = Reader::new(name, text, Surroundings { base_dir, env });
    let declared = if text.trim_start().starts_with('{') {
        super::zenko::read(&reader, text)
    } else {
        reader.document().map(super::toml::read).unwrap_or_default()
    };
    let findings = reader.findings();
    if findings.problems.is_empty() {
        Ok(Version { declared, warnings: findings.warnings, inputs: findings.inputs })
    } else {
        Err(Problems(findings.problems))
    }
}

/// The file and those it names.
fn files(path: &Path, version: &Version) -> Vec<PathBuf> {
    std::iter::once(path.to_owned()).chain(version.inputs.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
