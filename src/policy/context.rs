//! What is known of a request beside who, what and where: its condition keys and their values.
//!
//! Follows Amazon's "The request context" in "IAM JSON policy elements: Condition".

use std::borrow::Cow;
use std::net::IpAddr;

use super::condition::{ConditionKey, Key, KeySet, Name, ip_address};

/// The condition keys of a request and their values.
///
/// What follows from the caller (`aws:username`, `aws:PrincipalArn`, `aws:PrincipalTag/…` and the like) need not be set: the
/// [`Principal`](super::Principal) knows, and is believed before what is set here.
///
/// ```
/// use portcullis::policy::Context;
///
/// let mut context = Context::new();
/// context.set("aws:SourceIp", ["192.0.2.7"]);
/// context.set("aws:TagKeys", ["team", "cost"]);
/// ```
#[derive(Clone, Debug)]
pub struct Context<'c> {
    /// Of each listed key without a tag: one more than the position of its values, or 0.
    positions: [u8; ConditionKey::COUNT],
    values: Vec<Values<'c>>,
    others: Vec<(Key, Values<'c>)>,
    /// `aws:SourceIp`, where its one value is an address: read once, however many conditions ask.
    source_ip: Option<IpAddr>,
    settled: KeySet,
}

#[derive(Clone, Debug)]
enum Values<'c> {
    None,
    One(Cow<'c, str>),
    Many(Vec<Cow<'c, str>>),
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self {
            positions: [0; ConditionKey::COUNT],
            values: Vec::new(),
            others: Vec::new(),
            source_ip: None,
            settled: KeySet::default(),
        }
    }
}

impl<'c> Context<'c> {
    /// A context without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the key has values, in whatever case it was set.
    pub fn has(&self, key: &str) -> bool {
        !self.values(&Key::of(key)).is_empty()
    }

    /// The values of a key, in whatever case it was set; none where it is absent.
    pub fn get(&self, key: &str) -> impl Iterator<Item = &str> {
        self.values(&Key::of(key)).iter().map(|value| &**value)
    }

    /// Sets the values of a key, in place of what it had; without values the key is absent. The name's case does not
    /// count. A tag's does (`s3:ExistingObjectTag/Team`), but for `aws:RequestTag` and `aws:ResourceTag`.
    pub fn set<V: Into<Cow<'c, str>>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) {
        self.put(Key::of(key), Values::collect(values.into_iter().map(Into::into)));
    }

    /// The same of a key that no tag follows, without looking its name up.
    pub fn set_key<V: Into<Cow<'c, str>>>(&mut self, key: ConditionKey, values: impl IntoIterator<Item = V>) {
        self.put(Key::listed(key, None), Values::collect(values.into_iter().map(Into::into)));
    }

    /// The same of a key and the tag that follows it.
    pub fn set_tag<V: Into<Cow<'c, str>>>(
        &mut self,
        key: ConditionKey,
        tag: &str,
        values: impl IntoIterator<Item = V>,
    ) {
        self.put(Key::listed(key, Some(tag)), Values::collect(values.into_iter().map(Into::into)));
    }

    /// Adds a value to those of a key and a tag: where a key does not tell tags apart by case, several may be one to it.
    pub fn add_tag<V: Into<Cow<'c, str>>>(&mut self, key: ConditionKey, tag: &str, value: V) {
        let key = Key::listed(key, Some(tag));
        match self.others.iter_mut().find(|(present, _)| *present == key) {
            Some((_, present)) => present.add(value.into()),
            None => self.others.push((key, Values::One(value.into()))),
        }
    }

    /// Says that the request continues another, which was granted what it asks for under this key: the key has no value
    /// now, and what is demanded of it has been met. A test of it holds in a statement that allows, and not in one that
    /// denies.
    pub fn settle(&mut self, key: ConditionKey) {
        self.settled.insert(key);
    }

    pub(super) fn is_settled(&self, key: ConditionKey) -> bool {
        self.settled.contains(key)
    }

    fn put(&mut self, key: Key, values: Values<'c>) {
        if key.is_source_ip() {
            self.source_ip = match values.as_slice() {
                [address] => ip_address(address),
                _ => None,
            };
        }
        match key {
            Key { name: Name::Listed(name), tag: None } => {
                let Some(position) = self.positions.get_mut(name.position()) else { return };
                match position.checked_sub(1).and_then(|at| self.values.get_mut(usize::from(at))) {
                    Some(present) => *present = values,
                    None if values.as_slice().is_empty() => {}
                    None => {
                        self.values.push(values);
                        // INVARIANT: there are fewer listed keys than a byte can count, and each is pushed once.
                        *position = u8::try_from(self.values.len()).unwrap_or_default();
                    }
                }
            }
            key => match self.others.iter_mut().find(|(present, _)| *present == key) {
                Some((_, present)) => *present = values,
                None => self.others.push((key, values)),
            },
        }
    }

    /// The one value of a key as an address, where that is known without reading it.
    pub(super) fn address(&self, key: &Key) -> Option<IpAddr> {
        self.source_ip.filter(|_| key.is_source_ip())
    }

    /// The values of a key; none where it is absent.
    pub(super) fn values(&self, key: &Key) -> &[Cow<'c, str>] {
        let values = match key {
            Key { name: Name::Listed(name), tag: None } => {
                let position = self.positions.get(name.position()).and_then(|position| position.checked_sub(1));
                position.and_then(|position| self.values.get(usize::from(position)))
            }
            key => self.others.iter().find(|(present, _)| present == key).map(|(_, values)| values),
        };
        values.map_or(&[], Values::as_slice)
    }
}

impl<'c> Values<'c> {
    fn collect(mut values: impl Iterator<Item = Cow<'c, str>>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(one), None) => Self::One(one),
            (Some(first), Some(second)) => Self::Many([first, second].into_iter().chain(values).collect()),
        }
    }

    fn add(&mut self, value: Cow<'c, str>) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(value),
            Self::One(first) => Self::Many(vec![first, value]),
            Self::Many(mut values) => {
                values.push(value);
                Self::Many(values)
            }
        };
    }

    fn as_slice(&self) -> &[Cow<'c, str>] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_without_regard_to_case_and_tags_with() {
        let mut context = Context::new();
        for (key, values) in [
            ("aws:sourceIP", vec!["192.0.2.1"]),
            ("AWS:Nonsense", vec!["x"]),
            ("s3:ExistingObjectTag/Team", vec!["red", "blue"]),
            ("aws:RequestTag/Team", vec!["green"]),
            ("aws:TagKeys", vec![]),
            ("aws:UserAgent", vec!["old"]),
            ("aws:useragent", vec!["new"]),
        ] {
            context.set(key, values);
        }
        for (key, expected) in [
            ("aws:SourceIp", vec!["192.0.2.1"]),
            ("aws:nonsense", vec!["x"]),
            ("S3:existingobjecttag/Team", vec!["red", "blue"]),
            ("s3:ExistingObjectTag/team", vec![]),
            ("s3:ExistingObjectTag", vec![]),
            ("aws:requesttag/TEAM", vec!["green"]),
            ("aws:TagKeys", vec![]),
            ("aws:UserAgent", vec!["new"]),
            ("aws:referer", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(context.values(&Key::of(key)), expected, "{key}");
        }
    }

    #[test]
    fn a_key_is_the_same_by_name_and_by_value() {
        let mut context = Context::new();
        let [agent, object_tag, request_tag] =
            ["aws:UserAgent", "s3:ExistingObjectTag", "aws:RequestTag"].map(ConditionKey::named);
        context.set("aws:useragent", ["old"]);
        context.set_key(agent, ["new"]);
        context.set_key(ConditionKey::named("aws:SourceIp"), ["192.0.2.1"]);
        context.set_tag(object_tag, "Team", ["red"]);
        context.set_tag(object_tag, "team", ["blue"]);
        context.add_tag(request_tag, "Team", "red");
        context.add_tag(request_tag, "team", "green");
        context.add_tag(request_tag, "TEAM", "blue");
        for (key, expected) in [
            ("aws:UserAgent", vec!["new"]),
            ("s3:ExistingObjectTag/Team", vec!["red"]),
            ("s3:ExistingObjectTag/team", vec!["blue"]),
            ("aws:RequestTag/tEAM", vec!["red", "green", "blue"]),
        ] {
            assert_eq!(context.values(&Key::of(key)), expected, "{key}");
        }
        assert_eq!(context.address(&Key::of("aws:SourceIp")), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(context.get("AWS:useragent").collect::<Vec<_>>(), ["new"]);
        assert_eq!(context.get("aws:referer").count(), 0);
        context.set_tag::<&str>(object_tag, "team", []);
        assert!(!context.has("s3:ExistingObjectTag/team") && context.has("s3:ExistingObjectTag/Team"));
    }
}
