//! Is a single statement well-formed, and what does it compile to?

use super::elements::{Entries, entries, select};
use super::report::{Faulty, Place, Report};
use super::{Attachment, EffectWord, applicability, check_names, find, principals};
use crate::policy::action::{Action, ActionEntry, ActionSet};
use crate::policy::condition::{self, Surroundings};
use crate::policy::document::STATEMENT_ELEMENTS;
use crate::policy::error::Fault;
use crate::policy::evaluate::{Effect, Resources, Statement, Who};
use crate::policy::json::{Member, Node, Value};
use crate::policy::pattern::{Pattern, Wildcards};
use crate::policy::resource::{self, ResourceEntry, ResourceLevel};
use crate::policy::version::Version;

/// A statement whose elements have been checked one by one, each well-formed or reported.
#[derive(Debug)]
pub(super) struct Draft<'d> {
    index: usize,
    sid: Option<(&'d str, &'d Node)>,
    /// Unknown elements and a Sid that is no string are reported, and spoil nothing else.
    shape: Result<(), Faulty>,
    effect: Result<Effect, Faulty>,
    actions: Result<Entries<'d, ActionEntry>, Faulty>,
    resources: Result<Entries<'d, ResourceEntry<'d>>, Faulty>,
    condition: Result<condition::Draft<'d>, Faulty>,
}

impl<'d> Draft<'d> {
    pub(super) fn check(
        report: &mut Report<'d>,
        index: usize,
        node: &'d Node,
        attachment: Attachment<'_>,
    ) -> Result<Self, Faulty> {
        let Value::Object(members) = &node.value else {
            return Err(report.fault(Fault::Syntax, Place::Document.member("Statement").item(index), node));
        };
        let sid = find(members, "Sid").and_then(|node| match &node.value {
            Value::String(text) => Some((text.as_str(), node)),
            _ => None,
        });
        let place = Place::Statement { index, sid: sid.map(|(text, _)| text) };
        let shape = check_names(report, place, members, &STATEMENT_ELEMENTS);
        let shape = shape.and(check_sid(report, place, members, attachment));
        let word = check_effect(report, place, node, members);
        let effect = check_principal(report, place, node, members, attachment, word);
        let actions = check_actions(report, place, node, members, attachment);
        let resources = check_resources(report, place, node, members, attachment);
        let within = Surroundings { attachment, effect: word.ok() };
        let condition = find(members, "Condition").map_or_else(
            || Ok(condition::Draft::default()),
            |node| condition::Draft::check(report, place.member("Condition"), node, within),
        );
        Ok(Self { index, sid, shape, effect, actions, resources, condition })
    }

    pub(super) fn sid(&self) -> Option<(&'d str, &'d Node)> {
        self.sid
    }

    pub(super) fn place(&self) -> Place<'d> {
        Place::Statement { index: self.index, sid: self.sid.map(|(text, _)| text) }
    }

    /// Checks that the elements go together, as far as they are well-formed themselves.
    pub(super) fn check_applicability(&self, report: &mut Report<'_>) -> Result<(), Faulty> {
        let mut sound = Ok(());
        if let (Ok(actions), Ok(resources)) = (&self.actions, &self.resources) {
            sound = applicability::check_actions(report, self.place(), actions, resources);
        }
        if let (Ok(actions), Ok(condition)) = (&self.actions, &self.condition) {
            sound = sound.and(applicability::check_keys(report, self.place(), actions, &condition.s3_keys));
        }
        sound
    }

    pub(super) fn compile(self, report: &mut Report<'_>, version: Version) -> Result<Statement, Faulty> {
        let place = self.place();
        let (effect, resources, actions) = (self.effect?, self.resources?, self.actions?);
        let named =
            actions.entries.iter().map(|entry| entry.value.actions()).fold(ActionSet::default(), ActionSet::union);
        self.shape?;
        Ok(Statement {
            sid: self.sid.map(|(text, _)| text.into()),
            resources: compile_resources(report, place, &resources, version),
            actions: if actions.negated { named.complement() } else { named },
            not_action: actions.negated,
            condition: self.condition?.compile(report, place.member("Condition"), version),
            effect,
        })
    }
}

fn check_sid(
    report: &mut Report<'_>,
    place: Place<'_>,
    members: &[Member],
    attachment: Attachment<'_>,
) -> Result<(), Faulty> {
    let Some(node) = find(members, "Sid") else { return Ok(()) };
    let Value::String(text) = &node.value else {
        return Err(report.fault(Fault::Syntax, place.member("Sid"), node));
    };
    if matches!(attachment, Attachment::Identity) && !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        report.warn_of(place.member("Sid"), node, "IAM takes letters and digits only in a Sid");
    }
    Ok(())
}

fn check_effect(
    report: &mut Report<'_>,
    place: Place<'_>,
    statement: &Node,
    members: &[Member],
) -> Result<EffectWord, Faulty> {
    let Some(node) = find(members, "Effect") else {
        return Err(report.fault_at(Fault::MissingField("Effect"), place, statement.at, "there is no Effect"));
    };
    match &node.value {
        Value::String(text) => match text.as_str() {
            "Allow" => Ok(EffectWord::Allow),
            "Deny" => Ok(EffectWord::Deny),
            word => Err(report.fault(Fault::InvalidEffect(word), place.member("Effect"), node)),
        },
        _ => Err(report.fault(Fault::Syntax, place.member("Effect"), node)),
    }
}

fn check_principal<'d>(
    report: &mut Report<'d>,
    place: Place<'_>,
    statement: &Node,
    members: &'d [Member],
    attachment: Attachment<'_>,
    word: Result<EffectWord, Faulty>,
) -> Result<Effect, Faulty> {
    match attachment {
        Attachment::Bucket(_) => {}
        Attachment::Identity => {
            let mut sound = Ok(());
            for name in ["Principal", "NotPrincipal"] {
                if let Some(node) = find(members, name) {
                    sound = Err(report.fault(Fault::PrincipalInIdentityPolicy, place.member(name), node));
                }
            }
            sound?;
            return Ok(match word? {
                EffectWord::Allow => Effect::Allow(Who::Holder),
                EffectWord::Deny => Effect::Deny(Who::Holder),
            });
        }
    }
    let selected = select(report, place, statement, members, ("Principal", "NotPrincipal"))?;
    let allow_but = match (word, selected.negated) {
        (Ok(EffectWord::Allow), true) => {
            Err(report.fault(Fault::AllowNotPrincipal, place.member(selected.name), selected.node))
        }
        (Ok(EffectWord::Allow | EffectWord::Deny) | Err(_), _) => Ok(()),
    };
    let listed = principals::check(report, place, selected)?;
    allow_but?;
    Ok(match (word?, selected.negated) {
        (EffectWord::Allow, _) => Effect::Allow(Who::Named(listed)),
        (EffectWord::Deny, false) => Effect::Deny(Who::Named(listed)),
        (EffectWord::Deny, true) => Effect::DenyAllBut(listed),
    })
}

fn check_actions<'d>(
    report: &mut Report<'d>,
    place: Place<'_>,
    statement: &Node,
    members: &'d [Member],
    attachment: Attachment<'_>,
) -> Result<Entries<'d, ActionEntry>, Faulty> {
    let selected = select(report, place, statement, members, ("Action", "NotAction"))?;
    let fault = match attachment {
        Attachment::Bucket(_) => Fault::InvalidAction,
        Attachment::Identity => Fault::ActionWithoutVendor,
    };
    let read = |text: &str| match attachment {
        Attachment::Bucket(_) => ActionEntry::in_bucket_policy(text),
        Attachment::Identity => ActionEntry::in_identity_policy(text),
    };
    let actions = entries(report, place, selected, |_| fault, |text| read(text).ok_or(fault))?;
    let place = place.member(selected.name);
    for entry in &actions.entries {
        let text = match entry.value {
            ActionEntry::Unknown => "S3 has no such action, so the entry matches nothing",
            ActionEntry::Matching(set) if set == ActionSet::default() => {
                "no action of S3 matches this, so the entry matches nothing"
            }
            ActionEntry::Named(Action::CreateBucket) if matches!(attachment, Attachment::Bucket(_)) => {
                "a bucket that has a policy cannot be created again, so the entry matches nothing"
            }
            ActionEntry::Named(_) | ActionEntry::Matching(_) | ActionEntry::Foreign => continue,
        };
        report.warn_of(entry.place(&place), entry.node, text);
    }
    Ok(actions)
}

fn check_resources<'d>(
    report: &mut Report<'d>,
    place: Place<'_>,
    statement: &Node,
    members: &'d [Member],
    attachment: Attachment<'_>,
) -> Result<Entries<'d, ResourceEntry<'d>>, Faulty> {
    let selected = select(report, place, statement, members, ("Resource", "NotResource"))?;
    let fault = |text| match attachment {
        Attachment::Bucket(_) => Fault::InvalidResource,
        Attachment::Identity => Fault::ResourceNotArn(text),
    };
    let read = |text| match attachment {
        Attachment::Bucket(bucket) => ResourceLevel::in_bucket(text, bucket).map(ResourceEntry::InBucket),
        Attachment::Identity => resource::identity_resource(text),
    };
    entries(report, place, selected, fault, |text| read(text).ok_or(fault(text)))
}

/// Compiles the entries; a version without variables takes `${` for text.
fn compile_resources(
    report: &mut Report<'_>,
    place: Place<'_>,
    resources: &Entries<'_, ResourceEntry<'_>>,
    version: Version,
) -> Resources {
    let place = place.member(resources.name);
    let mut patterns = Vec::with_capacity(resources.entries.len());
    for entry in &resources.entries {
        let text = match &entry.value {
            ResourceEntry::InBucket(_) => entry.text,
            ResourceEntry::Anywhere(text) => text,
            ResourceEntry::Nowhere => continue,
        };
        let (pattern, variables) = Pattern::compile(text, version, Wildcards::Match);
        if variables.malformed {
            report.warn_of(
                entry.place(&place),
                entry.node,
                "this \"${\" begins no policy variable and stands for itself",
            );
        }
        patterns.push(pattern);
    }
    if resources.negated { Resources::Outside(patterns) } else { Resources::Within(patterns) }
}
