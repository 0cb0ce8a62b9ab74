//! Which condition keys does a request have, whatever it asks for?
//!
//! Names and values are those of Amazon's "AWS global condition context keys" and "Bucket policy examples using condition
//! keys". What follows from the caller (`aws:username`, `aws:PrincipalArn`, …) is not here: the policy language knows.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{HeaderName, REFERER, USER_AGENT};
use time::OffsetDateTime;
use time::macros::format_description;

use super::error::{ErrorCode, S3Error};
use crate::policy::{AccountId, Context};

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What is known of a request beside what it asks for.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// Its headers, and what a presigned URL carries in their stead.
    pub headers: &'a HeaderMap,
    /// The client's address, where it is known.
    pub source_ip: Option<IpAddr>,
    /// Whether the client came by TLS.
    pub secure_transport: bool,
    /// The time of the request.
    pub now: SystemTime,
    /// The account that owns the bucket.
    pub owner: Option<&'a AccountId>,
    /// The region that unsigned requests are taken to be for.
    pub region: &'a str,
    /// How it was signed; none where nobody signed it.
    pub signature: Option<SignatureFacts<'a>>,
}

/// What is known of a verified signature.
#[derive(Clone, Copy, Debug)]
pub struct SignatureFacts<'a> {
    /// Where it stood.
    pub auth_type: AuthType,
    /// When the request was signed, in seconds since 1970.
    pub signed_at: i64,
    /// The region of its credential scope.
    pub region: &'a str,
    /// Whether the key is a session's.
    pub temporary: bool,
}

/// Where a signature stands: the values of `s3:authType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// In the `Authorization` header.
    Header,
    /// In the query of a presigned URL.
    QueryString,
}

impl AuthType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Header => "REST-HEADER",
            Self::QueryString => "REST-QUERY-STRING",
        }
    }
}

/// The most that the names and values of a request's headers may have together, in bytes: Amazon's own limit ("Common
/// request headers", PUT requests). It bounds what a pattern in a policy is held against.
pub const MAX_HEADERS: usize = 8 * 1024;

/// The headers have more than [`MAX_HEADERS`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadersTooLarge(());

impl From<HeadersTooLarge> for S3Error {
    fn from(_: HeadersTooLarge) -> Self {
        Self::new(ErrorCode::RequestHeaderSectionTooLarge).with_field("MaxSizeAllowed", MAX_HEADERS.to_string())
    }
}

impl<'a> RequestFacts<'a> {
    /// The keys that requests of every kind have.
    ///
    /// # Errors
    /// [`HeadersTooLarge`].
    pub fn context(&self) -> Result<Context<'a>, HeadersTooLarge> {
        let size: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > MAX_HEADERS {
            return Err(HeadersTooLarge(()));
        }
        let mut context = Context::new();
        context.set("aws:SourceIp", self.source_ip.map(|ip| ip.to_canonical().to_string()));
        context.set("aws:SecureTransport", [truth(self.secure_transport)]);
        let moment = OffsetDateTime::from(self.now);
        let iso = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        context.set("aws:CurrentTime", moment.format(iso).ok());
        context.set("aws:EpochTime", [moment.unix_timestamp().to_string()]);
        context.set("aws:referer", self.header(&REFERER));
        context.set("aws:UserAgent", self.header(&USER_AGENT));
        context.set("aws:RequestedRegion", [self.signature.map_or(self.region, |signature| signature.region)]);
        for key in ["aws:ResourceAccount", "s3:ResourceAccount"] {
            context.set(key, self.owner.map(AccountId::as_str));
        }
        // No request comes from an AWS service here.
        context.set("aws:ViaAWSService", [truth(false)]);
        if let Some(signature) = &self.signature {
            context.set("s3:authType", [signature.auth_type.as_str()]);
            context.set("s3:signatureversion", ["AWS4-HMAC-SHA256"]);
            context.set("s3:signatureAge", [age(self.now, signature.signed_at).as_millis().to_string()]);
            // Only signed requests have the key.
            context.set("aws:PrincipalIsAWSService", [truth(false)]);
            if signature.temporary {
                // Long-term keys don't have the key; temporary ones tell whether they were asked for with MFA.
                context.set("aws:MultiFactorAuthPresent", [truth(false)]);
            }
            if self.headers.contains_key(CONTENT_SHA256) {
                context.set("s3:x-amz-content-sha256", self.header(&CONTENT_SHA256));
            } else {
                // What a presigned URL means that says nothing of the body.
                context.set("s3:x-amz-content-sha256", ["UNSIGNED-PAYLOAD"]);
            }
        }
        Ok(context)
    }

    /// Every value of a header; a replacement character stands for what is not UTF-8.
    fn header(&self, name: &HeaderName) -> impl Iterator<Item = std::borrow::Cow<'a, str>> + use<'a> {
        self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A clock of the client's that is ahead makes the signature no younger than new.
fn age(now: SystemTime, signed_at: i64) -> Duration {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since_epoch.saturating_sub(Duration::from_secs(u64::try_from(signed_at).unwrap_or_default()))
}
