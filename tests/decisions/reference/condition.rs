//! Does a `Condition` hold? Amazon's "IAM JSON policy elements: Condition operators" and "… Single-valued vs.
//! multivalued context keys".

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::scalar::{Number, date, is_in_network};
use super::text::{Piece, expand, is_like, literally};
use super::{Caller, items};

/// What is known of a request: the values of its keys.
pub(super) struct Facts<'r> {
    request: &'r Value,
    /// Whether the policy that asks knows variables.
    pub(super) has_variables: bool,
}

impl<'r> Facts<'r> {
    pub(super) fn of(request: &'r Value, has_variables: bool) -> Self {
        Self { request, has_variables }
    }

    /// The values of a key: what follows from the principal comes first, then what the request says. A key without
    /// values is not there.
    pub(super) fn values(&self, key: &str) -> Option<Vec<String>> {
        let key = folded(key);
        let given = self.request["context"].as_object().into_iter().flatten().find(|(name, _)| folded(name) == key);
        let given = given.map(|(_, values)| items(values).into_iter().map(|value| value.as_str().unwrap().to_owned()));
        self.derived(&key).map(|value| vec![value]).or(given.map(Iterator::collect)).filter(|values| !values.is_empty())
    }

    fn derived(&self, folded_key: &str) -> Option<String> {
        let principal = &self.request["principal"];
        let text = |name: &str| principal[name].as_str().map(str::to_owned);
        let caller = Caller::of(self.request);
        let kind = caller.kind.as_str();
        if let Some(tag) = folded_key.strip_prefix("aws:principaltag/") {
            let tagged = ["user", "assumed-role"].contains(&kind);
            return principal["tags"][tag].as_str().filter(|_| tagged).map(str::to_owned);
        }
        match (folded_key, kind) {
            ("aws:principalaccount", "anonymous") => Some("anonymous".to_owned()),
            ("aws:principalaccount", _) => caller.account,
            ("aws:principaltype", "anonymous") => Some("Anonymous".to_owned()),
            ("aws:principaltype", "root") => Some("Account".to_owned()),
            ("aws:principaltype", "user") => Some("User".to_owned()),
            ("aws:principaltype", _) => Some("AssumedRole".to_owned()),
            ("aws:principalarn", "root") => caller.account.map(|account| format!("arn:aws:iam::{account}:root")),
            ("aws:principalarn", _) => caller.user.or(caller.role),
            ("aws:userid", "anonymous") => Some("anonymous".to_owned()),
            ("aws:userid", "root") => caller.account,
            ("aws:userid", _) => text("user_id"),
            ("aws:username", "user") => text("name"),
            _ => None,
        }
    }
}

/// Keys are the same without regard to case; but the name of a tag counts with case, except of the tags of requests and
/// of resources.
pub(super) fn folded(key: &str) -> String {
    match key.split_once('/') {
        Some((name, tag)) if !["aws:requesttag", "aws:resourcetag"].contains(&name.to_lowercase().as_str()) => {
            format!("{}/{tag}", name.to_lowercase())
        }
        _ => key.to_lowercase(),
    }
}

/// A condition holds if every key under every operator does.
pub(super) fn holds(condition: &Value, facts: &Facts<'_>) -> bool {
    condition.as_object().unwrap().iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, listed)| {
            let listed: Vec<String> = items(listed).into_iter().map(scalar_text).collect();
            key_holds(operator, &listed, facts.values(key), facts)
        })
    })
}

/// Numbers and booleans may stand with or without quotes.
fn scalar_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// - Without a set qualifier: some value of the request must match some value of the policy; under a negated operator
///   (one with `Not` in its name) none may match any.
/// - `ForAllValues:` every value of the request must satisfy the operator; one without a value, or with empty ones
///   only, does. `ForAnyValue:` some value must; one without, or with empty ones only, does not.
/// - A key that is not there: a negated operator holds, any other does not.
/// - `…IfExists` holds where the key is not there.
/// - `Null` asks whether the key is missing or its values are a null data set, which empty strings are.
fn key_holds(operator: &str, listed: &[String], values: Option<Vec<String>>, facts: &Facts<'_>) -> bool {
    let (set, operator) = match operator.split_once(':') {
        Some((set, operator)) => (set, operator),
        None => ("", operator),
    };
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    if operator == "Null" {
        let is_null = values.is_none_or(|values| values.iter().all(String::is_empty));
        return listed.iter().any(|value| boolean(value) == Some(is_null));
    }
    let negated = operator.contains("Not");
    let positive = operator.replace("Not", "");
    let matches_some = |value: &String| listed.iter().any(|listed| matches(&positive, listed, value, facts));
    let satisfies = |value: &String| matches_some(value) != negated;
    match (values, set) {
        (None, _) if if_exists => true,
        (None, "ForAllValues") => true,
        (None, "ForAnyValue") => false,
        (None, _) => negated,
        (Some(values), "ForAllValues") => values.iter().all(String::is_empty) || values.iter().all(satisfies),
        (Some(values), "ForAnyValue") => !values.iter().all(String::is_empty) && values.iter().any(satisfies),
        (Some(values), _) => values.iter().any(matches_some) != negated,
    }
}

/// A value of the policy matches one of the request, under an operator that is not negated. Variables are known in
/// texts and ARNs only.
fn matches(operator: &str, listed: &str, value: &str, facts: &Facts<'_>) -> bool {
    let text = || expand(listed, facts);
    match operator {
        "StringEquals" => text().is_some_and(|listed| literally(&listed) == value),
        "StringEqualsIgnoreCase" => text().is_some_and(|listed| lower(&literally(&listed)) == lower(value)),
        "StringLike" => text().is_some_and(|listed| is_like(&listed, value)),
        "ArnEquals" | "ArnLike" => text().is_some_and(|listed| is_arn_like(&listed, value)),
        "Bool" => boolean(listed).is_some() && boolean(listed) == boolean(value),
        "IpAddress" => is_in_network(value, listed),
        "BinaryEquals" => STANDARD.decode(listed).is_ok_and(|bytes| STANDARD.decode(value) == Ok(bytes)),
        _ => match operator.strip_prefix("Date") {
            Some(order) => {
                date(value).zip(date(listed)).is_some_and(|(value, listed)| is_ordered(order, &value, &listed))
            }
            None => {
                let order = operator.strip_prefix("Numeric").unwrap();
                let numbers = Number::parse(value).zip(Number::parse(listed));
                numbers.is_some_and(|(value, listed)| is_ordered(order, &value, &listed))
            }
        },
    }
}

/// The request's value stands on the left.
fn is_ordered(order: &str, value: &Number, listed: &Number) -> bool {
    let found = value.compare(listed);
    match order {
        "Equals" => found == Ordering::Equal,
        "LessThan" => found == Ordering::Less,
        "LessThanEquals" => found != Ordering::Greater,
        "GreaterThan" => found == Ordering::Greater,
        "GreaterThanEquals" => found != Ordering::Less,
        unknown => panic!("{unknown}"),
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// ARNs match part by part, so that a `*` never reaches over a colon, but in the last part, which may have colons
/// itself. `*` alone is any ARN.
fn is_arn_like(pattern: &[Piece], value: &str) -> bool {
    let value: Vec<&str> = value.splitn(6, ':').collect();
    let pattern_is_everything = *pattern == [Piece::AnyRun];
    let pattern: Vec<&[Piece]> = pattern.splitn(6, |piece| *piece == Piece::Char(':')).collect();
    let is_arn = value.len() == 6 && value[0] == "arn";
    let parts_match = || pattern.len() == 6 && pattern.iter().zip(&value).all(|(part, value)| is_like(part, value));
    is_arn && (pattern_is_everything || parts_match())
}
