//! The policy language: documents, their validation, and deciding.
//!
//! Pure: no IO, no clock, and no word of HTTP. A document ([`document`]) is what an author wrote; a [`Policy`] is what
//! [`validate`] made of it, and only a [`Policy`] can decide ([`evaluate`]).

pub mod evaluate;
pub mod principal;
pub mod request;
pub mod validate;

pub use evaluate::Policy;
pub use principal::{Account, AccountId, CanonicalUserId, InvalidAccountId, Principal};
pub use validate::{InvalidPolicy, Problem, Validated};
