//! Takes the settings apart: each part gets its own, and none of the others'.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::authz;
use super::frontend::{Frontend, FrontendSettings};
use super::gauges::Gauges;
use super::generation::{Generation, Lasting, Upstream, embedded};
use super::listener::Listener;
use super::live::Live;
use super::open_files;
use super::seats::{self, Exchange};
use super::stack::DataService;
use super::stores::{self, Stores};
use super::swapped::Swapped;
use super::tls::{CertificateFiles, ClientAuth, TlsFiles};
use super::traces::Traces;
use super::{Place, ServeError, Server};
use crate::admin::api::AdminApi;
use crate::admin::health::{Check, Health};
use crate::config::Settings;
use crate::config::settings::{self, AuthzSettings, Enforcement, LogSettings, PolicyHandler, StoreSettings, StoreUrl};
use crate::identity::file::IdentityFile;
use crate::meters::{self, File};
use crate::store::Metered;
use crate::telemetry::audit::{AuditLog, AuditTarget};
use crate::telemetry::logging::{self, Format, LoggingSettings};
use crate::telemetry::metrics;

pub(super) async fn assemble(settings: Settings, identities: Arc<IdentityFile>) -> Result<Server, ServeError> {
    // Somebody else's subscriber, a test's for one, is as good.
    let _ = logging::init(logging_settings(&settings.log));
    metrics::install();
    let audit = Arc::new(AuditLog::open(audit_target(&settings.log)).map_err(ServeError::Audit)?);
    let certificates = super::certificates(&settings).map_err(ServeError::Certificates)?.map(Arc::new);
    let embedded = embedded(&settings, &identities).await?;
    let upstream = Upstream::new(&settings.upstream, embedded.as_ref())?;
    let stores = stores::open(&settings.store, upstream.settings(), embedded.is_some()).await?;
    let Stores { policies, registry, check, freeze, staleness } = stores;
    let policies = Arc::new(Metered::new(policies));
    let traces = Traces::start(settings.trace.as_ref())?;
    let tracer = traces.tracer();
    let lasting = Lasting { identities, certificates, audit, policies, registry, embedded, tracer };
    let generation = Generation::first(&lasting, settings, upstream);

    let administration = generation.policies.administration(Arc::clone(&lasting.registry));
    let token_file = generation.settings.admin.as_ref().and_then(|admin| admin.token_file.clone());
    let api = token_file.map(|token_file| AdminApi::new(token_file, administration, freeze));
    let limits = generation.settings.limits;
    open_files::allow(limits.max_connections, limits.max_in_flight);
    let (workers, exchange) = seats::start(&generation).map_err(ServeError::Workers)?;
    let mut exchanges = vec![exchange];
    let settings = generation.frontend(&lasting);
    let authz = match &generation.settings.authz {
        Some(AuthzSettings { address }) => Some(authz_listener(*address, &settings, &generation).await?),
        None => None,
    };
    let asked = Mutex::new(generation.settings.clone());
    let current = Arc::new(ArcSwap::from_pointee(generation));
    let gauges = Gauges { current: Arc::clone(&current), certificates: lasting.certificates.clone(), staleness };
    let health = health(Arc::clone(&current), check);
    let frontend = Frontend::bind(settings, workers, health).await.map_err(ServeError::Bind)?;
    let mut frontend = frontend.with_admin_api(api.clone()).with_metrics(gauges.into_metrics());
    if let Some((listener, decisions, exchange)) = authz {
        frontend = frontend.with_authz(listener, decisions);
        exchanges.push(exchange);
    }
    let live = Arc::new(Live { frontend: frontend.live(), api, exchanges, asked, current, lasting });
    begun(&live, &frontend.local_addrs());
    Ok(Server {
        addresses: frontend.local_addrs(),
        admin: frontend.admin_addr(),
        authz: frontend.authz_addr(),
        live: Arc::clone(&live),
        run: Box::new(move |shutdown| {
            Box::pin(async move {
                let upkeep = tokio::spawn(metrics::upkeep());
                let drained = frontend.run(shutdown).await;
                upkeep.abort();
                traces.finish().await;
                // What lasts must outlive the last request.
                drop(live);
                drained
            })
        }),
    })
}

/// The listener for proxies that ask, its service, and how to exchange both.
async fn authz_listener(
    address: SocketAddr,
    settings: &FrontendSettings,
    generation: &Generation,
) -> Result<(Listener, Swapped<impl DataService + use<>>, Exchange), ServeError> {
    let listener = Listener::bind(authz::listener(address, &settings.listen)).await.map_err(ServeError::Bind)?;
    let live = Arc::clone(listener.live());
    let decisions = Swapped::new(generation.decisions());
    let served = decisions.clone();
    let exchange = move |generation: &Generation, settings: &FrontendSettings| {
        live.store(Arc::new(authz::listener(address, &settings.listen)));
        served.replace(generation.decisions());
    };
    Ok((listener, decisions, Box::new(exchange)))
}

fn begun(live: &Live, addresses: &[SocketAddr]) {
    File::Config.loaded();
    File::Identities.loaded();
    if live.lasting.certificates.is_some() {
        File::Certificates.loaded();
    }
    meters::RESTART_NEEDED.gauge(&[]).set(0.0);
    let policy = live.current.load().settings.policy;
    announce(policy.handler, policy.enforcement, addresses);
}

fn announce(handler: PolicyHandler, enforcement: Enforcement, addresses: &[SocketAddr]) {
    let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %addresses, "serving");
    match (handler, enforcement) {
        (_, Enforcement::Enforce) => tracing::info!("policies are enforced on every request"),
        (_, Enforcement::Audit) => {
            tracing::warn!("a dry run: every request is decided, what would be denied is told, and all of it passes");
        }
        (PolicyHandler::Store, Enforcement::Off) => {
            tracing::warn!("policies are kept and not enforced: they decide ?policy calls, and no other request");
        }
        (PolicyHandler::Forward, Enforcement::Off) => {
            tracing::info!("policies are forwarded to the store, which is to enforce them");
        }
    }
}

/// Opens the place `url` with all else that `settings` say, for whoever moves what is kept. Copies of what is read do not
/// count for a moment.
pub(super) async fn open_place(
    settings: &Settings,
    url: StoreUrl,
    identities: &Arc<IdentityFile>,
) -> Result<Place, ServeError> {
    let embedded = embedded(settings, identities).await?;
    let upstream = Upstream::new(&settings.upstream, embedded.as_ref())?;
    let store = StoreSettings { url, refresh: Duration::ZERO, max_staleness: Duration::ZERO };
    let stores = stores::open(&store, upstream.settings(), embedded.is_some()).await?;
    let Stores { policies, registry, .. } = stores;
    Ok(Place { policies, registry, _embedded: embedded })
}

fn health(current: Arc<ArcSwap<Generation>>, store: Check) -> Health {
    let upstream: Check = Box::new(move || {
        let control = Arc::clone(current.load().control());
        Box::pin(async move { control.reachable().await.map_err(|error| error.to_string()) })
    });
    Health::new([("store", store), ("upstream", upstream)])
}

pub(super) fn tls_files(tls: &settings::TlsSettings) -> TlsFiles {
    let files =
        |files: &settings::CertificateSettings| CertificateFiles { cert: files.cert.clone(), key: files.key.clone() };
    TlsFiles {
        certificates: tls.certificates.iter().map(files).collect(),
        client_auth: match &tls.client_auth {
            settings::ClientAuth::Off => ClientAuth::Off,
            settings::ClientAuth::Optional(ca) => ClientAuth::Optional(ca.clone()),
            settings::ClientAuth::Required(ca) => ClientAuth::Required(ca.clone()),
        },
    }
}

fn logging_settings(log: &LogSettings) -> LoggingSettings {
    LoggingSettings {
        format: match log.format {
            settings::LogFormat::Text => Format::Text,
            settings::LogFormat::Json => Format::Json,
        },
        level: log.level,
    }
}

fn audit_target(log: &LogSettings) -> AuditTarget {
    match &log.audit {
        settings::AuditTarget::Stderr => AuditTarget::Stderr,
        settings::AuditTarget::File(path) => AuditTarget::File(path.clone()),
    }
}
