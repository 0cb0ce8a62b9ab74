//! The actions each operation needs, and when.
//!
//! Written after Amazon's "Required permissions for Amazon S3 API operations".

use std::fmt;

use super::super::operation::Operation;
use super::ForeignAction::{self, CreateSession, ListAllMyDirectoryBuckets, WriteGetObjectResponse};
use crate::policy::Action::{self, *};
use When::*;

/// An action an operation needs.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) action: Needed,
    pub(super) on: On,
    pub(super) when: When,
}

/// Whose action it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Needed {
    Own(Action),
    Foreign(ForeignAction),
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// Neither a bucket nor an object.
    Anything,
    Bucket,
    Object,
    /// The object that is copied.
    Source,
    /// Each object of a `POST ?delete`.
    Entry,
    /// The object that a form makes.
    Form,
}

macro_rules! conditions {
    ($($name:ident $text:literal)*) => {
        /// When an action is needed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum When {
            $(#[doc = $text] $name,)*
        }

        impl fmt::Display for When {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

conditions! {
    Always "always"
    Version "`versionId`"
    NoVersion "no `versionId`"
    Tagging "`x-amz-tagging`"
    Acl "`x-amz-acl` or `x-amz-grant-*`"
    AclNotPrivate "`x-amz-acl` other than `private`, or `x-amz-grant-*`"
    Retention "`x-amz-object-lock-mode`, `x-amz-object-lock-retain-until-date` or `x-amz-object-lock-event-hold*`"
    LegalHold "`x-amz-object-lock-legal-hold`"
    BypassGovernance "`x-amz-bypass-governance-retention: true`"
    IfMatch "`If-Match` other than `*`"
    SourceCurrent "the source without `versionId`"
    SourceVersion "the source with `versionId`"
    TagsReplaced "`x-amz-tagging-directive: REPLACE` and `x-amz-tagging`"
    TagsCopied "no `x-amz-tagging-directive: REPLACE`, and the source has tags"
    TagsCopiedCurrent "no `x-amz-tagging-directive: REPLACE`, and the source has tags and no `versionId`"
    TagsCopiedVersion "no `x-amz-tagging-directive: REPLACE`, and the source has tags and a `versionId`"
    AnnotationsCopied "no `x-amz-object-annotation-directive: EXCLUDE`, and the source has annotations"
    AnnotationsCopiedCurrent "no `x-amz-object-annotation-directive: EXCLUDE`, and the source has annotations and no `versionId`"
    AnnotationsCopiedVersion "no `x-amz-object-annotation-directive: EXCLUDE`, and the source has annotations and a `versionId`"
    ObjectLockEnabled "`x-amz-bucket-object-lock-enabled: true`"
    ObjectOwnership "`x-amz-object-ownership`"
    BodyTags "the body has a tag"
    EntryCurrent "without `VersionId`"
    EntryVersion "with `VersionId`"
    EntryETag "with an `ETag` other than `*`"
    FormAcl "form field `acl`"
    FormTagging "form field `tagging`"
    FormRetention "form field `x-amz-object-lock-mode`, `x-amz-object-lock-retain-until-date` or `x-amz-object-lock-event-hold*`"
    FormLegalHold "form field `x-amz-object-lock-legal-hold`"
}

const fn rule(action: Action, on: On) -> Rule {
    Rule { action: Needed::Own(action), on, when: Always }
}

const fn anything(action: Action) -> Rule {
    rule(action, On::Anything)
}

const fn bucket(action: Action) -> Rule {
    rule(action, On::Bucket)
}

const fn object(action: Action) -> Rule {
    rule(action, On::Object)
}

const fn source(action: Action) -> Rule {
    rule(action, On::Source)
}

const fn entry(action: Action) -> Rule {
    rule(action, On::Entry)
}

const fn form(action: Action) -> Rule {
    rule(action, On::Form)
}

const fn elsewhere(action: ForeignAction) -> Rule {
    Rule { action: Needed::Foreign(action), on: On::Anything, when: Always }
}

impl Rule {
    const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }
}

/// The actions an operation needs.
pub(super) fn rules(operation: Operation) -> &'static [Rule] {
    match operation {
        Operation::AbortMultipartUpload => const { &[object(AbortMultipartUpload)] },
        Operation::CompleteMultipartUpload => const { &[object(PutObject), object(GetObject).when(IfMatch)] },
        Operation::CopyObject => {
            const {
                &[
                    object(PutObject),
                    source(GetObject).when(SourceCurrent),
                    source(GetObjectVersion).when(SourceVersion),
                    object(PutObjectAcl).when(Acl),
                    object(PutObjectRetention).when(Retention),
                    object(PutObjectLegalHold).when(LegalHold),
                    object(PutObjectTagging).when(TagsReplaced),
                    object(GetObject).when(IfMatch),
                    source(GetObjectTagging).when(TagsCopiedCurrent),
                    source(GetObjectVersionTagging).when(TagsCopiedVersion),
                    object(PutObjectTagging).when(TagsCopied),
                    source(GetObjectAnnotation).when(AnnotationsCopiedCurrent),
                    source(GetObjectVersionAnnotation).when(AnnotationsCopiedVersion),
                    object(PutObjectAnnotation).when(AnnotationsCopied),
                ]
            }
        }
        Operation::CorsPreflight | Operation::GetServiceRoot => const { &[] },
        Operation::CreateBucket => {
            const {
                &[
                    bucket(CreateBucket),
                    bucket(PutBucketAcl).when(AclNotPrivate),
                    bucket(PutBucketObjectLockConfiguration).when(ObjectLockEnabled),
                    bucket(PutBucketVersioning).when(ObjectLockEnabled),
                    bucket(PutBucketOwnershipControls).when(ObjectOwnership),
                    bucket(TagResource).when(BodyTags),
                ]
            }
        }
        Operation::CreateBucketMetadataConfiguration | Operation::CreateBucketMetadataTableConfiguration => {
            const { &[bucket(CreateBucketMetadataTableConfiguration)] }
        }
        Operation::CreateMultipartUpload => {
            const {
                &[
                    object(PutObject),
                    object(PutObjectAcl).when(Acl),
                    object(PutObjectRetention).when(Retention),
                    object(PutObjectLegalHold).when(LegalHold),
                    object(PutObjectTagging).when(Tagging),
                ]
            }
        }
        Operation::CreateSession | Operation::RenameObject => const { &[elsewhere(CreateSession)] },
        Operation::DeleteBucket => const { &[bucket(DeleteBucket)] },
        Operation::DeleteBucketAnalyticsConfiguration | Operation::PutBucketAnalyticsConfiguration => {
            const { &[bucket(PutAnalyticsConfiguration)] }
        }
        Operation::DeleteBucketCors | Operation::PutBucketCors => const { &[bucket(PutBucketCORS)] },
        Operation::DeleteBucketEncryption | Operation::PutBucketEncryption => {
            const { &[bucket(PutEncryptionConfiguration)] }
        }
        Operation::DeleteBucketIntelligentTieringConfiguration
        | Operation::PutBucketIntelligentTieringConfiguration => {
            const { &[bucket(PutIntelligentTieringConfiguration)] }
        }
        Operation::DeleteBucketInventoryConfiguration | Operation::PutBucketInventoryConfiguration => {
            const { &[bucket(PutInventoryConfiguration)] }
        }
        Operation::DeleteBucketLifecycle | Operation::PutBucketLifecycleConfiguration => {
            const { &[bucket(PutLifecycleConfiguration)] }
        }
        Operation::DeleteBucketMetadataConfiguration | Operation::DeleteBucketMetadataTableConfiguration => {
            const { &[bucket(DeleteBucketMetadataTableConfiguration)] }
        }
        Operation::DeleteBucketMetricsConfiguration | Operation::PutBucketMetricsConfiguration => {
            const { &[bucket(PutMetricsConfiguration)] }
        }
        Operation::DeleteBucketOwnershipControls | Operation::PutBucketOwnershipControls => {
            const { &[bucket(PutBucketOwnershipControls)] }
        }
        Operation::DeleteBucketPolicy => const { &[bucket(DeleteBucketPolicy)] },
        Operation::DeleteBucketReplication | Operation::PutBucketReplication => {
            const { &[bucket(PutReplicationConfiguration)] }
        }
        Operation::DeleteBucketTagging | Operation::PutBucketTagging => const { &[bucket(PutBucketTagging)] },
        Operation::DeleteBucketWebsite => const { &[bucket(DeleteBucketWebsite)] },
        Operation::DeleteObject => {
            const {
                &[
                    object(DeleteObject).when(NoVersion),
                    object(DeleteObjectVersion).when(Version),
                    object(BypassGovernanceRetention).when(BypassGovernance),
                    object(GetObject).when(IfMatch),
                ]
            }
        }
        Operation::DeleteObjectAnnotation => {
            const {
                &[
                    object(DeleteObjectAnnotation).when(NoVersion),
                    object(DeleteObjectVersionAnnotation).when(Version),
                    object(BypassGovernanceRetention).when(BypassGovernance),
                ]
            }
        }
        Operation::DeleteObjectTagging => {
            const { &[object(DeleteObjectTagging).when(NoVersion), object(DeleteObjectVersionTagging).when(Version)] }
        }
        Operation::DeleteObjects => {
            const {
                &[
                    entry(DeleteObject).when(EntryCurrent),
                    entry(DeleteObjectVersion).when(EntryVersion),
                    entry(BypassGovernanceRetention).when(BypassGovernance),
                    entry(GetObject).when(EntryETag),
                ]
            }
        }
        Operation::DeletePublicAccessBlock | Operation::PutPublicAccessBlock => {
            const { &[bucket(PutBucketPublicAccessBlock)] }
        }
        Operation::GetBucketAbac => const { &[bucket(GetBucketAbac)] },
        Operation::GetBucketAccelerateConfiguration => const { &[bucket(GetAccelerateConfiguration)] },
        Operation::GetBucketAcl => const { &[bucket(GetBucketAcl)] },
        Operation::GetBucketAnalyticsConfiguration | Operation::ListBucketAnalyticsConfigurations => {
            const { &[bucket(GetAnalyticsConfiguration)] }
        }
        Operation::GetBucketCors => const { &[bucket(GetBucketCORS)] },
        Operation::GetBucketEncryption => const { &[bucket(GetEncryptionConfiguration)] },
        Operation::GetBucketIntelligentTieringConfiguration | Operation::ListBucketIntelligentTieringConfigurations => {
            const { &[bucket(GetIntelligentTieringConfiguration)] }
        }
        Operation::GetBucketInventoryConfiguration | Operation::ListBucketInventoryConfigurations => {
            const { &[bucket(GetInventoryConfiguration)] }
        }
        Operation::GetBucketLifecycleConfiguration => const { &[bucket(GetLifecycleConfiguration)] },
        Operation::GetBucketLocation => const { &[bucket(GetBucketLocation)] },
        Operation::GetBucketLogging => const { &[bucket(GetBucketLogging)] },
        Operation::GetBucketMetadataConfiguration | Operation::GetBucketMetadataTableConfiguration => {
            const { &[bucket(GetBucketMetadataTableConfiguration)] }
        }
        Operation::GetBucketMetricsConfiguration | Operation::ListBucketMetricsConfigurations => {
            const { &[bucket(GetMetricsConfiguration)] }
        }
        Operation::GetBucketNotificationConfiguration => const { &[bucket(GetBucketNotification)] },
        Operation::GetBucketOwnershipControls => const { &[bucket(GetBucketOwnershipControls)] },
        Operation::GetBucketPolicy => const { &[bucket(GetBucketPolicy)] },
        Operation::GetBucketPolicyStatus => const { &[bucket(GetBucketPolicyStatus)] },
        Operation::GetBucketReplication => const { &[bucket(GetReplicationConfiguration)] },
        Operation::GetBucketRequestPayment => const { &[bucket(GetBucketRequestPayment)] },
        Operation::GetBucketTagging => const { &[bucket(GetBucketTagging)] },
        Operation::GetBucketVersioning => const { &[bucket(GetBucketVersioning)] },
        Operation::GetBucketWebsite => const { &[bucket(GetBucketWebsite)] },
        Operation::GetObject | Operation::HeadObject => {
            const { &[object(GetObject).when(NoVersion), object(GetObjectVersion).when(Version)] }
        }
        Operation::GetObjectAcl => {
            const { &[object(GetObjectAcl).when(NoVersion), object(GetObjectVersionAcl).when(Version)] }
        }
        Operation::GetObjectAnnotation => {
            const { &[object(GetObjectAnnotation).when(NoVersion), object(GetObjectVersionAnnotation).when(Version)] }
        }
        Operation::GetObjectAttributes => {
            const {
                &[
                    object(GetObject).when(NoVersion),
                    object(GetObjectVersion).when(Version),
                    object(GetObjectAttributes).when(NoVersion),
                    object(GetObjectVersionAttributes).when(Version),
                ]
            }
        }
        Operation::GetObjectLegalHold => const { &[object(GetObjectLegalHold)] },
        Operation::GetObjectLockConfiguration => const { &[bucket(GetBucketObjectLockConfiguration)] },
        Operation::GetObjectRetention => const { &[object(GetObjectRetention)] },
        Operation::GetObjectTagging => {
            const { &[object(GetObjectTagging).when(NoVersion), object(GetObjectVersionTagging).when(Version)] }
        }
        Operation::GetObjectTorrent => {
            const { &[object(GetObjectTorrent).when(NoVersion), object(GetObjectVersionTorrent).when(Version)] }
        }
        Operation::GetPublicAccessBlock => const { &[bucket(GetBucketPublicAccessBlock)] },
        Operation::HeadBucket | Operation::ListObjects | Operation::ListObjectsV2 => const { &[bucket(ListBucket)] },
        Operation::ListBuckets => const { &[anything(ListAllMyBuckets)] },
        Operation::ListDirectoryBuckets => const { &[elsewhere(ListAllMyDirectoryBuckets)] },
        Operation::ListMultipartUploads => const { &[bucket(ListBucketMultipartUploads)] },
        Operation::ListObjectAnnotations => {
            const { &[object(ListObjectAnnotations).when(NoVersion), object(ListObjectVersionAnnotations).when(Version)] }
        }
        Operation::ListObjectVersions => const { &[bucket(ListBucketVersions)] },
        Operation::ListParts => const { &[object(ListMultipartUploadParts)] },
        Operation::PostObject => {
            const {
                &[
                    form(PutObject),
                    form(PutObjectAcl).when(FormAcl),
                    form(PutObjectTagging).when(FormTagging),
                    form(PutObjectRetention).when(FormRetention),
                    form(PutObjectLegalHold).when(FormLegalHold),
                ]
            }
        }
        Operation::PutBucketAbac => const { &[bucket(PutBucketAbac)] },
        Operation::PutBucketAccelerateConfiguration => const { &[bucket(PutAccelerateConfiguration)] },
        Operation::PutBucketAcl => const { &[bucket(PutBucketAcl)] },
        Operation::PutBucketLogging => const { &[bucket(PutBucketLogging)] },
        Operation::PutBucketNotificationConfiguration => const { &[bucket(PutBucketNotification)] },
        Operation::PutBucketPolicy => const { &[bucket(PutBucketPolicy)] },
        Operation::PutBucketRequestPayment => const { &[bucket(PutBucketRequestPayment)] },
        Operation::PutBucketVersioning => const { &[bucket(PutBucketVersioning)] },
        Operation::PutBucketWebsite => const { &[bucket(PutBucketWebsite)] },
        Operation::PutObject => {
            const {
                &[
                    object(PutObject),
                    object(PutObjectAcl).when(Acl),
                    object(PutObjectRetention).when(Retention),
                    object(PutObjectLegalHold).when(LegalHold),
                    object(PutObjectTagging).when(Tagging),
                    object(GetObject).when(IfMatch),
                ]
            }
        }
        Operation::PutObjectAcl => {
            const { &[object(PutObjectAcl).when(NoVersion), object(PutObjectVersionAcl).when(Version)] }
        }
        Operation::PutObjectAnnotation => {
            const { &[object(PutObjectAnnotation).when(NoVersion), object(PutObjectVersionAnnotation).when(Version)] }
        }
        Operation::PutObjectLegalHold => const { &[object(PutObjectLegalHold)] },
        Operation::PutObjectLockConfiguration => const { &[bucket(PutBucketObjectLockConfiguration)] },
        Operation::PutObjectRetention => {
            const { &[object(PutObjectRetention), object(BypassGovernanceRetention).when(BypassGovernance)] }
        }
        Operation::PutObjectTagging => {
            const { &[object(PutObjectTagging).when(NoVersion), object(PutObjectVersionTagging).when(Version)] }
        }
        Operation::RestoreObject => const { &[object(RestoreObject)] },
        Operation::SelectObjectContent => const { &[object(GetObject)] },
        Operation::UpdateBucketMetadataAnnotationTableConfiguration => {
            const { &[bucket(UpdateBucketMetadataAnnotationTableConfiguration)] }
        }
        Operation::UpdateBucketMetadataInventoryTableConfiguration => {
            const { &[bucket(UpdateBucketMetadataInventoryTableConfiguration)] }
        }
        Operation::UpdateBucketMetadataJournalTableConfiguration => {
            const { &[bucket(UpdateBucketMetadataJournalTableConfiguration)] }
        }
        Operation::UpdateObjectEncryption => const { &[object(UpdateObjectEncryption)] },
        Operation::UploadPart => const { &[object(PutObject)] },
        Operation::UploadPartCopy => {
            const {
                &[
                    object(PutObject),
                    source(GetObject).when(SourceCurrent),
                    source(GetObjectVersion).when(SourceVersion),
                ]
            }
        }
        Operation::WriteGetObjectResponse => const { &[elsewhere(WriteGetObjectResponse)] },
    }
}
