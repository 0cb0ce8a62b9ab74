//! What is wrong with the credentials in a form, in the words S3 is on record with: it names the field, where of a
//! header or a query it names the mechanism.

use std::fmt;

use super::CredentialFault;
use crate::auth::identity::AccessKeyId;
use crate::s3::error::ErrorCode;
use crate::s3::form::missing_field;

/// Credentials in a form that were not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormFault {
    /// This field is not there, and others of its kind are.
    MissingField(&'static str),
    /// An `x-amz-algorithm` that S3 does not have.
    Algorithm(String),
    /// Signature Version 4A.
    SignatureV4a,
    /// An `x-amz-credential` that is not one.
    Credential {
        /// As sent.
        credential: String,
        /// What is wrong with it.
        fault: CredentialFault,
    },
    /// A credential of another day than the `x-amz-date`.
    CredentialDate {
        /// The credential, as sent.
        credential: String,
        /// The credential's day.
        day: String,
        /// The request's day.
        request: String,
    },
    /// An `x-amz-date` that is not a date.
    Date(String),
    /// The signature is not the one the secret makes of this policy.
    SignatureDoesNotMatch(Box<FormMismatch>),
}

/// What S3 tells a caller whose signature does not match, so that they can compare.
#[derive(Clone, PartialEq, Eq)]
pub struct FormMismatch {
    /// The access key.
    pub access_key_id: AccessKeyId,
    /// The policy whose signature was compared, as sent; left out where it holds a session token.
    pub string_to_sign: Option<String>,
    /// The signature presented.
    pub signature_provided: String,
}

impl fmt::Debug for FormMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormMismatch").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl FormFault {
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::MissingField(_)
            | Self::Algorithm(_)
            | Self::Credential { .. }
            | Self::CredentialDate { .. }
            | Self::Date(_) => ErrorCode::InvalidArgument,
            Self::SignatureV4a => ErrorCode::NotImplemented,
            Self::SignatureDoesNotMatch(_) => ErrorCode::SignatureDoesNotMatch,
        }
    }

    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let argument =
            |name: &str, value: &str| vec![("ArgumentName", name.to_owned()), ("ArgumentValue", value.to_owned())];
        match self {
            Self::MissingField(name) => argument(name, ""),
            Self::Algorithm(value) => argument("X-Amz-Algorithm", value),
            Self::SignatureV4a => Vec::new(),
            Self::Credential { credential, fault } => {
                let mut fields = argument("X-Amz-Credential", credential);
                if let CredentialFault::Region { expected, .. } = fault {
                    fields.push(("Region", expected.clone()));
                }
                fields
            }
            Self::CredentialDate { credential, .. } => argument("X-Amz-Credential", credential),
            Self::Date(value) => argument("X-Amz-Date", value),
            Self::SignatureDoesNotMatch(mismatch) => {
                let mut fields = vec![("AWSAccessKeyId", mismatch.access_key_id.to_string())];
                fields.extend(mismatch.string_to_sign.clone().map(|text| ("StringToSign", text)));
                fields.push(("SignatureProvided", mismatch.signature_provided.clone()));
                let bytes = |text: &String| text.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
                fields.extend(mismatch.string_to_sign.as_ref().map(|text| ("StringToSignBytes", bytes(text))));
                fields
            }
        }
    }
}

impl fmt::Display for FormFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingField(name) => f.write_str(&missing_field(name)),
            Self::Algorithm(_) => f.write_str("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""),
            Self::SignatureV4a => {
                f.write_str("A form field you provided implies functionality that is not implemented")
            }
            Self::Credential { fault, .. } => fault.fmt(f),
            Self::CredentialDate { day, request, .. } => {
                write!(f, "Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{request}\".")
            }
            // As S3 spells it.
            Self::Date(_) => f.write_str("X-Amz-Date must be formated via ISO8601 Long format"),
            Self::SignatureDoesNotMatch(_) => f.write_str(self.code().message()),
        }
    }
}
