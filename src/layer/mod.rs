//! The tower `Layer`.
