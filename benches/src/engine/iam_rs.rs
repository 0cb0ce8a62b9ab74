//! `iam-rs`: policies as strings, taken apart for every decision.

use iam_rs::{
    Arn, Context, ContextValue, Decision, EvaluationOptions, IAMPolicy, IAMRequest, PolicyEvaluator, Principal,
    PrincipalId,
};

use super::{CannotExpress, Engine, Reader};
use crate::document::{self, Attached, Document, Form};
use crate::scenario::{Answer, Scenario};

/// An evaluator that owns the policies, and the request object that it takes by reference.
pub struct IamRs {
    evaluator: PolicyEvaluator,
    request: IAMRequest,
}

impl Reader for IamRs {
    const NAME: &'static str = "iam-rs";

    type Policy = IAMPolicy;

    fn write(document: &Document) -> String {
        document.to_json(Form::Normal)
    }

    /// Without its validation, which it does not ask for before deciding.
    fn read(text: &str, _: Attached) -> IAMPolicy {
        IAMPolicy::from_json(text).expect("generated policies parse")
    }
}

impl Engine for IamRs {
    fn prepare(scenario: &Scenario) -> Result<Self, CannotExpress> {
        let policies = scenario.policies.iter().map(|document| Self::read(&Self::write(document), document.attached));
        // Its defaults, written out: they are the fastest, for details are not collected and the first deny ends it.
        let options = EvaluationOptions {
            stop_on_explicit_deny: true,
            collect_match_details: false,
            max_statements: 1_000,
            ignore_resource_constraints: false,
        };
        let request = &scenario.request;
        // It derives nothing from the caller: what a policy asks for, the context has to hold.
        let mut context = Context::new();
        if scenario.policies.iter().any(Document::has_variables) {
            context.insert("aws:username".to_owned(), ContextValue::String(request.user.clone()));
        }
        if let Some(circumstances) = &request.circumstances {
            context.insert("aws:SourceIp".to_owned(), ContextValue::String(circumstances.source_ip.clone()));
            context.insert("aws:SecureTransport".to_owned(), ContextValue::Boolean(circumstances.secure_transport));
            context.insert("aws:Referer".to_owned(), ContextValue::String(circumstances.referer.clone()));
        }
        Ok(Self {
            evaluator: PolicyEvaluator::with_policies(policies.collect()).with_options(options),
            request: IAMRequest::new_with_context(
                Principal::Aws(PrincipalId::String(document::arn_of_user(&request.user))),
                document::ACTION,
                Arn::parse(&document::arn_of_object(&request.key)).expect("an ARN"),
                context,
            ),
        })
    }

    /// The result holds a copy of the request, which cannot be declined.
    fn decide(&self) -> Answer {
        match self.evaluator.evaluate(&self.request).map(|result| result.decision) {
            Ok(Decision::Allow) => Answer::Allow,
            Ok(Decision::Deny) => Answer::ExplicitDeny,
            Ok(Decision::NotApplicable) => Answer::ImplicitDeny,
            Err(error) => panic!("{error}"),
        }
    }
}
