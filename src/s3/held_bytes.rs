//! How much of bodies may be held in memory at once, over all requests?
//!
//! What one request may hold is bounded where it is held: a chunk that is signed anew, a document that is decided on. With
//! many requests that is still much, so what they hold together comes out of one [`HeldBytes`].
//!
//! **Who finds it empty is refused, at once.** A body that waited would keep what it holds already while it waits, for
//! others that do the same; and one that is sent slowly on purpose would keep them all waiting. Clients know `503 SlowDown`
//! and try again.
//!
//! **The first [`UNCOUNTED`] bytes of a body are not counted.** That is about what its connection holds in any case, and
//! it keeps chunks and documents of ordinary size going when others have used all there is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::error::{ErrorCode, S3Error};

/// What a body may hold without being counted, in bytes.
pub const UNCOUNTED: usize = 128 << 10;

/// The default bound, in bytes.
pub const DEFAULT_HELD_BYTES: usize = 256 << 20;

/// A bound on what is held together. Clones share it.
#[derive(Clone)]
pub struct HeldBytes(Arc<Pot>);

struct Pot {
    limit: usize,
    held: AtomicUsize,
    gauge: metrics::Gauge,
}

/// So many bytes of it, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: HeldBytes,
    bytes: usize,
}

/// There is no room for what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// How many bytes one body would have held.
    pub wanted: usize,
}

impl HeldBytes {
    /// So many bytes.
    pub fn new(limit: usize) -> Self {
        let gauge = metrics::gauge!("portcullis_held_bytes");
        Self(Arc::new(Pot { limit, held: AtomicUsize::new(0), gauge }))
    }

    /// How many are held now, without those that are not counted.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// None of it yet.
    pub fn share(&self) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }

    /// Room for a body of which `bytes` are held.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn take(&self, bytes: usize) -> Result<Share, NoRoom> {
        let mut share = self.share();
        share.grow_to(bytes)?;
        Ok(share)
    }
}

impl Default for HeldBytes {
    fn default() -> Self {
        Self::new(DEFAULT_HELD_BYTES)
    }
}

impl Share {
    /// Makes it room for so many bytes; what it has already stays.
    ///
    /// # Errors
    /// [`NoRoom`]; then it is as it was.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let more = bytes.saturating_sub(self.bytes);
        if bytes <= UNCOUNTED || more == 0 {
            return Ok(());
        }
        let pot = &self.of.0;
        let taken = pot.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(more).filter(|held| *held <= pot.limit)
        });
        taken.map_err(|_| NoRoom { wanted: bytes })?;
        self.bytes += more;
        pot.gauge.increment(count(more));
        Ok(())
    }

    /// Bytes that keep the share until nobody has them any more.
    pub fn with(self: Arc<Self>, bytes: Bytes) -> Bytes {
        if self.bytes == 0 { bytes } else { Bytes::from_owner(Counted { bytes, _share: self }) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let pot = &self.of.0;
            pot.held.fetch_sub(self.bytes, Ordering::Relaxed);
            pot.gauge.decrement(count(self.bytes));
        }
    }
}

struct Counted {
    bytes: Bytes,
    _share: Arc<Share>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Exact up to eight pebibytes.
fn count(bytes: usize) -> f64 {
    bytes as f64
}

impl From<NoRoom> for S3Error {
    fn from(error: NoRoom) -> Self {
        tracing::warn!(%error, "refused, since too much is held already");
        ErrorCode::SlowDown.into()
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room to hold {} bytes of a body", self.wanted)
    }
}

impl std::error::Error for NoRoom {}

impl fmt::Debug for HeldBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldBytes").field("limit", &self.0.limit).field("held", &self.held()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let held = HeldBytes::new(1 << 20);
        let mut share = held.take(200_000).unwrap();
        assert_eq!(held.held(), 200_000);
        share.grow_to(300_000).unwrap();
        share.grow_to(250_000).unwrap();
        assert_eq!(held.held(), 300_000);
        assert_eq!(held.take(800_000).unwrap_err(), NoRoom { wanted: 800_000 });
        assert_eq!(share.grow_to(1 << 21), Err(NoRoom { wanted: 1 << 21 }));
        assert_eq!(held.held(), 300_000, "who is refused holds nothing, or what it held");
        drop(held.take((1 << 20) - 300_000).unwrap());
        drop(share);
        assert_eq!(held.held(), 0);
    }

    #[test]
    fn a_small_body_finds_room_where_there_is_none() {
        let held = HeldBytes::new(0);
        let mut share = held.take(UNCOUNTED).unwrap();
        assert!(share.grow_to(UNCOUNTED + 1).is_err());
        assert_eq!(held.held(), 0);
    }

    #[test]
    fn bytes_keep_their_share_until_the_last_of_them_is_gone() {
        let held = HeldBytes::new(1 << 20);
        let bytes = Arc::new(held.take(1 << 20).unwrap()).with(Bytes::from_static(b"a chunk"));
        let slice = bytes.slice(2..);
        drop(bytes);
        assert_eq!((&slice[..], held.held()), (&b"chunk"[..], 1 << 20));
        drop(slice);
        assert_eq!(held.held(), 0);
    }

    #[test]
    fn many_at_once_never_hold_too_much() {
        let held = HeldBytes::new(1 << 20);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        if let Ok(share) = held.take(300_000) {
                            assert!(held.held() <= 1 << 20);
                            drop(share);
                        }
                    }
                });
            }
        });
        assert_eq!(held.held(), 0);
    }
}
