//! What is being asked: who, which action, on which resource.

use super::action::Action;
use super::principal::Principal;

/// One question to a policy. A request to S3 may need several of them answered.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What they want to do.
    pub action: Action,
    /// What they want to do it to, as a full ARN with the key decoded: `arn:aws:s3:::photos/a b.jpg`.
    pub resource: &'a str,
}
