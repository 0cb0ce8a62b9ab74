//! Why it cannot be told what a request needs.

use std::fmt;

use super::super::copy_source::InvalidCopySource;
use super::super::delete_objects::DeleteObjectsError;
use super::super::error::{ErrorCode, S3Error};
use super::super::form::FormError;

/// Why it cannot be told what a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequirementsError {
    /// The source of a copy is not one object.
    CopySource(InvalidCopySource),
    /// This header is there with different values.
    RepeatedHeader(String),
    /// The body of a `POST ?delete`.
    DeleteObjects(DeleteObjectsError),
    /// The body of an upload by form.
    Form(FormError),
    /// The body of a `CreateBucket` has this many bytes, more than S3 takes.
    BodyTooLong(usize),
    /// The body of a `CreateBucket` is not XML that all read alike.
    MalformedBody(String),
    /// The operation depends on its body, which was not given.
    BodyNotRead,
    /// The operation is not one of what is addressed.
    NotAddressed,
}

impl From<InvalidCopySource> for RequirementsError {
    fn from(error: InvalidCopySource) -> Self {
        Self::CopySource(error)
    }
}

impl From<DeleteObjectsError> for RequirementsError {
    fn from(error: DeleteObjectsError) -> Self {
        Self::DeleteObjects(error)
    }
}

impl From<FormError> for RequirementsError {
    fn from(error: FormError) -> Self {
        Self::Form(error)
    }
}

impl From<RequirementsError> for S3Error {
    fn from(error: RequirementsError) -> Self {
        match error {
            RequirementsError::CopySource(error) => error.into(),
            RequirementsError::RepeatedHeader(name) => Self::new(ErrorCode::InvalidArgument)
                .with_message("A header is given more than once.")
                .with_field("ArgumentName", name),
            RequirementsError::DeleteObjects(error) => error.into(),
            RequirementsError::Form(error) => error.into(),
            RequirementsError::BodyTooLong(_) => Self::new(ErrorCode::MaxMessageLengthExceeded),
            RequirementsError::MalformedBody(_) => Self::new(ErrorCode::MalformedXML),
            // Mistakes of the caller of these functions, not of the client.
            RequirementsError::BodyNotRead | RequirementsError::NotAddressed => Self::new(ErrorCode::InternalError),
        }
    }
}

impl fmt::Display for RequirementsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopySource(error) => error.fmt(f),
            Self::RepeatedHeader(name) => write!(f, "header `{name}` with different values"),
            Self::DeleteObjects(error) => error.fmt(f),
            Self::Form(error) => error.fmt(f),
            Self::BodyTooLong(bytes) => write!(f, "body of {bytes} bytes"),
            Self::MalformedBody(cause) => write!(f, "malformed body: {cause}"),
            Self::BodyNotRead => f.write_str("the body was not read"),
            Self::NotAddressed => f.write_str("the operation is not one of what is addressed"),
        }
    }
}

impl std::error::Error for RequirementsError {}
