//! From the bytes of a document to a checked [`Policy`], or every problem found.

use std::fmt;

use super::evaluate::Policy;

/// What validation makes of a good document.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The checked policy.
    pub policy: Policy,
    /// What is accepted but surely not meant.
    pub warnings: Vec<Problem>,
}

/// One thing wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Amazon's message, word for word.
    pub message: String,
    /// What was wrong and where.
    pub detail: Option<String>,
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

    /// All of them.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first().map_or("", |p| &p.message))
    }
}

impl std::error::Error for InvalidPolicy {}

impl Policy {
    /// Checks the body of `PUT ?policy` for `bucket`.
    ///
    /// # Errors
    /// [`InvalidPolicy`]: `400 MalformedPolicy`.
    pub fn parse(body: &[u8], bucket: &str) -> Result<Validated, InvalidPolicy> {
        let _ = (body, bucket);
        Err(InvalidPolicy { problems: Vec::new() })
    }

    /// Checks an identity policy: no principals, any bucket, any service's actions.
    ///
    /// # Errors
    /// [`InvalidPolicy`], every problem found.
    pub fn parse_identity(document: &[u8]) -> Result<Validated, InvalidPolicy> {
        Self::parse(document, "")
    }
}
