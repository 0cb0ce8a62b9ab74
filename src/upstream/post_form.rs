//! Signing a browser's upload anew.
//!
//! A store that does not know the caller's keys cannot judge the policy they signed; that was done here. In its place
//! goes one of ours, which allows this very form and nothing else, for a short time. All other fields and the head of the
//! file keep their bytes and their order, but for `${filename}`: what was decided is written out. See
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::credentials::{KeyPair, UpstreamCredentials};
use crate::auth::sigv4::{Kind, Scope, SigningKey, Timestamp};
use crate::policy::AccountId;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::form::Field;
use crate::s3::forward::{FormSigner, FormToSign};
use crate::s3::post_policy::needs_condition;

/// How long our policies count, in seconds. As far as clocks may be apart elsewhere in S3; the store reads the policy before the
/// file, however long that takes.
const LIFETIME: i64 = 15 * 60;

/// The fields that say who signed, of both versions.
const CREDENTIALS: [&str; 8] = [
    "awsaccesskeyid",
    "policy",
    "signature",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
];

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs forms with the keys we hold for the store.
#[derive(Clone, Debug)]
pub struct UpstreamFormSigner {
    credentials: UpstreamCredentials,
    region: String,
}

impl UpstreamFormSigner {
    /// With these keys, for this region of the store.
    pub fn new(credentials: UpstreamCredentials, region: impl Into<String>) -> Self {
        Self { credentials, region: region.into() }
    }
}

impl FormSigner for UpstreamFormSigner {
    fn sign(&self, account: Option<&AccountId>, form: &FormToSign<'_>) -> Result<Bytes, S3Error> {
        let Some(credentials) = self.credentials.of(account) else {
            tracing::error!(?account, "no upstream credentials to sign a form with");
            return Err(ErrorCode::InternalError.into());
        };
        signed(form, credentials, &self.region).map_err(|error| {
            tracing::info!(%error, "a form cannot be signed for the object store");
            match error {
                FormSignError::Written(field) => S3Error::new(ErrorCode::InvalidArgument)
                    .with_message("This form field cannot hold what the name of the file makes of it.")
                    .with_field("ArgumentName", field),
                FormSignError::Head | FormSignError::Scope | FormSignError::Moment => ErrorCode::InternalError.into(),
            }
        })
    }
}

/// A form could not be signed.
#[derive(Debug)]
enum FormSignError {
    /// This field, the name of the file filled in, holds a boundary or the variable itself.
    Written(String),
    /// The bytes are not the form's.
    Head,
    /// Access key and region make no scope.
    Scope,
    /// The time is none that can be written.
    Moment,
}

/// The form's beginning up to the file, signed with `credentials`.
fn signed(sent: &FormToSign<'_>, credentials: &KeyPair, region: &str) -> Result<Bytes, FormSignError> {
    let form = sent.form;
    let boundary = format!("--{}", form.boundary());
    let kept: Vec<&Field> = form.fields().iter().filter(|field| !CREDENTIALS.contains(&field.name.as_str())).collect();
    let ours = Claim::make(sent, &kept, credentials, region)?;
    let mut out = Vec::with_capacity(sent.head.len() + 1024);
    for field in kept {
        if field.value == field.written {
            out.extend_from_slice(sent.head.get(field.span.clone()).ok_or(FormSignError::Head)?);
        } else {
            push(&mut out, &boundary, &field.name, &field.value)?;
        }
        // A store could fill in the name of the file once more.
        if field.value.to_ascii_lowercase().contains("${filename}") {
            return Err(FormSignError::Written(field.name.clone()));
        }
    }
    for (name, value) in ours.fields {
        push(&mut out, &boundary, name, &value)?;
    }
    out.extend_from_slice(sent.head.get(form.file_head()).ok_or(FormSignError::Head)?);
    Ok(Bytes::from(out))
}

/// Writes a part that was not sent so.
fn push(out: &mut Vec<u8>, boundary: &str, name: &str, value: &str) -> Result<(), FormSignError> {
    if value.contains(boundary) {
        return Err(FormSignError::Written(name.to_owned()));
    }
    out.extend_from_slice(
        format!("{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
    );
    Ok(())
}

/// The fields that say that we signed.
struct Claim {
    fields: Vec<(&'static str, String)>,
}

impl Claim {
    fn make(
        sent: &FormToSign<'_>,
        kept: &[&Field],
        credentials: &KeyPair,
        region: &str,
    ) -> Result<Self, FormSignError> {
        let now = sent.now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| FormSignError::Moment)?;
        let seconds = i64::try_from(now.as_secs()).map_err(|_| FormSignError::Moment)?;
        let timestamp = Timestamp::from_unix(seconds).ok_or(FormSignError::Moment)?;
        let scope = format!("{}/{}/{region}/s3/aws4_request", credentials.access_key_id, timestamp.date());
        let scope = Scope::parse(&scope, Kind::Header).map_err(|_| FormSignError::Scope)?;
        let mut fields = vec![
            ("x-amz-algorithm", ALGORITHM.to_owned()),
            ("x-amz-credential", scope.to_string()),
            ("x-amz-date", timestamp.to_string()),
        ];
        let of_caller = kept.iter().map(|field| (field.name.as_str(), field.value.as_str()));
        let of_ours = fields.iter().map(|(name, value)| (*name, value.as_str()));
        // The bucket is named once, whether or not the form names it too.
        let named = of_caller.filter(|(name, _)| needs_condition(name) && *name != "bucket").chain(of_ours);
        let conditions: Vec<Value> = [("bucket", sent.bucket.as_str())]
            .into_iter()
            .chain(named)
            .map(|(name, value)| json!({ name: value }))
            .chain([json!(["content-length-range", sent.size.min, sent.size.max])])
            .collect();
        let policy = json!({ "expiration": expiration(seconds)?, "conditions": conditions });
        let policy = STANDARD.encode(policy.to_string());
        let key = SigningKey::derive(&credentials.secret, &scope);
        let signature = key.sign(&[policy.as_bytes()]);
        fields.push(("policy", policy));
        fields.push(("x-amz-signature", signature));
        Ok(Self { fields })
    }
}

fn expiration(now: i64) -> Result<String, FormSignError> {
    OffsetDateTime::from_unix_timestamp(now.saturating_add(LIFETIME))
        .ok()
        .and_then(|moment| {
            moment.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z")).ok()
        })
        .ok_or(FormSignError::Moment)
}

impl fmt::Display for FormSignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(field) => write!(f, "the name of the file cannot be written into form field `{field}`"),
            Self::Head => f.write_str("the bytes are not those the form was read from"),
            Self::Scope => f.write_str("access key and region make no credential scope"),
            Self::Moment => f.write_str("the time cannot be written"),
        }
    }
}
