//! The `Authorization` header: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>.

use std::fmt;

use http::HeaderName;

use super::scope::Scope;
use super::{ALGORITHM, ALGORITHM_V4A, Kind};
use crate::auth::error::AuthError;

/// An `Authorization` header of Signature Version 4.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationHeader {
    /// Key and scope.
    pub scope: Scope,
    /// The headers that are signed, sorted, each once.
    pub signed_headers: Vec<HeaderName>,
    /// The signature as presented.
    pub signature: String,
}

impl AuthorizationHeader {
    /// Reads the header's value. As in S3, the scheme is compared without case, and white space around the commas is
    /// free.
    ///
    /// # Errors
    /// [`AuthError`], saying which part is wrong. No error repeats the value of another scheme, which may be a secret.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        let (scheme, rest) = cut(value, b' ').ok_or(AuthError::AuthorizationForm)?;
        if scheme.eq_ignore_ascii_case("AWS") {
            return Err(AuthError::SignatureV2);
        }
        if scheme.eq_ignore_ascii_case(ALGORITHM_V4A) {
            return Err(AuthError::SignatureV4a(Kind::Header));
        }
        if !scheme.eq_ignore_ascii_case(ALGORITHM) {
            return Err(AuthError::Scheme(scheme.to_owned()));
        }
        let mut components = Components::default();
        let mut count = 0;
        for component in pieces(rest, b',').map(str::trim_ascii) {
            components.take(component)?;
            count += 1;
        }
        if count != 3 {
            return Err(AuthError::Components);
        }
        let missing = |name| move || AuthError::MissingComponent(name);
        let credential = components.credential.ok_or_else(missing("Credential"))?;
        let signed_headers = components.signed_headers.ok_or_else(missing("SignedHeaders"))?;
        let signature = components.signature.filter(|s| !s.is_empty()).ok_or_else(missing("Signature"))?;
        Ok(Self {
            scope: Scope::parse(credential, Kind::Header)?,
            signed_headers: parse_signed_headers(signed_headers, Kind::Header)?,
            signature: signature.to_owned(),
        })
    }
}

/// As clients send it; what it prints reads as the same header again.
impl fmt::Display for AuthorizationHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM} Credential={}, SignedHeaders=", self.scope)?;
        for (n, name) in self.signed_headers.iter().enumerate() {
            f.write_str(if n > 0 { ";" } else { "" })?;
            f.write_str(name.as_str())?;
        }
        write!(f, ", Signature={}", self.signature)
    }
}

impl fmt::Debug for AuthorizationHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, signed_headers, signature: _ } = self;
        f.debug_struct("AuthorizationHeader").field("scope", scope).field("signed_headers", signed_headers).finish()
    }
}

#[derive(Default)]
struct Components<'a> {
    credential: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
}

impl<'a> Components<'a> {
    fn take(&mut self, component: &'a str) -> Result<(), AuthError> {
        let (name, value) = cut(component, b'=').ok_or_else(|| AuthError::Component { name: component.to_owned() })?;
        let place = match name {
            "Credential" => &mut self.credential,
            "SignedHeaders" => &mut self.signed_headers,
            "Signature" => &mut self.signature,
            _ => return Err(AuthError::Component { name: name.to_owned() }),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(AuthError::Component { name: name.to_owned() }),
        }
    }
}

/// Reads a `;`-separated list of header names. It is sorted here, as S3 does: what was signed is the sorted list.
pub(super) fn parse_signed_headers(list: &str, kind: Kind) -> Result<Vec<HeaderName>, AuthError> {
    let mut names = pieces(list, b';')
        .map(|name| HeaderName::from_bytes(name.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| AuthError::SignedHeaders { kind, list: list.to_owned() })?;
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    Ok(names)
}

/// As [`str::split_once`], in a fraction of its time where the pieces are short: a header is read for every request.
pub(super) fn cut(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(separator, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// As [`str::split`], like [`cut`].
pub(super) fn pieces(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (piece, after) = cut(rest?, separator).map_or((rest?, None), |(piece, after)| (piece, Some(after)));
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_prints_as_a_header_that_reads_the_same() {
        let scope = "AKID/20130524/us-east-1/s3/aws4_request";
        let rows = [
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00"),
            format!("AWS4-HMAC-SHA256 Credential={scope},SignedHeaders=host;x-amz-date,Signature=00"),
            format!("aws4-hmac-sha256   Signature=00 ,SignedHeaders=X-Amz-Date;Host;host ,  Credential={scope}"),
        ];
        for row in &rows {
            let header = AuthorizationHeader::parse(row).unwrap_or_else(|e| panic!("{row}: {e}"));
            assert_eq!(header.to_string(), rows[0], "{row}");
            assert!(!format!("{header:?}").contains("00\""), "{row}");
        }
    }
}
