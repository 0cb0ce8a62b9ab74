//! The JSON of the admin API, as the server writes it and the command line reads it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::policy::Problem;
use crate::s3::public_access_block::PublicAccessBlock;

/// `GET /v1/buckets`: some of the buckets, in the order of their names' bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketPage {
    /// Them.
    pub buckets: Vec<BucketSummary>,
    /// Where the next page begins, for `?after=`; none after the last.
    pub next: Option<String>,
}

/// A bucket that something is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSummary {
    /// Its name.
    pub bucket: String,
    /// The policy in force.
    pub policy: Option<PolicySummary>,
    /// The public access block in force.
    pub public_access_block: Option<PublicAccessBlockDocument>,
    /// Why neither is known. Until that is mended the bucket is denied to all but its owner's root user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Its revision.
    pub revision: u64,
    /// When it was put: RFC 3339, UTC.
    pub time: String,
    /// Who put it: an ARN, or `admin`.
    pub by: String,
    /// In which request.
    pub request_id: String,
    /// The document's length in bytes.
    pub size: usize,
    /// The document's SHA-256, in hexadecimal.
    pub sha256: String,
    /// Whether it is public by Amazon's definition.
    pub public: bool,
}

/// `GET /v1/buckets/BUCKET/policy/revisions`: the history, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The bucket.
    pub bucket: String,
    /// Its revisions.
    pub revisions: Vec<RevisionSummary>,
}

/// A revision of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSummary {
    /// Its number.
    pub revision: u64,
    /// Whether it put a document in force or took it out.
    pub action: RevisionAction,
    /// Whether it is what is in force.
    pub in_force: bool,
    /// When: RFC 3339, UTC.
    pub time: String,
    /// Who: an ARN, or `admin`.
    pub by: String,
    /// In which request.
    pub request_id: String,
    /// The document's length in bytes.
    pub size: Option<usize>,
    /// The document's SHA-256, in hexadecimal.
    pub sha256: Option<String>,
}

/// What a revision did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionAction {
    /// It put a document in force.
    Put,
    /// It took the policy out of force.
    Delete,
}

/// The answer to a `PUT` of a policy, and to a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutAnswer {
    /// The bucket.
    pub bucket: String,
    /// The revision that is in force now.
    pub revision: u64,
    /// What is accepted, but may not be meant.
    pub warnings: Vec<Notice>,
}

/// The answer to a `DELETE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteAnswer {
    /// The bucket.
    pub bucket: String,
    /// Whether there was something to delete.
    pub deleted: bool,
}

/// The four switches of a public access block, by Amazon's names. One that is not there is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PublicAccessBlockDocument {
    /// Requests that would set a public ACL fail.
    pub block_public_acls: Option<bool>,
    /// Public ACLs that are there grant nothing.
    pub ignore_public_acls: Option<bool>,
    /// Putting a public policy fails.
    pub block_public_policy: Option<bool>,
    /// A public policy grants to the owner's account and to services alone.
    pub restrict_public_buckets: Option<bool>,
}

impl PublicAccessBlockDocument {
    /// What it says; none where it names no switch, which Amazon refuses.
    pub fn block(self) -> Option<PublicAccessBlock> {
        let Self { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets } = self;
        let switches = [block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets];
        switches.iter().any(Option::is_some).then(|| PublicAccessBlock {
            block_public_acls: block_public_acls.unwrap_or(false),
            ignore_public_acls: ignore_public_acls.unwrap_or(false),
            block_public_policy: block_public_policy.unwrap_or(false),
            restrict_public_buckets: restrict_public_buckets.unwrap_or(false),
        })
    }
}

impl From<PublicAccessBlock> for PublicAccessBlockDocument {
    fn from(block: PublicAccessBlock) -> Self {
        let PublicAccessBlock { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets } =
            block;
        Self {
            block_public_acls: Some(block_public_acls),
            ignore_public_acls: Some(ignore_public_acls),
            block_public_policy: Some(block_public_policy),
            restrict_public_buckets: Some(restrict_public_buckets),
        }
    }
}

/// `GET`, `PUT` and `DELETE /v1/freeze`: whether changes are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeAnswer {
    /// The id of the freeze, which another one does not have; none where changes are made.
    pub frozen: Option<String>,
}

/// A message, and where what it is about stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The message.
    pub message: String,
    /// Where, or which.
    pub detail: Option<String>,
}

impl From<&Problem> for Notice {
    fn from(problem: &Problem) -> Self {
        Self { message: problem.message.clone(), detail: problem.detail.clone() }
    }
}

/// The body of every answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// It.
    pub error: ErrorDocument,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// For programs: S3's code where S3 has one.
    pub code: String,
    /// For people: S3's words where S3 has some.
    pub message: String,
    /// Where exactly the fault lies, or what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of a document that is no policy, all that is wrong with it, the one told of above included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Notice>,
}

/// A moment, as RFC 3339 in UTC, to the nanosecond where it has them.
pub fn rfc3339(time: SystemTime) -> String {
    // No clock reads a year of five digits, the one thing that cannot be written.
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

/// The moment that an RFC 3339 text names; none where it names none.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_come_back_as_they_were() {
        for nanoseconds in [0, 1, 123_456_789, 500_000_000, 999_999_999] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_764_000_000, nanoseconds);
            assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time), "{}", rfc3339(time));
        }
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_block_has_at_least_one_switch_and_no_other() {
        let read = |text: &str| serde_json::from_str::<PublicAccessBlockDocument>(text).ok().map(|read| read.block());
        assert_eq!(read("{}"), Some(None));
        assert_eq!(read(r#"{"BlockPublicAcls":false}"#), Some(Some(PublicAccessBlock::default())));
        let one = PublicAccessBlock { block_public_policy: true, ..PublicAccessBlock::default() };
        assert_eq!(read(r#"{"BlockPublicPolicy":true}"#), Some(Some(one)));
        assert_eq!(PublicAccessBlockDocument::from(one).block(), Some(one));
        for refused in [r#"{"blockPublicAcls":true}"#, r#"{"BlockPublicAcls":"true"}"#, r#"{"Block":true}"#, "[]"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
