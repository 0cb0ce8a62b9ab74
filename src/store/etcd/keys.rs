//! Under which key is what?
//!
//! ```text
//! PREFIX/now/count              the last revision given, and who gave it: every change puts it anew
//! PREFIX/now/policy/BUCKET      the newest revision of its policy, be it a deletion
//! PREFIX/now/block/BUCKET       the last change of its public access block
//! PREFIX/now/owner/BUCKET       the account that made it
//! PREFIX/past/BUCKET/NN         its last revisions, the newest among them, in twenty places used in turn
//! ```
//!
//! What is under `now/` is mirrored and watched; `past/` is read when somebody asks for a history, so that a change does
//! not ship twenty documents to every replica.

use std::fmt;

use crate::s3::address::BucketName;
use crate::store::REVISIONS_KEPT;

/// The keys of one store.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Begins and ends with `/`.
    prefix: String,
}

/// What a mirrored key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Count,
    Policy(BucketName),
    Block(BucketName),
    Owner(BucketName),
}

impl Keys {
    /// `prefix` with or without slashes around it.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: format!("/{}/", prefix.trim_matches('/')) }
    }

    /// What every mirrored key begins with.
    pub(super) fn mirrored(&self) -> String {
        format!("{}now/", self.prefix)
    }

    /// The end of the mirrored keys: the first that no longer begins with [`mirrored`](Self::mirrored).
    pub(super) fn mirrored_end(&self) -> String {
        // The byte after `/`.
        format!("{}now0", self.prefix)
    }

    pub(super) fn count(&self) -> String {
        format!("{}now/count", self.prefix)
    }

    pub(super) fn policy(&self, bucket: &BucketName) -> String {
        format!("{}now/policy/{bucket}", self.prefix)
    }

    pub(super) fn block(&self, bucket: &BucketName) -> String {
        format!("{}now/block/{bucket}", self.prefix)
    }

    pub(super) fn owner(&self, bucket: &BucketName) -> String {
        format!("{}now/owner/{bucket}", self.prefix)
    }

    /// What the keys of the bucket's revisions begin with. A name holds no `/`, so none is the beginning of another.
    pub(super) fn history(&self, bucket: &BucketName) -> String {
        format!("{}past/{bucket}/", self.prefix)
    }

    /// Where the revision goes that is the `nth` to be put under the policy's key.
    pub(super) fn past(&self, bucket: &BucketName, nth: i64) -> String {
        format!("{}{:02}", self.history(bucket), nth.rem_euclid(REVISIONS_KEPT as i64))
    }

    /// What a key that begins with [`mirrored`](Self::mirrored) holds; none where it is not one of ours.
    pub(super) fn item(&self, key: &[u8]) -> Option<Item> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.mirrored())?;
        if rest == "count" {
            return Some(Item::Count);
        }
        let (kind, bucket) = rest.split_once('/')?;
        let bucket = BucketName::parse(bucket).ok()?;
        match kind {
            "policy" => Some(Item::Policy(bucket)),
            "block" => Some(Item::Block(bucket)),
            "owner" => Some(Item::Owner(bucket)),
            _ => None,
        }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_tells_what_it_was_made_of(prefix in "/?[a-z]{1,5}(/[a-z]{1,5})?/?", name in "[A-Za-z0-9._-]{3,255}") {
            let (keys, bucket) = (Keys::new(&prefix), BucketName::parse(&name).unwrap());
            let made = [
                (keys.count(), Item::Count),
                (keys.policy(&bucket), Item::Policy(bucket.clone())),
                (keys.block(&bucket), Item::Block(bucket.clone())),
                (keys.owner(&bucket), Item::Owner(bucket.clone())),
            ];
            for (key, item) in made {
                prop_assert!(keys.mirrored() <= key && key < keys.mirrored_end(), "{}", key);
                prop_assert_eq!(keys.item(key.as_bytes()), Some(item));
            }
            for nth in 0..40 {
                let past = keys.past(&bucket, nth);
                prop_assert!(past.starts_with(&keys.history(&bucket)));
                prop_assert!(past < keys.mirrored() || keys.mirrored_end() <= past, "{} is watched", past);
            }
        }

        #[test]
        fn any_key_is_read_without_harm(key in proptest::collection::vec(any::<u8>(), 0..40)) {
            let keys = Keys::new("p");
            prop_assert_eq!(keys.item(&key), None);
            let below = [keys.mirrored().as_bytes(), &key].concat();
            if let Some(item) = keys.item(&below) {
                let again = match &item {
                    Item::Count => keys.count(),
                    Item::Policy(bucket) => keys.policy(bucket),
                    Item::Block(bucket) => keys.block(bucket),
                    Item::Owner(bucket) => keys.owner(bucket),
                };
                prop_assert_eq!(again.into_bytes(), below);
            }
        }
    }

    #[test]
    fn twenty_places_are_used_in_turn() {
        let (keys, bucket) = (Keys::new("/p"), BucketName::parse("photos").unwrap());
        assert_eq!(keys.past(&bucket, 1), "/p/past/photos/01");
        assert_eq!(keys.past(&bucket, 20), "/p/past/photos/00");
        assert_eq!(keys.past(&bucket, -1), "/p/past/photos/19");
        let places: std::collections::BTreeSet<_> = (7..27).map(|nth| keys.past(&bucket, nth)).collect();
        assert_eq!(places.len(), REVISIONS_KEPT);
    }
}
