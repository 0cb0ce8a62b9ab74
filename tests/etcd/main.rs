//! Policies in etcd, a real one, and what happens when it is away. That the store does what every store does is for
//! `tests/store`.
//!
//! - `away`: etcd is stopped, hangs, was not there at the start, or has lost its data.
//! - `watch`: the watch is lost, with and without what came meanwhile being compacted away.
//! - `damage`: records that cannot be read.
//! - `secured`: TLS, client certificates, users.
//! - `fleet`: three whole servers on one etcd.
//! - `cluster`: an etcd of three members, some of which are killed.
//! - `migrate`: `policy migrate` to it and away from it (`ground`, which is `tests/migrate`'s).
//! - `memory`: how much is kept of what nobody asks for.
//!
//! `server` is etcd, `replica` a whole server on it.

#![cfg(feature = "etcd")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do; clippy excuses only what is inside a `#[test]`"
)]

mod away;
#[path = "../e2e/support/cache.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod cache;
mod cluster;
mod damage;
mod fleet;
#[path = "../migrate/ground.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod ground;
mod memory;
mod migrate;
#[path = "../e2e/support/process.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod process;
mod replica;
mod secured;
mod server;
#[path = "../store/support.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod support;
mod watch;
