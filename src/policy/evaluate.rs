//! Does a policy allow, deny, or say nothing?
//!
//! Follows Amazon's "Policy evaluation logic", the part that concerns a single policy: an explicit deny in it beats every
//! allow in it. How several policies are weighed together is told in [`decide`](super::decide()).

use super::action::ActionSet;
use super::condition::{Condition, Key, KeySet};
use super::explain::{FailedTest, Missed};
use super::pattern::Pattern;
use super::prefix_tree::{Filed, PrefixTree};
use super::principal::{GrantedTo, NamedPrincipals, Principal};
use super::request::AccessRequest;
use super::version::Version;

/// A checked, compiled policy. Only [`Policy::parse`] and [`Policy::parse_identity`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) version: Version,
    kind: PolicyKind,
    pub(super) statements: Box<[Statement]>,
    denies: Index,
    allows: Index,
    keys: KeySet,
}

/// What a policy may be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyKind {
    Bucket,
    Identity,
}

/// What a policy says to a request. Statements are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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
    /// What the policy says to a request: total, and without allocating unless an ARN condition has a variable in the place
    /// of several components. Of the statements with `Resource` only those are asked that have one which begins as the
    /// request's does.
    pub(super) fn evaluate(&self, request: &AccessRequest<'_>) -> Verdict {
        let mut hearing = Hearing::default();
        self.ask_all(&self.denies, request, &mut hearing);
        if hearing.tally.denied.is_none() {
            self.ask_all(&self.allows, request, &mut hearing);
        }
        hearing.tally.verdict()
    }

    /// What it says in the place of a bucket's policy. One without principals speaks of whoever it is attached to, which a
    /// bucket is not: it can deny there, and grants nobody anything.
    pub(super) fn in_place_of_bucket(&self, verdict: Verdict) -> Verdict {
        match (self.kind, verdict) {
            (PolicyKind::Identity, Verdict::Allow { .. }) => Verdict::NoMatch,
            (PolicyKind::Identity | PolicyKind::Bucket, verdict) => verdict,
        }
    }

    /// Asks the statements of an index that may concern the resource.
    fn ask_all(&self, index: &Index, request: &AccessRequest<'_>, hearing: &mut Hearing) {
        index.within.any(request.resource, |(at, pattern)| {
            self.ask(*at, request, hearing, |_| {
                pattern.as_ref().is_none_or(|pattern| pattern.matches_behind_prefix(request.resource, request))
            });
            false
        });
        for at in &index.outside {
            self.ask(*at, request, hearing, |statement| statement.resources.cover(request));
        }
    }

    /// Asks one statement, unless the verdict stands whatever it says.
    fn ask(
        &self,
        at: usize,
        request: &AccessRequest<'_>,
        hearing: &mut Hearing,
        covers: impl FnOnce(&Statement) -> bool,
    ) {
        // INVARIANT: the index names statements that are there.
        let Some(statement) = self.statements.get(at) else { return };
        if hearing.tally.may_change(at, statement)
            && statement.actions.contains(request.action)
            && covers(statement)
            && hearing.asked.insert(at)
            && let Some(via) = statement.effect.concerns(request.principal)
            && statement.condition.missed(request, statement.effect.denies()).is_none()
        {
            hearing.tally.count(at, statement, via);
        }
    }

    /// The same verdict, from asking every statement everything; and what each of them missed.
    pub(super) fn evaluate_all(&self, request: &AccessRequest<'_>) -> (Verdict, Vec<Result<GrantedTo, Missed<'_>>>) {
        let mut tally = Tally::default();
        let applied: Vec<_> = self.statements.iter().map(|statement| statement.applies(request)).collect();
        for (at, (statement, applied)) in self.statements.iter().zip(&applied).enumerate() {
            if let Ok(via) = applied {
                tally.count(at, statement, *via);
            }
        }
        (tally.verdict(), applied)
    }

    /// The `Sid` of a statement, counted from 0; none where it has none, or there is no such statement.
    pub fn sid(&self, statement: usize) -> Option<&str> {
        self.statements.get(statement)?.sid.as_deref()
    }

    /// Every key listed by Amazon that a condition tests, or that a policy variable in a condition or resource stands for. A
    /// request needs no others to be decided by this policy.
    ///
    /// ```
    /// use portcullis::policy::{ConditionKey, Policy};
    ///
    /// let document = br#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",
    ///     "Resource":"arn:aws:s3:::b/${aws:username}/*","Condition":{"Bool":{"aws:SecureTransport":true}}}}"#;
    /// let keys = Policy::parse_identity(document)?.policy.condition_keys();
    /// let names: Vec<&str> = keys.iter().map(ConditionKey::name).collect();
    /// assert_eq!(names, ["aws:username", "aws:SecureTransport"]);
    /// # Ok::<(), portcullis::policy::InvalidPolicy>(())
    /// ```
    pub fn condition_keys(&self) -> KeySet {
        self.keys
    }

    pub(super) fn compiled(version: Version, kind: PolicyKind, statements: Vec<Statement>) -> Self {
        let [denies, allows] = [true, false].map(|denies| Index::new(&statements, |s| s.effect.denies() == denies));
        let keys = statements.iter().map(Statement::keys).fold(KeySet::default(), KeySet::union);
        Self { version, kind, denies, allows, keys, statements: statements.into() }
    }
}

/// What has come of asking so far.
#[derive(Default)]
struct Hearing {
    tally: Tally,
    asked: Asked,
}

/// Which statements have been asked, so that one with many resources that match is asked but once. There are never more in
/// a bucket policy than are kept track of here; what an operator attaches to an identity may be longer, and be asked again.
#[derive(Default)]
struct Asked([u64; 16]);

impl Asked {
    /// Whether it was not in there.
    fn insert(&mut self, at: usize) -> bool {
        let Some(word) = self.0.get_mut(at / 64) else { return true };
        let bit = 1 << (at % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// What has been said so far.
#[derive(Default)]
struct Tally {
    denied: Option<usize>,
    granted: Option<(usize, GrantedTo)>,
}

impl Tally {
    /// Whether the verdict could be another if this statement applies.
    fn may_change(&self, at: usize, statement: &Statement) -> bool {
        if statement.effect.denies() {
            self.denied.is_none_or(|first| at < first)
        } else {
            self.granted.is_none_or(|(first, via)| at < first || via < GrantedTo::Principal)
        }
    }

    fn count(&mut self, at: usize, statement: &Statement, via: GrantedTo) {
        if statement.effect.denies() {
            self.denied = Some(self.denied.map_or(at, |first| first.min(at)));
            return;
        }
        let better = |(first, so_far): (usize, GrantedTo)| via > so_far || via == so_far && at < first;
        if self.granted.is_none_or(better) {
            self.granted = Some((at, via));
        }
    }

    fn verdict(self) -> Verdict {
        match (self.denied, self.granted) {
            (Some(statement), _) => Verdict::Deny { statement },
            (None, Some((statement, via))) => Verdict::Allow { statement, via },
            (None, None) => Verdict::NoMatch,
        }
    }
}

/// Which statements may concern a resource, by their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Index {
    /// Those with `Resource`, under each of their resources; with a pattern where it is not a text of its own.
    within: PrefixTree<(usize, Option<Pattern>)>,
    /// Those with `NotResource`.
    outside: Box<[usize]>,
}

impl Index {
    /// Of those statements that are wanted.
    fn new(statements: &[Statement], is_wanted: impl Fn(&Statement) -> bool) -> Self {
        let (mut within, mut outside) = (Vec::new(), Vec::new());
        for (at, statement) in statements.iter().enumerate().filter(|(_, statement)| is_wanted(statement)) {
            match &statement.resources {
                Resources::Within(patterns) => within.extend(patterns.iter().map(|pattern| match pattern.literal() {
                    Some(text) => (text, Filed::Whole, (at, None)),
                    None => (pattern.prefix(), Filed::Beginning, (at, Some(pattern.clone()))),
                })),
                Resources::Outside(_) => outside.push(at),
            }
        }
        Self { within: PrefixTree::new(within), outside: outside.into() }
    }
}

/// A compiled statement.
// INVARIANT: patterns were compiled and names resolved by validation, so deciding cannot fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) effect: Effect,
    /// Of `NotAction`, all the others.
    pub(super) actions: ActionSet,
    /// The element was `NotAction`.
    pub(super) not_action: bool,
    pub(super) resources: Resources,
    pub(super) condition: Condition,
}

/// What a statement does, and to whom. There is no allow for all but some: S3 refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow(Who),
    Deny(Who),
    DenyAllBut(NamedPrincipals),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever the identity policy is attached to.
    Holder,
    Named(NamedPrincipals),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resources {
    Within(Vec<Pattern>),
    Outside(Vec<Pattern>),
}

impl Statement {
    fn keys(&self) -> KeySet {
        let (Resources::Within(resources) | Resources::Outside(resources)) = &self.resources;
        let mut keys = self.condition.keys();
        keys.extend(resources.iter().flat_map(Pattern::keys).filter_map(Key::as_listed));
        keys
    }

    /// Whether the statement applies, and to whom; else the first of its elements that does not match.
    fn applies<'p>(&'p self, request: &AccessRequest<'_>) -> Result<GrantedTo, Missed<'p>> {
        let via = self.effect.concerns(request.principal).ok_or(match self.effect {
            Effect::Allow(_) | Effect::Deny(_) => Missed::Principal,
            Effect::DenyAllBut(_) => Missed::NotPrincipal,
        })?;
        if !self.actions.contains(request.action) {
            return Err(if self.not_action { Missed::NotAction } else { Missed::Action });
        }
        if !self.resources.cover(request) {
            return Err(match self.resources {
                Resources::Within(_) => Missed::Resource,
                Resources::Outside(_) => Missed::NotResource,
            });
        }
        match self.condition.missed(request, self.effect.denies()) {
            Some(test) => Err(Missed::Condition(FailedTest::new(&test.written, &test.key))),
            None => Ok(via),
        }
    }
}

impl Effect {
    pub(super) fn denies(&self) -> bool {
        match self {
            Self::Allow(_) => false,
            Self::Deny(_) | Self::DenyAllBut(_) => true,
        }
    }

    /// Whether the caller is among those it speaks of. To deny an account is to deny everybody in it.
    fn concerns(&self, caller: &Principal) -> Option<GrantedTo> {
        match self {
            Self::Allow(who) | Self::Deny(who) => who.matches(caller),
            Self::DenyAllBut(listed) => (!listed.spare(caller)).then_some(GrantedTo::Principal),
        }
    }
}

impl Who {
    fn matches(&self, caller: &Principal) -> Option<GrantedTo> {
        match self {
            Self::Holder => Some(GrantedTo::Principal),
            Self::Named(named) => named.name(caller),
        }
    }
}

impl Resources {
    fn cover(&self, request: &AccessRequest<'_>) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(request.resource, request));
        match self {
            Self::Within(patterns) => any(patterns),
            Self::Outside(patterns) => !any(patterns),
        }
    }
}

#[cfg(test)]
mod tests;
