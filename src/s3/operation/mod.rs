//! What does a request ask for?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>: method,
//! scope, subresource and a few headers choose the operation; a subresource counts when its name is in the query, whatever
//! its value. What is contradictory is refused: a store that reads it otherwise would do something else than was decided.
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

mod error;
mod query;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, Method};

pub use self::error::OperationError;
pub use self::query::{InvalidQuery, Query};
#[cfg(test)]
pub(in crate::s3) use self::table::bindings_in_words;
use self::table::{Binding, bindings};
use super::address::{Address, ObjectKey};

macro_rules! operations {
    ($($name:ident)*) => {
        /// An operation of S3, by Amazon's name.
        ///
        /// All of them, those for directory buckets and Object Lambda included, which no store of ordinary buckets has.
        /// `PostObject` is the upload by a browser's form, `CorsPreflight` a browser's question, and `GetServiceRoot`
        /// what `ListBuckets` is called when nobody signed it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)*
        }

        impl Operation {
            /// Every operation, by name.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Amazon's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

operations! {
    AbortMultipartUpload CompleteMultipartUpload CopyObject CorsPreflight CreateBucket
    CreateBucketMetadataConfiguration CreateBucketMetadataTableConfiguration CreateMultipartUpload CreateSession
    DeleteBucket DeleteBucketAnalyticsConfiguration DeleteBucketCors DeleteBucketEncryption
    DeleteBucketIntelligentTieringConfiguration DeleteBucketInventoryConfiguration DeleteBucketLifecycle
    DeleteBucketMetadataConfiguration DeleteBucketMetadataTableConfiguration DeleteBucketMetricsConfiguration
    DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketReplication DeleteBucketTagging
    DeleteBucketWebsite DeleteObject DeleteObjectAnnotation DeleteObjectTagging DeleteObjects
    DeletePublicAccessBlock GetBucketAbac GetBucketAccelerateConfiguration GetBucketAcl
    GetBucketAnalyticsConfiguration GetBucketCors GetBucketEncryption GetBucketIntelligentTieringConfiguration
    GetBucketInventoryConfiguration GetBucketLifecycleConfiguration GetBucketLocation GetBucketLogging
    GetBucketMetadataConfiguration GetBucketMetadataTableConfiguration GetBucketMetricsConfiguration
    GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
    GetBucketReplication GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetObject
    GetObjectAcl GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectLockConfiguration
    GetObjectRetention GetObjectTagging GetObjectTorrent GetPublicAccessBlock GetServiceRoot HeadBucket
    HeadObject ListBucketAnalyticsConfigurations ListBucketIntelligentTieringConfigurations
    ListBucketInventoryConfigurations ListBucketMetricsConfigurations ListBuckets ListDirectoryBuckets
    ListMultipartUploads ListObjectAnnotations ListObjectVersions ListObjects ListObjectsV2 ListParts PostObject
    PutBucketAbac PutBucketAccelerateConfiguration PutBucketAcl PutBucketAnalyticsConfiguration PutBucketCors
    PutBucketEncryption PutBucketIntelligentTieringConfiguration PutBucketInventoryConfiguration
    PutBucketLifecycleConfiguration PutBucketLogging PutBucketMetricsConfiguration
    PutBucketNotificationConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketReplication
    PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutObject PutObjectAcl
    PutObjectAnnotation PutObjectLegalHold PutObjectLockConfiguration PutObjectRetention PutObjectTagging
    PutPublicAccessBlock RenameObject RestoreObject SelectObjectContent
    UpdateBucketMetadataAnnotationTableConfiguration UpdateBucketMetadataInventoryTableConfiguration
    UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption UploadPart UploadPartCopy
    WriteGetObjectResponse
}

impl Operation {
    /// Whether a request satisfies this operation's binding, if perhaps also another's.
    pub fn fits(self, method: &Method, address: &Address, query: &Query<'_>, headers: &HeaderMap) -> bool {
        let own = |binding: &&Binding| binding.operation == self;
        bindings(method, address).iter().filter(own).any(|binding| binding.is_met(address, query, headers))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Chooses the operation: among those whose binding the request satisfies, the one that asks for most.
///
/// `headers` are the effective ones ([`effective_headers`](super::hoisted::effective_headers)): those of a presigned URL
/// choose too. Parameters that no operation here depends on (`x-id`, `X-Amz-*`, `response-*`, unknown ones) play no
/// part, and no header overrides the method.
///
/// # Errors
/// [`OperationError`] where the request is no operation, or could be more than one.
pub fn classify(
    method: &Method,
    address: &Address,
    query: &Query<'_>,
    headers: &HeaderMap,
) -> Result<Operation, OperationError> {
    let preflight = method == Method::OPTIONS;
    if preflight && !(headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)) {
        return Err(OperationError::NotPreflight);
    }
    // A browser's preflight has the query of the request it asks about, and is none of its operations.
    let subresource = if preflight { None } else { subresource(query)? };
    if let Some(key) = address.key().filter(|key| leaves_its_bucket(key)) {
        return Err(OperationError::KeyOutsideBucket(key.as_str().to_owned()));
    }

    let bindings = bindings(method, address);
    // Beside a subresource only what a header selects comes into question too.
    let eligible = |binding: &&Binding| {
        subresource.is_none_or(|name| binding.required.contains(&name) || !binding.selectors.is_empty())
    };
    let met = || bindings.iter().filter(eligible).filter(|binding| binding.is_met(address, query, headers));
    let unfit = || unfit(bindings, subresource, method, address, query);
    let best = met().max_by_key(|binding| binding.weight()).ok_or_else(unfit)?;
    // `?acl` beside `x-amz-copy-source`: one store sets an ACL, the other copies.
    if let Some(rival) = met().find(|other| other.operation != best.operation && other.weight() == best.weight()) {
        return Err(OperationError::SeveralOperations([
            best.operation.min(rival.operation),
            best.operation.max(rival.operation),
        ]));
    }
    if subresource.is_some_and(|name| !best.required.contains(&name)) {
        return Err(unfit());
    }
    if !preflight {
        decided_once(best.operation, bindings, subresource, address, query)?;
    }
    Ok(best.operation)
}

/// Whether the query names a subresource, one that fits or not.
pub(crate) fn names_subresource(query: &Query<'_>) -> bool {
    query.names().any(is_subresource)
}

/// A subresource that has a value and by its nature has none, such as `?acl=x`.
pub(crate) fn valued_subresource<'q>(query: &'q Query<'_>) -> Option<&'q str> {
    let mut pairs = query.iter();
    pairs
        .find(|(name, value)| is_subresource(name) && !VALUED.contains(name) && !value.is_empty())
        .map(|(name, _)| name)
}

/// Whether S3 knows a parameter of this name, of any operation. Those of a presigned URL's signature and headers it does.
pub(crate) fn is_known_parameter(name: &str) -> bool {
    let of_presigned = || name.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("x-amz-"));
    decides(name) || OTHERS.contains(&name) || of_presigned()
}

/// Whether a parameter of this name may choose an operation, or be what a decision is about.
pub(crate) fn decides(name: &str) -> bool {
    is_subresource(name) || VALUED.contains(&name) || OF_LISTS.contains(&name)
}

/// The one subresource of the query.
fn subresource<'q>(query: &'q Query<'_>) -> Result<Option<&'q str>, OperationError> {
    let mut names: Vec<&str> = query.names().filter(|name| is_subresource(name)).collect();
    if names.len() > 1 {
        names.sort_unstable();
        names.dedup();
        if let Some(name) = names.iter().find(|name| is_repeated(name, query)) {
            return Err(OperationError::RepeatedParameter((*name).to_owned()));
        }
    }
    match names.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(OperationError::Conflict(several.iter().map(|name| (*name).to_owned()).collect())),
    }
}

/// Whether a parameter is there with different values. `?policy` may stand once: it is answered here.
fn is_repeated(name: &str, query: &Query<'_>) -> bool {
    let mut values = query.iter().filter(|(other, _)| *other == name).map(|(_, value)| value);
    let first = values.next();
    values.any(|value| name == POLICY || Some(value) != first)
}

/// What is wrong where no binding is met.
fn unfit(
    bindings: &[Binding],
    subresource: Option<&str>,
    method: &Method,
    address: &Address,
    query: &Query<'_>,
) -> OperationError {
    let Some(subresource) = subresource else {
        return OperationError::MethodNotAllowed { method: method.clone(), on: scope_name(address).to_owned() };
    };
    let mut named = bindings.iter().filter(|binding| binding.required.contains(&subresource));
    // Every operation of it lacks something; with several, all but the one with the fewest parameters do.
    match named.find_map(|binding| {
        binding.parameters().find(|name| binding.absent != Some(name) && !holds(binding, name, query))
    }) {
        Some(parameter) => OperationError::MissingParameter { subresource: subresource.to_owned(), parameter },
        None => OperationError::MethodNotAllowed { method: method.clone(), on: subresource.to_owned() },
    }
}

fn holds(binding: &Binding, name: &str, query: &Query<'_>) -> bool {
    match binding.fixed {
        Some((fixed, value)) if fixed == name => query.get(name) == Some(value),
        Some(_) | None => query.has(name),
    }
}

/// Refuses parameters that decide something and are there with different values, or without the value they need.
fn decided_once(
    operation: Operation,
    bindings: &[Binding],
    subresource: Option<&str>,
    address: &Address,
    query: &Query<'_>,
) -> Result<(), OperationError> {
    // Most objects are asked for without any parameter, or with the one that decides nothing at all.
    if query.names().all(|name| name == X_ID) {
        return Ok(());
    }
    let rivals = bindings.iter().filter(|binding| match subresource {
        Some(name) => binding.required.contains(&name),
        None => !binding.required.iter().any(|name| is_subresource(name)),
    });
    let lists = matches!(operation, Operation::ListObjects | Operation::ListObjectsV2 | Operation::ListObjectVersions);
    let of_lists = if lists { OF_LISTS.as_slice() } else { &[] };
    let version = address.key().is_some().then_some(VERSION_ID);
    let deciding = || rivals.clone().flat_map(Binding::parameters).chain(of_lists.iter().copied()).chain(version);
    if let Some(name) = deciding().find(|name| is_repeated(name, query)) {
        return Err(OperationError::RepeatedParameter(name.to_owned()));
    }
    // Some stores take one without a value for one that is not there: `DELETE ?uploadId=` deletes the object.
    match deciding().find(|name| VALUED.contains(name) && query.get(name) == Some("")) {
        Some(name) => Err(OperationError::EmptyParameter(name)),
        None => Ok(()),
    }
}

/// Whether `..` leads out of the bucket at some point: a store that keeps objects in files could follow it. S3 refuses
/// such keys, and takes every other literally.
pub(in crate::s3) fn leaves_its_bucket(key: &ObjectKey) -> bool {
    let mut depth: usize = 0;
    for segment in key.as_str().split('/') {
        match segment {
            "" => {}
            ".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

fn scope_name(address: &Address) -> &'static str {
    match address {
        Address::Service => "service",
        Address::Bucket(_) => "bucket",
        Address::Object { .. } => "object",
    }
}

const POLICY: &str = "policy";
const VERSION_ID: &str = "versionId";
/// By it SDKs name the operation for logs.
const X_ID: &str = "x-id";

/// The parameters of a list that conditions ask about.
const OF_LISTS: [&str; 3] = ["prefix", "delimiter", "max-keys"];

/// All other parameters of the service model, and `x-id`.
const OTHERS: [&str; 25] = [
    "annotation-prefix",
    "bucket-region",
    "continuation-token",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-annotation-results",
    "max-buckets",
    "max-directory-buckets",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    X_ID,
];

/// The parameters that name something by their value.
const VALUED: [&str; 5] = ["annotationName", "id", "partNumber", "uploadId", VERSION_ID];

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
