//! The tower `Layer`: `?policy` answered here, everything else the inner service's.
//!
//! [`layer`] holds the settings, [`service`] the way of a request, `policy_api` what happens to `?policy` and
//! `public_access` to its like; `enforce` takes every other request to `ruling`, which decides it, after `target` and
//! `strict` made sure that the store will read it as we do. [`body`] and [`future`] are the types that come back,
//! [`change`] and [`denied`] what auditors are told, [`findings`] what outer layers are, and [`respond`] is the one way out
//! for an error. [`administration`] is what an operator does beside the requests; [`authorizer`] decides requests that others
//! carry, and [`question`] is how they ask.

pub mod administration;
pub mod authorizer;
mod batch_delete;
pub mod body;
mod body_check;
mod bucket_list;
pub mod change;
pub mod connection;
mod cross_origin;
pub mod denied;
mod enforce;
pub mod findings;
mod form_body;
mod form_upload;
pub mod future;
mod held;
#[expect(clippy::module_inception, reason = "tower's own name for the file that holds the settings")]
pub mod layer;
mod locks;
mod policy_api;
mod promised;
mod public_access;
pub mod question;
mod reserved;
pub mod respond;
mod ruling;
pub mod service;
pub mod store_facts;
mod strict;
mod tally;
mod target;

pub use administration::{ADMIN, Administration};
pub use authorizer::{Authorizer, Verdict};
pub use body::{RequestBody, ResponseBody};
pub use change::{ChangeKind, Outcome, PeerAddress, PolicyChange};
pub use connection::{ClientTls, TlsVersion};
pub use denied::{DenialCause, DenialReason, Denied, PolicyDenial};
pub use findings::{Conclusion, Findings};
#[cfg(all(test, feature = "proxy"))]
pub(crate) use form_body::peek_form;
pub use future::ResponseFuture;
pub use layer::{BucketPolicyLayer, Builder, Enforcement, Handler, PassThrough};
pub use question::{Asking, InvalidQuestion, asked_about};
pub use respond::RequestId;
pub use service::BucketPolicy;
pub use store_facts::{StoreFacts, StoreFactsError};
pub use strict::KeyRule;

/// Any error, as tower and hyper pass them on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
