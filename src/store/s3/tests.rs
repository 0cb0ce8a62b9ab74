//! The cache and the races, over objects in memory whose store does as the test says.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::SystemTime;

use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};

use super::objects::{Condition, ETag, Listed, Page, Written};
use super::*;
use crate::store::{OwnerRegistry, PastRevision};

/// Objects in memory.
struct Objects {
    /// With the number that their tags are made of.
    entries: Mutex<BTreeMap<String, (u64, Bytes)>>,
    writes: AtomicUsize,
    gets: AtomicUsize,
    heeds_conditions: bool,
    /// What it does instead of an answer.
    trouble: Mutex<Trouble>,
    /// Who passes when it hangs.
    gate: Semaphore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Fails,
    /// Waits for the gate before it looks.
    Hangs,
    /// Looks, and waits for the gate with what it saw.
    AnswersLate,
    /// Writes, and says that it failed.
    LosesAnswers,
}

impl Objects {
    fn new(heeds_conditions: bool) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            writes: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            heeds_conditions,
            trouble: Mutex::new(Trouble::None),
            gate: Semaphore::new(0),
        })
    }

    fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    async fn passes(&self) -> Result<Trouble, ObjectError> {
        let trouble = *self.trouble.lock().unwrap();
        match trouble {
            Trouble::Fails => Err(ObjectError { reason: "it is away".to_owned() }),
            Trouble::Hangs => {
                self.gate.acquire().await.unwrap().forget();
                Ok(trouble)
            }
            Trouble::None | Trouble::AnswersLate | Trouble::LosesAnswers => Ok(trouble),
        }
    }

    fn keys(&self) -> Vec<String> {
        self.entries.lock().unwrap().keys().cloned().collect()
    }

    fn alter(&self, key: &str, alter: impl FnOnce(&mut Vec<u8>)) {
        let mut entries = self.entries.lock().unwrap();
        let (number, content) = entries.get_mut(key).unwrap();
        let mut bytes = content.to_vec();
        alter(&mut bytes);
        *number += 1_000_000;
        *content = bytes.into();
    }
}

fn etag(number: u64) -> ETag {
    ETag::parse(&format!("\"{number}\"")).unwrap()
}

impl ObjectStorage for Objects {
    fn get<'a>(&'a self, key: &'a str, unless: Option<&'a ETag>) -> BoxFuture<'a, Result<Fetched, ObjectError>> {
        Box::pin(async move {
            self.gets.fetch_add(1, SeqCst);
            let trouble = self.passes().await?;
            let found = match self.entries.lock().unwrap().get(key) {
                None => Fetched::Absent,
                Some((number, _)) if unless == Some(&etag(*number)) => Fetched::Unchanged,
                Some((number, content)) => Fetched::Found { content: content.clone(), etag: Some(etag(*number)) },
            };
            if trouble == Trouble::AnswersLate {
                self.gate.acquire().await.unwrap().forget();
            }
            // As over a network: others come in between.
            tokio::task::yield_now().await;
            Ok(found)
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        condition: &'a Condition,
    ) -> BoxFuture<'a, Result<Written, ObjectError>> {
        Box::pin(async move {
            let trouble = self.passes().await?;
            tokio::task::yield_now().await;
            let mut entries = self.entries.lock().unwrap();
            let holds = match (condition, entries.get(key)) {
                (Condition::None, _) | (Condition::Absent, None) => true,
                (Condition::Unchanged(tag), Some((number, _))) => *tag == etag(*number),
                (Condition::Absent, Some(_)) | (Condition::Unchanged(_), None) => false,
            };
            if self.heeds_conditions && !holds {
                return Ok(Written::Refused);
            }
            let number = self.writes.fetch_add(1, SeqCst) as u64 + 1;
            entries.insert(key.to_owned(), (number, content));
            match trouble {
                Trouble::LosesAnswers => Err(ObjectError { reason: "the answer was lost".to_owned() }),
                _ => Ok(Written::Done(Some(etag(number)))),
            }
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>> {
        Box::pin(async move {
            self.passes().await?;
            self.entries.lock().unwrap().remove(key);
            Ok(())
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, ObjectError>> {
        Box::pin(async move {
            self.passes().await?;
            let entries = self.entries.lock().unwrap();
            let from = match after {
                Some(after) => Bound::Excluded(after),
                None => Bound::Included(prefix),
            };
            let mut found = entries
                .range::<str, _>((from, Bound::Unbounded))
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(key, (_, content))| Listed { key: key.clone(), size: content.len() as u64 });
            // A store may give fewer than were asked for.
            let objects: Vec<_> = found.by_ref().take(limit.min(3)).collect();
            Ok(Page { is_last: found.next().is_none(), objects })
        })
    }
}

const REFRESH: Duration = Duration::from_secs(5);
const MAX_STALENESS: Duration = Duration::from_secs(30);

/// A replica.
fn replica(objects: &Arc<Objects>) -> S3Store {
    let prefix = "prod/".to_owned();
    S3Store::new(Arc::clone(objects) as _, S3StoreSettings { prefix, refresh: REFRESH, max_staleness: MAX_STALENESS })
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn document(n: u64) -> Bytes {
    let resource = format!("arn:aws:s3:::photos/{n}/*");
    let statement = format!(r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"{resource}"}}"#);
    Bytes::from(format!(r#"{{"Version":"2012-10-17","Id":"{n}","Statement":[{statement}]}}"#))
}

fn change(n: u64) -> Change {
    Change { at: SystemTime::UNIX_EPOCH + Duration::from_secs(n), by: format!("user-{n}"), request_id: n.to_string() }
}

async fn put(store: &S3Store, n: u64) -> Result<u64, StoreError> {
    let policy = Arc::new(Policy::parse(&document(n), "photos").unwrap().policy);
    store.put(&bucket("photos"), document(n), policy, change(n)).await
}

/// The number of the policy in force.
async fn seen(store: &S3Store) -> Result<Option<u64>, StoreError> {
    let record = store.get(&bucket("photos")).await?;
    Ok(record.map(|record| record.change.request_id.parse().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn another_replicas_change_is_seen_once_the_copy_is_as_old_as_refresh() {
    let objects = Objects::new(true);
    let (here, there) = (replica(&objects), replica(&objects));
    assert_eq!(seen(&there).await.unwrap(), None, "an answer like any other");
    put(&here, 1).await.unwrap();
    assert_eq!(seen(&here).await.unwrap(), Some(1), "at once where it was made");
    assert_eq!(seen(&there).await.unwrap(), None, "the copy still counts");
    advance(REFRESH - Duration::from_millis(1)).await;
    assert_eq!(seen(&there).await.unwrap(), None);
    advance(Duration::from_millis(1)).await;
    assert_eq!(seen(&there).await.unwrap(), Some(1));
    let asked = objects.gets.load(SeqCst);
    for _ in 0..100 {
        assert_eq!(seen(&there).await.unwrap(), Some(1));
    }
    assert_eq!(objects.gets.load(SeqCst), asked, "nobody is asked meanwhile");
    advance(REFRESH).await;
    assert_eq!(seen(&there).await.unwrap(), Some(1), "unchanged, and fresh again");
    assert_eq!(objects.gets.load(SeqCst), asked + 1);
    assert_eq!(seen(&there).await.unwrap(), Some(1));
    assert_eq!(objects.gets.load(SeqCst), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_put_one_question() {
    let objects = Objects::new(true);
    put(&replica(&objects), 1).await.unwrap();
    let store = replica(&objects);
    objects.set(Trouble::Hangs);
    let before = objects.gets.load(SeqCst);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { seen(&store).await })
        })
        .collect();
    while objects.gets.load(SeqCst) == before {
        tokio::task::yield_now().await;
    }
    objects.gate.add_permits(100);
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap(), Some(1));
    }
    assert_eq!(objects.gets.load(SeqCst), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_counts_until_max_staleness_where_the_store_is_away() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    put(&store, 1).await.unwrap();
    objects.set(Trouble::Fails);
    let began = Instant::now();
    while began.elapsed() <= MAX_STALENESS {
        assert_eq!(seen(&store).await.unwrap(), Some(1), "after {:?}", began.elapsed());
        advance(Duration::from_millis(700)).await;
    }
    assert!(matches!(seen(&store).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(put(&store, 2).await, Err(StoreError::Unavailable { .. })));
    let registry = store.registry();
    assert!(matches!(registry.get(&bucket("photos")).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable { .. })));

    objects.set(Trouble::None);
    advance(Duration::from_secs(1)).await;
    assert_eq!(seen(&store).await.unwrap(), Some(1), "it recovers by itself");
    assert_eq!(put(&store, 2).await.unwrap(), 2);
    store.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn staleness_is_the_age_of_a_copy_in_use_that_is_not_confirmed() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    let put_at = Instant::now();
    put(&store, 1).await.unwrap();
    advance(REFRESH * 2).await;
    assert_eq!(store.staleness(), Duration::ZERO, "nobody has asked, so nobody was refused an answer");
    objects.set(Trouble::Fails);
    for _ in 0..2 * MAX_STALENESS.as_secs() {
        let _ = seen(&store).await;
        assert_eq!(store.staleness(), put_at.elapsed(), "it grows, and past max_staleness as well");
        advance(Duration::from_secs(1)).await;
    }
    objects.set(Trouble::None);
    advance(Duration::from_secs(1)).await;
    assert_eq!(seen(&store).await.unwrap(), Some(1));
    assert_eq!(store.staleness(), Duration::ZERO, "it is confirmed");

    objects.set(Trouble::Fails);
    advance(REFRESH).await;
    let _ = seen(&store).await;
    assert!(store.staleness() >= REFRESH);
    advance(Duration::from_secs(61)).await;
    assert_eq!(store.staleness(), Duration::ZERO, "a bucket that is no longer in use is none to worry about");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_keeps_nobody_waiting_for_long_who_has_a_copy() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    put(&store, 1).await.unwrap();
    put(&replica(&objects), 2).await.unwrap();
    advance(REFRESH).await;
    objects.set(Trouble::Hangs);
    let began = Instant::now();
    assert_eq!(seen(&store).await.unwrap(), Some(1));
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
    objects.gate.add_permits(1);
    objects.set(Trouble::None);
    while seen(&store).await.unwrap() != Some(2) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_write_does_not_hide_it() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    put(&store, 1).await.unwrap();
    advance(REFRESH).await;
    objects.set(Trouble::AnswersLate);
    let asked = objects.gets.load(SeqCst);
    let reader = {
        let store = store.clone();
        tokio::spawn(async move { seen(&store).await })
    };
    while objects.gets.load(SeqCst) == asked {
        tokio::task::yield_now().await;
    }
    objects.set(Trouble::None);
    put(&store, 2).await.unwrap();
    assert_eq!(seen(&store).await.unwrap(), Some(2));
    objects.gate.add_permits(1);
    reader.await.unwrap().unwrap();
    assert_eq!(seen(&store).await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_came_of_a_write_without_an_answer_is_asked_for() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    put(&store, 1).await.unwrap();
    objects.set(Trouble::LosesAnswers);
    assert!(put(&store, 2).await.is_err());
    objects.set(Trouble::None);
    advance(Duration::from_secs(1)).await;
    assert_eq!(seen(&store).await.unwrap(), Some(2), "it had been stored, and the copy was not trusted");
}

#[tokio::test]
async fn of_changes_that_race_none_is_lost() {
    const EACH: u64 = 30;
    let objects = Objects::new(true);
    let replicas = [replica(&objects), replica(&objects), replica(&objects)];
    let tasks: Vec<_> = (0_u64..)
        .zip(&replicas)
        .map(|(number, store)| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut revisions = Vec::new();
                for n in 0..EACH {
                    revisions.push(put(&store, number * EACH + n).await.unwrap());
                    let block = PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() };
                    store.put_public_access_block(&bucket("photos"), block, change(n)).await.unwrap();
                }
                revisions
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for task in tasks {
        revisions.extend(task.await.unwrap());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=3 * EACH).collect::<Vec<_>>(), "each has a number of its own, and none is missing");
    let fresh = replica(&objects);
    let history = fresh.history(&bucket("photos")).await.unwrap();
    assert_eq!(history[0].revision, 3 * EACH);
    let in_force = fresh.in_force(&bucket("photos")).await.unwrap();
    assert!(in_force.policy.is_some() && in_force.public_access_block.is_some());
    assert!(fresh.heeds_conditions().await.unwrap());
}

#[tokio::test]
async fn without_conditions_the_last_change_stays_whole() {
    let objects = Objects::new(false);
    let replicas = [replica(&objects), replica(&objects)];
    assert!(!replicas[0].heeds_conditions().await.unwrap());
    let tasks: Vec<_> = (0_u64..)
        .zip(&replicas)
        .map(|(number, store)| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..30 {
                    put(&store, 100 * number + n).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let fresh = replica(&objects);
    let record = fresh.get(&bucket("photos")).await.unwrap().unwrap();
    let n: u64 = record.change.request_id.parse().unwrap();
    assert!(n == 29 || n == 129, "the last of one of the two: {n}");
    assert_eq!((&record.document, &record.change), (&document(n), &change(n)), "no mix");
    assert!(objects.keys().iter().all(|key| !key.contains("probe")), "{:?}", objects.keys());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_closes_its_bucket_and_can_be_replaced() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    put(&store, 1).await.unwrap();
    put(&store, 2).await.unwrap();
    let other = bucket("videos");
    store.put_public_access_block(&other, PublicAccessBlock::default(), change(1)).await.unwrap();
    let key = "prod/buckets/photos";
    for damage in [
        (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1)) as fn(&mut Vec<u8>),
        |bytes| *bytes = b"not a record".to_vec(),
        |bytes| bytes.clear(),
        |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace("\"version\":1", "\"version\":2").into_bytes();
        },
        |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace("user-2", "user-3").into_bytes();
        },
    ] {
        let before = objects.entries.lock().unwrap()[key].1.clone();
        objects.alter(key, damage);
        let fresh = replica(&objects);
        for store in [&store, &fresh] {
            advance(REFRESH).await;
            assert!(matches!(seen(store).await, Err(StoreError::Unreadable { .. })));
            assert!(matches!(store.in_force(&bucket("photos")).await, Err(StoreError::Unreadable { .. })));
            assert!(matches!(store.history(&bucket("photos")).await, Err(StoreError::Unreadable { .. })));
            let block = store.put_public_access_block(&bucket("photos"), PublicAccessBlock::default(), change(3)).await;
            assert!(matches!(block, Err(StoreError::Unreadable { .. })), "it would do away with the policy");
            assert!(store.in_force(&other).await.unwrap().public_access_block.is_some(), "the others can be read");
            assert!(store.list(None, 10).await.unwrap().contains(&bucket("photos")));
        }
        objects.alter(key, |bytes| *bytes = before.to_vec());
        advance(REFRESH).await;
        assert_eq!(seen(&store).await.unwrap(), Some(2));
    }

    objects.alter(key, |bytes| *bytes = b"not a record".to_vec());
    assert!(put(&store, 4).await.unwrap() > 2);
    let in_force = store.in_force(&bucket("photos")).await.unwrap();
    assert_eq!(in_force.policy.unwrap().document, document(4));
    assert!(in_force.public_access_block.unwrap().restrict_public_buckets, "what was blocked is not known");
    objects.alter(key, |bytes| *bytes = b"not a record".to_vec());
    assert!(store.purge(&bucket("photos")).await.unwrap());
    assert!(store.in_force(&bucket("photos")).await.unwrap().public_access_block.is_none());
}

#[tokio::test]
async fn a_record_in_the_place_of_another_is_damaged() {
    let objects = Objects::new(true);
    put(&replica(&objects), 1).await.unwrap();
    let content = objects.entries.lock().unwrap()["prod/buckets/photos"].clone();
    objects.entries.lock().unwrap().insert("prod/buckets/videos".to_owned(), content.clone());
    objects.entries.lock().unwrap().insert("prod/owners/photos".to_owned(), content);
    let store = replica(&objects);
    assert!(matches!(store.get(&bucket("videos")).await, Err(StoreError::Unreadable { .. })));
    assert!(matches!(store.registry().get(&bucket("photos")).await, Err(StoreError::Unreadable { .. })));
}

#[tokio::test(start_paused = true)]
async fn copies_are_dropped_before_they_take_all_memory() {
    let objects = Objects::new(true);
    let store = replica(&objects);
    let pad = " ".repeat(12_000);
    for n in 0..1_500 {
        let name = bucket(&format!("bucket-{n}"));
        let resource = format!("arn:aws:s3:::{name}/*");
        let text = format!(
            r#"{{"Version":"2012-10-17",{pad}"Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"{resource}"}}]}}"#
        );
        let policy = Arc::new(Policy::parse(text.as_bytes(), name.as_str()).unwrap().policy);
        let revisions = vec![PastRevision { document: Some(text.into()), change: change(n) }];
        let contents = Contents { revisions, policy: Some(policy), public_access_block: None };
        store.restore(&name, contents).await.unwrap();
    }
    let before = objects.gets.load(SeqCst);
    for n in 1_400..1_500 {
        assert!(store.get(&bucket(&format!("bucket-{n}"))).await.unwrap().is_some());
    }
    assert_eq!(objects.gets.load(SeqCst), before, "the latest are still there");
    for n in 0..100 {
        assert!(store.get(&bucket(&format!("bucket-{n}"))).await.unwrap().is_some());
    }
    assert_eq!(objects.gets.load(SeqCst), before + 100, "the first were dropped");
}
