//! What the person on call relies on, with the program as it is installed: what it counts (`metrics`), what it
//! does with new versions of its files (`reload`; `authz`, where a proxy asks), how it stops (`drain`), and that traces
//! pass (`tracing`).
#![cfg(feature = "proxy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking"
)]

mod authz;
mod drain;
mod metrics;
mod reload;
mod store;
mod support;
mod tracing;
