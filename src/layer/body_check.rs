//! Is a body that passes what was promised of it?

use bytes::Bytes;

use crate::s3::aws_chunked::{Relay, RelayError};
use crate::s3::checksum::{DigestChecks, DigestVerifier, PayloadHash};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::forward::ChunkSignerSlot;

/// Judges a body piece by piece and keeps its end back until all of it is right. Nothing is added and nothing taken
/// away, so that its length stays what it was.
#[derive(Debug)]
pub(crate) struct BodyCheck(Kind);

#[derive(Debug)]
enum Kind {
    Plain { hash: Option<PayloadHash>, digests: DigestVerifier, kept: Option<Bytes> },
    Framed { relay: Relay, signer: Option<ChunkSignerSlot> },
}

impl BodyCheck {
    /// Of a body without framing, with this SHA-256.
    pub(crate) fn plain(sha256: Option<[u8; 32]>, digests: DigestChecks) -> Self {
        Self(Kind::Plain { hash: sha256.map(PayloadHash::new), digests: digests.verifier(), kept: None })
    }

    /// Of one in aws-chunked framing; with the signer that will be found in `signer` by the time it is asked for, every
    /// signature in it is made anew.
    pub(crate) fn framed(relay: Relay, signer: Option<ChunkSignerSlot>) -> Self {
        Self(Kind::Framed { relay, signer })
    }

    /// Takes the next piece, which is not empty, and gives what may go on.
    pub(super) fn push(&mut self, data: Bytes) -> Result<Option<Bytes>, S3Error> {
        match &mut self.0 {
            Kind::Plain { hash, digests, kept } => {
                if let Some(hash) = hash {
                    hash.update(&data);
                }
                digests.update(&data);
                Ok(kept.replace(data))
            }
            Kind::Framed { relay, signer } => {
                if let Some(slot) = signer.take() {
                    relay.sign_anew(slot.take().ok_or_else(no_signer)?);
                }
                relay.push(data).map_err(refused)
            }
        }
    }

    /// Judges the whole, and gives its end.
    pub(super) fn finish(&mut self) -> Result<Option<Bytes>, S3Error> {
        match &mut self.0 {
            Kind::Plain { hash, digests, kept } => {
                if let Some(hash) = hash {
                    hash.verify()?;
                }
                std::mem::take(digests).finish(&[])?;
                Ok(kept.take())
            }
            Kind::Framed { relay, .. } => relay.finish().map(Some).map_err(refused),
        }
    }

    /// How many bytes are kept back.
    pub(super) fn held(&self) -> usize {
        match &self.0 {
            Kind::Plain { kept, .. } => kept.as_ref().map_or(0, Bytes::len),
            Kind::Framed { relay, .. } => relay.held(),
        }
    }
}

/// Fails closed: with the caller's signatures in it, what we signed would be refused by any store that looks, and passed
/// by one that does not.
fn no_signer() -> S3Error {
    tracing::error!("a body with signed chunks is asked for before anybody left word how to sign them anew");
    ErrorCode::InternalError.into()
}

fn refused(error: RelayError) -> S3Error {
    tracing::debug!(%error, "an aws-chunked body is not taken");
    error.into()
}
