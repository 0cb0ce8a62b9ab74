//! The tower `Layer`: `?policy` answered here, everything else the inner service's.
//!
//! [`layer`] holds the settings, [`service`] the way of a request, `policy_api` what happens to `?policy`, [`body`]
//! and [`future`] the types that come back, and [`respond`] is the one way out for an error.

pub mod body;
#[cfg_attr(not(test), expect(dead_code, reason = "the enforcing path is to call it"))]
mod bucket_list;
pub mod change;
pub mod connection;
mod form_body;
pub mod future;
#[expect(clippy::module_inception, reason = "tower's own name for the file that holds the settings")]
pub mod layer;
mod locks;
mod policy_api;
pub mod respond;
pub mod service;
pub mod store_facts;
mod target;

pub use body::{RequestBody, ResponseBody};
pub use change::{ChangeKind, Outcome, PeerAddress, PolicyChange};
pub use connection::{ClientTls, TlsVersion};
#[cfg(all(test, feature = "proxy"))]
pub(crate) use form_body::peek_form;
pub use future::ResponseFuture;
pub use layer::{BucketPolicyLayer, Builder, Handler, PassThrough};
pub use respond::RequestId;
pub use service::BucketPolicy;
pub use store_facts::{StoreFacts, StoreFactsError};

/// Any error, as tower and hyper pass them on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
