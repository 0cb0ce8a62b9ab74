//! Which resources does a `Resource` element speak of?
//!
//! Follows Amazon's "Policy resources for Amazon S3" and "IAM JSON policy elements: Resource".

use std::borrow::Cow;

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

/// One entry of a `Resource` or `NotResource` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResourceEntry<'d> {
    /// Of a bucket policy: as it is written.
    InBucket(ResourceLevel),
    /// Of an identity policy: with no part missing.
    Anywhere(Cow<'d, str>),
    /// Of an identity policy: no bucket and no object.
    Nowhere,
}

/// What an identity policy may name: `*`, or an ARN with wildcards anywhere but in its service, and variables in its last
/// part alone. Parts missing at the end are `*`, as Amazon fills them in, so that a Deny of `arn:aws:s3` does deny; but a
/// part that stands where another belongs, as in `arn:aws:s3:b`, would never match, and is refused.
pub(super) fn identity_resource(text: &str) -> Option<ResourceEntry<'_>> {
    if text == "*" {
        return Some(ResourceEntry::Anywhere(Cow::Borrowed(text)));
    }
    let parts: Vec<&str> = text.splitn(ARN_PARTS, ':').collect();
    let (["arn", partition, service], behind) = parts.split_first_chunk()? else { return None };
    let before_resource = behind.iter().take(REGION_AND_ACCOUNT);
    if partition.is_empty()
        || service.is_empty()
        || service.contains(['*', '?', '$'])
        || before_resource.clone().chain([partition]).any(|part| part.contains("${"))
    {
        return None;
    }
    // Buckets and objects have neither region nor account, so a wildcard for something in particular must not reach past the
    // colon behind it to find that something in a key.
    if before_resource.clone().any(|part| part.bytes().any(|b| b != b'*')) {
        return (behind.len() == ARN_PARTS - 3).then_some(ResourceEntry::Nowhere);
    }
    match ARN_PARTS - parts.len() {
        0 => Some(ResourceEntry::Anywhere(Cow::Borrowed(text))),
        missing => {
            let blank = behind.iter().all(|part| matches!(*part, "" | "*"));
            blank.then(|| ResourceEntry::Anywhere(Cow::Owned(format!("{text}{}", ":*".repeat(missing)))))
        }
    }
}

const REGION_AND_ACCOUNT: usize = 2;

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
const ARN_PARTS: usize = 6;

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
    fn an_identity_policy_names_arns_and_missing_parts_are_filled_in() {
        for (text, expected) in [
            ("*", Some("*")),
            ("arn:aws:s3:::*", Some("arn:aws:s3:::*")),
            ("arn:*:s3:::b", Some("arn:*:s3:::b")),
            ("arn:aws:sqs:us-east-1:111122223333:q", Some("nowhere")),
            ("arn:aws:s3:*-1:111122223333:accesspoint/*", Some("nowhere")),
            ("arn:aws:s3:*:*:b/*", Some("arn:aws:s3:*:*:b/*")),
            ("arn:aws:s3:::${aws:username}", Some("arn:aws:s3:::${aws:username}")),
            ("arn:aws:s3:${aws:RequestedRegion}::b", None),
            ("arn:${aws:username}:s3:::b", None),
            ("arn:aws:s3:::a:b:c", Some("arn:aws:s3:::a:b:c")),
            ("arn:aws:s3", Some("arn:aws:s3:*:*:*")),
            ("arn:*:s3", Some("arn:*:s3:*:*:*")),
            ("arn:aws:s3:*", Some("arn:aws:s3:*:*:*")),
            ("arn:aws:s3::", Some("arn:aws:s3:::*")),
            ("arn:aws:s3:b", None),
            ("arn:aws:s3:*:b", None),
            ("arn:aws:s3*", None),
            ("arn:aws:*:::b", None),
            ("arn:aws", None),
            ("arn:*", None),
            ("arn::s3:::b", None),
            ("b/*", None),
            ("", None),
        ] {
            let found = identity_resource(text).map(|entry| match entry {
                ResourceEntry::Anywhere(text) => text.into_owned(),
                ResourceEntry::Nowhere => "nowhere".to_owned(),
                ResourceEntry::InBucket(level) => format!("{level:?}"),
            });
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
