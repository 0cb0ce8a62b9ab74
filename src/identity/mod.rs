//! Where access keys are looked up: [`CredentialStore`] and its implementations.

#[cfg(feature = "proxy")]
mod declared;
pub mod derived;
#[cfg(feature = "proxy")]
pub mod file;
#[cfg(feature = "proxy")]
mod toml;
#[cfg(feature = "proxy")]
mod zenko;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::auth::identity::{AccessKeyId, Credential};
use crate::store::BoxFuture;

/// Finds the owner of an access key.
pub trait CredentialStore: Send + Sync + 'static {
    /// The credential with this id; `Ok(None)` where there is none.
    ///
    /// # Errors
    /// [`CredentialError`] when it cannot be known, which answers `503`, never as an unknown key.
    fn credential<'a>(&'a self, id: &'a AccessKeyId)
    -> BoxFuture<'a, Result<Option<Arc<Credential>>, CredentialError>>;
}

/// Identities could not be read.
#[derive(Clone, Debug)]
pub struct CredentialError(pub String);

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the identities are not available: {}", self.0)
    }
}

impl std::error::Error for CredentialError {}

/// A fixed set of credentials, held in memory.
#[derive(Clone, Debug, Default)]
pub struct StaticCredentials(HashMap<AccessKeyId, Arc<Credential>>);

impl FromIterator<Credential> for StaticCredentials {
    fn from_iter<I: IntoIterator<Item = Credential>>(credentials: I) -> Self {
        Self(credentials.into_iter().map(|c| (c.access_key_id.clone(), Arc::new(c))).collect())
    }
}

impl CredentialStore for StaticCredentials {
    fn credential<'a>(
        &'a self,
        id: &'a AccessKeyId,
    ) -> BoxFuture<'a, Result<Option<Arc<Credential>>, CredentialError>> {
        Box::pin(std::future::ready(Ok(self.0.get(id).cloned())))
    }
}
