//! What the tests stand on.

pub(crate) mod cache;
pub(crate) mod clients;
pub(crate) mod front;
#[allow(dead_code, reason = "other suites start it too, and stop it")]
mod garage;
mod moto;
pub(crate) mod people;
pub(crate) mod portcullis;
pub(crate) mod process;
mod recorder;
pub(crate) mod script;
mod stack;

pub(crate) use portcullis::{Portcullis, Settings, binary};
pub(crate) use stack::{Auth, Backend, Stack};
