//! What a request asks for: its path, its parameters, its conditions and its body.

use std::time::Duration;

use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::answer::ApiError;
use crate::layer::BoxError;
use crate::layer::administration::{Administration, Expected, Occasion};
use crate::s3::address::BucketName;
use crate::s3::error::ErrorCode;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A call by whoever has the token.
pub(super) struct Ask<'a> {
    pub(super) administration: &'a Administration,
    pub(super) occasion: &'a Occasion,
    pub(super) parts: &'a Parts,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Buckets,
    Policy(BucketName),
    Revisions(BucketName),
    Revision(BucketName, u64),
    Rollback(BucketName, u64),
    PublicAccessBlock(BucketName),
    Archive,
    Freeze,
}

impl Route {
    /// Reads a path, which is compared as it was sent: a bucket's name has nothing that needs an escape.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let rest = path.strip_prefix(super::ROOT).ok_or_else(not_found)?;
        let bucket = |name: &str| BucketName::parse(name).map_err(|error| invalid_name(&error));
        let number = |text: &str| match text.parse() {
            Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
            Ok(_) | Err(_) => Err(invalid("`revision` is not a number", text)),
        };
        match *rest.split('/').collect::<Vec<_>>().as_slice() {
            ["buckets"] => Ok(Self::Buckets),
            ["buckets", name, "policy"] => Ok(Self::Policy(bucket(name)?)),
            ["buckets", name, "policy", "revisions"] => Ok(Self::Revisions(bucket(name)?)),
            ["buckets", name, "policy", "revisions", n] => Ok(Self::Revision(bucket(name)?, number(n)?)),
            ["buckets", name, "policy", "revisions", n, "rollback"] => Ok(Self::Rollback(bucket(name)?, number(n)?)),
            ["buckets", name, "public-access-block"] => Ok(Self::PublicAccessBlock(bucket(name)?)),
            ["archive"] => Ok(Self::Archive),
            ["freeze"] => Ok(Self::Freeze),
            _ => Err(not_found()),
        }
    }

    /// The methods it takes.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Buckets | Self::Revisions(_) | Self::Revision(..) => &[Method::GET, Method::HEAD],
            Self::Freeze => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Self::Policy(_) | Self::PublicAccessBlock(_) => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Self::Rollback(..) => &[Method::POST],
            Self::Archive => &[Method::GET, Method::HEAD, Method::POST],
        }
    }
}

/// The parameters of a query, each of which is asked for by name.
#[derive(Debug)]
pub(super) struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    /// Those of a request that may have the ones in `known`, each once. None of their values needs an escape.
    pub(super) fn read(parts: &'a Parts, known: &[&str]) -> Result<Self, ApiError> {
        let mut read: Vec<(&str, &str)> = Vec::new();
        let query = parts.uri.query().unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                return Err(invalid("There is no such parameter here", name));
            }
            if read.iter().any(|(before, _)| *before == name) {
                return Err(invalid("The parameter is there twice", name));
            }
            read.push((name, value));
        }
        Ok(Self(read))
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// `true` or `false`; otherwise `false`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.value(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(invalid(&format!("`{name}` is neither `true` nor `false`"), other)),
        }
    }

    /// A whole number from 1 to `most`; otherwise `default`.
    pub(super) fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, ApiError> {
        match self.value(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(count) if (1..=most).contains(&count) => Ok(count),
                _ => Err(invalid(&format!("`{name}` is not a whole number from 1 to {most}"), text)),
            },
        }
    }

    /// The name of a bucket.
    pub(super) fn bucket(&self, name: &str) -> Result<Option<BucketName>, ApiError> {
        self.value(name).map(|text| BucketName::parse(text).map_err(|error| invalid_name(&error))).transpose()
    }
}

/// What a change depends on (RFC 9110, section 13). A condition that is not understood is refused, never passed over.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let mut matches = headers.get_all(IF_MATCH).iter();
    let mut none = headers.get_all(IF_NONE_MATCH).iter();
    match (matches.next(), matches.next(), none.next(), none.next()) {
        (None, _, None, _) => Ok(Expected::Anything),
        (Some(value), None, None, _) if value.as_bytes() == b"*" => Ok(Expected::SomePolicy),
        (Some(value), None, None, _) => {
            let tag = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
            let revisions = value.to_str().ok().and_then(|text| text.split(',').map(tag).collect());
            revisions
                .map(Expected::Revisions)
                .ok_or_else(|| invalid("`If-Match` is not a list of revisions such as \"7\"", &text_of(value)))
        }
        (None, _, Some(value), None) if value.as_bytes() == b"*" => Ok(Expected::NoPolicy),
        (None, _, Some(value), None) => Err(invalid("`If-None-Match` can only be `*` here", &text_of(value))),
        (Some(value), ..) | (None, _, Some(value), Some(_)) => {
            Err(invalid("There may be one `If-Match` or one `If-None-Match`", &text_of(value)))
        }
    }
}

/// Refuses conditions where nothing is there to hold them against.
pub(super) fn no_condition(headers: &HeaderMap) -> Result<(), ApiError> {
    match expected(headers)? {
        Expected::Anything => Ok(()),
        Expected::NoPolicy | Expected::SomePolicy | Expected::Revisions(_) => {
            Err(invalid("A public access block has no revisions, so no condition can be held against one", "If-Match"))
        }
    }
}

/// The body, if it has at most `most` bytes; none if it has more.
pub(super) async fn body<B>(body: B, most: usize) -> Result<Option<Bytes>, ApiError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let incomplete = |reason: String| {
        ApiError::new(StatusCode::BAD_REQUEST, "IncompleteBody", "The body did not arrive whole.").with_detail(reason)
    };
    match timeout(BODY_TIMEOUT, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(Some(collected.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(error)) => Err(incomplete(error.to_string())),
        Err(_) => Err(incomplete(format!("It took longer than {BODY_TIMEOUT:?}."))),
    }
}

/// `400 InvalidArgument`; `what` is quoted.
pub(super) fn invalid(message: &str, what: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidArgument.name(), &format!("{message}."))
        .with_detail(what.escape_debug().to_string())
}

fn invalid_name(error: &crate::s3::address::InvalidBucketName) -> ApiError {
    let code = ErrorCode::InvalidBucketName;
    ApiError::new(code.status(), code.name(), code.message()).with_detail(error.to_string())
}

fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NotFound", "There is nothing under this path.")
}

fn text_of(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
