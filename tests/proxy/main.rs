//! The proxy on real sockets, with clients and stores that show the very bytes.
//!
//! - `enforced`: policies that are enforced, and what is tried against them
//! - `facts`: what a decision asks the store, and what its answers mean
//! - `heads`: request lines and headers, in both directions
//! - `bodies`: lengths, chunks, trailers, `Expect`, large ones
//! - `aborts`: who goes away, and how the other side learns of it
//! - `limits`: time-outs, too many requests, draining, health
//! - `payloads`: framed bodies, signed anew or not, and every wrong one; what may be held of them
//! - `policies`: `?policy` bodies that stop, and whose address is written down
//! - `proxy_protocol`: PROXY headers, and what is believed of the client with them
//! - `endpoints`: several of one store, and the connections to them
//! - `upstream_tls`: whom to believe that it is the store
//! - `stores`: signing anew, and the questions asked in our own name, against the embedded store
//! - `tls`: TLS in front: versions, protocols, names, clients' certificates, new files under open connections

#![cfg(feature = "proxy")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do; clippy excuses only what is inside a `#[test]`"
)]

mod aborts;
mod bodies;
mod endpoints;
mod enforced;
mod facts;
mod heads;
mod limits;
mod payloads;
mod policies;
mod proxy_protocol;
mod stores;
mod support;
mod tls;
mod upstream_tls;
