//! Presigned URLs: the `X-Amz-…` query parameters.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.

use std::borrow::Cow;

use http::HeaderName;
use percent_encoding::percent_decode_str;

use super::header::parse_signed_headers;
use super::scope::{Scope, Timestamp};
use super::{ALGORITHM, ALGORITHM_V4A, Kind};
use crate::auth::error::AuthError;
use crate::auth::identity::SecretKey;

/// The longest a presigned URL can live, in seconds: seven days.
const MAX_EXPIRES: u32 = 604_800;

/// The parameters of a presigned URL.
pub(super) struct PresignedQuery {
    pub(super) scope: Scope,
    pub(super) signed_headers: Vec<HeaderName>,
    pub(super) signature: String,
    pub(super) timestamp: Timestamp,
    pub(super) expires: u32,
    pub(super) token: Option<SecretKey>,
    pub(super) content_sha256: Option<String>,
}

/// The query parameters that speak of authentication, each at most once. Names are compared with case, as in S3, and
/// after decoding, so that none can hide behind an escape.
#[derive(Default)]
pub(super) struct AuthParameters<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
    content_sha256: Option<Cow<'a, str>>,
    v2_signature: Option<Cow<'a, str>>,
}

impl<'a> AuthParameters<'a> {
    /// Gathers them from a raw query.
    pub(super) fn parse(query: &'a str) -> Result<Self, AuthError> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (known, place) = match decode(name).as_deref() {
                Some("X-Amz-Algorithm") => ("X-Amz-Algorithm", &mut found.algorithm),
                Some("X-Amz-Credential") => ("X-Amz-Credential", &mut found.credential),
                Some("X-Amz-Date") => ("X-Amz-Date", &mut found.date),
                Some("X-Amz-Expires") => ("X-Amz-Expires", &mut found.expires),
                Some("X-Amz-SignedHeaders") => ("X-Amz-SignedHeaders", &mut found.signed_headers),
                Some("X-Amz-Signature") => ("X-Amz-Signature", &mut found.signature),
                Some("X-Amz-Security-Token") => ("X-Amz-Security-Token", &mut found.token),
                Some("X-Amz-Content-Sha256") => ("X-Amz-Content-Sha256", &mut found.content_sha256),
                Some("Signature") => ("Signature", &mut found.v2_signature),
                Some(_) | None => continue,
            };
            let value = decode(value).ok_or(AuthError::ParameterEncoding(known))?;
            if place.replace(value).is_some() {
                return Err(AuthError::DuplicateParameter(known));
            }
        }
        Ok(found)
    }

    /// Whether the URL claims to be presigned. As in S3, `X-Amz-Algorithm` decides: without it the other parameters
    /// mean nothing and the request is anonymous.
    pub(super) fn is_v4(&self) -> bool {
        self.algorithm.is_some()
    }

    /// Whether the URL claims to be presigned by Signature Version 2.
    pub(super) fn is_v2(&self) -> bool {
        self.v2_signature.is_some()
    }

    /// Reads the parameters, in the order in which S3 reports what is wrong with them.
    pub(super) fn into_query(self) -> Result<PresignedQuery, AuthError> {
        match self.algorithm.as_deref() {
            Some(ALGORITHM) => {}
            Some(ALGORITHM_V4A) => return Err(AuthError::SignatureV4a(Kind::Presigned)),
            Some(_) | None => return Err(AuthError::Algorithm(self.algorithm.unwrap_or_default().into_owned())),
        }
        let (Some(credential), Some(date), Some(expires), Some(signed_headers), Some(signature)) =
            (self.credential, self.date, self.expires, self.signed_headers, self.signature)
        else {
            return Err(AuthError::MissingParameters);
        };
        let timestamp = Timestamp::parse(&date).ok_or_else(|| AuthError::ParameterDate(date.into_owned()))?;
        let expires = parse_expires(&expires)?;
        let scope = Scope::parse(&credential, Kind::Presigned)?;
        Ok(PresignedQuery {
            scope,
            signed_headers: parse_signed_headers(&signed_headers, Kind::Presigned)?,
            signature: signature.into_owned(),
            timestamp,
            expires,
            token: self.token.map(|token| SecretKey::new(token.into_owned())),
            content_sha256: self.content_sha256.map(Cow::into_owned),
        })
    }
}

/// Decodes a part of a query, where `+` is a space: so S3, the SDKs' signers and the stores behind us read it.
/// `None` where it is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().ok().map(|t| Cow::Owned(t.into_owned()));
    }
    percent_decode_str(text).decode_utf8().ok()
}

fn parse_expires(text: &str) -> Result<u32, AuthError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthError::ExpiresNotANumber(text.to_owned()));
    }
    if negative && digits.bytes().any(|b| b != b'0') {
        return Err(AuthError::ExpiresNegative(text.to_owned()));
    }
    match digits.parse::<u32>() {
        Ok(seconds) if seconds <= MAX_EXPIRES => Ok(seconds),
        Ok(_) | Err(_) => Err(AuthError::ExpiresTooLarge(text.to_owned())),
    }
}
