//! Why it cannot be told what a request says of itself.

use std::fmt;

use http::HeaderName;

use super::{MAX_DETAILS_BODY, MAX_TAGS};
use crate::s3::error::{ErrorCode, S3Error};

/// Why it cannot be told what a request says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DetailsError {
    /// This header is there with different values.
    RepeatedHeader(HeaderName),
    /// A header, or the field of a form, has a value that it cannot have.
    InvalidArgument {
        /// Its name, in lower case.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// The value of `x-amz-tagging` is no set of tags.
    InvalidTagging(String),
    /// A body or form gives this tag twice.
    RepeatedTag(String),
    /// A body or form gives more than [`MAX_TAGS`] tags.
    TooManyTags,
    /// The body has this many bytes, more than [`MAX_DETAILS_BODY`].
    BodyTooLong(usize),
    /// Body or form field is not XML that all read alike, or not what the operation takes.
    MalformedBody(String),
    /// The details of the operation stand in its body or form, which was not given.
    BodyNotRead,
}

impl From<DetailsError> for S3Error {
    fn from(error: DetailsError) -> Self {
        let argument = |name: &str| Self::new(ErrorCode::InvalidArgument).with_field("ArgumentName", name);
        match error {
            DetailsError::RepeatedHeader(name) => {
                argument(name.as_str()).with_message("A header is given more than once.")
            }
            DetailsError::InvalidArgument { name, value } => argument(name).with_field("ArgumentValue", value),
            DetailsError::InvalidTagging(value) => argument("x-amz-tagging")
                .with_message(
                    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without \
                     tag name duplicates.",
                )
                .with_field("ArgumentValue", value),
            DetailsError::RepeatedTag(tag) => argument("TagKey")
                .with_message("Cannot provide multiple Tags with the same key")
                .with_field("ArgumentValue", tag),
            DetailsError::TooManyTags => {
                argument("Tag").with_message(format!("The number of tags exceeds the limit of {MAX_TAGS} tags"))
            }
            DetailsError::BodyTooLong(_) => Self::new(ErrorCode::MaxMessageLengthExceeded),
            DetailsError::MalformedBody(_) => Self::new(ErrorCode::MalformedXML),
            // A mistake of the caller of these functions, not of the client.
            DetailsError::BodyNotRead => Self::new(ErrorCode::InternalError),
        }
    }
}

impl fmt::Display for DetailsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepeatedHeader(name) => write!(f, "header `{name}` with different values"),
            Self::InvalidArgument { name, value } => write!(f, "`{name}` cannot be `{value}`"),
            Self::InvalidTagging(value) => write!(f, "`x-amz-tagging` has no tags in `{value}`"),
            Self::RepeatedTag(tag) => write!(f, "tag `{tag}` is there twice"),
            Self::TooManyTags => write!(f, "more than {MAX_TAGS} tags"),
            Self::BodyTooLong(bytes) => write!(f, "body of {bytes} bytes, more than {MAX_DETAILS_BODY}"),
            Self::MalformedBody(cause) => write!(f, "malformed body: {cause}"),
            Self::BodyNotRead => f.write_str("the body was not read"),
        }
    }
}

impl std::error::Error for DetailsError {}
