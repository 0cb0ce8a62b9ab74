//! Portcullis itself.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use portcullis::policy::{
    AccessRequest, Account, AccountId, Action, CanonicalUserId, Context, Decision, Policies, Policy, Principal, decide,
};

use super::{CannotExpress, Engine, Reader};
use crate::document::{self, Attached, Document, Form};
use crate::scenario::{Answer, Scenario};

/// Policies, and the parts of a request, which are borrowed for each decision.
pub struct Portcullis {
    identity: Vec<Arc<Policy>>,
    bucket: Option<Policy>,
    owner: AccountId,
    principal: Principal,
    resource: String,
    context: Context<'static>,
}

impl Reader for Portcullis {
    const NAME: &'static str = "portcullis";

    type Policy = Policy;

    fn write(document: &Document) -> String {
        document.to_json(Form::Normal)
    }

    /// The only way there is: it also validates, normalises to measure the length, and compiles.
    fn read(text: &str, attached: Attached) -> Policy {
        let validated = match attached {
            Attached::Bucket => Policy::parse(text.as_bytes(), document::BUCKET),
            Attached::Identity => Policy::parse_identity(text.as_bytes()),
        };
        validated.expect("generated policies are valid").policy
    }
}

impl Engine for Portcullis {
    fn prepare(scenario: &Scenario) -> Result<Self, CannotExpress> {
        let owner = AccountId::parse(document::ACCOUNT).expect("an account id");
        let canonical_id = CanonicalUserId::parse(&"a".repeat(64)).expect("a canonical user id");
        let account = Account { id: owner.clone(), canonical_id };
        let request = &scenario.request;
        let mut context = Context::new();
        if let Some(circumstances) = &request.circumstances {
            context.set("aws:SourceIp", [circumstances.source_ip.clone()]);
            context.set("aws:SecureTransport", [circumstances.secure_transport.to_string()]);
            context.set("aws:Referer", [circumstances.referer.clone()]);
        }
        let (mut identity, mut bucket) = (Vec::new(), None);
        for document in &scenario.policies {
            let policy = Self::read(&Self::write(document), document.attached);
            match document.attached {
                Attached::Identity => identity.push(Arc::new(policy)),
                Attached::Bucket => bucket = Some(policy),
            }
        }
        Ok(Self {
            identity,
            bucket,
            owner,
            principal: Principal::user(account, "/", request.user.as_str(), "AIDAEXAMPLE", BTreeMap::new()),
            resource: document::arn_of_object(&request.key),
            context,
        })
    }

    /// The request and the set of policies are borrowed anew each time, as they are for a request that comes in.
    fn decide(&self) -> Answer {
        let request = AccessRequest {
            principal: &self.principal,
            action: black_box(Action::GetObject),
            resource: &self.resource,
            context: &self.context,
        };
        let policies = Policies { identity: &self.identity, bucket: self.bucket.as_ref(), owner: &self.owner };
        match decide(&request, &policies).decision() {
            Decision::Allow => Answer::Allow,
            Decision::ExplicitDeny => Answer::ExplicitDeny,
            Decision::ImplicitDeny => Answer::ImplicitDeny,
        }
    }
}
