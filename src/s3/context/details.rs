//! What does a request say of itself in its body, its form, or a header that is more than a text?
//!
//! Conditions ask for the tags, locks and keys that a request sets. What a store could read otherwise than it was read here
//! is refused, as Amazon refuses most of it, so that nothing is set which no condition saw.

mod error;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

pub use self::error::DetailsError;
use super::super::action_map::{MAX_BUCKET_BODY, replaces_tags};
use super::super::form::Form;
use super::super::operation::{Operation, Query};
use super::super::xml_elements::{Element, Found, read};
use super::table::{LockValue, form_fields, locks};
use crate::policy::{ConditionKey, date};

/// The most bytes of a body that is read for its details: no configuration that is, in escaped XML, has more.
pub const MAX_DETAILS_BODY: usize = MAX_BUCKET_BODY;

/// The most tags that a request may give. Amazon takes 10 for an object and 50 for a bucket.
pub const MAX_TAGS: usize = 50;

/// What conditions can ask of a request beside what stands in its headers and query as a text. Only
/// [`read`](Self::read) makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestDetails {
    values: Vec<(ConditionKey, String)>,
    object_tags: Vec<(String, String)>,
    bucket_tags: Vec<(String, String)>,
    /// In nanoseconds since 1970.
    pub(super) retain_until: Option<i128>,
}

/// Whether conditions can ask for what stands in the operation's body, or before the file of its form: it must be read to
/// decide.
pub fn needs_details(operation: Operation) -> bool {
    match Reading::of(operation) {
        Some(Reading::Form | Reading::Body(_)) => true,
        Some(Reading::UploadHeaders | Reading::CopyHeaders) | None => false,
    }
}

impl RequestDetails {
    /// Reads what a request says of itself. `headers` are the effective ones
    /// ([`effective_headers`](crate::s3::hoisted::effective_headers)); `form` is that of a `PostObject`, and `body` the
    /// whole body of any other operation that [needs it](needs_details), of at most [`MAX_DETAILS_BODY`].
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use portcullis::s3::context::RequestDetails;
    /// use portcullis::s3::operation::Operation;
    ///
    /// let headers = HeaderMap::from_iter([("x-amz-tagging".parse()?, HeaderValue::from_static("team=blue&a+b=%26"))]);
    /// let details = RequestDetails::read(Operation::PutObject, &headers, None, None)?;
    /// let tags: Vec<_> = details.object_tags().iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect();
    /// assert_eq!(tags, [("team", "blue"), ("a b", "&")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DetailsError`] for what cannot be told for certain, and so must not be done.
    pub fn read(
        operation: Operation,
        headers: &HeaderMap,
        form: Option<&Form>,
        body: Option<&[u8]>,
    ) -> Result<Self, DetailsError> {
        let mut details = Self::default();
        match Reading::of(operation) {
            None => {}
            Some(Reading::UploadHeaders) => details.read_headers(headers, true)?,
            Some(Reading::CopyHeaders) => details.read_headers(headers, replaces_tags(headers))?,
            Some(Reading::Form) => details.read_form(form.ok_or(DetailsError::BodyNotRead)?)?,
            Some(Reading::Body(body_of)) => details.read_body(body_of, body.ok_or(DetailsError::BodyNotRead)?)?,
        }
        Ok(details)
    }

    /// The tags that the request gives an object.
    pub fn object_tags(&self) -> &[(String, String)] {
        &self.object_tags
    }

    /// The tags that `CreateBucket` gives the bucket.
    pub fn bucket_tags(&self) -> &[(String, String)] {
        &self.bucket_tags
    }

    /// What body, form or header say under a key.
    pub fn values(&self, key: ConditionKey) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(other, _)| *other == key).map(|(_, value)| value.as_str())
    }

    fn read_headers(&mut self, headers: &HeaderMap, with_tags: bool) -> Result<(), DetailsError> {
        for (key, lock) in locks() {
            if let Some(value) = single(headers, lock.header)? {
                self.lock(key, lock.value, &value).ok_or_else(|| invalid(lock.header, &value))?;
            }
        }
        if let Some(years) = single(headers, EVENT_HOLD_YEARS)? {
            self.event_hold_years(&years).ok_or_else(|| invalid(EVENT_HOLD_YEARS, &years))?;
        }
        if with_tags && let Some(tagging) = single(headers, TAGGING)? {
            self.object_tags = tags_of_header(&tagging)?;
        }
        Ok(())
    }

    fn read_form(&mut self, form: &Form) -> Result<(), DetailsError> {
        for (key, field) in form_fields() {
            self.values.extend(form.get(field).map(|value| (key, value.to_owned())));
        }
        for (key, lock) in locks() {
            if let Some(value) = form.get(lock.header) {
                self.lock(key, lock.value, value).ok_or_else(|| invalid(lock.header, value))?;
            }
        }
        if let Some(years) = form.get(EVENT_HOLD_YEARS) {
            self.event_hold_years(years).ok_or_else(|| invalid(EVENT_HOLD_YEARS, years))?;
        }
        if let Some(tagging) = form.get("tagging") {
            self.object_tags = tags_of_set(&document(tagging.as_bytes(), &TAGGING_BODY)?)?;
        }
        Ok(())
    }

    fn read_body(&mut self, of: BodyOf, body: &[u8]) -> Result<(), DetailsError> {
        match of {
            BodyOf::Tagging => self.object_tags = tags_of_set(&document(body, &TAGGING_BODY)?)?,
            BodyOf::Retention => self.read_locks(&document(body, &RETENTION)?)?,
            BodyOf::LegalHold => self.read_locks(&document(body, &LEGAL_HOLD)?)?,
            BodyOf::Encryption => self.read_encryption(&document(body, &ENCRYPTION)?)?,
            BodyOf::Inventory => {
                let inventory = document(body, &INVENTORY)?;
                let fields = inventory.child("OptionalFields").into_iter().flat_map(|fields| fields.texts("Field"));
                self.values.extend(fields.map(|field| (INVENTORY_FIELDS, field.to_owned())));
            }
            // A bucket may be made without a word.
            BodyOf::Bucket if body.trim_ascii().is_empty() => {}
            BodyOf::Bucket => {
                let bucket = document(body, &BUCKET)?;
                let region = bucket.text("LocationConstraint").filter(|region| !region.is_empty());
                self.values.extend(region.map(|region| (LOCATION_CONSTRAINT, region.to_owned())));
                self.bucket_tags = bucket.child("Tags").map(tags).transpose()?.unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Those of `PutObjectRetention` and `PutObjectLegalHold`: no element of one is in the other.
    fn read_locks(&mut self, body: &Found) -> Result<(), DetailsError> {
        let malformed = |element: &str, value: &str| DetailsError::MalformedBody(format!("`{element}` is `{value}`"));
        for (key, lock) in locks() {
            if let Some(value) = at(body, lock.element) {
                self.lock(key, lock.value, value).ok_or_else(|| malformed(lock.element, value))?;
            }
        }
        if let Some(years) = at(body, "EventHoldDuration/Years") {
            self.event_hold_years(years).ok_or_else(|| malformed("Years", years))?;
        }
        Ok(())
    }

    /// What headers say in these words, this body says by its elements.
    fn read_encryption(&mut self, body: &Found) -> Result<(), DetailsError> {
        match (body.child("SSE-KMS"), body.child("SSE-S3")) {
            (Some(kms), None) => {
                self.values.push((ENCRYPTION_ALGORITHM, "aws:kms".to_owned()));
                self.values.extend(kms.text("KMSKeyArn").map(|key| (ENCRYPTION_KEY, key.to_owned())));
                Ok(())
            }
            (None, Some(_)) => {
                self.values.push((ENCRYPTION_ALGORITHM, "AES256".to_owned()));
                Ok(())
            }
            (Some(_), Some(_)) | (None, None) => {
                Err(DetailsError::MalformedBody("not one kind of encryption".to_owned()))
            }
        }
    }

    /// Takes a value that is one for certain; none where it is not.
    fn lock(&mut self, key: ConditionKey, value_of: LockValue, value: &str) -> Option<()> {
        let is_one = match value_of {
            LockValue::Mode => matches!(value, "GOVERNANCE" | "COMPLIANCE"),
            LockValue::Switch => matches!(value, "ON" | "OFF"),
            LockValue::Days => whole_number(value).is_some(),
            LockValue::Date => {
                self.retain_until = date(value);
                self.retain_until.is_some()
            }
        };
        is_one.then(|| self.values.push((key, value.to_owned())))
    }

    /// There is no key for years, so that they count as days where those are limited: 365 each, as in Amazon's own limits
    /// of 100 years or 36,500 days. None where it is no number, or days are given too.
    fn event_hold_years(&mut self, years: &str) -> Option<()> {
        let days = whole_number(years)?.checked_mul(365)?;
        if self.values(EVENT_HOLD_DAYS).next().is_some() {
            return None;
        }
        self.values.push((EVENT_HOLD_DAYS, days.to_string()));
        Some(())
    }
}

const TAGGING: &str = "x-amz-tagging";
const EVENT_HOLD_YEARS: &str = "x-amz-object-lock-event-hold-duration-years";

const INVENTORY_FIELDS: ConditionKey = ConditionKey::named("s3:InventoryAccessibleOptionalFields");
const LOCATION_CONSTRAINT: ConditionKey = ConditionKey::named("s3:locationconstraint");
const EVENT_HOLD_DAYS: ConditionKey = ConditionKey::named("s3:object-lock-event-hold-duration-days");
const ENCRYPTION_ALGORITHM: ConditionKey = ConditionKey::named("s3:x-amz-server-side-encryption");
const ENCRYPTION_KEY: ConditionKey = ConditionKey::named("s3:x-amz-server-side-encryption-aws-kms-key-id");

/// Where an operation has details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// In the headers of an upload.
    UploadHeaders,
    /// There too, but tags only where they replace those of the source.
    CopyHeaders,
    /// In the fields of a form.
    Form,
    Body(BodyOf),
}

/// A body that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyOf {
    Tagging,
    Retention,
    LegalHold,
    Encryption,
    Inventory,
    Bucket,
}

impl Reading {
    /// None where an operation has no details. Parts of an upload have the tags and locks of the upload they belong to.
    fn of(operation: Operation) -> Option<Self> {
        Some(match operation {
            Operation::PutObject | Operation::CreateMultipartUpload => Self::UploadHeaders,
            Operation::CopyObject => Self::CopyHeaders,
            Operation::PostObject => Self::Form,
            Operation::PutObjectTagging => Self::Body(BodyOf::Tagging),
            Operation::PutObjectRetention => Self::Body(BodyOf::Retention),
            Operation::PutObjectLegalHold => Self::Body(BodyOf::LegalHold),
            Operation::UpdateObjectEncryption => Self::Body(BodyOf::Encryption),
            Operation::PutBucketInventoryConfiguration => Self::Body(BodyOf::Inventory),
            Operation::CreateBucket => Self::Body(BodyOf::Bucket),
            // That no other has an action with such keys, a test makes sure of.
            _ => return None,
        })
    }
}

const TAGS: &[Element] = &[Element::of("Tag", TAG).many()];
const TAG: &[Element] = &[Element::text("Key"), Element::text("Value")];

const TAGGING_BODY: Element = Element::of("Tagging", TAG_SET);
const TAG_SET: &[Element] = &[Element::of("TagSet", TAGS)];

const RETENTION: Element = Element::of("Retention", RETENTION_ELEMENTS);
const RETENTION_ELEMENTS: &[Element] = &[
    Element::text("Mode"),
    Element::text("RetainUntilDate"),
    Element::text("EventHold"),
    Element::of("EventHoldDuration", DURATION),
];
const DURATION: &[Element] = &[Element::text("Days"), Element::text("Years")];

const LEGAL_HOLD: Element = Element::of("LegalHold", LEGAL_HOLD_ELEMENTS);
const LEGAL_HOLD_ELEMENTS: &[Element] = &[Element::text("Status")];

const ENCRYPTION: Element = Element::of("ObjectEncryption", ENCRYPTION_ELEMENTS);
const ENCRYPTION_ELEMENTS: &[Element] = &[Element::of("SSE-KMS", KMS), Element::of("SSE-S3", &[])];
const KMS: &[Element] = &[Element::text("KMSKeyArn"), Element::text("BucketKeyEnabled")];

const INVENTORY: Element = Element::of("InventoryConfiguration", INVENTORY_ELEMENTS).among_others();
const INVENTORY_ELEMENTS: &[Element] = &[Element::of("OptionalFields", OPTIONAL_FIELDS)];
const OPTIONAL_FIELDS: &[Element] = &[Element::text("Field").many()];

const BUCKET: Element = Element::of("CreateBucketConfiguration", BUCKET_ELEMENTS).among_others();
const BUCKET_ELEMENTS: &[Element] = &[Element::text("LocationConstraint"), Element::of("Tags", TAGS)];

fn document(body: &[u8], root: &'static Element) -> Result<Found, DetailsError> {
    if body.len() > MAX_DETAILS_BODY {
        return Err(DetailsError::BodyTooLong(body.len()));
    }
    read(body, root).map_err(DetailsError::MalformedBody)
}

/// The value at a path of names.
fn at<'f>(within: &'f Found, path: &str) -> Option<&'f str> {
    match path.split_once('/') {
        Some((name, rest)) => at(within.child(name)?, rest),
        None => within.text(path),
    }
}

/// The one value of a header, where it is there.
fn single<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<Cow<'h, str>>, DetailsError> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(DetailsError::RepeatedHeader(HeaderName::from_static(name)));
    }
    Ok(Some(String::from_utf8_lossy(first.as_bytes())))
}

fn invalid(name: &'static str, value: &str) -> DetailsError {
    DetailsError::InvalidArgument { name, value: value.to_owned() }
}

/// ASCII digits, and few enough for a number of days or years.
fn whole_number(text: &str) -> Option<u32> {
    (text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `key=value&key=value`, percent-encoded as in a query ("PutObject"). A `;`, which some take for an `&`, must be encoded
/// too, and so must what is not ASCII.
fn tags_of_header(tagging: &str) -> Result<Vec<(String, String)>, DetailsError> {
    let refuse = || DetailsError::InvalidTagging(tagging.to_owned());
    if tagging.contains(';') || !tagging.is_ascii() {
        return Err(refuse());
    }
    let parsed = Query::parse(Some(tagging)).map_err(|_| refuse())?;
    let mut tags = Vec::new();
    for (tag, value) in parsed.iter() {
        add_tag(&mut tags, tag, value).map_err(|_| refuse())?;
    }
    Ok(tags)
}

fn tags_of_set(tagging: &Found) -> Result<Vec<(String, String)>, DetailsError> {
    tagging.child("TagSet").map_or_else(|| Err(DetailsError::MalformedBody("no `TagSet`".to_owned())), tags)
}

fn tags(set: &Found) -> Result<Vec<(String, String)>, DetailsError> {
    let mut tags = Vec::new();
    for tag in set.children("Tag") {
        let key = tag.text("Key").ok_or_else(|| DetailsError::MalformedBody("a `Tag` without a `Key`".to_owned()))?;
        add_tag(&mut tags, key, tag.text("Value").unwrap_or_default())?;
    }
    Ok(tags)
}

fn add_tag(tags: &mut Vec<(String, String)>, tag: &str, value: &str) -> Result<(), DetailsError> {
    if tag.is_empty() {
        return Err(DetailsError::MalformedBody("an empty `Key`".to_owned()));
    }
    if tags.iter().any(|(other, _)| other == tag) {
        return Err(DetailsError::RepeatedTag(tag.to_owned()));
    }
    if tags.len() == MAX_TAGS {
        return Err(DetailsError::TooManyTags);
    }
    tags.push((tag.to_owned(), value.to_owned()));
    Ok(())
}
