//! What can be wrong with a policy document, in Amazon's words.

use std::fmt::{self, Write as _};

use super::json;
use super::validate::MAX_BODY;

/// One thing wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Amazon's message, word for word. Of a warning, which Amazon does not give: our own sentence.
    pub message: String,
    /// What was wrong and where: the statement by its position (counted from 0) and Sid, the element, the offending
    /// text, and its line and column (counted from 1, columns in bytes).
    pub detail: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A document that is not a policy: every problem found, the one to report first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPolicy {
    problems: Vec<Problem>,
}

impl InvalidPolicy {
    /// The problem that S3 reports.
    pub fn first(&self) -> Option<&Problem> {
        self.problems.first()
    }

    /// All of them, in the order in which S3 looks; a document with very many is not reported to the end.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// A document of more than [`MAX_BODY`] bytes, of which no more are read.
    pub(crate) fn too_long() -> Self {
        Self::one(Fault::TooLarge, format!("The document has more than {MAX_BODY} bytes, and no more are read"))
    }

    pub(super) fn one(fault: Fault<'_>, detail: impl Into<String>) -> Self {
        Self { problems: vec![Problem { message: fault.to_string(), detail: Some(detail.into()) }] }
    }

    // INVARIANT: `problems` is not empty; the caller holds a `Faulty`, which only reporting a problem makes.
    pub(super) fn all(problems: Vec<Problem>) -> Self {
        Self { problems }
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().map_or(Ok(()), |problem| problem.fmt(f))
    }
}

impl std::error::Error for InvalidPolicy {}

/// The ways in which a document fails; each displays as Amazon's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault<'a> {
    FirstByte,
    InvalidJson,
    TooLarge,
    UnknownField(&'a str),
    InvalidVersion,
    Syntax,
    MissingField(&'static str),
    NoStatements,
    InvalidEffect(&'a str),
    EmptyPrincipal,
    InvalidPrincipal,
    AllowNotPrincipal,
    InvalidAction,
    InvalidResource,
    ActionWithoutResource,
    ConditionWithoutAction,
    InvalidConditionType(&'a str),
    InvalidConditionKey,
    InvalidIpAddress,
    InvalidBase64,
    /// IAM's, of an identity policy.
    PrincipalInIdentityPolicy,
    /// IAM's, of an identity policy.
    ActionWithoutVendor,
    /// IAM's, of an identity policy.
    ResourceNotArn(&'a str),
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstByte => f.write_str("Policies must be valid JSON and the first byte must be '{'"),
            Self::InvalidJson => f.write_str("This policy contains invalid Json"),
            Self::TooLarge => f.write_str("Normalized policy document exceeds the maximum allowed size of 20480 bytes"),
            Self::UnknownField(name) => write!(f, "Unknown field {}", Clipped(name)),
            Self::InvalidVersion => f.write_str("The policy must contain a valid version string"),
            Self::Syntax => f.write_str("Invalid policy syntax."),
            Self::MissingField(name) => write!(f, "Missing required field {name}"),
            Self::NoStatements => f.write_str("Could not parse the policy: Statement is empty!"),
            Self::InvalidEffect(word) => write!(f, "Invalid effect: {}", Clipped(word)),
            Self::EmptyPrincipal => f.write_str("Missing required field Principal cannot be empty!"),
            Self::InvalidPrincipal => f.write_str("Invalid principal in policy"),
            Self::AllowNotPrincipal => f.write_str("Allow with NotPrincipal is not allowed."),
            Self::InvalidAction => f.write_str("Policy has invalid action"),
            Self::InvalidResource => f.write_str("Policy has invalid resource"),
            Self::ActionWithoutResource => f.write_str("Action does not apply to any resource(s) in statement"),
            Self::ConditionWithoutAction => {
                f.write_str("Conditions do not apply to combination of actions and resources in statement")
            }
            Self::InvalidConditionType(operator) => write!(f, "Invalid Condition type : {}", Clipped(operator)),
            Self::InvalidConditionKey => f.write_str("Policy has an invalid condition key"),
            Self::InvalidIpAddress => f.write_str("Invalid IP address in Conditions"),
            Self::InvalidBase64 => f.write_str("Invalid Base64 value for binary condition"),
            Self::PrincipalInIdentityPolicy => f.write_str("Policy document should not specify a principal."),
            Self::ActionWithoutVendor => {
                f.write_str("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            }
            Self::ResourceNotArn(text) => write!(f, "Resource {} must be in ARN format or \"*\".", Clipped(text)),
        }
    }
}

/// The offending text as a message may hold it: no more characters than that a document full of long texts cannot make
/// its own description many times its size, and control characters escaped, which could move a terminal's cursor or
/// feign a line of a log.
pub(super) struct Clipped<'a>(pub(super) &'a str);

const SHOWN: usize = 120;

impl fmt::Display for Clipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN) {
            if c.is_control() {
                write!(f, "\\u{:04x}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        if chars.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

/// The offending text as a JSON string, clipped.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        json::write_string(self.0, &mut text);
        Clipped(&text).fmt(f)
    }
}
