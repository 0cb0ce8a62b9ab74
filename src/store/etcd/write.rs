//! Makes changes: each is one transaction, made only if nobody else has made one since what it starts from.
//!
//! All changes put the count, and are made on the condition that it is what the mirror says it is. So they follow one
//! another, whichever process makes them, and one that was planned on what is no longer true is planned anew. A change is
//! acknowledged when this process sees it itself.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use tokio::time::{Instant, timeout};

use super::Inner;
use super::change::{Action, Plan};
use super::mirror::Count;
use crate::s3::address::BucketName;
use crate::s3::checksum::hex;
use crate::store::{Contents, StoreError};

/// How long a change may take once its turn has come: its client waits.
const CHANGE: Duration = Duration::from_secs(3);

/// How long it may wait for the changes of this process that were there first.
const TURN: Duration = Duration::from_secs(10);

/// A silence of so long is no hiccup: changes are refused at once.
const SILENCE: Duration = Duration::from_secs(1);

/// What a change came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// The newest revision given once it was made.
    pub(super) revision: u64,
    /// Whether there was something to replace or take away.
    pub(super) existed: bool,
}

/// Makes a change; ready once etcd has it and all reads see it.
pub(super) async fn write(inner: &Inner, bucket: &BucketName, action: &Action) -> Result<Done, StoreError> {
    // Two of one process would only cost each other a second try.
    let _turn = timeout(TURN, inner.writing.lock()).await.map_err(|_| unavailable("other changes take too long"))?;
    if let Some((since, reason)) = inner.mirror.troubled()
        && since.elapsed() >= SILENCE
    {
        return Err(unavailable(&reason));
    }
    if inner.mirror.reached().is_none() {
        return inner.mirror.check().and(Err(unavailable("it has not been read yet")));
    }
    let deadline = Instant::now() + CHANGE;
    let change = change()?;
    loop {
        let known = inner.mirror.known(bucket);
        let Plan { mut operations, last_revision, existed } = action.plan(&inner.keys, bucket, &known)?;
        let count = inner.keys.count();
        let changes_something = !operations.is_empty();
        if changes_something {
            let value = serde_json::to_vec(&Count { last_revision, change: change.clone() });
            let value = value.map_err(|error| unavailable(&format!("the count cannot be written down: {error}")))?;
            operations.push(TxnOp::put(count.clone(), value, None));
        }
        let txn = Txn::new()
            .when([Compare::mod_revision(count.clone(), CompareOp::Equal, known.count.mod_revision)])
            .and_then(operations)
            .or_else([TxnOp::get(count, None)]);
        let answer = inner.connection.txn(txn, deadline).await?;
        let made = if answer.succeeded() {
            answer.header().map(etcd_client::ResponseHeader::revision)
        } else {
            // One that was asked for twice may have been made the first time.
            let found = answer.op_responses().into_iter().next();
            let found = found.and_then(|found| match found {
                TxnOpResponse::Get(mut found) => found.take_kvs().into_iter().next(),
                _ => None,
            });
            let is_ours =
                |value: &[u8]| serde_json::from_slice::<Count>(value).is_ok_and(|count| count.change == change);
            found.filter(|found| is_ours(found.value())).map(|found| found.mod_revision())
        };
        let seen = match made {
            Some(revision) if changes_something => inner.mirror.reaches(revision, deadline).await,
            Some(_) => true,
            None => {
                if !inner.mirror.leaves(&known.count, deadline).await {
                    return Err(unavailable("others change it, and the watch does not bring what they did"));
                }
                continue;
            }
        };
        if !seen {
            return Err(unavailable("the change was made, and the watch does not bring it"));
        }
        if let Action::Put { policy, .. } | Action::Restore(Contents { policy: Some(policy), .. }) = action {
            inner.mirror.compiled(bucket, last_revision, policy);
        }
        return Ok(Done { revision: last_revision, existed });
    }
}

/// What tells a change from all others.
fn change() -> Result<String, StoreError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| unavailable(&format!("no random numbers are to be had: {error}")))?;
    Ok(hex(&random))
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}
