//! Who signed this request? Signature Version 4, in the `Authorization` header, in a presigned URL or in a form.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>. Where that is silent,
//! the order of checks and the messages are those S3 is seen to give.
//!
//! Three steps, since the key must be looked up between them: [`Presented::parse`] reads what a request claims,
//! [`Presented::check`] holds the claim against clock and region, and [`Presented::verify`] proves it with the secret.
//! A form is not signed, but the policy in it; [`PresentedForm`] is its claim.
//!
//! ```
//! use portcullis::auth::sigv4::Presented;
//!
//! let (parts, ()) = http::Request::get("/bucket?policy").header("host", "localhost").body(())?.into_parts();
//! assert!(Presented::parse(&parts)?.is_none(), "no credentials: an anonymous caller");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod canonical;
mod chunk;
mod header;
mod payload;
mod post;
mod presigned;
mod scope;
#[cfg(feature = "proxy")]
mod sign;
mod signature;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, DATE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue};

pub use chunk::{ChunkVerifier, RequestChunkSigner};
pub use header::AuthorizationHeader;
pub use payload::PayloadMode;
pub use post::{PresentedForm, VerifiedForm};
pub use scope::{Scope, Timestamp};
pub use signature::{SigningKey, SigningKeys};

use self::canonical::PathForm;
use self::presigned::AuthParameters;
#[cfg(feature = "proxy")]
pub(crate) use self::sign::RequestToSign;
use super::error::{AuthError, CredentialFault, Mismatch};
use super::identity::{AccessKeyId, Credential, SecretKey};
use crate::s3::repeated::has_repeats;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const ALGORITHM_V4A: &str = "AWS4-ECDSA-P256-SHA256";

const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// How far a signature's clock may be from ours, in seconds.
const MAX_SKEW: u64 = 900;

/// Where a request carries its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the `Authorization` header.
    Header,
    /// In the query of a presigned URL.
    Presigned,
}

/// What a request claims: who signed it, when, and what they signed. Nothing of it is proven yet.
pub struct Presented {
    kind: Kind,
    scope: Scope,
    signed_headers: Vec<HeaderName>,
    signature: String,
    timestamp: Timestamp,
    /// The date as sent, which S3 repeats when it is too far off.
    date_as_sent: String,
    /// Seconds a presigned URL lives.
    expires: Option<u32>,
    token: Option<SecretKey>,
    payload: PayloadMode,
    payload_text: Cow<'static, str>,
}

impl Presented {
    /// Reads the claim from a request; `None` for one without credentials, which is an anonymous caller's.
    ///
    /// # Errors
    /// [`AuthError`] for two mechanisms at once, one that is not supported, or a claim that is malformed, ambiguous or
    /// leaves out a header that has to be signed.
    pub fn parse(parts: &Parts) -> Result<Option<Self>, AuthError> {
        let authorization = single(parts, &AUTHORIZATION)?;
        let query = AuthParameters::parse(parts.uri.query().unwrap_or_default())?;
        let mechanisms = [authorization.is_some(), query.is_v4(), query.is_v2()];
        if mechanisms.iter().filter(|&&given| given).count() > 1 {
            return Err(AuthError::SeveralMechanisms);
        }
        if query.is_v2() {
            return Err(AuthError::SignatureV2);
        }
        let presented = match authorization {
            _ if query.is_v4() => Self::from_query(parts, query)?,
            // S3 reads an empty header as none.
            Some(value) if !value.is_empty() => Self::from_header(parts, value)?,
            Some(_) | None => return Ok(None),
        };
        if presented.scope.date() != presented.timestamp.date() {
            return Err(AuthError::CredentialDate {
                kind: presented.kind,
                credential: presented.scope.date().to_owned(),
                request: presented.timestamp.date().to_owned(),
            });
        }
        presented.require_signed_headers(parts)?;
        Ok(Some(presented))
    }

    /// The header itself first: what it lacks tells more than what would have to stand beside it.
    fn from_header(parts: &Parts, authorization: &HeaderValue) -> Result<Self, AuthError> {
        let authorization = authorization.to_str().map_err(|_| AuthError::Components);
        let header = authorization.and_then(AuthorizationHeader::parse)?;
        let payload = single_text(parts, &CONTENT_SHA256)?.ok_or(AuthError::MissingPayloadHash)?;
        let (payload, payload_text) = payload::parse_with_text(payload)?;
        let (date, timestamp) = match single_text(parts, &AMZ_DATE)? {
            Some(date) => (date, Timestamp::parse(date)),
            None => {
                let date = single_text(parts, &DATE)?.unwrap_or_default();
                (date, Timestamp::parse_http_date(date).or_else(|| Timestamp::parse(date)))
            }
        };
        let timestamp = timestamp.ok_or_else(|| AuthError::Date(date.to_owned()))?;
        Ok(Self {
            kind: Kind::Header,
            scope: header.scope,
            signed_headers: header.signed_headers,
            signature: header.signature,
            timestamp,
            date_as_sent: date.to_owned(),
            expires: None,
            token: single_text(parts, &SECURITY_TOKEN)?.map(SecretKey::new),
            payload,
            payload_text,
        })
    }

    fn from_query(parts: &Parts, parameters: AuthParameters<'_>) -> Result<Self, AuthError> {
        let query = parameters.into_query()?;
        let header = single_text(parts, &CONTENT_SHA256)?;
        let (payload, payload_text) = match (query.content_sha256.as_deref(), header) {
            (Some(parameter), Some(header)) if parameter != header => return Err(AuthError::PayloadHashTwice),
            (Some(value), _) | (None, Some(value)) => payload::parse_with_text(value)?,
            (None, None) => (PayloadMode::Unsigned, Cow::Borrowed(payload::UNSIGNED_PAYLOAD)),
        };
        let token = match query.token {
            Some(token) => Some(token),
            None => single_text(parts, &SECURITY_TOKEN)?.map(SecretKey::new),
        };
        Ok(Self {
            kind: Kind::Presigned,
            scope: query.scope,
            signed_headers: query.signed_headers,
            signature: query.signature,
            date_as_sent: query.timestamp.as_str().to_owned(),
            timestamp: query.timestamp,
            expires: Some(query.expires),
            token,
            payload,
            payload_text,
        })
    }

    /// `host` and every `x-amz-…` header must be signed, or one could be added to a signed request.
    /// `x-amz-content-sha256` need not be, as in S3: the canonical request ends with it anyway.
    fn require_signed_headers(&self, parts: &Parts) -> Result<(), AuthError> {
        let signed = |name: &HeaderName| self.signed_headers.contains(name);
        if parts.headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(AuthError::DuplicateHeader(HOST));
        }
        let must = |name: &&HeaderName| name.as_str().starts_with("x-amz-") && **name != CONTENT_SHA256;
        let mut missing: Vec<_> = parts.headers.keys().filter(must).filter(|name| !signed(name)).cloned().collect();
        if !signed(&HOST) {
            missing.push(HOST);
        }
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        Err(AuthError::HeadersNotSigned(missing))
    }

    /// Who is said to have signed: the key to look up.
    pub fn access_key_id(&self) -> &AccessKeyId {
        self.scope.access_key_id()
    }

    /// The session token that came with the request.
    pub fn session_token(&self) -> Option<&SecretKey> {
        self.token.as_ref()
    }

    /// What the signature says of the body.
    pub fn payload(&self) -> PayloadMode {
        self.payload
    }

    /// Where the signature was found.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// When it was signed, as claimed.
    pub fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }

    /// Holds the claim against the clock and the configured region. S3 does so before it looks the key up; calling this
    /// first gives its order of errors. [`verify`](Self::verify) does it in any case.
    ///
    /// # Errors
    /// [`AuthError::TooSkewed`], [`AuthError::NotYetValid`], [`AuthError::Expired`], or [`AuthError::Credential`] for a
    /// region that is not ours.
    pub fn check(&self, now: SystemTime, region: &str) -> Result<(), AuthError> {
        self.check_time(scope::seconds_since_epoch(now))?;
        if self.scope.region() == region {
            return Ok(());
        }
        let fault = CredentialFault::Region { given: self.scope.region().to_owned(), expected: region.to_owned() };
        Err(AuthError::Credential { kind: self.kind, fault })
    }

    fn check_time(&self, now: i64) -> Result<(), AuthError> {
        let signed = self.timestamp.unix_seconds();
        let server = || scope::long_form(now);
        match self.expires {
            None if signed.abs_diff(now) > MAX_SKEW => {
                Err(AuthError::TooSkewed { request: self.date_as_sent.clone(), server: server() })
            }
            Some(seconds) => {
                let expires = signed.saturating_add(i64::from(seconds));
                if signed > now && signed.abs_diff(now) > MAX_SKEW {
                    let expires = scope::long_form(expires);
                    Err(AuthError::NotYetValid { signed, expires, server: server() })
                } else if now > expires {
                    Err(AuthError::Expired { seconds, expires: scope::long_form(expires), server: server() })
                } else {
                    Ok(())
                }
            }
            None => Ok(()),
        }
    }

    /// Proves that the holder of `credential` signed these `parts`, at a time that counts now, for `region`.
    ///
    /// `keys` spares deriving the same signing key for every request; one for the whole process is right.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), then [`AuthError::UnknownAccessKey`] for a session's key without its token and
    /// [`AuthError::Token`] for a token that is wrong or not called for, then [`AuthError::SignatureDoesNotMatch`].
    pub fn verify(
        &self,
        parts: &Parts,
        credential: &Credential,
        now: SystemTime,
        region: &str,
        keys: &SigningKeys,
    ) -> Result<Verified, AuthError> {
        self.check(now, region)?;
        if credential.access_key_id != *self.access_key_id() {
            return Err(AuthError::UnknownAccessKey(self.access_key_id().clone()));
        }
        check_token(credential, self.token.as_ref())?;
        let known = keys.get(&self.scope, &credential.secret);
        let key = known.clone().unwrap_or_else(|| SigningKey::derive(&credential.secret, &self.scope));
        if !self.matches(parts, &key) {
            return Err(AuthError::SignatureDoesNotMatch(Box::new(self.mismatch(parts))));
        }
        if known.is_none() {
            keys.insert(&self.scope, &credential.secret, &key);
        }
        Ok(Verified {
            kind: self.kind,
            payload: self.payload,
            scope: self.scope.clone(),
            timestamp: self.timestamp.clone(),
            signature: self.signature.clone(),
            key,
        })
    }

    fn matches(&self, parts: &Parts, key: &SigningKey) -> bool {
        let tail = self.canonical_tail(parts, false);
        let recoded = canonical::head(parts, PathForm::Recoded);
        let signed = |head: &[u8]| {
            let hash = signature::sha256_hex(&[head, &tail]);
            signature::equal(&signature::of_request(key, &self.timestamp, &self.scope, &hash), &self.signature)
        };
        if signed(&recoded) {
            return true;
        }
        let raw = canonical::head(parts, PathForm::Raw);
        raw != recoded && signed(&raw)
    }

    fn canonical_tail(&self, parts: &Parts, redact: bool) -> Vec<u8> {
        canonical::tail(parts, self.kind, &self.signed_headers, &self.payload_text, redact)
    }

    fn string_to_sign(&self, head: &[u8], tail: &[u8]) -> String {
        let hash = signature::sha256_hex(&[head, tail]);
        format!("{ALGORITHM}\n{}\n{}\n{hash}", self.timestamp, self.scope.signed_form())
    }

    fn mismatch(&self, parts: &Parts) -> Mismatch {
        let head = canonical::head(parts, PathForm::Recoded);
        let shown = [head.as_slice(), &self.canonical_tail(parts, true)].concat();
        Mismatch {
            access_key_id: self.access_key_id().clone(),
            string_to_sign: self.string_to_sign(&head, &self.canonical_tail(parts, false)),
            signature_provided: self.signature.clone(),
            canonical_request: String::from_utf8_lossy(&shown).into_owned(),
        }
    }
}

impl fmt::Debug for Presented {
    // Without the signature: that of a presigned URL lets its reader in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("kind", &self.kind)
            .field("scope", &self.scope)
            .field("signed_headers", &self.signed_headers)
            .field("timestamp", &self.timestamp)
            .field("expires", &self.expires)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// A proven signature, and what is needed to verify the signed chunks of the body that follows.
pub struct Verified {
    kind: Kind,
    payload: PayloadMode,
    scope: Scope,
    timestamp: Timestamp,
    signature: String,
    key: SigningKey,
}

impl Verified {
    /// Where the signature stands.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the signature says of the body; the body itself is not verified yet.
    pub fn payload(&self) -> PayloadMode {
        self.payload
    }

    /// Key and scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it was signed.
    pub fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }

    /// The request's own signature, which seeds those of its chunks.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// A verifier for the chunks of the body, where [`payload`](Self::payload) is [`PayloadMode::StreamingSigned`].
    pub fn chunk_verifier(&self) -> ChunkVerifier {
        ChunkVerifier::new(self.key.clone(), self.timestamp.clone(), &self.scope, self.signature.clone())
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("payload", &self.payload)
            .field("scope", &self.scope)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// The one value of a header. Two could be read as one by us and as the other by the store.
fn single<'a>(parts: &'a Parts, name: &HeaderName) -> Result<Option<&'a HeaderValue>, AuthError> {
    if !has_repeats(&parts.headers) {
        return Ok(parts.headers.get(name));
    }
    let mut values = parts.headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(AuthError::DuplicateHeader(name.clone())) } else { Ok(first) }
}

fn single_text<'a>(parts: &'a Parts, name: &HeaderName) -> Result<Option<&'a str>, AuthError> {
    let value = single(parts, name)?;
    value.map(|v| v.to_str().map(str::trim).map_err(|_| AuthError::HeaderText(name.clone()))).transpose()
}

/// Holds the token that came with a key against the one that belongs to it. To S3 a session's key is, without its token,
/// a key that nobody has.
fn check_token(credential: &Credential, token: Option<&SecretKey>) -> Result<(), AuthError> {
    match (&credential.session_token, token) {
        (Some(_), None) => Err(AuthError::UnknownAccessKey(credential.access_key_id.clone())),
        // The comparison of two secrets takes constant time.
        (expected, token) if expected.as_ref() != token => Err(AuthError::Token),
        _ => Ok(()),
    }
}
