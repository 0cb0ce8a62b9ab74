//! The policy language: documents, their validation, deciding, and explaining.
//!
//! Pure: no IO, no clock, and no word of HTTP. A [`PolicyDocument`] is what an author wrote; a [`Policy`] is what
//! [`Policy::parse`] made of it, compiled once, and only a [`Policy`] can decide. [`decide()`] weighs the policies of a
//! request as Amazon does; [`explain()`] tells why.
//!
//! Follows Amazon's "IAM JSON policy reference" and "Bucket policies for Amazon S3".
//!
//! ```
//! use portcullis::policy::{AccessRequest, AccountId, Action, Context, Decision, Policies, Policy, Principal, decide, explain};
//!
//! let document = br#"{"Version":"2012-10-17","Statement":[
//!     {"Sid":"PublicRead","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"},
//!     {"Sid":"OfficeOnly","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/draft/*",
//!      "Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}"#;
//! let policy = Policy::parse(document, "photos")?.policy;
//! let policies = Policies { identity: &[], bucket: Some(&policy), owner: &AccountId::parse("111122223333").unwrap() };
//!
//! let mut context = Context::new();
//! context.set("aws:SourceIp", ["198.51.100.7"]);
//! let ask = |resource| AccessRequest { principal: &Principal::Anonymous, action: Action::GetObject, resource, context: &context };
//! let (cat, dog) = (ask("arn:aws:s3:::photos/cat.jpg"), ask("arn:aws:s3:::photos/draft/dog.jpg"));
//! assert_eq!(decide(&cat, &policies).decision(), Decision::Allow);
//! let denied = decide(&dog, &policies);
//! assert_eq!(denied.decision(), Decision::ExplicitDeny);
//! assert_eq!(denied.by().next().and_then(|by| policies.sid(by)), Some("OfficeOnly"));
//! // The first request was spared by the second statement: why?
//! assert_eq!(explain(&cat, &policies).statements[1].missed.unwrap().element(), "Resource");
//!
//! // What is not a policy says why in Amazon's words, and where.
//! let refused = Policy::parse(br#"{"Statement":[{"Effect":"allow"}]}"#, "photos").unwrap_err();
//! let problem = refused.first().unwrap();
//! assert_eq!(problem.message, "Invalid effect: allow");
//! assert_eq!(problem.detail.as_deref(), Some(r#"Statement NO_ID-0, Effect: "allow" (line 1, column 25)"#));
//! # Ok::<(), portcullis::policy::InvalidPolicy>(())
//! ```

mod action;
mod condition;
mod context;
mod decide;
mod document;
mod error;
mod evaluate;
mod explain;
pub(crate) mod json;
mod pattern;
mod prefix_tree;
mod principal;
mod public;
mod request;
mod resource;
mod validate;
mod version;

pub use action::{Action, ActionLevel};
pub(crate) use condition::date;
pub use condition::{ConditionKey, KeySet};
pub use context::Context;
pub use decide::{AttachedPolicy, Decided, Decider, Decision, Policies, decide};
pub use document::PolicyDocument;
pub use error::{InvalidPolicy, Problem};
pub use evaluate::Policy;
pub use explain::{Explanation, FailedTest, Missed, StatementExplanation, explain};
pub use principal::{
    Account, AccountId, CanonicalUserId, GrantedTo, InvalidAccountId, Principal, RoleSession, Root, User,
};
pub use request::AccessRequest;
pub use validate::{MAX_BODY, MAX_NORMALIZED, Validated};
