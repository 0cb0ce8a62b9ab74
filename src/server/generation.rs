//! All that follows from the settings and may change with them, while what is kept, who is known and where we listen stay.

use std::sync::Arc;
use std::time::Duration;

use super::ServeError;
use super::auditing::{record, record_denial};
use super::authz;
use super::client_address::TrustedProxies;
use super::frontend::FrontendSettings;
use super::in_flight::InFlightLayer;
use super::listener::ListenerSettings;
use super::stack::{DataService, StackSettings};
use super::tls::Certificates;
use crate::auth::identity::{AccessKeyId, SecretKey};
use crate::config::Settings;
use crate::config::settings::{
    self, Endpoint as EndpointSettings, Enforcement, OwnershipSettings, OwnershipSource, PolicyHandler, StoreUrl,
    UpstreamAuth, UpstreamSettings,
};
use crate::identity::file::IdentityFile;
use crate::layer::{self, BucketPolicyLayer, Handler, PassThrough};
use crate::ownership::acl::AclOwners;
use crate::ownership::fixed::{BucketPattern, FixedOwners};
use crate::ownership::registry::RegistryOwners;
use crate::ownership::resolver::{OwnerResolver, Source};
use crate::s3::address::Domains;
use crate::s3::checksum::hex;
use crate::s3::held_bytes::HeldBytes;
use crate::spans::Tracer;
use crate::store::{OwnerRegistry, PolicyStore};
use crate::telemetry::audit::AuditLog;
use crate::upstream::{
    ClientSettings, ControlClient, ControlSettings, EmbeddedStore, Endpoint, Endpoints, KeyPair, Trust,
    UpstreamCredentials, UpstreamFormSigner,
};

/// How long a question of ours to the store may take: a client waits for the answer.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// What stays as long as the process runs.
pub(super) struct Lasting {
    pub(super) identities: Arc<IdentityFile>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) policies: Arc<dyn PolicyStore>,
    pub(super) registry: Arc<dyn OwnerRegistry>,
    pub(super) embedded: Option<Embedded>,
    pub(super) tracer: Option<Tracer>,
}

/// The store inside this process, and the key that is ours there.
pub(super) struct Embedded {
    store: EmbeddedStore,
    own: KeyPair,
}

/// What the settings of a time come to.
pub(super) struct Generation {
    pub(super) settings: Settings,
    pub(super) in_flight: InFlightLayer,
    pub(super) policies: BucketPolicyLayer,
    held: HeldBytes,
    upstream: Upstream,
    owners: Arc<OwnerResolver>,
    tracer: Option<Tracer>,
}

/// What is needed to speak to the store.
#[derive(Clone)]
pub(super) struct Upstream {
    client: Arc<ClientSettings>,
    control: Arc<ControlClient>,
    settings: ControlSettings,
    /// Whether questions of ours are signed.
    signed: bool,
}

impl Generation {
    /// What the settings come to that the process begins with.
    pub(super) fn first(lasting: &Lasting, settings: Settings, upstream: Upstream) -> Self {
        let owners = Arc::new(owners(&settings.ownership, lasting, &upstream));
        let in_flight = InFlightLayer::new(settings.limits.max_in_flight);
        let held = HeldBytes::new(settings.limits.max_held_bytes);
        let policies = policies(lasting, &settings, &upstream, &owners).with_held_bytes(held.clone()).build();
        Self { settings, in_flight, policies, held, upstream, owners, tracer: lasting.tracer.clone() }
    }

    /// What takes the place of this one for `settings`. What they leave as it is goes on: connections to the store, and what
    /// is known of buckets' owners, among it.
    ///
    /// # Errors
    /// [`ServeError`] where the store cannot be spoken to like that.
    pub(super) fn next(&self, lasting: &Lasting, settings: Settings) -> Result<Self, ServeError> {
        let same_upstream = self.settings.upstream == settings.upstream;
        let upstream = if same_upstream {
            self.upstream.clone()
        } else {
            Upstream::new(&settings.upstream, lasting.embedded.as_ref())?
        };
        let owners = if same_upstream && self.settings.ownership == settings.ownership {
            Arc::clone(&self.owners)
        } else {
            Arc::new(owners(&settings.ownership, lasting, &upstream))
        };
        let most = settings.limits.max_in_flight;
        let in_flight =
            if self.settings.limits.max_in_flight == most { self.in_flight.clone() } else { InFlightLayer::new(most) };
        let most = settings.limits.max_held_bytes;
        let held = if self.settings.limits.max_held_bytes == most { self.held.clone() } else { HeldBytes::new(most) };
        let policies = policies(lasting, &settings, &upstream, &owners);
        let policies = policies.with_held_bytes(held.clone()).in_turn_with(&self.policies).build();
        Ok(Self { settings, in_flight, policies, held, upstream, owners, tracer: lasting.tracer.clone() })
    }

    /// Asks the store.
    pub(super) fn control(&self) -> &Arc<ControlClient> {
        &self.upstream.control
    }

    /// What the stacks of layers need to know.
    pub(super) fn stack(&self) -> StackSettings {
        StackSettings {
            in_flight: self.in_flight.clone(),
            body_idle_timeout: self.settings.limits.idle_timeout,
            tracer: self.tracer.clone(),
        }
    }

    /// What answers proxies that ask.
    pub(super) fn decisions(&self) -> impl DataService + use<> {
        authz::decisions(self.in_flight.clone(), self.policies.authorizer(), self.tracer.clone())
    }

    /// What the clients of the store need to know; the same one as long as nothing of it changes.
    pub(super) fn client(&self) -> &Arc<ClientSettings> {
        &self.upstream.client
    }

    /// What the listeners go by.
    pub(super) fn frontend(&self, lasting: &Lasting) -> FrontendSettings {
        let Settings { listen, limits, admin, .. } = &self.settings;
        FrontendSettings {
            listen: ListenerSettings {
                name: "data",
                addresses: listen.addresses.clone(),
                max_connections: limits.max_connections,
                request_header_timeout: limits.request_header_timeout,
                idle_timeout: limits.idle_timeout,
                trusted_proxies: TrustedProxies::new(listen.trusted_proxies.clone()),
                proxies_alone: false,
                proxy_protocol: listen.proxy_protocol,
                tls: lasting.certificates.clone(),
            },
            admin: admin.as_ref().map(|admin| admin.address),
            drain_timeout: limits.drain_timeout,
        }
    }
}

fn policies(
    lasting: &Lasting,
    settings: &Settings,
    upstream: &Upstream,
    owners: &Arc<OwnerResolver>,
) -> layer::Builder {
    let control = &upstream.control;
    let handler = match settings.policy.handler {
        PolicyHandler::Store => Handler::Store(Arc::clone(&lasting.policies)),
        // Without credentials the store's policy cannot be read, and with them it must be.
        PolicyHandler::Forward => Handler::Forward { present: upstream.signed.then(|| Arc::clone(control) as _) },
    };
    let mut policies =
        BucketPolicyLayer::builder(Arc::clone(&lasting.identities) as _, Arc::clone(owners) as _, handler)
            .with_domains(domains(settings))
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
            .with_store_facts(Arc::clone(control) as _)
            .with_key_rule(match &lasting.embedded {
                // It keeps objects in files.
                Some(_) => layer::KeyRule::OneFile,
                None => layer::KeyRule::NoDots,
            })
            .with_form_signer(Arc::new(UpstreamFormSigner::new(
                upstream.settings.credentials.clone(),
                &*settings.upstream.region,
            )))
            .with_auditor({
                let audit = Arc::clone(&lasting.audit);
                move |change| record(&audit, change)
            })
            .with_denial_auditor({
                let audit = Arc::clone(&lasting.audit);
                move |denied| record_denial(&audit, denied)
            });
    if !settings.policy.lockout_guard {
        policies = policies.without_lockout_guard();
    }
    if let StoreUrl::S3 { bucket, .. } = &settings.store.url {
        policies = policies.with_reserved_bucket(bucket.clone());
    }
    policies
}

fn domains(settings: &Settings) -> Domains {
    // INVARIANT: `config` took these for domains already.
    Domains::parse(&settings.listen.domains).unwrap_or_default()
}

/// Starts the store inside this process, where the settings ask for one.
pub(super) async fn embedded(
    settings: &Settings,
    identities: &Arc<IdentityFile>,
) -> Result<Option<Embedded>, ServeError> {
    let directory = settings.upstream.endpoints.iter().find_map(|endpoint| match endpoint {
        EndpointSettings::Embedded(directory) => Some(directory),
        EndpointSettings::Http(_) => None,
    });
    let Some(directory) = directory else { return Ok(None) };
    let own = match &settings.upstream.credentials {
        Some(credentials) => pair(credentials),
        None => random_pair()?,
    };
    let callers = Arc::clone(identities) as _;
    let started = EmbeddedStore::start(directory, own.clone(), callers, domains(settings)).await;
    Ok(Some(Embedded { store: started.map_err(ServeError::Embedded)?, own }))
}

impl Upstream {
    pub(super) fn new(settings: &UpstreamSettings, embedded: Option<&Embedded>) -> Result<Self, ServeError> {
        let default = embedded.map(|embedded| embedded.own.clone()).or_else(|| settings.credentials.as_ref().map(pair));
        // INVARIANT: `config` refuses a file without any, and an embedded one among others, which was started by now.
        let endpoints = settings.endpoints.iter().map(|endpoint| match (endpoint, embedded) {
            (EndpointSettings::Http(uri), _) => uri.to_string(),
            (EndpointSettings::Embedded(_), Some(embedded)) => format!("http://{}", embedded.store.address()),
            (EndpointSettings::Embedded(directory), None) => directory.display().to_string(),
        });
        let endpoints = endpoints.map(|endpoint| Endpoint::parse(&endpoint)).collect::<Result<Vec<_>, _>>();
        let trust = settings.authorities.clone().map_or(Trust::System, Trust::Only);
        let endpoints = Endpoints::new(endpoints.map_err(ServeError::Endpoint)?, trust, settings.connect_timeout);
        let endpoints = endpoints.map_err(ServeError::Tls)?;
        let accounts = settings.accounts.iter().map(|(account, credentials)| (account.clone(), pair(credentials)));
        let credentials = UpstreamCredentials::new(default.as_ref(), accounts);
        let client = Arc::new(ClientSettings {
            endpoints: endpoints.clone(),
            region: settings.region.clone(),
            credentials: credentials.clone(),
            max_connections: settings.max_connections,
            response_header_timeout: settings.response_header_timeout,
        });
        let settings =
            ControlSettings { endpoints, region: settings.region.clone(), credentials, timeout: CONTROL_TIMEOUT };
        let control = Arc::new(ControlClient::new(settings.clone()).map_err(ServeError::Tls)?);
        Ok(Self { client, control, settings, signed: default.is_some() })
    }

    /// How it is asked, for others who ask.
    pub(super) fn settings(&self) -> &ControlSettings {
        &self.settings
    }
}

fn pair(credentials: &settings::UpstreamCredentials) -> KeyPair {
    KeyPair { access_key_id: credentials.access_key_id.clone(), secret: credentials.secret_access_key.clone() }
}

/// A key for the embedded store that nobody else knows.
fn random_pair() -> Result<KeyPair, ServeError> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| ServeError::Random(std::io::Error::other(error)))?;
    Ok(KeyPair { access_key_id: AccessKeyId::new("PORTCULLIS"), secret: SecretKey::new(hex(&random)) })
}

fn owners(settings: &OwnershipSettings, lasting: &Lasting, upstream: &Upstream) -> OwnerResolver {
    let (control, registry, identities) = (&upstream.control, &lasting.registry, &lasting.identities);
    let asks = upstream.signed;
    let source = |source: &OwnershipSource| match source {
        OwnershipSource::Static => {
            let entries = settings.buckets.iter();
            // INVARIANT: `config` took these for patterns already.
            let entries = entries.filter_map(|(name, id)| Some((BucketPattern::parse(name).ok()?, id.clone())));
            Some(Source::Fixed(entries.collect::<FixedOwners>()))
        }
        OwnershipSource::Registry => Some(Source::Registry(RegistryOwners::new(Arc::clone(registry)))),
        OwnershipSource::UpstreamAcl if asks => {
            let identities = Arc::clone(identities);
            let by_canonical_id = move |id: &str| identities.account_by_canonical_id(id).map(|account| account.id);
            Some(Source::UpstreamAcl(AclOwners::new(Arc::clone(control) as _, by_canonical_id)))
        }
        // Nobody is shown an ACL without a signature; `config` warns of it.
        OwnershipSource::UpstreamAcl => None,
        OwnershipSource::Default => settings.default_account.clone().map(Source::Default),
    };
    let sources = settings.sources.iter().filter_map(source).collect();
    let owners =
        OwnerResolver::new(Arc::clone(control) as _, sources, settings.cache_ttl).with_record(Arc::clone(registry));
    if asks { owners } else { owners.with_blind_probe() }
}
