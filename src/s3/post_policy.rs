//! What may a browser's upload contain? The policy in the form that its signer signed.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>. Where that is silent, S3's
//! recorded answers count: a condition on a field that is not there fails, even one that any text would meet, and the
//! bucket is a field like any other, which a condition must name.
//!
//! ```
//! use portcullis::s3::post_policy::PostPolicy;
//!
//! // {"expiration": "2030-01-01T00:00:00Z", "conditions": []}
//! let policy = PostPolicy::parse("eyJleHBpcmF0aW9uIjogIjIwMzAtMDEtMDFUMDA6MDA6MDBaIiwgImNvbmRpdGlvbnMiOiBbXX0=")?;
//! assert_eq!(policy.expiration().unix_timestamp(), 1_893_456_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

use time::OffsetDateTime;

use super::address::BucketName;
use super::error::{ErrorCode, S3Error};
use super::form::{Form, SizeRange};

/// The longest policy that is read, in bytes of base64; all that S3 takes before a file is no more.
pub const MAX_POLICY_BYTES: usize = 20_480;

/// A policy that was read, in which every shape is known.
#[derive(Clone, PartialEq, Eq)]
pub struct PostPolicy {
    expiration: OffsetDateTime,
    conditions: Vec<Condition>,
}

/// One of the conditions.
#[derive(Clone, PartialEq, Eq)]
struct Condition {
    /// As S3 shows it where it fails, but for session tokens.
    shown: String,
    test: Test,
}

#[derive(Clone, PartialEq, Eq)]
enum Test {
    /// The field, its name in lower case, is this.
    Is { field: String, value: String },
    /// It begins with this.
    StartsWith { field: String, prefix: String },
    /// The file has so many bytes.
    Length(SizeRange),
    /// No form can meet it: a field without `$`, a length that is no number.
    Never,
}

impl PostPolicy {
    /// Reads the `policy` field.
    ///
    /// # Errors
    /// [`PostPolicyError::Invalid`] for anything that is no policy, or that two readers could read in two ways.
    pub fn parse(base64: &str) -> Result<Self, PostPolicyError> {
        read::policy(base64).map_err(PostPolicyError::Invalid)
    }

    /// Until when the policy counts.
    pub fn expiration(&self) -> OffsetDateTime {
        self.expiration
    }

    /// Holds a form that was sent to `bucket` against the policy. What remains to be seen is the size of the file, which
    /// must lie within the answer.
    ///
    /// # Errors
    /// [`PostPolicyError`] for a policy that has expired, a condition that is not met, and fields that no condition
    /// names.
    pub fn check(&self, form: &Form, bucket: &BucketName, now: SystemTime) -> Result<SizeRange, PostPolicyError> {
        if now > SystemTime::from(self.expiration) {
            return Err(PostPolicyError::Expired);
        }
        check_bucket(form, bucket)?;
        let mut range = SizeRange::ANY;
        for condition in &self.conditions {
            if !condition.test.is_met(form, bucket) {
                return Err(PostPolicyError::ConditionFailed(condition.shown.clone()));
            }
            if let Test::Length(length) = &condition.test {
                range = range.and(*length);
            }
        }
        let names = form.iter().map(|(name, _)| name).filter(|name| needs_condition(name) && *name != "bucket");
        let extra: Vec<String> =
            ["bucket"].into_iter().chain(names).filter(|name| !self.names(name)).map(str::to_owned).collect();
        if extra.is_empty() { Ok(range) } else { Err(PostPolicyError::ExtraFields(extra)) }
    }

    fn names(&self, name: &str) -> bool {
        self.conditions.iter().any(|condition| match &condition.test {
            Test::Is { field, .. } | Test::StartsWith { field, .. } => field == name,
            Test::Length(_) | Test::Never => false,
        })
    }
}

impl fmt::Debug for PostPolicy {
    // Without the conditions: one may hold a session token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostPolicy").field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

/// What there is to check in a form without a policy.
///
/// # Errors
/// [`PostPolicyError::OtherBucket`].
pub fn check_anonymous(form: &Form, bucket: &BucketName) -> Result<SizeRange, PostPolicyError> {
    check_bucket(form, bucket).map(|()| SizeRange::ANY)
}

/// The request says which bucket is meant. A store that believed the form's field would take another.
fn check_bucket(form: &Form, bucket: &BucketName) -> Result<(), PostPolicyError> {
    match form.get("bucket") {
        Some(named) if named != bucket.as_str() => Err(PostPolicyError::OtherBucket(named.to_owned())),
        Some(_) | None => Ok(()),
    }
}

/// Whether a field, its name in lower case, must be named by a condition.
pub(crate) fn needs_condition(name: &str) -> bool {
    !matches!(name, "x-amz-signature" | "file" | "policy") && !name.starts_with("x-ignore-")
}

impl Test {
    fn is_met(&self, form: &Form, bucket: &BucketName) -> bool {
        let value = |field: &str| if field == "bucket" { Some(bucket.as_str()) } else { form.get(field) };
        match self {
            Self::Is { field, value: wanted } => value(field) == Some(wanted),
            Self::StartsWith { field, prefix } if field == "content-type" => {
                value(field).is_some_and(|list| list.split(',').all(|one| one.starts_with(prefix)))
            }
            Self::StartsWith { field, prefix } => value(field).is_some_and(|value| value.starts_with(prefix)),
            Self::Length(_) => true,
            Self::Never => false,
        }
    }
}

/// Why a form is not what its policy says, or its policy none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostPolicyError {
    /// It is no policy; the text says why, in S3's words.
    Invalid(String),
    /// It has expired.
    Expired,
    /// This condition is not met; as S3 shows it.
    ConditionFailed(String),
    /// These fields are named by no condition.
    ExtraFields(Vec<String>),
    /// The form's own `bucket` is not the one it was sent to.
    OtherBucket(String),
}

impl From<PostPolicyError> for S3Error {
    fn from(error: PostPolicyError) -> Self {
        match &error {
            PostPolicyError::Invalid(_) => Self::new(ErrorCode::InvalidPolicyDocument),
            PostPolicyError::OtherBucket(bucket) => Self::new(ErrorCode::InvalidArgument)
                .with_field("ArgumentName", "bucket")
                .with_field("ArgumentValue", bucket),
            PostPolicyError::Expired | PostPolicyError::ConditionFailed(_) | PostPolicyError::ExtraFields(_) => {
                Self::new(ErrorCode::AccessDenied)
            }
        }
        .with_message(error.to_string())
    }
}

impl fmt::Display for PostPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "Invalid Policy: {why}"),
            Self::Expired => f.write_str("Invalid according to Policy: Policy expired."),
            Self::ConditionFailed(condition) => {
                write!(f, "Invalid according to Policy: Policy Condition failed: {condition}")
            }
            Self::ExtraFields(names) => {
                write!(f, "Invalid according to Policy: Extra input fields: {}", names.join(", "))
            }
            Self::OtherBucket(_) => f.write_str("The bucket of the form is not the one it was sent to."),
        }
    }
}

impl std::error::Error for PostPolicyError {}
