//! Decisions for proxies that carry the bytes themselves: nginx's `auth_request`, Envoy's `ext_authz`.
//!
//! Such a proxy asks with the head of a request and sends the request on itself. So what is decided here must be all that
//! there is to decide: a request that is answered here, whose body plays a part, or whose outcome has to be noted, cannot
//! be decided this way and is refused; the proxy sends those to Portcullis whole.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};

use super::layer::{BucketPolicyLayer, Enforcement, Shared};
use super::service::Exchange;
use super::target::{Decidable, Route};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::operation::Operation;

/// Decides requests that somebody else sends on.
#[derive(Clone, Debug)]
pub struct Authorizer {
    shared: Arc<Shared>,
}

impl BucketPolicyLayer {
    /// Decisions by the layer's own settings and policies.
    pub fn authorizer(&self) -> Authorizer {
        Authorizer { shared: Arc::clone(&self.shared) }
    }
}

impl Authorizer {
    /// Decides the request with this head, which is told and counted like any other: `Ok` for one that may go on.
    ///
    /// With [`Enforcement::Audit`] everything may; with [`Enforcement::Off`] nothing is decided.
    ///
    /// # Errors
    /// The answer to give, with S3's status and XML.
    pub async fn authorize(&self, parts: Parts) -> Result<(), Response<Bytes>> {
        if self.shared.enforcement == Enforcement::Off {
            return Ok(());
        }
        let exchange = Exchange::new(Arc::clone(&self.shared), parts);
        match exchange.authorize().await {
            Ok(()) => Ok(()),
            Err(error) if self.shared.enforcement == Enforcement::Audit => {
                exchange.tell_would_refuse(None, None, &error);
                Ok(())
            }
            Err(error) => Err(exchange.responder.bare_error(&error)),
        }
    }
}

impl Exchange {
    async fn authorize(&self) -> Result<(), S3Error> {
        let Decidable { target, operation } = Decidable::of(&self.parts, &self.shared)?;
        let whole = operation == Operation::PostObject || self.bound(operation).is_some();
        match target.route {
            Route::Onward if operation == Operation::CorsPreflight => return Ok(()),
            Route::Onward if !whole => {}
            // Its head is not enough, or sending it on is not all there is to it.
            Route::Onward | Route::Policy(_) | Route::PublicAccess(_) | Route::CreateBucket | Route::DeleteBucket => {
                return Err(S3Error::new(ErrorCode::AccessDenied)
                    .with_message("This request is decided by more than its head: send it through Portcullis.")
                    .with_field("Method", self.parts.method.as_str()));
            }
        }
        self.decide_head(&target, operation).await
    }
}

/// The head of the request that a proxy asks about: its own, as Envoy asks, or where the proxy says so in headers of its
/// own, as nginx can, the one it got.
///
/// # Errors
/// `InvalidArgument` for an `X-Original-URI` or `X-Original-Method` that is none.
pub fn asked_about(mut parts: Parts) -> Result<Parts, S3Error> {
    let malformed = |name: &'static str| S3Error::new(ErrorCode::InvalidArgument).with_field("ArgumentName", name);
    if let Some(value) = parts.headers.remove(ORIGINAL_URI) {
        parts.uri = value.to_str().ok().and_then(|uri| uri.parse().ok()).ok_or_else(|| malformed(ORIGINAL_URI))?;
    }
    if let Some(value) = parts.headers.remove(ORIGINAL_METHOD) {
        parts.method = Method::from_bytes(value.as_bytes()).map_err(|_| malformed(ORIGINAL_METHOD))?;
    }
    Ok(parts)
}

/// The path and query that nginx got, as it got them: `$request_uri`.
const ORIGINAL_URI: &str = "x-original-uri";
/// The method that nginx got: `$request_method`.
const ORIGINAL_METHOD: &str = "x-original-method";
