//! What operators and their machines ask, on a listener of its own.

pub mod health;
