//! Which resources does a `Resource` element speak of?
//!
//! Follows Amazon's "Policy resources for Amazon S3" and "IAM JSON policy elements: Resource".

use super::pattern::{Pattern, Variables};
use super::version::Version;

/// What a resource of a bucket policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResourceLevel {
    /// The bucket itself.
    Bucket,
    /// Objects in it.
    Object,
}

impl ResourceLevel {
    /// Takes exactly the bucket's ARN, or that with a slash and anything after it; a wildcard or variable within the
    /// bucket's name is none of these.
    pub(super) fn in_bucket(text: &str, bucket: &str) -> Option<Self> {
        let rest = text.strip_prefix("arn:aws:s3:::")?.strip_prefix(bucket)?;
        if rest.is_empty() { Some(Self::Bucket) } else { rest.starts_with('/').then_some(Self::Object) }
    }
}

/// Whether an identity policy may name this: `*`, or an ARN with wildcards anywhere, which may swallow whole parts.
pub(super) fn is_identity_resource(text: &str) -> bool {
    text == "*"
        || text
            .strip_prefix("arn:")
            .is_some_and(|rest| rest.bytes().filter(|b| *b == b':').count() >= 4 || rest.contains('*'))
}

/// One entry of a `Resource` or `NotResource` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceEntry {
    /// Matches wherever the entry might, whatever its variables stand for.
    pub(super) widest: Pattern,
    pub(super) variables: Variables,
}

impl ResourceEntry {
    /// Version 2008-10-17 knows no variables: there `${` is text.
    pub(super) fn compile(text: &str, version: Version) -> Self {
        let (widest, variables) = match version {
            Version::V2008 => (Pattern::plain(text), Variables::default()),
            Version::V2012 => Pattern::with_variables(text),
        };
        Self { widest, variables }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_policy_speaks_of_its_bucket_alone() {
        for (text, level) in [
            ("arn:aws:s3:::b", Some(ResourceLevel::Bucket)),
            ("arn:aws:s3:::b/", Some(ResourceLevel::Object)),
            ("arn:aws:s3:::b/*", Some(ResourceLevel::Object)),
            ("arn:aws:s3:::b2", None),
            ("arn:aws:s3:::b*", None),
            ("arn:aws:s3:::B/*", None),
            ("arn:aws:s3:us-east-1::b/*", None),
            ("*", None),
        ] {
            assert_eq!(ResourceLevel::in_bucket(text, "b"), level, "{text}");
        }
    }

    #[test]
    fn an_identity_policy_names_arns() {
        for (text, taken) in [
            ("*", true),
            ("arn:aws:s3:::*", true),
            ("arn:*:s3:::b", true),
            ("arn:*", true),
            ("arn:aws:sqs:us-east-1:111122223333:q", true),
            ("arn:aws:s3:b", false),
            ("b/*", false),
            ("", false),
        ] {
            assert_eq!(is_identity_resource(text), taken, "{text}");
        }
    }
}
