//! The condition keys that Amazon lists, as values that cost nothing to compare, and sets of them.

use std::fmt;

use super::key_table::{FEDERATION_KEYS, GLOBAL_KEYS, OTHER_S3_KEYS, S3_KEYS};
use crate::policy::action::Action;

/// A condition key that Amazon lists, without the tag that may follow it.
///
/// ```
/// use portcullis::policy::{Action, ConditionKey};
///
/// const PREFIX: ConditionKey = ConditionKey::named("s3:prefix");
/// assert_eq!(PREFIX.name(), "s3:prefix");
/// assert!(PREFIX.supports(Action::ListBucket) && !PREFIX.supports(Action::GetObject));
/// ```
// Its position in the tables, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConditionKey(u8);

impl ConditionKey {
    /// How many there are.
    pub(crate) const COUNT: usize = S3_KEYS.len() + GLOBAL_KEYS.len() + FEDERATION_KEYS.len() + OTHER_S3_KEYS.len();

    /// The key of this name, in Amazon's own spelling.
    ///
    /// # Panics
    /// Where Amazon lists no such key; in a constant, that is an error of the compiler.
    #[expect(clippy::panic, reason = "meant for constants, where a panic is a compile error")]
    pub const fn named(name: &str) -> Self {
        let mut position = 0;
        while position < Self::COUNT {
            if is_same(listed_name(position), name) {
                return Self(position as u8);
            }
            position += 1;
        }
        panic!("no such condition key");
    }

    /// Amazon's name, with its prefix and without a tag: `s3:ExistingObjectTag`.
    pub const fn name(self) -> &'static str {
        listed_name(self.position())
    }

    /// Whether a slash and a tag's name follow, as in `s3:ExistingObjectTag/team`.
    pub fn has_tag(self) -> bool {
        match S3_KEYS.get(self.position()) {
            Some(key) => key.tagged,
            None => TAGGED_GLOBAL_KEYS.contains(&self),
        }
    }

    /// Whether requests have the key when they are decided for this action, by Amazon's "Actions, resources, and condition
    /// keys for Amazon S3". Global keys are there for every action, but for the two that speak of a request's own tags;
    /// those of batch jobs and access grants for none that a request to a bucket needs.
    pub fn supports(self, action: Action) -> bool {
        match S3_KEYS.get(self.position()) {
            Some(key) => key.supports(action),
            None if self == REQUEST_TAG => matches!(action, Action::CreateBucket | Action::TagResource),
            None if self == TAG_KEYS => {
                matches!(action, Action::CreateBucket | Action::TagResource | Action::UntagResource)
            }
            None => !OTHER_S3_KEYS.contains(&self.name()),
        }
    }

    /// Every key that Amazon lists: S3's own, the global ones, those of federated sessions, and S3's that only identity
    /// policies may use.
    pub fn all() -> impl Iterator<Item = Self> {
        KeySet::all().iter()
    }

    /// Its place among [`all`](Self::all), from 0.
    pub(crate) const fn position(self) -> usize {
        self.0 as usize
    }

    /// The key of this name, in any case.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::all().find(|key| key.name().eq_ignore_ascii_case(name))
    }

    /// Whether tags that differ in case alone are one: so Amazon says of these two ("AWS global condition context keys"),
    /// `TagKey1` also meaning `tagkey1`.
    pub(super) fn folds_tags(self) -> bool {
        self == REQUEST_TAG || self == RESOURCE_TAG
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConditionKey({})", self.name())
    }
}

pub(in crate::policy) const PRINCIPAL_ARN: ConditionKey = ConditionKey::named("aws:PrincipalArn");
pub(in crate::policy) const PRINCIPAL_ACCOUNT: ConditionKey = ConditionKey::named("aws:PrincipalAccount");
pub(in crate::policy) const PRINCIPAL_TAG: ConditionKey = ConditionKey::named("aws:PrincipalTag");
pub(in crate::policy) const PRINCIPAL_TYPE: ConditionKey = ConditionKey::named("aws:PrincipalType");
pub(in crate::policy) const USER_ID: ConditionKey = ConditionKey::named("aws:userid");
pub(in crate::policy) const USERNAME: ConditionKey = ConditionKey::named("aws:username");
pub(super) const SOURCE_IP: ConditionKey = ConditionKey::named("aws:SourceIp");
const REQUEST_TAG: ConditionKey = ConditionKey::named("aws:RequestTag");
const RESOURCE_TAG: ConditionKey = ConditionKey::named("aws:ResourceTag");
const TAG_KEYS: ConditionKey = ConditionKey::named("aws:TagKeys");

const TAGGED_GLOBAL_KEYS: [ConditionKey; 3] = [PRINCIPAL_TAG, REQUEST_TAG, RESOURCE_TAG];

// A byte holds a position.
const _: () = assert!(ConditionKey::COUNT < 256);

/// The name at a position; empty behind the last.
#[expect(clippy::indexing_slicing, reason = "each index is below the length it was checked against")]
const fn listed_name(position: usize) -> &'static str {
    let mut at = position;
    if at < S3_KEYS.len() {
        return S3_KEYS[at].name;
    }
    at -= S3_KEYS.len();
    if at < GLOBAL_KEYS.len() {
        return GLOBAL_KEYS[at];
    }
    at -= GLOBAL_KEYS.len();
    if at < FEDERATION_KEYS.len() {
        return FEDERATION_KEYS[at];
    }
    at -= FEDERATION_KEYS.len();
    if at < OTHER_S3_KEYS.len() { OTHER_S3_KEYS[at] } else { "" }
}

#[expect(clippy::indexing_slicing, reason = "both lengths are checked first")]
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// A set of condition keys.
///
/// ```
/// use portcullis::policy::{ConditionKey, KeySet};
///
/// let [prefix, delimiter] = ["s3:prefix", "s3:delimiter"].map(ConditionKey::named);
/// let both = KeySet::from_iter([prefix]).union(KeySet::from_iter([delimiter]));
/// assert!(both.contains(prefix) && both.contains(delimiter) && both.iter().count() == 2);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KeySet([u64; WORDS]);

const WORDS: usize = ConditionKey::COUNT.div_ceil(64);

impl KeySet {
    /// Whether the key is in it.
    pub fn contains(self, key: ConditionKey) -> bool {
        self.0.get(key.position() / 64).is_some_and(|word| word >> (key.position() % 64) & 1 == 1)
    }

    /// Puts a key into it.
    pub fn insert(&mut self, key: ConditionKey) {
        if let Some(word) = self.0.get_mut(key.position() / 64) {
            *word |= 1 << (key.position() % 64);
        }
    }

    /// Its keys, in the order of [`ConditionKey::all`].
    pub fn iter(self) -> impl Iterator<Item = ConditionKey> {
        self.0.into_iter().zip(0_u8..).flat_map(|(word, at)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = u8::try_from(left.trailing_zeros()).unwrap_or_default();
                // Takes the lowest bit off; none is left of an empty word.
                let rest = left & left.checked_sub(1)?;
                left = rest;
                Some(ConditionKey(at * 64 + bit))
            })
        })
    }

    /// The keys of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let mut both = self;
        for (word, more) in both.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        both
    }

    /// Whether there is none in it.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Every key that Amazon lists.
    pub fn all() -> Self {
        let mut all = Self::default();
        for (word, at) in all.0.iter_mut().zip(0..) {
            let keys = ConditionKey::COUNT - at * 64;
            *word = if keys < 64 { (1 << keys) - 1 } else { u64::MAX };
        }
        all
    }
}

impl Extend<ConditionKey> for KeySet {
    fn extend<I: IntoIterator<Item = ConditionKey>>(&mut self, keys: I) {
        keys.into_iter().for_each(|key| self.insert(key));
    }
}

impl FromIterator<ConditionKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = ConditionKey>>(keys: I) -> Self {
        let mut set = Self::default();
        set.extend(keys);
        set
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(ConditionKey::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_key_has_a_name_and_a_place_of_its_own() {
        let all: Vec<ConditionKey> = ConditionKey::all().collect();
        assert_eq!(all.len(), ConditionKey::COUNT);
        let names: HashSet<String> = all.iter().map(|key| key.name().to_ascii_lowercase()).collect();
        assert_eq!(names.len(), all.len());
        for (at, key) in all.iter().enumerate() {
            assert_eq!(key.position(), at, "{key}");
            assert_eq!(ConditionKey::named(key.name()), *key);
            assert_eq!(ConditionKey::find(&key.name().to_ascii_uppercase()), Some(*key));
        }
        for name in ["", "s3:prefixes", "s3:prefi", "aws:Nonsense", "s3:ExistingObjectTag/x"] {
            assert_eq!(ConditionKey::find(name), None, "{name}");
        }
    }

    #[test]
    fn keys_say_what_follows_them_and_which_actions_have_them() {
        for (name, has_tag, action, supported) in [
            ("s3:ExistingObjectTag", true, Action::GetObject, true),
            ("s3:ExistingObjectTag", true, Action::PutObject, false),
            ("s3:BucketTag", true, Action::PutObject, true),
            ("s3:RequestObjectTagKeys", false, Action::PutObject, true),
            ("aws:PrincipalTag", true, Action::GetObject, true),
            ("aws:ResourceTag", true, Action::GetObject, true),
            ("aws:RequestTag", true, Action::GetObject, false),
            ("aws:RequestTag", true, Action::CreateBucket, true),
            ("aws:RequestTag", true, Action::UntagResource, false),
            ("aws:TagKeys", false, Action::UntagResource, true),
            ("aws:TagKeys", false, Action::PutBucketTagging, false),
            ("aws:SourceIp", false, Action::ListAllMyBuckets, true),
            ("saml:sub", false, Action::GetObject, true),
            ("s3:AccessGrantScope", false, Action::GetDataAccess, false),
        ] {
            let key = ConditionKey::named(name);
            assert_eq!((key.has_tag(), key.supports(action)), (has_tag, supported), "{name} {action}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let all: Vec<ConditionKey> = ConditionKey::all().collect();
        let picked: Vec<ConditionKey> =
            [0, 1, 63, 64, 65, all.len() - 1].iter().filter_map(|at| all.get(*at).copied()).collect();
        let set: KeySet = picked.iter().rev().copied().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), picked);
        assert_eq!(all.iter().filter(|key| set.contains(**key)).count(), picked.len());
        assert!(KeySet::default().is_empty() && !set.is_empty());
        let (one, other): (KeySet, KeySet) =
            (picked[..3].iter().copied().collect(), picked[2..].iter().copied().collect());
        assert_eq!(one.union(other), set);
        assert_eq!(KeySet::all(), all.into_iter().collect());
    }
}
