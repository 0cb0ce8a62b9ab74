//! Puts the parts together and runs them.

mod activity;
mod assemble;
mod auditing;
pub mod authz;
pub mod body;
pub mod caller;
pub mod client_address;
pub mod config_file;
pub mod frontend;
mod gauges;
mod generation;
pub mod idle;
pub mod in_flight;
pub mod listener;
pub mod live;
mod open_files;
pub mod proxy_protocol;
mod rescue;
mod seats;
pub mod shutdown;
pub mod stack;
mod stores;
mod swapped;
pub mod tls;
mod traces;
mod transport;
pub mod workers;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::settings::StoreUrl;
use crate::config::{Problems, Settings};
use crate::identity::file::IdentityFile;
use crate::store::redb::OpenError as StoreOpenError;
use crate::store::s3::objects::ObjectError;
use crate::store::{OwnerRegistry, PolicyStore};
use crate::telemetry::audit::OpenError as AuditOpenError;
use crate::upstream::{EmbeddedError, InvalidEndpoint, TlsError};
use config_file::ConfigFile;
use generation::Embedded;
use listener::BindError;
use live::Live;
use shutdown::Drained;
use tls::Certificates;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The whole proxy: its ports are open, and it serves once it [runs](Self::run).
pub struct Server {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    authz: Option<SocketAddr>,
    live: Arc<Live>,
    run: Box<dyn FnOnce(BoxFuture<()>) -> BoxFuture<Drained> + Send>,
}

impl Server {
    /// Builds every part that `settings` ask for, and opens the ports. Logging starts here, unless it was started
    /// before. `identities` are asked anew for each request, so re-reading them needs nothing here.
    ///
    /// # Errors
    /// [`ServeError`] with the part that could not be built.
    pub async fn bind(settings: Settings, identities: Arc<IdentityFile>) -> Result<Self, ServeError> {
        assemble::assemble(settings, identities).await
    }

    /// The data listener's addresses, with the ports that were given for port 0.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The admin listener's address, where there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The address of the listener for proxies that ask, where there is one.
    pub fn authz_addr(&self) -> Option<SocketAddr> {
        self.authz
    }

    /// The certificates that new connections begin with, for re-reading them; none where TLS is not ended here.
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.live.lasting.certificates.as_ref()
    }

    /// The file at `path`, which these settings were read from, to be read anew while the server runs. What can be
    /// exchanged counts from the next request on; running requests end by what they began with. In a runtime.
    pub fn config_file(&self, path: PathBuf) -> ConfigFile {
        ConfigFile::new(path, Arc::clone(&self.live))
    }

    /// Serves until `shutdown` is ready, then drains: readiness fails, ports close, idle connections go, and running
    /// requests have the drain time-out to finish.
    ///
    /// # Errors
    /// [`ServeError::Cut`] where some had not by then.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        match (self.run)(Box::pin(shutdown)).await {
            Drained::Clean => Ok(()),
            Drained::Cut(connections) => Err(ServeError::Cut { connections }),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// Serves what `settings` say until `shutdown` is ready.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    settings: Settings,
    identities: Arc<IdentityFile>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    Server::bind(settings, identities).await?.run(shutdown).await
}

/// A place that policies and owners are kept in, open without a server around it.
pub struct Place {
    /// Policies and public access blocks.
    pub policies: Arc<dyn PolicyStore>,
    /// The owners of buckets.
    pub registry: Arc<dyn OwnerRegistry>,
    /// Must outlive both.
    _embedded: Option<Embedded>,
}

impl Place {
    /// Opens `url` by what else `settings` say, such as the object store. No copy of what is read is believed.
    ///
    /// # Errors
    /// [`ServeError`] with the part that could not be opened.
    pub async fn open(settings: &Settings, url: StoreUrl, identities: &Arc<IdentityFile>) -> Result<Self, ServeError> {
        assemble::open_place(settings, url, identities).await
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// Reads the certificates that `settings` name; none where TLS is not ended here. [`Server::bind`] does so for itself: this
/// is for whoever wants to know all that is wrong with them beforehand.
///
/// # Errors
/// Every problem of every file.
pub fn certificates(settings: &Settings) -> Result<Option<Certificates>, Problems> {
    settings.listen.tls.as_ref().map(|tls| Certificates::load(assemble::tls_files(tls))).transpose()
}

/// The proxy could not be started, or not be stopped as it should.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// An address is not to be had.
    Bind(BindError),
    /// The upstream's address is none.
    Endpoint(InvalidEndpoint),
    /// The certificates for clients cannot be used.
    Certificates(Problems),
    /// The way to the store cannot be secured.
    Tls(TlsError),
    /// The embedded store does not start.
    Embedded(EmbeddedError),
    /// The file of the policies cannot be opened.
    Store(StoreOpenError),
    /// The bucket of the policies is not there and cannot be made.
    Objects(ObjectError),
    /// This program was built without what the place of the policies needs.
    NotBuilt {
        /// The feature that it is built with.
        feature: &'static str,
    },
    /// The audit trail cannot be opened.
    Audit(AuditOpenError),
    /// The system has no random numbers for the embedded store's key.
    Random(io::Error),
    /// The system gives no threads to serve clients with.
    Workers(io::Error),
    /// Traces cannot be sent.
    Traces(Box<dyn std::error::Error + Send + Sync>),
    /// Running requests were cut off when the drain time-out had passed.
    Cut {
        /// How many connections.
        connections: usize,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Endpoint(error) => error.fmt(f),
            Self::Certificates(problems) => problems.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Embedded(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Objects(error) => write!(f, "the bucket of the policies cannot be made: {error}"),
            Self::NotBuilt { feature } => write!(f, "this build has no {feature}"),
            Self::Audit(error) => error.fmt(f),
            Self::Random(error) => write!(f, "no random numbers are to be had: {error}"),
            Self::Workers(error) => write!(f, "no threads are to be had: {error}"),
            Self::Traces(error) => write!(f, "traces cannot be sent: {error}"),
            Self::Cut { connections } => {
                write!(f, "{connections} connections were cut off, since they were busy past `limits.drain_timeout`")
            }
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind(error) => Some(&error.cause),
            Self::Endpoint(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Embedded(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Objects(error) => Some(error),
            Self::Audit(error) => Some(error),
            Self::Random(error) | Self::Workers(error) => Some(error),
            Self::Traces(error) => Some(error.as_ref()),
            Self::Certificates(_) | Self::NotBuilt { .. } | Self::Cut { .. } => None,
        }
    }
}
