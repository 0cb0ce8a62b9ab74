//! The policy language: documents, their validation, and deciding.
//!
//! Pure: no IO, no clock, and no word of HTTP. A [`PolicyDocument`] is what an author wrote; a [`Policy`] is what
//! [`Policy::parse`] made of it, and only a [`Policy`] can decide ([`Policy::evaluate`]).
//!
//! Follows Amazon's "IAM JSON policy reference" and "Bucket policies for Amazon S3".
//!
//! ```
//! use portcullis::policy::{AccessRequest, Account, AccountId, Action, CanonicalUserId, Policy, Principal, Verdict};
//!
//! let document = br#"{"Version":"2012-10-17","Statement":[
//!     {"Sid":"PublicRead","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"},
//!     {"Sid":"NotTheDrafts","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/draft/*"}]}"#;
//! let policy = Policy::parse(document, "photos")?.policy;
//!
//! let ask = |resource| policy.evaluate(&AccessRequest { principal: &Principal::Anonymous, action: Action::GetObject, resource });
//! assert!(matches!(ask("arn:aws:s3:::photos/cat.jpg"), Verdict::Allow { statement: 0, .. }));
//! assert_eq!(ask("arn:aws:s3:::photos/draft/dog.jpg"), Verdict::Deny { statement: 1 });
//! assert_eq!(policy.sid(1), Some("NotTheDrafts"));
//!
//! // What is not a policy says why in Amazon's words, and where.
//! let refused = Policy::parse(br#"{"Statement":[{"Effect":"allow"}]}"#, "photos").unwrap_err();
//! let problem = refused.first().unwrap();
//! assert_eq!(problem.message, "Invalid effect: allow");
//! assert_eq!(problem.detail.as_deref(), Some(r#"Statement NO_ID-0, Effect: "allow" (line 1, column 25)"#));
//! # Ok::<(), portcullis::policy::InvalidPolicy>(())
//! ```

pub mod action;
mod condition;
pub mod document;
pub mod error;
pub mod evaluate;
mod json;
mod pattern;
pub mod principal;
pub mod request;
mod resource;
pub mod validate;
mod version;

pub use action::{Action, ActionLevel};
pub use document::PolicyDocument;
pub use error::{InvalidPolicy, Problem};
pub use evaluate::{Policy, Verdict};
pub use principal::{Account, AccountId, CanonicalUserId, GrantedTo, InvalidAccountId, Principal};
pub use request::AccessRequest;
pub use validate::{MAX_BODY, Validated};
