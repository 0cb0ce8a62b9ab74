//! What is being asked: who, which action, on which resource, in which circumstances.

use std::borrow::Cow;

use super::action::Action;
use super::condition::{Key, Name, PRINCIPAL_ACCOUNT, PRINCIPAL_ARN, PRINCIPAL_TAG, PRINCIPAL_TYPE, USER_ID, USERNAME};
use super::context::Context;
use super::principal::Principal;

/// One question to the policies. A request to S3 may need several of them answered.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What they want to do.
    pub action: Action,
    /// What they want to do it to, as a full ARN with the key decoded: `arn:aws:s3:::photos/a b.jpg`.
    pub resource: &'a str,
    /// The condition keys of the request.
    pub context: &'a Context<'a>,
}

/// The values that a key has in a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// One that follows from the caller.
    Derived(&'a str),
    /// Those that the context holds; none where the key is absent.
    Given(&'a [Cow<'a, str>]),
}

impl<'a> AccessRequest<'a> {
    pub(super) fn find(&self, key: &Key) -> Found<'a> {
        match self.derived(key) {
            Some(value) => Found::Derived(value),
            None => Found::Given(self.context.values(key)),
        }
    }

    fn derived(&self, key: &Key) -> Option<&'a str> {
        let principal = self.principal;
        match (&key.name, &key.tag) {
            (Name::Listed(PRINCIPAL_TAG), Some(tag)) => principal.tag(tag),
            (Name::Listed(PRINCIPAL_ARN), None) => principal.principal_arn(),
            (Name::Listed(PRINCIPAL_ACCOUNT), None) => Some(principal.account_key()),
            (Name::Listed(PRINCIPAL_TYPE), None) => Some(principal.kind()),
            (Name::Listed(USER_ID), None) => Some(principal.user_id()),
            (Name::Listed(USERNAME), None) => principal.username(),
            (Name::Listed(_) | Name::Unlisted(_), _) => None,
        }
    }
}

impl<'a> Found<'a> {
    pub(super) fn is_absent(self) -> bool {
        matches!(self, Self::Given([]))
    }

    /// Whether there is no value, or none but empty strings. To Amazon both are a null data set ("Single-valued vs.
    /// multivalued context keys"), and `Null` is how a policy tells them from values.
    pub(super) fn is_null(self) -> bool {
        self.iter().all(str::is_empty)
    }

    /// The value, where there is exactly one: what a policy variable may stand for.
    pub(super) fn single(self) -> Option<&'a str> {
        match self {
            Self::Derived(value) => Some(value),
            Self::Given([value]) => Some(value),
            Self::Given(_) => None,
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> + Clone {
        let (derived, given): (_, &[Cow<'a, str>]) = match self {
            Self::Derived(value) => (Some(value), &[]),
            Self::Given(values) => (None, values),
        };
        derived.into_iter().chain(given.iter().map(|value| &**value))
    }
}
