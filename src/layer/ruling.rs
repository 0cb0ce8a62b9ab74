//! What do the policies in force say to a request?
//!
//! All that a decision rests on is fetched once: the owner, the policy and the public access block of each bucket the
//! request touches, and of the store what a policy in force asks about. So a request is decided by one state of things,
//! whatever changes meanwhile. Follows `docs/operations.md` for what is needed, and Amazon's "Policy evaluation logic" and
//! "Blocking public access to your Amazon S3 storage".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::denied::{DenialReason, PolicyDenial};
use super::findings::Conclusion;
use super::layer::Handler;
use super::policy_api::{
    EXPECTED_OWNER, SOURCE_EXPECTED_OWNER, expected_owner, no_such_bucket, unavailable, unresolved,
};
use super::service::Exchange;
use super::store_facts::StoreFacts;
use crate::auth::identity::Identity;
use crate::ownership::Ownership;
use crate::policy::{
    AccessRequest, AccountId, Action, ConditionKey, Decision, KeySet, Policies, Policy, Principal, decide, explain,
};
use crate::s3::acl;
use crate::s3::action_map::{
    Access, AccessSubject, ForeignAction, Head, Requirement, SourceFact, copy_source, element_in, requirements,
};
use crate::s3::address::{BucketName, ObjectKey};
use crate::s3::context::{AccessFacts, RequestDetails, RequestFacts, SignatureFacts, Subject, check_headers};
use crate::s3::copy_source::CopySource;
use crate::s3::delete_objects::ObjectToDelete;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::form::Form;
use crate::s3::operation::Operation;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::spans::{Kind, Span, Value};

const PREFIX: ConditionKey = ConditionKey::named("s3:prefix");
const EXISTING_OBJECT_TAG: ConditionKey = ConditionKey::named("s3:ExistingObjectTag");
const BUCKET_TAG: ConditionKey = ConditionKey::named("s3:BucketTag");
const RESOURCE_TAG: ConditionKey = ConditionKey::named("aws:ResourceTag");

/// A request to be decided.
pub(crate) struct Case<'r> {
    pub(crate) operation: Operation,
    /// What it says before its body; its headers are the effective ones.
    pub(crate) head: Head<'r>,
    /// Who asks; nobody known for the anonymous caller.
    pub(crate) identity: Option<&'r Identity>,
    /// How they signed.
    pub(crate) signature: Option<SignatureFacts<'r>>,
    /// The body, of a form its beginning, where the decision depends on it.
    pub(crate) body: Option<&'r [u8]>,
    /// What a form says.
    pub(crate) form: Option<&'r Form>,
}

impl Case<'_> {
    fn principal(&self) -> &Principal {
        self.identity.map_or(&Principal::Anonymous, |identity| &identity.principal)
    }
}

/// What came of deciding.
#[derive(Debug, Default)]
pub(crate) struct Ruling {
    /// The account whose bucket the request is on; of one that is on none, the caller's.
    pub(crate) account: Option<AccountId>,
    /// Why the request is denied.
    pub(crate) denied: Option<PolicyDenial>,
    /// The entries of a `POST ?delete`, each with why it is denied.
    pub(crate) entries: Vec<(ObjectToDelete, Option<PolicyDenial>)>,
    /// Whether the caller may not know that an object is not there, since they may not list the bucket.
    pub(crate) hides_absence: bool,
}

/// How many denials of one request are explained in full. A batch of a thousand keys is denied for few reasons.
const EXPLAINED: usize = 16;

/// What is in force for a bucket.
#[derive(Clone)]
struct InForce {
    owner: AccountId,
    policy: Option<Arc<Policy>>,
    block: PublicAccessBlock,
}

/// What is asked about a bucket, and who owns it for the asking.
#[derive(Clone)]
enum Standing {
    Bucket(InForce),
    /// The request is on no bucket, or on none yet: it is the caller's own account that lets them.
    Own(AccountId),
    /// Nobody may, whatever policies say.
    Closed(DenialReason),
}

impl Standing {
    /// The same for a caller who expects this account to own the bucket.
    fn expecting(self, expected: Option<AccountId>) -> Self {
        match (&self, expected) {
            (Self::Bucket(in_force), Some(expected)) if expected != in_force.owner => {
                Self::Closed(DenialReason::UnexpectedOwner)
            }
            _ => self,
        }
    }
}

/// Says of the span of a decision what came of it.
fn describe(span: &Span, ruling: &Result<Ruling, S3Error>) {
    let conclusion = match ruling {
        Ok(ruling) if ruling.denied.is_some() || ruling.entries.iter().any(|(_, denial)| denial.is_some()) => {
            Conclusion::Denied
        }
        Ok(_) => Conclusion::Allowed,
        Err(_) => Conclusion::Refused,
    };
    span.set("portcullis.decision", Value::Word(conclusion.as_str()));
    if let Err(error) = ruling
        && error.status().is_server_error()
    {
        span.failed(Value::Word(error.code().name()));
    }
}

impl Exchange {
    /// Decides a request.
    ///
    /// # Errors
    /// [`S3Error`] where it cannot be decided: it is malformed, there is no such bucket, or something needed to decide
    /// does not answer.
    pub(crate) async fn rule(&self, case: &Case<'_>) -> Result<Ruling, S3Error> {
        let span = self.findings.span().map(|span| span.child("decide", Kind::Internal));
        let started = Instant::now();
        let ruling = self.decide(case).await;
        self.shared.tally.took(started.elapsed());
        if let Some(span) = span {
            describe(&span, &ruling);
        }
        ruling
    }

    async fn decide(&self, case: &Case<'_>) -> Result<Ruling, S3Error> {
        check_headers(case.head.headers)?;
        let requirements = requirements(case.operation, case.head, case.body)?;
        let details = RequestDetails::read(case.operation, case.head.headers, case.form, case.body)?;
        let source = copy_source(case.operation, case.head.headers)?;
        self.check_keys(case, source.as_ref(), &requirements)?;
        let target = match case.head.address.bucket() {
            Some(bucket) if case.operation != Operation::CreateBucket => self.standing(bucket).await?,
            Some(_) | None => own_account(case),
        };
        let source = match source {
            // Within one bucket both sides are decided by one policy, even if it is changed this moment.
            Some(source) if Some(&source.bucket) == case.head.address.bucket() => Some((source, target.clone())),
            Some(source) => {
                let standing = self.standing(&source.bucket).await?;
                Some((source, standing))
            }
            None => None,
        };
        let target = target.expecting(expected_owner(case.head.headers, EXPECTED_OWNER)?);
        let source_owner = expected_owner(case.head.headers, SOURCE_EXPECTED_OWNER)?;
        let source = source.map(|(source, standing)| (source, standing.expecting(source_owner)));
        let account = match &target {
            Standing::Bucket(in_force) => Some(in_force.owner.clone()),
            Standing::Own(account) => Some(account.clone()),
            Standing::Closed(_) => None,
        };
        let hearing = |target| Hearing {
            exchange: self,
            case,
            details: &details,
            target,
            source: source.as_ref(),
            explained: AtomicUsize::new(0),
        };
        let again = (case.operation == Operation::CreateBucket).then(|| requirements.clone());
        let mut ruling = hearing(&target).hear(requirements).await?;
        if let Some(requirements) = again
            && ruling.denied.is_none()
            && let Some(bucket) = case.head.address.bucket()
            && self.refuse_others_bucket(bucket, account.as_ref()).await?
        {
            // Made once more it stays as it is, or gets another ACL: that must suit its policy and its owner as well.
            ruling = hearing(&self.standing(bucket).await?).hear(requirements).await?;
        }
        ruling.account = account;
        Ok(ruling)
    }

    /// Why nothing that an anonymous caller asks of a bucket can be granted, whatever their request's body says. It is not
    /// worth reading then.
    ///
    /// # Errors
    /// As of [`rule`](Self::rule).
    pub(super) async fn shuts_out_strangers(
        &self,
        operation: Operation,
        bucket: &BucketName,
    ) -> Result<Option<PolicyDenial>, S3Error> {
        let denied = |reason| Some(PolicyDenial::of(operation.name(), &bucket.arn(), reason));
        if operation == Operation::CreateBucket {
            return Ok(denied(DenialReason::Anonymous));
        }
        Ok(match self.standing(bucket).await? {
            Standing::Bucket(InForce { policy: Some(_), .. }) => None,
            Standing::Bucket(InForce { policy: None, .. }) | Standing::Own(_) => denied(DenialReason::ImplicitDeny),
            Standing::Closed(reason) => denied(reason),
        })
    }

    /// What is in force for a bucket, all of one moment.
    async fn standing(&self, bucket: &BucketName) -> Result<Standing, S3Error> {
        let owner = match self.shared.owners.owner(bucket).await.map_err(unresolved)? {
            Ownership::Account(owner) => owner,
            Ownership::NoSuchBucket => return Err(no_such_bucket(bucket)),
            Ownership::Unknown => return Ok(Standing::Closed(DenialReason::UnknownOwner)),
        };
        let (policy, block) = match &self.shared.handler {
            Handler::Store(store) => {
                let in_force = store.in_force(bucket).await.map_err(|error| unavailable(&error))?;
                let policy = in_force.policy.map(|record| Arc::clone(&record.policy));
                (policy, in_force.public_access_block.unwrap_or_default())
            }
            Handler::Forward { present } => {
                let policy = match present {
                    Some(source) => source.policy(bucket).await.map_err(|error| unavailable(&error))?,
                    None => None,
                };
                // The store's own, and the store's to enforce.
                (policy, PublicAccessBlock::default())
            }
        };
        Ok(Standing::Bucket(InForce { owner, policy, block }))
    }

    /// Who makes a bucket that another account has would, at a store that knows us alone, be told it is theirs already,
    /// and perhaps change it. Whether it is the account's own, and there.
    pub(super) async fn refuse_others_bucket(
        &self,
        bucket: &BucketName,
        account: Option<&AccountId>,
    ) -> Result<bool, S3Error> {
        match self.shared.owners.owner(bucket).await.map_err(unresolved)? {
            Ownership::NoSuchBucket => Ok(false),
            Ownership::Account(owner) if Some(&owner) == account => Ok(true),
            Ownership::Account(_) | Ownership::Unknown => {
                Err(S3Error::new(ErrorCode::BucketAlreadyExists).with_field("BucketName", bucket.as_str()))
            }
        }
    }

    /// What is decided on must be what the store acts on.
    fn check_keys(
        &self,
        case: &Case<'_>,
        source: Option<&CopySource>,
        requirements: &[Requirement],
    ) -> Result<(), S3Error> {
        let entries = requirements.iter().filter_map(|requirement| match requirement {
            Requirement::Entry(entry, _) => Some(&entry.key),
            Requirement::Access(_) | Requirement::AccessIf(..) | Requirement::Foreign(_) => None,
        });
        let named = [case.head.address.key(), source.map(|source| &source.key), case.form.map(Form::key)];
        let may_be_folder =
            matches!(case.operation, Operation::PutObject | Operation::DeleteObject | Operation::DeleteObjects);
        let check = |key| self.shared.key_rule.check(key, may_be_folder);
        named.into_iter().flatten().chain(entries).try_for_each(check)
    }

    fn store_facts(&self) -> Result<&dyn StoreFacts, S3Error> {
        self.shared.store_facts.as_deref().ok_or_else(|| {
            tracing::error!("a policy asks about what only the store knows, and nothing asks the store");
            ErrorCode::ServiceUnavailable.into()
        })
    }
}

/// A request on no bucket, or on one that is yet to be made.
fn own_account(case: &Case<'_>) -> Standing {
    match case.principal().account() {
        Some(account) => Standing::Own(account.id.clone()),
        None => Standing::Closed(DenialReason::Anonymous),
    }
}

/// One request being decided.
struct Hearing<'h> {
    exchange: &'h Exchange,
    case: &'h Case<'h>,
    details: &'h RequestDetails,
    target: &'h Standing,
    source: Option<&'h (CopySource, Standing)>,
    /// How many denials were explained so far.
    explained: AtomicUsize,
}

impl Hearing<'_> {
    async fn hear(&self, requirements: Vec<Requirement>) -> Result<Ruling, S3Error> {
        let mut ruling = Ruling::default();
        if self.case.operation == Operation::GetServiceRoot {
            // Nobody signed it, and nobody's list of buckets is none of ours.
            ruling.denied = Some(PolicyDenial::of("s3:ListAllMyBuckets", "*", DenialReason::Anonymous));
        }
        if self.case.operation == Operation::RestoreObject
            && element_in(self.case.body.unwrap_or_default(), "OutputLocation")?
        {
            // The result of a query, to be written to a bucket that nobody decided on; Amazon has closed it to new users.
            ruling.denied = Some(PolicyDenial::of("s3:RestoreObject", &self.resource(), DenialReason::ForeignAction));
        }
        if self.case.operation == Operation::CreateMultipartUpload && self.case.identity.is_none() {
            // "Anonymous users cannot initiate multipart uploads", whatever a policy grants.
            ruling.denied = Some(PolicyDenial::of("s3:PutObject", &self.resource(), DenialReason::Anonymous));
        }
        for requirement in requirements {
            if ruling.denied.is_some() {
                break;
            }
            let denied = match requirement {
                Requirement::Access(access) => self.judge(&access, None).await?,
                Requirement::AccessIf(fact, access) => match self.judge(&access, None).await? {
                    Some(denied) if self.holds(fact).await? => Some(denied),
                    Some(_) | None => None,
                },
                Requirement::Entry(object, accesses) => {
                    let mut denied = None;
                    for access in &accesses {
                        denied = denied.or(self.judge(access, Some(&object)).await?);
                    }
                    ruling.entries.push((object, denied));
                    None
                }
                Requirement::Foreign(action) => Some(foreign(action)),
            };
            ruling.denied = ruling.denied.or(denied);
        }
        if ruling.denied.is_none() && self.public_acl_is_blocked()? {
            let is_buckets = self.case.operation == Operation::PutBucketAcl;
            let action = if is_buckets { "s3:PutBucketAcl" } else { "s3:PutObjectAcl" };
            ruling.denied = Some(PolicyDenial::of(action, &self.resource(), DenialReason::BlockPublicAcls));
        }
        if ruling.denied.is_none() && matches!(self.case.operation, Operation::GetObject | Operation::HeadObject) {
            ruling.hides_absence = !self.may_list();
        }
        Ok(ruling)
    }

    /// Whether the caller could find out by a list whether the key is there. To others S3 answers for a key that is not
    /// there as for one that is denied (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).
    fn may_list(&self) -> bool {
        let (Standing::Bucket(in_force), Some(bucket)) = (self.target, self.case.head.address.bucket()) else {
            return false;
        };
        let (principal, owner) = (self.case.principal(), &in_force.owner);
        let identity = self.case.identity.map_or(&[][..], |identity| &identity.policies);
        let policies = Policies { identity, bucket: in_force.policy.as_deref(), owner };
        let keys = policies.condition_keys(principal);
        let facts = AccessFacts {
            action: Action::ListBucket,
            owner: Some(owner),
            subject: Subject::Bucket,
            object_tags: &[],
            bucket_tags: &[],
        };
        let mut context = self.request_facts().context(&facts, keys);
        // The list that would tell is the one of this very key.
        if let Some(key) = self.case.head.address.key().filter(|_| keys.contains(PREFIX)) {
            context.set_key(PREFIX, [key.as_str()]);
        }
        let arn = bucket.arn();
        let request = AccessRequest { principal, action: Action::ListBucket, resource: &arn, context: &context };
        decide(&request, &policies).decision() == Decision::Allow
    }

    /// What the request is on, as an ARN.
    fn resource(&self) -> String {
        let bucket = self.case.head.address.bucket().map(BucketName::arn).unwrap_or_default();
        match self.case.head.address.key().or(self.case.form.map(Form::key)) {
            Some(key) => format!("{bucket}/{key}"),
            None => bucket,
        }
    }

    /// Whether one access is denied, and why.
    async fn judge(&self, access: &Access, entry: Option<&ObjectToDelete>) -> Result<Option<PolicyDenial>, S3Error> {
        let standing = match (access.subject, self.source) {
            (AccessSubject::Source, Some((_, standing))) => standing,
            _ => self.target,
        };
        let (owner, policy, block) = match standing {
            Standing::Bucket(in_force) => (&in_force.owner, in_force.policy.as_deref(), in_force.block),
            Standing::Own(account) => (account, None, PublicAccessBlock::default()),
            Standing::Closed(reason) => {
                return Ok(Some(PolicyDenial::of(access.action.name(), &access.resource, *reason)));
            }
        };
        let principal = self.case.principal();
        let identity = self.case.identity.map_or(&[][..], |identity| &identity.policies);
        let policies = Policies { identity, bucket: policy, owner };
        let keys = policies.condition_keys(principal);
        let tags = self.tags(access, entry, keys).await?;
        let subject = match (access.subject, self.source, entry) {
            (AccessSubject::Service, ..) => Subject::Service,
            (AccessSubject::Bucket, ..) => Subject::Bucket,
            (AccessSubject::Source, Some((source, _)), _) => Subject::Source(source),
            (AccessSubject::Object | AccessSubject::Source, _, Some(entry)) => Subject::Entry(entry),
            (AccessSubject::Object | AccessSubject::Source, _, None) => Subject::Object,
        };
        let facts = AccessFacts {
            action: access.action,
            owner: Some(owner),
            subject,
            object_tags: &tags.object,
            bucket_tags: &tags.bucket,
        };
        let context = self.request_facts().context(&facts, keys);
        let request = AccessRequest { principal, action: access.action, resource: &access.resource, context: &context };
        let decided = decide(&request, &policies);
        if decided.decision() != Decision::Allow {
            if self.explained.fetch_add(1, Ordering::Relaxed) >= EXPLAINED {
                return Ok(Some(PolicyDenial::decided(&request, &policies, &decided)));
            }
            let explanation = explain(&request, &policies);
            return Ok(Some(PolicyDenial::explained(&request, &policies, &explanation)));
        }
        let is_stranger = principal.account().is_none_or(|account| account.id != *owner);
        if is_stranger && block.restrict_public_buckets && policy.is_some_and(Policy::is_public) {
            let reason = DenialReason::RestrictPublicBuckets;
            return Ok(Some(PolicyDenial::of(access.action.name(), &access.resource, reason)));
        }
        Ok(None)
    }

    fn request_facts(&self) -> RequestFacts<'_> {
        let exchange = self.exchange;
        RequestFacts {
            operation: self.case.operation,
            head: self.case.head,
            details: self.details,
            source_ip: exchange.peer,
            secure_transport: exchange.tls.is_some(),
            tls_version: exchange.tls.and_then(|tls| tls.version).map(|version| version.as_str()),
            now: exchange.responder.now,
            region: &exchange.shared.region,
            signature: self.case.signature,
        }
    }

    /// What the store knows of the object or bucket, where a policy in force asks.
    async fn tags(&self, access: &Access, entry: Option<&ObjectToDelete>, keys: KeySet) -> Result<Tags, S3Error> {
        let mut tags = Tags::default();
        let asks = |key: ConditionKey| keys.contains(key) && key.supports(access.action);
        let address = self.case.head.address;
        let object = match (access.subject, self.source) {
            (AccessSubject::Source, Some((source, _))) => {
                Some((&source.bucket, &source.key, source.version_id.as_deref()))
            }
            (AccessSubject::Object, _) => {
                let (key, version) = match (entry, self.case.form) {
                    (Some(entry), _) => (Some(&entry.key), entry.version_id.as_deref()),
                    (None, Some(form)) => (Some(form.key()), None),
                    (None, None) => (address.key(), self.case.head.query.get("versionId")),
                };
                address.bucket().zip(key).map(|(bucket, key)| (bucket, key, version))
            }
            _ => None,
        };
        if let Some((bucket, key, version)) = object.filter(|_| asks(EXISTING_OBJECT_TAG)) {
            tags.object = self.exchange.store_facts()?.object_tags(bucket, key, version).await.map_err(unknown)?;
        }
        let bucket = object.map(|(bucket, ..)| bucket).or(address.bucket());
        let is_made = self.case.operation != Operation::CreateBucket;
        if let Some(bucket) = bucket.filter(|_| is_made && (asks(BUCKET_TAG) || asks(RESOURCE_TAG))) {
            tags.bucket = self.exchange.store_facts()?.bucket_tags(bucket).await.map_err(unknown)?;
        }
        Ok(tags)
    }

    /// What only a look at the source of a copy can tell.
    async fn holds(&self, fact: SourceFact) -> Result<bool, S3Error> {
        let Some((source, _)) = self.source else { return Ok(true) };
        let (bucket, key, version): (&BucketName, &ObjectKey, _) =
            (&source.bucket, &source.key, source.version_id.as_deref());
        let facts = self.exchange.store_facts()?;
        match fact {
            SourceFact::HasTags => facts.object_tags(bucket, key, version).await.map(|tags| !tags.is_empty()),
            SourceFact::HasAnnotations => facts.has_annotations(bucket, key, version).await,
        }
        .map_err(unknown)
    }

    /// `BlockPublicAcls`: no ACL opens to the public what the bucket's owner wants closed.
    fn public_acl_is_blocked(&self) -> Result<bool, S3Error> {
        use Operation::{
            CopyObject, CreateBucket, CreateMultipartUpload, PostObject, PutBucketAcl, PutObject, PutObjectAcl,
        };
        let Standing::Bucket(InForce { block: PublicAccessBlock { block_public_acls: true, .. }, .. }) = self.target
        else {
            return Ok(false);
        };
        let by_headers = acl::grants_public_access(self.case.head.headers);
        match self.case.operation {
            PutObject | CopyObject | CreateBucket | CreateMultipartUpload => Ok(by_headers),
            PutObjectAcl | PutBucketAcl => {
                let body = self.case.body.unwrap_or_default();
                Ok(by_headers || (!body.trim_ascii().is_empty() && acl::body_grants_public_access(body)?))
            }
            PostObject => Ok(self.case.form.and_then(|form| form.get("acl")).is_some_and(acl::canned_is_public)),
            _ => Ok(false),
        }
    }
}

#[derive(Default)]
struct Tags {
    object: Vec<(String, String)>,
    bucket: Vec<(String, String)>,
}

fn foreign(action: ForeignAction) -> PolicyDenial {
    PolicyDenial::of(action.name(), "*", DenialReason::ForeignAction)
}

fn unknown(error: super::store_facts::StoreFactsError) -> S3Error {
    tracing::error!(%error, "what a policy asks about is not known");
    ErrorCode::ServiceUnavailable.into()
}
