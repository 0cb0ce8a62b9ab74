//! Which endpoint gets the next request, and which get none for now?
//!
//! The one with the fewest requests under way; among equals they take turns. An endpoint that accepts no connections is
//! ejected: it gets no requests until it accepts one again. Are all ejected, the one whose failure is the longest ago is
//! tried all the same, since a store that may be back beats one that is surely not asked.
//!
//! Nothing here connects, waits or reads a clock; `endpoints.rs` does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Gauge, Histogram};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use crate::meters;

/// How long after its ejection an endpoint is probed; after each probe that fails, twice as long as before. A process that is
/// started anew is back within a second or so, and should not be waited for longer than that takes.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest time between two probes. One probe is one connection, so a store that is down for days does not mind.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// All endpoints of a store, and how each of them does.
#[derive(Debug)]
pub(super) struct Balance {
    standings: Box<[Arc<Standing>]>,
    last: AtomicUsize,
}

/// How one endpoint does.
#[derive(Debug)]
pub(super) struct Standing {
    endpoint: Endpoint,
    index: usize,
    under_way: AtomicUsize,
    is_ejected: AtomicBool,
    failures: Mutex<Failures>,
    durations: Histogram,
    ejected: Gauge,
}

#[derive(Debug)]
struct Failures {
    last: Option<Instant>,
    pause: Duration,
    /// Somebody probes; a second one would be one too many.
    is_probed: bool,
}

/// What follows from a failed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ejection {
    /// It had not been ejected before.
    pub(super) is_new: bool,
    /// When whoever told of the failure must see to a first probe; none where somebody else does already.
    pub(super) probe_at: Option<Instant>,
}

/// One request under way to an endpoint, until dropped.
#[derive(Debug)]
pub(super) struct Load(Arc<Standing>);

/// The endpoints that one request tries, one after the other: every one that is not ejected, and at last one that is. No more
/// of those, or clients would wait for the whole list to time out.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    balance: &'a Balance,
    tried: Vec<usize>,
    is_over: bool,
}

impl Balance {
    pub(super) fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let standing = |(index, endpoint): (usize, Endpoint)| {
            let failures = Failures { last: None, pause: FIRST_PAUSE, is_probed: false };
            let name = endpoint.to_string();
            let ejected = meters::ENDPOINT_EJECTED.gauge(&[&name]);
            ejected.set(0.0);
            Arc::new(Standing {
                durations: meters::UPSTREAM_DURATION.histogram(&[&name]),
                ejected,
                endpoint,
                index,
                under_way: AtomicUsize::new(0),
                is_ejected: AtomicBool::new(false),
                failures: Mutex::new(failures),
            })
        };
        let standings: Box<[_]> = endpoints.into_iter().enumerate().map(standing).collect();
        // So that the first is the first.
        let last = AtomicUsize::new(standings.len().saturating_sub(1));
        Self { standings, last }
    }

    pub(super) fn standings(&self) -> &[Arc<Standing>] {
        &self.standings
    }

    pub(super) fn attempts(&self) -> Attempts<'_> {
        Attempts { balance: self, tried: Vec::new(), is_over: false }
    }

    fn least_loaded(&self, tried: &[usize]) -> Option<&Arc<Standing>> {
        let after = self.last.load(Ordering::Relaxed).wrapping_add(1);
        let (before, from) = self.standings.split_at_checked(after).unwrap_or((&self.standings, &[]));
        let up =
            from.iter().chain(before).filter(|standing| !standing.is_ejected() && !tried.contains(&standing.index));
        // Of equal ones the first.
        up.min_by_key(|standing| standing.under_way.load(Ordering::Relaxed))
    }

    fn least_recently_failed(&self, tried: &[usize]) -> Option<&Arc<Standing>> {
        let ejected =
            self.standings.iter().filter(|standing| standing.is_ejected() && !tried.contains(&standing.index));
        ejected.min_by_key(|standing| standing.failures().last)
    }
}

impl Iterator for Attempts<'_> {
    type Item = Load;

    fn next(&mut self) -> Option<Load> {
        if self.is_over {
            return None;
        }
        let standing = self.balance.least_loaded(&self.tried).or_else(|| {
            self.is_over = true;
            self.balance.least_recently_failed(&self.tried)
        })?;
        self.balance.last.store(standing.index, Ordering::Relaxed);
        self.tried.push(standing.index);
        Some(Load::new(standing))
    }
}

impl Standing {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.is_ejected.load(Ordering::Acquire)
    }

    /// It accepted no connection.
    pub(super) fn failed(&self, now: Instant) -> Ejection {
        let mut failures = self.failures();
        failures.last = Some(now);
        let is_new = !self.is_ejected.swap(true, Ordering::AcqRel);
        if is_new {
            failures.pause = FIRST_PAUSE;
            self.ejected.set(1.0);
        }
        let probe_at = (!failures.is_probed).then(|| now + failures.pause);
        failures.is_probed = true;
        Ejection { is_new, probe_at }
    }

    /// A probe got no connection either. When to try again.
    pub(super) fn probe_failed(&self, now: Instant) -> Instant {
        let mut failures = self.failures();
        // Its last failure is that of a request: the order in which ejected ones are tried is theirs.
        failures.pause = (failures.pause * 2).min(LONGEST_PAUSE);
        now + failures.pause
    }

    /// Whether a probe is still wanted. If not, nobody probes from now on.
    pub(super) fn needs_probe(&self) -> bool {
        let mut failures = self.failures();
        failures.is_probed = self.is_ejected();
        failures.is_probed
    }

    /// It accepted a connection. Whether that is news.
    pub(super) fn reached(&self) -> bool {
        // Nearly always, and then there is nothing to lock for.
        if !self.is_ejected() {
            return false;
        }
        let _failures = self.failures();
        self.ejected.set(0.0);
        self.is_ejected.swap(false, Ordering::AcqRel)
    }

    /// It answered a request after so long.
    pub(super) fn answered(&self, after: Duration) {
        self.durations.record(after.as_secs_f64());
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    fn new(standing: &Arc<Standing>) -> Self {
        standing.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(standing))
    }

    pub(super) fn standing(&self) -> &Arc<Standing> {
        &self.0
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The endpoint's place in the list.
    pub(super) fn index(&self) -> usize {
        self.0.index
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(count: usize) -> Balance {
        Balance::new((0..count).map(|n| Endpoint::parse(&format!("http://store-{n}")).unwrap()))
    }

    fn next(balance: &Balance) -> Load {
        balance.attempts().next().unwrap()
    }

    /// The places that one request tries.
    fn tried(balance: &Balance) -> Vec<usize> {
        balance.attempts().map(|load| load.index()).collect()
    }

    /// Time passes only as a test says.
    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn equals_take_turns() {
        let balance = balance(3);
        let places: Vec<_> = (0..7).map(|_| next(&balance).index()).collect();
        assert_eq!(places, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn equals_take_turns_evenly_past_one_that_is_ejected() {
        let balance = balance(3);
        balance.standings[1].failed(Instant::now());
        let places: Vec<_> = (0..6).map(|_| next(&balance).index()).collect();
        assert_eq!(places, [0, 2, 0, 2, 0, 2]);
    }

    #[test]
    fn the_least_loaded_is_next() {
        let balance = balance(3);
        let mut loads: Vec<_> = (0..6).map(|_| next(&balance)).collect();
        // Two each. The first endpoint answers nothing, the others do.
        loads.retain(|load| load.index() == 0);
        let more: Vec<_> = (0..4).map(|_| next(&balance)).collect();
        assert!(more.iter().all(|load| load.index() != 0), "{more:?}");
        let mut places: Vec<_> = (0..3).map(|_| next(&balance)).map(|load| load.index()).collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2], "two each again");
        drop((loads, more));
        assert!(balance.standings.iter().all(|standing| standing.under_way.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_request_tries_all_that_are_up_and_one_that_is_not() {
        let start = Instant::now();
        let balance = balance(4);
        assert_eq!(tried(&balance), [0, 1, 2, 3]);
        balance.standings[1].failed(after(start, 5));
        balance.standings[3].failed(after(start, 3));
        assert_eq!(tried(&balance), [0, 2, 3]);
        balance.standings[0].failed(after(start, 9));
        assert_eq!(tried(&balance), [2, 3], "the failure of 3 is the longest ago");
    }

    #[test]
    fn an_endpoint_that_fails_under_a_request_is_not_tried_by_it_again() {
        let balance = balance(2);
        let mut attempts = balance.attempts();
        for expected in [Some(0), Some(1), None] {
            let load = attempts.next();
            assert_eq!(load.as_ref().map(Load::index), expected);
            if let Some(load) = load {
                load.standing().failed(Instant::now());
            }
        }
    }

    #[test]
    fn with_none_left_the_least_recently_failed_is_tried() {
        let start = Instant::now();
        let balance = balance(3);
        for (place, at) in [(0, 2), (1, 1), (2, 3)] {
            balance.standings[place].failed(after(start, at));
        }
        for (at, expected) in [(4, 1), (5, 0), (6, 2), (7, 1)] {
            let places = tried(&balance);
            assert_eq!(places, [expected], "at {at}");
            balance.standings[places[0]].failed(after(start, at));
        }
        assert!(balance.standings[2].reached());
        assert_eq!(tried(&balance), [2, 0], "one that is back is alone until it fails too");
    }

    #[test]
    fn an_ejected_endpoint_is_probed_by_one_and_ever_less_often() {
        let start = Instant::now();
        let balance = balance(1);
        let standing = &balance.standings[0];
        assert_eq!(standing.failed(start), Ejection { is_new: true, probe_at: Some(after(start, 250)) });
        assert_eq!(standing.failed(after(start, 1)), Ejection { is_new: false, probe_at: None });
        let mut now = after(start, 250);
        for pause in [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            assert!(standing.needs_probe());
            assert_eq!(standing.probe_failed(now), after(now, pause));
            now = after(now, pause);
        }
        assert!(standing.reached(), "and that is news");
        assert!(!standing.reached(), "and no more");
        // It fails again before whoever probes has noticed.
        assert_eq!(standing.failed(now), Ejection { is_new: true, probe_at: None });
        assert!(standing.needs_probe());
        assert!(standing.reached());
        assert!(!standing.needs_probe());
        assert_eq!(standing.failed(now), Ejection { is_new: true, probe_at: Some(after(now, 250)) });
    }

    #[test]
    fn with_no_endpoints_there_is_nothing_to_try() {
        assert_eq!(tried(&balance(0)), [0_usize; 0]);
    }
}
