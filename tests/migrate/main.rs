//! `portcullis policy migrate`: all that is kept arrives, and nothing that was acknowledged is lost on the way.
//!
//! `moving.rs` has the claims, `ground.rs` a server in a directory, the command line, and clients that keep changing.
#![cfg(feature = "proxy")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do; clippy excuses only what is inside a `#[test]`"
)]

mod ground;
mod moving;
