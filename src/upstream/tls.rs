//! What TLS towards the store trusts.

use std::fmt;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Whose word counts for who the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// That of the authorities that the system trusts.
    #[default]
    System,
    /// That of these authorities, and of no other: whoever runs one for the store need not let the whole world's vouch
    /// for it too.
    Only(Vec<CertificateDer<'static>>),
}

/// TLS could not be set up.
#[derive(Debug)]
pub struct TlsError(Box<dyn std::error::Error + Send + Sync>);

impl TlsError {
    pub(crate) fn new(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(cause))
    }

    /// What it was, for whoever speaks to somebody else than the store.
    #[cfg(feature = "otlp")]
    pub(crate) fn into_cause(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

/// For endpoints that are `https`, with the roots that `trust` names. Plain ones trust nobody: they need no certificates,
/// so that the smallest of images will do.
pub(crate) fn client_config(trust: &Trust, is_https: bool) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::new)?;
    let builder = match trust {
        _ if !is_https => builder.with_root_certificates(RootCertStore::empty()),
        Trust::System => builder.with_native_roots().map_err(TlsError::new)?,
        Trust::Only(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(authority.clone()).map_err(TlsError::new)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS towards the object store cannot be set up: {}", self.0)
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}
