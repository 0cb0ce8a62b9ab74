//! What was promised of a body that streams, and the body held against it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use http_body::Body;

use super::BoxError;
use super::body::{Fault, RequestBody};
use super::body_check::BodyCheck;
use super::held::framing;
use super::service::{Exchange, Signed};
use crate::auth::sigv4::PayloadMode;
use crate::s3::aws_chunked::{ChunkSignatures, Relay, decoded_length};
use crate::s3::checksum::{DigestChecks, hex};
use crate::s3::error::S3Error;
use crate::s3::forward::{ChunkSignerSlot, SignedPayload};

static COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
static TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// What becomes of the signatures in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They go on as they came.
    Kept,
    /// Each is replaced by one of ours.
    SignedAnew,
}

/// A body that is judged as it goes.
pub(super) struct Judged<B> {
    pub(super) body: RequestBody<B>,
    /// Where it leaves what was wrong with it; none for a body of which nothing was promised.
    pub(super) fault: Option<Fault>,
    /// What a new signature must say of it.
    pub(super) payload: SignedPayload,
}

impl Exchange {
    /// Holds a body against what its head says of it: the SHA-256, the signature of every chunk, the checksum in a header
    /// or in the trailer, `Content-MD5`, the decoded length.
    ///
    /// # Errors
    /// What can be refused before any of the body is read.
    pub(super) fn judged<B>(
        &self,
        body: RequestBody<B>,
        payload: PayloadMode,
        signed: Option<&Signed>,
        fate: Fate,
    ) -> Result<Judged<B>, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let headers = self.effective_headers()?;
        let digests = digests(&self.parts.method, &headers)?;
        let Some(framing) = framing(payload) else {
            let (sha256, payload) = match payload {
                PayloadMode::Sha256(sha256) => (Some(sha256), SignedPayload::Sha256(hex(&sha256))),
                _ => (None, SignedPayload::Unsigned),
            };
            if sha256.is_none() && digests.is_empty() {
                return Ok(Judged { body, fault: None, payload });
            }
            let (body, fault) = body.checked(BodyCheck::plain(sha256, digests))?;
            return Ok(Judged { body, fault: Some(fault), payload });
        };
        let verifier = signed.filter(|_| framing.is_signed()).map(|signed| signed.verified.chunk_verifier());
        let signatures = verifier.map(|verifier| Box::new(verifier) as Box<dyn ChunkSignatures + Send>);
        let mut relay = Relay::new(framing, decoded_length(&headers)?, signatures, digests);
        let slot = ChunkSignerSlot::default();
        let signer = (fate == Fate::SignedAnew && framing.is_signed()).then(|| slot.clone());
        if signer.is_some() {
            relay.hold_within(self.shared.held.clone());
        }
        let (body, fault) = body.checked(BodyCheck::framed(relay, signer))?;
        Ok(Judged { body, fault: Some(fault), payload: SignedPayload::Streaming(framing, slot) })
    }
}

/// The digests of the body itself. The checksum that completes an upload is the whole object's, and a copy has no body.
fn digests(method: &Method, headers: &HeaderMap) -> Result<DigestChecks, S3Error> {
    if (method == Method::PUT && !headers.contains_key(&COPY_SOURCE)) || headers.contains_key(&TRAILER) {
        return DigestChecks::from_headers(headers);
    }
    Ok(DigestChecks::default())
}
