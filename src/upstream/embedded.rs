//! An object store inside the process: files in a directory, served over HTTP on a port of its own.
//!
//! For trying out and for tests. It speaks S3 like any other upstream, so that nothing else needs to know of it, and
//! like many of them it answers `501 NotImplemented` to `PUT ?policy`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::credentials::KeyPair;
use crate::auth::identity::AccessKeyId;
use crate::identity::CredentialStore;
use crate::s3::address::{Address, AddressStyle, Domains};

/// A running store. It stops when dropped.
#[derive(Debug)]
pub struct EmbeddedStore {
    address: SocketAddr,
    accepting: AbortHandle,
}

/// An embedded store could not be started.
#[derive(Debug)]
pub struct EmbeddedError {
    directory: PathBuf,
    reason: String,
}

impl EmbeddedStore {
    /// Serves the buckets under `directory`, which is made where it is missing, on a free port of the loopback
    /// interface. Requests must be signed with the key `own` or one that `callers` know, asked anew each time. Those for
    /// a host below one of `domains` are virtual-hosted.
    ///
    /// # Errors
    /// [`EmbeddedError`] when the directory cannot be used or no port can be had.
    pub async fn start(
        directory: &Path,
        own: KeyPair,
        callers: Arc<dyn CredentialStore>,
        domains: Domains,
    ) -> Result<Self, EmbeddedError> {
        let failed = |reason: String| EmbeddedError { directory: directory.to_owned(), reason };
        tokio::fs::create_dir_all(directory).await.map_err(|error| failed(error.to_string()))?;
        let files = FileSystem::new(directory).map_err(|error| failed(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(Keys { own, callers });
        builder.set_host(Hosts(domains));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| failed(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let accepting = tokio::spawn(accept(listener, builder.build())).abort_handle();
        Ok(Self { address, accepting })
    }

    /// Where it listens; `http`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Which bucket a host names, by the very rule that the proxy goes by.
struct Hosts(Domains);

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        match Address::parse(Some(host), "/", &self.0) {
            Ok((Address::Bucket(bucket), AddressStyle::VirtualHosted)) => {
                Ok(VirtualHost::new(host).with_bucket(bucket.as_str().to_owned()))
            }
            Ok(_) => Ok(VirtualHost::new(host)),
            Err(error) => Err(s3_error!(InvalidRequest, "{error}")),
        }
    }
}

/// The keys that the embedded store knows.
struct Keys {
    own: KeyPair,
    callers: Arc<dyn CredentialStore>,
}

impl Keys {
    async fn secret(&self, id: &str) -> S3Result<SecretKey> {
        if id == self.own.access_key_id.as_str() {
            return Ok(self.own.secret.expose().into());
        }
        match self.callers.credential(&AccessKeyId::new(id)).await {
            Ok(Some(credential)) => Ok(credential.secret.expose().into()),
            Ok(None) => Err(s3_error!(InvalidAccessKeyId)),
            Err(error) => Err(s3_error!(ServiceUnavailable, "{error}")),
        }
    }
}

impl S3Auth for Keys {
    fn get_secret_key<'a, 'b, 'f>(
        &'a self,
        id: &'b str,
    ) -> Pin<Box<dyn Future<Output = S3Result<SecretKey>> + Send + 'f>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        Box::pin(self.secret(id))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // The connections live in the accepting task's set and go with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let service = service.clone();
                connections.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                        tracing::debug!(%error, "a connection to the embedded store ended");
                    }
                });
            }
            Err(error) => refused(&error).await,
        }
    }
}

async fn refused(error: &io::Error) {
    tracing::warn!(%error, "the embedded store cannot accept a connection");
    // Most likely out of file descriptors: some time must pass for one to come free.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

impl fmt::Display for EmbeddedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the embedded store in `{}` cannot be started: {}", self.directory.display(), self.reason)
    }
}

impl std::error::Error for EmbeddedError {}
