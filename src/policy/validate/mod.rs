//! From the bytes of a document to a checked [`Policy`], or every problem found.
//!
//! The checks follow Amazon's "Bucket policies for Amazon S3" and the IAM policy grammar, in the order in which S3 looks:
//! the first problem in the list is the one S3 reports.

mod applicability;
mod elements;
mod principals;
pub(super) mod report;
mod statement;

use self::report::{Faulty, Place, Report};
use self::statement::Draft;
use super::document::{DOCUMENT_ELEMENTS, PolicyDocument};
use super::error::{Fault, InvalidPolicy, Problem};
use super::evaluate::{Policy, PolicyKind, Statement};
use super::json::{Member, Node, Value};
use super::version::Version;

/// The most that is read of a bucket policy, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// The most that the normalised form of a bucket policy may have, in bytes.
pub const MAX_NORMALIZED: usize = 20_480;

/// What validation makes of a good document.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The checked policy.
    pub policy: Policy,
    /// What is accepted but surely not meant.
    pub warnings: Vec<Problem>,
}

impl Policy {
    /// Checks the body of `PUT ?policy` for `bucket`.
    ///
    /// # Errors
    /// [`InvalidPolicy`]: `400 MalformedPolicy`.
    pub fn parse(body: &[u8], bucket: &str) -> Result<Validated, InvalidPolicy> {
        if body.len() > MAX_BODY {
            return Err(InvalidPolicy::too_long());
        }
        validate(&PolicyDocument::parse(body)?, Attachment::Bucket(bucket))
    }

    /// Checks an identity policy: no principals, any bucket, any service's actions, of any size. Whoever
    /// [decides](super::decide()) by it asks it only about those it is attached to.
    ///
    /// # Errors
    /// [`InvalidPolicy`], every problem found.
    pub fn parse_identity(document: &[u8]) -> Result<Validated, InvalidPolicy> {
        validate(&PolicyDocument::parse(document)?, Attachment::Identity)
    }
}

/// What the policy is attached to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attachment<'p> {
    /// The bucket of this name.
    Bucket(&'p str),
    /// A user, group or role.
    Identity,
}

/// The two values of `Effect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EffectWord {
    Allow,
    Deny,
}

fn validate(document: &PolicyDocument, attachment: Attachment<'_>) -> Result<Validated, InvalidPolicy> {
    let mut report = Report::new(document);
    let checked = check_document(&mut report, document, attachment);
    let (problems, warnings) = report.into_parts();
    match checked {
        Ok((version, statements)) => {
            let kind = match attachment {
                Attachment::Bucket(_) => PolicyKind::Bucket,
                Attachment::Identity => PolicyKind::Identity,
            };
            Ok(Validated { policy: Policy::compiled(version, kind, statements), warnings })
        }
        Err(Faulty { .. }) => Err(InvalidPolicy::all(problems)),
    }
}

fn check_document<'d>(
    report: &mut Report<'d>,
    document: &'d PolicyDocument,
    attachment: Attachment<'_>,
) -> Result<(Version, Vec<Statement>), Faulty> {
    let members = document.members();
    let names = check_names(report, Place::Document, members, &DOCUMENT_ELEMENTS);
    let version = check_version(report, find(members, "Version"));
    let id = match find(members, "Id") {
        Some(node) if !matches!(node.value, Value::String(_)) => {
            Err(report.fault(Fault::Syntax, Place::Document.member("Id"), node))
        }
        _ => Ok(()),
    };
    let (nodes, listed) = match statements(report, members) {
        Ok(nodes) => (nodes, Ok(())),
        Err(faulty) => (Vec::new(), Err(faulty)),
    };

    let mut drafts = Vec::new();
    let mut sound = names.and(id).and(listed);
    for (index, node) in nodes.into_iter().enumerate() {
        match Draft::check(report, index, node, attachment) {
            Ok(draft) => drafts.push(draft),
            Err(faulty) => sound = Err(faulty),
        }
    }
    warn_of_repeated_sids(report, &drafts);

    if let Attachment::Bucket(_) = attachment {
        let length = document.normalized().len();
        if length > MAX_NORMALIZED {
            let what = format!("The normalised document has {length} bytes");
            sound = Err(report.fault_overall(Fault::TooLarge, what));
        }
        for draft in &drafts {
            sound = sound.and(draft.check_applicability(report));
        }
    }

    // What is refused anyway, perhaps for its size, is not compiled.
    let version = sound.and(version)?;
    let compiled: Result<_, Faulty> = drafts.into_iter().map(|draft| draft.compile(report, version)).collect();
    compiled.map(|statements| (version, statements))
}

fn check_version(report: &mut Report<'_>, node: Option<&Node>) -> Result<Version, Faulty> {
    let Some(node) = node else { return Ok(Version::V2008) };
    let version = match &node.value {
        Value::String(text) => Version::parse(text),
        _ => None,
    };
    version.ok_or_else(|| report.fault(Fault::InvalidVersion, Place::Document.member("Version"), node))
}

/// The statements, of which there is at least one.
fn statements<'d>(report: &mut Report<'d>, members: &'d [Member]) -> Result<Vec<&'d Node>, Faulty> {
    let place = Place::Document.member("Statement");
    match find(members, "Statement") {
        None => Err(report.fault_overall(Fault::MissingField("Statement"), "The document has no Statement".to_owned())),
        Some(node) => match &node.value {
            Value::Object(_) => Ok(vec![node]),
            Value::List(nodes) if nodes.is_empty() => Err(report.fault(Fault::NoStatements, place, node)),
            Value::List(nodes) => Ok(nodes.iter().collect()),
            _ => Err(report.fault(Fault::Syntax, place, node)),
        },
    }
}

/// Amazon's sources differ on whether S3 takes a Sid twice; refusing would break policies that Amazon stores.
fn warn_of_repeated_sids(report: &mut Report<'_>, drafts: &[Draft<'_>]) {
    let mut seen = std::collections::HashSet::new();
    for draft in drafts {
        if let Some((sid, node)) = draft.sid()
            && !sid.is_empty()
            && !seen.insert(sid)
        {
            let place = draft.place();
            report.warn_of(place.member("Sid"), node, "an earlier statement has this Sid too");
        }
    }
}

/// Reports every element whose name is none of `known`; names are compared with case.
fn check_names(report: &mut Report<'_>, place: Place<'_>, members: &[Member], known: &[&str]) -> Result<(), Faulty> {
    let mut sound = Ok(());
    for member in members.iter().filter(|member| !known.contains(&member.name.as_str())) {
        let place = place.member(&member.name);
        let what = format!("the elements here are {}", known.join(", "));
        sound = Err(report.fault_at(Fault::UnknownField(&member.name), place, member.at, &what));
    }
    sound
}

fn find<'d>(members: &'d [Member], name: &str) -> Option<&'d Node> {
    members.iter().find(|member| member.name == name).map(|member| &member.value)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
