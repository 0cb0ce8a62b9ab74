//! Which actions does an S3 request need, and on what?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>: all of them must be
//! granted. `docs/operations.md` is the whole table, made from the one here.
//!
//! ```
//! use http::{HeaderMap, Method};
//! use portcullis::s3::action_map::{Head, Requirement, requirements};
//! use portcullis::s3::address::{Address, Domains};
//! use portcullis::s3::operation::{Query, classify};
//!
//! let (address, _) = Address::parse(None, "/photos/cat.jpg", &Domains::default())?;
//! let query = Query::parse(Some("versionId=null"))?;
//! let headers = HeaderMap::new();
//! let operation = classify(&Method::GET, &address, &query, &headers)?;
//! let head = Head { address: &address, query: &query, headers: &headers };
//! let Requirement::Access(access) = &requirements(operation, head, None)?[0] else { panic!() };
//! assert_eq!((access.action.name(), &*access.resource), ("s3:GetObjectVersion", "arn:aws:s3:::photos/cat.jpg"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod document;
mod error;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use http::header::{CONTENT_TYPE, IF_MATCH};
use http::{HeaderMap, HeaderName};

pub use self::error::RequirementsError;
use self::table::{Needed, On, Rule, When, rules};
use super::address::{Address, BucketName, ObjectKey};
use super::copy_source::CopySource;
use super::delete_objects::{DeleteObjects, ObjectToDelete};
use super::form::Form;
use super::operation::{Operation, Query};
use super::repeated::has_repeats;
use super::xml_body::{Piece, walk};
use crate::policy::Action;

/// The most bytes of a `CreateBucket`'s body: a configuration with fifty tags in escaped XML has less.
pub const MAX_BUCKET_BODY: usize = 128 * 1024;

/// What a request says before its body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// What it speaks of.
    pub address: &'r Address,
    /// Its query.
    pub query: &'r Query<'r>,
    /// Its effective headers ([`effective_headers`](super::hoisted::effective_headers)).
    pub headers: &'r HeaderMap,
}

/// An action on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The action.
    pub action: Action,
    /// What it is done to: whose policy decides, and who its owner is.
    pub subject: AccessSubject,
    /// The bucket's or object's ARN; `*` for an action on neither.
    pub resource: String,
}

/// What an access is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessSubject {
    /// Neither a bucket nor an object.
    Service,
    /// The bucket that is addressed.
    Bucket,
    /// An object in it: the one addressed, the one a form makes, or an entry of a `POST ?delete`.
    Object,
    /// The object that is copied ([`copy_source`]), mostly in another bucket.
    Source,
}

/// Every action that an operation may need.
#[cfg(test)]
pub(in crate::s3) fn possible_actions(operation: Operation) -> impl Iterator<Item = Action> {
    rules(operation).iter().filter_map(|rule| match rule.action {
        Needed::Own(action) => Some(action),
        Needed::Foreign(_) => None,
    })
}

/// What must be so for a request to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// This is granted.
    Access(Access),
    /// This is granted, if what the store alone knows is so.
    AccessIf(SourceFact, Access),
    /// All of this is granted; otherwise this one entry of a `POST ?delete` is denied, and not the request.
    Entry(ObjectToDelete, Vec<Access>),
    /// An action of another service, which no policy here can grant. No store of ordinary buckets has the operation.
    Foreign(ForeignAction),
}

/// What only a look at the source of a copy can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceFact {
    /// The source has tags.
    HasTags,
    /// The source has annotations.
    HasAnnotations,
}

impl fmt::Display for SourceFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HasTags => "source object has tags",
            Self::HasAnnotations => "source object has annotations",
        })
    }
}

/// An action of directory buckets or of Object Lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForeignAction {
    /// `s3express:CreateSession`
    CreateSession,
    /// `s3express:ListAllMyDirectoryBuckets`
    ListAllMyDirectoryBuckets,
    /// `s3-object-lambda:WriteGetObjectResponse`
    WriteGetObjectResponse,
}

impl ForeignAction {
    /// The name with its prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateSession => "s3express:CreateSession",
            Self::ListAllMyDirectoryBuckets => "s3express:ListAllMyDirectoryBuckets",
            Self::WriteGetObjectResponse => "s3-object-lambda:WriteGetObjectResponse",
        }
    }
}

/// Whether what an operation needs stands in its body too.
pub fn needs_body(operation: Operation) -> bool {
    rules(operation).iter().any(|rule| match rule.on {
        On::Entry | On::Form => true,
        On::Anything | On::Bucket | On::Object | On::Source => rule.when == When::BodyTags,
    })
}

/// The object that a copy reads; none where the operation is none (`CopyObject`, `UploadPartCopy`).
///
/// # Errors
/// [`RequirementsError`] where `x-amz-copy-source` does not name one object.
pub fn copy_source(operation: Operation, headers: &HeaderMap) -> Result<Option<CopySource>, RequirementsError> {
    if !rules(operation).iter().any(|rule| rule.on == On::Source) {
        return Ok(None);
    }
    if is_contradictory(headers, &COPY_SOURCE) {
        return Err(RequirementsError::RepeatedHeader(COPY_SOURCE.as_str().to_owned()));
    }
    let value = headers.get(COPY_SOURCE).ok_or(RequirementsError::NotAddressed)?;
    Ok(Some(CopySource::from_header(value.as_bytes().trim_ascii())?))
}

/// Whether a copy gets tags of its own instead of its source's.
pub(super) fn replaces_tags(headers: &HeaderMap) -> bool {
    says(headers, &TAGGING_DIRECTIVE, "REPLACE")
}

/// Whether a header is there with this value, in any case.
fn says(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let is_wanted = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes());
    headers.get_all(name).iter().any(|value| is_wanted(value.as_bytes()))
}

/// All that an operation needs. Nothing at all is needed by a browser's preflight and by the service's root.
///
/// `body` is the whole body, or of a form what comes before its file; `None` will do where
/// [it plays no part](needs_body).
///
/// # Errors
/// [`RequirementsError`]: what the request does cannot be told for certain, and so it must not be done.
pub fn requirements(
    operation: Operation,
    head: Head<'_>,
    body: Option<&[u8]>,
) -> Result<Vec<Requirement>, RequirementsError> {
    let repeats = has_repeats(head.headers);
    if let Some(name) = DECIDING_HEADERS.iter().find(|name| repeats && is_contradictory(head.headers, name)) {
        return Err(RequirementsError::RepeatedHeader(name.as_str().to_owned()));
    }
    let rules = rules(operation);
    let facts = Facts::read(rules, head, operation, body)?;
    if operation == Operation::DeleteObjects {
        return facts.entries(rules);
    }
    let mut requirements = Vec::with_capacity(rules.len());
    for rule in rules {
        let needed = facts.holds(rule.when, None);
        if needed == Holds::No {
            continue;
        }
        let action = match rule.action {
            Needed::Own(action) => action,
            Needed::Foreign(action) => {
                requirements.push(Requirement::Foreign(action));
                continue;
            }
        };
        let access = facts.access(action, rule.on)?;
        requirements.push(match needed {
            Holds::If(fact) => Requirement::AccessIf(fact, access),
            Holds::Yes | Holds::No => Requirement::Access(access),
        });
    }
    Ok(requirements)
}

const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const TAGGING_DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-tagging-directive");
const ANNOTATION_DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-object-annotation-directive");
const BYPASS_GOVERNANCE: HeaderName = HeaderName::from_static("x-amz-bypass-governance-retention");
const OBJECT_LOCK_ENABLED: HeaderName = HeaderName::from_static("x-amz-bucket-object-lock-enabled");

/// How the names of what holds an object until an event begin: headers, and fields of a form.
const EVENT_HOLD: &str = "x-amz-object-lock-event-hold";

/// Headers whose values decide which actions are needed: with two of them, a store could follow the other.
static DECIDING_HEADERS: [HeaderName; 6] = [
    COPY_SOURCE,
    TAGGING_DIRECTIVE,
    ANNOTATION_DIRECTIVE,
    BYPASS_GOVERNANCE,
    OBJECT_LOCK_ENABLED,
    HeaderName::from_static("x-amz-acl"),
];

fn is_contradictory(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// What the conditions of the table ask about.
struct Facts<'r> {
    head: Head<'r>,
    source: Option<CopySource>,
    form: Option<Form>,
    delete: Option<DeleteObjects>,
    has_tags: bool,
}

/// Whether a condition is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    /// If the store says so.
    If(SourceFact),
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl<'r> Facts<'r> {
    /// Reads all that the rules ask about.
    fn read(
        rules: &[Rule],
        head: Head<'r>,
        operation: Operation,
        body: Option<&[u8]>,
    ) -> Result<Self, RequirementsError> {
        let any = |on: On| rules.iter().any(|rule| rule.on == on);
        let source = copy_source(operation, head.headers)?;
        let mut facts = Self { head, source, form: None, delete: None, has_tags: false };
        if needs_body(operation) {
            let body = body.ok_or(RequirementsError::BodyNotRead)?;
            if any(On::Entry) {
                facts.delete = Some(DeleteObjects::parse(body)?);
            } else if any(On::Form) {
                facts.form = Some(Form::parse(content_type(head.headers)?, body)?);
            } else {
                facts.has_tags = bucket_has_tags(body)?;
            }
        }
        Ok(facts)
    }

    /// What each entry of a `POST ?delete` needs.
    fn entries(self, rules: &[Rule]) -> Result<Vec<Requirement>, RequirementsError> {
        let bucket = self.head.address.bucket().ok_or(RequirementsError::NotAddressed)?;
        let objects = self.delete.as_ref().ok_or(RequirementsError::BodyNotRead)?.objects.iter();
        let needs = |object: &ObjectToDelete| {
            let resource = object_arn(bucket, &object.key);
            let needed = rules.iter().filter(|rule| self.holds(rule.when, Some(object)) != Holds::No);
            let actions = needed.filter_map(|rule| match rule.action {
                Needed::Own(action) => {
                    Some(Access { action, subject: AccessSubject::Object, resource: resource.clone() })
                }
                Needed::Foreign(_) => None,
            });
            Requirement::Entry(object.clone(), actions.collect())
        };
        Ok(objects.map(needs).collect())
    }

    fn holds(&self, when: When, entry: Option<&ObjectToDelete>) -> Holds {
        let header = |name| self.head.headers.contains_key(name);
        let header_begins = |prefix: &str| self.head.headers.keys().any(|name| name.as_str().starts_with(prefix));
        let is = |name: &HeaderName, wanted: &str| says(self.head.headers, name, wanted);
        // Case counts here: what is another value to the store must be one here.
        let other_than = |name: &str, value: &[u8]| {
            self.head.headers.get_all(name).iter().any(|found| found.as_bytes().trim_ascii() != value)
        };
        let field = |name| self.form.as_ref().is_some_and(|form| form.get(name).is_some());
        let source_version = self.source.as_ref().is_some_and(|source| source.version_id.is_some());
        let version = self.head.query.has("versionId");
        let entry_version = entry.is_some_and(|entry| entry.version_id.is_some());
        let tags_copied = || !replaces_tags(self.head.headers);
        let annotations_copied = || !is(&ANNOTATION_DIRECTIVE, "EXCLUDE");
        let asked = |holds: bool, fact| if holds { Holds::If(fact) } else { Holds::No };
        match when {
            When::Always => Holds::Yes,
            When::Version => version.into(),
            When::NoVersion => (!version).into(),
            When::Tagging => header("x-amz-tagging").into(),
            When::Acl => (header("x-amz-acl") || header_begins("x-amz-grant-")).into(),
            When::AclNotPrivate => (other_than("x-amz-acl", b"private") || header_begins("x-amz-grant-")).into(),
            When::Retention => (header("x-amz-object-lock-mode")
                || header("x-amz-object-lock-retain-until-date")
                || header_begins(EVENT_HOLD))
            .into(),
            When::LegalHold => header("x-amz-object-lock-legal-hold").into(),
            When::BypassGovernance => is(&BYPASS_GOVERNANCE, "true").into(),
            When::IfMatch => other_than(IF_MATCH.as_str(), b"*").into(),
            When::SourceCurrent => (!source_version).into(),
            When::SourceVersion => source_version.into(),
            When::TagsReplaced => (!tags_copied() && header("x-amz-tagging")).into(),
            When::TagsCopied => asked(tags_copied(), SourceFact::HasTags),
            When::TagsCopiedCurrent => asked(tags_copied() && !source_version, SourceFact::HasTags),
            When::TagsCopiedVersion => asked(tags_copied() && source_version, SourceFact::HasTags),
            When::AnnotationsCopied => asked(annotations_copied(), SourceFact::HasAnnotations),
            When::AnnotationsCopiedCurrent => {
                asked(annotations_copied() && !source_version, SourceFact::HasAnnotations)
            }
            When::AnnotationsCopiedVersion => asked(annotations_copied() && source_version, SourceFact::HasAnnotations),
            When::ObjectLockEnabled => is(&OBJECT_LOCK_ENABLED, "true").into(),
            When::ObjectOwnership => header("x-amz-object-ownership").into(),
            When::BodyTags => self.has_tags.into(),
            When::EntryCurrent => (!entry_version).into(),
            When::EntryVersion => entry_version.into(),
            When::EntryETag => entry.and_then(|entry| entry.etag.as_deref()).is_some_and(|etag| etag != "*").into(),
            When::FormAcl => field("acl").into(),
            When::FormTagging => field("tagging").into(),
            When::FormRetention => {
                let event_hold = |form: &Form| form.iter().any(|(name, _)| name.starts_with(EVENT_HOLD));
                (field("x-amz-object-lock-mode")
                    || field("x-amz-object-lock-retain-until-date")
                    || self.form.as_ref().is_some_and(event_hold))
                .into()
            }
            When::FormLegalHold => field("x-amz-object-lock-legal-hold").into(),
        }
    }

    fn access(&self, action: Action, on: On) -> Result<Access, RequirementsError> {
        let bucket = self.head.address.bucket();
        let (subject, arn) = match on {
            On::Anything => (AccessSubject::Service, Some("*".to_owned())),
            On::Bucket => (AccessSubject::Bucket, bucket.map(BucketName::arn)),
            On::Object => {
                let object = bucket.zip(self.head.address.key());
                (AccessSubject::Object, object.map(|(bucket, key)| object_arn(bucket, key)))
            }
            On::Source => {
                let source = self.source.as_ref();
                (AccessSubject::Source, source.map(|source| object_arn(&source.bucket, &source.key)))
            }
            On::Form => {
                let object = bucket.zip(self.form.as_ref());
                (AccessSubject::Object, object.map(|(bucket, form)| object_arn(bucket, form.key())))
            }
            // INVARIANT: entries have a way of their own; none comes here.
            On::Entry => (AccessSubject::Object, None),
        };
        Ok(Access { action, subject, resource: arn.ok_or(RequirementsError::NotAddressed)? })
    }
}

fn object_arn(bucket: &BucketName, key: &ObjectKey) -> String {
    [&bucket.arn(), "/", key.as_str()].concat()
}

fn content_type(headers: &HeaderMap) -> Result<&str, RequirementsError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).ok_or(RequirementsError::NotAddressed)?;
    match values.next() {
        None => Ok(value),
        Some(_) => Err(RequirementsError::RepeatedHeader(CONTENT_TYPE.as_str().to_owned())),
    }
}

/// Whether a body has an element of this name anywhere; an empty one has none.
pub(crate) fn element_in(body: &[u8], name: &str) -> Result<bool, RequirementsError> {
    if body.trim_ascii().is_empty() {
        return Ok(false);
    }
    let mut found = false;
    let walked = walk(body, |piece| {
        found |= matches!(piece, Piece::Open(open) if open == name);
        Ok(())
    });
    walked.map(|()| found).map_err(RequirementsError::MalformedBody)
}

/// Whether the body of a `CreateBucket` has a `Tag` in its `Tags`; an empty body has none.
fn bucket_has_tags(body: &[u8]) -> Result<bool, RequirementsError> {
    const PATH: [&str; 3] = ["CreateBucketConfiguration", "Tags", "Tag"];
    if body.trim_ascii().is_empty() {
        return Ok(false);
    }
    if body.len() > MAX_BUCKET_BODY {
        return Err(RequirementsError::BodyTooLong(body.len()));
    }
    let (mut depth, mut matched, mut found): (usize, usize, bool) = (0, 0, false);
    let walked = walk(body, |piece| {
        match piece {
            Piece::Open(name) => {
                if PATH.get(depth) == Some(&name) && matched == depth {
                    matched += 1;
                    found |= matched == PATH.len();
                } else if depth == 0 {
                    return Err(format!("root element `{name}`"));
                }
                depth += 1;
            }
            Piece::Close => {
                depth = depth.saturating_sub(1);
                matched = matched.min(depth);
            }
            Piece::Text(_) | Piece::Aside => {}
        }
        Ok(())
    });
    walked.map_err(RequirementsError::MalformedBody)?;
    Ok(found)
}
