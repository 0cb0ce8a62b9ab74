//! Signatures of the chunks of an aws-chunked body, each of which covers the one before it.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>. The framing is not read here.

use std::fmt;

use super::scope::{Scope, Timestamp};
use super::signature::{self, SigningKey};
use crate::auth::error::AuthError;
use crate::s3::aws_chunked::ChunkSignatures;
use crate::s3::checksum::{EMPTY_SHA256, hex};

/// Verifies the chunks of one body in their order, then its trailer.
///
/// A refused chunk does not advance it: what follows is refused too, unless it is the chunk that belonged there.
#[derive(Clone)]
pub struct ChunkVerifier {
    key: SigningKey,
    timestamp: Timestamp,
    scope: String,
    previous: String,
}

impl ChunkVerifier {
    pub(super) fn new(key: SigningKey, timestamp: Timestamp, scope: &Scope, seed: String) -> Self {
        Self { key, timestamp, scope: scope.signed_form(), previous: seed }
    }

    /// Verifies the next chunk by the SHA-256 of its data (the last one is empty) and its `chunk-signature`.
    ///
    /// # Errors
    /// [`AuthError::ChunkSignature`] when it does not match.
    pub fn chunk(&mut self, data_sha256: [u8; 32], signature: &str) -> Result<(), AuthError> {
        let hash = hex(&data_sha256);
        self.advance("AWS4-HMAC-SHA256-PAYLOAD", &[EMPTY_SHA256, &hash], signature)
    }

    /// Verifies the trailing headers by their canonical form (`name:value\n` each, names in lower case, in the order
    /// sent, without `x-amz-trailer-signature`) and their `x-amz-trailer-signature`.
    ///
    /// # Errors
    /// [`AuthError::ChunkSignature`] when it does not match.
    pub fn trailer(&mut self, canonical: &[u8], signature: &str) -> Result<(), AuthError> {
        let hash = signature::sha256_hex(&[canonical]);
        self.advance("AWS4-HMAC-SHA256-TRAILER", &[&hash], signature)
    }

    fn advance(&mut self, algorithm: &str, hashes: &[&str], signature: &str) -> Result<(), AuthError> {
        let head = [algorithm, self.timestamp.as_str(), &self.scope, &self.previous];
        let ours = self.key.sign(&[[&head, hashes].concat().join("\n").as_bytes()]);
        if !signature::equal(&ours, signature) {
            return Err(AuthError::ChunkSignature);
        }
        self.previous = ours;
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

impl fmt::Debug for ChunkVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkVerifier").field("timestamp", &self.timestamp).field("scope", &self.scope).finish()
    }
}
