//! Amazon-grade S3 bucket policies in front of any object store.
//!
//! [`BucketPolicyLayer`] wraps an S3 service, such as a proxy to a store, and answers `?policy` for it: it authenticates
//! the caller (Signature V4), resolves the bucket's owner, applies Amazon's identity rules, validates the policy and
//! stores or forwards it. Everything else is the wrapped service's.
//!
//! Whoever uses the Layer brings three things, each a trait with implementations here: access keys
//! ([`identity::CredentialStore`]), the owners of buckets ([`ownership::BucketOwners`]) and a place for policies
//! ([`store::PolicyStore`]).
//!
//! With `default-features = false` that is all there is, without a runtime. The `proxy` feature (on by default) adds the
//! binary's parts: the proxy, its configuration and its stores on disk.

pub mod auth;
pub mod identity;
pub mod layer;
pub mod meters;
pub mod ownership;
pub mod policy;
pub mod s3;
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nobody begins spans in builds without it"))]
pub mod spans;
pub mod store;

#[cfg(feature = "proxy")]
pub mod admin;
#[cfg(feature = "proxy")]
pub mod config;
#[cfg(feature = "proxy")]
pub mod server;
#[cfg(feature = "proxy")]
pub mod telemetry;
#[cfg(feature = "proxy")]
mod toml_reader;
#[cfg(feature = "proxy")]
pub mod upstream;
#[cfg(feature = "proxy")]
mod watch;

pub use layer::{
    BoxError, BucketPolicy, BucketPolicyLayer, ChangeKind, ClientTls, Conclusion, DenialCause, DenialReason, Denied,
    Enforcement, Findings, Handler, KeyRule, Outcome, PassThrough, PeerAddress, PolicyChange, PolicyDenial,
    RequestBody, RequestId, ResponseBody, ResponseFuture, StoreFacts, StoreFactsError, TlsVersion,
};

// The README's code is compiled like the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
