//! Does a policy allow, deny, or say nothing?

/// A checked, compiled policy.
#[derive(Clone, Debug)]
pub struct Policy {}
