//! Keeps the mirror current: reads all there is at one revision of etcd's, watches for what comes after it, and finds out
//! again and again that nothing was missed.
//!
//! A watch alone proves nothing: a connection may be dead without a word, a member may have lost the others, and members
//! before 3.4.25 and 3.5.8 tell of a watch's progress before they deliver what it is about. So the count, which every
//! change puts, is read in a way that no lone member can answer: where the mirror has its revision, it was current when the
//! question was asked.

use std::time::Duration;

use etcd_client::{
    Event, EventType, GetOptions, GetResponse, KeyValue, SortOrder, SortTarget, WatchOptions, WatchStream,
};
use tokio::time::{Instant, sleep, timeout};

use super::Inner;
use super::connection::{Connection, NoAnswer};
use super::mirror::Entry;
use crate::store::StoreError;

/// How long reading a page or asking for the count may take.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a member may take to begin a watch before another is asked.
const BEGIN: Duration = Duration::from_secs(1);

/// How long a watch may be behind what the count says before it is begun anew. Its member may hang while others answer.
const BEHIND: Duration = Duration::from_secs(2);

/// How many keys are read at once. They are of 64 KiB at most.
const PAGE: i64 = 512;

/// How long to wait before trying again: the first time, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How often the count is read, at most and at least.
const PROOFS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What the mirror was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    cluster: u64,
}

/// Why following has ended.
enum Lost {
    /// The watch goes on from where it was.
    Watch(String),
    /// What came after the mirror's revision is not to be had: all must be read again.
    Gap(String),
}

impl From<NoAnswer> for Lost {
    fn from(NoAnswer(reason): NoAnswer) -> Self {
        Self::Watch(reason)
    }
}

impl From<etcd_client::Error> for Lost {
    fn from(error: etcd_client::Error) -> Self {
        Self::Watch(error.to_string())
    }
}

/// Never ends.
pub(super) async fn follow(inner: &Inner) {
    let mut source = None;
    let mut pause = BACK_OFF.0;
    loop {
        let begun = Instant::now();
        let Err(lost) = follow_until_lost(inner, &mut source).await;
        let reason = match lost {
            Lost::Watch(reason) => reason,
            Lost::Gap(reason) => {
                source = None;
                reason
            }
        };
        if inner.mirror.trouble(&reason) {
            tracing::warn!(reason, keys = %inner.keys, "the watch of the policies in etcd is lost");
        }
        inner.connection.renew();
        // One that had gone on for a while is not the next of a row of failures.
        pause = if begun.elapsed() > BACK_OFF.1 * 5 { BACK_OFF.0 } else { (pause * 2).min(BACK_OFF.1) };
        sleep(pause).await;
    }
}

async fn follow_until_lost(inner: &Inner, source: &mut Option<Source>) -> Result<std::convert::Infallible, Lost> {
    // Also where the mirror is to go on: whether it may, and with a token that is still good.
    let now = count(inner).await?;
    let present = Source { cluster: now.header().map_or(0, etcd_client::ResponseHeader::cluster_id) };
    let is_the_same = *source == Some(present) && !went_back(inner, &now);
    let revision = match inner.mirror.reached().filter(|_| is_the_same) {
        Some(revision) => revision,
        None => {
            let revision = load(inner).await?;
            *source = Some(present);
            revision
        }
    };
    let watch = watch(inner, revision).await?;
    tokio::select! {
        lost = take_in(inner, watch) => lost,
        lost = prove(inner, present) => lost,
    }
}

/// Reads all keys as of one revision, which it answers.
async fn load(inner: &Inner) -> Result<i64, NoAnswer> {
    let Inner { connection, keys, mirror, .. } = inner;
    let end = keys.mirrored_end();
    let page = |from: Vec<u8>, revision: i64| {
        let options = GetOptions::new()
            .with_range(end.clone())
            .with_revision(revision)
            .with_limit(PAGE)
            .with_sort(SortTarget::Key, SortOrder::Ascend);
        async move { connection.get(from, Some(options), Instant::now() + ANSWER).await }
    };
    let asked = Instant::now();
    let mut answer = page(keys.mirrored().into_bytes(), 0).await?;
    let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    let mut entries = Vec::new();
    loop {
        let more = answer.more();
        entries.extend(answer.take_kvs().into_iter().map(Entry::from));
        let Some(Entry { key, .. }) = entries.last().filter(|_| more) else { break };
        // From the next key there can be.
        answer = page([key.as_slice(), b"\0"].concat(), revision).await?;
    }
    let count = entries.len();
    mirror.replace(entries, revision, asked);
    tracing::info!(%keys, count, revision, "the policies in etcd are read");
    Ok(revision)
}

async fn watch(inner: &Inner, after: i64) -> Result<WatchStream, Lost> {
    let options = WatchOptions::new().with_range(inner.keys.mirrored_end()).with_start_revision(after + 1);
    // A member that is far away may take longer to connect to than one that is connected takes to begin.
    let client = timeout(ANSWER, inner.connection.client()).await;
    let client = client.map_err(|_| Lost::Watch("etcd is not to be connected to".to_owned()))??;
    let mut client = client.watch_client().max_decoding_message_size(Connection::max_answer());
    match timeout(BEGIN, client.watch(inner.keys.mirrored(), Some(options))).await {
        Ok(watch) => Ok(watch?),
        Err(_) => Err(Lost::Watch("etcd does not begin to watch".to_owned())),
    }
}

/// Takes what the watch brings into the mirror. An answer holds whole revisions of etcd's.
async fn take_in(inner: &Inner, mut watch: WatchStream) -> Result<std::convert::Infallible, Lost> {
    loop {
        let Some(answer) = watch.message().await? else {
            return Err(Lost::Watch("etcd has ended the watch".to_owned()));
        };
        if answer.compact_revision() > 0 {
            return Err(Lost::Gap(format!("etcd has compacted away what came before {}", answer.compact_revision())));
        }
        if answer.canceled() {
            return Err(Lost::Watch(format!("etcd has ended the watch: {}", answer.cancel_reason())));
        }
        inner.mirror.apply(answer.events().iter().filter_map(entry).collect());
    }
}

/// Proves again and again that the mirror is current.
async fn prove(inner: &Inner, source: Source) -> Result<std::convert::Infallible, Lost> {
    let every = (inner.settings.max_staleness / 4).clamp(PROOFS.0, PROOFS.1);
    loop {
        let asked = Instant::now();
        match count(inner).await {
            Ok(now) => {
                if now.header().is_some_and(|header| header.cluster_id() != source.cluster) || went_back(inner, &now) {
                    return Err(Lost::Gap("this etcd is another one, or was restored from a backup".to_owned()));
                }
                let newest = now.kvs().first().map_or(0, KeyValue::mod_revision);
                if !inner.mirror.reaches(newest, Instant::now() + BEHIND).await {
                    return Err(Lost::Watch(format!("the watch does not bring revision {newest}")));
                }
                if inner.mirror.troubled().is_some() {
                    tracing::info!(keys = %inner.keys, "the policies in etcd are followed again");
                }
                inner.mirror.prove(asked);
            }
            Err(NoAnswer(reason)) => {
                if inner.mirror.trouble(&reason) {
                    tracing::warn!(reason, keys = %inner.keys, "etcd does not answer");
                }
            }
        }
        sleep(every).await;
    }
}

/// Waits until the mirror has what etcd had when it was asked.
pub(super) async fn catch_up(inner: &Inner) -> Result<(), StoreError> {
    let newest = count(inner).await?.kvs().first().map_or(0, KeyValue::mod_revision);
    if inner.mirror.reaches(newest, Instant::now() + BEHIND).await {
        return Ok(());
    }
    Err(StoreError::Unavailable { reason: format!("the watch does not bring etcd's revision {newest}") })
}

async fn count(inner: &Inner) -> Result<GetResponse, NoAnswer> {
    inner.connection.get(inner.keys.count(), None, Instant::now() + ANSWER).await
}

/// Whether etcd's revisions are behind those that were seen of it, so that what comes next would be missed.
fn went_back(inner: &Inner, now: &GetResponse) -> bool {
    let revision = now.header().map_or(0, etcd_client::ResponseHeader::revision);
    inner.mirror.reached().is_some_and(|reached| revision < reached)
}

impl From<KeyValue> for Entry {
    fn from(kv: KeyValue) -> Self {
        let (mod_revision, version) = (kv.mod_revision(), kv.version());
        let (key, value) = kv.into_key_value();
        Self { key, mod_revision, version, value: Some(value) }
    }
}

fn entry(event: &Event) -> Option<Entry> {
    let entry = Entry::from(event.kv()?.clone());
    Some(match event.event_type() {
        EventType::Put => entry,
        EventType::Delete => Entry { value: None, ..entry },
    })
}
