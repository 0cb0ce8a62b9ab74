//! The signals that a running server answers to.

use std::future::Future;
use std::io;
use std::sync::Arc;

use portcullis::identity::file::IdentityFile;
use tokio::signal::unix::{SignalKind, signal};

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

/// Re-reads the identities at every SIGHUP.
pub(crate) fn reload_at_hangup(identities: Arc<IdentityFile>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let path = identities.path().display().to_string();
        while hangup.recv().await.is_some() {
            let identities = Arc::clone(&identities);
            // Reading files blocks.
            match tokio::task::spawn_blocking(move || identities.reload()).await {
                Ok(Ok(())) => tracing::info!(file = %path, "identities re-read"),
                Ok(Err(problems)) => {
                    tracing::error!(
                        file = %path,
                        "the new identities are refused; the old ones stay in force:\n{problems}"
                    );
                }
                Err(error) => tracing::error!(file = %path, %error, "the identities could not be re-read"),
            }
        }
    });
    Ok(())
}
