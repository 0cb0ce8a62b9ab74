//! A framed body on its way to the store: judged as it goes, byte for byte the same but for signatures made anew.
//!
//! Sizes are kept, and one signature is as long as another, so the body's length stays what it was.
//!
//! **What is held back.** From the last byte of the data on nothing goes out before all of it was judged: every chunk's
//! signature, the checksum, the trailers, the length. A store that has not seen the end has nothing to store, even one
//! that would look at the data alone. That is one piece as it came, and the end's few bytes. A body that is cut off before
//! lacks its last piece in any case.
//!
//! **Where signatures are made anew** a chunk is held whole, since the new signature covers the data and stands before
//! it. So its size is bounded ([`MAX_RELAYED_CHUNK`]), memory is taken as the data comes, not as it is announced, and what
//! all uploads take together is bounded as well ([`HeldBytes`]). The chunk before may still be on its way out, so an upload
//! takes up to some three times the size of its chunks. Elsewhere nothing is held but the end, whatever the size of a chunk.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{
    ChunkSignatures, ChunkSigner, ChunkedError, Decoder, Framing, MAX_LINE, MAX_TRAILER_BYTES, SIGNATURE_DIGITS, State,
};
use crate::s3::checksum::{DigestChecks, DigestVerifier};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::held_bytes::{HeldBytes, NoRoom, Share, UNCOUNTED};

/// The most data of one chunk whose signature is made anew, in bytes. Amazon names no limit, SDKs send 64 KiB to 1 MiB,
/// and MinIO's server takes as much.
pub const MAX_RELAYED_CHUNK: u64 = 16 << 20;

/// How much room is made for a chunk when its data begins to come, in bytes: as much as most chunks have.
const ROOM_IN_ADVANCE: usize = UNCOUNTED - ROOM_FOR_END - MAX_LINE;

/// How much room is made behind a chunk's data: for the last chunk's line and the trailers, so that a chunk is not moved
/// for their sake.
const ROOM_FOR_END: usize = MAX_LINE + MAX_TRAILER_BYTES + 8;

/// Judges a framed body piece by piece, and says what of it may go on.
pub struct Relay {
    decoder: Decoder<Signatures>,
    digests: DigestVerifier,
    /// What could go on if it were not the last that came. It precedes `held`.
    last: Option<Bytes>,
    /// What came and may not go on yet.
    held: BytesMut,
    /// What `held` takes of `room`, until the memory that it is in is free.
    share: Option<Arc<Share>>,
    /// What all bodies may hold together; none where nobody counts.
    room: Option<HeldBytes>,
    /// Where in `held` the signature of the chunk stands whose data is being read.
    signature_at: usize,
    /// Where in `held` the trailers begin, once the last chunk's line is there.
    trailers_at: usize,
}

/// Both chains of signatures.
#[derive(Default)]
struct Signatures {
    theirs: Option<Box<dyn ChunkSignatures + Send>>,
    ours: Option<Box<dyn ChunkSigner>>,
    /// The one that was verified last, and the one to stand in its place.
    replacement: Option<Replacement>,
}

struct Replacement {
    theirs: String,
    ours: String,
}

/// Why a body must not be completed upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// Its framing, or a signature in it, is wrong.
    Framing(ChunkedError),
    /// It is not what a digest promised.
    Digest(S3Error),
    /// A signature could not be put in the place of another.
    NotSigned,
    /// A chunk must be held to be signed anew, and too much is held already.
    NoRoom(NoRoom),
}

impl Relay {
    /// Starts before the first byte. `decoded_length` is what [`decoded_length`](super::decoded_length) read, and
    /// `checks` hold for the data within the framing. With a signed framing and no `signatures`, every signature is
    /// wrong.
    pub fn new(
        framing: Framing,
        decoded_length: u64,
        signatures: Option<Box<dyn ChunkSignatures + Send>>,
        checks: DigestChecks,
    ) -> Self {
        let signatures = Signatures { theirs: signatures, ..Signatures::default() };
        Self {
            decoder: Decoder::new(framing, decoded_length, Some(signatures)),
            digests: checks.verifier(),
            last: None,
            held: BytesMut::new(),
            share: None,
            room: None,
            signature_at: 0,
            trailers_at: 0,
        }
    }

    /// Has every signature made anew. To be called before the first piece; of an unsigned framing nothing changes.
    pub fn sign_anew(&mut self, signer: Box<dyn ChunkSigner>) {
        if let Some(signatures) = self.decoder.signatures.as_mut().filter(|_| self.decoder.framing.is_signed()) {
            signatures.ours = Some(signer);
        }
    }

    /// Has what is held counted among what others hold. To be called before the first piece.
    pub fn hold_within(&mut self, room: HeldBytes) {
        self.room = Some(room);
    }

    /// Takes the next piece, and gives what may go on.
    ///
    /// # Errors
    /// [`RelayError`]; from then on every call fails.
    pub fn push(&mut self, piece: Bytes) -> Result<Option<Bytes>, RelayError> {
        if piece.is_empty() {
            return Ok(None);
        }
        let judged = if self.is_signing() { self.push_signing(&piece)? } else { self.push_unchanged(piece)? };
        // One piece at least stays behind, or a body that is cut off would be complete in the eyes of HTTP.
        Ok(match judged {
            Some(judged) if self.last.is_some() || self.held.is_empty() => self.last.replace(judged),
            Some(judged) => Some(judged),
            None if self.held.is_empty() => None,
            None => self.last.take(),
        })
    }

    /// Judges the whole, and gives its end, which may go on now.
    ///
    /// # Errors
    /// [`RelayError`].
    pub fn finish(&mut self) -> Result<Bytes, RelayError> {
        let trailers = self.decoder.end()?;
        if self.is_signing() && self.decoder.framing == Framing::SignedTrailer {
            self.replace_in_trailers()?;
        }
        std::mem::take(&mut self.digests).finish(&trailers).map_err(RelayError::Digest)?;
        let held = Held { bytes: std::mem::take(&mut self.held), share: self.share.take() };
        Ok(match self.last.take() {
            Some(last) => self.joined(&last, &held.bytes)?.freeze(),
            None => held.freeze(),
        })
    }

    /// How many bytes are held, to be added to those that are still to come.
    pub fn held(&self) -> usize {
        self.last.as_ref().map_or(0, Bytes::len) + self.held.len()
    }

    fn push_unchanged(&mut self, piece: Bytes) -> Result<Option<Bytes>, RelayError> {
        self.decoder.push(&piece, |data| self.digests.update(data))?;
        if self.has_all_data() {
            self.held.extend_from_slice(&piece);
            return Ok(None);
        }
        Ok(Some(piece))
    }

    fn push_signing(&mut self, piece: &[u8]) -> Result<Option<Bytes>, RelayError> {
        let mut rest = piece;
        let mut judged: Option<Held> = None;
        while !rest.is_empty() {
            let before = self.decoder.state;
            let after = match self.decoder.step(rest, &mut |data| self.digests.update(data)) {
                Ok(after) => after,
                Err(error) => return Err(self.fail(error)),
            };
            let (taken, after) = rest.split_at(rest.len() - after.len());
            self.make_room(before, taken.len())?;
            self.held.extend_from_slice(taken);
            rest = after;
            match (before, self.decoder.state) {
                (State::Line, State::Data(size)) => {
                    if size > MAX_RELAYED_CHUNK {
                        return Err(self.fail(ChunkedError::ChunkTooLong(size)));
                    }
                    self.signature_at = self.end_of_line();
                }
                (State::DataEnd, State::Line) => {
                    self.replace_at(self.signature_at)?;
                    if !self.has_all_data() {
                        let chunk = Held { bytes: self.held.split(), share: self.share.clone() };
                        judged = Some(match judged {
                            Some(before) => self.after(before, chunk)?,
                            None => chunk,
                        });
                    }
                }
                (State::Line, State::Trailer) => {
                    self.replace_at(self.end_of_line())?;
                    self.trailers_at = self.held.len();
                }
                _ => {}
            }
        }
        Ok(judged.map(Held::freeze))
    }

    /// For so many bytes more. Room doubles as a chunk grows, since it may never come whole, but not beyond its end.
    fn make_room(&mut self, before: State, bytes: usize) -> Result<(), RelayError> {
        let State::Data(left) = before else { return Ok(()) };
        if self.held.capacity() - self.held.len() >= bytes {
            return Ok(());
        }
        let end = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(ROOM_FOR_END);
        let more = end.min(self.held.len().max(ROOM_IN_ADVANCE)).max(bytes);
        let Held { bytes, share } = self.room_for(self.held.len() + more)?;
        // `reserve` would double whatever is asked for.
        let before = std::mem::replace(&mut self.held, bytes);
        self.held.extend_from_slice(&before);
        self.share = share;
        Ok(())
    }

    /// Empty, with room for so many bytes.
    fn room_for(&mut self, bytes: usize) -> Result<Held, RelayError> {
        let share = match &self.room {
            Some(room) if bytes > UNCOUNTED => match room.take(bytes) {
                Ok(share) => Some(Arc::new(share)),
                Err(error) => {
                    self.decoder.state = State::Failed;
                    return Err(RelayError::NoRoom(error));
                }
            },
            _ => None,
        };
        Ok(Held { bytes: BytesMut::with_capacity(bytes), share })
    }

    /// A chunk and the one after it. Most are in the same memory, one behind the other.
    fn after(&mut self, before: Held, chunk: Held) -> Result<Held, RelayError> {
        if before.bytes.as_ptr_range().end != chunk.bytes.as_ptr() {
            return self.joined(&before.bytes, &chunk.bytes);
        }
        let Held { mut bytes, share } = before;
        bytes.unsplit(chunk.bytes);
        Ok(Held { bytes, share })
    }

    fn joined(&mut self, first: &[u8], second: &[u8]) -> Result<Held, RelayError> {
        let mut joined = self.room_for(first.len() + second.len())?;
        joined.bytes.extend_from_slice(first);
        joined.bytes.extend_from_slice(second);
        Ok(joined)
    }

    fn fail(&mut self, error: ChunkedError) -> RelayError {
        self.decoder.state = State::Failed;
        error.into()
    }

    fn is_signing(&self) -> bool {
        self.decoder.signatures.as_ref().is_some_and(|signatures| signatures.ours.is_some())
    }

    fn has_all_data(&self) -> bool {
        self.decoder.received == self.decoder.decoded_length
    }

    /// Where the signature of a chunk begins whose line was just read: it ends the line.
    fn end_of_line(&self) -> usize {
        self.held.len().saturating_sub(SIGNATURE_DIGITS + "\r\n".len())
    }

    fn replacement(&mut self) -> Result<Replacement, RelayError> {
        let replacement = self.decoder.signatures.as_mut().and_then(|signatures| signatures.replacement.take());
        replacement.filter(|it| it.ours.len() == it.theirs.len()).ok_or(RelayError::NotSigned)
    }

    fn replace_at(&mut self, start: usize) -> Result<(), RelayError> {
        let Replacement { theirs, ours } = self.replacement()?;
        match self.held.get_mut(start..start + theirs.len()) {
            Some(place) if place == theirs.as_bytes() => {
                place.copy_from_slice(ours.as_bytes());
                Ok(())
            }
            _ => Err(RelayError::NotSigned),
        }
    }

    /// The signature is in the last line, so it is the last place with these digits.
    fn replace_in_trailers(&mut self) -> Result<(), RelayError> {
        let Replacement { theirs, ours } = self.replacement()?;
        let trailers = self.held.get_mut(self.trailers_at..).unwrap_or_default();
        let start = trailers.windows(theirs.len()).rposition(|window| window == theirs.as_bytes());
        match start.and_then(|start| trailers.get_mut(start..start + theirs.len())) {
            Some(place) => {
                place.copy_from_slice(ours.as_bytes());
                Ok(())
            }
            None => Err(RelayError::NotSigned),
        }
    }
}

/// Bytes, and what they take of the room for all.
struct Held {
    bytes: BytesMut,
    share: Option<Arc<Share>>,
}

impl Held {
    fn freeze(self) -> Bytes {
        let bytes = self.bytes.freeze();
        match self.share {
            Some(share) => share.with(bytes),
            None => bytes,
        }
    }
}

impl ChunkSignatures for Signatures {
    fn chunk(&mut self, sha256_of_data: [u8; 32], signature: &str) -> bool {
        let right = self.theirs.as_mut().is_some_and(|theirs| theirs.chunk(sha256_of_data, signature));
        if let Some(ours) = self.ours.as_mut().filter(|_| right) {
            self.replacement = Some(Replacement { theirs: signature.to_owned(), ours: ours.chunk(sha256_of_data) });
        }
        right
    }

    fn trailer(&mut self, canonical: &[u8], signature: &str) -> bool {
        let right = self.theirs.as_mut().is_some_and(|theirs| theirs.trailer(canonical, signature));
        if let Some(ours) = self.ours.as_mut().filter(|_| right) {
            self.replacement = Some(Replacement { theirs: signature.to_owned(), ours: ours.trailer(canonical) });
        }
        right
    }
}

impl From<ChunkedError> for RelayError {
    fn from(error: ChunkedError) -> Self {
        Self::Framing(error)
    }
}

impl From<RelayError> for S3Error {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Framing(error) => error.into(),
            RelayError::Digest(error) => error,
            RelayError::NotSigned => ErrorCode::InternalError.into(),
            RelayError::NoRoom(error) => error.into(),
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("state", &self.decoder.state)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framing(error) => write!(f, "{error}"),
            Self::Digest(error) => write!(f, "{error}"),
            Self::NotSigned => f.write_str("a signature could not be replaced"),
            Self::NoRoom(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for RelayError {}

#[cfg(test)]
mod tests;
