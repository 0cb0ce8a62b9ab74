//! The checked settings: typed, complete, and consistent with one another.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;

use crate::auth::identity::{AccessKeyId, SecretKey};
use crate::policy::AccountId;
use crate::s3::address::BucketName;

/// All of `proxy.toml`. The server takes it apart: no part receives more than its own section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[listen]`
    pub listen: ListenSettings,
    /// `[admin]`; none where its `address` is empty.
    pub admin: Option<AdminSettings>,
    /// `[authz]`; none where its `address` is empty.
    pub authz: Option<AuthzSettings>,
    /// `[upstream]`
    pub upstream: UpstreamSettings,
    /// `[policy]`
    pub policy: PolicySettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[identity]`
    pub identity: IdentitySettings,
    /// `[ownership]`
    pub ownership: OwnershipSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[trace]`; none where no `otlp_endpoint` is given.
    pub trace: Option<TraceSettings>,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// The addresses; at least one, none twice.
    pub addresses: Vec<SocketAddr>,
    /// The base domains of virtual-hosted style, in lower case and without port.
    pub domains: Vec<String>,
    /// The peers whose PROXY headers, `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether every connection must begin with a PROXY header.
    pub proxy_protocol: bool,
    /// How TLS is ended here; none where connections come without.
    pub tls: Option<TlsSettings>,
}

/// How TLS is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// At least one, none twice; the first is for clients that ask for no name of the others.
    pub certificates: Vec<CertificateSettings>,
    /// Whether clients show certificates of their own.
    pub client_auth: ClientAuth,
}

/// The files of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSettings {
    /// The certificate, and the chain after it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whether clients show certificates of their own; with the file of the authorities whose certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    Off,
    /// They may; one that is no good is refused.
    Optional(PathBuf),
    /// They must.
    Required(PathBuf),
}

/// The listener for probes, metrics and the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Its address.
    pub address: SocketAddr,
    /// The file with the token that opens the admin API; without one there is no such API.
    pub token_file: Option<PathBuf>,
}

/// The listener for proxies that carry the bytes themselves, and ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthzSettings {
    /// Its address. Nobody but `trusted_proxies` of the data listener may connect.
    pub address: SocketAddr,
}

/// The store behind us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Where it is: at one place or at several that are equally good, none twice. Of several, all are `http` or all are
    /// `https`.
    pub endpoints: Vec<Endpoint>,
    /// The authorities that `https` endpoints must have their certificates from; none for those that the system trusts.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// The region that signatures are made for.
    pub region: String,
    /// What becomes of the caller's signature.
    pub auth: UpstreamAuth,
    /// The credentials that requests are signed with; none where `access_key_id` is empty.
    pub credentials: Option<UpstreamCredentials>,
    /// Credentials for the requests of one account each; no account twice.
    pub accounts: Vec<(AccountId, UpstreamCredentials)>,
    /// How long a connection may take to be made, and a request to wait for one.
    pub connect_timeout: Duration,
    /// Connections to each endpoint at once; none for as many as there are requests.
    pub max_connections: Option<usize>,
    /// How long the store may take from the request's end to its answer's header.
    pub response_header_timeout: Duration,
}

impl UpstreamSettings {
    /// Whether we have a key of our own to ask the store with.
    pub fn can_be_asked(&self) -> bool {
        self.credentials.is_some() || self.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Embedded(_)))
    }
}

/// One place a store is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `http` or `https`, a host, perhaps a port; no path and no query.
    Http(Uri),
    /// A store of files inside this process, kept in this directory.
    Embedded(PathBuf),
}

/// What becomes of the caller's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamAuth {
    /// It goes on as it came.
    Preserve,
    /// It is verified, taken off, and replaced by one of ours.
    Resign,
}

/// An access key for the store behind us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamCredentials {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The secret half.
    pub secret_access_key: SecretKey,
}

/// What happens to bucket policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// Who keeps them.
    pub handler: PolicyHandler,
    /// What they do to other requests.
    pub enforcement: Enforcement,
    /// Whether a policy that locks its author out is refused.
    pub lockout_guard: bool,
}

/// Who keeps bucket policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyHandler {
    /// We do.
    Store,
    /// The store behind us does, and we are its gate.
    Forward,
}

/// What policies do to requests other than those for policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Nothing.
    Off,
    /// Every request is decided, and passes all the same: a dry run.
    Audit,
    /// Nothing passes but what is granted.
    Enforce,
}

/// Where policies are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The place.
    pub url: StoreUrl,
    /// How old a cached policy may be while its source does not answer.
    pub max_staleness: Duration,
    /// How old it may be while that could be asked; no longer than `max_staleness`.
    pub refresh: Duration,
}

/// A place policies are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// An embedded database in this file.
    Redb(PathBuf),
    /// Objects in the store that we stand before.
    S3 {
        /// Their bucket, which is closed to clients.
        bucket: BucketName,
        /// What their keys begin with: nothing, or something that ends with `/`.
        prefix: String,
    },
    /// Keys in etcd.
    Etcd(EtcdSettings),
}

/// Which etcd, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSettings {
    /// Its members, `HOST:PORT`; at least one, none twice.
    pub endpoints: Vec<String>,
    /// What the keys begin with; it neither begins nor ends with `/`.
    pub prefix: String,
    /// How the way there is secured; none where it is not.
    pub tls: Option<EtcdTlsSettings>,
    /// The user we are there and its password; none where nobody is asked.
    pub user: Option<(String, SecretKey)>,
}

/// How the way to etcd is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTlsSettings {
    /// The file of the authorities whose certificates are trusted; none for those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate that we show; none for not showing any.
    pub client: Option<CertificateSettings>,
}

/// Who may sign requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The file of accounts, users and keys.
    pub file: PathBuf,
}

/// How a bucket's owner is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnershipSettings {
    /// The sources, in the order they are asked; at least one, none twice. `Default` is among them only where
    /// `default_account` is given.
    pub sources: Vec<OwnershipSource>,
    /// The owner of buckets that no other source knows.
    pub default_account: Option<AccountId>,
    /// How long an answer is kept; zero for not at all.
    pub cache_ttl: Duration,
    /// Names of buckets, which may hold `*`, and their owners; the first that fits counts.
    pub buckets: Vec<(String, AccountId)>,
}

/// A source of ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnershipSource {
    /// The entries of the file.
    Static,
    /// The creators of the buckets made through us.
    Registry,
    /// The owner that the upstream's `GET ?acl` names.
    UpstreamAcl,
    /// One account for all the rest.
    Default,
}

/// What is refused or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Threads that serve clients.
    pub workers: NonZeroUsize,
    /// Client connections at once.
    pub max_connections: usize,
    /// Requests at once; past it, `503 SlowDown`.
    pub max_in_flight: usize,
    /// Bytes of bodies held in memory at once; past it, `503 SlowDown`.
    pub max_held_bytes: usize,
    /// How long a client may take to send a request's header.
    pub request_header_timeout: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How long running requests may take to finish once we were asked to stop.
    pub drain_timeout: Duration,
}

/// What is written about requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// The least severe lines that are written.
    pub level: tracing::Level,
    /// Where audit lines go.
    pub audit: AuditTarget,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// To the standard error stream, with the log.
    Stderr,
    /// To the end of this file.
    File(PathBuf),
}

/// Which collector is told of requests, and of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// Where it takes spans: `http` or `https`, path and all.
    pub endpoint: Uri,
    /// The authorities that it must have its certificate from; none for those that the system trusts.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// What is sent with each batch of spans, such as a token.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What it is told that we are.
    pub service_name: String,
    /// How many of the traces that begin here are recorded.
    pub sample_ratio: Ratio,
    /// How long a batch of spans may take to be sent.
    pub timeout: Duration,
}

/// A number from 0 to 1; by default 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(f64);

// A number that is none is no ratio, and all others equal themselves.
impl Eq for Ratio {}

impl Ratio {
    /// None for any other number.
    pub fn new(number: f64) -> Option<Self> {
        (0.0..=1.0).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> f64 {
        self.0
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Self(1.0)
    }
}
