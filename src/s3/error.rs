//! What went wrong, as S3 says it: code, HTTP status and message, in one table.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. Where that page paraphrases what the
//! service itself sends, the service's own words are used, since those are what clients' logs and tests hold.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

/// Declares [`ErrorCode`] and its three columns from one row per code, so that no code can lack a status or a message.
macro_rules! error_codes {
    ($($variant:ident, $status:ident, $message:literal;)+) => {
        /// An S3 error code: a name, an HTTP status and the message S3 gives when nothing more is known.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", stringify!($variant), "`: ", $message)] $variant,)+
        }

        impl ErrorCode {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The text of the `Code` element.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }

            /// The HTTP status that goes with the code.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }

            /// The message S3 gives with this code when the cause needs no words of its own.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)+
                }
            }
        }
    };
}

error_codes! {
    AccessDenied, FORBIDDEN, "Access Denied";
    AuthorizationHeaderMalformed, BAD_REQUEST, "The authorization header that you provided is not valid.";
    AuthorizationQueryParametersError, BAD_REQUEST,
        "The authorization query parameters that you provided are not valid.";
    BadDigest, BAD_REQUEST, "The Content-MD5 you specified did not match what we received.";
    // Not in S3's list, like `GatewayTimeout` below: for what only a proxy can meet.
    BadGateway, BAD_GATEWAY, "The object store behind this endpoint could not be reached.";
    BadRequest, BAD_REQUEST, "Insufficient information. Origin request header needed.";
    BucketAlreadyExists, CONFLICT,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
         Please select a different name and try again.";
    CredentialsNotSupported, BAD_REQUEST, "This request does not support credentials.";
    EntityTooLarge, BAD_REQUEST, "Your proposed upload exceeds the maximum allowed size";
    EntityTooSmall, BAD_REQUEST, "Your proposed upload is smaller than the minimum allowed size";
    ExpiredToken, BAD_REQUEST, "The provided token has expired.";
    GatewayTimeout, GATEWAY_TIMEOUT, "The object store behind this endpoint did not answer in time.";
    IncompleteBody, BAD_REQUEST, "You did not provide the number of bytes specified by the Content-Length HTTP header";
    InternalError, INTERNAL_SERVER_ERROR, "We encountered an internal error. Please try again.";
    InvalidAccessKeyId, FORBIDDEN, "The AWS Access Key Id you provided does not exist in our records.";
    InvalidArgument, BAD_REQUEST, "Invalid Argument";
    InvalidBucketName, BAD_REQUEST, "The specified bucket is not valid.";
    InvalidBucketOwnerAWSAccountID, BAD_REQUEST,
        "The value of the expected bucket owner parameter must be an AWS account ID.";
    // Not in S3's list, but sent: for a chunk that is too small. Here for one that is too large, and in our words.
    InvalidChunkSizeError, FORBIDDEN, "Only the last chunk is allowed to have a size less than 8192 bytes";
    InvalidDigest, BAD_REQUEST, "The Content-MD5 you specified was invalid.";
    InvalidHostHeader, BAD_REQUEST, "The host headers provided in the request used the incorrect style addressing.";
    InvalidPolicyDocument, BAD_REQUEST,
        "The content of the form does not meet the conditions specified in the policy document.";
    InvalidRequest, BAD_REQUEST, "Invalid Request";
    InvalidSecurity, FORBIDDEN, "The provided security credentials are not valid.";
    InvalidToken, BAD_REQUEST, "The provided token is malformed or otherwise invalid.";
    InvalidURI, BAD_REQUEST, "Couldn't parse the specified URI.";
    KeyTooLongError, BAD_REQUEST, "Your key is too long";
    MalformedPOSTRequest, BAD_REQUEST, "The body of your POST request is not well-formed multipart/form-data.";
    MalformedPolicy, BAD_REQUEST, "Invalid policy syntax.";
    MalformedTrailerError, BAD_REQUEST,
        "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MalformedXML, BAD_REQUEST,
        "The XML you provided was not well-formed or did not validate against our published schema";
    MaxMessageLengthExceeded, BAD_REQUEST, "Your request was too big.";
    // As the service sends it; the page has `Error` at its end.
    MaxPostPreDataLengthExceeded, BAD_REQUEST,
        "Your POST request fields preceeding the upload file was too large.";
    MethodNotAllowed, METHOD_NOT_ALLOWED, "The specified method is not allowed against this resource.";
    MissingContentLength, LENGTH_REQUIRED, "You must provide the Content-Length HTTP header.";
    MissingRequestBodyError, BAD_REQUEST, "Request Body is empty";
    MissingSecurityHeader, BAD_REQUEST, "Your request was missing a required header";
    NoSuchBucket, NOT_FOUND, "The specified bucket does not exist";
    NoSuchBucketPolicy, NOT_FOUND, "The bucket policy does not exist";
    NoSuchKey, NOT_FOUND, "The specified key does not exist.";
    NoSuchPublicAccessBlockConfiguration, NOT_FOUND, "The public access block configuration was not found";
    NotImplemented, NOT_IMPLEMENTED, "A header you provided implies functionality that is not implemented";
    OperationAborted, CONFLICT,
        "A conflicting conditional operation is currently in progress against this resource. Please try again.";
    PreconditionFailed, PRECONDITION_FAILED, "At least one of the pre-conditions you specified did not hold";
    RequestHeaderSectionTooLarge, BAD_REQUEST,
        "Your request header section exceeds the maximum allowed request header section size";
    RequestTimeTooSkewed, FORBIDDEN, "The difference between the request time and the current time is too large.";
    RequestTimeout, BAD_REQUEST,
        "Your socket connection to the server was not read from or written to within the timeout period.";
    ServiceUnavailable, SERVICE_UNAVAILABLE, "Service is unable to handle request.";
    SignatureDoesNotMatch, FORBIDDEN,
        "The request signature we calculated does not match the signature you provided. \
         Check your key and signing method.";
    SlowDown, SERVICE_UNAVAILABLE, "Please reduce your request rate.";
    TokenRefreshRequired, BAD_REQUEST, "The provided token must be refreshed.";
    UnexpectedContent, BAD_REQUEST, "This request does not support content.";
    XAmzContentSHA256Mismatch, BAD_REQUEST,
        "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One error as it is told to the client.
///
/// All of it reaches the client: nothing secret, and nothing a denied caller must not learn, may be put here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    detail: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl S3Error {
    /// The error with the code's own message.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: Cow::Borrowed(code.message()), detail: None, fields: Vec::new() }
    }

    /// The same error in words that fit the cause better.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds the `Detail` element, which S3 uses to say where in a policy the fault is.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds an element particular to the code, such as `ArgumentName`; `name` must be an XML name.
    #[must_use]
    pub fn with_field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The message, in English, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where exactly the fault lies, when known.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Further elements, in the order they are written.
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }
}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for S3Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_carry_the_status_s3_gives_them() {
        let rows = [
            (ErrorCode::AccessDenied, "AccessDenied", 403, "Access Denied"),
            (ErrorCode::InvalidBucketOwnerAWSAccountID, "InvalidBucketOwnerAWSAccountID", 400, ""),
            (ErrorCode::InvalidURI, "InvalidURI", 400, "Couldn't parse the specified URI."),
            (ErrorCode::MethodNotAllowed, "MethodNotAllowed", 405, ""),
            (ErrorCode::MissingContentLength, "MissingContentLength", 411, ""),
            (ErrorCode::NoSuchBucketPolicy, "NoSuchBucketPolicy", 404, "The bucket policy does not exist"),
            (ErrorCode::NotImplemented, "NotImplemented", 501, ""),
            (ErrorCode::RequestTimeTooSkewed, "RequestTimeTooSkewed", 403, ""),
            (ErrorCode::RequestTimeout, "RequestTimeout", 400, ""),
            (ErrorCode::ServiceUnavailable, "ServiceUnavailable", 503, ""),
            (ErrorCode::SlowDown, "SlowDown", 503, "Please reduce your request rate."),
            (ErrorCode::BadGateway, "BadGateway", 502, ""),
            (ErrorCode::GatewayTimeout, "GatewayTimeout", 504, ""),
        ];
        for (code, name, status, message) in rows {
            assert_eq!((code.name(), code.status().as_u16()), (name, status), "{name}");
            assert!(message.is_empty() || code.message() == message, "{name}");
        }
    }

    #[test]
    fn every_code_is_an_error_with_a_message_and_a_name_of_its_own() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code}");
            assert!(!code.message().is_empty(), "{code}");
        }
    }

    #[test]
    fn builders_replace_the_message_and_keep_the_order_of_fields() {
        let error = S3Error::from(ErrorCode::InvalidArgument)
            .with_message(format!("bad {}", 1))
            .with_detail("line 2")
            .with_field("ArgumentName", "a")
            .with_field("ArgumentValue", "b");
        assert_eq!(error.to_string(), "InvalidArgument: bad 1");
        assert_eq!((error.status(), error.detail()), (StatusCode::BAD_REQUEST, Some("line 2")));
        assert_eq!(error.fields(), [("ArgumentName", "a".to_owned()), ("ArgumentValue", "b".to_owned())]);
    }
}
