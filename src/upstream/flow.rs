//! What the three parts of one exchange know of each other: the request's body on its way up, the answer that is waited
//! for, and the answer's body on its way down.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// One exchange that has a request body.
#[derive(Debug)]
pub(crate) struct Flow {
    started: Instant,
    /// Since when it is the store's turn, in milliseconds from `started`; [`CLIENTS_TURN`] when it is not.
    stores_turn: AtomicU64,
    gate: AtomicU8,
    failed: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

const CLIENTS_TURN: u64 = u64::MAX;

/// May the request's body be asked for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Gate {
    /// Not yet: the client waits for `100 Continue`, and so do we.
    Shut = 0,
    /// Yes.
    Open = 1,
    /// No more: the final answer came first, and the client need not send it.
    Refused = 2,
    /// No more: the answer is complete or nobody wants it, and the connection that the body was for must go.
    Over = 3,
}

impl Flow {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            started: Instant::now(),
            stores_turn: AtomicU64::new(0),
            gate: AtomicU8::new(gate as u8),
            failed: AtomicBool::new(false),
            waiting: Mutex::new(None),
        }
    }

    /// How long it has been the store's turn: since the last piece of the body it took, or since the body's end. `None`
    /// while the client's next piece is waited for, which no store can be blamed for.
    pub(crate) fn waiting_for_store(&self) -> Option<Duration> {
        let since = self.stores_turn.load(Ordering::Relaxed);
        (since != CLIENTS_TURN).then(|| self.started.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    pub(crate) fn stores_turn(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(CLIENTS_TURN - 1);
        self.stores_turn.store(now, Ordering::Relaxed);
    }

    pub(crate) fn clients_turn(&self) {
        self.stores_turn.store(CLIENTS_TURN, Ordering::Relaxed);
    }

    pub(crate) fn gate(&self) -> Gate {
        match self.gate.load(Ordering::Acquire) {
            0 => Gate::Shut,
            1 => Gate::Open,
            2 => Gate::Refused,
            _ => Gate::Over,
        }
    }

    /// Moves the gate on, never back: a `100 Continue` after the final answer means nothing.
    pub(crate) fn move_gate(&self, to: Gate) {
        if self.gate.fetch_max(to as u8, Ordering::AcqRel) < to as u8 {
            self.wake();
        }
    }

    /// The final answer is here: a body that was not asked for by now never will be.
    pub(crate) fn answered(&self) {
        let (shut, refused) = (Gate::Shut as u8, Gate::Refused as u8);
        if self.gate.compare_exchange(shut, refused, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.wake();
        }
    }

    fn wake(&self) {
        let waker = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes `waker` when the gate moves next.
    pub(crate) fn wait(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Some(known) => known.clone_from(waker),
            None => *waiting = Some(waker.clone()),
        }
    }

    /// The client's body failed: what follows is its echo, not the store's fault.
    pub(crate) fn body_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn has_body_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}
