//! The listeners around a service: what is accepted, told of its health, and drained.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::Inbound;
use super::listener::{BindError, Listener, ListenerSettings, LiveSettings};
use super::shutdown::{Drain, Drained, Running};
use super::workers::Workers;
use crate::admin::api::AdminApi;
use crate::admin::health::{Admin, Health, Metrics};
use crate::layer::BoxError;
use crate::telemetry::metrics;

/// How long running calls of the admin listener may take to finish, once all others have.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);

/// What a [`Frontend`] needs to know.
#[derive(Clone, Debug)]
pub struct FrontendSettings {
    /// The data listener.
    pub listen: ListenerSettings,
    /// The admin listener's address, if there is to be one.
    pub admin: Option<SocketAddr>,
    /// How long running requests may take to finish once the server was asked to stop.
    pub drain_timeout: Duration,
}

/// The ports and the service behind them: open, and serving once it [runs](Self::run).
pub struct Frontend<S> {
    workers: Workers<S>,
    data: Listener,
    admin: Option<Listener>,
    health: Health,
    api: Option<AdminApi>,
    authz: Option<Authz>,
    metrics: Metrics,
    drain_timeout: Arc<ArcSwap<Duration>>,
}

/// What of a [`Frontend`] can be exchanged while it serves.
#[derive(Clone, Debug)]
pub(super) struct LiveFrontend {
    listen: LiveSettings,
    drain_timeout: Arc<ArcSwap<Duration>>,
}

impl LiveFrontend {
    /// Goes by `settings` from now on, but for addresses and `max_connections`.
    pub(super) fn replace(&self, settings: FrontendSettings) {
        self.listen.store(Arc::new(settings.listen));
        self.drain_timeout.store(Arc::new(settings.drain_timeout));
    }
}

/// The listener for proxies that ask, and how it is served.
struct Authz {
    addresses: Vec<SocketAddr>,
    serve: Box<dyn FnOnce(&Running) + Send>,
}

impl fmt::Debug for Authz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authz").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl<S, ResB> Frontend<S>
where
    S: Service<Request<Inbound>, Response = Response<ResB>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    /// Opens the ports for `workers` and for what `health` has to say.
    ///
    /// # Errors
    /// [`BindError`] when a port is not to be had.
    pub async fn bind(settings: FrontendSettings, workers: Workers<S>, health: Health) -> Result<Self, BindError> {
        let admin = match settings.admin {
            Some(address) => Some(Listener::bind(admin_listener(address, &settings.listen)).await?),
            None => None,
        };
        let data = Listener::bind(settings.listen).await?;
        let metrics: Metrics = Arc::new(metrics::render);
        let drain_timeout = Arc::new(ArcSwap::from_pointee(settings.drain_timeout));
        Ok(Self { workers, data, admin, health, api: None, authz: None, metrics, drain_timeout })
    }

    /// What of it can be exchanged while it serves.
    pub(super) fn live(&self) -> LiveFrontend {
        LiveFrontend { listen: Arc::clone(self.data.live()), drain_timeout: Arc::clone(&self.drain_timeout) }
    }

    /// Tells what this writes at `/metrics`, instead of what was counted alone.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Answers the calls of `api` on the admin listener.
    #[must_use]
    pub fn with_admin_api(mut self, api: Option<AdminApi>) -> Self {
        self.api = api;
        self
    }

    /// Serves `service` on `listener` to the proxies that ask about requests which they carry themselves, for as long as the
    /// data listener is served.
    #[must_use]
    pub fn with_authz<A, ResA>(mut self, listener: Listener, service: A) -> Self
    where
        A: Service<Request<Inbound>, Response = Response<ResA>> + Clone + Send + Sync + 'static,
        A::Future: Send + 'static,
        A::Error: Into<BoxError>,
        ResA: Body<Data = Bytes> + Send + 'static,
        ResA::Error: Into<BoxError>,
    {
        let addresses = listener.local_addrs();
        // They have no bytes to carry.
        let serve = Box::new(move |running: &Running| listener.serve(&Workers::here(service), running));
        self.authz = Some(Authz { addresses, serve });
        self
    }

    /// The data listener's addresses, with the ports that were given for port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.data.local_addrs()
    }

    /// The admin listener's address.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.local_addrs().first().copied())
    }

    /// The address of the listener for proxies that ask.
    pub fn authz_addr(&self) -> Option<SocketAddr> {
        self.authz.as_ref().and_then(|authz| authz.addresses.first().copied())
    }

    /// Serves until `shutdown` is ready, then drains: readiness fails, ports close, idle connections go, and running
    /// requests have the drain time-out to finish.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Drained {
        let (drain, running) = Drain::new();
        self.data.serve(&self.workers, &running);
        if let Some(authz) = self.authz {
            (authz.serve)(&running);
        }
        drop(running);
        // Answers probes until the very end, so that it has a drain of its own.
        let (admin_drain, running) = Drain::new();
        if let Some(admin) = self.admin {
            let service = Admin::new(self.health.clone(), move || (self.metrics)()).with_api(self.api);
            admin.serve(&Workers::here(service), &running);
        }
        drop(running);
        shutdown.await;
        let drain_timeout = **self.drain_timeout.load();
        tracing::info!(?drain_timeout, "stopping: no new connections, running requests may finish");
        self.health.drain();
        let drained = drain.finish(drain_timeout).await;
        // A change that is under way there may be acknowledged.
        admin_drain.finish(ADMIN_DRAIN).await;
        drop(self.workers);
        tracing::info!("stopped");
        drained
    }
}

/// Few connections, and none that lasts. Probes come from nearby: no balancer puts a PROXY header in front of them, and
/// they need no TLS.
fn admin_listener(address: SocketAddr, data: &ListenerSettings) -> ListenerSettings {
    ListenerSettings {
        name: "admin",
        addresses: vec![address],
        max_connections: 64,
        proxies_alone: false,
        proxy_protocol: false,
        tls: None,
        ..data.clone()
    }
}
