//! Where policies are moved from and to: a place that is opened here, or a server that has it open.

use std::sync::Arc;

use portcullis::admin::archive::RecordPage;
use portcullis::policy::{AccountId, Policy};
use portcullis::s3::address::BucketName;
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::server::Place;
use portcullis::store::{Change, Contents, PastRevision, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Client;
use crate::cli::Failure;

/// Buckets on a page.
const PAGE: usize = 500;
/// How many of them are read or written at once.
const AT_ONCE: usize = 16;

/// All that is kept of a bucket, less the numbers of its revisions, which are each place's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Newest first.
    revisions: Vec<PastRevision>,
    public_access_block: Option<PublicAccessBlock>,
    owner: Option<AccountId>,
}

impl Held {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Some of the buckets: each with what is held of it, or why that cannot be told.
pub(super) struct Page {
    pub(super) buckets: Vec<(BucketName, Result<Held, String>)>,
    /// Where the next one begins; none after the last.
    pub(super) next: Option<BucketName>,
}

/// Where policies are read.
pub(super) enum Source {
    Server(Client),
    Place(Arc<Place>),
}

impl Source {
    pub(super) fn page(&self, runtime: &Runtime, after: Option<&BucketName>) -> Result<Page, Failure> {
        match self {
            Self::Server(client) => page_of_server(client, after),
            Self::Place(place) => runtime.block_on(page_of_place(place, after)),
        }
    }
}

fn page_of_server(client: &Client, after: Option<&BucketName>) -> Result<Page, Failure> {
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    let page: RecordPage = client.ask(&format!("/v1/archive?limit={PAGE}{after}"))?;
    let named = |name: &str| BucketName::parse(name).map_err(|error| Failure::Failed(error.to_string()));
    let mut buckets = Vec::with_capacity(page.records.len());
    for record in page.records {
        let name = named(&record.bucket)?;
        let held = match record.import() {
            Ok(Some((_, import))) => Ok(Held {
                revisions: import.contents.revisions,
                public_access_block: import.public_access_block,
                owner: import.owner,
            }),
            Ok(None) => Err(record.unreadable.unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        };
        buckets.push((name, held));
    }
    Ok(Page { buckets, next: page.next.as_deref().map(named).transpose()? })
}

async fn page_of_place(place: &Arc<Place>, after: Option<&BucketName>) -> Result<Page, Failure> {
    let names = names(place, after).await?;
    let next = if names.len() == PAGE { names.last().cloned() } else { None };
    let read = |place: Arc<Place>, name: BucketName| async move {
        let held = match held(&place, &name).await {
            Ok(held) => Ok(held),
            Err(StoreError::Unreadable { reason, .. }) => Err(reason),
            Err(error) => return Err(failed(error)),
        };
        Ok((name, held))
    };
    let buckets = all(names.into_iter().map(|name| read(Arc::clone(place), name))).await?;
    Ok(Page { buckets, next })
}

/// The first [`PAGE`] buckets after `after` that anything is kept of.
async fn names(place: &Place, after: Option<&BucketName>) -> Result<Vec<BucketName>, Failure> {
    let mut names = place.policies.list(after, PAGE).await.map_err(failed)?;
    names.append(&mut place.registry.list(after, PAGE).await.map_err(failed)?);
    names.sort_unstable();
    names.dedup();
    names.truncate(PAGE);
    Ok(names)
}

/// All buckets that anything is kept of.
pub(super) async fn all_names(place: &Place) -> Result<Vec<BucketName>, Failure> {
    let mut all = Vec::new();
    loop {
        let mut page = names(place, all.last()).await?;
        let is_last = page.len() < PAGE;
        all.append(&mut page);
        if is_last {
            return Ok(all);
        }
    }
}

/// What is held of a bucket.
pub(super) async fn held(place: &Place, bucket: &BucketName) -> Result<Held, StoreError> {
    let revisions = place.policies.history(bucket).await?;
    Ok(Held {
        public_access_block: place.policies.in_force(bucket).await?.public_access_block,
        revisions: revisions
            .into_iter()
            .map(|revision| PastRevision { document: revision.document, change: revision.change })
            .collect(),
        owner: place.registry.get(bucket).await?,
    })
}

/// Holds `held` of a bucket, and nothing else; `change` is the one by which its public access block comes here.
pub(super) async fn hold(
    place: &Place,
    bucket: &BucketName,
    held: &Held,
    before: Option<&Held>,
    change: Change,
) -> Result<(), String> {
    let told = |error: StoreError| error.to_string();
    // First: a policy that grants to an owner must not be in force for another.
    match &held.owner {
        owner if before.is_some_and(|before| before.owner == *owner) => {}
        Some(owner) => place.registry.set(bucket, owner).await.map_err(told)?,
        None => drop(place.registry.remove(bucket).await.map_err(told)?),
    }
    let is_same =
        |before: &Held| before.revisions == held.revisions && before.public_access_block == held.public_access_block;
    if before.is_some_and(is_same) {
        return Ok(());
    }
    let newest = held.revisions.first().and_then(|newest| newest.document.as_deref());
    let policy = newest.map(|document| Policy::parse(document, bucket.as_str())).transpose();
    let policy = policy.map_err(|error| format!("its policy is not one by today's rules: {error}"))?;
    let contents = Contents {
        revisions: held.revisions.clone(),
        policy: policy.map(|validated| Arc::new(validated.policy)),
        public_access_block: held.public_access_block.map(|block| (block, change)),
    };
    place.policies.restore(bucket, contents).await.map(drop).map_err(told)
}

/// What all of them come to, in their order; some at once.
pub(super) async fn all<T, F>(asked: impl Iterator<Item = F>) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (number, one) in asked.enumerate() {
        let turns = Arc::clone(&turns);
        tasks.spawn(async move {
            let _turn = turns.acquire().await;
            (number, one.await)
        });
    }
    let mut results = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (number, result) = ended.map_err(|error| Failure::Failed(error.to_string()))?;
        results.push((number, result?));
    }
    results.sort_unstable_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

fn failed(error: StoreError) -> Failure {
    Failure::Failed(error.to_string())
}
