//! What a request speaks of, and which way it goes here: read strictly where it is decided, and as leniently as the store
//! may read it where it only passes.

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::layer::{Handler, PassThrough, Shared};
use super::policy_api::PolicyCall;
use super::public_access::PublicAccessCall;
use super::{reserved, strict};
use crate::s3::address::{Address, AddressError, AddressStyle, authority_of, path_style_target};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::OperationError::NotPreflight;
use crate::s3::operation::{Operation, OperationError, Query, classify, names_subresource};

/// What a request speaks of, and which way it goes.
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) style: AddressStyle,
    pub(crate) route: Route,
    /// What it is, where it is that for certain.
    pub(crate) operation: Option<Operation>,
    /// Whether the request is decided by this, and so must say nothing else.
    pub(crate) is_decided: bool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Answered here, or by the inner service once it is decided here.
    Policy(PolicyCall),
    /// Answered here, where we keep the policies.
    PublicAccess(PublicAccessCall),
    /// To the inner service, and what it did is noted.
    CreateBucket,
    /// To the inner service, and what it did is noted.
    DeleteBucket,
    /// To the inner service.
    Onward,
}

/// A request of which it is certain what it asks for.
pub(crate) struct Decidable {
    pub(crate) target: Target,
    pub(crate) operation: Operation,
}

impl Decidable {
    /// Reads a request that is to be decided.
    ///
    /// # Errors
    /// [`S3Error`] for anything that is not one operation for certain, or that the store could read otherwise.
    pub(crate) fn of(parts: &Parts, shared: &Shared) -> Result<Self, S3Error> {
        let host = authority_of(parts)?;
        let query = Query::parse(parts.uri.query())?;
        let address = Address::parse(host, parts.uri.path(), &shared.domains);
        reserved::check(parts, host, address.as_ref(), shared.reserved.as_ref())?;
        let (address, style) = address?;
        let headers = effective_headers(&parts.headers, &query)?;
        let operation = classify(&parts.method, &address, &query, &headers)?;
        // A browser's preflight is nothing that is decided, and has the query of the request it asks about.
        if operation != Operation::CorsPreflight {
            strict::check(parts, &query)?;
            // To a servlet what follows is no part of the path. Written anew it is `%3B`, which everybody reads alike.
            if shared.pass_through == PassThrough::AsSent && parts.uri.path().contains(';') {
                return Err(S3Error::new(ErrorCode::InvalidURI).with_field("URI", parts.uri.path()));
            }
        }
        let route = Route::of_operation(operation, &shared.handler);
        let target = Target { address, style, route, operation: Some(operation), is_decided: true };
        Ok(Self { target, operation })
    }
}

impl Target {
    /// The raw path to send on, path-style: virtual-hosted style does not survive another `Host`. Of a request that was
    /// decided it is written anew from what was decided on.
    pub(crate) fn path(&self, parts: &Parts) -> String {
        match self.address.bucket() {
            _ if self.is_decided => self.address.to_string(),
            Some(bucket) => path_style_target(self.style, bucket, parts.uri.path()).into_owned(),
            None => parts.uri.path().to_owned(),
        }
    }

    /// Reads a request that passes, but for what is answered here.
    pub(crate) fn of(parts: &Parts, shared: &Shared) -> Result<Self, S3Error> {
        // Which of two hosts the store takes for the bucket nobody knows, so such a request goes nowhere.
        let host = authority_of(parts)?;
        let raw_query = parts.uri.query().unwrap_or_default();
        let address = Address::parse(host, parts.uri.path(), &shared.domains);
        reserved::check(parts, host, address.as_ref(), shared.reserved.as_ref())?;
        let is_on_bucket = matches!(address, Ok((Address::Bucket(_), _)));
        match Self::strictly(parts, address, shared) {
            // A server that takes `;` for `&`, as many did, would find `policy` there.
            Ok(Self {
                route: Route::Onward | Route::PublicAccess(_) | Route::CreateBucket | Route::DeleteBucket,
                ..
            }) if raw_query.contains(';') && names_policy(raw_query) => Err(ErrorCode::InvalidURI.into()),
            // Not ours to judge: the store behind may know such a name. A `?policy` call is ours, and is refused; so is
            // what may make or delete a bucket, and cannot be told from it.
            Err(_)
                if shared.pass_through == PassThrough::AsSent
                    && !names_policy(raw_query)
                    && !(is_on_bucket && matches!(parts.method, Method::PUT | Method::DELETE)) =>
            {
                Ok(Self {
                    address: Address::Service,
                    style: AddressStyle::Path,
                    route: Route::Onward,
                    operation: None,
                    is_decided: false,
                })
            }
            target => target,
        }
    }

    fn strictly(
        parts: &Parts,
        address: Result<(Address, AddressStyle), AddressError>,
        shared: &Shared,
    ) -> Result<Self, S3Error> {
        let query = Query::parse(parts.uri.query())?;
        let (address, style) = address?;
        let operation = classify(&parts.method, &address, &query, &parts.headers);
        let route = Route::of(parts, &address, &query, &operation, &shared.handler)?;
        Ok(Self { address, style, route, operation: operation.ok(), is_decided: false })
    }
}

impl Route {
    /// Where nothing is enforced, what is no operation is the store's to refuse. But for what names `?policy`, which would
    /// leave it to the store whether it is one of its calls.
    fn of(
        parts: &Parts,
        address: &Address,
        query: &Query<'_>,
        operation: &Result<Operation, OperationError>,
        handler: &Handler,
    ) -> Result<Self, S3Error> {
        match operation {
            Ok(operation) => Ok(Self::of_operation(*operation, handler)),
            // A browser's preflight is none of its calls, whatever it is.
            Err(error) if query.has("policy") && (parts.method != Method::OPTIONS || *error == NotPreflight) => {
                Err(error.clone().into())
            }
            // A store that does not mind what made it none would make or delete the bucket.
            Err(_) => Ok(match (&parts.method, address) {
                (&Method::PUT, Address::Bucket(_)) if !names_subresource(query) => Self::CreateBucket,
                (&Method::DELETE, Address::Bucket(_)) if !names_subresource(query) => Self::DeleteBucket,
                _ => Self::Onward,
            }),
        }
    }

    fn of_operation(operation: Operation, handler: &Handler) -> Self {
        use Operation as O;
        let stored = matches!(handler, Handler::Store(_));
        match operation {
            O::PutPublicAccessBlock if stored => Self::PublicAccess(PublicAccessCall::Put),
            O::GetPublicAccessBlock if stored => Self::PublicAccess(PublicAccessCall::Get),
            O::DeletePublicAccessBlock if stored => Self::PublicAccess(PublicAccessCall::Delete),
            O::GetBucketPolicyStatus if stored => Self::PublicAccess(PublicAccessCall::Status),
            O::PutBucketPolicy => Self::Policy(PolicyCall::Put),
            O::GetBucketPolicy => Self::Policy(PolicyCall::Get),
            O::DeleteBucketPolicy => Self::Policy(PolicyCall::Delete),
            O::CreateBucket => Self::CreateBucket,
            O::DeleteBucket => Self::DeleteBucket,
            O::AbortMultipartUpload
            | O::CompleteMultipartUpload
            | O::CopyObject
            | O::CorsPreflight
            | O::CreateBucketMetadataConfiguration
            | O::CreateBucketMetadataTableConfiguration
            | O::CreateMultipartUpload
            | O::CreateSession
            | O::DeleteBucketAnalyticsConfiguration
            | O::DeleteBucketCors
            | O::DeleteBucketEncryption
            | O::DeleteBucketIntelligentTieringConfiguration
            | O::DeleteBucketInventoryConfiguration
            | O::DeleteBucketLifecycle
            | O::DeleteBucketMetadataConfiguration
            | O::DeleteBucketMetadataTableConfiguration
            | O::DeleteBucketMetricsConfiguration
            | O::DeleteBucketOwnershipControls
            | O::DeleteBucketReplication
            | O::DeleteBucketTagging
            | O::DeleteBucketWebsite
            | O::DeleteObject
            | O::DeleteObjectAnnotation
            | O::DeleteObjectTagging
            | O::DeleteObjects
            | O::DeletePublicAccessBlock
            | O::GetBucketAbac
            | O::GetBucketAccelerateConfiguration
            | O::GetBucketAcl
            | O::GetBucketAnalyticsConfiguration
            | O::GetBucketCors
            | O::GetBucketEncryption
            | O::GetBucketIntelligentTieringConfiguration
            | O::GetBucketInventoryConfiguration
            | O::GetBucketLifecycleConfiguration
            | O::GetBucketLocation
            | O::GetBucketLogging
            | O::GetBucketMetadataConfiguration
            | O::GetBucketMetadataTableConfiguration
            | O::GetBucketMetricsConfiguration
            | O::GetBucketNotificationConfiguration
            | O::GetBucketOwnershipControls
            | O::GetBucketPolicyStatus
            | O::GetBucketReplication
            | O::GetBucketRequestPayment
            | O::GetBucketTagging
            | O::GetBucketVersioning
            | O::GetBucketWebsite
            | O::GetObject
            | O::GetObjectAcl
            | O::GetObjectAnnotation
            | O::GetObjectAttributes
            | O::GetObjectLegalHold
            | O::GetObjectLockConfiguration
            | O::GetObjectRetention
            | O::GetObjectTagging
            | O::GetObjectTorrent
            | O::GetPublicAccessBlock
            | O::GetServiceRoot
            | O::HeadBucket
            | O::HeadObject
            | O::ListBucketAnalyticsConfigurations
            | O::ListBucketIntelligentTieringConfigurations
            | O::ListBucketInventoryConfigurations
            | O::ListBucketMetricsConfigurations
            | O::ListBuckets
            | O::ListDirectoryBuckets
            | O::ListMultipartUploads
            | O::ListObjectAnnotations
            | O::ListObjectVersions
            | O::ListObjects
            | O::ListObjectsV2
            | O::ListParts
            | O::PostObject
            | O::PutBucketAbac
            | O::PutBucketAccelerateConfiguration
            | O::PutBucketAcl
            | O::PutBucketAnalyticsConfiguration
            | O::PutBucketCors
            | O::PutBucketEncryption
            | O::PutBucketIntelligentTieringConfiguration
            | O::PutBucketInventoryConfiguration
            | O::PutBucketLifecycleConfiguration
            | O::PutBucketLogging
            | O::PutBucketMetricsConfiguration
            | O::PutBucketNotificationConfiguration
            | O::PutBucketOwnershipControls
            | O::PutBucketReplication
            | O::PutBucketRequestPayment
            | O::PutBucketTagging
            | O::PutBucketVersioning
            | O::PutBucketWebsite
            | O::PutObject
            | O::PutObjectAcl
            | O::PutObjectAnnotation
            | O::PutObjectLegalHold
            | O::PutObjectLockConfiguration
            | O::PutObjectRetention
            | O::PutObjectTagging
            | O::PutPublicAccessBlock
            | O::RenameObject
            | O::RestoreObject
            | O::SelectObjectContent
            | O::UpdateBucketMetadataAnnotationTableConfiguration
            | O::UpdateBucketMetadataInventoryTableConfiguration
            | O::UpdateBucketMetadataJournalTableConfiguration
            | O::UpdateObjectEncryption
            | O::UploadPart
            | O::UploadPartCopy
            | O::WriteGetObjectResponse => Self::Onward,
        }
    }
}

/// Whether `?policy` is among the parameters, read as leniently as any store might read them.
fn names_policy(query: &str) -> bool {
    let mut names = query.split(['&', ';']).map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    names.any(|name| percent_decode_str(name).decode_utf8_lossy().trim() == "policy")
}
