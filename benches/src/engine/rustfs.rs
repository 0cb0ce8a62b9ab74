//! `rustfs-policy`: sets of strings and enums; a statement is matched without preparation.

use std::collections::HashMap;

use rustfs_policy::policy::action::{Action, S3Action};
use rustfs_policy::policy::{Args, BucketPolicy, BucketPolicyArgs, Policy, Validator};
use serde_json::Value;

use super::{CannotExpress, Engine, Reader};
use crate::document::{self, Attached, Document, Form};
use crate::scenario::{Answer, Scenario};

/// One policy, and the parts of a request, which are borrowed for each decision.
pub struct RustFs {
    policy: RustFsPolicy,
    account: String,
    key: String,
    conditions: HashMap<String, Vec<String>>,
    claims: HashMap<String, Value>,
    groups: Option<Vec<String>>,
}

/// It has a type for each kind.
pub enum RustFsPolicy {
    Identity(Policy),
    Bucket(BucketPolicy),
}

impl Reader for RustFs {
    const NAME: &'static str = "rustfs-policy";

    type Policy = RustFsPolicy;

    /// It reads lists only.
    fn write(document: &Document) -> String {
        document.to_json(Form::Lists)
    }

    /// With its validation, which is part of reading an identity policy.
    fn read(text: &str, attached: Attached) -> RustFsPolicy {
        match attached {
            Attached::Identity => {
                RustFsPolicy::Identity(Policy::parse_config(text.as_bytes()).expect("generated policies parse"))
            }
            Attached::Bucket => {
                let policy: BucketPolicy = serde_json::from_str(text).expect("generated policies parse");
                policy.is_valid().expect("generated policies are valid");
                RustFsPolicy::Bucket(policy)
            }
        }
    }
}

impl Engine for RustFs {
    fn prepare(scenario: &Scenario) -> Result<Self, CannotExpress> {
        if scenario.policies.iter().any(Document::has_variables) {
            // It looks for `${aws:aws:username}` in place of `${aws:username}`.
            return Err(CannotExpress("this version fills in no policy variables"));
        }
        let mut policies =
            scenario.policies.iter().map(|document| Self::read(&Self::write(document), document.attached));
        let mut policy = policies.next().expect("a scenario has a policy");
        // Several are made one beforehand, as RustFS does for a user with several.
        for next in policies {
            policy = match (policy, next) {
                (RustFsPolicy::Identity(one), RustFsPolicy::Identity(other)) => {
                    RustFsPolicy::Identity(Policy::merge_policies(vec![one, other]))
                }
                _ => unreachable!("a bucket has one policy"),
            };
        }
        let request = &scenario.request;
        let mut conditions = HashMap::new();
        if let Some(circumstances) = &request.circumstances {
            conditions.insert("SourceIp".to_owned(), vec![circumstances.source_ip.clone()]);
            conditions.insert("SecureTransport".to_owned(), vec![circumstances.secure_transport.to_string()]);
            conditions.insert("Referer".to_owned(), vec![circumstances.referer.clone()]);
        }
        let account = match policy {
            RustFsPolicy::Identity(_) => request.user.clone(),
            RustFsPolicy::Bucket(_) => document::arn_of_user(&request.user),
        };
        Ok(Self { policy, account, key: request.key.clone(), conditions, claims: HashMap::new(), groups: None })
    }

    fn decide(&self) -> Answer {
        let action = Action::S3Action(S3Action::GetObjectAction);
        let allowed = match &self.policy {
            RustFsPolicy::Identity(policy) => policy.is_allowed(&Args {
                account: &self.account,
                groups: &self.groups,
                action,
                bucket: document::BUCKET,
                conditions: &self.conditions,
                is_owner: false,
                object: &self.key,
                claims: &self.claims,
                deny_only: false,
            }),
            RustFsPolicy::Bucket(policy) => policy.is_allowed(&BucketPolicyArgs {
                account: &self.account,
                groups: &self.groups,
                action,
                bucket: document::BUCKET,
                conditions: &self.conditions,
                is_owner: false,
                object: &self.key,
            }),
        };
        if allowed { Answer::Allow } else { Answer::Deny }
    }
}
