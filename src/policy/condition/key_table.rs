//! The condition keys of Amazon's "Actions, resources, and condition keys for Amazon S3" that a bucket policy may use, and the
//! global ones of "AWS global condition context keys".

use super::key::{S3Key, Supports};
use crate::policy::action::Action::{self, *};

/// S3's own keys, each with the actions that have it.
pub(super) const S3_KEYS: &[S3Key] = &[
    only(
        "s3:AccessGrantsInstanceArn",
        &[
            AbortMultipartUpload,
            DeleteObject,
            DeleteObjectVersion,
            GetObject,
            GetObjectAcl,
            GetObjectVersion,
            GetObjectVersionAcl,
            ListBucket,
            ListBucketMultipartUploads,
            ListBucketVersions,
            ListMultipartUploadParts,
            PutObject,
            PutObjectAcl,
            PutObjectVersionAcl,
        ],
    ),
    every("s3:AccessPointNetworkOrigin"),
    every("s3:AccessPointTag").tagged(),
    every("s3:BucketTag").tagged(),
    every("s3:DataAccessPointAccount"),
    every("s3:DataAccessPointArn"),
    only(
        "s3:ExistingObjectTag",
        &[
            DeleteObjectAnnotation,
            DeleteObjectTagging,
            DeleteObjectVersionAnnotation,
            DeleteObjectVersionTagging,
            GetObject,
            GetObjectAcl,
            GetObjectAnnotation,
            GetObjectAttributes,
            GetObjectTagging,
            GetObjectVersion,
            GetObjectVersionAcl,
            GetObjectVersionAnnotation,
            GetObjectVersionAttributes,
            GetObjectVersionTagging,
            ListObjectAnnotations,
            ListObjectVersionAnnotations,
            PutObjectAcl,
            PutObjectAnnotation,
            PutObjectTagging,
            PutObjectVersionAcl,
            PutObjectVersionAnnotation,
            PutObjectVersionTagging,
            UpdateObjectEncryption,
        ],
    )
    .tagged(),
    only("s3:InventoryAccessibleOptionalFields", &[PutInventoryConfiguration]),
    only("s3:ObjectCreationOperation", &[PutObject]),
    only("s3:RequestObjectTag", TAGGING).tagged(),
    only("s3:RequestObjectTagKeys", TAGGING),
    every("s3:ResourceAccount"),
    every("s3:TlsVersion"),
    only("s3:annotation-prefix", LISTING_ANNOTATIONS),
    every("s3:authType"),
    only("s3:delimiter", LISTING),
    only("s3:deliverySourceArn", LOG_DELIVERY),
    only("s3:destinationRegion", &[PauseReplication]),
    only("s3:if-match", &[DeleteObject, PutObject]),
    only("s3:if-none-match", &[PutObject]),
    only("s3:isReplicationPauseRequest", &[PutReplicationConfiguration]),
    only("s3:locationconstraint", &[CreateBucket]),
    only("s3:logType", LOG_DELIVERY),
    only("s3:max-annotation-results", LISTING_ANNOTATIONS),
    only("s3:max-keys", LISTING),
    only("s3:object-lock-event-hold", HOLDING),
    only("s3:object-lock-event-hold-duration-days", HOLDING),
    only("s3:object-lock-legal-hold", &[PutObject, PutObjectLegalHold]),
    only("s3:object-lock-mode", RETAINING),
    only("s3:object-lock-remaining-retention-days", RETAINING),
    only("s3:object-lock-retain-until-date", RETAINING),
    only("s3:prefix", LISTING),
    only("s3:resourceArnBeingAuthorized", LOG_DELIVERY),
    every("s3:signatureAge"),
    every("s3:signatureversion"),
    only(
        "s3:versionid",
        &[
            DeleteObjectVersion,
            DeleteObjectVersionAnnotation,
            DeleteObjectVersionTagging,
            GetObjectVersion,
            GetObjectVersionAcl,
            GetObjectVersionAnnotation,
            GetObjectVersionAttributes,
            GetObjectVersionTagging,
            GetObjectVersionTorrent,
            ListObjectVersionAnnotations,
            PutObjectVersionAcl,
            PutObjectVersionAnnotation,
            PutObjectVersionTagging,
        ],
    ),
    only("s3:x-amz-acl", GRANTING),
    only("s3:x-amz-bucket-namespace", &[CreateBucket]),
    every("s3:x-amz-content-sha256"),
    only("s3:x-amz-copy-source", UPLOADING),
    only("s3:x-amz-grant-full-control", GRANTING),
    only("s3:x-amz-grant-read", GRANTING),
    only("s3:x-amz-grant-read-acp", GRANTING),
    only("s3:x-amz-grant-write", GRANTING),
    only("s3:x-amz-grant-write-acp", GRANTING),
    only("s3:x-amz-metadata-directive", UPLOADING),
    only("s3:x-amz-object-annotation-directive", &[PutObject]),
    only(
        "s3:x-amz-object-if-match",
        &[DeleteObjectAnnotation, DeleteObjectVersionAnnotation, PutObjectAnnotation, PutObjectVersionAnnotation],
    ),
    only("s3:x-amz-object-ownership", &[CreateBucket]),
    only("s3:x-amz-server-side-encryption", ENCRYPTING),
    only("s3:x-amz-server-side-encryption-aws-kms-key-id", ENCRYPTING),
    only(
        "s3:x-amz-server-side-encryption-customer-algorithm",
        &[BypassGovernanceRetention, PutObject, ReplicateObject],
    ),
    only("s3:x-amz-storage-class", &[BypassGovernanceRetention, PutObject, PutObjectAcl, PutObjectVersionAcl]),
    only("s3:x-amz-website-redirect-location", UPLOADING),
];

const GRANTING: &[Action] =
    &[BypassGovernanceRetention, CreateBucket, PutBucketAcl, PutObject, PutObjectAcl, PutObjectVersionAcl];
const LISTING: &[Action] = &[ListBucket, ListBucketVersions];
const LOG_DELIVERY: &[Action] = &[AllowVendedLogDeliveryForResource];
const RETAINING: &[Action] = &[PutObject, PutObjectRetention];
const HOLDING: &[Action] = &[PutObject, PutObjectRetention, ReplicateObject];
const UPLOADING: &[Action] = &[BypassGovernanceRetention, PutObject];
const TAGGING: &[Action] = &[BypassGovernanceRetention, PutObject, PutObjectTagging, PutObjectVersionTagging];
const LISTING_ANNOTATIONS: &[Action] = &[ListObjectAnnotations, ListObjectVersionAnnotations];
const ENCRYPTING: &[Action] = &[BypassGovernanceRetention, PutObject, ReplicateObject, UpdateObjectEncryption];

const fn every(name: &'static str) -> S3Key {
    S3Key { name, tagged: false, supports: Supports::Every }
}

const fn only(name: &'static str, actions: &'static [Action]) -> S3Key {
    S3Key { name, tagged: false, supports: Supports::Only(actions) }
}

impl S3Key {
    const fn tagged(self) -> Self {
        Self { tagged: true, ..self }
    }
}

/// S3's keys of batch jobs and access grants, which identity policies may use and bucket policies may not.
pub(super) const OTHER_S3_KEYS: &[&str] = &[
    "s3:AccessGrantScope",
    "s3:AccessGrantsLocationScope",
    "s3:ExistingJobOperation",
    "s3:ExistingJobPriority",
    "s3:JobSuspendedCause",
    "s3:RequestJobOperation",
    "s3:RequestJobPriority",
];

/// Global keys without what may follow a slash, some of them under another service's prefix.
pub(super) const GLOBAL_KEYS: &[&str] = &[
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalOrgID",
    "aws:PrincipalTag",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalType",
    "aws:userid",
    "aws:username",
    "aws:AssumedRoot",
    "aws:FederatedProvider",
    "aws:TokenIssueTime",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:ChatbotSourceArn",
    "aws:Ec2InstanceSourceVpc",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:VpceAccount",
    "aws:VpceOrgPaths",
    "aws:VpceOrgID",
    "aws:VpcSourceIp",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:ResourceTag",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ViaAWSService",
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:referer",
    "aws:RequestedRegion",
    "aws:RequestTag",
    "aws:TagKeys",
    "aws:SecureTransport",
    "aws:SourceArn",
    "aws:SourceAccount",
    "aws:SourceOwner",
    "aws:SourceOrgPaths",
    "aws:SourceOrgID",
    "aws:UserAgent",
    "ec2:RoleDelivery",
    "ec2:SourceInstanceArn",
    "glue:RoleAssumedBy",
    "glue:CredentialIssuingService",
    "lambda:SourceFunctionArn",
    "ssm:SourceInstanceArn",
    "identitystore:UserId",
    "aws:CalledViaAWSMCP",
    "aws:ViaAWSMCPService",
    "aws:IsMcpServiceAction",
];

/// Keys of federated sessions that requests to other services than STS may carry. Which of them S3 takes at PUT is not
/// settled; the others are refused.
pub(super) const FEDERATION_KEYS: &[&str] = &[
    "accounts.google.com:aud",
    "accounts.google.com:oaud",
    "accounts.google.com:sub",
    "cognito-identity.amazonaws.com:amr",
    "cognito-identity.amazonaws.com:aud",
    "cognito-identity.amazonaws.com:sub",
    "graph.facebook.com:app_id",
    "graph.facebook.com:id",
    "saml:namequalifier",
    "saml:sub",
    "saml:sub_type",
    "www.amazon.com:app_id",
    "www.amazon.com:user_id",
];
