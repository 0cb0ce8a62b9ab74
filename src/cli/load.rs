//! Loads the configuration and the identities it names, or tells all that is wrong with both.

use std::path::Path;

use portcullis::config::{self, Problem, Settings};
use portcullis::identity::file::IdentityFile;

use super::{Failure, terminal};

/// A configuration that can be served.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) identities: IdentityFile,
    pub(crate) warnings: Vec<Problem>,
}

/// Loads the file `config`. Problems of either file are said here, those of both in one go.
pub(crate) fn load(config: &Path) -> Result<Loaded, Failure> {
    let loaded = config::load(config);
    let identities = match &loaded {
        Ok(loaded) => Some(IdentityFile::load(&loaded.settings.identity.file)),
        Err(invalid) => invalid.identity_file.as_deref().map(IdentityFile::load),
    };
    match (loaded, identities) {
        (Ok(loaded), Some(Ok(identities))) => {
            let mut warnings = loaded.warnings.clone();
            warnings.extend(loaded.undeclared_accounts(|id| identities.account(id).is_some()));
            warnings.extend(identities.warnings());
            Ok(Loaded { settings: loaded.settings, identities, warnings })
        }
        (loaded, identities) => {
            let config_problems = loaded.err().map(|invalid| invalid.problems);
            let identity_problems = identities.and_then(Result::err);
            for problem in config_problems.iter().chain(&identity_problems).flatten() {
                terminal::error(problem);
            }
            Err(Failure::Reported)
        }
    }
}
