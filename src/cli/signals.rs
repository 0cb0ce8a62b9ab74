//! The signals that a running server answers to.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use portcullis::config::Problems;
use portcullis::identity::file::IdentityFile;
use portcullis::server::config_file::ConfigFile;
use portcullis::server::tls::Certificates;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a program that was interrupted, as shells give it.
const INTERRUPTED: i32 = 130;

/// A future that is ready at the first SIGINT (Ctrl-C) or SIGTERM. A second one ends the process at once: whoever sends
/// it does not want to wait for running requests.
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(INTERRUPTED);
        });
    })
}

/// A future that is ready at the first SIGHUP, as when a terminal is closed.
pub(crate) fn hangup() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        hangup.recv().await;
    })
}

/// From here on SIGHUP does not end the process. What comes before [`reload_at_each`] is not lost.
pub(crate) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Re-reads the configuration, the identities and the certificates at every SIGHUP.
pub(crate) fn reload_at_each(
    mut hangups: Signal,
    config: Arc<ConfigFile>,
    identities: Arc<IdentityFile>,
    certificates: Option<Arc<Certificates>>,
) {
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            // Reading files blocks.
            let config = Arc::clone(&config);
            if let Err(error) = tokio::task::spawn_blocking(move || config.reload()).await {
                tracing::error!(%error, "the config could not be re-read");
            }
            let identities = Arc::clone(&identities);
            let path = identities.path().display().to_string();
            reload("identities", &path, move || identities.reload()).await;
            let Some(certificates) = certificates.clone() else { continue };
            let path = certificates.path().display().to_string();
            let reloaded = Arc::clone(&certificates);
            reload("certificates", &path, move || reloaded.reload()).await;
            for warning in certificates.warnings(SystemTime::now()) {
                tracing::warn!("{warning}");
            }
        }
    });
}

async fn reload(what: &str, path: &str, read: impl FnOnce() -> Result<(), Problems> + Send + 'static) {
    // Reading files blocks.
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(())) => tracing::info!(file = %path, "{what} re-read"),
        Ok(Err(problems)) => {
            tracing::error!(file = %path, "the new {what} are refused; the old ones stay in force:\n{problems}");
        }
        Err(error) => tracing::error!(file = %path, %error, "the {what} could not be re-read"),
    }
}
