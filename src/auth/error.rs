//! Why a caller's credentials were not accepted, and how S3 says so.
//!
//! The words are S3's own where it has any; see
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. No error holds a secret: not a session token,
//! nor the value of a header whose scheme is not ours.

mod form;

use std::fmt;

use http::HeaderName;

pub use form::{FormFault, FormMismatch};

use super::identity::AccessKeyId;
use super::sigv4::Kind;
use crate::s3::error::{ErrorCode, S3Error};

/// Credentials that were not accepted. It displays as the message S3 gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// Two of header, `X-Amz-Algorithm` and `Signature` parameter at once.
    SeveralMechanisms,
    /// A header or parameter of Signature Version 2.
    SignatureV2,
    /// Signature Version 4A.
    SignatureV4a(Kind),
    /// A body whose chunks are signed by Signature Version 4A: the `x-amz-content-sha256`.
    StreamingV4a(String),
    /// An `Authorization` scheme that S3 does not have.
    Scheme(String),
    /// An `Authorization` header without a space.
    AuthorizationForm,
    /// An `Authorization` header that is not made of three components.
    Components,
    /// A component that is unknown, doubled or without `=`.
    Component {
        /// Its name.
        name: String,
    },
    /// A component that is not there.
    MissingComponent(&'static str),
    /// A list of signed headers that holds something else.
    SignedHeaders {
        /// Where it was found.
        kind: Kind,
        /// The list.
        list: String,
    },
    /// A `Credential` that is not one.
    Credential {
        /// Where it was found.
        kind: Kind,
        /// What is wrong with it.
        fault: CredentialFault,
    },
    /// A credential of another day than the request.
    CredentialDate {
        /// Where it was found.
        kind: Kind,
        /// The credential's day.
        credential: String,
        /// The request's day.
        request: String,
    },
    /// A header that must come once came twice.
    DuplicateHeader(HeaderName),
    /// A header that is not text.
    HeaderText(HeaderName),
    /// A query parameter that must come once came twice.
    DuplicateParameter(&'static str),
    /// A query parameter that is not text.
    ParameterEncoding(&'static str),
    /// Not all parameters of a presigned URL are there.
    MissingParameters,
    /// An `X-Amz-Algorithm` that S3 does not have.
    Algorithm(String),
    /// An `X-Amz-Date` parameter that is not a date.
    ParameterDate(String),
    /// An `X-Amz-Expires` that is not a number.
    ExpiresNotANumber(String),
    /// An `X-Amz-Expires` below zero.
    ExpiresNegative(String),
    /// An `X-Amz-Expires` above a week.
    ExpiresTooLarge(String),
    /// A signed request without `x-amz-content-sha256`.
    MissingPayloadHash,
    /// An `x-amz-content-sha256` that is neither a hash nor one of the known words.
    PayloadHash(String),
    /// Header and parameter name two different payload hashes.
    PayloadHashTwice,
    /// No date, or none that can be read: the text.
    Date(String),
    /// Headers that had to be signed and were not.
    HeadersNotSigned(Vec<HeaderName>),
    /// An access key that nobody has, for the one who looks keys up; or a session's, without the token that is part of it.
    UnknownAccessKey(AccessKeyId),
    /// A session token that is wrong, or not called for.
    Token,
    /// Signed at a time more than fifteen minutes from ours.
    TooSkewed {
        /// The request's date, as sent.
        request: String,
        /// Our time.
        server: String,
    },
    /// A presigned URL from the future.
    NotYetValid {
        /// When it was signed, in seconds since the epoch.
        signed: i64,
        /// When it expires.
        expires: String,
        /// Our time.
        server: String,
    },
    /// A presigned URL that has expired.
    Expired {
        /// How long it lived, in seconds.
        seconds: u32,
        /// When it expired.
        expires: String,
        /// Our time.
        server: String,
    },
    /// The signature is not the one the secret makes of this request.
    SignatureDoesNotMatch(Box<Mismatch>),
    /// The signature of a chunk or a trailer does not match.
    ChunkSignature,
    /// The credentials of a form.
    Form(FormFault),
}

/// What is wrong with a `Credential`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialFault {
    /// It is not five parts between slashes.
    Form(String),
    /// The access key id is empty.
    NoAccessKey,
    /// The date is not one.
    Date(String),
    /// The region is empty.
    NoRegion,
    /// The region is not the configured one.
    Region {
        /// What was given.
        given: String,
        /// What was expected.
        expected: String,
    },
    /// The service is not `s3`.
    Service(String),
    /// It does not end in `aws4_request`.
    Terminal(String),
}

/// What S3 tells a caller whose signature does not match, so that they can compare. Session tokens are left out.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The access key.
    pub access_key_id: AccessKeyId,
    /// The text whose signature was compared.
    pub string_to_sign: String,
    /// The signature presented.
    pub signature_provided: String,
    /// The canonical request.
    pub canonical_request: String,
}

impl fmt::Debug for Mismatch {
    // A canonical request holds every signed header, and some are keys (SSE-C); that is for the caller, not for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mismatch").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl AuthError {
    fn code(&self) -> ErrorCode {
        use ErrorCode as C;
        match self {
            Self::SeveralMechanisms | Self::Scheme(_) | Self::AuthorizationForm => C::InvalidArgument,
            Self::PayloadHash(_) | Self::PayloadHashTwice => C::InvalidArgument,
            Self::SignatureV2 | Self::MissingPayloadHash => C::InvalidRequest,
            Self::DuplicateHeader(_) | Self::HeaderText(_) => C::InvalidRequest,
            Self::SignatureV4a(_) | Self::StreamingV4a(_) => C::NotImplemented,
            Self::Components | Self::Component { .. } | Self::MissingComponent(_) => C::AuthorizationHeaderMalformed,
            Self::SignedHeaders { kind, .. } | Self::Credential { kind, .. } | Self::CredentialDate { kind, .. } => {
                match kind {
                    Kind::Header => C::AuthorizationHeaderMalformed,
                    Kind::Presigned => C::AuthorizationQueryParametersError,
                }
            }
            Self::DuplicateParameter(_) | Self::ParameterEncoding(_) | Self::MissingParameters => {
                C::AuthorizationQueryParametersError
            }
            Self::Algorithm(_) | Self::ParameterDate(_) => C::AuthorizationQueryParametersError,
            Self::ExpiresNotANumber(_) | Self::ExpiresNegative(_) | Self::ExpiresTooLarge(_) => {
                C::AuthorizationQueryParametersError
            }
            Self::Date(_) | Self::HeadersNotSigned(_) | Self::NotYetValid { .. } | Self::Expired { .. } => {
                C::AccessDenied
            }
            Self::UnknownAccessKey(_) => C::InvalidAccessKeyId,
            Self::Token => C::InvalidToken,
            Self::TooSkewed { .. } => C::RequestTimeTooSkewed,
            Self::SignatureDoesNotMatch(_) | Self::ChunkSignature => C::SignatureDoesNotMatch,
            Self::Form(fault) => fault.code(),
        }
    }

    /// The elements S3 adds to the error for the caller.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let argument =
            |name: &str, value: &str| vec![("ArgumentName", name.to_owned()), ("ArgumentValue", value.to_owned())];
        match self {
            // S3 repeats the header's value here. We do not: with another scheme it may be a secret.
            Self::SeveralMechanisms | Self::Scheme(_) | Self::AuthorizationForm => {
                vec![("ArgumentName", "Authorization".to_owned())]
            }
            Self::PayloadHash(value) => argument("x-amz-content-sha256", value),
            Self::Credential { fault: CredentialFault::Region { expected, .. }, .. } => {
                vec![("Region", expected.clone())]
            }
            Self::HeadersNotSigned(names) => {
                let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
                vec![("HeadersNotSigned", names.join(", "))]
            }
            Self::UnknownAccessKey(id) => vec![("AWSAccessKeyId", id.to_string())],
            Self::TooSkewed { request, server } => vec![
                ("RequestTime", request.clone()),
                ("ServerTime", server.clone()),
                ("MaxAllowedSkewMilliseconds", "900000".to_owned()),
            ],
            Self::NotYetValid { signed, expires, server } => vec![
                ("X-Amz-Date", signed.saturating_mul(1000).to_string()),
                ("Expires", expires.clone()),
                ("ServerTime", server.clone()),
            ],
            Self::Expired { seconds, expires, server } => vec![
                ("X-Amz-Expires", seconds.to_string()),
                ("Expires", expires.clone()),
                ("ServerTime", server.clone()),
            ],
            Self::SignatureDoesNotMatch(mismatch) => vec![
                ("AWSAccessKeyId", mismatch.access_key_id.to_string()),
                ("StringToSign", mismatch.string_to_sign.clone()),
                ("SignatureProvided", mismatch.signature_provided.clone()),
                ("CanonicalRequest", mismatch.canonical_request.clone()),
            ],
            Self::Form(fault) => fault.fields(),
            Self::SignatureV2
            | Self::SignatureV4a(_)
            | Self::StreamingV4a(_)
            | Self::Components
            | Self::Component { .. }
            | Self::MissingComponent(_)
            | Self::SignedHeaders { .. }
            | Self::Credential { .. }
            | Self::CredentialDate { .. }
            | Self::DuplicateHeader(_)
            | Self::HeaderText(_)
            | Self::DuplicateParameter(_)
            | Self::ParameterEncoding(_)
            | Self::MissingParameters
            | Self::Algorithm(_)
            | Self::ParameterDate(_)
            | Self::ExpiresNotANumber(_)
            | Self::ExpiresNegative(_)
            | Self::ExpiresTooLarge(_)
            | Self::MissingPayloadHash
            | Self::PayloadHashTwice
            | Self::Date(_)
            | Self::Token
            | Self::ChunkSignature => Vec::new(),
        }
    }
}

const HEADER_MALFORMED: &str = "The authorization header is malformed;";
const PARAMETER_MALFORMED: &str = "Error parsing the X-Amz-Credential parameter;";

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralMechanisms => f.write_str(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
                 parameter or the Authorization header should be specified",
            ),
            Self::SignatureV2 => f.write_str(
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ),
            Self::SignatureV4a(Kind::Presigned) => {
                f.write_str("A query parameter you provided implies functionality that is not implemented.")
            }
            Self::SignatureV4a(Kind::Header) | Self::StreamingV4a(_) => {
                f.write_str("A header you provided implies functionality that is not implemented")
            }
            Self::Scheme(_) => f.write_str("Unsupported Authorization Type"),
            Self::AuthorizationForm => {
                f.write_str("Authorization header is invalid -- one and only one ' ' (space) required")
            }
            Self::Components => write!(
                f,
                "{HEADER_MALFORMED} the authorization header requires three components: Credential, SignedHeaders, \
                 and Signature."
            ),
            Self::Component { name } => {
                write!(f, "{HEADER_MALFORMED} the authorization component \"{name}\" is malformed.")
            }
            Self::MissingComponent(name) => write!(f, "{HEADER_MALFORMED} missing {name}."),
            Self::SignedHeaders { kind: Kind::Header, list } => {
                write!(f, "{HEADER_MALFORMED} the authorization component \"SignedHeaders={list}\" is malformed.")
            }
            Self::SignedHeaders { kind: Kind::Presigned, list } => {
                write!(f, "X-Amz-SignedHeaders must be a list of header names, and \"{list}\" is not one")
            }
            Self::Credential { kind: Kind::Header, fault } => write!(f, "{HEADER_MALFORMED} {fault}"),
            Self::Credential { kind: Kind::Presigned, fault } => write!(f, "{PARAMETER_MALFORMED} {fault}"),
            Self::CredentialDate { kind: Kind::Header, .. } => {
                write!(f, "{HEADER_MALFORMED} Invalid credential date. Date is not the same as X-Amz-Date.")
            }
            Self::CredentialDate { kind: Kind::Presigned, credential, request } => write!(
                f,
                "Invalid credential date \"{credential}\". This date is not the same as X-Amz-Date: \"{request}\"."
            ),
            Self::DuplicateHeader(name) => write!(f, "The header {name} may be given only once"),
            Self::HeaderText(name) => write!(f, "The header {name} is not readable text"),
            Self::DuplicateParameter(name) => write!(f, "The {name} parameter may be given only once"),
            Self::ParameterEncoding(name) => write!(f, "The {name} parameter is not valid UTF-8"),
            Self::MissingParameters => f.write_str(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            ),
            Self::Algorithm(_) => {
                f.write_str("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"")
            }
            Self::ParameterDate(_) => {
                f.write_str("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
            }
            Self::ExpiresNotANumber(_) => f.write_str("X-Amz-Expires should be a number"),
            Self::ExpiresNegative(_) => f.write_str("X-Amz-Expires must be non-negative"),
            Self::ExpiresTooLarge(_) => f.write_str(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
                 than 604800 seconds",
            ),
            Self::MissingPayloadHash => f.write_str("Missing required header for this request: x-amz-content-sha256"),
            Self::PayloadHash(_) => f.write_str(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a \
                 valid sha256 value.",
            ),
            Self::PayloadHashTwice => {
                f.write_str("The x-amz-content-sha256 header and the X-Amz-Content-Sha256 parameter must be the same")
            }
            Self::Date(_) => f.write_str("AWS authentication requires a valid Date or x-amz-date header"),
            Self::HeadersNotSigned(_) => f.write_str("There were headers present in the request which were not signed"),
            Self::NotYetValid { .. } => f.write_str("Request is not yet valid"),
            Self::Expired { .. } => f.write_str("Request has expired"),
            Self::UnknownAccessKey(_)
            | Self::Token
            | Self::TooSkewed { .. }
            | Self::SignatureDoesNotMatch(_)
            | Self::ChunkSignature => f.write_str(self.code().message()),
            Self::Form(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for AuthError {}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(_) => f.write_str(
                "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            ),
            Self::NoAccessKey => f.write_str("a non-empty Access Key (AKID) must be provided in the credential."),
            Self::Date(date) => write!(
                f,
                "incorrect date format \"{date}\". This date in the credential must be in the format \"yyyyMMdd\"."
            ),
            Self::NoRegion => f.write_str("a non-empty region must be provided in the credential."),
            Self::Region { given, expected } => write!(f, "the region '{given}' is wrong; expecting '{expected}'"),
            Self::Service(service) => {
                write!(f, "incorrect service \"{service}\". This endpoint belongs to \"s3\".")
            }
            Self::Terminal(terminal) => {
                write!(f, "incorrect terminal \"{terminal}\". This endpoint uses \"aws4_request\".")
            }
        }
    }
}

impl From<AuthError> for S3Error {
    fn from(error: AuthError) -> Self {
        let base = Self::new(error.code()).with_message(error.to_string());
        error.fields().into_iter().fold(base, |answer, (name, value)| answer.with_field(name, value))
    }
}
