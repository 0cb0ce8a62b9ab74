//! The `Condition` element: its checks, and what it compiles to.
//!
//! Follows Amazon's "IAM JSON policy elements: Condition".

mod compiled;
mod key;
mod key_table;
mod listed;
mod operator;
mod value;

use std::collections::HashSet;

pub(super) use self::compiled::{Condition, Test, Written};
use self::key::KeyName;
pub(super) use self::key::{Key, Name, S3Key};
pub use self::listed::{ConditionKey, KeySet};
pub(super) use self::listed::{PRINCIPAL_ACCOUNT, PRINCIPAL_ARN, PRINCIPAL_TAG, PRINCIPAL_TYPE, USER_ID, USERNAME};
pub(super) use self::operator::Comparison;
use self::operator::Operator;
pub(crate) use self::value::date;
use self::value::{Moment, Number};
pub(super) use self::value::{ip_address, ip_range};
use super::error::Fault;
use super::json::{Member, Node, Value};
use super::pattern::{Pattern, Wildcards};
use super::validate::report::{Faulty, Place, Report};
use super::validate::{Attachment, EffectWord};
use super::version::Version;

/// A well-formed condition, not yet compiled: what its variables mean depends on the version of the document.
#[derive(Debug, Default)]
pub(super) struct Draft<'d> {
    /// The keys of S3's own, each where it stands.
    pub(super) s3_keys: Vec<UsedKey<'d>>,
    tests: Vec<(Operator, &'d Member, &'d Member)>,
}

/// One of S3's keys, used under an operator.
#[derive(Debug)]
pub(super) struct UsedKey<'d> {
    pub(super) key: &'static S3Key,
    pub(super) operator: &'d str,
    pub(super) member: &'d Member,
}

/// The statement that a condition belongs to, as far as the condition's checks care.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'p> {
    pub(super) attachment: Attachment<'p>,
    /// None where it is faulty itself.
    pub(super) effect: Option<EffectWord>,
}

impl<'d> Draft<'d> {
    /// Checks the value of a `Condition` element: every operator, every key, every value.
    pub(super) fn check(
        report: &mut Report<'d>,
        place: Place<'_>,
        node: &'d Node,
        within: Surroundings<'_>,
    ) -> Result<Self, Faulty> {
        let Value::Object(operators) = &node.value else {
            return Err(report.fault(Fault::Syntax, place, node));
        };
        let mut condition = Self::default();
        let mut sound = Ok(());
        for operator in operators {
            let checked = condition.check_operator(report, place.member(&operator.name), operator, within);
            sound = sound.and(checked);
        }
        sound.map(|()| condition)
    }

    fn check_operator(
        &mut self,
        report: &mut Report<'d>,
        place: Place<'_>,
        operator: &'d Member,
        within: Surroundings<'_>,
    ) -> Result<(), Faulty> {
        let parsed = Operator::parse(&operator.name).ok_or_else(|| {
            report.fault_at(Fault::InvalidConditionType(&operator.name), place, operator.at, "no such operator")
        });
        let Value::Object(keys) = &operator.value.value else {
            return Err(report.fault(Fault::Syntax, place, &operator.value));
        };
        let mut sound = parsed.map(|_| ());
        let mut seen = HashSet::new();
        for member in keys {
            let place = place.member(&member.name);
            if !seen.insert(Key::of(&member.name)) {
                let what = "the same key as before, but for the case of its letters";
                sound = Err(report.fault_at(Fault::InvalidJson, place, member.at, what));
            }
            sound = sound.and(self.check_key(report, place, operator, member, within));
            let comparison = parsed.ok().map(|operator| operator.comparison);
            sound = sound.and(check_values(report, place, comparison, member, within));
            self.tests.extend(parsed.ok().map(|parsed| (parsed, operator, member)));
        }
        sound
    }

    /// Compiles what was found well-formed.
    pub(super) fn compile(self, report: &mut Report<'_>, place: Place<'_>, version: Version) -> Condition {
        Condition::new(self.tests.into_iter().map(|(parsed, operator, member)| {
            let values: Box<[Box<str>]> = scalars(&member.value).map(Box::from).collect();
            for text in values.iter().filter(|_| parsed.comparison.expands_variables()) {
                if Pattern::compile(text, version, Wildcards::Match).1.malformed {
                    let place = place.member(&operator.name);
                    let what = "a \"${\" in the values begins no policy variable and stands for itself";
                    report.warn(place.member(&member.name), member.value.at, what);
                }
            }
            let written = Written { operator: operator.name.as_str().into(), key: member.name.as_str().into(), values };
            Test::compile(parsed, written, version)
        }))
    }

    fn check_key(
        &mut self,
        report: &mut Report<'d>,
        place: Place<'_>,
        operator: &'d Member,
        member: &'d Member,
        within: Surroundings<'_>,
    ) -> Result<(), Faulty> {
        let strict = matches!(within.attachment, Attachment::Bucket(_));
        match KeyName::parse(&member.name) {
            Some(KeyName::S3(key)) => self.s3_keys.push(UsedKey { key, operator: &operator.name, member }),
            Some(KeyName::Global) => {}
            Some(KeyName::UnknownGlobal) => {
                report.warn(place, member.at, "no such key is known; it is never in a request");
            }
            Some(KeyName::IdentityOnly | KeyName::Foreign) if !strict => {
                report.warn(place, member.at, "no request to S3 has this key");
            }
            Some(KeyName::IdentityOnly) => {
                let what = "a key of batch jobs and access grants, which bucket policies cannot use";
                return Err(report.fault_at(Fault::InvalidConditionKey, place, member.at, what));
            }
            Some(KeyName::Foreign) => {
                return Err(report.fault_at(Fault::InvalidConditionKey, place, member.at, "no such key"));
            }
            None => {
                let what = "a key is a service's prefix and a name, and a tag's name where it speaks of a tag";
                return Err(report.fault_at(Fault::InvalidConditionKey, place, member.at, what));
            }
        }
        Ok(())
    }
}

/// Checks what stands under one key; `comparison` is none under an unknown operator.
fn check_values(
    report: &mut Report<'_>,
    place: Place<'_>,
    comparison: Option<Comparison>,
    member: &Member,
    within: Surroundings<'_>,
) -> Result<(), Faulty> {
    let mut sound = Ok(());
    match &member.value.value {
        Value::List(values) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                sound = sound.and(check_value(report, place.item(index), comparison, &member.name, value, within));
            }
        }
        _ => sound = check_value(report, place, comparison, &member.name, &member.value, within),
    }
    sound
}

fn check_value(
    report: &mut Report<'_>,
    place: Place<'_>,
    comparison: Option<Comparison>,
    key: &str,
    node: &Node,
    within: Surroundings<'_>,
) -> Result<(), Faulty> {
    let Some(text) = scalar(node) else {
        return Err(report.fault(Fault::Syntax, place, node));
    };
    // `Null` asks whether `aws:SourceIp` is there: its value is no address.
    let is_address = KeyName::is_source_ip(key) && comparison.is_some_and(|c| c != Comparison::Null);
    if (is_address || comparison == Some(Comparison::IpAddress)) && ip_range(text).is_none() {
        return Err(report.fault(Fault::InvalidIpAddress, place, node));
    }
    let (can_match, wanted) = match comparison {
        None
        | Some(
            Comparison::StringEquals
            | Comparison::StringEqualsIgnoreCase
            | Comparison::StringLike
            | Comparison::IpAddress,
        ) => return Ok(()),
        Some(Comparison::Binary) if value::is_base64(text) => return Ok(()),
        Some(Comparison::Binary) => return Err(report.fault(Fault::InvalidBase64, place, node)),
        Some(Comparison::Numeric(_)) => (Number::parse(text).is_some(), "a number"),
        Some(Comparison::Date(_)) => (Moment::parse(text).is_some(), "a date"),
        Some(Comparison::Bool | Comparison::Null) => (value::boolean(text).is_some(), "true or false"),
        Some(Comparison::Arn) => (value::may_be_arn(text), "an ARN"),
    };
    if !can_match {
        let hole = match within.effect {
            Some(EffectWord::Deny) => ", so this Deny may not deny what it was written to deny",
            Some(EffectWord::Allow) | None => "",
        };
        report.warn_of(place, node, &format!("this value never matches: it is not {wanted}{hole}"));
    }
    Ok(())
}

/// A value as text; none for what is no value.
fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

/// The values of a key: one, or those of a list.
fn scalars(node: &Node) -> impl Iterator<Item = &str> {
    let values = match &node.value {
        Value::List(values) => values.as_slice(),
        _ => std::slice::from_ref(node),
    };
    values.iter().filter_map(scalar)
}
