//! The object store behind us: requests sent on ([`client`]), questions of our own ([`control`]), and a store inside
//! the process for trying out ([`embedded`]).

mod balance;
pub mod client;
mod connect;
pub mod control;
pub mod credentials;
mod dispatch;
mod download;
pub mod embedded;
pub mod endpoint;
pub mod endpoints;
mod facts;
mod headers;
pub mod http1;
mod objects;
mod pool;
pub mod post_form;
mod question;
pub mod respond;
mod sign;
mod spans;
mod tls;

pub use client::{ClientSettings, RequestBodyFailed, ResponseFuture, UpstreamClient};
pub use control::{ControlClient, ControlSettings};
pub use credentials::{KeyPair, UpstreamCredentials};
pub use download::ResponseBody;
pub use embedded::{EmbeddedError, EmbeddedStore};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use endpoints::Endpoints;
pub use objects::BucketObjects;
pub use post_form::UpstreamFormSigner;
pub use question::ControlError;
#[cfg(feature = "otlp")]
pub(crate) use tls::client_config;
pub use tls::{TlsError, Trust};
