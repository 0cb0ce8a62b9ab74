//! What does a line ask? Its fields, and the question they make.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use clap::ValueEnum;
use portcullis::policy::{
    AccessRequest, AccountId, Action, ActionLevel, Context, Decision, Policies, Policy, Principal,
};
use serde_json::value::RawValue;

use super::{policies, principal};
use crate::cli::fields::{Fields, list, scalar};
use crate::cli::terminal::Shown;

const FIELDS: [&str; 9] = [
    "id",
    "bucket_policy",
    "identity_policies",
    "bucket_owner",
    "principal",
    "action",
    "resource",
    "context",
    "expect",
];

/// What was read from a line.
#[derive(Debug)]
pub(super) struct Line<'l> {
    /// As it is written; none where it is absent or cannot be read.
    pub(super) id: Option<&'l RawValue>,
    /// Fields that mean nothing here, by their paths.
    pub(super) unknown: Vec<String>,
    /// The question, or why the line asks none.
    pub(super) question: Result<Question<'l>, String>,
}

/// A request and the policies it is held against.
#[derive(Debug)]
pub(super) struct Question<'l> {
    principal: Principal,
    action: Action,
    resource: Cow<'l, str>,
    context: Context<'l>,
    identity: Vec<Arc<Policy>>,
    bucket: Option<Arc<Policy>>,
    owner: AccountId,
    /// What the line itself expects.
    pub(super) expected: Option<Expected>,
}

/// A decision that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Expected {
    /// Something allows it and nothing denies it
    Allow,
    /// Either of the two denials
    Deny,
    /// A statement denies it
    ExplicitDeny,
    /// Nothing allows it
    ImplicitDeny,
}

/// Reads a line; none where it is blank.
pub(super) fn read<'l>(bytes: &'l [u8], policies: &mut policies::Policies) -> Option<Line<'l>> {
    if bytes.trim_ascii().is_empty() {
        return None;
    }
    let unreadable = |problem| Line { id: None, unknown: Vec::new(), question: Err(problem) };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Some(unreadable(format!("not UTF-8 (column {})", error.valid_up_to() + 1))),
    };
    Some(match Fields::parse(text) {
        Ok(fields) => Line { id: fields.get("id"), unknown: unknown(&fields), question: question(&fields, policies) },
        Err(problem) => unreadable(format!("not a JSON object: {problem}")),
    })
}

impl Question<'_> {
    pub(super) fn request(&self) -> AccessRequest<'_> {
        AccessRequest {
            principal: &self.principal,
            action: self.action,
            resource: &self.resource,
            context: &self.context,
        }
    }

    pub(super) fn policies(&self) -> Policies<'_> {
        Policies { identity: &self.identity, bucket: self.bucket.as_deref(), owner: &self.owner }
    }
}

impl Expected {
    pub(super) fn is_met_by(self, decision: Decision) -> bool {
        match self {
            Self::Allow => decision == Decision::Allow,
            Self::Deny => decision != Decision::Allow,
            Self::ExplicitDeny => decision == Decision::ExplicitDeny,
            Self::ImplicitDeny => decision == Decision::ImplicitDeny,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::ExplicitDeny => "explicit_deny",
            Self::ImplicitDeny => "implicit_deny",
        })
    }
}

fn unknown(fields: &Fields<'_>) -> Vec<String> {
    let top = fields.iter().map(|(name, _)| name).filter(|name| !FIELDS.contains(name)).map(str::to_owned);
    let principal = fields.object("principal").ok().flatten();
    let within = principal.iter().flat_map(Fields::iter).map(|(name, _)| name);
    let within = within.filter(|name| !principal::MEMBERS.contains(name)).map(|name| format!("principal.{name}"));
    top.chain(within).collect()
}

fn question<'l>(fields: &Fields<'l>, policies: &mut policies::Policies) -> Result<Question<'l>, String> {
    fields.distinct()?;
    let principal = fields.object("principal")?.ok_or("there is no `principal`")?;
    let principal = principal::read(&principal).map_err(|problem| format!("`principal`: {problem}"))?;
    let action = fields.text("action")?.ok_or("there is no `action`")?;
    let action = Action::parse(&action).ok_or_else(|| format!("`action`: {} is no action of S3", Shown(&action)))?;
    let resource = fields.text("resource")?.ok_or("there is no `resource`")?;
    if !is_resource(&resource, action) {
        return Err(format!("`resource`: {} is not an ARN", Shown(&resource)));
    }
    let owner = fields.text("bucket_owner")?.ok_or("there is no `bucket_owner`")?;
    let owner = AccountId::parse(&owner).map_err(|error| format!("`bucket_owner`: {}", Shown(error.to_string())))?;
    let expected = fields.text("expect")?.map(|text| {
        Expected::from_str(&text, false)
            .map_err(|_| format!("`expect`: {} is none of allow, deny, explicit_deny and implicit_deny", Shown(&text)))
    });
    Ok(Question {
        principal,
        action,
        context: context(fields)?,
        identity: identity_policies(fields, policies)?,
        bucket: fields
            .get("bucket_policy")
            .map(|policy| policies.bucket(policy.get(), &resource))
            .transpose()
            .map_err(|problem| format!("`bucket_policy`: {problem}"))?,
        resource,
        owner,
        expected: expected.transpose()?,
    })
}

/// Takes a whole ARN, `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, and `*` for what has no resource.
fn is_resource(text: &str, action: Action) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, _, _, resource) = (next(), next(), next(), next(), next(), next());
    arn == "arn" && !partition.is_empty() && !service.is_empty() && !resource.is_empty()
        || text == "*" && action.level() == ActionLevel::Account
}

fn identity_policies(fields: &Fields<'_>, policies: &mut policies::Policies) -> Result<Vec<Arc<Policy>>, String> {
    let Some(listed) = fields.get("identity_policies") else { return Ok(Vec::new()) };
    let listed = list(listed).map_err(|problem| format!("`identity_policies`: {problem}"))?;
    let compile = |(position, policy): (usize, &RawValue)| {
        policies.identity(policy.get()).map_err(|problem| format!("`identity_policies[{position}]`: {problem}"))
    };
    listed.into_iter().enumerate().map(compile).collect()
}

fn context<'l>(fields: &Fields<'l>) -> Result<Context<'l>, String> {
    let mut context = Context::new();
    let Some(given) = fields.object("context")? else { return Ok(context) };
    for (key, value) in given.iter() {
        if context.has(key) {
            return Err(format!("`context`: `{}` is given twice", Shown(key)));
        }
        let values = match list(value) {
            Ok(values) => values.into_iter().map(scalar).collect::<Result<Vec<_>, _>>(),
            Err(_) => scalar(value).map(|value| vec![value]),
        };
        context.set(key, values.map_err(|problem| format!("`context`: `{}`: {problem}", Shown(key)))?);
    }
    Ok(context)
}

#[cfg(test)]
mod tests {
    use portcullis::policy::decide;

    use super::*;

    const LINE: [(&str, &str); 4] = [
        ("principal", r#"{"type":"anonymous"}"#),
        ("action", r#""s3:getobject""#),
        ("resource", r#""arn:aws:s3:::b/k""#),
        ("bucket_owner", r#""111122223333""#),
    ];

    /// A good line, and what is set in it; an empty value takes the field away.
    fn line(set: &[(&str, &str)]) -> String {
        let kept = LINE.iter().filter(|(name, _)| !set.iter().any(|(other, _)| other == name));
        let fields = kept.chain(set).filter(|(_, value)| !value.is_empty());
        let fields: Vec<_> = fields.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    }

    fn problem(line: &str) -> String {
        read(line.as_bytes(), &mut policies::Policies::new()).unwrap().question.unwrap_err()
    }

    #[test]
    fn what_a_line_leaves_out_is_empty() {
        let text = line(&[("context", "null"), ("identity_policies", "null"), ("bucket_policy", "null")]);
        for text in [line(&[]), format!("{text}\r")] {
            let line = read(text.as_bytes(), &mut policies::Policies::new()).unwrap();
            assert!(line.id.is_none() && line.unknown.is_empty(), "{line:?}");
            let question = line.question.unwrap();
            assert_eq!(question.request().action, Action::GetObject);
            assert!(question.identity.is_empty() && question.bucket.is_none() && question.expected.is_none());
        }
        for blank in ["", "\r", " \t"] {
            assert!(read(blank.as_bytes(), &mut policies::Policies::new()).is_none(), "{blank:?}");
        }
    }

    #[test]
    fn context_values_are_texts_however_they_are_written() {
        let decision = |value: &str, condition: &str| {
            let policy = format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*","Condition":{condition}}}}}"#
            );
            let text = line(&[("bucket_policy", &policy), ("context", &format!(r#"{{"aws:Key":{value}}}"#))]);
            let question = read(text.as_bytes(), &mut policies::Policies::new()).unwrap().question.unwrap();
            decide(&question.request(), &question.policies()).decision()
        };
        for (value, condition) in [
            (r#"["x","y"]"#, r#"{"ForAnyValue:StringEquals":{"aws:key":"y"}}"#),
            (r#""x""#, r#"{"StringEquals":{"aws:key":"x"}}"#),
            ("1.50", r#"{"StringEquals":{"aws:key":"1.50"}}"#),
            ("true", r#"{"Bool":{"aws:key":"true"}}"#),
            (r#"[7,"x"]"#, r#"{"ForAllValues:StringEquals":{"aws:key":["7","x"]}}"#),
            ("[]", r#"{"Null":{"aws:key":"true"}}"#),
            (r#""""#, r#"{"StringEquals":{"aws:key":""}}"#),
        ] {
            assert_eq!(decision(value, condition), Decision::Allow, "{value}");
            assert_eq!(decision(r#""other""#, condition), Decision::ImplicitDeny, "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_the_id_kept() {
        for (field, value, expected) in [
            ("principal", "", "there is no `principal`"),
            ("action", "", "there is no `action`"),
            ("resource", "null", "there is no `resource`"),
            ("bucket_owner", "", "there is no `bucket_owner`"),
            ("principal", "[]", "`principal`: an object is expected, not []"),
            ("principal", r#"{"type":"root"}"#, "`principal`: has neither an `account` nor an `arn`"),
            ("action", "[\"s3:GetObject\"]", "`action`: a string is expected, not [\"s3:GetObject\"]"),
            ("action", r#""s3:HeadObject""#, "`action`: s3:HeadObject is no action of S3"),
            ("resource", r#""b/k""#, "`resource`: b/k is not an ARN"),
            ("resource", r#""arn:aws:s3:::""#, "`resource`: arn:aws:s3::: is not an ARN"),
            ("resource", r#""*""#, "`resource`: * is not an ARN"),
            ("bucket_owner", r#""1111""#, "`bucket_owner`: `1111` is not an account id: twelve digits are"),
            ("bucket_owner", "111122223333", "`bucket_owner`: a string is expected, not 111122223333"),
            ("context", r#"{"a":null}"#, "`context`: `a`: a string, a number or a boolean is expected, not null"),
            ("context", r#"{"a":[{}]}"#, "`context`: `a`: a string, a number or a boolean is expected, not {}"),
            ("context", r#"{"aws:SourceIp":"x","aws:sourceip":"y"}"#, "`context`: `aws:sourceip` is given twice"),
            ("context", "[]", "`context`: an object is expected, not []"),
            ("identity_policies", "{}", "`identity_policies`: a list is expected, not {}"),
            (
                "identity_policies",
                "[{}]",
                "`identity_policies[0]`: Missing required field Statement: The document has no Statement",
            ),
            ("bucket_policy", "{}", "`bucket_policy`: Missing required field Statement: The document has no Statement"),
            ("expect", r#""yes""#, "`expect`: yes is none of allow, deny, explicit_deny and implicit_deny"),
            ("id", r#""n","id":"m""#, "`id` is given twice"),
        ] {
            let text = line(&[("id", r#"["n"]"#), (field, value)]);
            assert_eq!(problem(&text), expected, "{text}");
            let read = read(text.as_bytes(), &mut policies::Policies::new()).map(|line| line.id.map(RawValue::get));
            assert_eq!(read, Some(Some(r#"["n"]"#)), "{text}");
        }
        let mut not_utf8 = line(&[]).into_bytes();
        not_utf8.insert(2, 0xff);
        let read = read(&not_utf8, &mut policies::Policies::new()).unwrap();
        assert_eq!(read.question.unwrap_err(), "not UTF-8 (column 3)");
        assert_eq!(problem("{\"a\":}"), "not a JSON object: expected value (column 6)");
    }

    #[test]
    fn resources_are_whole_arns() {
        for (resource, action, taken) in [
            ("arn:aws:s3:::b", Action::ListBucket, true),
            ("arn:aws:s3:::b/a:b", Action::GetObject, true),
            ("arn:aws:s3:us-east-1:111122223333:accesspoint/p", Action::GetAccessPoint, true),
            ("*", Action::ListAllMyBuckets, true),
            ("*", Action::ListBucket, false),
            ("arn:aws:s3", Action::ListBucket, false),
            ("arn::s3:::b", Action::ListBucket, false),
            ("ARN:aws:s3:::b", Action::ListBucket, false),
        ] {
            assert_eq!(is_resource(resource, action), taken, "{resource}");
        }
    }

    #[test]
    fn unknown_fields_are_named_by_their_path() {
        let principal = r#"{"type":"anonymous","Name":"x"}"#;
        let text = line(&[("Action", "1"), ("principal", principal)]);
        let line = read(text.as_bytes(), &mut policies::Policies::new()).unwrap();
        assert_eq!(line.unknown, ["Action", "principal.Name"]);
        assert!(line.question.is_ok());
    }

    #[test]
    fn a_denial_is_either_of_two() {
        use Decision::{Allow, ExplicitDeny, ImplicitDeny};
        for (word, met) in [
            ("allow", [true, false, false]),
            ("deny", [false, true, true]),
            ("explicit_deny", [false, true, false]),
            ("implicit_deny", [false, false, true]),
        ] {
            let expected = Expected::from_str(word, false).unwrap();
            assert_eq!(expected.to_string(), word);
            assert_eq!([Allow, ExplicitDeny, ImplicitDeny].map(|decision| expected.is_met_by(decision)), met, "{word}");
        }
    }
}
