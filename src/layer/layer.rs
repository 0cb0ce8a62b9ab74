//! [`BucketPolicyLayer`]: the settings, and the `Layer` that hands them to every service it wraps.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tower_layer::Layer;

use super::change::{Auditor, PolicyChange};
use super::denied::{DenialAuditor, Denied};
use super::locks::BucketLocks;
use super::service::BucketPolicy;
use super::store_facts::StoreFacts;
use super::strict::KeyRule;
use super::tally::Tally;
use crate::auth::sigv4::SigningKeys;
use crate::identity::CredentialStore;
use crate::ownership::BucketOwners;
use crate::s3::address::{BucketName, Domains};
use crate::s3::forward::FormSigner;
use crate::s3::held_bytes::HeldBytes;
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

/// What the policies in force do to requests other than those on policies, which they always decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Nothing: all other requests pass.
    Off,
    /// A dry run: every request is decided, what comes of it is told and counted, and it passes as with [`Off`](Self::Off).
    Audit,
    /// Nothing passes but what is granted.
    Enforce,
}

impl Enforcement {
    /// `off`, `audit` or `enforce`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Enforce => "enforce",
        }
    }
}

/// Puts bucket policies in front of the S3 service it wraps.
///
/// `?policy` calls are answered by the layer, everything else is the inner service's, once the policies grant it.
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
    pub(crate) enforcement: Enforcement,
    pub(crate) key_rule: KeyRule,
    pub(crate) store_facts: Option<Arc<dyn StoreFacts>>,
    pub(crate) form_signer: Option<Arc<dyn FormSigner>>,
    pub(crate) domains: Domains,
    pub(crate) reserved: Option<BucketName>,
    pub(crate) region: String,
    pub(crate) lockout_guard: bool,
    pub(crate) auditor: Option<Auditor>,
    pub(crate) denial_auditor: Option<DenialAuditor>,
    pub(crate) clock: fn() -> SystemTime,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) locks: BucketLocks,
    pub(crate) held: HeldBytes,
    pub(crate) tally: Tally,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketPolicyLayer")
            .field("handler", &self.handler)
            .field("pass_through", &self.pass_through)
            .field("enforcement", &self.enforcement)
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
        let enforcement = match &handler {
            // A stored policy that nobody enforces would be a trap.
            Handler::Store(_) => Enforcement::Enforce,
            Handler::Forward { .. } => Enforcement::Off,
        };
        Builder(Shared {
            credentials,
            owners,
            handler,
            pass_through: PassThrough::AsSent,
            enforcement,
            key_rule: KeyRule::NoDots,
            store_facts: None,
            form_signer: None,
            domains: Domains::default(),
            reserved: None,
            region: "us-east-1".to_owned(),
            lockout_guard: true,
            auditor: None,
            denial_auditor: None,
            clock: SystemTime::now,
            signing_keys: SigningKeys::default(),
            locks: BucketLocks::default(),
            held: HeldBytes::default(),
            tally: Tally::new(enforcement),
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

    /// A bucket that is closed to everybody, whatever policies say and whether or not they are enforced: the one that the
    /// inner service keeps the policies in, where it does. None by default.
    #[must_use]
    pub fn with_reserved_bucket(mut self, bucket: BucketName) -> Self {
        self.0.reserved = Some(bucket);
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

    /// What the policies do to other requests; by default they are enforced where they are stored here.
    #[must_use]
    pub fn with_enforcement(mut self, enforcement: Enforcement) -> Self {
        self.0.enforcement = enforcement;
        self.0.tally = Tally::new(enforcement);
        self
    }

    /// Which keys a request that is decided may name; [`KeyRule::NoDots`] by default.
    #[must_use]
    pub fn with_key_rule(mut self, rule: KeyRule) -> Self {
        self.0.key_rule = rule;
        self
    }

    /// Whom to ask about what only the store knows: the tags of objects and buckets, and what a browser may read. Without
    /// it, a request that a policy asks such a thing of is answered `503`.
    #[must_use]
    pub fn with_store_facts(mut self, facts: Arc<dyn StoreFacts>) -> Self {
        self.0.store_facts = Some(facts);
        self
    }

    /// Who signs browsers' forms anew where requests are [verified](PassThrough::Verified) first. Without it they are
    /// refused there.
    #[must_use]
    pub fn with_form_signer(mut self, signer: Arc<dyn FormSigner>) -> Self {
        self.0.form_signer = Some(signer);
        self
    }

    /// Calls `auditor` with every denial, before the client has its answer. It must not block for long.
    #[must_use]
    pub fn with_denial_auditor(mut self, auditor: impl Fn(&Denied) + Send + Sync + 'static) -> Self {
        self.0.denial_auditor = Some(DenialAuditor(Arc::new(auditor)));
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

    /// How much of bodies may be held in memory at once, over all requests: signed chunks that are signed anew, and bodies
    /// that a decision depends on. A request that would hold more is answered `503 SlowDown`. 256 MiB by default.
    #[must_use]
    pub fn with_held_bytes(mut self, held: HeldBytes) -> Self {
        self.0.held = held;
        self
    }

    /// Lets the changes of a bucket wait for those that go through `other` as well. For layers on one store: one that takes
    /// the place of another, whose last requests are still under way.
    #[must_use]
    pub fn in_turn_with(mut self, other: &BucketPolicyLayer) -> Self {
        self.0.locks = other.shared.locks.clone();
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
