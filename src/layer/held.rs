//! Bodies that are read whole before anything is done with them: those that a decision depends on, and those of requests
//! that wait for their bucket's turn.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};
use http_body::Body;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use super::BoxError;
use super::body::interrupted;
use super::service::{Exchange, Passage};
use super::target::Target;
use crate::auth::sigv4::{PayloadMode, Verified};
use crate::s3::aws_chunked::{self, ChunkSignatures, Framing, unframe};
use crate::s3::checksum::{DigestChecks, PayloadHash, hex};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::forward::SignedPayload;
use crate::s3::held_bytes::HeldBytes;

/// How much longer than its payload an aws-chunked body may be: chunk headers, signatures, trailers.
const FRAMING_BYTES: usize = 8 * 1024;

/// A body that was read whole and found right.
pub(super) struct Held {
    /// As it came, framing and all.
    pub(super) raw: Bytes,
    /// What it says.
    pub(super) content: Bytes,
    /// What came behind it in aws-chunked framing.
    pub(super) trailers: Vec<(HeaderName, HeaderValue)>,
}

/// A bound on a body, and the error of one that is longer.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) bytes: usize,
    pub(super) too_long: fn() -> S3Error,
}

impl Bound {
    pub(super) fn bytes(bytes: usize) -> Self {
        Self { bytes, too_long: || ErrorCode::MaxMessageLengthExceeded.into() }
    }

    /// The bound of the body as it is sent. A chunk may be small, so the framing of a long body is longer than that of a
    /// short one.
    pub(super) fn framed(self, payload: PayloadMode) -> Self {
        match framing(payload) {
            Some(_) => Self { bytes: self.bytes + FRAMING_BYTES + self.bytes / 64, ..self },
            None => self,
        }
    }

    /// The length within the framing, where there is one.
    fn decoded_length(self, headers: &HeaderMap, payload: PayloadMode) -> Result<Option<u64>, S3Error> {
        if framing(payload).is_none() {
            return Ok(None);
        }
        match aws_chunked::decoded_length(headers)? {
            length if length > self.bytes as u64 => Err((self.too_long)()),
            length => Ok(Some(length)),
        }
    }
}

impl Held {
    /// Reads a body, undoes its framing, and holds it against everything that was said of it: length, digests,
    /// signatures. `verified` is the caller's signature, if there is one. Whoever holds it, it counts among `room`.
    pub(super) async fn read<B>(
        body: B,
        bound: Bound,
        room: &HeldBytes,
        headers: &HeaderMap,
        payload: PayloadMode,
        verified: Option<&Verified>,
    ) -> Result<Self, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // Before anything is read, what can be refused already.
        let checks = DigestChecks::from_headers(headers)?;
        bound.decoded_length(headers, payload)?;
        let raw = read(body, content_length(headers), bound.framed(payload), Some(room)).await?;
        Self::unpack(raw, bound, checks, headers, payload, verified)
    }

    /// The same for a body that was read already.
    pub(super) fn check(
        raw: Bytes,
        bound: Bound,
        headers: &HeaderMap,
        payload: PayloadMode,
        verified: Option<&Verified>,
    ) -> Result<Self, S3Error> {
        Self::unpack(raw, bound, DigestChecks::from_headers(headers)?, headers, payload, verified)
    }

    fn unpack(
        raw: Bytes,
        bound: Bound,
        checks: DigestChecks,
        headers: &HeaderMap,
        payload: PayloadMode,
        verified: Option<&Verified>,
    ) -> Result<Self, S3Error> {
        let (content, trailers) = match (framing(payload), bound.decoded_length(headers, payload)?) {
            (Some(framing), Some(length)) => {
                let mut verifier = verified.map(Verified::chunk_verifier);
                let signatures = verifier.as_mut().map(|verifier| verifier as &mut dyn ChunkSignatures);
                let decoded = aws_chunked::decode(&raw, framing, length, signatures)?;
                (decoded.data, decoded.trailers)
            }
            _ => (raw.clone(), Vec::new()),
        };
        if let PayloadMode::Sha256(expected) = payload {
            let mut hash = PayloadHash::new(expected);
            hash.update(&raw);
            hash.verify()?;
        }
        checks.with_trailers(&trailers)?.verify(&content)?;
        Ok(Self { raw, content, trailers })
    }
}

pub(super) fn framing(payload: PayloadMode) -> Option<Framing> {
    match payload {
        PayloadMode::Sha256(_) | PayloadMode::Unsigned => None,
        PayloadMode::StreamingSigned { trailer: false } => Some(Framing::Signed),
        PayloadMode::StreamingSigned { trailer: true } => Some(Framing::SignedTrailer),
        PayloadMode::StreamingUnsignedTrailer => Some(Framing::UnsignedTrailer),
    }
}

impl Held {
    /// Reads a body that goes on as it came, whatever was said of it.
    pub(super) async fn as_sent<B>(
        body: B,
        bound: Bound,
        room: &HeldBytes,
        headers: &HeaderMap,
    ) -> Result<Self, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let raw = read(body, content_length(headers), bound, Some(room)).await?;
        Ok(Self { content: raw.clone(), raw, trailers: Vec::new() })
    }
}

impl Exchange {
    /// Makes the head fit a body that is held, and leaves word how to sign it; answers the bytes that go on.
    pub(super) fn place(&mut self, target: &Target, passage: &Passage, held: Held) -> Result<Bytes, S3Error> {
        let headers = &mut self.parts.headers;
        // What was read already needs no leave to be sent.
        headers.remove(EXPECT);
        match passage {
            Passage::AsSent => Ok(held.raw),
            Passage::Resigned { account, .. } => {
                // As a plain payload, which needs no signatures of its chunks.
                if held.raw != held.content {
                    unframe(headers, held.trailers);
                }
                self.fit_and_sign(target, account.clone(), held.content)
            }
        }
    }

    /// The same for bytes of our own making.
    pub(super) fn fit_and_sign(
        &mut self,
        target: &Target,
        account: Option<crate::policy::AccountId>,
        content: Bytes,
    ) -> Result<Bytes, S3Error> {
        let headers = &mut self.parts.headers;
        headers.remove(EXPECT);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        let payload = SignedPayload::Sha256(hex(&Sha256::digest(&content)));
        self.mark_for_signing(target, account, payload)?;
        Ok(content)
    }
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body as it comes, and counts it among `room`, where there is one.
pub(super) async fn read<B>(
    body: B,
    announced: Option<u64>,
    bound: Bound,
    room: Option<&HeldBytes>,
) -> Result<Bytes, S3Error>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if announced.is_some_and(|length| length > bound.bytes as u64) {
        return Err((bound.too_long)());
    }
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    let mut share = room.map(HeldBytes::share);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| interrupted(&*error.into()))?.into_data() else { continue };
        if data.len() > bound.bytes.saturating_sub(bytes.len()) {
            return Err((bound.too_long)());
        }
        // Twice: memory is taken in doubles, and there may be a second copy, without the framing.
        if let Some(share) = &mut share {
            share.grow_to(2 * (bytes.len() + data.len()))?;
        }
        bytes.extend_from_slice(&data);
    }
    match announced {
        Some(length) if length != bytes.len() as u64 => Err(ErrorCode::IncompleteBody.into()),
        Some(_) | None => Ok(match share {
            Some(share) => Arc::new(share).with(bytes.freeze()),
            None => bytes.freeze(),
        }),
    }
}
