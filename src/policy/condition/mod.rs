//! Is a `Condition` well-formed, and does it test keys that there are?
//!
//! Follows Amazon's "IAM JSON policy elements: Condition".

mod key;
mod key_table;
mod operator;
mod value;

use std::collections::HashSet;

use self::key::KeyName;
pub(super) use self::key::S3Key;
use self::operator::Comparison;
use super::error::Fault;
use super::json::{Member, Node, Value};
use super::validate::report::{Faulty, Place, Report};
use super::validate::{Attachment, EffectWord};

/// What validation needs of a well-formed condition.
#[derive(Debug, Default)]
pub(super) struct Condition<'d> {
    /// There is something in it.
    pub(super) present: bool,
    /// The keys of S3's own, each where it stands.
    pub(super) s3_keys: Vec<UsedKey<'d>>,
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
pub(super) struct Context<'p> {
    pub(super) attachment: Attachment<'p>,
    /// None where it is faulty itself.
    pub(super) effect: Option<EffectWord>,
}

impl<'d> Condition<'d> {
    /// Checks the value of a `Condition` element: every operator, every key, every value.
    pub(super) fn check(
        report: &mut Report<'d>,
        place: Place<'_>,
        node: &'d Node,
        context: Context<'_>,
    ) -> Result<Self, Faulty> {
        let Value::Object(operators) = &node.value else {
            return Err(report.fault(Fault::Syntax, place, node));
        };
        let mut condition = Self { present: !operators.is_empty(), s3_keys: Vec::new() };
        let mut sound = Ok(());
        for operator in operators {
            let checked = condition.check_operator(report, place.member(&operator.name), operator, context);
            sound = sound.and(checked);
        }
        sound.map(|()| condition)
    }

    fn check_operator(
        &mut self,
        report: &mut Report<'d>,
        place: Place<'_>,
        operator: &'d Member,
        context: Context<'_>,
    ) -> Result<(), Faulty> {
        let comparison = Comparison::of_operator(&operator.name).ok_or_else(|| {
            report.fault_at(Fault::InvalidConditionType(&operator.name), place, operator.at, "no such operator")
        });
        let Value::Object(keys) = &operator.value.value else {
            return Err(report.fault(Fault::Syntax, place, &operator.value));
        };
        let mut sound = comparison.map(|_| ());
        let mut seen = HashSet::new();
        for member in keys {
            let place = place.member(&member.name);
            if !seen.insert(key::identity(&member.name)) {
                let what = "the same key as before, but for the case of its letters";
                sound = Err(report.fault_at(Fault::InvalidJson, place, member.at, what));
            }
            sound = sound.and(self.check_key(report, place, operator, member, context));
            sound = sound.and(check_values(report, place, comparison.ok(), member, context));
        }
        sound
    }

    fn check_key(
        &mut self,
        report: &mut Report<'d>,
        place: Place<'_>,
        operator: &'d Member,
        member: &'d Member,
        context: Context<'_>,
    ) -> Result<(), Faulty> {
        let strict = matches!(context.attachment, Attachment::Bucket(_));
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
    context: Context<'_>,
) -> Result<(), Faulty> {
    let mut sound = Ok(());
    match &member.value.value {
        Value::List(values) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                sound = sound.and(check_value(report, place.item(index), comparison, &member.name, value, context));
            }
        }
        _ => sound = check_value(report, place, comparison, &member.name, &member.value, context),
    }
    sound
}

fn check_value(
    report: &mut Report<'_>,
    place: Place<'_>,
    comparison: Option<Comparison>,
    key: &str,
    node: &Node,
    context: Context<'_>,
) -> Result<(), Faulty> {
    let text = match &node.value {
        Value::String(text) | Value::Number(text) => text.as_str(),
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Null | Value::List(_) | Value::Object(_) => return Err(report.fault(Fault::Syntax, place, node)),
    };
    // `Null` asks whether `aws:SourceIp` is there: its value is no address.
    let is_address = KeyName::is_source_ip(key) && comparison.is_some_and(|c| c != Comparison::Presence);
    if (is_address || comparison == Some(Comparison::IpAddress)) && !value::is_ip_range(text) {
        return Err(report.fault(Fault::InvalidIpAddress, place, node));
    }
    let (can_match, wanted) = match comparison {
        None | Some(Comparison::String | Comparison::IpAddress) => return Ok(()),
        Some(Comparison::Binary) if value::is_base64(text) => return Ok(()),
        Some(Comparison::Binary) => return Err(report.fault(Fault::InvalidBase64, place, node)),
        Some(Comparison::Numeric) => (value::is_number(text), "a number"),
        Some(Comparison::Date) => (value::is_date(text), "a date"),
        Some(Comparison::Bool | Comparison::Presence) => (value::is_bool(text), "true or false"),
        Some(Comparison::Arn) => (value::is_arn(text), "an ARN"),
    };
    if !can_match {
        let hole = match context.effect {
            Some(EffectWord::Deny) => ", so this Deny may not deny what it was written to deny",
            Some(EffectWord::Allow) | None => "",
        };
        report.warn_of(place, node, &format!("this value never matches: it is not {wanted}{hole}"));
    }
    Ok(())
}
