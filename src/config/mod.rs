//! What does `proxy.toml` say?
//!
//! Two stages: the file as its author wrote it, read section by section (`file` and its neighbours), and the checked
//! [`Settings`] that the server takes apart. A file with a problem is refused as a whole, and all its problems are told
//! at once, each with its line. Relative paths in the file are relative to the file's own directory.

#[cfg(test)]
mod document;
mod etcd;
mod file;
pub mod settings;
mod store;
mod trace;
mod upstream;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use crate::toml_reader::{Place, Problem, Problems};
pub use settings::{AdminSettings, Settings};

use crate::policy::AccountId;
use crate::toml_reader::{Reader, Surroundings};

/// A file without problems.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What is accepted, but may not be meant.
    pub warnings: Vec<Problem>,
    /// The other files that it was read from: certificates of authorities, and secrets.
    pub inputs: Vec<PathBuf>,
    named_accounts: Vec<NamedAccount>,
}

/// An account that the file names as an owner.
#[derive(Clone, Debug)]
struct NamedAccount {
    file: String,
    place: Place,
    key: &'static str,
    id: AccountId,
}

impl Loaded {
    /// Warns of the owners that the identity file does not declare, as told by `declares`.
    pub fn undeclared_accounts(&self, declares: impl Fn(&AccountId) -> bool) -> Vec<Problem> {
        let undeclared = self.named_accounts.iter().filter(|named| !declares(&named.id));
        let warn = |named: &NamedAccount| Problem {
            file: named.file.clone(),
            place: Some(named.place),
            message: format!(
                "`{}`: the identity file declares no account {}, so nobody can act for it",
                named.key, named.id
            ),
        };
        undeclared.map(warn).collect()
    }
}

/// A file that was refused.
#[derive(Clone, Debug)]
pub struct InvalidConfig {
    /// All that is wrong with it; never empty.
    pub problems: Problems,
    /// The identity file it names, so that a check can go on to that one's problems; none where the file could not be
    /// read at all.
    pub identity_file: Option<PathBuf>,
}

impl std::fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problems.fmt(f)
    }
}

impl std::error::Error for InvalidConfig {}

/// Reads a place for policies as `[store] url` has it; paths are relative to where this process is.
///
/// # Errors
/// Why it is none.
pub fn store_url(text: &str) -> Result<settings::StoreUrl, String> {
    store::parse_url(|path| PathBuf::from(path), text)
}

/// Loads the file at `path`, with the environment of this process.
///
/// # Errors
/// [`InvalidConfig`], with every problem found.
pub fn load(path: &Path) -> Result<Loaded, InvalidConfig> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| InvalidConfig {
        problems: Problems::whole_file(&name, format!("cannot be read: {error}")),
        identity_file: None,
    })?;
    let base_dir = path.parent().unwrap_or(Path::new(""));
    parse(&text, &name, base_dir, &|variable| std::env::var(variable).ok())
}

/// Reads no more of the file at `path` than its `[admin]`, for those who call on a server and do not run one: they need
/// not have what the rest of it refers to. None where it says that there is no such listener.
///
/// # Errors
/// [`Problems`], those of that section.
pub fn load_admin(path: &Path) -> Result<Option<AdminSettings>, Problems> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Problems::whole_file(&name, format!("cannot be read: {error}")))?;
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let reader = Reader::new(&name, &text, Surroundings { base_dir, env: &|_| None });
    let settings = reader.document().and_then(|mut root| file::admin(root.section("admin"), &[]));
    match reader.findings().problems {
        problems if problems.is_empty() => Ok(settings),
        problems => Err(Problems(problems)),
    }
}

/// Reads `text`, the content of the file that problems call `file_name`. Relative paths are resolved against `base_dir`
/// and environment variables looked up with `env`; of the file system, only files that hold secrets or certificates are
/// read.
///
/// # Errors
/// [`InvalidConfig`], with every problem found.
pub fn parse(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, InvalidConfig> {
    let reader = Reader::new(file_name, text, Surroundings { base_dir, env });
    let read = reader.document().map(file::read);
    let identity_file = read.as_ref().map(|read| read.identity_file.clone());
    let findings = reader.findings();
    match read.and_then(|read| read.settings.map(|settings| (settings, read.named_accounts))) {
        Some((settings, named_accounts)) if findings.problems.is_empty() => {
            let in_file = |(place, key, id)| NamedAccount { file: file_name.to_owned(), place, key, id };
            let named_accounts = named_accounts.into_iter().map(in_file).collect();
            Ok(Loaded { settings, warnings: findings.warnings, inputs: findings.inputs, named_accounts })
        }
        _ => Err(InvalidConfig { problems: Problems(findings.problems), identity_file }),
    }
}

#[cfg(test)]
mod tests;
