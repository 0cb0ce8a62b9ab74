//! Owners written down in the configuration: the source `static`.

use std::fmt;
use std::future::ready;

use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::BoxFuture;

use super::{BucketOwners, Ownership, OwnershipError};

/// A list of bucket names or patterns, each with its owner; the first that matches counts.
#[derive(Clone, Debug, Default)]
pub struct FixedOwners(Vec<(BucketPattern, AccountId)>);

impl FixedOwners {
    /// The account of the first entry that matches.
    pub fn owner(&self, bucket: &BucketName) -> Option<&AccountId> {
        self.0.iter().find(|(pattern, _)| pattern.matches(bucket)).map(|(_, account)| account)
    }
}

impl FromIterator<(BucketPattern, AccountId)> for FixedOwners {
    fn from_iter<I: IntoIterator<Item = (BucketPattern, AccountId)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// One account that owns every bucket, each of which is taken to be there: for a Layer in front of a service that
/// answers for its buckets itself.
#[derive(Clone, Debug)]
pub struct OneOwner(AccountId);

impl OneOwner {
    /// The account.
    pub fn new(account: AccountId) -> Self {
        Self(account)
    }
}

impl BucketOwners for OneOwner {
    fn owner<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        Box::pin(ready(Ok(Ownership::Account(self.0.clone()))))
    }

    fn exists<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(ready(Ok(true)))
    }

    /// Always: nobody knows better than the service that said so.
    fn gone<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(ready(Ok(true)))
    }

    fn created<'a>(&'a self, _: &'a BucketName, _: Option<&'a AccountId>) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(ready(Ok(())))
    }

    fn deleted<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(ready(Ok(())))
    }
}

/// A bucket's name in which `*` stands for any characters, none too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPattern(String);

/// Text that no bucket's name could match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBucketPattern(String);

impl BucketPattern {
    /// Takes the characters of a bucket's name, and `*`.
    ///
    /// # Errors
    /// [`InvalidBucketPattern`] with the offending text. `?` is refused too: it is a wildcard in other places, and here
    /// would silently match nothing.
    pub fn parse(text: &str) -> Result<Self, InvalidBucketPattern> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*');
        if !text.is_empty() && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidBucketPattern(text.to_owned()))
        }
    }

    /// Whether the whole name matches.
    pub fn matches(&self, bucket: &BucketName) -> bool {
        let name = bucket.as_str();
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut name) = name.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // Each part where it first occurs: what it leaves for the parts after it is the most there can be.
        for part in middle.split('*') {
            match name.split_once(part) {
                Some((_, after)) => name = after,
                None => return false,
            }
        }
        name.ends_with(last)
    }
}

impl fmt::Display for BucketPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidBucketPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a bucket name or a pattern of one: only `*` is a wildcard", self.0)
    }
}

impl std::error::Error for InvalidBucketPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_the_whole_name_must_match() {
        for (pattern, name, expected) in [
            ("photos", "photos", true),
            ("photos", "photos2", false),
            ("photos", "my-photos", false),
            ("*", "anything", true),
            ("shared-*", "shared-a", true),
            ("shared-*", "shared-", true),
            ("shared-*", "shared", false),
            ("shared-*", "not-shared-a", false),
            ("*-logs", "web-logs", true),
            ("*-logs", "web-logs-old", false),
            ("a*a", "a-a", true),
            ("a*a", "aXa", true),
            ("aa*aa", "aaa", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*b*b", "a-b", false),
            ("a*b*b", "abb", true),
            ("*b*", "abc", true),
            ("*b*", "acd", false),
            ("**x**", "axb", true),
            ("ab*ba*ab", "abbaab", true),
            ("ab*ba*ab", "abab", false),
            ("Logs", "logs", false),
        ] {
            let matched = BucketPattern::parse(pattern).unwrap().matches(&BucketName::parse(name).unwrap());
            assert_eq!(matched, expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn what_no_bucket_could_be_called_is_refused() {
        for text in ["", "a?c", "a/b", "a b", "ünï"] {
            assert_eq!(BucketPattern::parse(text), Err(InvalidBucketPattern(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_first_matching_entry_counts() {
        let account = |id| AccountId::parse(id).unwrap();
        let owners: FixedOwners =
            [("shared-main", "111111111111"), ("shared-*", "222222222222"), ("shared-b", "333333333333")]
                .map(|(pattern, id)| (BucketPattern::parse(pattern).unwrap(), account(id)))
                .into_iter()
                .collect();
        for (name, expected) in
            [("shared-main", Some("111111111111")), ("shared-b", Some("222222222222")), ("other", None)]
        {
            let owner = owners.owner(&BucketName::parse(name).unwrap()).map(AccountId::as_str);
            assert_eq!(owner, expected, "{name}");
        }
    }
}
