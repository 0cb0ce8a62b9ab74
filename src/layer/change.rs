//! What an auditor is told of a change of what is in force for a bucket.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::policy::AccountId;
use crate::s3::address::BucketName;

/// The client's address: the other end of the connection a request came by, or, where that is a trusted proxy, the one
/// that the proxy vouches for. Whoever accepts connections puts it among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// What was done to a bucket's policy, or to its public access block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A policy was put in force.
    Put,
    /// It was taken out of force.
    Delete,
    /// A public access block was put in force.
    PutPublicAccessBlock,
    /// It was taken out of force.
    DeletePublicAccessBlock,
    /// The bucket is gone, and all that was stored for it.
    Purge,
    /// An operator put what an archive holds in place of all that was stored for it.
    Import,
}

impl ChangeKind {
    /// As it is written in the audit trail: `put`, `delete`, `put_public_access_block`, `delete_public_access_block`,
    /// `purge` or `import`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::PutPublicAccessBlock => "put_public_access_block",
            Self::DeletePublicAccessBlock => "delete_public_access_block",
            Self::Purge => "purge",
            Self::Import => "import",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored durably, as this revision where the change made one.
    Stored {
        /// The revision of the change.
        revision: Option<u64>,
    },
    /// Sent on to the store, which answered this status.
    Forwarded {
        /// The store's answer.
        status: u16,
    },
    /// Not acknowledged: storing failed.
    Failed {
        /// Why, for the log alone.
        reason: String,
    },
}

impl Outcome {
    /// What a change that has begun stands at, until more is known.
    pub(crate) fn unknown() -> Self {
        Self::Failed { reason: "the caller went away before it was known; the change may have been made".to_owned() }
    }
}

/// A policy was changed, or a permitted change failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChange {
    /// When.
    pub at: SystemTime,
    /// The request that did it.
    pub request_id: String,
    /// What was done.
    pub kind: ChangeKind,
    /// To which bucket's policy.
    pub bucket: BucketName,
    /// The ARN of the caller, or [`ADMIN`](super::ADMIN); none where a bucket was deleted in a request that the store alone judged.
    pub by: Option<String>,
    /// The caller's account.
    pub account: Option<AccountId>,
    /// The caller's address, where known.
    pub peer: Option<IpAddr>,
    /// SHA-256 of the policy that came into force, in hexadecimal.
    pub sha256: Option<String>,
    /// The account that an import recorded as the bucket's creator.
    pub owner: Option<AccountId>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Gets every [`PolicyChange`], once, before the client has its answer. It is called on the request path, so it must
/// not block for long.
#[derive(Clone)]
pub(crate) struct Auditor(pub(crate) Arc<dyn Fn(&PolicyChange) + Send + Sync>);

/// A change under way. The auditor hears of it in any case: also when its caller goes away, and the request with them,
/// for what was handed to a store by then is done all the same.
#[derive(Debug)]
pub(crate) struct BegunChange {
    auditor: Option<Auditor>,
    /// Its outcome stands for one that is never known, until it is.
    change: PolicyChange,
}

impl BegunChange {
    pub(crate) fn new(auditor: Option<Auditor>, change: PolicyChange) -> Self {
        Self { auditor, change }
    }

    /// It ended like this.
    pub(crate) fn ended(mut self, outcome: Outcome) {
        self.change.outcome = outcome;
    }

    /// There was nothing to change, so there is nothing to tell.
    pub(crate) fn changed_nothing(mut self) {
        self.auditor = None;
    }
}

impl Drop for BegunChange {
    fn drop(&mut self) {
        if let Some(Auditor(tell)) = &self.auditor {
            tell(&self.change);
        }
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auditor")
    }
}
