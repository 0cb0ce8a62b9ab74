//! [`BucketPolicyLayer`]: the settings, and the `Layer` that hands them to every service it wraps.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tower_layer::Layer;

use super::change::{Auditor, PolicyChange};
use super::locks::BucketLocks;
use super::service::BucketPolicy;
use crate::auth::sigv4::SigningKeys;
use crate::identity::CredentialStore;
use crate::ownership::BucketOwners;
use crate::s3::address::Domains;
use crate::store::{PolicySource, PolicyStore};

/// Who keeps the policies.
#[derive(Clone)]
pub enum Handler {
    /// We do: a policy is stored here before its `PUT` is answered, and never reaches the inner service.
    Store(Arc<dyn PolicyStore>),
    /// The inner service does: what is permitted and valid is sent on, and its answer comes back as it is.
    Forward {
        /// Where to read the bucket's present policy, which may grant or deny the call. Without it the identity
        /// policies alone decide here, and the inner service must judge the rest.
        present: Option<Arc<dyn PolicySource>>,
    },
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("Store"),
            Self::Forward { present: Some(_) } => f.write_str("Forward(with the present policy)"),
            Self::Forward { present: None } => f.write_str("Forward"),
        }
    }
}

/// How requests reach the inner service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassThrough {
    /// As they were sent, signature and all; the store behind knows the same keys and judges them itself.
    AsSent,
    /// Verified here first and sent on with a [`Resign`](crate::s3::forward::Resign) among their extensions, for the
    /// inner service to sign them anew. Nothing unsigned passes.
    Verified,
}

/// Puts bucket policies in front of the S3 service it wraps.
///
/// `?policy` calls are answered by the layer, everything else is the inner service's.
#[derive(Clone, Debug)]
pub struct BucketPolicyLayer {
    pub(crate) shared: Arc<Shared>,
}

/// What every service of one layer has in common.
pub(crate) struct Shared {
    pub(crate) credentials: Arc<dyn CredentialStore>,
    pub(crate) owners: Arc<dyn BucketOwners>,
    pub(crate) handler: Handler,
    pub(crate) pass_through: PassThrough,
    pub(crate) domains: Domains,
    pub(crate) region: String,
    pub(crate) lockout_guard: bool,
    pub(crate) auditor: Option<Auditor>,
    pub(crate) clock: fn() -> SystemTime,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) locks: BucketLocks,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketPolicyLayer")
            .field("handler", &self.handler)
            .field("pass_through", &self.pass_through)
            .field("domains", &self.domains)
            .field("region", &self.region)
            .field("lockout_guard", &self.lockout_guard)
            .finish_non_exhaustive()
    }
}

/// Collects the settings of a [`BucketPolicyLayer`].
#[derive(Debug)]
pub struct Builder(Shared);

impl BucketPolicyLayer {
    /// Starts from what has no default: who may sign, who owns the buckets, and who keeps the policies.
    pub fn builder(credentials: Arc<dyn CredentialStore>, owners: Arc<dyn BucketOwners>, handler: Handler) -> Builder {
        Builder(Shared {
            credentials,
            owners,
            handler,
            pass_through: PassThrough::AsSent,
            domains: Domains::default(),
            region: "us-east-1".to_owned(),
            lockout_guard: true,
            auditor: None,
            clock: SystemTime::now,
            signing_keys: SigningKeys::default(),
            locks: BucketLocks::default(),
        })
    }
}

impl Builder {
    /// The base domains of virtual-hosted style. None by default: every request is path-style.
    #[must_use]
    pub fn with_domains(mut self, domains: Domains) -> Self {
        self.0.domains = domains;
        self
    }

    /// The region that signatures must name; `us-east-1` by default.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.0.region = region.into();
        self
    }

    /// How requests reach the inner service; [`PassThrough::AsSent`] by default.
    #[must_use]
    pub fn with_pass_through(mut self, pass_through: PassThrough) -> Self {
        self.0.pass_through = pass_through;
        self
    }

    /// Takes away the refusal of policies that would lock their author out.
    #[must_use]
    pub fn without_lockout_guard(mut self) -> Self {
        self.0.lockout_guard = false;
        self
    }

    /// Calls `auditor` with every change of a policy, before the client has its answer. It must not block for long.
    #[must_use]
    pub fn with_auditor(mut self, auditor: impl Fn(&PolicyChange) + Send + Sync + 'static) -> Self {
        self.0.auditor = Some(Auditor(Arc::new(auditor)));
        self
    }

    /// Where the time comes from; the system's clock by default.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.0.clock = clock;
        self
    }

    /// The layer.
    pub fn build(self) -> BucketPolicyLayer {
        BucketPolicyLayer { shared: Arc::new(self.0) }
    }
}

impl<S> Layer<S> for BucketPolicyLayer {
    type Service = BucketPolicy<S>;

    fn layer(&self, inner: S) -> BucketPolicy<S> {
        BucketPolicy::new(inner, Arc::clone(&self.shared))
    }
}
