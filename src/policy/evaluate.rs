//! Does a policy allow, deny, or say nothing?
//!
//! Follows Amazon's "Policy evaluation logic", the part that concerns a single policy: an explicit deny in it beats every
//! allow in it. How several policies are weighed together is the caller's to know.

use super::action::ActionSet;
use super::pattern::Pattern;
use super::principal::{GrantedTo, Principal, PrincipalPattern, spares};
use super::request::AccessRequest;

/// A checked, compiled policy. Only [`Policy::parse`] and [`Policy::parse_identity`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What a policy says to a request. Statements are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An explicit deny.
    Deny {
        /// The first statement that denies.
        statement: usize,
    },
    /// A grant, and no explicit deny.
    Allow {
        /// The first of the statements that grant the most.
        statement: usize,
        /// Whom it grants to.
        via: GrantedTo,
    },
    /// Neither.
    NoMatch,
}

impl Policy {
    /// What the policy says to a request: total, and without allocating.
    ///
    /// Provisional, until conditions are evaluated: a statement with a condition never grants and always denies, whatever
    /// the condition says. Nor does a resource with a policy variable grant, and it denies all that it might stand for.
    pub fn evaluate(&self, request: &AccessRequest<'_>) -> Verdict {
        let mut granted: Option<(usize, GrantedTo)> = None;
        for (index, statement) in self.statements.iter().enumerate() {
            match statement.says(request) {
                Some(Saying::Deny) => return Verdict::Deny { statement: index },
                Some(Saying::Allow(via)) if granted.is_none_or(|(_, so_far)| via > so_far) => {
                    granted = Some((index, via))
                }
                Some(Saying::Allow(_)) | None => {}
            }
        }
        granted.map_or(Verdict::NoMatch, |(statement, via)| Verdict::Allow { statement, via })
    }

    /// The `Sid` of a statement, counted from 0; none where it has none, or there is no such statement.
    pub fn sid(&self, statement: usize) -> Option<&str> {
        self.statements.get(statement)?.sid.as_deref()
    }

    pub(super) fn compiled(statements: Vec<Statement>) -> Self {
        Self { statements }
    }
}

/// A compiled statement.
// INVARIANT: patterns were compiled and names resolved by validation, so deciding cannot fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    /// Of `NotAction`, all the others.
    pub(super) actions: ActionSet,
    pub(super) resources: Resources,
    /// There is a `Condition` with something in it.
    pub(super) conditional: bool,
}

/// What a statement does, and to whom. There is no allow for all but some: S3 refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow(Who),
    Deny(Who),
    DenyAllBut(Vec<PrincipalPattern>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever the identity policy is attached to.
    Holder,
    Named(Vec<PrincipalPattern>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resources {
    Within(Vec<Pattern>),
    Outside(Vec<Pattern>),
}

enum Saying {
    Allow(GrantedTo),
    Deny,
}

impl Statement {
    fn says(&self, request: &AccessRequest<'_>) -> Option<Saying> {
        if !self.actions.contains(request.action) || !self.resources.cover(request.resource) {
            return None;
        }
        match &self.effect {
            // PROVISIONAL, until conditions are evaluated: a statement with a condition never grants (this arm) and always
            // denies (the arms of denial do not ask). Whatever the condition says, this errs on the side of denial.
            Effect::Allow(_) if self.conditional => None,
            Effect::Allow(who) => who.matches(request.principal).map(Saying::Allow),
            // To deny an account is to deny everybody in it.
            Effect::Deny(who) => who.matches(request.principal).map(|_| Saying::Deny),
            Effect::DenyAllBut(listed) => (!spares(listed, request.principal)).then_some(Saying::Deny),
        }
    }
}

impl Who {
    fn matches(&self, caller: &Principal) -> Option<GrantedTo> {
        match self {
            Self::Holder => Some(GrantedTo::Principal),
            Self::Named(entries) => entries.iter().filter_map(|entry| entry.matches(caller)).max(),
        }
    }
}

impl Resources {
    fn cover(&self, resource: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(resource));
        match self {
            Self::Within(patterns) => any(patterns),
            Self::Outside(patterns) => !any(patterns),
        }
    }
}

#[cfg(test)]
mod tests;
