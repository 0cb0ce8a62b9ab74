//! Why? Which statement decided, and what each of the others missed.
//!
//! The walk is that of [`decide`](super::decide()): the same tests of the same statements, in an order that suits a reader.
//! What an explanation says is what would be decided.

use std::fmt;

use super::condition::{Key, Written};
use super::decide::{AttachedPolicy, Decided, Policies, weigh};
use super::evaluate::{Policy, Statement};
use super::principal::GrantedTo;
use super::request::AccessRequest;

/// A decision, and what every statement of every policy had to say about it.
#[derive(Clone, Debug)]
pub struct Explanation<'p> {
    /// What [`decide`](super::decide()) says.
    pub decided: Decided,
    /// The identity policies' statements, in order, then the bucket policy's.
    pub statements: Vec<StatementExplanation<'p>>,
}

/// What one statement had to say.
#[derive(Clone, Debug)]
pub struct StatementExplanation<'p> {
    /// The policy it stands in.
    pub policy: AttachedPolicy,
    /// Its position there, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<&'p str>,
    /// Whether it is a `Deny`.
    pub denies: bool,
    /// Whom it names, where it applied. A grant to the caller's account alone leaves it to that account's own policies.
    pub applied: Option<GrantedTo>,
    /// The first of its elements that did not match the request; none where it applied.
    pub missed: Option<Missed<'p>>,
}

/// The element of a statement that did not match. Elements are looked at in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed<'p> {
    /// The caller is not among the principals.
    Principal,
    /// The caller is among those excepted.
    NotPrincipal,
    /// The action is not among the actions.
    Action,
    /// The action is among those excepted.
    NotAction,
    /// The resource is not among the resources.
    Resource,
    /// The resource is among those excepted.
    NotResource,
    /// A test of the condition does not hold.
    Condition(FailedTest<'p>),
}

/// The first test of a condition that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedTest<'p> {
    written: &'p Written,
    key: &'p Key,
}

impl Missed<'_> {
    /// The element's name in the policy.
    pub fn element(&self) -> &'static str {
        match self {
            Self::Principal => "Principal",
            Self::NotPrincipal => "NotPrincipal",
            Self::Action => "Action",
            Self::NotAction => "NotAction",
            Self::Resource => "Resource",
            Self::NotResource => "NotResource",
            Self::Condition(_) => "Condition",
        }
    }
}

impl fmt::Display for Missed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.element())?;
        match self {
            Self::Condition(test) => write!(f, " {} {}", test.operator(), test.key()),
            _ => Ok(()),
        }
    }
}

impl<'p> FailedTest<'p> {
    pub(super) fn new(written: &'p Written, key: &'p Key) -> Self {
        Self { written, key }
    }

    /// The operator, as the policy has it: `ForAnyValue:StringLike`.
    pub fn operator(&self) -> &'p str {
        &self.written.operator
    }

    /// The condition key, as the policy has it.
    pub fn key(&self) -> &'p str {
        &self.written.key
    }

    /// The policy's values, as it has them.
    pub fn wanted(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.written.values.iter().map(|value| &**value)
    }

    /// The values that a request has for the key; none where the key is absent.
    pub fn found<'a>(&self, request: &AccessRequest<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
        request.find(self.key).iter()
    }
}

/// Decides a request as [`decide`](super::decide()) does, and tells why.
pub fn explain<'p>(request: &AccessRequest<'_>, policies: &Policies<'p>) -> Explanation<'p> {
    let mut statements = Vec::new();
    let mut walk = |attached: AttachedPolicy, policy: &'p Policy| {
        let (verdict, applied) = policy.evaluate_all(request);
        for ((position, statement), applied) in policy.statements.iter().enumerate().zip(applied) {
            statements.push(StatementExplanation::new(attached, position, statement, applied));
        }
        verdict
    };
    let identity: Vec<_> = policies
        .identity_side(request.principal)
        .iter()
        .enumerate()
        .map(|(position, policy)| walk(AttachedPolicy::Identity(position), policy))
        .collect();
    let bucket = policies.bucket.map(|policy| policy.in_place_of_bucket(walk(AttachedPolicy::Bucket, policy)));
    let decided = weigh(request.principal, policies.owner, identity.into_iter(), bucket);
    Explanation { decided, statements }
}

impl<'p> StatementExplanation<'p> {
    fn new(
        policy: AttachedPolicy,
        position: usize,
        statement: &'p Statement,
        applied: Result<GrantedTo, Missed<'p>>,
    ) -> Self {
        let (sid, denies) = (statement.sid.as_deref(), statement.effect.denies());
        Self { policy, statement: position, sid, denies, applied: applied.ok(), missed: applied.err() }
    }
}
