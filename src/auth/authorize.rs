//! Who may call on a bucket's policy?
//!
//! What the policies say is [decided](crate::policy::decide()) like any other request; what is special to `?policy` stands
//! here. Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>.

use std::fmt;

use crate::policy::{AccessRequest, Action, AttachedPolicy, Decided, Decider, Decision, Policies, Policy, decide};
use crate::s3::error::{ErrorCode, S3Error};

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
                AttachedPolicy::Bucket => write!(f, "bucket policy, statement {}", decider.statement)?,
                AttachedPolicy::Identity(policy) => {
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

/// Authorizes a call on the policy of a bucket: the request's action is [`Action::PutBucketPolicy`] or one of its siblings,
/// its resource the bucket.
///
/// The root user of the owner's account always may, even where a policy denies it, so that no policy can lock an
/// account out of its own bucket. An identity of another account never may, even where policies allow it.
///
/// # Errors
/// [`Denial`].
pub fn authorize_policy_call(request: &AccessRequest<'_>, policies: &Policies<'_>) -> Result<Permit, Denial> {
    let principal = request.principal;
    if principal.is_root_of(policies.owner) {
        return Ok(Permit { grant: Grant::OwnerRoot });
    }
    let Some(account) = principal.account() else {
        return Err(Denial::Anonymous);
    };
    // Permission and account are asked apart: either side grants it here, as it does within one account, and then the
    // account is looked at. Otherwise a permitted stranger would hear 403 where S3 says 405.
    let decided = decide(request, &Policies { owner: &account.id, ..*policies });
    match decided.decision() {
        Decision::ExplicitDeny => Err(Denial::ExplicitDeny(decided)),
        Decision::ImplicitDeny => Err(Denial::ImplicitDeny),
        Decision::Allow if account.id != *policies.owner => Err(Denial::OtherAccount(decided)),
        Decision::Allow => Ok(Permit { grant: Grant::Policies(decided) }),
    }
}

/// Whether the caller who puts `new_policy` could not put another after it, were the circumstances as they are now. Never
/// for the root user of the owner's account.
pub fn would_lock_out(request: &AccessRequest<'_>, policies: &Policies<'_>, new_policy: &Policy) -> bool {
    let put = AccessRequest { action: Action::PutBucketPolicy, ..*request };
    authorize_policy_call(&put, &Policies { bucket: Some(new_policy), ..*policies }).is_err()
}

#[cfg(test)]
mod tests;
