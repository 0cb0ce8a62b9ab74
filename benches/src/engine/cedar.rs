//! Cedar: another language of policies, with an engine that compiles them to expressions and evaluates each.
//!
//! A statement becomes a policy of its own with the same meaning: the principal and the action stand in its scope, the
//! pattern of keys and the conditions in its `when`. The key is an attribute of the context: as one of the resource, or as
//! the resource's place in a hierarchy of prefixes, it is found no quicker. Many principals are members of a group, which is
//! Cedar's way, and dozens of times quicker than a list in the policy.

use std::fmt::Write;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use super::{CannotExpress, Engine, Reader};
use crate::document::{self, Attached, Condition, Document, Statement};
use crate::scenario::{self, Answer, Scenario};

/// The policies parsed, and the objects that it takes by reference.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    request: Request,
    entities: Entities,
}

impl Reader for Cedar {
    const NAME: &'static str = "cedar-policy";

    type Policy = PolicySet;

    fn write(document: &Document) -> String {
        let mut text = String::new();
        for (index, statement) in document.statements.iter().enumerate() {
            let effect = if statement.allow { "permit" } else { "forbid" };
            let principal = match (document.attached, statement.users.as_slice()) {
                (Attached::Identity, _) => "principal".to_owned(),
                (Attached::Bucket, [one]) => format!("principal == User::\"{one}\""),
                (Attached::Bucket, _) => format!("principal in Group::\"{}\"", group(index)),
            };
            let action = document::ACTION;
            let when = conditions(statement).join(" && ");
            writeln!(text, "{effect}({principal}, action == Action::\"{action}\", resource) when {{ {when} }};")
                .expect("a string takes any text");
        }
        text
    }

    fn read(text: &str, _: Attached) -> PolicySet {
        text.parse().expect("generated policies parse")
    }
}

impl Engine for Cedar {
    fn prepare(scenario: &Scenario) -> Result<Self, CannotExpress> {
        if scenario.policies.iter().any(Document::has_variables) {
            return Err(CannotExpress("its patterns are constants: the application would have to compare names"));
        }
        let texts: Vec<_> = scenario.policies.iter().map(Self::write).collect();
        let attached = scenario.policies.first().expect("a scenario has a policy").attached;
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: Self::read(&texts.concat(), attached),
            request: request(&scenario.request),
            entities: members(&scenario.policies),
        })
    }

    fn decide(&self) -> Answer {
        match self.authorizer.is_authorized(&self.request, &self.policies, &self.entities).decision() {
            Decision::Allow => Answer::Allow,
            Decision::Deny => Answer::Deny,
        }
    }
}

fn conditions(statement: &Statement) -> Vec<String> {
    let keys = format!("context.key like \"{}\"", statement.keys);
    let in_range = |network: &String| format!("context.source_ip.isInRange(ip(\"{network}\"))");
    let like = |pattern: &String| format!("context.referer like \"{pattern}\"");
    let others = statement.conditions.iter().map(|condition| match condition {
        Condition::SourceIp(networks) => any(&networks.iter().map(in_range).collect::<Vec<_>>()),
        Condition::SecureTransport(true) => "context.secure_transport".to_owned(),
        Condition::SecureTransport(false) => "!context.secure_transport".to_owned(),
        Condition::Referer(patterns) => any(&patterns.iter().map(like).collect::<Vec<_>>()),
    });
    std::iter::once(keys).chain(others).collect()
}

/// A balanced tree, since a chain of hundreds is deeper than its evaluator will go.
fn any(alternatives: &[String]) -> String {
    match alternatives {
        [] => "false".to_owned(),
        [one] => one.clone(),
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            format!("({} || {})", any(left), any(right))
        }
    }
}

fn request(request: &scenario::Request) -> Request {
    let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
    let mut context = vec![("key".to_owned(), text(&request.key))];
    if let Some(circumstances) = &request.circumstances {
        context.push(("source_ip".to_owned(), RestrictedExpression::new_ip(&circumstances.source_ip)));
        context.push(("secure_transport".to_owned(), RestrictedExpression::new_bool(circumstances.secure_transport)));
        context.push(("referer".to_owned(), text(&circumstances.referer)));
    }
    Request::new(
        uid("User", &request.user),
        uid("Action", document::ACTION),
        uid("Object", &document::arn_of_object(&request.key)),
        Context::from_pairs(context).expect("no attribute twice"),
        None,
    )
    .expect("without a schema any request will do")
}

/// The users of statements with several, each a member of the statement's group.
fn members(policies: &[Document]) -> Entities {
    let statements = policies.iter().flat_map(|document| document.statements.iter().enumerate());
    let listing = statements.filter(|(_, statement)| statement.users.len() > 1);
    let users = listing.flat_map(|(index, statement)| {
        statement.users.iter().map(move |user| {
            Entity::new_no_attrs(uid("User", user), [uid("Group", &group(index))].into_iter().collect())
        })
    });
    Entities::from_entities(users, None).expect("no user twice")
}

fn group(statement: usize) -> String {
    format!("statement-{statement}")
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().expect("a type name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}
