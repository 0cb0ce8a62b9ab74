//! What an operator does to the policies that are kept here, beside the requests: [`Administration`].
//!
//! No caller is authenticated and no permission asked for here: whoever holds an [`Administration`] is the operator. All
//! else is as it is for `?policy`: the same rules for a document, the same turn of a bucket, the same store, and the same
//! auditor, to whom the principal is [`ADMIN`].

mod import;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::change::{BegunChange, ChangeKind, Outcome, PolicyChange};
use super::layer::{BucketPolicyLayer, Handler, Shared};
use super::respond::RequestId;
use crate::ownership::{Ownership, OwnershipError};
use crate::policy::{
    AccessRequest, Account, AccountId, Action, CanonicalUserId, Context, Decision, InvalidPolicy, Policies, Policy,
    Principal, Problem, decide,
};
use crate::s3::address::BucketName;
use crate::s3::checksum::hex;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::{Change, OwnerRegistry, PolicyStore, StoreError};

pub use import::{Import, Imported, Kept};

/// The principal of what is done through an [`Administration`], as the store and the audit trail name it.
pub const ADMIN: &str = "admin";

/// The operator's way to the policies that a [`BucketPolicyLayer`] keeps.
///
/// Its changes and those of the layer's requests take turns, so either sees the other's whole.
#[derive(Clone)]
pub struct Administration {
    shared: Arc<Shared>,
    store: Arc<dyn PolicyStore>,
    registry: Arc<dyn OwnerRegistry>,
}

/// A request of the operator's, as the audit trail tells of it.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// The request's id.
    pub request_id: RequestId,
    /// Where it came from, where known.
    pub peer: Option<IpAddr>,
}

/// What must be so for a change to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    #[default]
    Anything,
    /// The bucket has no policy.
    NoPolicy,
    /// It has one.
    SomePolicy,
    /// The policy in force is one of these revisions.
    Revisions(Vec<u64>),
}

/// A policy that was put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutDone {
    /// Its revision.
    pub revision: u64,
    /// What is accepted, but may not be meant.
    pub warnings: Vec<Problem>,
}

impl BucketPolicyLayer {
    /// The operator's way to the policies; `registry` is the one that the layer's owners record creators in. None where
    /// the inner service keeps the policies.
    pub fn administration(&self, registry: Arc<dyn OwnerRegistry>) -> Option<Administration> {
        match &self.shared.handler {
            Handler::Store(store) => {
                Some(Administration { shared: Arc::clone(&self.shared), store: Arc::clone(store), registry })
            }
            Handler::Forward { .. } => None,
        }
    }
}

impl Administration {
    /// The store, for reading. What changes it goes through here, or it would have no turn and no audit line.
    pub fn store(&self) -> &dyn PolicyStore {
        &*self.store
    }

    /// The registry of owners, for reading.
    pub fn registry(&self) -> &dyn OwnerRegistry {
        &*self.registry
    }

    /// Puts a policy in force by the rules of `PUT ?policy`, but that nobody can be locked out here: what the guard would
    /// look at is a warning. `BlockPublicPolicy` holds for the operator as well; at Amazon it holds for the account's
    /// root user, and who means it takes the block away first, which has an audit line of its own.
    ///
    /// # Errors
    /// [`AdministrationError`]; unless it is of the store, nothing was changed.
    pub async fn put(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
        document: Bytes,
        expected: &Expected,
    ) -> Result<PutDone, AdministrationError> {
        let _turn = self.shared.locks.lock(bucket).await;
        self.put_in_turn(occasion, bucket, document, expected).await
    }

    async fn put_in_turn(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
        document: Bytes,
        expected: &Expected,
    ) -> Result<PutDone, AdministrationError> {
        let validated = Policy::parse(&document, bucket.as_str()).map_err(AdministrationError::Invalid)?;
        // A policy without a bucket would greet the next bucket of that name, or be gone with its creation.
        if !self.shared.owners.exists(bucket).await.map_err(AdministrationError::Owner)? {
            return Err(AdministrationError::NoSuchBucket);
        }
        self.check(bucket, expected).await?;
        let policy = Arc::new(validated.policy);
        if policy.is_public() {
            let in_force = self.store.in_force(bucket).await.map_err(AdministrationError::Store)?;
            if in_force.public_access_block.is_some_and(|block| block.block_public_policy) {
                return Err(AdministrationError::PublicPolicyBlocked);
            }
        }
        let mut warnings = validated.warnings;
        warnings.extend(self.lock_out_warning(bucket, &policy).await);

        let begun = self.begin(occasion, ChangeKind::Put, bucket, Some(sha256(&document)), None);
        let revision = told(begun, self.store.put(bucket, document, policy, self.change(occasion)).await, Some)?;
        Ok(PutDone { revision, warnings })
    }

    /// Puts the document of an earlier revision in force, as a new revision; it must be valid by today's rules.
    ///
    /// # Errors
    /// As for [`put`](Self::put), and [`AdministrationError::NoSuchRevision`] and [`AdministrationError::NoDocument`].
    pub async fn roll_back(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
        revision: u64,
        expected: &Expected,
    ) -> Result<PutDone, AdministrationError> {
        let _turn = self.shared.locks.lock(bucket).await;
        let history = self.store.history(bucket).await.map_err(AdministrationError::Store)?;
        let found = history.into_iter().find(|found| found.revision == revision);
        let found = found.ok_or(AdministrationError::NoSuchRevision(revision))?;
        let document = found.document.ok_or(AdministrationError::NoDocument(revision))?;
        self.put_in_turn(occasion, bucket, document, expected).await
    }

    /// Takes the policy out of force. `Ok(false)` where there was none.
    ///
    /// # Errors
    /// [`AdministrationError`].
    pub async fn delete(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
        expected: &Expected,
    ) -> Result<bool, AdministrationError> {
        let _turn = self.shared.locks.lock(bucket).await;
        self.check(bucket, expected).await?;
        let begun = self.begin(occasion, ChangeKind::Delete, bucket, None, None);
        told_if_changed(begun, self.store.delete(bucket, self.change(occasion)).await)
    }

    /// Puts a public access block in force.
    ///
    /// # Errors
    /// [`AdministrationError`].
    pub async fn put_public_access_block(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
        block: PublicAccessBlock,
    ) -> Result<(), AdministrationError> {
        let _turn = self.shared.locks.lock(bucket).await;
        if !self.shared.owners.exists(bucket).await.map_err(AdministrationError::Owner)? {
            return Err(AdministrationError::NoSuchBucket);
        }
        let begun = self.begin(occasion, ChangeKind::PutPublicAccessBlock, bucket, None, None);
        told(begun, self.store.put_public_access_block(bucket, block, self.change(occasion)).await, |()| None)
    }

    /// Takes the public access block out of force. `Ok(false)` where there was none.
    ///
    /// # Errors
    /// [`AdministrationError`].
    pub async fn delete_public_access_block(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
    ) -> Result<bool, AdministrationError> {
        let _turn = self.shared.locks.lock(bucket).await;
        let begun = self.begin(occasion, ChangeKind::DeletePublicAccessBlock, bucket, None, None);
        told_if_changed(begun, self.store.delete_public_access_block(bucket, self.change(occasion)).await)
    }

    /// Whether the policy in force is as expected, to be asked in the bucket's turn.
    async fn check(&self, bucket: &BucketName, expected: &Expected) -> Result<(), AdministrationError> {
        if *expected == Expected::Anything {
            // Nor can an unreadable record keep anybody from replacing it.
            return Ok(());
        }
        let present = self.store.get(bucket).await.map_err(AdministrationError::Store)?.map(|record| record.revision);
        let holds = match expected {
            Expected::Anything => true,
            Expected::NoPolicy => present.is_none(),
            Expected::SomePolicy => present.is_some(),
            Expected::Revisions(revisions) => present.is_some_and(|present| revisions.contains(&present)),
        };
        if holds { Ok(()) } else { Err(AdministrationError::NotAsExpected { present }) }
    }

    /// Says so where the policy denies its own replacement to a user of the owner's account whom it does not know.
    async fn lock_out_warning(&self, bucket: &BucketName, policy: &Policy) -> Option<Problem> {
        // Who cannot be told of the owner is not told of its users.
        let Ok(Ownership::Account(owner)) = self.shared.owners.owner(bucket).await else { return None };
        let canonical_id = CanonicalUserId::parse(&"0".repeat(64))?;
        let account = Account { id: owner.clone(), canonical_id };
        let somebody = Principal::user(account, "/", "somebody", "AIDASOMEBODY", [].into());
        let (resource, context) = (bucket.arn(), Context::new());
        let request = AccessRequest {
            principal: &somebody,
            action: Action::PutBucketPolicy,
            resource: &resource,
            context: &context,
        };
        let policies = Policies { identity: &[], bucket: Some(policy), owner: &owner };
        let decided = decide(&request, &policies);
        if decided.decision() != Decision::ExplicitDeny {
            return None;
        }
        let statement = decided.by().next().map(|by| match policies.sid(by) {
            Some(sid) => format!("Statement {} (Sid {sid:?})", by.statement),
            None => format!("Statement NO_ID-{}", by.statement),
        });
        Some(Problem { message: LOCK_OUT.to_owned(), detail: statement })
    }

    fn change(&self, occasion: &Occasion) -> Change {
        Change { at: (self.shared.clock)(), by: ADMIN.to_owned(), request_id: occasion.request_id.as_str().to_owned() }
    }

    /// A change of which the auditor is told when it has ended.
    fn begin(
        &self,
        occasion: &Occasion,
        kind: ChangeKind,
        bucket: &BucketName,
        sha256: Option<String>,
        owner: Option<AccountId>,
    ) -> BegunChange {
        let change = PolicyChange {
            at: (self.shared.clock)(),
            request_id: occasion.request_id.as_str().to_owned(),
            kind,
            bucket: bucket.clone(),
            by: Some(ADMIN.to_owned()),
            account: None,
            peer: occasion.peer,
            sha256,
            owner,
            outcome: Outcome::unknown(),
        };
        BegunChange::new(self.shared.auditor.clone(), change)
    }
}

const LOCK_OUT: &str = "The policy may deny s3:PutBucketPolicy to users of the account that owns the bucket. Whom it denies \
                        cannot put another through S3; the account's root user and this API always can.";

impl fmt::Debug for Administration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administration").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// Why the operator's request was not done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdministrationError {
    /// The document is not a policy.
    Invalid(InvalidPolicy),
    /// The store behind has no such bucket.
    NoSuchBucket,
    /// The history does not hold this revision.
    NoSuchRevision(u64),
    /// This revision is a deletion.
    NoDocument(u64),
    /// The policy in force is another than was expected.
    NotAsExpected {
        /// Its revision; none where there is no policy.
        present: Option<u64>,
    },
    /// The policy is public, and the bucket's `BlockPublicPolicy` is on.
    PublicPolicyBlocked,
    /// Something else is stored for the bucket that is to be imported.
    InTheWay,
    /// The store could not answer, or not acknowledge the change.
    Store(StoreError),
    /// The bucket's owner or existence could not be known, or its owner not be recorded.
    Owner(OwnershipError),
}

impl fmt::Display for AdministrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::NoSuchBucket => f.write_str("the bucket does not exist"),
            Self::NoSuchRevision(revision) => write!(f, "revision {revision} is not in the bucket's history"),
            Self::NoDocument(revision) => {
                write!(f, "revision {revision} is a deletion and has no document: delete the policy instead")
            }
            Self::NotAsExpected { present: Some(revision) } => write!(f, "the policy in force is revision {revision}"),
            Self::NotAsExpected { present: None } => f.write_str("the bucket has no policy"),
            Self::PublicPolicyBlocked => {
                f.write_str("public policies are blocked by the BlockPublicPolicy setting of the bucket")
            }
            Self::InTheWay => f.write_str("something else is stored for the bucket already"),
            Self::Store(error) => error.fmt(f),
            Self::Owner(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AdministrationError {}

fn sha256(document: &[u8]) -> String {
    hex(&Sha256::digest(document))
}

/// Tells the auditor what a change came to; `revision` is the one it made.
fn told<T>(
    begun: BegunChange,
    stored: Result<T, StoreError>,
    revision: impl FnOnce(T) -> Option<u64>,
) -> Result<T, AdministrationError>
where
    T: Copy,
{
    match stored {
        Ok(stored) => {
            begun.ended(Outcome::Stored { revision: revision(stored) });
            Ok(stored)
        }
        Err(error) => {
            begun.ended(Outcome::Failed { reason: error.to_string() });
            Err(AdministrationError::Store(error))
        }
    }
}

/// The same of one that may have found nothing to change.
fn told_if_changed(begun: BegunChange, stored: Result<bool, StoreError>) -> Result<bool, AdministrationError> {
    if matches!(stored, Ok(false)) {
        begun.changed_nothing();
        return Ok(false);
    }
    told(begun, stored, |_| None)
}
