//! Who writes has a bucket's turn, and leaves what is known of it as it is then.

use std::sync::Arc;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::{Cache, Cached, Known, Slot};
use crate::store::StoreError;
use crate::store::s3::objects::{ETag, ObjectError};
use crate::store::s3::record::Damage;

impl<T: Cached> Slot<T> {
    /// Waits for the turn of one who wants to write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the store failed another meanwhile.
    pub(in crate::store::s3) async fn turn<'s>(
        self: &'s Arc<Self>,
        cache: &'s Arc<Cache<T>>,
    ) -> Result<Turn<'s, T>, StoreError> {
        let arrived = Instant::now();
        let guard = self.turn.lock().await;
        match &self.state().failure {
            Some(failure) if failure.asked_at >= arrived => {
                Err(StoreError::Unavailable { reason: failure.reason.clone() })
            }
            Some(_) | None => Ok(Turn { cache, slot: self, as_of: Instant::now(), is_settled: true, _guard: guard }),
        }
    }
}

/// The turn of one who writes. Until what came of a write is known, nothing that is known of the bucket counts as fresh.
pub(in crate::store::s3) struct Turn<'s, T: Cached> {
    cache: &'s Arc<Cache<T>>,
    slot: &'s Arc<Slot<T>>,
    as_of: Instant,
    is_settled: bool,
    _guard: MutexGuard<'s, ()>,
}

impl<T: Cached> Turn<'_, T> {
    /// A write is about to be sent.
    pub(in crate::store::s3) fn sending(&mut self) {
        self.as_of = Instant::now();
        self.is_settled = false;
    }

    /// It was refused, and changed nothing.
    pub(in crate::store::s3) fn refused(&mut self) {
        self.is_settled = true;
    }

    /// It is done: all who ask from now on are told `value`.
    pub(in crate::store::s3) fn done(mut self, value: Result<T, Damage>, etag: Option<ETag>) {
        self.is_settled = true;
        let mut state = self.slot.state();
        state.writes += 1;
        let known = Known { value, etag, as_of: self.as_of, in_doubt: false };
        self.cache.keep(self.slot, &mut state, known);
        drop(state);
        self.cache.make_room();
    }

    /// The store does not answer.
    pub(in crate::store::s3) fn failed(self, error: ObjectError) -> StoreError {
        let asked_at = self.as_of;
        self.slot.failed(&mut self.slot.state(), asked_at, error.reason.clone());
        StoreError::Unavailable { reason: error.reason }
    }
}

impl<T: Cached> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if !self.is_settled {
            let mut state = self.slot.state();
            state.writes += 1;
            if let Some(known) = &mut state.known {
                known.in_doubt = true;
            }
        }
    }
}
