//! May they? The caller's identity policies, the bucket's policy and its owner, weighed as Amazon weighs them.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html> and, for
//! `?policy`, <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>. Pure, and without a way to
//! fail: what nothing allows is denied.

use std::fmt;
use std::sync::Arc;

use super::identity::Identity;
use crate::policy::{AccessRequest, AccountId, Action, GrantedTo, Policy, Principal, Verdict};
use crate::s3::error::{ErrorCode, S3Error};

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
    pub policy: DecidingPolicy,
    /// Its position there, from 0.
    pub statement: usize,
}

/// The policy a deciding statement stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidingPolicy {
    /// The bucket's.
    Bucket,
    /// The caller's identity policy at this position, from 0.
    Identity(usize),
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

/// Decides a request of `request.principal` on a bucket that belongs to the account `owner`.
///
/// An explicit deny wins. Within the owner's account, an identity policy or the bucket policy allows; for another
/// account's identity both must, and for the anonymous caller the bucket policy. A root user has every permission on
/// the identity side, where nothing can deny it either.
///
/// A bucket policy that names only the caller's account leaves it to that account to choose: it grants nothing by
/// itself to an identity of the owner's own account.
pub fn decide(
    request: &AccessRequest<'_>,
    identity_policies: &[Arc<Policy>],
    bucket_policy: Option<&Policy>,
    owner: &AccountId,
) -> Decided {
    let identity = identity_side(request, identity_policies);
    let verdict = bucket_policy.map_or(Verdict::NoMatch, |policy| policy.evaluate(request));
    let (bucket, granted_to) = match verdict {
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
    let direct = granted_to == Some(GrantedTo::Principal);
    let (by_identity, by_bucket) = match request.principal.account() {
        None => (false, direct),
        Some(account) if account.id == *owner => (identity.allows(), direct),
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

/// Why a call on a bucket's policy is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Without credentials there is no such call, whatever the bucket policy grants.
    Anonymous,
    /// A statement denies it.
    ExplicitDeny(Decided),
    /// Nothing allows it.
    ImplicitDeny,
    /// It is permitted, but only the bucket owner's own identities may do it.
    OtherAccount(Decided),
}

impl Denial {
    /// The statements that decided, for the audit log.
    pub fn by(&self) -> impl Iterator<Item = Decider> + use<> {
        match self {
            Self::ExplicitDeny(decided) | Self::OtherAccount(decided) => Some(*decided),
            Self::Anonymous | Self::ImplicitDeny => None,
        }
        .into_iter()
        .flat_map(|decided| decided.by())
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("not signed"),
            Self::ExplicitDeny(_) => f.write_str("explicitly denied"),
            Self::ImplicitDeny => f.write_str("nothing allows it"),
            Self::OtherAccount(_) => f.write_str("permitted, but of another account than the bucket"),
        }?;
        for (position, decider) in self.by().enumerate() {
            f.write_str(if position == 0 { ": " } else { " and " })?;
            match decider.policy {
                DecidingPolicy::Bucket => write!(f, "bucket policy, statement {}", decider.statement)?,
                DecidingPolicy::Identity(policy) => {
                    write!(f, "identity policy {policy}, statement {}", decider.statement)?;
                }
            }
        }
        Ok(())
    }
}

impl From<Denial> for S3Error {
    /// A denied caller learns no more than that.
    fn from(denial: Denial) -> Self {
        Self::new(match denial {
            Denial::Anonymous | Denial::ExplicitDeny(_) | Denial::ImplicitDeny => ErrorCode::AccessDenied,
            Denial::OtherAccount(_) => ErrorCode::MethodNotAllowed,
        })
    }
}

/// Proof that a call on a bucket's policy was authorized. Only [`authorize_policy_call`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    grant: Grant,
}

#[derive(Debug)]
enum Grant {
    OwnerRoot,
    Policies(Decided),
}

impl Permit {
    /// The statements that allowed it, for the audit log; none where the caller is a root user who needs none.
    pub fn by(&self) -> impl Iterator<Item = Decider> + use<> {
        match &self.grant {
            Grant::OwnerRoot => None,
            Grant::Policies(decided) => Some(*decided),
        }
        .into_iter()
        .flat_map(|decided| decided.by())
    }
}

/// Authorizes a call on the policy of the bucket `bucket_arn` (`arn:aws:s3:::NAME`), which belongs to `owner`: its
/// `action` is [`Action::PutBucketPolicy`] or one of its siblings.
///
/// The root user of the owner's account always may, even where a policy denies it, so that no policy can lock an
/// account out of its own bucket. An identity of another account never may, even where policies allow it.
///
/// # Errors
/// [`Denial`].
pub fn authorize_policy_call(
    identity: &Identity,
    action: Action,
    bucket_arn: &str,
    bucket_policy: Option<&Policy>,
    owner: &AccountId,
) -> Result<Permit, Denial> {
    let principal = &identity.principal;
    if principal.is_root_of(owner) {
        return Ok(Permit { grant: Grant::OwnerRoot });
    }
    let Some(account) = principal.account() else {
        return Err(Denial::Anonymous);
    };
    let request = AccessRequest { principal, action, resource: bucket_arn };
    // Permission and account are asked apart: either side grants it here, as it does within one account, and then the
    // account is looked at. Otherwise a permitted stranger would hear 403 where S3 says 405.
    let decided = decide(&request, &identity.policies, bucket_policy, &account.id);
    match decided.decision {
        Decision::ExplicitDeny => Err(Denial::ExplicitDeny(decided)),
        Decision::ImplicitDeny => Err(Denial::ImplicitDeny),
        Decision::Allow if account.id != *owner => Err(Denial::OtherAccount(decided)),
        Decision::Allow => Ok(Permit { grant: Grant::Policies(decided) }),
    }
}

/// Whether `new_policy`, once in force, would keep `identity` from ever putting a policy on the bucket again.
/// Never for the root user of the owner's account.
pub fn would_lock_out(identity: &Identity, new_policy: &Policy, owner: &AccountId, bucket_arn: &str) -> bool {
    authorize_policy_call(identity, Action::PutBucketPolicy, bucket_arn, Some(new_policy), owner).is_err()
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
        Self { policy: DecidingPolicy::Bucket, statement }
    }
}

fn identity_side(request: &AccessRequest<'_>, policies: &[Arc<Policy>]) -> Side {
    match request.principal {
        Principal::Anonymous => return Side::Silent,
        Principal::Root(_) => return Side::Allow(None),
        Principal::User { .. } | Principal::AssumedRole { .. } => {}
    }
    let mut side = Side::Silent;
    for (position, policy) in policies.iter().enumerate() {
        let decider = |statement| Decider { policy: DecidingPolicy::Identity(position), statement };
        match policy.evaluate(request) {
            Verdict::Deny { statement } => return Side::Deny(decider(statement)),
            Verdict::Allow { statement, .. } if !side.allows() => side = Side::Allow(Some(decider(statement))),
            Verdict::Allow { .. } | Verdict::NoMatch => {}
        }
    }
    side
}

#[cfg(test)]
mod tests;
