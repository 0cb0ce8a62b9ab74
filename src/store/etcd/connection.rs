//! Asks etcd: in time, or with the reason why not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, GetResponse, Identity, TlsOptions, Txn, TxnResponse,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{EtcdStoreSettings, EtcdTls};
use crate::store::StoreError;

/// How long one member may take to answer before another is asked.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// How long to wait before a question is put again.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection nobody has heard from for so long is asked for a sign of life, and given up without one. etcd takes it
/// ill to be asked more often than every five seconds.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// The largest answer that is read. A watch that catches up gets a thousand changes at once.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// Connections to the members.
pub(super) struct Connection {
    settings: Arc<EtcdStoreSettings>,
    /// None before it is first needed, and after it was found to be no good.
    client: RwLock<Option<Client>>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) struct NoAnswer(pub(super) String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<NoAnswer> for StoreError {
    fn from(NoAnswer(reason): NoAnswer) -> Self {
        Self::Unavailable { reason }
    }
}

impl Connection {
    pub(super) fn new(settings: Arc<EtcdStoreSettings>) -> Self {
        Self { settings, client: RwLock::default() }
    }

    /// Has the next question make new connections, with the certificates that are then in the files.
    pub(super) fn renew(&self) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads, as of the last change that was acknowledged to anybody.
    pub(super) async fn get(
        &self,
        key: impl Into<Vec<u8>>,
        options: Option<GetOptions>,
        deadline: Instant,
    ) -> Result<GetResponse, NoAnswer> {
        let key = key.into();
        let ask = |client: Client| {
            let (key, options) = (key.clone(), options.clone());
            async move { client.kv_client().max_decoding_message_size(MAX_ANSWER).get(key, options).await }
        };
        self.ask("reading", deadline, ask).await
    }

    /// Makes a change. It may be asked for several times, so it must find out by itself that it was made already; and
    /// without an answer it may have been made.
    pub(super) async fn txn(&self, txn: Txn, deadline: Instant) -> Result<TxnResponse, NoAnswer> {
        let ask = |client: Client| {
            let txn = txn.clone();
            async move { client.kv_client().txn(txn).await }
        };
        self.ask("writing", deadline, ask).await
    }

    /// Connections that may or may not work.
    pub(super) async fn client(&self) -> Result<Client, Error> {
        let known = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = known {
            return Ok(client);
        }
        let client = connect(&self.settings).await?;
        Ok(self.client.write().unwrap_or_else(PoisonError::into_inner).get_or_insert(client).clone())
    }

    /// The largest message of a watch.
    pub(super) const fn max_answer() -> usize {
        MAX_ANSWER
    }

    /// Puts a question until there is an answer, once more than there are members.
    async fn ask<T, F>(&self, doing: &str, deadline: Instant, ask: impl Fn(Client) -> F) -> Result<T, NoAnswer>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut left = self.settings.endpoints.len() + 1;
        loop {
            left -= 1;
            let attempt = async { ask(self.client().await?).await };
            let reason = match timeout_at(deadline.min(Instant::now() + ATTEMPT), attempt).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if left == 0 || is_final(&error) => return Err(no_answer(doing, &error)),
                Ok(Err(error)) => no_answer(doing, &error),
                Err(_) => NoAnswer(format!("{doing}: etcd does not answer")),
            };
            if left == 0 || Instant::now() + PAUSE >= deadline {
                return Err(reason);
            }
            sleep(PAUSE).await;
        }
    }
}

async fn connect(settings: &EtcdStoreSettings) -> Result<Client, Error> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(CONNECT)
        .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
        .with_keep_alive_while_idle(false)
        // Tokens expire, and a member that was started anew knows none.
        .with_auto_token_refresh(true)
        // A member that has lost the others must not pass for one that has nothing new.
        .with_require_leader(true);
    if let Some((name, password)) = &settings.user {
        options = options.with_user(name, password.expose());
    }
    if let Some(tls) = &settings.tls {
        options = options.with_tls(tls_options(tls).await?);
    }
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let endpoints: Vec<_> = settings.endpoints.iter().map(|endpoint| format!("{scheme}://{endpoint}")).collect();
    Client::connect(endpoints, Some(options)).await
}

async fn tls_options(tls: &EtcdTls) -> Result<TlsOptions, Error> {
    let mut options = match &tls.ca_file {
        Some(file) => TlsOptions::new().ca_certificate(Certificate::from_pem(read(file).await?)),
        None => TlsOptions::new().with_native_roots(),
    };
    if let Some((certificate, key)) = &tls.client {
        options = options.identity(Identity::from_pem(read(certificate).await?, read(key).await?));
    }
    Ok(options)
}

async fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    let named = |path: &Path, error: std::io::Error| std::io::Error::other(format!("`{}`: {error}", path.display()));
    tokio::fs::read(path).await.map_err(|error| Error::IoError(named(path, error)))
}

/// Whether asking again, or another member, is of no use.
fn is_final(error: &Error) -> bool {
    // The codes of gRPC by their numbers, since tonic's type is not ours to name: 3 invalid argument, 7 permission
    // denied, 8 no space left, 9 failed precondition, 11 out of range (a revision that was compacted).
    matches!(error, Error::GRpcStatus(status) if matches!(i32::from(status.code()), 3 | 7 | 8 | 9 | 11))
        || matches!(error, Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_))
}

fn no_answer(doing: &str, error: &Error) -> NoAnswer {
    NoAnswer(match error {
        // The whole of a status has its metadata in it, which say nothing to a reader.
        Error::GRpcStatus(status) => {
            with_causes(format!("{doing}: etcd answers {:?}: {}", status.code(), status.message()), status)
        }
        Error::TransportError(error) => with_causes(format!("{doing}: the way to etcd: {error}"), error),
        other => format!("{doing}: {other}"),
    })
}

/// Adds the causes that `told` does not tell of already.
fn with_causes(mut told: String, error: &dyn std::error::Error) -> String {
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoints", &self.settings.endpoints).finish_non_exhaustive()
    }
}
