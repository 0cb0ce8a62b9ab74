//! Owners found lately.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::policy::AccountId;
use crate::s3::address::BucketName;

/// Accounts by bucket, each for `ttl`, at most `capacity` of them.
///
/// Only the owners of buckets that are there are kept. "No such bucket" and "no source knows" are not: a bucket created
/// past us or through another replica would be denied for `ttl`, and asking for made-up names would fill the cache.
#[derive(Debug)]
pub(super) struct OwnerCache {
    ttl: Duration,
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// How many invalidations there have been, of whatever bucket.
    generation: u64,
    owners: HashMap<BucketName, Owner>,
    /// Names in the order of their expiry, which, all living equally long, is the order they came in. One that was
    /// invalidated stays here until its turn comes.
    queue: VecDeque<(Instant, BucketName)>,
}

#[derive(Debug)]
struct Owner {
    account: AccountId,
    expires: Instant,
}

/// When a lookup began, in invalidations. What it finds is kept only if there has been none since: it may have read
/// its sources before the change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generation(u64);

impl OwnerCache {
    pub(super) fn new(ttl: Duration, capacity: usize) -> Self {
        Self { ttl, capacity, entries: Mutex::default() }
    }

    /// The owner, if it was found less than `ttl` before `now`; else what to give to [`insert`](Self::insert) once the
    /// sources have answered.
    pub(super) fn get(&self, bucket: &BucketName, now: Instant) -> Result<AccountId, Generation> {
        let entries = self.entries();
        match entries.owners.get(bucket) {
            Some(owner) if now < owner.expires => Ok(owner.account.clone()),
            Some(_) | None => Err(Generation(entries.generation)),
        }
    }

    /// Keeps an owner that was looked up since `began`.
    pub(super) fn insert(&self, bucket: &BucketName, account: &AccountId, began: Generation, now: Instant) {
        let mut entries = self.entries();
        // One counter for all buckets: at worst, an answer that coincides with another bucket's change is not kept.
        let Some(expires) = now.checked_add(self.ttl).filter(|_| entries.generation == began.0) else { return };
        entries.owners.insert(bucket.clone(), Owner { account: account.clone(), expires });
        entries.queue.push_back((expires, bucket.clone()));
        while entries.queue.front().is_some_and(|(expires, _)| *expires <= now) || entries.queue.len() > self.capacity {
            let Some((expires, name)) = entries.queue.pop_front() else { break };
            // A younger entry of the same name has its own place in the queue.
            if entries.owners.get(&name).is_some_and(|owner| owner.expires <= expires) {
                entries.owners.remove(&name);
            }
        }
    }

    /// Drops the bucket's owner, and whatever lookups under way will find.
    pub(super) fn invalidate(&self, bucket: &BucketName) {
        let mut entries = self.entries();
        entries.generation += 1;
        entries.owners.remove(bucket);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).unwrap()
    }

    fn account() -> AccountId {
        AccountId::parse("111122223333").unwrap()
    }

    fn keep(cache: &OwnerCache, name: &str, now: Instant) {
        let Err(began) = cache.get(&bucket(name), now) else { panic!("{name} is already there") };
        cache.insert(&bucket(name), &account(), began, now);
    }

    #[test]
    fn an_owner_is_kept_for_the_ttl_and_no_longer() {
        let cache = OwnerCache::new(Duration::from_secs(30), 10);
        let start = Instant::now();
        keep(&cache, "photos", start);
        for (after, kept) in [(0, true), (29_999, true), (30_000, false), (90_000, false)] {
            let now = start + Duration::from_millis(after);
            assert_eq!(cache.get(&bucket("photos"), now).is_ok(), kept, "after {after} ms");
        }
    }

    #[test]
    fn a_ttl_of_zero_keeps_nothing() {
        let cache = OwnerCache::new(Duration::ZERO, 10);
        let now = Instant::now();
        keep(&cache, "photos", now);
        assert!(cache.get(&bucket("photos"), now).is_err());
        assert!(cache.entries().queue.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let cache = OwnerCache::new(Duration::from_secs(30), 2);
        let now = Instant::now();
        for (step, name) in ["first", "second", "third"].into_iter().enumerate() {
            keep(&cache, name, now + Duration::from_millis(step as u64));
        }
        let kept = ["first", "second", "third"].map(|name| cache.get(&bucket(name), now).is_ok());
        assert_eq!(kept, [false, true, true]);
    }

    #[test]
    fn invalidating_over_and_over_does_not_grow_the_cache() {
        let cache = OwnerCache::new(Duration::from_secs(30), 4);
        let now = Instant::now();
        for step in 0..1000 {
            keep(&cache, "photos", now + Duration::from_millis(step));
            cache.invalidate(&bucket("photos"));
        }
        assert!(cache.entries().queue.len() <= 4);
        assert!(cache.entries().owners.is_empty());
    }

    #[test]
    fn what_a_lookup_found_across_an_invalidation_is_not_kept() {
        let cache = OwnerCache::new(Duration::from_secs(30), 10);
        let now = Instant::now();
        let Err(began) = cache.get(&bucket("photos"), now) else { panic!("empty") };
        cache.invalidate(&bucket("photos"));
        cache.insert(&bucket("photos"), &account(), began, now);
        assert!(cache.get(&bucket("photos"), now).is_err());
    }
}
