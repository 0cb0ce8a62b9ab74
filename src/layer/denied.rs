//! What an auditor is told of a request that was denied, or would have been.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::policy::{
    AccessRequest, AccountId, AttachedPolicy, Decided, Decider, Decision, Explanation, GrantedTo, Missed, Policies,
    StatementExplanation,
};
use crate::s3::operation::Operation;

/// The most statements, and the most values of a test, that an explanation tells of: enough for a reader, and a bound on
/// what one request can write to a log.
const MOST: usize = 32;

/// The longest text of a request or a policy that is told whole, in bytes.
const LONGEST: usize = 256;

/// A request that was denied; or, in a dry run, one that passed and would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// When.
    pub at: SystemTime,
    /// The request, as in `x-amz-request-id`.
    pub request_id: String,
    /// Whether it was denied. Otherwise nothing is enforced, and it passed.
    pub enforced: bool,
    /// What it asked for, where that is known.
    pub operation: Option<Operation>,
    /// The caller's ARN; none for the anonymous caller, or one who is not known.
    pub by: Option<String>,
    /// The caller's account.
    pub account: Option<AccountId>,
    /// The caller's address, where known.
    pub peer: Option<IpAddr>,
    /// Why.
    pub cause: DenialCause,
}

/// Why a request is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenialCause {
    /// The policies do not grant this.
    Policies(Box<PolicyDenial>),
    /// It could not be decided, or not be authenticated: the error's code and what is said of it.
    Refused {
        /// S3's code.
        code: &'static str,
        /// The status that goes with it.
        status: u16,
    },
}

/// What was not granted, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyDenial {
    /// The action.
    pub action: &'static str,
    /// The bucket or object, as an ARN.
    pub resource: String,
    /// Why.
    #[serde(serialize_with = "displayed")]
    pub reason: DenialReason,
    /// The statements that denied it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decided_by: Vec<DecidingStatement>,
    /// Where none did: the statements that could have allowed it, and what each missed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<MissedStatement>,
}

/// The kinds of denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// A statement denies it.
    ExplicitDeny,
    /// Nothing allows it.
    ImplicitDeny,
    /// The bucket's owner is not known, so nobody may.
    UnknownOwner,
    /// `x-amz-expected-bucket-owner` names another account.
    UnexpectedOwner,
    /// It is not signed, and this is never for the anonymous caller.
    Anonymous,
    /// It is permitted, but of another account than the bucket.
    OtherAccount,
    /// It is of a service whose actions no policy here can grant.
    ForeignAction,
    /// `RestrictPublicBuckets`: the bucket's policy is public, and the caller not of the owner's account.
    RestrictPublicBuckets,
    /// `BlockPublicAcls`: it would grant the public access by an ACL.
    BlockPublicAcls,
    /// `BlockPublicPolicy`: it would put a public policy.
    BlockPublicPolicy,
}

impl DenialReason {
    /// As it is written in the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExplicitDeny => "explicit_deny",
            Self::ImplicitDeny => "implicit_deny",
            Self::UnknownOwner => "unknown_owner",
            Self::UnexpectedOwner => "unexpected_owner",
            Self::Anonymous => "anonymous",
            Self::OtherAccount => "other_account",
            Self::ForeignAction => "foreign_action",
            Self::RestrictPublicBuckets => "restrict_public_buckets",
            Self::BlockPublicAcls => "block_public_acls",
            Self::BlockPublicPolicy => "block_public_policy",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A statement that denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidingStatement {
    /// The policy it stands in.
    #[serde(serialize_with = "displayed")]
    pub policy: AttachedPolicy,
    /// Its position there, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
}

/// A statement that could have allowed, and did not, or not enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissedStatement {
    /// The policy it stands in.
    #[serde(serialize_with = "displayed")]
    pub policy: AttachedPolicy,
    /// Its position there, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// The first element that did not match; none where it applied, and that was not enough.
    pub missed: Option<&'static str>,
    /// The test that did not hold, where that element is the condition.
    #[serde(flatten)]
    pub test: Option<MissedTest>,
    /// Where it applied: whether it grants to the caller, or to the `account` alone, which leaves it to the account's own
    /// policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants_to: Option<&'static str>,
}

/// A test of a condition that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissedTest {
    /// The operator.
    pub operator: String,
    /// The condition key.
    pub key: String,
    /// The policy's values.
    pub wanted: Vec<String>,
    /// The request's; none where it has no such key.
    pub found: Vec<String>,
}

impl PolicyDenial {
    /// For a cause outside the policies.
    pub(crate) fn of(action: &'static str, resource: &str, reason: DenialReason) -> Self {
        Self { action, resource: resource.to_owned(), reason, decided_by: Vec::new(), missed: Vec::new() }
    }

    /// With the statements that denied, and without what the others missed.
    pub(crate) fn decided(request: &AccessRequest<'_>, policies: &Policies<'_>, decided: &Decided) -> Self {
        let is_explicit = decided.decision() == Decision::ExplicitDeny;
        let reason = if is_explicit { DenialReason::ExplicitDeny } else { DenialReason::ImplicitDeny };
        let mut denial = Self::of(request.action.name(), request.resource, reason);
        let deciding = |by: Decider| DecidingStatement {
            policy: by.policy,
            statement: by.statement,
            sid: policies.sid(by).map(clipped),
        };
        denial.decided_by = decided.by().filter(|_| is_explicit).map(deciding).collect();
        denial
    }

    /// With the statements that an explanation tells of.
    pub(crate) fn explained(
        request: &AccessRequest<'_>,
        policies: &Policies<'_>,
        explanation: &Explanation<'_>,
    ) -> Self {
        let mut denial = Self::decided(request, policies, &explanation.decided);
        if denial.reason == DenialReason::ImplicitDeny {
            let allowing = explanation.statements.iter().filter(|statement| !statement.denies);
            denial.missed = allowing.take(MOST).map(|statement| missed(request, statement)).collect();
        }
        denial
    }
}

fn missed(request: &AccessRequest<'_>, statement: &StatementExplanation<'_>) -> MissedStatement {
    let test = match statement.missed {
        Some(Missed::Condition(test)) => Some(MissedTest {
            operator: clipped(test.operator()),
            key: clipped(test.key()),
            wanted: test.wanted().take(MOST).map(clipped).collect(),
            found: test.found(request).take(MOST).map(clipped).collect(),
        }),
        Some(
            Missed::Principal
            | Missed::NotPrincipal
            | Missed::Action
            | Missed::NotAction
            | Missed::Resource
            | Missed::NotResource,
        )
        | None => None,
    };
    MissedStatement {
        policy: statement.policy,
        statement: statement.statement,
        sid: statement.sid.map(clipped),
        missed: statement.missed.map(|missed| missed.element()),
        test,
        grants_to: statement.applied.map(|granted_to| match granted_to {
            GrantedTo::Account => "account",
            GrantedTo::Principal => "principal",
        }),
    }
}

/// The text, or as much of its beginning as a log may take.
fn clipped(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}

fn displayed<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Gets every [`Denied`], once, before the client has its answer. It is called on the request path, so it must not block
/// for long.
#[derive(Clone)]
pub(crate) struct DenialAuditor(pub(crate) Arc<dyn Fn(&Denied) + Send + Sync>);

impl fmt::Debug for DenialAuditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DenialAuditor")
    }
}
