//! Which request is which operation: the bindings, one list for each method and scope.
//!
//! Written after Amazon's API reference. Operations that only their names tell apart (`GetBucketLifecycle` and
//! `GetBucketLifecycleConfiguration`, their `Put`s, and the same of `Notification`) have one binding, under the newer name.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use super::super::address::Address;
use super::Operation::{self, *};
use super::query::Query;
use Selector::{Header, HeaderBegins, Path, Signed, Unsigned};

/// What makes a request this operation.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) operation: Operation,
    /// Parameters that must be there, whatever their values.
    pub(super) required: &'static [&'static str],
    /// A parameter that must have a value.
    pub(super) fixed: Option<(&'static str, &'static str)>,
    /// A parameter that must not be there.
    pub(super) absent: Option<&'static str>,
    pub(super) selectors: &'static [Selector],
}

/// What selects an operation beside the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// This header is there.
    Header(&'static str),
    /// This header's value begins with this, in any case.
    HeaderBegins(&'static str, &'static str),
    /// The path's last part, which is a bucket or a key by its style, is this.
    Path(&'static str),
    /// There are credentials in header or query, valid or not.
    Signed,
    /// There are none.
    Unsigned,
}

impl Binding {
    /// Whether the request, whose method and scope are those of the list, satisfies it.
    pub(super) fn is_met(&self, address: &Address, query: &Query<'_>, headers: &HeaderMap) -> bool {
        self.required.iter().all(|name| query.has(name))
            && self.fixed.is_none_or(|(name, value)| query.get(name) == Some(value))
            && self.absent.is_none_or(|name| !query.has(name))
            && self.selectors.iter().all(|selector| selector.is_met(address, query, headers))
    }

    /// How much of a request it asks for: of two that are met, the one that asks for more is meant.
    pub(super) fn weight(&self) -> usize {
        self.required.len() + usize::from(self.fixed.is_some()) + self.selectors.len()
    }

    /// The parameters on which it depends.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().copied().chain(self.fixed.map(|(name, _)| name)).chain(self.absent)
    }
}

impl Selector {
    fn is_met(self, address: &Address, query: &Query<'_>, headers: &HeaderMap) -> bool {
        match self {
            Header(name) => headers.contains_key(name),
            HeaderBegins(name, prefix) => headers.get_all(name).iter().any(|value| {
                let start = value.as_bytes().trim_ascii_start().get(..prefix.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            }),
            Path(last) => match address {
                Address::Service => false,
                Address::Bucket(bucket) => bucket.as_str() == last,
                Address::Object { key, .. } => key.as_str() == last,
            },
            Signed => is_signed(query, headers),
            Unsigned => !is_signed(query, headers),
        }
    }
}

/// Whether there is anything of a signature, of any version.
fn is_signed(query: &Query<'_>, headers: &HeaderMap) -> bool {
    let of_v4 = ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"];
    let signature = |name: &str| {
        of_v4.iter().any(|known| name.eq_ignore_ascii_case(known)) || matches!(name, "AWSAccessKeyId" | "Signature")
    };
    headers.contains_key(AUTHORIZATION) || query.names().any(signature)
}

/// The bindings of a method on what is addressed; none where S3 has no such method there.
pub(super) fn bindings(method: &Method, address: &Address) -> &'static [Binding] {
    let (service, bucket, object) = match *method {
        Method::GET => (GET_SERVICE, GET_BUCKET, GET_OBJECT),
        Method::HEAD => (NONE, HEAD_BUCKET, HEAD_OBJECT),
        Method::PUT => (NONE, PUT_BUCKET, PUT_OBJECT),
        Method::POST => (NONE, POST_BUCKET, POST_OBJECT),
        Method::DELETE => (NONE, DELETE_BUCKET, DELETE_OBJECT),
        Method::OPTIONS => (NONE, OPTIONS_BUCKET, OPTIONS_OBJECT),
        _ => (NONE, NONE, NONE),
    };
    match address {
        Address::Service => service,
        Address::Bucket(_) => bucket,
        Address::Object { .. } => object,
    }
}

const fn plain(operation: Operation) -> Binding {
    Binding { operation, required: &[], fixed: None, absent: None, selectors: &[] }
}

const fn named(operation: Operation, required: &'static [&'static str]) -> Binding {
    Binding { operation, required, fixed: None, absent: None, selectors: &[] }
}

impl Binding {
    const fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { fixed: Some((name, value)), ..self }
    }

    const fn without(self, name: &'static str) -> Self {
        Self { absent: Some(name), ..self }
    }

    const fn selected_by(self, selectors: &'static [Selector]) -> Self {
        Self { selectors, ..self }
    }
}

const NONE: &[Binding] = &[];

const GET_SERVICE: &[Binding] = &[
    plain(GetServiceRoot).selected_by(&[Unsigned]),
    plain(ListBuckets).selected_by(&[Signed]),
    plain(ListDirectoryBuckets).selected_by(&[Signed, HeaderBegins("host", "s3express-control.")]),
];

const DELETE_BUCKET: &[Binding] = &[
    plain(DeleteBucket),
    named(DeleteBucketAnalyticsConfiguration, &["analytics", "id"]),
    named(DeleteBucketCors, &["cors"]),
    named(DeleteBucketEncryption, &["encryption"]),
    named(DeleteBucketIntelligentTieringConfiguration, &["intelligent-tiering", "id"]),
    named(DeleteBucketInventoryConfiguration, &["inventory", "id"]),
    named(DeleteBucketLifecycle, &["lifecycle"]),
    named(DeleteBucketMetadataConfiguration, &["metadataConfiguration"]),
    named(DeleteBucketMetadataTableConfiguration, &["metadataTable"]),
    named(DeleteBucketMetricsConfiguration, &["metrics", "id"]),
    named(DeleteBucketOwnershipControls, &["ownershipControls"]),
    named(DeleteBucketPolicy, &["policy"]),
    named(DeleteBucketReplication, &["replication"]),
    named(DeleteBucketTagging, &["tagging"]),
    named(DeleteBucketWebsite, &["website"]),
    named(DeletePublicAccessBlock, &["publicAccessBlock"]),
];

const GET_BUCKET: &[Binding] = &[
    named(CreateSession, &["session"]),
    named(GetBucketAbac, &["abac"]),
    named(GetBucketAccelerateConfiguration, &["accelerate"]),
    named(GetBucketAcl, &["acl"]),
    named(GetBucketAnalyticsConfiguration, &["analytics", "id"]),
    named(GetBucketCors, &["cors"]),
    named(GetBucketEncryption, &["encryption"]),
    named(GetBucketIntelligentTieringConfiguration, &["intelligent-tiering", "id"]),
    named(GetBucketInventoryConfiguration, &["inventory", "id"]),
    named(GetBucketLifecycleConfiguration, &["lifecycle"]),
    named(GetBucketLocation, &["location"]),
    named(GetBucketLogging, &["logging"]),
    named(GetBucketMetadataConfiguration, &["metadataConfiguration"]),
    named(GetBucketMetadataTableConfiguration, &["metadataTable"]),
    named(GetBucketMetricsConfiguration, &["metrics", "id"]),
    named(GetBucketNotificationConfiguration, &["notification"]),
    named(GetBucketOwnershipControls, &["ownershipControls"]),
    named(GetBucketPolicy, &["policy"]),
    named(GetBucketPolicyStatus, &["policyStatus"]),
    named(GetBucketReplication, &["replication"]),
    named(GetBucketRequestPayment, &["requestPayment"]),
    named(GetBucketTagging, &["tagging"]),
    named(GetBucketVersioning, &["versioning"]),
    named(GetBucketWebsite, &["website"]),
    named(GetObjectLockConfiguration, &["object-lock"]),
    named(GetPublicAccessBlock, &["publicAccessBlock"]),
    named(ListBucketAnalyticsConfigurations, &["analytics"]).without("id"),
    named(ListBucketIntelligentTieringConfigurations, &["intelligent-tiering"]).without("id"),
    named(ListBucketInventoryConfigurations, &["inventory"]).without("id"),
    named(ListBucketMetricsConfigurations, &["metrics"]).without("id"),
    named(ListMultipartUploads, &["uploads"]),
    named(ListObjectVersions, &["versions"]),
    plain(ListObjects),
    plain(ListObjectsV2).with("list-type", "2"),
];

const HEAD_BUCKET: &[Binding] = &[plain(HeadBucket)];

const OPTIONS_BUCKET: &[Binding] =
    &[plain(CorsPreflight).selected_by(&[Header("origin"), Header("access-control-request-method")])];

const POST_BUCKET: &[Binding] = &[
    named(CreateBucketMetadataConfiguration, &["metadataConfiguration"]),
    named(CreateBucketMetadataTableConfiguration, &["metadataTable"]),
    named(DeleteObjects, &["delete"]),
    plain(PostObject).selected_by(&[HeaderBegins("content-type", "multipart/form-data")]),
    plain(WriteGetObjectResponse).selected_by(&[
        Path("WriteGetObjectResponse"),
        Header("x-amz-request-route"),
        Header("x-amz-request-token"),
    ]),
];

const PUT_BUCKET: &[Binding] = &[
    plain(CreateBucket),
    named(PutBucketAbac, &["abac"]),
    named(PutBucketAccelerateConfiguration, &["accelerate"]),
    named(PutBucketAcl, &["acl"]),
    named(PutBucketAnalyticsConfiguration, &["analytics", "id"]),
    named(PutBucketCors, &["cors"]),
    named(PutBucketEncryption, &["encryption"]),
    named(PutBucketIntelligentTieringConfiguration, &["intelligent-tiering", "id"]),
    named(PutBucketInventoryConfiguration, &["inventory", "id"]),
    named(PutBucketLifecycleConfiguration, &["lifecycle"]),
    named(PutBucketLogging, &["logging"]),
    named(PutBucketMetricsConfiguration, &["metrics", "id"]),
    named(PutBucketNotificationConfiguration, &["notification"]),
    named(PutBucketOwnershipControls, &["ownershipControls"]),
    named(PutBucketPolicy, &["policy"]),
    named(PutBucketReplication, &["replication"]),
    named(PutBucketRequestPayment, &["requestPayment"]),
    named(PutBucketTagging, &["tagging"]),
    named(PutBucketVersioning, &["versioning"]),
    named(PutBucketWebsite, &["website"]),
    named(PutObjectLockConfiguration, &["object-lock"]),
    named(PutPublicAccessBlock, &["publicAccessBlock"]),
    named(UpdateBucketMetadataAnnotationTableConfiguration, &["metadataAnnotationTable"]),
    named(UpdateBucketMetadataInventoryTableConfiguration, &["metadataInventoryTable"]),
    named(UpdateBucketMetadataJournalTableConfiguration, &["metadataJournalTable"]),
];

const DELETE_OBJECT: &[Binding] = &[
    named(AbortMultipartUpload, &["uploadId"]),
    plain(DeleteObject),
    named(DeleteObjectAnnotation, &["annotation", "annotationName"]),
    named(DeleteObjectTagging, &["tagging"]),
];

const GET_OBJECT: &[Binding] = &[
    plain(GetObject),
    named(GetObjectAcl, &["acl"]),
    named(GetObjectAnnotation, &["annotation", "annotationName"]),
    named(GetObjectAttributes, &["attributes"]),
    named(GetObjectLegalHold, &["legal-hold"]),
    named(GetObjectRetention, &["retention"]),
    named(GetObjectTagging, &["tagging"]),
    named(GetObjectTorrent, &["torrent"]),
    named(ListObjectAnnotations, &["annotation"]).without("annotationName"),
    named(ListParts, &["uploadId"]),
];

const HEAD_OBJECT: &[Binding] = &[plain(HeadObject)];

const OPTIONS_OBJECT: &[Binding] =
    &[plain(CorsPreflight).selected_by(&[Header("origin"), Header("access-control-request-method")])];

const POST_OBJECT: &[Binding] = &[
    named(CompleteMultipartUpload, &["uploadId"]),
    named(CreateMultipartUpload, &["uploads"]),
    named(RestoreObject, &["restore"]),
    named(SelectObjectContent, &["select"]).with("select-type", "2"),
    plain(WriteGetObjectResponse).selected_by(&[
        Path("WriteGetObjectResponse"),
        Header("x-amz-request-route"),
        Header("x-amz-request-token"),
    ]),
];

const PUT_OBJECT: &[Binding] = &[
    plain(CopyObject).selected_by(&[Header("x-amz-copy-source")]),
    plain(PutObject),
    named(PutObjectAcl, &["acl"]),
    named(PutObjectAnnotation, &["annotation", "annotationName"]),
    named(PutObjectLegalHold, &["legal-hold"]),
    named(PutObjectRetention, &["retention"]),
    named(PutObjectTagging, &["tagging"]),
    named(RenameObject, &["renameObject"]),
    named(UpdateObjectEncryption, &["encryption"]),
    named(UploadPart, &["uploadId", "partNumber"]),
    named(UploadPartCopy, &["uploadId", "partNumber"]).selected_by(&[Header("x-amz-copy-source")]),
];

/// All bindings, in words.
#[cfg(test)]
pub(in crate::s3) fn bindings_in_words() -> Vec<(Operation, String)> {
    use super::super::address::{BucketName, ObjectKey};
    let bucket = BucketName::parse("photos").unwrap();
    let object = Address::Object { bucket: bucket.clone(), key: ObjectKey::parse("k").unwrap() };
    let scopes = [("service", Address::Service), ("bucket", Address::Bucket(bucket)), ("object", object)];
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS];
    let pairs = methods.iter().flat_map(|method| scopes.iter().map(move |scope| (method, scope)));
    let all = pairs.flat_map(|(method, (scope, address))| {
        bindings(method, address).iter().map(move |binding| (binding.operation, in_words(binding, method, scope)))
    });
    all.collect()
}

#[cfg(test)]
fn in_words(binding: &Binding, method: &Method, scope: &str) -> String {
    let required = binding.required.iter().map(|name| (*name).to_owned());
    let parameters: Vec<_> = required.chain(binding.fixed.map(|(name, value)| format!("{name}={value}"))).collect();
    let mut words = format!("`{method}` {scope}");
    if !parameters.is_empty() {
        words.push_str(&format!(" `?{}`", parameters.join("&")));
    }
    if let Some(name) = binding.absent {
        words.push_str(&format!(" without `{name}`"));
    }
    for selector in binding.selectors {
        words.push_str(&match selector {
            Header(name) => format!(", `{name}`"),
            HeaderBegins(name, value) => format!(", `{name}: {value}…`"),
            Path(last) => format!(", named `{last}`"),
            Signed => ", signed".to_owned(),
            Unsigned => ", not signed".to_owned(),
        });
    }
    words
}
