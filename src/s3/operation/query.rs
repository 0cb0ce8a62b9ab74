//! The query of a request: split first, decoded after, exactly once.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::address::decode;
use super::super::error::{ErrorCode, S3Error};
use super::is_known_parameter;

/// A query, split and decoded, in the order it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Splits at `&` and each part at its first `=`, then percent-decodes once; `+` is a space. Drops empty parts.
    ///
    /// # Errors
    /// [`InvalidQuery`] for a malformed escape or one that is not UTF-8: stores differ on what such a name means.
    pub fn parse(raw: Option<&'a str>) -> Result<Self, InvalidQuery> {
        let parts = raw.unwrap_or_default().split('&').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                Ok((decode_form(name)?, decode_form(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a parameter of this name is there, whatever its value.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }

    /// The value of the first parameter of this name; empty where it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// How often a parameter of this name is there. What decides anything must not be there twice.
    pub fn count(&self, name: &str) -> usize {
        self.names().filter(|other| *other == name).count()
    }

    /// All names, repeated ones as often as they were sent.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The query written anew, with those parameters alone that S3 knows, each once and encoded as Signature V4 does it: what
    /// a request was decided by, and nothing that a store could read otherwise. Empty for none.
    pub(crate) fn rebuilt(&self) -> String {
        const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        let mut rebuilt = String::new();
        for (at, (name, value)) in self.0.iter().enumerate() {
            let repeats = self.0.iter().take(at).any(|earlier| earlier.0 == *name);
            if repeats || !is_known_parameter(name) {
                continue;
            }
            if !rebuilt.is_empty() {
                rebuilt.push('&');
            }
            rebuilt.extend(utf8_percent_encode(name, KEPT));
            if !value.is_empty() {
                rebuilt.push('=');
                rebuilt.extend(utf8_percent_encode(value, KEPT));
            }
        }
        rebuilt
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

fn decode_form(raw: &str) -> Result<Cow<'_, str>, InvalidQuery> {
    let refuse = |_| InvalidQuery(raw.to_owned());
    if raw.contains('+') {
        decode(&raw.replace('+', " ")).map(|text| Cow::Owned(text.into_owned())).map_err(refuse)
    } else {
        decode(raw).map_err(refuse)
    }
}

/// A name or value in a query that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidQuery(String);

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in the query cannot be decoded", self.0)
    }
}

impl std::error::Error for InvalidQuery {}

impl From<InvalidQuery> for S3Error {
    fn from(InvalidQuery(part): InvalidQuery) -> Self {
        Self::new(ErrorCode::InvalidURI).with_field("URI", part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_order_and_repeats() {
        let query = Query::parse(Some("b=1+2%2B&a&&b=x=y&%C3%BC=%3D")).unwrap();
        let pairs: Vec<_> = query.iter().collect();
        assert_eq!(pairs, [("b", "1 2+"), ("a", ""), ("b", "x=y"), ("ü", "=")]);
        assert_eq!(
            (query.count("b"), query.get("b"), query.get("a"), query.get("c")),
            (2, Some("1 2+"), Some(""), None)
        );
        assert!(query.has("ü") && !query.has("B"));
        assert_eq!(Query::parse(None).unwrap(), Query::default());
    }

    #[test]
    fn a_query_is_rebuilt_from_what_it_was_read_as() {
        for (sent, rebuilt) in [
            ("", ""),
            ("%61cl=", "acl"),
            ("prefix=a+b%2Fc&delimiter=/&list-type=2", "prefix=a%20b%2Fc&delimiter=%2F&list-type=2"),
            ("prefix=%C3%BC&&x&y=1&prefix=%c3%bc&Prefix=x", "prefix=%C3%BC"),
            ("prefix=&max-keys=2", "prefix&max-keys=2"),
            (
                "X-Amz-Signature=s&versionId=a%26b&x-amz-acl=private",
                "X-Amz-Signature=s&versionId=a%26b&x-amz-acl=private",
            ),
        ] {
            assert_eq!(Query::parse(Some(sent)).unwrap().rebuilt(), rebuilt, "{sent}");
        }
    }
}
