//! May they? The caller's identity policies and the bucket's policy, weighed together.
//!
//! Follows Amazon's "Policy evaluation logic" and its pages on requests within one account and across accounts. Pure, and
//! without a way to fail: what nothing allows is denied.

use std::fmt;
use std::sync::Arc;

use super::condition::KeySet;
use super::evaluate::{Policy, Verdict};
use super::principal::{AccountId, GrantedTo, Principal};
use super::request::AccessRequest;

/// The policies that a request is held against.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// The caller's own and their groups'. Those of a root user are not asked; nobody's can only deny.
    pub identity: &'a [Arc<Policy>],
    /// The bucket's, where it has one.
    pub bucket: Option<&'a Policy>,
    /// The account that owns the bucket.
    pub owner: &'a AccountId,
}

/// What the policies say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Something allows it and nothing denies it.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// Nothing allows it.
    ImplicitDeny,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::ExplicitDeny => "explicit_deny",
            Self::ImplicitDeny => "implicit_deny",
        })
    }
}

/// A decision and the statements that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    decision: Decision,
    identity: Option<Decider>,
    bucket: Option<Decider>,
}

/// A statement that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider {
    /// The policy it stands in.
    pub policy: AttachedPolicy,
    /// Its position there, from 0.
    pub statement: usize,
}

/// Which of the policies, by what it is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedPolicy {
    /// The bucket's.
    Bucket,
    /// The caller's identity policy at this position, from 0.
    Identity(usize),
}

impl fmt::Display for AttachedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket => f.write_str("bucket"),
            Self::Identity(position) => write!(f, "identity:{position}"),
        }
    }
}

impl Decided {
    /// The decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The statements that made it: none for an implicit denial, nor for what a root user holds without any policy.
    pub fn by(&self) -> impl Iterator<Item = Decider> + use<> {
        self.identity.into_iter().chain(self.bucket)
    }
}

impl<'a> Policies<'a> {
    /// The policy that is attached there.
    pub fn get(&self, attached: AttachedPolicy) -> Option<&'a Policy> {
        match attached {
            AttachedPolicy::Bucket => self.bucket,
            AttachedPolicy::Identity(position) => self.identity.get(position).map(Arc::as_ref),
        }
    }

    /// The `Sid` of a statement that decided.
    pub fn sid(&self, decider: Decider) -> Option<&'a str> {
        self.get(decider.policy)?.sid(decider.statement)
    }

    /// The keys that a request of this caller needs to be decided by these policies.
    pub fn condition_keys(&self, caller: &Principal) -> KeySet {
        let all = self.identity_side(caller).iter().map(Arc::as_ref).chain(self.bucket);
        all.map(Policy::condition_keys).fold(KeySet::default(), KeySet::union)
    }

    /// The policies that the caller's side consists of.
    pub(super) fn identity_side(&self, caller: &Principal) -> &'a [Arc<Policy>] {
        match caller {
            Principal::User(_) | Principal::AssumedRole(_) | Principal::Anonymous => self.identity,
            Principal::Root(_) => &[],
        }
    }
}

/// Decides a request.
///
/// An explicit deny wins. Within the owner's account, an identity policy or the bucket policy allows; for another
/// account's identity both must, and for the anonymous caller the bucket policy. A root user has every permission on
/// the identity side, where nothing can deny it either.
///
/// A bucket policy that names only the caller's account leaves it to that account to choose: it grants nothing by
/// itself to an identity of the owner's own account, but for its root user, who is the account.
///
/// Without allocating, unless a condition on an ARN has a variable in the place of several components.
pub fn decide(request: &AccessRequest<'_>, policies: &Policies<'_>) -> Decided {
    let identity = policies.identity_side(request.principal).iter().map(|policy| policy.evaluate(request));
    weigh(
        request.principal,
        policies.owner,
        identity,
        policies.bucket.map(|policy| policy.in_place_of_bucket(policy.evaluate(request))),
    )
}

/// Weighs what the policies said, in the caller's order of identity policies.
pub(super) fn weigh(
    caller: &Principal,
    owner: &AccountId,
    identity: impl Iterator<Item = Verdict>,
    bucket: Option<Verdict>,
) -> Decided {
    let identity = identity_side(caller, identity);
    let (bucket, granted_to) = match bucket.unwrap_or(Verdict::NoMatch) {
        Verdict::Deny { statement } => (Side::Deny(Decider::bucket(statement)), None),
        Verdict::Allow { statement, via } => (Side::Allow(Some(Decider::bucket(statement))), Some(via)),
        Verdict::NoMatch => (Side::Silent, None),
    };

    if identity.denies() || bucket.denies() {
        return Decided {
            decision: Decision::ExplicitDeny,
            identity: identity.decider().filter(|_| identity.denies()),
            bucket: bucket.decider().filter(|_| bucket.denies()),
        };
    }
    let (by_identity, by_bucket) = match caller.account() {
        None => (false, granted_to == Some(GrantedTo::Principal)),
        Some(account) if account.id == *owner => {
            let direct = granted_to == Some(GrantedTo::Principal) || caller.is_root_of(owner);
            (identity.allows(), bucket.allows() && direct)
        }
        Some(_) => {
            let both = identity.allows() && bucket.allows();
            (both, both)
        }
    };
    Decided {
        decision: if by_identity || by_bucket { Decision::Allow } else { Decision::ImplicitDeny },
        identity: identity.decider().filter(|_| by_identity),
        bucket: bucket.decider().filter(|_| by_bucket),
    }
}

/// What one side says, and the statement it says it with: none for a root user's own permission.
#[derive(Clone, Copy)]
enum Side {
    Deny(Decider),
    Allow(Option<Decider>),
    Silent,
}

impl Side {
    fn denies(self) -> bool {
        matches!(self, Self::Deny(_))
    }

    fn allows(self) -> bool {
        matches!(self, Self::Allow(_))
    }

    fn decider(self) -> Option<Decider> {
        match self {
            Self::Deny(decider) => Some(decider),
            Self::Allow(decider) => decider,
            Self::Silent => None,
        }
    }
}

impl Decider {
    fn bucket(statement: usize) -> Self {
        Self { policy: AttachedPolicy::Bucket, statement }
    }
}

fn identity_side(caller: &Principal, verdicts: impl Iterator<Item = Verdict>) -> Side {
    match caller {
        Principal::Root(_) => return Side::Allow(None),
        Principal::User(_) | Principal::AssumedRole(_) | Principal::Anonymous => {}
    }
    let mut side = Side::Silent;
    for (position, verdict) in verdicts.enumerate() {
        let decider = |statement| Decider { policy: AttachedPolicy::Identity(position), statement };
        match verdict {
            Verdict::Deny { statement } => return Side::Deny(decider(statement)),
            Verdict::Allow { statement, .. } if !side.allows() => side = Side::Allow(Some(decider(statement))),
            Verdict::Allow { .. } | Verdict::NoMatch => {}
        }
    }
    side
}
