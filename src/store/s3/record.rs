//! How what is kept of a bucket lies in its object, and whether it is still what was written.
//!
//! ```text
//! {"portcullis":"bucket","version":1,"sha256":"…"}
//! {"bucket":"photos","last_revision":7,"revisions":[{"revision":7,"document":"{…}","at":…,"by":"…","request_id":"…"}],…}
//! ```
//!
//! The first line's hash is of all that follows it, so that an object which was cut short, altered by hand or put in the
//! place of another is found out. It is no protection against somebody who may write to the bucket.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::policy::{AccountId, Policy};
use crate::s3::address::BucketName;
use crate::s3::checksum::hex;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::switches::Switches;
use crate::store::{Change, InForce, PolicyRecord, REVISIONS_KEPT, Revision};

/// The only version so far. Another layout takes another number.
const VERSION: u64 = 1;

/// The longest object that is read, in bytes: a full history of the longest documents, with room to spare.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;

/// All that is kept of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The last number given. It outlives a purge, so that a number means one change.
    pub(super) last_revision: u64,
    /// Newest first.
    pub(super) revisions: VecDeque<Revision>,
    /// The public access block, or the note that it was taken away; with its last change.
    pub(super) block: Option<(Option<PublicAccessBlock>, Change)>,
}

impl Record {
    /// Adds a revision under the next number.
    pub(super) fn add(&mut self, document: Option<Bytes>, change: Change) -> u64 {
        self.last_revision += 1;
        self.revisions.push_front(Revision { revision: self.last_revision, document, change });
        self.revisions.truncate(REVISIONS_KEPT);
        self.last_revision
    }

    /// Whether there is nothing but the last number.
    pub(super) fn is_nothing(&self) -> bool {
        self.revisions.is_empty() && self.block.is_none()
    }

    /// Whether a policy is in force.
    pub(super) fn has_policy(&self) -> bool {
        self.revisions.front().is_some_and(|newest| newest.document.is_some())
    }

    /// The public access block in force.
    pub(super) fn block_in_force(&self) -> Option<PublicAccessBlock> {
        self.block.as_ref().and_then(|(block, _)| *block)
    }

    /// What is in force, with the policy that the newest document compiles to.
    pub(super) fn in_force(&self, policy: Option<Arc<Policy>>) -> InForce {
        let policy = self.revisions.front().zip(policy).and_then(|(newest, policy)| {
            let document = newest.document.clone()?;
            Some(Arc::new(PolicyRecord { document, policy, revision: newest.revision, change: newest.change.clone() }))
        });
        InForce { policy, public_access_block: self.block_in_force() }
    }

    /// What is in force, compiled anew.
    pub(super) fn compiled(&self, bucket: &BucketName) -> Result<InForce, Damage> {
        let newest = self.revisions.front().and_then(|newest| newest.document.as_ref());
        let policy = match newest {
            Some(document) => {
                let validated = Policy::parse(document, bucket.as_str());
                let validated = validated.map_err(|error| Damage(format!("its policy is not valid: {error}")))?;
                Some(Arc::new(validated.policy))
            }
            None => None,
        };
        Ok(self.in_force(policy))
    }

    /// How long the object of a purged bucket is at most, which is but a number. Any that says more is longer.
    pub(super) fn longest_nothing(bucket: &BucketName) -> u64 {
        let nothing = Self { last_revision: u64::MAX, ..Self::default() };
        nothing.encode(bucket).map_or(u64::MAX, |object| object.len() as u64)
    }

    /// The last number that an object speaks of which is not to be trusted, or one that none has had.
    pub(super) fn last_revision_of(object: &[u8]) -> u64 {
        #[derive(Deserialize)]
        struct Number {
            last_revision: u64,
        }
        let body = object.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
        let told = serde_json::from_slice(body).map(|Number { last_revision }| last_revision);
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        told.ok().filter(|number| *number < u64::MAX / 2).unwrap_or(seconds)
    }

    /// The object.
    pub(super) fn encode(&self, bucket: &BucketName) -> Result<Bytes, Damage> {
        let Self { last_revision, revisions, block } = self;
        seal(
            Kind::Bucket,
            &BucketBody {
                bucket: bucket.as_str().to_owned(),
                last_revision: *last_revision,
                revisions: revisions.iter().map(RevisionBody::of).collect(),
                public_access_block: block.as_ref().map(|(block, change)| BlockBody {
                    block: block.map(Switches::from),
                    change: ChangeBody::of(change),
                }),
            },
        )
    }

    /// Reads an object that should be the one of `bucket`.
    pub(super) fn decode(bucket: &BucketName, object: &[u8]) -> Result<Self, Damage> {
        let body: BucketBody = open(Kind::Bucket, object)?;
        if body.bucket != bucket.as_str() {
            return Err(Damage(format!("it is of bucket {:?}", body.bucket)));
        }
        let revisions = body.revisions.into_iter().map(RevisionBody::into_revision).collect::<Result<_, _>>()?;
        let block = body.public_access_block.map(|BlockBody { block, change }| (block.map(Into::into), change.into()));
        Ok(Self { last_revision: body.last_revision, revisions, block })
    }
}

/// The object that says who made a bucket.
pub(super) fn encode_owner(bucket: &BucketName, account: &AccountId) -> Result<Bytes, Damage> {
    let body = OwnerBody { bucket: bucket.as_str().to_owned(), account: account.as_str().to_owned() };
    seal(Kind::Owner, &body)
}

pub(super) fn decode_owner(bucket: &BucketName, object: &[u8]) -> Result<AccountId, Damage> {
    let body: OwnerBody = open(Kind::Owner, object)?;
    if body.bucket != bucket.as_str() {
        return Err(Damage(format!("it is of bucket {:?}", body.bucket)));
    }
    AccountId::parse(&body.account).map_err(|error| Damage(error.to_string()))
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) String);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Bucket,
    Owner,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    portcullis: Kind,
    version: u64,
    sha256: String,
}

// What is not known in any of these could be what denies, so it is not passed over.

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketBody {
    bucket: String,
    last_revision: u64,
    revisions: Vec<RevisionBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_access_block: Option<BlockBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevisionBody {
    revision: u64,
    /// The exact bytes; of a deletion neither is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    /// The same, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_base64: Option<String>,
    change: ChangeBody,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    at: SystemTime,
    by: String,
    request_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockBody {
    /// None where it was taken out of force.
    block: Option<Switches>,
    change: ChangeBody,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerBody {
    bucket: String,
    account: String,
}

impl ChangeBody {
    fn of(change: &Change) -> Self {
        let Change { at, by, request_id } = change.clone();
        Self { at, by, request_id }
    }
}

impl From<ChangeBody> for Change {
    fn from(body: ChangeBody) -> Self {
        let ChangeBody { at, by, request_id } = body;
        Self { at, by, request_id }
    }
}

impl RevisionBody {
    fn of(revision: &Revision) -> Self {
        let Revision { revision, document, change } = revision;
        let text = document.as_ref().map(|document| std::str::from_utf8(document));
        let (document, document_base64) = match (document, text) {
            (_, Some(Ok(text))) => (Some(text.to_owned()), None),
            (Some(document), Some(Err(_))) => (None, Some(STANDARD.encode(document))),
            (None, _) | (Some(_), None) => (None, None),
        };
        Self { revision: *revision, document, document_base64, change: ChangeBody::of(change) }
    }

    fn into_revision(self) -> Result<Revision, Damage> {
        let document = match (self.document, self.document_base64) {
            (Some(text), None) => Some(Bytes::from(text)),
            (None, Some(encoded)) => {
                let decoded = STANDARD.decode(encoded);
                Some(decoded.map_err(|error| Damage(format!("its document is not base64: {error}")))?.into())
            }
            (None, None) => None,
            (Some(_), Some(_)) => return Err(Damage("one of its revisions has two documents".to_owned())),
        };
        Ok(Revision { revision: self.revision, document, change: self.change.into() })
    }
}

fn seal(kind: Kind, body: &impl Serialize) -> Result<Bytes, Damage> {
    let failed = |error: serde_json::Error| Damage(format!("it cannot be written: {error}"));
    let body = serde_json::to_vec(body).map_err(failed)?;
    let seal = Seal { portcullis: kind, version: VERSION, sha256: hex(&Sha256::digest(&body)) };
    let mut object = serde_json::to_vec(&seal).map_err(failed)?;
    object.push(b'\n');
    object.extend_from_slice(&body);
    Ok(object.into())
}

fn open<T: DeserializeOwned>(kind: Kind, object: &[u8]) -> Result<T, Damage> {
    let not_understood = |error: serde_json::Error| Damage(format!("it is not understood: {error}"));
    let mut lines = object.splitn(2, |byte| *byte == b'\n');
    let (first, body) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let seal: Seal = serde_json::from_slice(first).map_err(not_understood)?;
    if seal.version != VERSION {
        return Err(Damage(format!("it is of version {}, and only version {VERSION} is known", seal.version)));
    }
    if seal.portcullis != kind {
        return Err(Damage("it is something else that is kept".to_owned()));
    }
    if seal.sha256 != hex(&Sha256::digest(body)) {
        return Err(Damage("it is not what was written: its checksum does not match".to_owned()));
    }
    serde_json::from_slice(body).map_err(not_understood)
}
