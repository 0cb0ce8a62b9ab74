//! What is known of a bucket, how old it may be, and who asks anew.
//!
//! A copy counts for `refresh` without a question. After that the store is asked whether it still holds, once for all
//! who want to know; where it does not answer, the copy goes on counting until it is as old as `max_staleness`. A copy is
//! as old as the question that brought it, not as its answer. "There is none" is a copy like any other.

mod turn;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::{Instant, timeout};

use super::objects::{ETag, Fetched, ObjectError, ObjectStorage};
use super::record::Damage;
use crate::s3::address::BucketName;
use crate::store::StoreError;

/// After a question without an answer, none is put for so long; what is known counts meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an answer is waited for where a copy is at hand that may still count.
const PATIENCE: Duration = Duration::from_millis(500);

/// How much of memory the copies take, in bytes, by estimate.
const BUDGET: usize = 64 * 1024 * 1024;

/// How old copies may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    /// Without a question.
    pub(super) refresh: Duration,
    /// Where a question has no answer.
    pub(super) max_staleness: Duration,
}

/// One kind of what is kept.
pub(super) trait Cached: Clone + Default + Send + Sync + 'static {
    /// Reads the object of `bucket`; where there is none, the default is what is known.
    fn read(bucket: &BucketName, object: &[u8]) -> Result<Self, Damage>;

    /// How many bytes of memory it takes, about.
    fn weight(&self) -> usize;
}

/// A copy that nobody asked for since is none to worry about.
const IN_USE: Duration = Duration::from_secs(60);

/// The copies of all buckets.
pub(super) struct Cache<T> {
    objects: Arc<dyn ObjectStorage>,
    /// What the keys of this kind begin with; the bucket's name follows.
    prefix: String,
    ages: Ages,
    budget: usize,
    slots: RwLock<HashMap<BucketName, Arc<Slot<T>>>>,
    weight: AtomicUsize,
    started: Instant,
}

/// What is known of one bucket. Whoever holds it keeps it from being dropped.
pub(super) struct Slot<T> {
    bucket: BucketName,
    state: Mutex<State<T>>,
    /// Our own writers take turns.
    turn: AsyncMutex<()>,
    /// When it was last asked for, in milliseconds since the start.
    used: AtomicU64,
}

struct State<T> {
    known: Option<Known<T>>,
    /// How many writes of ours there were. What a question from before the last one brings is not kept.
    writes: u64,
    /// Ends when the question that is under way does.
    question: Option<watch::Receiver<()>>,
    failure: Option<Failure>,
}

struct Known<T> {
    value: Result<T, Damage>,
    etag: Option<ETag>,
    as_of: Instant,
    /// A write since then may have changed it.
    in_doubt: bool,
}

/// The last question had no answer.
struct Failure {
    asked_at: Instant,
    failed_at: Instant,
    reason: String,
}

/// What a look at a slot comes to.
enum Look<T> {
    Counts(Result<T, StoreError>),
    Wait { landing: watch::Receiver<()>, is_known: bool },
}

impl<T: Cached> Cache<T> {
    pub(super) fn new(objects: Arc<dyn ObjectStorage>, prefix: String, ages: Ages) -> Arc<Self> {
        Arc::new(Self {
            objects,
            prefix,
            ages,
            budget: BUDGET,
            slots: RwLock::default(),
            weight: AtomicUsize::new(0),
            started: Instant::now(),
        })
    }

    /// How old the oldest copy is that is in use while its question has no answer.
    pub(super) fn staleness(&self) -> Duration {
        let now = Instant::now();
        let since = |slot: &Arc<Slot<T>>| {
            let used = self.started + Duration::from_millis(slot.used.load(Ordering::Relaxed));
            let state = slot.state();
            let known =
                state.known.as_ref().filter(|_| state.failure.is_some() && now.duration_since(used) < IN_USE)?;
            Some(now.duration_since(known.as_of))
        };
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter_map(since).max().unwrap_or_default()
    }

    /// What the keys of all its objects begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of the bucket's object.
    pub(super) fn key(&self, bucket: &BucketName) -> String {
        format!("{}{bucket}", self.prefix)
    }

    /// What counts for `bucket` now.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where the object is damaged; [`StoreError::Unavailable`] where nothing is known that is
    /// young enough.
    pub(super) async fn get(self: &Arc<Self>, bucket: &BucketName) -> Result<T, StoreError> {
        let arrived = Instant::now();
        let slot = self.slot(bucket, arrived);
        let mut patience = Some(PATIENCE);
        loop {
            match self.look(&slot, arrived, patience.is_none()) {
                Look::Counts(value) => return value,
                Look::Wait { mut landing, is_known } => match patience.filter(|_| is_known) {
                    Some(limit) => {
                        if timeout(limit, landing.changed()).await.is_err() {
                            patience = None;
                        }
                    }
                    // An answer comes, or the limit of the question itself.
                    None => {
                        let _ = landing.changed().await;
                    }
                },
            }
        }
    }

    /// The bucket's slot, for writing.
    pub(super) fn slot_of(&self, bucket: &BucketName) -> Arc<Slot<T>> {
        self.slot(bucket, Instant::now())
    }

    fn slot(&self, bucket: &BucketName, now: Instant) -> Arc<Slot<T>> {
        let found = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(bucket).map(Arc::clone);
        let slot = found.unwrap_or_else(|| {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(bucket.clone()).or_insert_with(|| {
                self.weight.fetch_add(weight_of::<T>(bucket, None), Ordering::Relaxed);
                Arc::new(Slot::new(bucket))
            });
            Arc::clone(slot)
        });
        let since = now.saturating_duration_since(self.started).as_millis();
        slot.used.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        slot
    }

    /// What counts for somebody who asked at `arrived`. One who `is_impatient` takes what may count already.
    fn look(self: &Arc<Self>, slot: &Arc<Slot<T>>, arrived: Instant, is_impatient: bool) -> Look<T> {
        let mut state = slot.state();
        let now = Instant::now();
        if let Some(known) = &state.known
            && !known.in_doubt
            && (known.as_of >= arrived || arrived.duration_since(known.as_of) < self.ages.refresh)
        {
            return Look::Counts(slot.told(&known.value));
        }
        let may_count = state.known.as_ref().filter(|known| now.duration_since(known.as_of) <= self.ages.max_staleness);
        if let Some(failure) = &state.failure
            && (failure.asked_at >= arrived || now.duration_since(failure.failed_at) < PAUSE)
        {
            return Look::Counts(match may_count {
                Some(known) => slot.told(&known.value),
                None => Err(StoreError::Unavailable { reason: failure.reason.clone() }),
            });
        }
        if let Some(known) = may_count.filter(|_| is_impatient) {
            return Look::Counts(slot.told(&known.value));
        }
        let is_known = may_count.is_some();
        let landing = match &state.question {
            Some(question) => question.clone(),
            None => self.ask(slot, &mut state),
        };
        Look::Wait { landing, is_known }
    }

    /// Puts the question, in a task of its own: whoever waits for the answer may go away.
    fn ask(self: &Arc<Self>, slot: &Arc<Slot<T>>, state: &mut State<T>) -> watch::Receiver<()> {
        let (end, landing) = watch::channel(());
        state.question = Some(landing.clone());
        let etag = state.known.as_ref().and_then(|known| known.etag.clone());
        let question = Question {
            cache: Arc::clone(self),
            slot: Arc::clone(slot),
            asked_at: Instant::now(),
            writes: state.writes,
            is_answered: false,
            _end: end,
        };
        tokio::spawn(async move {
            let key = question.cache.key(&question.slot.bucket);
            let answer = question.cache.objects.get(&key, etag.as_ref()).await;
            question.answered(answer);
        });
        landing
    }

    /// Makes room where there is too little: what nobody has asked for the longest is dropped.
    fn make_room(&self) {
        if self.weight.load(Ordering::Relaxed) <= self.budget {
            return;
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let mut idle: Vec<_> = slots
            .values()
            // The map's alone: a question or a write that is under way must find its slot in the map afterwards. New
            // holders come only through the map, which is locked.
            .filter(|slot| Arc::strong_count(slot) == 1)
            .map(|slot| (slot.used.load(Ordering::Relaxed), slot.weight(), slot.bucket.clone()))
            .collect();
        idle.sort_unstable();
        for (_, weight, bucket) in idle {
            // More than is needed, or each new copy would look through all of them again.
            if self.weight.load(Ordering::Relaxed) <= self.budget / 4 * 3 {
                break;
            }
            slots.remove(&bucket);
            self.weight.fetch_sub(weight, Ordering::Relaxed);
        }
    }

    /// Keeps what is known from now on.
    fn keep(&self, slot: &Slot<T>, state: &mut State<T>, known: Known<T>) {
        let weight = |known: &Option<Known<T>>| weight_of(&slot.bucket, known.as_ref());
        let before = weight(&state.known);
        state.known = Some(known);
        state.failure = None;
        self.weight.fetch_add(weight(&state.known), Ordering::Relaxed);
        self.weight.fetch_sub(before, Ordering::Relaxed);
    }
}

impl<T: Cached> Slot<T> {
    fn new(bucket: &BucketName) -> Self {
        let state = State { known: None, writes: 0, question: None, failure: None };
        Self { bucket: bucket.clone(), state: Mutex::new(state), turn: AsyncMutex::default(), used: AtomicU64::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn weight(&self) -> usize {
        weight_of(&self.bucket, self.state().known.as_ref())
    }

    fn told(&self, value: &Result<T, Damage>) -> Result<T, StoreError> {
        value.clone().map_err(|damage| unreadable(&self.bucket, &damage))
    }
}

/// The damage as an error of the bucket.
pub(super) fn unreadable(bucket: &BucketName, damage: &Damage) -> StoreError {
    StoreError::Unreadable { bucket: bucket.clone(), reason: damage.to_string() }
}

fn weight_of<T: Cached>(bucket: &BucketName, known: Option<&Known<T>>) -> usize {
    const SLOT: usize = 512;
    let value = known.map_or(0, |known| known.value.as_ref().map_or_else(|damage| damage.0.len(), T::weight));
    SLOT + 2 * bucket.as_str().len() + value
}

/// A question that is under way. However it ends, those who wait for it hear of that.
struct Question<T: Cached> {
    cache: Arc<Cache<T>>,
    slot: Arc<Slot<T>>,
    asked_at: Instant,
    writes: u64,
    is_answered: bool,
    _end: watch::Sender<()>,
}

impl<T: Cached> Question<T> {
    fn answered(mut self, answer: Result<Fetched, ObjectError>) {
        self.is_answered = true;
        let slot = Arc::clone(&self.slot);
        // Before the lock, since it may take its time.
        let found = match answer {
            Ok(Fetched::Found { content, etag }) => {
                let value = T::read(&slot.bucket, &content);
                if let Err(damage) = &value {
                    tracing::error!(bucket = %slot.bucket, key = self.cache.key(&slot.bucket), %damage, "a record is unreadable");
                }
                Ok(Some((value, etag)))
            }
            Ok(Fetched::Absent) => Ok(Some((Ok(T::default()), None))),
            Ok(Fetched::Unchanged) => Ok(None),
            Err(error) => Err(error),
        };
        let mut state = slot.state();
        state.question = None;
        match found {
            Err(error) => self.slot.failed(&mut state, self.asked_at, error.reason),
            Ok(_) if state.writes != self.writes => {}
            Ok(Some((value, etag))) => {
                let known = Known { value, etag, as_of: self.asked_at, in_doubt: false };
                self.cache.keep(&slot, &mut state, known);
            }
            Ok(None) => {
                state.failure = None;
                if let Some(known) = &mut state.known {
                    (known.as_of, known.in_doubt) = (self.asked_at, false);
                }
            }
        }
        drop(state);
        drop(slot);
        let cache = Arc::clone(&self.cache);
        // Its slot may go too, so it must be let go of first.
        drop(self);
        cache.make_room();
    }
}

impl<T: Cached> Drop for Question<T> {
    fn drop(&mut self) {
        if !self.is_answered {
            let mut state = self.slot.state();
            state.question = None;
            self.slot.failed(&mut state, self.asked_at, "asking was broken off".to_owned());
        }
    }
}

impl<T: Cached> Slot<T> {
    fn failed(&self, state: &mut State<T>, asked_at: Instant, reason: String) {
        if state.failure.is_none() {
            tracing::warn!(bucket = %self.bucket, reason, "the policy store does not answer; what is known counts for now");
        }
        state.failure = Some(Failure { asked_at, failed_at: Instant::now(), reason });
    }
}
