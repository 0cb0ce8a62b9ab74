//! Why a request is no operation, and what S3 answers.

use std::fmt;

use http::Method;

use super::super::error::{ErrorCode, S3Error};
use super::Operation;

/// Why a request is no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationError {
    /// These subresources stand in one query; sorted.
    Conflict(Vec<String>),
    /// This parameter decides something and is there more than once.
    RepeatedParameter(String),
    /// The request is as much the one operation as the other.
    SeveralOperations([Operation; 2]),
    /// S3 does not have this method on what is addressed.
    MethodNotAllowed {
        /// The method.
        method: Method,
        /// The subresource, or `service`, `bucket` or `object`.
        on: String,
    },
    /// The subresource is nothing without this parameter.
    MissingParameter {
        /// The subresource.
        subresource: String,
        /// What it needs beside it.
        parameter: &'static str,
    },
    /// A parameter that names something is there without a value.
    EmptyParameter(&'static str),
    /// The key's `..` lead out of its bucket.
    KeyOutsideBucket(String),
    /// `OPTIONS` without `Origin` and `Access-Control-Request-Method`.
    NotPreflight,
}

impl From<OperationError> for S3Error {
    fn from(error: OperationError) -> Self {
        let argument = |name: &str| Self::new(ErrorCode::InvalidArgument).with_field("ArgumentName", name);
        match error {
            OperationError::Conflict(names) => Self::new(ErrorCode::InvalidArgument)
                .with_message(format!("Conflicting query string parameters: {}", names.join(", ")))
                .with_field("ArgumentName", "ResourceType")
                .with_field("ArgumentValue", names.into_iter().next().unwrap_or_default()),
            OperationError::RepeatedParameter(name) => {
                argument(&name).with_message("A query string parameter is given more than once.")
            }
            OperationError::SeveralOperations([one, other]) => Self::new(ErrorCode::InvalidRequest)
                .with_message(format!("The request can be read as {one} and as {other}.")),
            OperationError::MethodNotAllowed { method, on } => Self::new(ErrorCode::MethodNotAllowed)
                .with_field("Method", method.as_str())
                .with_field("ResourceType", resource_type(&on)),
            OperationError::MissingParameter { subresource, parameter } => argument(parameter)
                .with_message(format!("?{subresource} needs the query string parameter {parameter} with this method.")),
            OperationError::EmptyParameter(name) => {
                let message = match name {
                    "versionId" => "Version id cannot be the empty string".to_owned(),
                    name => format!("The query string parameter {name} needs a value."),
                };
                argument(name).with_message(message).with_field("ArgumentValue", "")
            }
            OperationError::KeyOutsideBucket(key) => Self::new(ErrorCode::InvalidURI).with_field("URI", key),
            OperationError::NotPreflight => Self::new(ErrorCode::BadRequest),
        }
    }
}

fn resource_type(on: &str) -> String {
    if on == "policy" { "BUCKETPOLICY".to_owned() } else { on.to_ascii_uppercase() }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(names) => write!(f, "subresources `{}` in one query", names.join("`, `")),
            Self::RepeatedParameter(name) => write!(f, "parameter `{name}` more than once"),
            Self::SeveralOperations([one, other]) => write!(f, "both `{one}` and `{other}`"),
            Self::MethodNotAllowed { method, on } => write!(f, "`{method}` on `{on}`, which has none"),
            Self::MissingParameter { subresource, parameter } => write!(f, "`?{subresource}` without `{parameter}`"),
            Self::EmptyParameter(name) => write!(f, "`{name}` without a value"),
            Self::KeyOutsideBucket(key) => write!(f, "key `{key}` leads out of its bucket"),
            Self::NotPreflight => f.write_str("`OPTIONS` that is no CORS preflight"),
        }
    }
}

impl std::error::Error for OperationError {}
