//! Who is asking, and may they?
//!
//! [`sigv4`] tells who signed a request and proves it, [`identity`] says who that is, and [`authorize`] decides what
//! they may do. Pure: time reaches it as an argument.

pub mod admin_token;
pub mod authorize;
pub mod error;
pub mod identity;
pub mod sigv4;

pub use error::AuthError;
