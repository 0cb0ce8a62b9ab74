//! Who is asking, and may they?
//!
//! Pure: time reaches it as an argument.

pub mod identity;
