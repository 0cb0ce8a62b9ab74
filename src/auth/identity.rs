//! Access keys, their secrets, and the [`Identity`] behind them.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::policy::Principal;

/// An access key id, the public half of a key pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// Wraps the id as it stood in the request or the identity file.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret: an access key's secret half, or a session token. It prints redacted, is compared in constant time and
/// is wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for signing. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretKey {}

/// Somebody who may sign requests: who they are and the policies attached to them.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who they are.
    pub principal: Principal,
    /// Their identity policies: their own, then their groups'. Empty for a root user, who needs none.
    pub policies: Vec<Arc<crate::policy::Policy>>,
}

impl Identity {
    /// The one behind a request without credentials.
    pub fn anonymous() -> Self {
        Self { principal: Principal::Anonymous, policies: Vec::new() }
    }
}

/// An access key as the [`CredentialStore`](crate::identity::CredentialStore) knows it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The secret half.
    pub secret: SecretKey,
    /// For a session's key, the token that must come with it.
    pub session_token: Option<SecretKey>,
    /// Whose key it is.
    pub identity: Arc<Identity>,
}
