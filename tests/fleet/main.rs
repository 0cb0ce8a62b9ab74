//! Three replicas that share their policies: what one of them is told holds for all, and what happens while the place that
//! they share does not answer.
//!
//! `ground.rs` starts real servers and asks them; `s3.rs` has them share a bucket in Garage.
#![cfg(feature = "proxy")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do; clippy excuses only what is inside a `#[test]`"
)]

mod ground;
#[path = "../store/peers/mod.rs"]
#[allow(dead_code, clippy::expect_used, reason = "the end-to-end tests' own, of which not all is needed here")]
mod peers;
mod s3;
