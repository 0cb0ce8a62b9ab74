//! All that is kept of a bucket, to be taken elsewhere and brought back.

use crate::layer::administration::{Administration, AdministrationError, Occasion, sha256, told};
use crate::layer::change::{ChangeKind, Outcome};
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::{Contents, PastRevision, Revision, StoreError};

/// All that is kept of a bucket, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The history, newest first.
    pub revisions: Vec<Revision>,
    /// The public access block.
    pub public_access_block: Option<PublicAccessBlock>,
    /// The account recorded as the bucket's creator.
    pub owner: Option<AccountId>,
}

/// What is to be kept of a bucket from now on.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// History and policy, newest first. The document of the newest must be compiled, and is then in force.
    pub contents: Contents,
    /// The public access block; its change is the import.
    pub public_access_block: Option<PublicAccessBlock>,
    /// The account to record as the bucket's creator. None leaves the recorded one.
    pub owner: Option<AccountId>,
}

/// What an import made, or would make, of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// Nothing was kept of it before.
    New,
    /// Something else was.
    Replaced,
    /// The same was, so that nothing changed.
    Unchanged,
}

impl Administration {
    /// All that is kept of a bucket.
    ///
    /// # Errors
    /// [`StoreError`] when any of it cannot be read.
    pub async fn kept(&self, bucket: &BucketName) -> Result<Kept, StoreError> {
        let _turn = self.shared.locks.lock(bucket).await;
        self.kept_in_turn(bucket).await
    }

    /// Keeps of a bucket what `import` says and nothing else: in one step, but for its owner. Whether there is such a
    /// bucket is not asked; what is kept for one that is not there is forgotten when it is made. Nor does
    /// `BlockPublicPolicy` count: what comes into force was in force. With `rehearsal` all is looked at and nothing done.
    ///
    /// # Errors
    /// [`AdministrationError::InTheWay`] where something else is kept and `replace` is not set.
    pub async fn import(
        &self,
        occasion: &Occasion,
        bucket: &BucketName,
        import: Import,
        replace: bool,
        rehearsal: bool,
    ) -> Result<Imported, AdministrationError> {
        let _turn = self.shared.locks.lock(bucket).await;
        let imported = match self.kept_in_turn(bucket).await {
            Ok(kept) if is_the_same(&kept, &import) => Imported::Unchanged,
            Ok(kept) if is_nothing(&kept, &import) => Imported::New,
            // What cannot be read is there, and to replace it is how to be rid of it.
            Ok(_) | Err(StoreError::Unreadable { .. }) => Imported::Replaced,
            Err(error) => return Err(AdministrationError::Store(error)),
        };
        if imported == Imported::Replaced && !replace {
            return Err(AdministrationError::InTheWay);
        }
        if rehearsal || imported == Imported::Unchanged {
            return Ok(imported);
        }
        let Import { mut contents, public_access_block, owner } = import;
        contents.public_access_block = public_access_block.map(|block| (block, self.change(occasion)));
        let in_force = contents.revisions.first().and_then(|newest| newest.document.as_deref()).map(sha256);
        let begun = self.begin(occasion, ChangeKind::Import, bucket, in_force, owner.clone());
        if let Some(owner) = &owner {
            // First: a policy that grants to an owner must not be in force for another.
            if let Err(error) = self.shared.owners.created(bucket, Some(owner)).await {
                begun.ended(Outcome::Failed { reason: error.to_string() });
                return Err(AdministrationError::Owner(error));
            }
        }
        told(begun, self.store.restore(bucket, contents).await, |revision| revision)?;
        Ok(imported)
    }

    async fn kept_in_turn(&self, bucket: &BucketName) -> Result<Kept, StoreError> {
        Ok(Kept {
            public_access_block: self.store.in_force(bucket).await?.public_access_block,
            revisions: self.store.history(bucket).await?,
            owner: self.registry.get(bucket).await?,
        })
    }
}

fn is_nothing(kept: &Kept, import: &Import) -> bool {
    kept.revisions.is_empty() && kept.public_access_block.is_none() && owner_stays(kept, import, true)
}

fn is_the_same(kept: &Kept, import: &Import) -> bool {
    let Kept { revisions, public_access_block, .. } = kept;
    let same = |(kept, past): (&Revision, &PastRevision)| kept.document == past.document && kept.change == past.change;
    revisions.len() == import.contents.revisions.len()
        && revisions.iter().zip(&import.contents.revisions).all(same)
        && *public_access_block == import.public_access_block
        && owner_stays(kept, import, false)
}

/// Whether the recorded owner need not change; `or_none` takes one that is not recorded yet for one that may come.
fn owner_stays(kept: &Kept, import: &Import, or_none: bool) -> bool {
    match (&kept.owner, &import.owner) {
        (_, None) => true,
        (None, Some(_)) => or_none,
        (Some(kept), Some(given)) => kept == given,
    }
}
