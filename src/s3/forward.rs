//! How a verified request is sent on: what the layer tells the service inside it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::address::BucketName;
use super::aws_chunked::{ChunkSigner, Framing};
use super::error::S3Error;
use super::form::{Form, SizeRange};
use crate::policy::AccountId;

/// Put among a request's extensions, asks the inner service to take the caller's signature off and to sign the request
/// anew with credentials of its own. Without it a request goes on as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resign {
    /// The caller's account, whose upstream credentials are used where it has some; the default pair otherwise.
    pub account: Option<AccountId>,
    /// What the caller's signature says of the payload; kept.
    pub payload: SignedPayload,
    /// The raw path to send and to sign, path-style: virtual-hosted style does not survive another `Host`.
    pub path: String,
}

/// `x-amz-content-sha256` of a request that is signed anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedPayload {
    /// The payload's SHA-256, in hexadecimal.
    Sha256(String),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// One of the `STREAMING-…` forms: aws-chunked framing, which is kept. Where its chunks are signed, who signs the
    /// request must leave a signer here before the body is asked for.
    Streaming(Framing, ChunkSignerSlot),
}

/// Where the service that signs a request leaves the signer of its chunks, and the body on its way finds it: the new
/// signatures begin with the request's own, which is only known once the request is signed.
///
/// Two are equal if they are the same one.
#[derive(Clone, Default)]
pub struct ChunkSignerSlot(Arc<Mutex<Option<Box<dyn ChunkSigner>>>>);

impl ChunkSignerSlot {
    /// Leaves the signer.
    pub fn put(&self, signer: Box<dyn ChunkSigner>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(signer);
    }

    /// Takes the signer, where one was left.
    pub fn take(&self) -> Option<Box<dyn ChunkSigner>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PartialEq for ChunkSignerSlot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ChunkSignerSlot {}

impl fmt::Debug for ChunkSignerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkSignerSlot")
    }
}

/// Put among a request's extensions, asks the inner service to take the caller's signature off and to send the request
/// without one: a browser's question, or a form, which carries its signature in its body.
///
/// The length of the body decides over that which the client announced, since a form signed anew has another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// The raw path to send, path-style: virtual-hosted style does not survive another `Host`.
    pub path: String,
}

/// Signs browsers' uploads anew, with credentials of its own.
pub trait FormSigner: Send + Sync {
    /// What to send in the place of all that came before the file: a form that the store takes from us, with the same
    /// key, fields and size. `account` is the caller's, whose upstream credentials are used where it has some; the
    /// default pair otherwise.
    ///
    /// # Errors
    /// What to answer for a form that cannot be signed.
    fn sign(&self, account: Option<&AccountId>, form: &FormToSign<'_>) -> Result<Bytes, S3Error>;
}

/// A form that was decided and may be stored.
#[derive(Clone, Copy, Debug)]
pub struct FormToSign<'a> {
    /// Its fields.
    pub form: &'a Form,
    /// The bytes the form was read from, at least up to the file.
    pub head: &'a [u8],
    /// The bucket it was sent to.
    pub bucket: &'a BucketName,
    /// How long the file may be.
    pub size: SizeRange,
    /// When.
    pub now: SystemTime,
}
