//! Which keys may a `Condition` test, and which actions have them?

use super::key_table::{FEDERATION_KEYS, GLOBAL_KEYS, OTHER_S3_KEYS, S3_KEYS};
use super::listed::{ConditionKey, SOURCE_IP};
use crate::policy::action::Action;

/// A key by its identity, so that finding its value in a request compares no names.
///
/// Names are compared without regard to case ("IAM JSON policy elements: Condition"). A tag's name is compared with it,
/// as S3 and session tags are, but for [those](ConditionKey::folds_tags) of which Amazon says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Key {
    pub(in crate::policy) name: Name,
    /// What follows a slash.
    pub(in crate::policy) tag: Option<Box<str>>,
}

/// A key's name without a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) enum Name {
    /// One that Amazon lists.
    Listed(ConditionKey),
    /// Any other, in lower case: a request may carry it all the same.
    Unlisted(Box<str>),
}

impl Key {
    /// Any text is some key.
    pub(in crate::policy) fn of(text: &str) -> Self {
        let (name, tag) = split_tag(text);
        match ConditionKey::find(name) {
            Some(key) => Self::listed(key, tag),
            None => Self { name: Name::Unlisted(name.to_ascii_lowercase().into()), tag: tag.map(Box::from) },
        }
    }

    /// A listed key, perhaps with a tag.
    pub(in crate::policy) fn listed(key: ConditionKey, tag: Option<&str>) -> Self {
        let tag = tag.map(|tag| if key.folds_tags() { tag.to_lowercase().into() } else { tag.into() });
        Self { name: Name::Listed(key), tag }
    }

    /// The listed key that it is, whatever tag follows.
    pub(in crate::policy) fn as_listed(&self) -> Option<ConditionKey> {
        match self.name {
            Name::Listed(key) => Some(key),
            Name::Unlisted(_) => None,
        }
    }

    pub(in crate::policy) fn is_source_ip(&self) -> bool {
        matches!(self, Self { name: Name::Listed(SOURCE_IP), tag: None })
    }
}

/// One of S3's own keys.
#[derive(Debug)]
pub(in crate::policy) struct S3Key {
    pub(super) name: &'static str,
    /// A slash and a tag's name follow, as in `s3:ExistingObjectTag/team`.
    pub(super) tagged: bool,
    pub(super) supports: Supports,
}

#[derive(Debug)]
pub(super) enum Supports {
    Every,
    Only(&'static [Action]),
}

/// What a key's text names.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyName {
    S3(&'static S3Key),
    /// A key of any request to any service, or of a federated session.
    Global,
    /// `aws:` and a name that Amazon does not list: taken, and never there.
    UnknownGlobal,
    /// One of S3's that bucket policies cannot use.
    IdentityOnly,
    /// A key of another service or none at all, where the text has the form of one.
    Foreign,
}

impl S3Key {
    pub(in crate::policy) fn supports(&self, action: Action) -> bool {
        match self.supports {
            Supports::Every => true,
            Supports::Only(actions) => actions.contains(&action),
        }
    }
}

impl KeyName {
    /// Names are compared without regard to case. None where the text has no vendor in front, or a tag is missing or too
    /// much.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, tag) = split_tag(text);
        let (vendor, rest) = name.split_once(':')?;
        if vendor.is_empty() || rest.is_empty() {
            return None;
        }
        let listed = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if vendor.eq_ignore_ascii_case("s3") {
            return match S3_KEYS.iter().find(|key| key.name.eq_ignore_ascii_case(name)) {
                Some(key) => (key.tagged == tag.is_some_and(|tag| !tag.is_empty())).then_some(Self::S3(key)),
                None => Some(if listed(OTHER_S3_KEYS) { Self::IdentityOnly } else { Self::Foreign }),
            };
        }
        Some(if listed(GLOBAL_KEYS) || listed(FEDERATION_KEYS) {
            Self::Global
        } else if vendor.eq_ignore_ascii_case("aws") {
            Self::UnknownGlobal
        } else {
            Self::Foreign
        })
    }

    pub(super) fn is_source_ip(text: &str) -> bool {
        text.eq_ignore_ascii_case("aws:SourceIp")
    }
}

fn split_tag(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(name, tag)| (name, Some(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_without_regard_to_case() {
        for (text, expected) in [
            ("s3:prefix", "S3"),
            ("S3:PREFIX", "S3"),
            ("s3:VersionId", "S3"),
            ("s3:ExistingObjectTag/Team", "S3"),
            ("s3:ExistingObjectTag/a/b", "S3"),
            ("s3:ExistingObjectTag", "None"),
            ("s3:ExistingObjectTag/", "None"),
            ("s3:prefix/x", "None"),
            ("s3:VersionStatus", "Foreign"),
            ("s3:AccessGrantScope", "IdentityOnly"),
            ("aws:SourceIp", "Global"),
            ("AWS:sourceip", "Global"),
            ("aws:PrincipalTag/team", "Global"),
            ("aws:Nonsense", "UnknownGlobal"),
            ("saml:sub", "Global"),
            ("cognito-identity.amazonaws.com:sub", "Global"),
            ("ec2:SourceInstanceArn", "Global"),
            ("kms:ViaService", "Foreign"),
            ("prefix", "None"),
            (":x", "None"),
            ("aws:", "None"),
            ("", "None"),
        ] {
            let found = match KeyName::parse(text) {
                Some(KeyName::S3(_)) => "S3",
                Some(KeyName::Global) => "Global",
                Some(KeyName::UnknownGlobal) => "UnknownGlobal",
                Some(KeyName::IdentityOnly) => "IdentityOnly",
                Some(KeyName::Foreign) => "Foreign",
                None => "None",
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn easily_mistaken_keys_support_what_amazon_says() {
        for (text, action, supported) in [
            ("s3:prefix", Action::ListBucket, true),
            ("s3:prefix", Action::ListBucketVersions, true),
            ("s3:prefix", Action::ListBucketMultipartUploads, false),
            ("s3:versionid", Action::GetObject, false),
            ("s3:versionid", Action::GetObjectVersion, true),
            ("s3:ExistingObjectTag/x", Action::PutObject, false),
            ("s3:ExistingObjectTag/x", Action::GetObject, true),
            ("s3:ExistingObjectTag/x", Action::GetObjectRetention, false),
            ("s3:RequestObjectTagKeys", Action::PutObject, true),
            ("s3:RequestObjectTagKeys", Action::GetObject, false),
            ("s3:x-amz-acl", Action::GetObject, false),
            ("s3:TlsVersion", Action::GetObject, true),
            ("s3:x-amz-content-sha256", Action::PutBucketPolicy, true),
        ] {
            let Some(KeyName::S3(key)) = KeyName::parse(text) else { panic!("{text}") };
            assert_eq!(key.supports(action), supported, "{text} with {action}");
        }
    }
}
