//! Signatures of the chunks of an aws-chunked body, each of which covers the one before it.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>. The framing is not read here.

use std::fmt;

use super::header::AuthorizationHeader;
use super::scope::{Scope, Timestamp};
use super::signature::{self, SigningKey};
use crate::auth::error::AuthError;
use crate::auth::identity::SecretKey;
use crate::s3::aws_chunked::{ChunkSignatures, ChunkSigner};
use crate::s3::checksum::{EMPTY_SHA256, hex};

/// The signatures of one body's chunks, and of its trailers, one after the other.
#[derive(Clone)]
struct Chain {
    key: SigningKey,
    timestamp: Timestamp,
    scope: String,
    previous: String,
}

impl Chain {
    fn chunk(&self, data_sha256: [u8; 32]) -> String {
        self.next("AWS4-HMAC-SHA256-PAYLOAD", &[EMPTY_SHA256, &hex(&data_sha256)])
    }

    fn trailer(&self, canonical: &[u8]) -> String {
        self.next("AWS4-HMAC-SHA256-TRAILER", &[&signature::sha256_hex(&[canonical])])
    }

    fn next(&self, algorithm: &str, hashes: &[&str]) -> String {
        let head = [algorithm, self.timestamp.as_str(), &self.scope, &self.previous];
        self.key.sign(&[[&head, hashes].concat().join("\n").as_bytes()])
    }

    /// Goes on to `next`, and gives it back.
    fn advance(&mut self, next: String) -> String {
        self.previous.clone_from(&next);
        next
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("timestamp", &self.timestamp).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Verifies the chunks of one body in their order, then its trailer.
///
/// A refused chunk does not advance it: what follows is refused too, unless it is the chunk that belonged there.
#[derive(Clone, Debug)]
pub struct ChunkVerifier(Chain);

impl ChunkVerifier {
    pub(super) fn new(key: SigningKey, timestamp: Timestamp, scope: &Scope, seed: String) -> Self {
        Self(Chain { key, timestamp, scope: scope.signed_form(), previous: seed })
    }

    /// Verifies the next chunk by the SHA-256 of its data (the last one is empty) and its `chunk-signature`.
    ///
    /// # Errors
    /// [`AuthError::ChunkSignature`] when it does not match.
    pub fn chunk(&mut self, data_sha256: [u8; 32], signature: &str) -> Result<(), AuthError> {
        let ours = self.0.chunk(data_sha256);
        self.advance(ours, signature)
    }

    /// Verifies the trailing headers by their canonical form (`name:value\n` each, names in lower case, in the order
    /// sent, without `x-amz-trailer-signature`) and their `x-amz-trailer-signature`.
    ///
    /// # Errors
    /// [`AuthError::ChunkSignature`] when it does not match.
    pub fn trailer(&mut self, canonical: &[u8], signature: &str) -> Result<(), AuthError> {
        let ours = self.0.trailer(canonical);
        self.advance(ours, signature)
    }

    fn advance(&mut self, ours: String, theirs: &str) -> Result<(), AuthError> {
        if !signature::equal(&ours, theirs) {
            return Err(AuthError::ChunkSignature);
        }
        self.0.advance(ours);
        Ok(())
    }
}

impl ChunkSignatures for ChunkVerifier {
    fn chunk(&mut self, sha256_of_data: [u8; 32], signature: &str) -> bool {
        Self::chunk(self, sha256_of_data, signature).is_ok()
    }

    fn trailer(&mut self, canonical: &[u8], signature: &str) -> bool {
        Self::trailer(self, canonical, signature).is_ok()
    }
}

/// Signs the chunks of a body in the name of who signed the request it belongs to.
#[derive(Clone, Debug)]
pub struct RequestChunkSigner(Chain);

impl RequestChunkSigner {
    /// Goes on from a request's own signature: its `Authorization` and `x-amz-date`, made with `secret`.
    ///
    /// # Errors
    /// [`AuthError`] where the headers are none of Signature Version 4.
    pub fn new(authorization: &str, date: &str, secret: &SecretKey) -> Result<Self, AuthError> {
        let header = AuthorizationHeader::parse(authorization)?;
        let timestamp = Timestamp::parse(date).ok_or_else(|| AuthError::Date(date.to_owned()))?;
        let key = SigningKey::derive(secret, &header.scope);
        Ok(Self::following(key, timestamp, &header.scope, header.signature))
    }

    /// Goes on from the signature of a request that was signed with this key at this time.
    pub(crate) fn following(key: SigningKey, timestamp: Timestamp, scope: &Scope, signature: String) -> Self {
        Self(Chain { key, timestamp, scope: scope.signed_form(), previous: signature })
    }
}

impl ChunkSigner for RequestChunkSigner {
    fn chunk(&mut self, sha256_of_data: [u8; 32]) -> String {
        self.0.advance(self.0.chunk(sha256_of_data))
    }

    fn trailer(&mut self, canonical: &[u8]) -> String {
        self.0.advance(self.0.trailer(canonical))
    }
}
