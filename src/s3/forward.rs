//! How a verified request is sent on: what the layer tells the service inside it.

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
}
