//! What the tests stand on.

pub(crate) mod cache;
mod garage;
mod moto;
pub(crate) mod people;
mod portcullis;
pub(crate) mod process;
mod recorder;
pub(crate) mod script;
mod stack;

pub(crate) use portcullis::binary;
pub(crate) use stack::{Auth, Backend, Stack};
