//! Real object stores, as the end-to-end tests start them, and a real etcd.

#[path = "../../e2e/support/cache.rs"]
pub(crate) mod cache;
#[cfg(feature = "etcd")]
#[path = "../../etcd/server.rs"]
pub(crate) mod etcd;
#[path = "../../e2e/support/garage.rs"]
pub(crate) mod garage;
#[path = "../../e2e/support/moto.rs"]
pub(crate) mod moto;
#[path = "../../e2e/support/people.rs"]
pub(crate) mod people;
#[path = "../../e2e/support/process.rs"]
pub(crate) mod process;
