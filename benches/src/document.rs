//! A policy before it is written in any engine's language, and the policies that are measured.

use portcullis::policy::PolicyDocument;
use portcullis::policy::MAX_NORMALIZED;
use serde_json::{Value, json};

/// The one bucket of all policies and requests.
pub const BUCKET: &str = "media";
/// The account of the bucket and of every caller.
pub const ACCOUNT: &str = "111122223333";
/// Whoever asks, unless a scenario is about somebody else.
pub const CALLER: &str = "alice";
/// The one action of all policies and requests.
pub const ACTION: &str = "s3:GetObject";

/// A policy: what it is attached to, and its statements.
#[derive(Clone, Debug)]
pub struct Document {
    pub attached: Attached,
    pub statements: Vec<Statement>,
}

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The bucket: every statement names its principals.
    Bucket,
    /// The caller.
    Identity,
}

/// A statement about [`ACTION`] on some keys of [`BUCKET`].
#[derive(Clone, Debug)]
pub struct Statement {
    pub allow: bool,
    /// The names of users; in an identity policy they are left out.
    pub users: Vec<String>,
    /// A pattern of keys.
    pub keys: String,
    pub conditions: Vec<Condition>,
}

/// One operator with one key.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `IpAddress` of `aws:SourceIp`: CIDRs.
    SourceIp(Vec<String>),
    /// `Bool` of `aws:SecureTransport`.
    SecureTransport(bool),
    /// `StringLike` of `aws:Referer`: patterns.
    Referer(Vec<String>),
}

/// How a list of one string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the string alone: Amazon's normal form.
    Normal,
    /// As a list: the only form that some engines read.
    Lists,
}

impl Document {
    /// `count` statements, each allowing [`CALLER`] the keys of a prefix of its own.
    pub fn prefixes(attached: Attached, count: usize) -> Self {
        Self::new(attached, (0..count).map(|index| Statement::allowing(&format!("team-{index:04}/*"))))
    }

    /// As [`Document::prefixes`], the largest that a bucket policy may be.
    pub fn largest_of_prefixes() -> Self {
        largest(|count| Self::prefixes(Attached::Bucket, count))
    }

    /// The largest whose statements all concern one prefix and differ in what follows it, so that each has to be looked at.
    pub fn largest_of_one_prefix() -> Self {
        let keys = |index| format!("shared/*/part-{index:04}.csv");
        largest(|count| Self::new(Attached::Bucket, (0..count).map(|index| Statement::allowing(&keys(index)))))
    }

    /// The largest whose statements all concern the same keys and differ in the network that may read them, so that each
    /// condition has to be looked at.
    pub fn largest_of_networks() -> Self {
        let network = |index| Condition::SourceIp(vec![format!("10.{}.{}.0/24", index / 256, index % 256)]);
        let statement = |index| Statement::allowing("shared/*").given([network(index)]);
        largest(|count| Self::new(Attached::Bucket, (0..count).map(statement)))
    }

    /// One statement with as many values of a `StringLike` as will fit.
    pub fn largest_of_values() -> Self {
        let sites = |count| (0..count).map(|index| format!("https://site-{index:04}.example.com/*")).collect();
        largest(|count| {
            let statement = Statement::allowing("shared/*").given([Condition::Referer(sites(count))]);
            Self::new(Attached::Bucket, [statement])
        })
    }

    /// One statement with as many principals as will fit.
    pub fn largest_of_principals() -> Self {
        largest(|count| {
            let users = (0..count).map(|index| format!("user-{index:04}")).collect();
            Self::new(Attached::Bucket, [Statement { users, ..Statement::allowing("shared/*") }])
        })
    }

    /// Ten statements on the same keys, each with an `IpAddress`, a `Bool` and a `StringLike` of its own.
    pub fn conditions() -> Self {
        let statement = |index| {
            Statement::allowing("reports/*").given([
                Condition::SourceIp(vec![format!("10.0.{index}.0/24")]),
                Condition::SecureTransport(true),
                Condition::Referer(vec![format!("https://tool-{index}.example.com/*")]),
            ])
        };
        Self::new(Attached::Bucket, (0..10).map(statement))
    }

    /// Ten statements on keys below the caller's own home, so that a variable has to be filled in ten times.
    pub fn variables() -> Self {
        let keys = |index| format!("home/${{aws:username}}/project-{index}/*");
        Self::new(Attached::Bucket, (0..10).map(|index| Statement::allowing(&keys(index))))
    }

    /// Ten statements that allow prefixes, and at the end one that denies a part of the last.
    pub fn explicit_deny() -> Self {
        let mut document = Self::prefixes(Attached::Bucket, 10);
        document.statements.push(Statement { allow: false, ..Statement::allowing("team-0009/secret/*") });
        document
    }

    /// The policy as JSON in Amazon's language.
    pub fn to_json(&self, form: Form) -> String {
        let statements: Vec<_> =
            self.statements.iter().map(|statement| statement.to_json(self.attached, form)).collect();
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// The length that Amazon limits.
    pub fn normalized_len(&self) -> usize {
        let json = self.to_json(Form::Normal);
        PolicyDocument::parse(json.as_bytes()).expect("generated JSON parses").normalized().len()
    }

    /// A policy attached to the same with other statements.
    pub fn with(&self, statements: Vec<Statement>) -> Self {
        Self { attached: self.attached, statements }
    }

    /// Whether a pattern of keys has a variable in it.
    pub fn has_variables(&self) -> bool {
        self.statements.iter().any(|statement| statement.keys.contains("${"))
    }

    /// The length of the longest list in it, of principals or of patterns.
    pub fn longest_list(&self) -> usize {
        let patterns = |condition: &Condition| match condition {
            Condition::SourceIp(values) | Condition::Referer(values) => values.len(),
            Condition::SecureTransport(_) => 1,
        };
        let longest = |statement: &Statement| {
            let conditions = statement.conditions.iter().map(patterns);
            conditions.chain([statement.users.len()]).max().unwrap_or_default()
        };
        self.statements.iter().map(longest).max().unwrap_or_default()
    }

    fn new(attached: Attached, statements: impl IntoIterator<Item = Statement>) -> Self {
        Self { attached, statements: statements.into_iter().collect() }
    }
}

impl Statement {
    fn allowing(keys: &str) -> Self {
        Self { allow: true, users: vec![CALLER.to_owned()], keys: keys.to_owned(), conditions: Vec::new() }
    }

    fn given(self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        Self { conditions: conditions.into_iter().collect(), ..self }
    }

    fn to_json(&self, attached: Attached, form: Form) -> Value {
        let mut statement = json!({
            "Effect": if self.allow { "Allow" } else { "Deny" },
            "Action": list(&[ACTION.to_owned()], form),
            "Resource": list(&[arn_of_object(&self.keys)], form),
        });
        if attached == Attached::Bucket {
            let users: Vec<_> = self.users.iter().map(|name| arn_of_user(name)).collect();
            statement["Principal"] = json!({"AWS": list(&users, form)});
        }
        for condition in &self.conditions {
            let (operator, key, values) = match condition {
                Condition::SourceIp(networks) => ("IpAddress", "aws:SourceIp", list(networks, form)),
                Condition::SecureTransport(value) => ("Bool", "aws:SecureTransport", json!(value.to_string())),
                Condition::Referer(patterns) => ("StringLike", "aws:Referer", list(patterns, form)),
            };
            statement["Condition"][operator][key] = values;
        }
        statement
    }
}

/// The ARN of a key, or of a pattern of keys, in [`BUCKET`].
pub fn arn_of_object(key: &str) -> String {
    format!("arn:aws:s3:::{BUCKET}/{key}")
}

/// The ARN of a user of [`ACCOUNT`].
pub fn arn_of_user(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn list(values: &[String], form: Form) -> Value {
    match values {
        [one] if form == Form::Normal => json!(one),
        several => json!(several),
    }
}

/// The largest of the documents that `build` makes of ever larger counts, of those that a bucket policy may be.
fn largest(build: impl Fn(usize) -> Document) -> Document {
    let (mut fits, mut too_many) = (1, 1024_usize);
    while too_many - fits > 1 {
        let middle = fits.midpoint(too_many);
        if build(middle).normalized_len() <= MAX_NORMALIZED {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    build(fits)
}

#[cfg(test)]
mod tests {
    use portcullis::policy::Policy;

    use super::*;

    #[test]
    fn every_bucket_policy_is_valid_without_a_warning() {
        for (name, document) in [
            ("ten prefixes", Document::prefixes(Attached::Bucket, 10)),
            ("a hundred prefixes", Document::prefixes(Attached::Bucket, 100)),
            ("prefixes", Document::largest_of_prefixes()),
            ("one prefix", Document::largest_of_one_prefix()),
            ("networks", Document::largest_of_networks()),
            ("values", Document::largest_of_values()),
            ("principals", Document::largest_of_principals()),
            ("conditions", Document::conditions()),
            ("variables", Document::variables()),
            ("explicit deny", Document::explicit_deny()),
        ] {
            for form in [Form::Normal, Form::Lists] {
                let validated = Policy::parse(document.to_json(form).as_bytes(), BUCKET);
                let validated = validated.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
                assert!(validated.warnings.is_empty(), "{name}: {:?}", validated.warnings);
            }
        }
    }

    #[test]
    fn every_identity_policy_is_valid_without_a_warning() {
        for count in [1, 10, 100, 1_000] {
            let document = Document::prefixes(Attached::Identity, count).to_json(Form::Normal);
            let validated = Policy::parse_identity(document.as_bytes()).unwrap();
            assert!(validated.warnings.is_empty(), "{count}: {:?}", validated.warnings);
        }
    }

    #[test]
    fn the_largest_are_as_large_as_a_bucket_policy_may_be() {
        for (name, document, statements) in [
            ("prefixes", Document::largest_of_prefixes(), 100..200),
            ("one prefix", Document::largest_of_one_prefix(), 100..200),
            ("networks", Document::largest_of_networks(), 80..150),
            ("values", Document::largest_of_values(), 1..2),
            ("principals", Document::largest_of_principals(), 1..2),
        ] {
            let length = document.normalized_len();
            // No part that is repeated has more than 220 bytes: another one would not fit.
            assert!((MAX_NORMALIZED - 220..=MAX_NORMALIZED).contains(&length), "{name}: {length}");
            assert!(statements.contains(&document.statements.len()), "{name}: {}", document.statements.len());
        }
    }

    #[test]
    fn lists_are_written_as_asked_for() {
        let document = Document::conditions();
        let mut statement: Value = serde_json::from_str(&document.to_json(Form::Normal)).unwrap();
        assert_eq!(
            statement["Statement"][3].take(),
            json!({
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"},
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::media/reports/*",
                "Condition": {
                    "IpAddress": {"aws:SourceIp": "10.0.3.0/24"},
                    "Bool": {"aws:SecureTransport": "true"},
                    "StringLike": {"aws:Referer": "https://tool-3.example.com/*"},
                },
            })
        );
        let lists: Value = serde_json::from_str(&document.to_json(Form::Lists)).unwrap();
        assert_eq!(lists["Statement"][3]["Principal"]["AWS"], json!(["arn:aws:iam::111122223333:user/alice"]));
        assert_eq!(lists["Statement"][3]["Condition"]["IpAddress"]["aws:SourceIp"], json!(["10.0.3.0/24"]));
    }
}
