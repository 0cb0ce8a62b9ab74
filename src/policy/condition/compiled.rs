//! Does a condition hold for a request?
//!
//! Follows Amazon's "Conditions with multiple context keys or values": operators and keys are all needed, of several
//! values under one key one is enough.

use std::net::IpAddr;

use ipnet::IpNet;

use super::key::Key;
use super::listed::KeySet;
use super::operator::{Comparison, Operator, Order};
use super::value::{self, Moment, Number};
use crate::policy::pattern::{Pattern, Resolve, Variable, Wildcards};
use crate::policy::prefix_tree::{Filed, PrefixTree};
use crate::policy::request::AccessRequest;
use crate::policy::version::Version;

/// A compiled `Condition`: every test must hold.
// INVARIANT: operators, keys and values were read by validation, so testing cannot fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Condition {
    tests: Box<[Test]>,
}

/// One key under one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Test {
    pub(in crate::policy) operator: Operator,
    pub(in crate::policy) key: Key,
    operand: Operand,
    /// As its author wrote it, for whoever asks why it did not hold.
    pub(in crate::policy) written: Written,
}

/// A test in its author's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Written {
    pub(in crate::policy) operator: Box<str>,
    pub(in crate::policy) key: Box<str>,
    pub(in crate::policy) values: Box<[Box<str>]>,
}

/// The policy's values in the form that the comparison needs. A value that can never match is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    Equals(Texts),
    EqualsIgnoringCase(Box<[Pattern]>),
    Like(Patterns),
    Numeric(Order, Box<[Number]>),
    Date(Order, Box<[Moment]>),
    Bool(Flags),
    /// In base 64, where two texts are equal if what they encode is.
    Binary(Texts),
    IpAddress(Box<[IpNet]>),
    Arn(Box<[ArnPattern]>),
    Null(Flags),
}

/// Which of the two boolean values are among the policy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    on: bool,
    off: bool,
}

/// Texts to be equal to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Texts {
    /// Sorted.
    fixed: Box<[Box<str>]>,
    /// Those with variables.
    open: Box<[Pattern]>,
}

/// Patterns to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patterns(PrefixTree<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum ArnPattern {
    /// `*` alone.
    Any,
    /// Component by component; the last takes all colons that are left. No value of a variable moves the others.
    Components(Box<[Pattern; ARN_COMPONENTS]>),
    /// A variable stands for several components, so it is taken apart when its value is known.
    WithVariables(Pattern),
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
const ARN_COMPONENTS: usize = 6;

impl Condition {
    pub(super) fn new(tests: impl IntoIterator<Item = Test>) -> Self {
        Self { tests: tests.into_iter().collect() }
    }

    pub(in crate::policy) fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// Every listed key that it asks for, in its tests or by a variable in their values.
    pub(in crate::policy) fn keys(&self) -> KeySet {
        let mut keys = KeySet::default();
        for test in &self.tests {
            keys.extend(test.key.as_listed());
            test.operand.add_keys(&mut keys);
        }
        keys
    }

    /// The first test that does not hold. What was [settled](crate::policy::Context::settle) before holds for a grant, and
    /// not for a denial.
    pub(in crate::policy) fn missed(&self, request: &AccessRequest<'_>, denies: bool) -> Option<&Test> {
        self.tests.iter().find(|test| match test.key.as_listed() {
            Some(key) if request.context.is_settled(key) => denies,
            _ => !test.holds(request),
        })
    }
}

impl Test {
    pub(super) fn compile(operator: Operator, written: Written, version: Version) -> Self {
        let operand = Operand::compile(operator.comparison, &written.values, version);
        Self { operator, key: Key::of(&written.key), operand, written }
    }

    fn holds(&self, request: &AccessRequest<'_>) -> bool {
        if let (Operand::IpAddress(ranges), Some(address)) = (&self.operand, request.context.address(&self.key)) {
            return self.operator.holds_for_one(ranges.iter().any(|range| contains(range, address)));
        }
        let found = request.find(&self.key);
        match &self.operand {
            Operand::Null(flags) => flags.contains(found.is_null()),
            _ if found.is_absent() => self.operator.holds_without_key(),
            operand => self.operator.holds(found.iter(), |value| operand.matches(value, request)),
        }
    }
}

impl Operand {
    fn compile(comparison: Comparison, values: &[Box<str>], version: Version) -> Self {
        let plain = || values.iter().map(|text| Pattern::compile(text, version, Wildcards::StandForThemselves).0);
        let like = || values.iter().map(|text| Pattern::compile(text, version, Wildcards::Match).0);
        let flags = || values.iter().filter_map(|text| value::boolean(text)).collect();
        match comparison {
            Comparison::StringEquals => Self::Equals(plain().collect()),
            Comparison::StringEqualsIgnoreCase => Self::EqualsIgnoringCase(plain().collect()),
            Comparison::StringLike => Self::Like(like().collect()),
            Comparison::Numeric(order) => {
                Self::Numeric(order, values.iter().filter_map(|text| Number::parse(text)).collect())
            }
            Comparison::Date(order) => {
                Self::Date(order, values.iter().filter_map(|text| Moment::parse(text)).collect())
            }
            Comparison::Bool => Self::Bool(flags()),
            Comparison::Binary => Self::Binary(
                values
                    .iter()
                    .map(|text| Pattern::compile(text, Version::V2008, Wildcards::StandForThemselves).0)
                    .collect(),
            ),
            Comparison::IpAddress => Self::IpAddress(values.iter().filter_map(|text| value::ip_range(text)).collect()),
            Comparison::Arn => Self::Arn(like().filter_map(ArnPattern::new).collect()),
            Comparison::Null => Self::Null(flags()),
        }
    }

    /// Adds the keys that the variables in the values name.
    fn add_keys(&self, keys: &mut KeySet) {
        let mut add = |pattern: &Pattern| keys.extend(pattern.keys().filter_map(Key::as_listed));
        match self {
            Self::Equals(texts) | Self::Binary(texts) => texts.open.iter().for_each(add),
            Self::EqualsIgnoringCase(texts) => texts.iter().for_each(add),
            Self::Like(patterns) => patterns.0.entries().for_each(add),
            Self::Arn(patterns) => patterns.iter().for_each(|pattern| match pattern {
                ArnPattern::Any => {}
                ArnPattern::Components(components) => components.iter().for_each(&mut add),
                ArnPattern::WithVariables(pattern) => add(pattern),
            }),
            // No variable is expanded in these.
            Self::Numeric(..) | Self::Date(..) | Self::Bool(_) | Self::IpAddress(_) | Self::Null(_) => {}
        }
    }

    /// Whether the policy has the value of the request.
    fn matches(&self, found: &str, request: &AccessRequest<'_>) -> bool {
        match self {
            Self::Equals(texts) | Self::Binary(texts) => texts.contain(found, request),
            Self::EqualsIgnoringCase(texts) => texts.iter().any(|text| text.equals_ignoring_case(found, request)),
            Self::Like(patterns) => patterns.match_one(found, request),
            Self::Numeric(order, numbers) => Number::parse(found)
                .is_some_and(|found| numbers.iter().any(|number| order.holds(found.compare(*number)))),
            Self::Date(order, moments) => Moment::parse(found)
                .is_some_and(|found| moments.iter().any(|moment| order.holds(Some(found.cmp(moment))))),
            Self::Bool(flags) => value::boolean(found).is_some_and(|found| flags.contains(found)),
            Self::IpAddress(ranges) => {
                value::ip_address(found).is_some_and(|found| ranges.iter().any(|range| contains(range, found)))
            }
            Self::Arn(patterns) => {
                components(found).is_some_and(|found| patterns.iter().any(|pattern| pattern.matches(&found, request)))
            }
            // Asked of the key, not of its values.
            Self::Null(_) => false,
        }
    }
}

impl FromIterator<bool> for Flags {
    fn from_iter<I: IntoIterator<Item = bool>>(values: I) -> Self {
        let mut flags = Self::default();
        for value in values {
            flags.on |= value;
            flags.off |= !value;
        }
        flags
    }
}

impl Flags {
    fn contains(self, value: bool) -> bool {
        if value { self.on } else { self.off }
    }
}

impl FromIterator<Pattern> for Texts {
    fn from_iter<I: IntoIterator<Item = Pattern>>(texts: I) -> Self {
        let (fixed, open): (Vec<Pattern>, Vec<Pattern>) = texts.into_iter().partition(Pattern::is_fixed);
        let mut fixed: Vec<Box<str>> = fixed.iter().filter_map(Pattern::literal).map(Box::from).collect();
        fixed.sort_unstable();
        Self { fixed: fixed.into(), open: open.into() }
    }
}

impl Texts {
    fn contain(&self, found: &str, request: &AccessRequest<'_>) -> bool {
        self.fixed.binary_search_by(|text| (**text).cmp(found)).is_ok()
            || self.open.iter().any(|text| text.matches(found, request))
    }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        Self(PrefixTree::new(patterns.into_iter().map(|pattern| {
            let filed = if pattern.is_fixed() { Filed::Whole } else { Filed::Beginning };
            (Box::from(pattern.prefix()), filed, pattern)
        })))
    }
}

impl Patterns {
    fn match_one(&self, found: &str, request: &AccessRequest<'_>) -> bool {
        self.0.any(found, |pattern| pattern.is_fixed() || pattern.matches_behind_prefix(found, request))
    }
}

impl ArnPattern {
    /// None for what is no ARN, and so like none.
    fn new(pattern: Pattern) -> Option<Self> {
        if pattern == Pattern::plain("*") {
            return Some(Self::Any);
        }
        match pattern.split() {
            Some(components) => Some(Self::Components(Box::new(components))),
            None => pattern.has_variables().then_some(Self::WithVariables(pattern)),
        }
    }

    fn matches(&self, found: &[&str; ARN_COMPONENTS], request: &AccessRequest<'_>) -> bool {
        let each = |components: &[Pattern; ARN_COMPONENTS]| {
            components.iter().zip(found).all(|(pattern, component)| pattern.matches(component, request))
        };
        match self {
            Self::Any => true,
            Self::Components(components) => each(components),
            Self::WithVariables(pattern) => {
                let longest = found.iter().map(|component| component.len() + 1).sum();
                let resolved = pattern.resolved(request, longest).and_then(|pattern| pattern.split());
                resolved.is_some_and(|components| each(&components))
            }
        }
    }
}

/// An ARN taken apart; none for what is no ARN.
fn components(text: &str) -> Option<[&str; ARN_COMPONENTS]> {
    let mut parts = text.splitn(ARN_COMPONENTS, ':');
    let mut components = [""; ARN_COMPONENTS];
    for component in &mut components {
        *component = parts.next()?;
    }
    (components.first() == Some(&"arn")).then_some(components)
}

fn contains(range: &IpNet, address: IpAddr) -> bool {
    match (range, address) {
        (IpNet::V4(range), IpAddr::V4(address)) => range.contains(&address),
        (IpNet::V6(range), IpAddr::V6(address)) => range.contains(&address),
        (IpNet::V4(_), IpAddr::V6(_)) | (IpNet::V6(_), IpAddr::V4(_)) => false,
    }
}

impl Resolve for AccessRequest<'_> {
    fn resolve<'v>(&'v self, variable: &'v Variable) -> Option<&'v str> {
        self.find(&variable.key).single().or(variable.default.as_deref())
    }
}
