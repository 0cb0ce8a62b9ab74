//! What does a request ask for?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>: method,
//! scope and subresource choose the operation; a subresource counts when its name is in the query, whatever its value.
//!
//! ```
//! use http::{HeaderMap, Method};
//! use portcullis::s3::address::{Address, Domains};
//! use portcullis::s3::operation::{Operation, Query, classify};
//!
//! let (address, _) = Address::parse(None, "/photos", &Domains::default())?;
//! let query = Query::parse(Some("policy="))?;
//! assert_eq!(classify(&Method::PUT, &address, &query, &HeaderMap::new())?, Operation::PutBucketPolicy);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::fmt;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, Method};

use super::address::{Address, decode};
use super::error::{ErrorCode, S3Error};

/// The operations this proxy itself has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `PUT ?policy` on a bucket.
    PutBucketPolicy,
    /// `GET ?policy` on a bucket.
    GetBucketPolicy,
    /// `DELETE ?policy` on a bucket.
    DeleteBucketPolicy,
    /// `PUT` on a bucket, with no subresource.
    CreateBucket,
    /// `DELETE` on a bucket, with no subresource.
    DeleteBucket,
    /// Everything else: it passes through as it is, since nothing but the policy calls is decided here. Deciding all
    /// requests turns this into the whole of S3's list.
    Other,
}

/// Chooses the operation.
///
/// Parameters that are not subresources (`x-id`, `X-Amz-*`, `response-*`, `list-type`, unknown ones) play no part, and
/// no header overrides the method.
///
/// # Errors
/// [`OperationError`] where a request names `?policy` but is none of its calls. Letting those pass would leave it to
/// the store which operation they are.
pub fn classify(
    method: &Method,
    address: &Address,
    query: &Query<'_>,
    headers: &HeaderMap,
) -> Result<Operation, OperationError> {
    let mut subresources: Vec<&str> = query.names().filter(|name| is_subresource(name)).collect();
    if subresources.contains(&POLICY) {
        if method == Method::OPTIONS {
            // A browser's preflight; the subresource is that of the request it asks about.
            let preflight = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
            return if preflight { Ok(Operation::Other) } else { Err(OperationError::NotPreflight) };
        }
        if query.count(POLICY) > 1 {
            return Err(OperationError::RepeatedParameter(POLICY.to_owned()));
        }
        if subresources.len() > 1 {
            subresources.sort_unstable();
            subresources.dedup();
            return Err(OperationError::Conflict(subresources.into_iter().map(str::to_owned).collect()));
        }
        return match (method.as_str(), address) {
            ("PUT", Address::Bucket(_)) => Ok(Operation::PutBucketPolicy),
            ("GET", Address::Bucket(_)) => Ok(Operation::GetBucketPolicy),
            ("DELETE", Address::Bucket(_)) => Ok(Operation::DeleteBucketPolicy),
            _ => Err(OperationError::MethodNotAllowed(method.clone())),
        };
    }
    match (method.as_str(), address) {
        ("PUT", Address::Bucket(_)) if subresources.is_empty() => Ok(Operation::CreateBucket),
        ("DELETE", Address::Bucket(_)) if subresources.is_empty() => Ok(Operation::DeleteBucket),
        _ => Ok(Operation::Other),
    }
}

const POLICY: &str = "policy";

/// Every name that selects an operation of its own, on a bucket or on an object; sorted. Names are case-sensitive.
const SUBRESOURCES: [&str; 41] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

fn is_subresource(name: &str) -> bool {
    SUBRESOURCES.binary_search(&name).is_ok()
}

/// A query, split and decoded, in the order it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Splits at `&` and each part at its first `=`, then percent-decodes once; `+` is a space. Drops empty parts.
    ///
    /// # Errors
    /// [`InvalidQuery`] for a malformed escape or one that is not UTF-8: stores differ on what such a name means.
    pub fn parse(raw: Option<&'a str>) -> Result<Self, InvalidQuery> {
        let parts = raw.unwrap_or_default().split('&').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                Ok((decode_form(name)?, decode_form(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a parameter of this name is there, whatever its value.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }

    /// The value of the first parameter of this name; empty where it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// How often a parameter of this name is there. What decides anything must not be there twice.
    pub fn count(&self, name: &str) -> usize {
        self.names().filter(|other| *other == name).count()
    }

    /// All names, repeated ones as often as they were sent.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

fn decode_form(raw: &str) -> Result<Cow<'_, str>, InvalidQuery> {
    let refuse = |_| InvalidQuery(raw.to_owned());
    if raw.contains('+') {
        decode(&raw.replace('+', " ")).map(|text| Cow::Owned(text.into_owned())).map_err(refuse)
    } else {
        decode(raw).map_err(refuse)
    }
}

/// A name or value in a query that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidQuery(String);

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in the query cannot be decoded", self.0)
    }
}

impl std::error::Error for InvalidQuery {}

impl From<InvalidQuery> for S3Error {
    fn from(InvalidQuery(part): InvalidQuery) -> Self {
        Self::new(ErrorCode::InvalidURI).with_field("URI", part)
    }
}

/// Why a request that names `?policy` is no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationError {
    /// These subresources stand in one query; sorted.
    Conflict(Vec<String>),
    /// This parameter is there more than once.
    RepeatedParameter(String),
    /// `?policy` knows this method not at all, or not on what the request addresses.
    MethodNotAllowed(Method),
    /// `OPTIONS` without `Origin` and `Access-Control-Request-Method`.
    NotPreflight,
}

impl From<OperationError> for S3Error {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Conflict(names) => Self::new(ErrorCode::InvalidArgument)
                .with_message(format!("Conflicting query string parameters: {}", names.join(", ")))
                .with_field("ArgumentName", "ResourceType")
                .with_field("ArgumentValue", names.into_iter().next().unwrap_or_default()),
            OperationError::RepeatedParameter(name) => Self::new(ErrorCode::InvalidArgument)
                .with_message("A query string parameter is given more than once.")
                .with_field("ArgumentName", name),
            OperationError::MethodNotAllowed(method) => Self::new(ErrorCode::MethodNotAllowed)
                .with_field("Method", method.as_str())
                .with_field("ResourceType", "BUCKETPOLICY"),
            OperationError::NotPreflight => Self::new(ErrorCode::BadRequest),
        }
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(names) => write!(f, "subresources `{}` in one query", names.join("`, `")),
            Self::RepeatedParameter(name) => write!(f, "parameter `{name}` more than once"),
            Self::MethodNotAllowed(method) => write!(f, "`{method}` on `?policy` of what has none"),
            Self::NotPreflight => f.write_str("`OPTIONS` that is no CORS preflight"),
        }
    }
}

impl std::error::Error for OperationError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::address::Domains;

    fn run(method: &str, path: &str, query: &str) -> Result<Operation, S3Error> {
        let (address, _) = Address::parse(None, path, &Domains::default()).unwrap();
        let query = Query::parse(Some(query))?;
        Ok(classify(&method.parse().unwrap(), &address, &query, &HeaderMap::new())?)
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(SUBRESOURCES.is_sorted());
    }

    #[test]
    fn method_scope_and_subresource_choose_the_operation() {
        use Operation::*;
        let rows = [
            ("PUT", "/photos", "policy", PutBucketPolicy),
            ("PUT", "/photos/", "policy=", PutBucketPolicy),
            ("PUT", "/photos", "policy=x&x-id=PutBucketPolicy", PutBucketPolicy),
            ("PUT", "/photos", "%70olicy", PutBucketPolicy),
            ("PUT", "/photos", "X-Amz-Signature=1&policy&X-Amz-Date=2", PutBucketPolicy),
            ("GET", "/photos", "policy", GetBucketPolicy),
            ("GET", "/photos", "policy&response-content-type=a&prefix=acl", GetBucketPolicy),
            ("DELETE", "/photos", "policy", DeleteBucketPolicy),
            ("PUT", "/photos", "", CreateBucket),
            ("PUT", "/photos", "Policy", CreateBucket),
            ("PUT", "/photos", "x-id=CreateBucket", CreateBucket),
            ("PUT", "/photos", "prefix=policy", CreateBucket),
            ("PUT", "/photos", "=policy", CreateBucket),
            ("DELETE", "/photos", "", DeleteBucket),
            ("DELETE", "/photos/", "&&", DeleteBucket),
            ("DELETE", "/photos", "x-id=DeleteBucket", DeleteBucket),
            ("DELETE", "/photos", "acl", Other),
            ("DELETE", "/photos", "%61cl", Other),
            ("DELETE", "/photos", "uploadId=1", Other),
            ("PUT", "/photos", "acl&cors", Other),
            ("PUT", "/photos", "publicAccessBlock", Other),
            ("GET", "/photos", "policyStatus", Other),
            ("GET", "/photos", "", Other),
            ("HEAD", "/photos", "", Other),
            ("POST", "/photos", "delete", Other),
            ("PUT", "/photos/policy", "", Other),
            ("DELETE", "/photos/k", "versionId=1", Other),
            ("GET", "/", "", Other),
            ("OPTIONS", "/photos", "", Other),
        ];
        for (method, path, query, operation) in rows {
            assert_eq!(run(method, path, query), Ok(operation), "{method} {path}?{query}");
        }
    }

    #[test]
    fn what_names_policy_but_is_no_policy_call_is_refused() {
        let rows = [
            ("PUT", "/photos", "policy&acl", "InvalidArgument", "Conflicting query string parameters: acl, policy"),
            ("GET", "/photos", "acl=&policy", "InvalidArgument", "Conflicting query string parameters: acl, policy"),
            ("GET", "/photos", "policy&policyStatus", "InvalidArgument", ""),
            ("GET", "/photos", "policy&uploadId=1", "InvalidArgument", ""),
            ("GET", "/photos/k", "policy&torrent", "InvalidArgument", ""),
            ("PUT", "/photos", "policy&policy", "InvalidArgument", "A query string parameter is given more than once."),
            ("PUT", "/photos", "policy&p%6Flicy=", "InvalidArgument", ""),
            ("PUT", "/photos/k", "policy", "MethodNotAllowed", ""),
            ("GET", "/", "policy", "MethodNotAllowed", ""),
            ("POST", "/photos", "policy", "MethodNotAllowed", ""),
            ("HEAD", "/photos", "policy", "MethodNotAllowed", ""),
            ("PATCH", "/photos", "policy", "MethodNotAllowed", ""),
            ("put", "/photos", "policy", "MethodNotAllowed", ""),
            ("OPTIONS", "/photos", "policy", "BadRequest", ""),
            ("PUT", "/photos", "policy&%", "InvalidURI", ""),
            ("PUT", "/photos", "%FF", "InvalidURI", ""),
        ];
        for (method, path, query, code, message) in rows {
            let error = run(method, path, query).expect_err(query);
            assert_eq!(error.code().name(), code, "{method} {path}?{query}");
            assert!(message.is_empty() || error.message() == message, "{query}: {}", error.message());
        }
        let conflict = run("PUT", "/photos", "policy&acl").unwrap_err();
        assert_eq!(
            conflict.fields(),
            [("ArgumentName", "ResourceType".to_owned()), ("ArgumentValue", "acl".to_owned())]
        );
        let method = run("POST", "/photos", "policy").unwrap_err();
        assert_eq!(method.fields(), [("Method", "POST".to_owned()), ("ResourceType", "BUCKETPOLICY".to_owned())]);
    }

    #[test]
    fn a_preflight_about_policy_is_left_to_the_store() {
        let (address, _) = Address::parse(None, "/photos", &Domains::default()).unwrap();
        let query = Query::parse(Some("policy")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, "https://a.org".parse().unwrap());
        assert_eq!(classify(&Method::OPTIONS, &address, &query, &headers), Err(OperationError::NotPreflight));
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, "PUT".parse().unwrap());
        assert_eq!(classify(&Method::OPTIONS, &address, &query, &headers), Ok(Operation::Other));
    }

    #[test]
    fn a_query_keeps_order_and_repeats() {
        let query = Query::parse(Some("b=1+2%2B&a&&b=x=y&%C3%BC=%3D")).unwrap();
        let pairs: Vec<_> = query.iter().collect();
        assert_eq!(pairs, [("b", "1 2+"), ("a", ""), ("b", "x=y"), ("ü", "=")]);
        assert_eq!(
            (query.count("b"), query.get("b"), query.get("a"), query.get("c")),
            (2, Some("1 2+"), Some(""), None)
        );
        assert!(query.has("ü") && !query.has("B"));
        assert_eq!(Query::parse(None).unwrap(), Query::default());
    }
}
