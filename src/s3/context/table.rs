//! Where the value of every condition key comes from, or why no request has it.
//!
//! Written after Amazon's "Actions, resources, and condition keys for Amazon S3" and "AWS global condition context keys".

use super::super::operation::Operation;
use crate::policy::ConditionKey;
use Kind::{Address, Arn, Bool, Date, Number, Text, Texts};
use Source::*;

/// A key and its source.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: ConditionKey,
    #[cfg_attr(not(test), expect(dead_code, reason = "told in docs/condition-keys.md"))]
    pub(super) kind: Kind,
    pub(super) source: Source,
}

/// What the values of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Several texts.
    Texts,
    Number,
    Date,
    Bool,
    Address,
    Arn,
}

/// Where the value of a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This header, as sent; of a form, what this says.
    Header(&'static str, OfForm),
    /// This header of an upload or field of a form; of `UpdateObjectEncryption`, what this element of its body says.
    Encryption(&'static str, &'static str),
    /// This parameter of the query, decoded.
    Parameter(&'static str),
    /// A header of an upload, which the body of an operation of its own or a field of a form may say too.
    Lock(Lock),
    /// This element of the body of an operation.
    Body(Operation, &'static str),
    /// The version that is accessed.
    VersionId,
    /// `If-Match`, or the ETag of an entry of a `POST ?delete`.
    IfMatch,
    /// The object that a copy reads.
    CopiedObject,
    /// `x-amz-content-sha256`, and what a presigned URL without it means.
    ContentSha256,
    /// Whether an upload makes an object, or only a part of one.
    ObjectCreation,
    /// How long an object is to be kept.
    RemainingRetention,
    /// The tags that an upload or `PutObjectTagging` gives an object.
    RequestObjectTags,
    /// Their names.
    RequestObjectTagKeys,
    /// The tags of the object that is accessed.
    ExistingObjectTags,
    /// The tags of the bucket that is accessed.
    BucketTags,
    /// The tags that `CreateBucket` gives the bucket.
    RequestBucketTags,
    /// Their names.
    RequestBucketTagKeys,
    /// The account that owns the bucket.
    Owner,
    /// The client's address.
    ClientAddress,
    /// Whether the client came by TLS.
    SecureTransport,
    /// By which version of it.
    TlsVersion,
    /// The time of the request, as a date.
    CurrentTime,
    /// The same, in seconds since 1970.
    EpochTime,
    /// Where the signature stands.
    AuthType,
    /// How old it is.
    SignatureAge,
    /// Which algorithm it is of.
    SignatureVersion,
    /// The region the request is for.
    Region,
    /// False of every request.
    Never,
    /// False of every request that is signed.
    NeverWhenSigned,
    /// False of every request that is signed with temporary credentials.
    NeverWhenTemporary,
    /// What the policy language knows of the caller by itself.
    Caller(&'static str),
    /// No request has it here, for this reason.
    Absent(&'static str),
}

/// What an upload by form has in the place of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfForm {
    /// The header all the same: it is the browser's.
    Header,
    /// This field, and no header.
    Field(&'static str),
    /// Nothing: forms have no such thing.
    Nothing,
}

/// How an object is to be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    /// The header, and the field of a form.
    pub(super) header: &'static str,
    /// What it may be.
    pub(super) value: LockValue,
    /// Where it stands in the body of `PutObjectRetention` or `PutObjectLegalHold`.
    pub(super) element: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockValue {
    /// `GOVERNANCE` or `COMPLIANCE`.
    Mode,
    /// ISO 8601.
    Date,
    /// `ON` or `OFF`.
    Switch,
    /// A number.
    Days,
}

/// The source of a key.
#[expect(clippy::indexing_slicing, reason = "there is a place for each key")]
pub(super) fn source(key: ConditionKey) -> Source {
    SOURCES[key.position()]
}

/// The keys of [`Source::Lock`].
pub(super) fn locks() -> impl Iterator<Item = (ConditionKey, Lock)> {
    ROWS.iter().filter_map(|row| match row.source {
        Lock(lock) => Some((row.key, lock)),
        _ => None,
    })
}

/// The keys that a form has in its fields, each with the field's name.
pub(super) fn form_fields() -> impl Iterator<Item = (ConditionKey, &'static str)> {
    ROWS.iter().filter_map(|row| match row.source {
        Header(_, OfForm::Field(field)) | Encryption(field, _) => Some((row.key, field)),
        _ => None,
    })
}

/// By the key's position.
static SOURCES: [Source; ConditionKey::COUNT] = sources();

/// Every key has one row: that it is so the compiler sees.
#[expect(clippy::indexing_slicing, clippy::panic, reason = "done by the compiler, where a panic is a compile error")]
const fn sources() -> [Source; ConditionKey::COUNT] {
    let mut rows = [None; ConditionKey::COUNT];
    let mut at = 0;
    while at < ROWS.len() {
        let position = ROWS[at].key.position();
        assert!(rows[position].is_none(), "a key with two rows");
        rows[position] = Some(ROWS[at].source);
        at += 1;
    }
    let mut sources = [Never; ConditionKey::COUNT];
    let mut at = 0;
    while at < sources.len() {
        sources[at] = match rows[at] {
            Some(source) => source,
            None => panic!("a key without a row"),
        };
        at += 1;
    }
    sources
}

const ACCESS_GRANTS: Source = Absent("access grants are made by Amazon's S3 Control, which no store has");
const ACCESS_POINT: Source = Absent("access points are made by Amazon's S3 Control, which no store has");
const BATCH_JOB: Source = Absent("batch jobs are Amazon's S3 Control's, which no store has");
const BY_SERVICE: Source = Absent("no service of Amazon's calls here for somebody");
const EC2: Source = Absent("set by the metadata service of Amazon's EC2");
const FAULT_INJECTION: Source = Absent("set by Amazon's Fault Injection Service");
const FEDERATED: Source = Absent("no session here comes from a federation");
const LOG_DELIVERY: Source = Absent("set by Amazon's log delivery");
const MCP: Source = Absent("set by Amazon's MCP servers");
const ORGANIZATION: Source = Absent("accounts here belong to no organization");
const OTHER_SERVICE: Source = Absent("set by another service of Amazon's in its own sessions");
const SESSION: Source = Absent("temporary credentials here do not tell");
const VPC_ENDPOINT: Source = Absent("there are no VPC endpoints outside Amazon's network");

/// Every key that Amazon lists.
pub(super) const ROWS: &[Row] = &[
    row("s3:AccessGrantsInstanceArn", Arn, ACCESS_GRANTS),
    row("s3:AccessPointNetworkOrigin", Text, ACCESS_POINT),
    row("s3:AccessPointTag", Text, ACCESS_POINT),
    row("s3:BucketTag", Text, BucketTags),
    row("s3:DataAccessPointAccount", Text, ACCESS_POINT),
    row("s3:DataAccessPointArn", Arn, ACCESS_POINT),
    row("s3:ExistingObjectTag", Text, ExistingObjectTags),
    row(
        "s3:InventoryAccessibleOptionalFields",
        Texts,
        Body(Operation::PutBucketInventoryConfiguration, "OptionalFields/Field"),
    ),
    row("s3:ObjectCreationOperation", Bool, ObjectCreation),
    row("s3:RequestObjectTag", Text, RequestObjectTags),
    row("s3:RequestObjectTagKeys", Texts, RequestObjectTagKeys),
    row("s3:ResourceAccount", Text, Owner),
    row("s3:TlsVersion", Number, TlsVersion),
    row("s3:annotation-prefix", Text, Parameter("annotation-prefix")),
    row("s3:authType", Text, AuthType),
    row("s3:delimiter", Text, Parameter("delimiter")),
    row("s3:deliverySourceArn", Arn, LOG_DELIVERY),
    row("s3:destinationRegion", Text, FAULT_INJECTION),
    row("s3:if-match", Text, IfMatch),
    row("s3:if-none-match", Text, Header("if-none-match", OfForm::Nothing)),
    row("s3:isReplicationPauseRequest", Bool, FAULT_INJECTION),
    row("s3:locationconstraint", Text, Body(Operation::CreateBucket, "LocationConstraint")),
    row("s3:logType", Text, LOG_DELIVERY),
    row("s3:max-annotation-results", Number, Parameter("max-annotation-results")),
    row("s3:max-keys", Number, Parameter("max-keys")),
    row("s3:object-lock-event-hold", Text, lock("x-amz-object-lock-event-hold", LockValue::Switch, "EventHold")),
    row(
        "s3:object-lock-event-hold-duration-days",
        Number,
        lock("x-amz-object-lock-event-hold-duration-days", LockValue::Days, "EventHoldDuration/Days"),
    ),
    row("s3:object-lock-legal-hold", Text, lock("x-amz-object-lock-legal-hold", LockValue::Switch, "Status")),
    row("s3:object-lock-mode", Text, lock("x-amz-object-lock-mode", LockValue::Mode, "Mode")),
    row("s3:object-lock-remaining-retention-days", Number, RemainingRetention),
    row(
        "s3:object-lock-retain-until-date",
        Date,
        lock("x-amz-object-lock-retain-until-date", LockValue::Date, "RetainUntilDate"),
    ),
    row("s3:prefix", Text, Parameter("prefix")),
    row("s3:resourceArnBeingAuthorized", Arn, LOG_DELIVERY),
    row("s3:signatureAge", Number, SignatureAge),
    row("s3:signatureversion", Text, SignatureVersion),
    row("s3:versionid", Text, VersionId),
    row("s3:x-amz-acl", Text, Header("x-amz-acl", OfForm::Field("acl"))),
    row("s3:x-amz-bucket-namespace", Text, Header("x-amz-bucket-namespace", OfForm::Nothing)),
    row("s3:x-amz-content-sha256", Text, ContentSha256),
    row("s3:x-amz-copy-source", Text, CopiedObject),
    row("s3:x-amz-grant-full-control", Text, Header("x-amz-grant-full-control", OfForm::Nothing)),
    row("s3:x-amz-grant-read", Text, Header("x-amz-grant-read", OfForm::Nothing)),
    row("s3:x-amz-grant-read-acp", Text, Header("x-amz-grant-read-acp", OfForm::Nothing)),
    row("s3:x-amz-grant-write", Text, Header("x-amz-grant-write", OfForm::Nothing)),
    row("s3:x-amz-grant-write-acp", Text, Header("x-amz-grant-write-acp", OfForm::Nothing)),
    row("s3:x-amz-metadata-directive", Text, Header("x-amz-metadata-directive", OfForm::Nothing)),
    row("s3:x-amz-object-annotation-directive", Text, Header("x-amz-object-annotation-directive", OfForm::Nothing)),
    row("s3:x-amz-object-if-match", Text, Header("x-amz-object-if-match", OfForm::Nothing)),
    row("s3:x-amz-object-ownership", Text, Header("x-amz-object-ownership", OfForm::Nothing)),
    row("s3:x-amz-server-side-encryption", Text, Encryption("x-amz-server-side-encryption", "SSE-KMS")),
    row(
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        Arn,
        Encryption("x-amz-server-side-encryption-aws-kms-key-id", "SSE-KMS/KMSKeyArn"),
    ),
    row(
        "s3:x-amz-server-side-encryption-customer-algorithm",
        Text,
        field("x-amz-server-side-encryption-customer-algorithm"),
    ),
    row("s3:x-amz-storage-class", Text, field("x-amz-storage-class")),
    row("s3:x-amz-website-redirect-location", Text, field("x-amz-website-redirect-location")),
    row("aws:PrincipalArn", Arn, Caller("the caller's ARN; of a role's session the role's, of nobody none")),
    row("aws:PrincipalAccount", Text, Caller("the caller's account; `anonymous` of nobody")),
    row("aws:PrincipalOrgPaths", Texts, ORGANIZATION),
    row("aws:PrincipalOrgID", Text, ORGANIZATION),
    row("aws:PrincipalTag", Text, Caller("the tags of the user or role")),
    row("aws:PrincipalIsAWSService", Bool, NeverWhenSigned),
    row("aws:PrincipalServiceName", Text, BY_SERVICE),
    row("aws:PrincipalServiceNamesList", Texts, BY_SERVICE),
    row("aws:PrincipalType", Text, Caller("`Anonymous`, `Account` (a root user), `User` or `AssumedRole`")),
    row(
        "aws:userid",
        Text,
        Caller("the caller's unique id; of a role's session `ROLEID:SESSION`, of nobody `anonymous`"),
    ),
    row("aws:username", Text, Caller("the user's name; of others none")),
    row("aws:AssumedRoot", Bool, SESSION),
    row("aws:FederatedProvider", Text, FEDERATED),
    row("aws:TokenIssueTime", Date, SESSION),
    row("aws:MultiFactorAuthAge", Number, Absent("nobody signs in here, so nobody does it with MFA")),
    row("aws:MultiFactorAuthPresent", Bool, NeverWhenTemporary),
    row("aws:ChatbotSourceArn", Arn, OTHER_SERVICE),
    row("aws:Ec2InstanceSourceVpc", Text, EC2),
    row("aws:Ec2InstanceSourcePrivateIPv4", Address, EC2),
    row("aws:SourceIdentity", Text, SESSION),
    row("aws:SourceIp", Address, ClientAddress),
    row("aws:SourceVpc", Text, VPC_ENDPOINT),
    row("aws:SourceVpcArn", Arn, VPC_ENDPOINT),
    row("aws:SourceVpce", Text, VPC_ENDPOINT),
    row("aws:VpceAccount", Text, VPC_ENDPOINT),
    row("aws:VpceOrgPaths", Texts, VPC_ENDPOINT),
    row("aws:VpceOrgID", Text, VPC_ENDPOINT),
    row("aws:VpcSourceIp", Address, VPC_ENDPOINT),
    row("aws:ResourceAccount", Text, Owner),
    row("aws:ResourceOrgID", Text, ORGANIZATION),
    row("aws:ResourceOrgPaths", Texts, ORGANIZATION),
    row("aws:ResourceTag", Text, BucketTags),
    row("aws:CalledVia", Texts, BY_SERVICE),
    row("aws:CalledViaFirst", Text, BY_SERVICE),
    row("aws:CalledViaLast", Text, BY_SERVICE),
    row("aws:ViaAWSService", Bool, Never),
    row("aws:CurrentTime", Date, CurrentTime),
    row("aws:EpochTime", Date, EpochTime),
    row("aws:referer", Text, Header("referer", OfForm::Header)),
    row("aws:RequestedRegion", Text, Region),
    row("aws:RequestTag", Text, RequestBucketTags),
    row("aws:TagKeys", Texts, RequestBucketTagKeys),
    row("aws:SecureTransport", Bool, SecureTransport),
    row("aws:SourceArn", Arn, BY_SERVICE),
    row("aws:SourceAccount", Text, BY_SERVICE),
    row("aws:SourceOwner", Text, BY_SERVICE),
    row("aws:SourceOrgPaths", Texts, BY_SERVICE),
    row("aws:SourceOrgID", Text, BY_SERVICE),
    row("aws:UserAgent", Text, Header("user-agent", OfForm::Header)),
    row("ec2:RoleDelivery", Number, EC2),
    row("ec2:SourceInstanceArn", Arn, EC2),
    row("glue:RoleAssumedBy", Text, OTHER_SERVICE),
    row("glue:CredentialIssuingService", Text, OTHER_SERVICE),
    row("lambda:SourceFunctionArn", Arn, OTHER_SERVICE),
    row("ssm:SourceInstanceArn", Arn, OTHER_SERVICE),
    row("identitystore:UserId", Text, OTHER_SERVICE),
    row("aws:CalledViaAWSMCP", Text, MCP),
    row("aws:ViaAWSMCPService", Bool, MCP),
    row("aws:IsMcpServiceAction", Bool, MCP),
    row("accounts.google.com:aud", Text, FEDERATED),
    row("accounts.google.com:oaud", Text, FEDERATED),
    row("accounts.google.com:sub", Text, FEDERATED),
    row("cognito-identity.amazonaws.com:amr", Texts, FEDERATED),
    row("cognito-identity.amazonaws.com:aud", Text, FEDERATED),
    row("cognito-identity.amazonaws.com:sub", Text, FEDERATED),
    row("graph.facebook.com:app_id", Text, FEDERATED),
    row("graph.facebook.com:id", Text, FEDERATED),
    row("saml:namequalifier", Text, FEDERATED),
    row("saml:sub", Text, FEDERATED),
    row("saml:sub_type", Text, FEDERATED),
    row("www.amazon.com:app_id", Text, FEDERATED),
    row("www.amazon.com:user_id", Text, FEDERATED),
    row("s3:AccessGrantScope", Text, ACCESS_GRANTS),
    row("s3:AccessGrantsLocationScope", Text, ACCESS_GRANTS),
    row("s3:ExistingJobOperation", Text, BATCH_JOB),
    row("s3:ExistingJobPriority", Number, BATCH_JOB),
    row("s3:JobSuspendedCause", Text, BATCH_JOB),
    row("s3:RequestJobOperation", Text, BATCH_JOB),
    row("s3:RequestJobPriority", Number, BATCH_JOB),
];

const fn row(name: &str, kind: Kind, source: Source) -> Row {
    Row { key: ConditionKey::named(name), kind, source }
}

/// A header that is a field of its name in a form.
const fn field(header: &'static str) -> Source {
    Header(header, OfForm::Field(header))
}

const fn lock(header: &'static str, value: LockValue, element: &'static str) -> Source {
    Lock(self::Lock { header, value, element })
}
