//! Which version of the policy language is a document written in?
//!
//! Follows Amazon's "IAM JSON policy elements: Version".

/// A version of the policy language; the later one has variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `2008-10-17`, also where none is given.
    V2008,
    /// `2012-10-17`.
    V2012,
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "2008-10-17" => Some(Self::V2008),
            "2012-10-17" => Some(Self::V2012),
            _ => None,
        }
    }
}
