//! Tests through the public surface, one binary.
//!
//! - `policy_api`: the contract of `?policy`, the `BucketPolicyLayer` around a `service_fn`, called with `oneshot`: no
//!   socket, no runtime but the test's; `conditions`: what a policy may ask about such a call; `layer`: what becomes of
//!   all other requests where nothing is enforced; `enforcement`: and where policies are.
//! - `payloads`: bodies that stream through it, in every payload mode; `flipped_bits`: and what never does, byte by byte.
//! - `policy_status`: when a policy is public.
//! - `cookbook`: every recipe of `docs/cookbook.md` does what its table says.
//! - `documents`: what the Markdown of this repository links to is there.
//! - `policies`: the files of `tests/data/policies`, valid and broken.
//! - `support`: signed requests, a caller's keys, and what an answer says.
//!
//! Beside it: `decisions` holds the evaluator against cases and a reference, `allocations` counts what it allocates,
//! `sigv4` compares our signatures with the `aws-sigv4` crate's, `store` holds what every policy store must do and kills
//! one to prove it, `config` runs the command line, `simulate` its `policy simulate` and `classify` its `debug classify`,
//! `proxy` opens real sockets, `e2e` drives the real binary with real clients against real stores, and `deploy` renders
//! the manifests.

#![expect(clippy::unwrap_used, reason = "a test")]

mod conditions;
mod cookbook;
mod documents;
mod enforcement;
mod flipped_bits;
mod layer;
mod payloads;
mod policies;
mod policy_api;
mod policy_status;
mod support;
