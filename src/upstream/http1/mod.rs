//! HTTP/1.1 with the object store: one request at a time on a connection, written and read by whoever waits for the answer.
//!
//! Follows RFC 9112. hyper's client gives each connection a task of its own, and a request and every piece of a body pass between
//! two tasks. Where the one waits for the other anyway, that was a third of what a small request cost (`benches/README.md`).
//! Here the future of an answer drives the connection, and after it the answer's body does.
//!
//! What is read is read strictly, since a store and a proxy that disagree on where an answer ends would mix up the answers of two
//! clients: [`response`] says where one ends, [`chunked`] reads the only framing that has to be parsed.

pub mod chunked;
mod connection;
mod exchange;
mod request;
pub mod response;
mod upload;

pub(super) use connection::Connection;
pub(super) use exchange::{Broken, Exchange, Failure, Incoming};
