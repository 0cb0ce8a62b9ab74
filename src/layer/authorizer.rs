//! Decisions for proxies that carry the bytes themselves: nginx's `auth_request`, Envoy's `ext_authz`.
//!
//! Such a proxy asks with the head of a request and sends the request on itself, as it came. So what is decided here must
//! be all that there is to decide: a request that is answered here, whose body plays a part, whose outcome has to be noted,
//! or that would go on changed, cannot be decided this way; the proxy sends those to Portcullis whole, or refuses them.
//! The body is the store's to hold against what its head promises, as the signature is, which it must verify as well.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use super::layer::{BucketPolicyLayer, Enforcement, Shared};
use super::question::Asking;
use super::service::Exchange;
use super::strict;
use super::target::{Decidable, Route, Target};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::operation::Operation;

/// Decides requests that somebody else sends on.
#[derive(Clone, Debug)]
pub struct Authorizer {
    shared: Arc<Shared>,
}

/// What comes of asking.
#[derive(Debug)]
pub enum Verdict {
    /// The request may go on to the store, just as it came.
    Allowed,
    /// The request must go through Portcullis whole, which decides it then. Where it cannot, this is the answer to give.
    Undecidable(Response<Bytes>),
    /// The request goes nowhere, and this is the answer to give, with S3's status and XML.
    Refused(Response<Bytes>),
}

impl BucketPolicyLayer {
    /// Decisions by the layer's own settings and policies.
    pub fn authorizer(&self) -> Authorizer {
        Authorizer { shared: Arc::clone(&self.shared) }
    }
}

impl Authorizer {
    /// Decides the request with this head, which is told and counted like any other. How it was [asked](Asking) about is
    /// among its extensions; without it, the head is the very one that goes on.
    ///
    /// Where nothing is enforced, nothing is refused that would pass there.
    pub async fn authorize(&self, parts: Parts) -> Verdict {
        let exchange = Exchange::new(Arc::clone(&self.shared), parts);
        match exchange.weigh().await {
            Ok(Weighed::Allowed) => Verdict::Allowed,
            Ok(Weighed::Undecidable) => {
                let error = S3Error::new(ErrorCode::AccessDenied)
                    .with_message("This request is decided by more than its head: send it through Portcullis.")
                    .with_field("Method", exchange.parts.method.as_str());
                Verdict::Undecidable(exchange.responder.bare_error(&error))
            }
            Err(error) => Verdict::Refused(exchange.responder.bare_error(&error)),
        }
    }
}

/// What the head of a request comes to that is not refused.
#[derive(Clone, Copy)]
enum Weighed {
    Allowed,
    Undecidable,
}

impl Exchange {
    async fn weigh(&self) -> Result<Weighed, S3Error> {
        match self.shared.enforcement {
            Enforcement::Off => self.weigh_route(),
            Enforcement::Audit => {
                match Decidable::of(&self.parts, &self.shared) {
                    // Told of where it is decided.
                    Ok(Decidable { target, operation }) if !self.is_decided_by_its_head(&target, operation) => {
                        return Ok(Weighed::Undecidable);
                    }
                    Ok(Decidable { operation: Operation::CorsPreflight, .. }) => {}
                    Ok(Decidable { target, operation }) => self.rehearse_head(&target, operation).await,
                    Err(error) => self.tell_would_refuse(None, None, &error),
                }
                self.weigh_route()
            }
            Enforcement::Enforce => {
                let Decidable { target, operation } = Decidable::of(&self.parts, &self.shared)?;
                if !self.is_decided_by_its_head(&target, operation) || self.would_be_changed() {
                    return Ok(Weighed::Undecidable);
                }
                if operation != Operation::CorsPreflight {
                    self.decide_head(&target, operation).await?;
                }
                Ok(Weighed::Allowed)
            }
        }
    }

    /// Where nothing is enforced, all passes but what is answered or noted here.
    fn weigh_route(&self) -> Result<Weighed, S3Error> {
        match Target::of(&self.parts, &self.shared)?.route {
            Route::Onward => Ok(Weighed::Allowed),
            Route::Policy(_) | Route::PublicAccess(_) | Route::CreateBucket | Route::DeleteBucket => {
                Ok(Weighed::Undecidable)
            }
        }
    }

    /// Whether the head of a request is all there is to decide, and sending it on all there is to do.
    fn is_decided_by_its_head(&self, target: &Target, operation: Operation) -> bool {
        target.route == Route::Onward && operation != Operation::PostObject && self.bound(operation).is_none()
    }

    /// Whether the store could read the request otherwise than it was decided, as long as it stays as it came.
    fn would_be_changed(&self) -> bool {
        let joined = self.parts.extensions.get() == Some(&Asking::ExtAuthz);
        strict::has_orders(&self.parts.headers)
            || self.parts.uri.path().contains(';')
            || (joined && strict::may_be_repeated(&self.parts.headers))
    }
}
