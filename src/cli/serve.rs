//! `portcullis serve`: runs the proxy until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use portcullis::server::Server;
use portcullis::server::tls::Certificates;

use super::load::{Loaded, load};
use super::{Failure, signals, terminal};

/// Serves what the file `config` says.
pub(crate) fn run(config: &Path) -> Result<(), Failure> {
    let Loaded { settings, identities, certificates: _, warnings } = load(config)?;
    for warning in &warnings {
        terminal::warning(warning);
    }
    let failed = |error: &dyn std::error::Error| Failure::Failed(with_causes(error));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let identities = Arc::new(identities);
        let hangups = signals::hangups().map_err(|error| failed(&error))?;
        let stop = signals::stop().map_err(|error| failed(&error))?;
        // Without a watch the files still count, and SIGHUP re-reads them.
        let watch = identities.watch();
        let server = Server::bind(settings, Arc::clone(&identities)).await.map_err(|error| failed(&error))?;
        let certificates = server.certificates().cloned();
        let certificates_watch = certificates.as_ref().map(Certificates::watch).transpose();
        let config = Arc::new(server.config_file(config.to_owned()));
        let config_watch = config.watch();
        let errors = [watch.as_ref().err(), certificates_watch.as_ref().err(), config_watch.as_ref().err()];
        for error in errors.into_iter().flatten() {
            terminal::warning(error);
        }
        signals::reload_at_each(hangups, config, identities, certificates);
        server.run(stop).await.map_err(|error| failed(&error))
    })
}

/// An error, and those behind it that it does not quote itself.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}
