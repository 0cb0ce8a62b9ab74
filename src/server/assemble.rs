//! Takes the settings apart: each part gets its own, and none of the others'.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::authz;
use super::client_address::TrustedProxies;
use super::frontend::{Frontend, FrontendSettings};
use super::gauges::Gauges;
use super::in_flight::InFlightLayer;
use super::listener::{Listener, ListenerSettings};
use super::open_files;
use super::stack::{StackSettings, stack};
use super::stores::{self, Stores};
use super::tls::{CertificateFiles, ClientAuth, TlsFiles};
use super::workers::Workers;
use super::{Place, ServeError, Server};
use crate::admin::api::AdminApi;
use crate::admin::health::{Check, Health};
use crate::auth::identity::{AccessKeyId, SecretKey};
use crate::config::Settings;
use crate::config::settings::{
    self, Endpoint as EndpointSettings, Enforcement, LogSettings, OwnershipSettings, OwnershipSource, PolicyHandler,
    StoreSettings, StoreUrl, UpstreamAuth, UpstreamSettings,
};
use crate::identity::file::IdentityFile;
use crate::layer::{self, BucketPolicyLayer, DenialCause, Denied, Handler, Outcome, PassThrough, PolicyChange};
use crate::meters::{self, File};
use crate::ownership::acl::AclOwners;
use crate::ownership::fixed::{BucketPattern, FixedOwners};
use crate::ownership::registry::RegistryOwners;
use crate::ownership::resolver::{OwnerResolver, Source};
use crate::s3::address::Domains;
use crate::s3::checksum::hex;
use crate::s3::held_bytes::HeldBytes;
use crate::store::{Metered, OwnerRegistry};
use crate::telemetry::audit::{AuditLog, AuditRecord, AuditTarget, DenialRecord};
use crate::telemetry::logging::{self, Format, LoggingSettings};
use crate::telemetry::metrics;
use crate::upstream::{
    ClientSettings, ControlClient, ControlSettings, EmbeddedStore, Endpoint, Endpoints, KeyPair, Trust,
    UpstreamCredentials, UpstreamFormSigner,
};

/// How long a question of ours to the store may take: a client waits for the answer.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn assemble(settings: Settings, identities: Arc<IdentityFile>) -> Result<Server, ServeError> {
    // Somebody else's subscriber, a test's for one, is as good.
    let _ = logging::init(logging_settings(&settings.log));
    metrics::install();
    File::Config.loaded();
    File::Identities.loaded();
    let audit = Arc::new(AuditLog::open(audit_target(&settings.log)).map_err(ServeError::Audit)?);
    let certificates = super::certificates(&settings).map_err(ServeError::Certificates)?.map(Arc::new);
    if certificates.is_some() {
        File::Certificates.loaded();
    }
    // INVARIANT: `config` took these for domains already.
    let domains = Domains::parse(&settings.listen.domains).unwrap_or_default();
    let upstream = upstream(&settings.upstream, &domains, &identities).await?;
    let is_embedded = upstream.embedded.is_some();
    let Stores { policies: store, registry, check: store_check, freeze, staleness } =
        stores::open(&settings.store, &upstream.control, is_embedded).await?;
    let control = Arc::new(ControlClient::new(upstream.control).map_err(ServeError::Tls)?);
    let asks = upstream.signed;
    let owners = owners(&settings.ownership, Arc::clone(&control), asks, &registry, Arc::clone(&identities));
    let handler = match settings.policy.handler {
        PolicyHandler::Store => Handler::Store(Arc::new(Metered::new(Arc::clone(&store)))),
        // Without credentials the store's policy cannot be read, and with them it must be.
        PolicyHandler::Forward => Handler::Forward { present: asks.then(|| Arc::clone(&control) as _) },
    };
    let mut policies = BucketPolicyLayer::builder(identities, Arc::new(owners), handler)
        .with_held_bytes(HeldBytes::new(settings.limits.max_held_bytes))
        .with_domains(domains)
        .with_region(settings.upstream.region.clone())
        .with_pass_through(match settings.upstream.auth {
            UpstreamAuth::Preserve => PassThrough::AsSent,
            UpstreamAuth::Resign => PassThrough::Verified,
        })
        .with_enforcement(match settings.policy.enforcement {
            Enforcement::Off => layer::Enforcement::Off,
            Enforcement::Audit => layer::Enforcement::Audit,
            Enforcement::Enforce => layer::Enforcement::Enforce,
        })
        .with_store_facts(Arc::clone(&control) as _)
        .with_key_rule(match &upstream.embedded {
            // It keeps objects in files.
            Some(_) => layer::KeyRule::OneFile,
            None => layer::KeyRule::NoDots,
        })
        .with_form_signer(Arc::new(UpstreamFormSigner::new(
            upstream.client.credentials.clone(),
            &*settings.upstream.region,
        )))
        .with_auditor({
            let audit = Arc::clone(&audit);
            move |change| record(&audit, change)
        })
        .with_denial_auditor(move |denied| record_denial(&audit, denied));
    if !settings.policy.lockout_guard {
        policies = policies.without_lockout_guard();
    }
    if let StoreUrl::S3 { bucket, .. } = settings.store.url {
        policies = policies.with_reserved_bucket(bucket);
    }

    let limits = settings.limits;
    open_files::allow(limits.max_connections, limits.max_in_flight);
    let in_flight = InFlightLayer::new(limits.max_in_flight);
    let gauges = Gauges { in_flight: in_flight.clone(), certificates: certificates.clone(), staleness };
    let stack_settings = StackSettings { in_flight, body_idle_timeout: limits.idle_timeout };
    let policies = policies.build();
    let administration = policies.administration(registry);
    let (admin, token_file) = settings.admin.map(|admin| (admin.address, admin.token_file)).unzip();
    let api = token_file.flatten().map(|token_file| AdminApi::new(token_file, administration, freeze));
    let listen = ListenerSettings {
        name: "data",
        addresses: settings.listen.addresses,
        max_connections: limits.max_connections,
        request_header_timeout: limits.request_header_timeout,
        idle_timeout: limits.idle_timeout,
        trusted_proxies: TrustedProxies::new(settings.listen.trusted_proxies),
        proxies_alone: false,
        proxy_protocol: settings.listen.proxy_protocol,
        tls: certificates.clone(),
    };
    let authz = match settings.authz {
        Some(authz) => {
            let listener = Listener::bind(authz::listener(authz.address, &listen)).await.map_err(ServeError::Bind)?;
            Some((listener, authz::decisions(stack_settings.in_flight.clone(), policies.authorizer())))
        }
        None => None,
    };
    let service = || stack(stack_settings.clone(), policies.clone(), upstream.client.clone());
    let workers = match upstream.client.max_connections {
        None => Workers::start(limits.workers, service),
        // A bound on all connections is kept by whoever knows of all of them.
        Some(_) => {
            let service = service();
            Workers::start(limits.workers, || service.clone())
        }
    };
    let workers = workers.map_err(ServeError::Workers)?;
    let frontend = FrontendSettings { listen, admin, drain_timeout: limits.drain_timeout };
    let frontend = Frontend::bind(frontend, workers, health(control, store_check)).await.map_err(ServeError::Bind)?;
    let mut frontend = frontend.with_admin_api(api).with_metrics(gauges.into_metrics());
    if let Some((listener, decisions)) = authz {
        frontend = frontend.with_authz(listener, decisions);
    }
    announce(settings.policy.handler, settings.policy.enforcement, &frontend.local_addrs());
    let embedded = upstream.embedded;
    Ok(Server {
        addresses: frontend.local_addrs(),
        admin: frontend.admin_addr(),
        authz: frontend.authz_addr(),
        certificates,
        run: Box::new(move |shutdown| {
            Box::pin(async move {
                let upkeep = tokio::spawn(metrics::upkeep());
                let drained = frontend.run(shutdown).await;
                upkeep.abort();
                // Both must outlive the last request.
                drop((embedded, store));
                drained
            })
        }),
    })
}

fn announce(handler: PolicyHandler, enforcement: Enforcement, addresses: &[std::net::SocketAddr]) {
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
    // INVARIANT: `config` took these for domains already.
    let domains = Domains::parse(&settings.listen.domains).unwrap_or_default();
    let upstream = upstream(&settings.upstream, &domains, identities).await?;
    let store = StoreSettings { url, refresh: Duration::ZERO, max_staleness: Duration::ZERO };
    let Stores { policies, registry, .. } =
        stores::open(&store, &upstream.control, upstream.embedded.is_some()).await?;
    Ok(Place { policies, registry, _embedded: upstream.embedded })
}

/// What is needed to speak to the store.
struct Upstream {
    client: ClientSettings,
    control: ControlSettings,
    /// Whether questions of ours are signed.
    signed: bool,
    embedded: Option<EmbeddedStore>,
}

async fn upstream(
    settings: &UpstreamSettings,
    domains: &Domains,
    identities: &Arc<IdentityFile>,
) -> Result<Upstream, ServeError> {
    let pair = |credentials: &settings::UpstreamCredentials| KeyPair {
        access_key_id: credentials.access_key_id.clone(),
        secret: credentials.secret_access_key.clone(),
    };
    let mut default = settings.credentials.as_ref().map(pair);
    let mut embedded = None;
    // INVARIANT: `config` refuses a file without any, and an embedded one among others.
    let mut endpoints = Vec::with_capacity(settings.endpoints.len());
    for endpoint in &settings.endpoints {
        let endpoint = match endpoint {
            EndpointSettings::Http(uri) => uri.to_string(),
            EndpointSettings::Embedded(directory) => {
                let own = match &default {
                    Some(pair) => pair.clone(),
                    None => random_pair()?,
                };
                let callers = Arc::clone(identities) as _;
                let store = EmbeddedStore::start(directory, own.clone(), callers, domains.clone())
                    .await
                    .map_err(ServeError::Embedded)?;
                default = Some(own);
                let endpoint = format!("http://{}", store.address());
                embedded = Some(store);
                endpoint
            }
        };
        endpoints.push(Endpoint::parse(&endpoint).map_err(ServeError::Endpoint)?);
    }
    let trust = settings.authorities.clone().map_or(Trust::System, Trust::Only);
    let endpoints = Endpoints::new(endpoints, trust, settings.connect_timeout).map_err(ServeError::Tls)?;
    let accounts = settings.accounts.iter().map(|(account, credentials)| (account.clone(), pair(credentials)));
    let credentials = UpstreamCredentials::new(default.as_ref(), accounts);
    Ok(Upstream {
        client: ClientSettings {
            endpoints: endpoints.clone(),
            region: settings.region.clone(),
            credentials: credentials.clone(),
            max_connections: settings.max_connections,
            response_header_timeout: settings.response_header_timeout,
        },
        control: ControlSettings { endpoints, region: settings.region.clone(), credentials, timeout: CONTROL_TIMEOUT },
        signed: default.is_some(),
        embedded,
    })
}

/// A key for the embedded store that nobody else knows.
fn random_pair() -> Result<KeyPair, ServeError> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| ServeError::Random(std::io::Error::other(error)))?;
    Ok(KeyPair { access_key_id: AccessKeyId::new("PORTCULLIS"), secret: SecretKey::new(hex(&random)) })
}

fn owners(
    settings: &OwnershipSettings,
    control: Arc<ControlClient>,
    asks: bool,
    registry: &Arc<dyn OwnerRegistry>,
    identities: Arc<IdentityFile>,
) -> OwnerResolver {
    let source = |source: &OwnershipSource| match source {
        OwnershipSource::Static => {
            let entries = settings.buckets.iter();
            // INVARIANT: `config` took these for patterns already.
            let entries = entries.filter_map(|(name, id)| Some((BucketPattern::parse(name).ok()?, id.clone())));
            Some(Source::Fixed(entries.collect::<FixedOwners>()))
        }
        OwnershipSource::Registry => Some(Source::Registry(RegistryOwners::new(Arc::clone(registry)))),
        OwnershipSource::UpstreamAcl if asks => {
            let identities = Arc::clone(&identities);
            let by_canonical_id = move |id: &str| identities.account_by_canonical_id(id).map(|account| account.id);
            Some(Source::UpstreamAcl(AclOwners::new(Arc::clone(&control) as _, by_canonical_id)))
        }
        // Nobody is shown an ACL without a signature; `config` warns of it.
        OwnershipSource::UpstreamAcl => None,
        OwnershipSource::Default => settings.default_account.clone().map(Source::Default),
    };
    let sources = settings.sources.iter().filter_map(source).collect();
    let owners =
        OwnerResolver::new(Arc::clone(&control) as _, sources, settings.cache_ttl).with_record(Arc::clone(registry));
    if asks { owners } else { owners.with_blind_probe() }
}

fn health(control: Arc<ControlClient>, store: Check) -> Health {
    let upstream: Check = Box::new(move || {
        let control = Arc::clone(&control);
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

/// Writes a change's line. One that cannot be written is told in the log; the change itself has been made.
fn record(audit: &AuditLog, change: &PolicyChange) {
    let time = OffsetDateTime::from(change.at).format(&Rfc3339).unwrap_or_default();
    let (revision, outcome) = match &change.outcome {
        Outcome::Stored { revision } => (*revision, "stored".to_owned()),
        Outcome::Forwarded { status } => (None, format!("forwarded: {status}")),
        Outcome::Failed { reason } => (None, format!("failed: {reason}")),
    };
    let written = audit.write(&AuditRecord {
        time: &time,
        request_id: &change.request_id,
        action: change.kind.as_str(),
        bucket: change.bucket.as_str(),
        principal: change.by.as_deref(),
        account: change.account.as_ref().map(|id| id.as_str()),
        source_ip: change.peer,
        revision,
        sha256: change.sha256.as_deref(),
        owner: change.owner.as_ref().map(|id| id.as_str()),
        outcome: &outcome,
    });
    if let Err(error) = written {
        meters::AUDIT_ERRORS.counter(&[]).increment(1);
        tracing::error!(%error, request_id = %change.request_id, bucket = %change.bucket, "an audit line was not written");
    }
}

/// Writes a denial's line.
fn record_denial(audit: &AuditLog, denied: &Denied) {
    let time = OffsetDateTime::from(denied.at).format(&Rfc3339).unwrap_or_default();
    let (event, denial, code) = match (&denied.cause, denied.enforced) {
        (DenialCause::Policies(denial), true) => ("denied", Some(&**denial), None),
        (DenialCause::Policies(denial), false) => ("would_deny", Some(&**denial), None),
        (DenialCause::Refused { code, .. }, _) => ("would_refuse", None, Some(*code)),
    };
    let written = audit.write(&DenialRecord {
        time: &time,
        request_id: &denied.request_id,
        event,
        operation: denied.operation.map(crate::s3::operation::Operation::name),
        principal: denied.by.as_deref().unwrap_or("anonymous"),
        account: denied.account.as_ref().map(|id| id.as_str()),
        source_ip: denied.peer,
        denial,
        code,
    });
    if let Err(error) = written {
        meters::AUDIT_ERRORS.counter(&[]).increment(1);
        tracing::error!(%error, request_id = %denied.request_id, "an audit line was not written");
    }
}
