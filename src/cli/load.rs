//! Loads the configuration and what it names, identities and certificates, or tells all that is wrong with them.

use std::path::Path;
use std::time::SystemTime;

use portcullis::config::{self, Problem, Settings};
use portcullis::identity::file::IdentityFile;
use portcullis::server;
use portcullis::server::tls::Certificates;

use super::{Failure, terminal};

/// A configuration that can be served.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) identities: IdentityFile,
    /// None where TLS is not ended here.
    pub(crate) certificates: Option<Certificates>,
    pub(crate) warnings: Vec<Problem>,
}

/// Loads the file `config`. Problems of any file are said here, those of all in one go.
pub(crate) fn load(config: &Path) -> Result<Loaded, Failure> {
    let loaded = config::load(config);
    let identities = match &loaded {
        Ok(loaded) => Some(IdentityFile::load(&loaded.settings.identity.file)),
        Err(invalid) => invalid.identity_file.as_deref().map(IdentityFile::load),
    };
    let certificates = loaded.as_ref().map_or(Ok(None), |loaded| server::certificates(&loaded.settings));
    match (loaded, identities, certificates) {
        (Ok(loaded), Some(Ok(identities)), Ok(certificates)) => {
            let mut warnings = loaded.warnings.clone();
            warnings.extend(loaded.undeclared_accounts(|id| identities.account(id).is_some()));
            warnings.extend(identities.warnings());
            warnings.extend(certificates.iter().flat_map(|certificates| certificates.warnings(SystemTime::now())));
            Ok(Loaded { settings: loaded.settings, identities, certificates, warnings })
        }
        (loaded, identities, certificates) => {
            let config_problems = loaded.err().map(|invalid| invalid.problems);
            let identity_problems = identities.and_then(Result::err);
            let certificate_problems = certificates.err();
            let problems = config_problems.iter().chain(&identity_problems).chain(&certificate_problems);
            for problem in problems.flatten() {
                terminal::error(problem);
            }
            Err(Failure::Reported)
        }
    }
}
