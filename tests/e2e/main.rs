//! The real binary, driven by the clients people use.
//!
//! - `contract.rs`: the contract of `PUT`, `GET` and `DELETE ?policy`, over the embedded store and over Garage, in
//!   `preserve` and in `resign`;
//! - `forward.rs`: the same with `handler = "forward"`, over a store that answers `?policy` itself (`moto_server`);
//! - `passthrough.rs`: all other traffic on Garage, unenforced: the aws CLI's file commands, multipart, odd keys, streams;
//! - `clients.rs`: eleven clients, the files they send and get back byte for byte;
//! - `enforcement.rs`: policies enforced, on Garage and other stores: what they grant works, and nothing else passes;
//! - `ingress.rs`: nginx and Envoy in front, which carry the bytes and ask: what is allowed passes, and nothing else;
//! - `rolling_restart.rs`: two replicas behind HAProxy, restarted under load;
//! - `durability.rs`: concurrent writers, and `kill -9` between them;
//! - `objects.rs`: policies kept as objects in Garage: the same contract, and nobody gets at them;
//! - `bad_input.rs`: broken and stalled requests, over raw sockets;
//! - `command_line.rs`: `sandbox`, `check`, `policy validate`, `debug classify`;
//! - `strain.rs`: ten thousand requests at once, and what is left behind by those who go away;
//! - `operations.rs`: health, access log, audit log, identities read again;
//! - `quick_start.rs`: `examples/try_store.py`, with which people try their own stores;
//! - `support/`: starts and stops servers; installs what is missing into a cache outside the tree;
//! - `js/`: what the SDK for JavaScript needs of its own;
//! - `py/`: the scripts that speak S3; `py/harness.py` is what they share.
//!
//! Every test has servers, ports and directories of its own. Nothing is skipped: what cannot be installed fails.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod bad_input;
mod clients;
mod command_line;
mod contract;
mod durability;
mod enforcement;
mod forward;
mod ingress;
mod objects;
mod operations;
mod passthrough;
mod quick_start;
mod rolling_restart;
mod strain;
mod support;
