//! Which condition keys does a request have, and with what values?
//!
//! Names and values are those of Amazon's "Actions, resources, and condition keys for Amazon S3", "AWS global condition
//! context keys" and "Bucket policy examples using condition keys". `docs/condition-keys.md` is the whole table, made from
//! the one here. What follows from the caller (`aws:username`, `aws:PrincipalArn`, …) is not filled in here: the policy
//! language knows.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use http::HeaderMap;
//! use portcullis::policy::{Action, ConditionKey, KeySet};
//! use portcullis::s3::action_map::Head;
//! use portcullis::s3::address::{Address, Domains};
//! use portcullis::s3::context::{AccessFacts, RequestDetails, RequestFacts, Subject};
//! use portcullis::s3::operation::{Operation, Query};
//!
//! let (address, _) = Address::parse(None, "/photos", &Domains::default())?;
//! let query = Query::parse(Some("list-type=2&prefix=home%2F"))?;
//! let headers = HeaderMap::new();
//! let operation = Operation::ListObjectsV2;
//! let details = RequestDetails::read(operation, &headers, None, None)?;
//! let request = RequestFacts {
//!     operation,
//!     head: Head { address: &address, query: &query, headers: &headers },
//!     details: &details,
//!     source_ip: Some([192, 0, 2, 7].into()),
//!     secure_transport: false,
//!     tls_version: None,
//!     now: SystemTime::now(),
//!     region: "us-east-1",
//!     signature: None,
//! };
//! let access = AccessFacts {
//!     action: Action::ListBucket,
//!     owner: None,
//!     subject: Subject::Bucket,
//!     object_tags: &[],
//!     bucket_tags: &[],
//! };
//! let asked = ["s3:prefix", "s3:delimiter", "s3:versionid"].map(ConditionKey::named);
//! let context = request.context(&access, KeySet::from_iter(asked));
//! assert!(context.has("s3:prefix") && !context.has("s3:delimiter") && !context.has("aws:SourceIp"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod details;
#[cfg(test)]
mod document;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use time::OffsetDateTime;
use time::macros::format_description;

pub use self::details::{DetailsError, MAX_DETAILS_BODY, MAX_TAGS, RequestDetails, needs_details};
use self::table::{OfForm, Source, source};
use super::action_map::{Head, copy_source};
use super::copy_source::CopySource;
use super::delete_objects::ObjectToDelete;
use super::error::{ErrorCode, S3Error};
use super::operation::Operation;
use crate::policy::{AccountId, Action, ConditionKey, Context, KeySet};

/// What is said when a multipart upload begins, and can't be said again with its parts.
const SETTLED_BEFORE_PARTS: [ConditionKey; 2] = [
    ConditionKey::named("s3:x-amz-server-side-encryption"),
    ConditionKey::named("s3:x-amz-server-side-encryption-aws-kms-key-id"),
];
/// Said with every part, and not when they are put together.
const CUSTOMER_ALGORITHM: ConditionKey = ConditionKey::named("s3:x-amz-server-side-encryption-customer-algorithm");

/// What is known of a request beside what only the store knows.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'r> {
    /// What it asks for.
    pub operation: Operation,
    /// What it says before its body.
    pub head: Head<'r>,
    /// What it says of itself besides.
    pub details: &'r RequestDetails,
    /// The client's address, where it is known.
    pub source_ip: Option<IpAddr>,
    /// Whether the client came by TLS.
    pub secure_transport: bool,
    /// By which version of it, as `1.2` or `1.3`; none where it did not, or that is not known.
    pub tls_version: Option<&'r str>,
    /// The time of the request.
    pub now: SystemTime,
    /// The region that unsigned requests are taken to be for.
    pub region: &'r str,
    /// How it was signed; none where nobody signed it.
    pub signature: Option<SignatureFacts<'r>>,
}

/// What is known of a verified signature.
#[derive(Clone, Copy, Debug)]
pub struct SignatureFacts<'r> {
    /// Where it stood.
    pub auth_type: AuthType,
    /// When the request was signed, in seconds since 1970.
    pub signed_at: i64,
    /// The region of its credential scope.
    pub region: &'r str,
    /// Whether the key is a session's.
    pub temporary: bool,
}

/// Where a signature stands: the values of `s3:authType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// In the `Authorization` header.
    Header,
    /// In the query of a presigned URL.
    QueryString,
    /// In the fields of a form.
    Post,
}

impl AuthType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Header => "REST-HEADER",
            Self::QueryString => "REST-QUERY-STRING",
            Self::Post => "POST",
        }
    }
}

/// What differs between the accesses that a request needs.
#[derive(Clone, Copy, Debug)]
pub struct AccessFacts<'a> {
    /// What is to be done.
    pub action: Action,
    /// The account that owns the bucket it is done to, or in.
    pub owner: Option<&'a AccountId>,
    /// What it is done to.
    pub subject: Subject<'a>,
    /// The tags that the object has, where they were looked up.
    pub object_tags: &'a [(String, String)],
    /// The tags that its bucket has, where conditions may ask for them (attribute-based access control is enabled) and they
    /// were looked up.
    pub bucket_tags: &'a [(String, String)],
}

/// What an access is on.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Neither a bucket nor an object.
    Service,
    /// The bucket that is addressed.
    Bucket,
    /// The object that is addressed, or that a form makes.
    Object,
    /// The object that a copy reads.
    Source(&'a CopySource),
    /// An entry of a `POST ?delete`.
    Entry(&'a ObjectToDelete),
}

/// The most that the names and values of a request's headers may have together, in bytes: Amazon's own limit ("Common
/// request headers", PUT requests). It bounds what a pattern in a policy is held against.
pub const MAX_HEADERS: usize = 8 * 1024;

/// The headers have more than [`MAX_HEADERS`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadersTooLarge(());

impl From<HeadersTooLarge> for S3Error {
    fn from(_: HeadersTooLarge) -> Self {
        Self::new(ErrorCode::RequestHeaderSectionTooLarge).with_field("MaxSizeAllowed", MAX_HEADERS.to_string())
    }
}

/// Whether the headers are few enough to be decided on: to be asked once a request, before [`RequestFacts::context`].
///
/// # Errors
/// [`HeadersTooLarge`].
pub fn check_headers(headers: &HeaderMap) -> Result<(), HeadersTooLarge> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADERS { Err(HeadersTooLarge(())) } else { Ok(()) }
}

impl<'r> RequestFacts<'r> {
    /// The values of those of the keys that the request has for this access: of the others nothing is found out.
    ///
    /// The headers were [checked](check_headers), and what the request [needs](super::action_map::requirements) is known.
    pub fn context<'a>(&self, access: &AccessFacts<'a>, keys: KeySet) -> Context<'a>
    where
        'r: 'a,
    {
        let mut context = Context::new();
        for key in keys.iter().filter(|key| key.supports(access.action)) {
            self.fill(&mut context, key, access);
            if self.is_settled(key) {
                context.settle(key);
            }
        }
        context
    }

    /// Whether this was asked, and granted, when the multipart upload began that the request continues. Amazon's "no upload
    /// without encryption" lets large files through, whose parts have no header to say so: they are encrypted as the
    /// upload is, and its id is proof that it was made. Of ACLs the like is not so: Amazon denies the parts.
    fn is_settled(&self, key: ConditionKey) -> bool {
        let continues = match self.operation {
            Operation::UploadPart | Operation::UploadPartCopy => SETTLED_BEFORE_PARTS.contains(&key),
            Operation::CompleteMultipartUpload => SETTLED_BEFORE_PARTS.contains(&key) || key == CUSTOMER_ALGORITHM,
            _ => false,
        };
        continues && !self.says(key)
    }

    fn says(&self, key: ConditionKey) -> bool {
        match source(key) {
            Source::Header(name, _) | Source::Encryption(name, _) => self.head.headers.contains_key(name),
            _ => false,
        }
    }

    fn fill<'a>(&self, context: &mut Context<'a>, key: ConditionKey, access: &AccessFacts<'a>)
    where
        'r: 'a,
    {
        match source(key) {
            Source::Header(name, of_form) => match of_form {
                OfForm::Header => context.set_key(key, self.header(name)),
                OfForm::Field(_) if self.is_form() => context.set_key(key, self.details.values(key)),
                OfForm::Nothing if self.is_form() => {}
                OfForm::Field(_) | OfForm::Nothing => context.set_key(key, self.header(name)),
            },
            // What its headers say of it, `UpdateObjectEncryption` does not do.
            Source::Encryption(..) if self.is_form() || self.operation == Operation::UpdateObjectEncryption => {
                context.set_key(key, self.details.values(key));
            }
            Source::Encryption(header, _) => context.set_key(key, self.header(header)),
            Source::Parameter(name) => context.set_key(key, self.parameter(name)),
            Source::Lock(_) | Source::Body(..) => context.set_key(key, self.details.values(key)),
            Source::VersionId => self.set_version(context, key, access.subject),
            Source::IfMatch => match access.subject {
                Subject::Entry(entry) => context.set_key(key, entry.etag.as_deref()),
                _ if self.is_form() => {}
                _ => context.set_key(key, self.header("if-match")),
            },
            Source::CopiedObject => context.set_key(key, self.copied(access.subject)),
            Source::ContentSha256 => self.set_content_sha256(context, key),
            Source::ObjectCreation => context.set_key(key, self.creates_object().map(truth)),
            Source::RemainingRetention => context.set_key(key, self.remaining_days().map(|days| days.to_string())),
            Source::RequestObjectTags => add_tags(context, key, self.details.object_tags()),
            Source::RequestObjectTagKeys => context.set_key(key, names(self.details.object_tags())),
            Source::ExistingObjectTags => add_tags(context, key, access.object_tags),
            Source::BucketTags => add_tags(context, key, access.bucket_tags),
            Source::RequestBucketTags => add_tags(context, key, self.details.bucket_tags()),
            Source::RequestBucketTagKeys => context.set_key(key, names(self.details.bucket_tags())),
            Source::Owner => context.set_key(key, access.owner.map(AccountId::as_str)),
            Source::ClientAddress => context.set_key(key, self.source_ip.map(address)),
            Source::SecureTransport => context.set_key(key, [truth(self.secure_transport)]),
            Source::TlsVersion => context.set_key(key, self.tls_version),
            Source::CurrentTime => {
                let iso = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
                context.set_key(key, OffsetDateTime::from(self.now).format(iso).ok());
            }
            Source::EpochTime => {
                context.set_key(key, [OffsetDateTime::from(self.now).unix_timestamp().to_string()]);
            }
            Source::AuthType => context.set_key(key, self.signature.map(|signature| signature.auth_type.as_str())),
            Source::SignatureAge => {
                let age = self.signature.map(|signature| age(self.now, signature.signed_at));
                context.set_key(key, age.map(|age| age.as_millis().to_string()));
            }
            Source::SignatureVersion => context.set_key(key, self.signature.map(|_| "AWS4-HMAC-SHA256")),
            Source::Region => {
                context.set_key(key, [self.signature.map_or(self.region, |signature| signature.region)]);
            }
            Source::Never => context.set_key(key, [truth(false)]),
            Source::NeverWhenSigned => context.set_key(key, self.signature.map(|_| truth(false))),
            Source::NeverWhenTemporary => {
                let temporary = self.signature.filter(|signature| signature.temporary);
                context.set_key(key, temporary.map(|_| truth(false)));
            }
            Source::Caller(_) | Source::Absent(_) => {}
        }
    }

    /// Whether what other uploads have in their headers stands in the fields of a form.
    fn is_form(&self) -> bool {
        self.operation == Operation::PostObject
    }

    /// Every value of a header; a replacement character stands for what is not UTF-8.
    fn header(&self, name: &'static str) -> impl Iterator<Item = Cow<'r, str>> + use<'r> {
        self.head.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// The value of a parameter of the query, and others that it has besides.
    fn parameter(&self, name: &'static str) -> impl Iterator<Item = &'r str> + use<'r> {
        let query = self.head.query;
        let first = query.get(name);
        let others = query.iter().filter(move |(other, value)| *other == name && Some(*value) != first);
        first.into_iter().chain(others.map(|(_, value)| value))
    }

    fn set_version<'a>(&self, context: &mut Context<'a>, key: ConditionKey, subject: Subject<'a>)
    where
        'r: 'a,
    {
        match subject {
            Subject::Object => context.set_key(key, self.parameter("versionId")),
            Subject::Source(source) => context.set_key(key, source.version_id.as_deref()),
            Subject::Entry(entry) => context.set_key(key, entry.version_id.as_deref()),
            Subject::Service | Subject::Bucket => {}
        }
    }

    /// `BUCKET/KEY` of the object that is copied to the subject.
    fn copied(&self, subject: Subject<'_>) -> Option<String> {
        match subject {
            // One that names no object was refused when it was asked what the request needs.
            Subject::Object => copy_source(self.operation, self.head.headers).ok().flatten(),
            Subject::Service | Subject::Bucket | Subject::Source(_) | Subject::Entry(_) => None,
        }
        .map(|source| format!("{}/{}", source.bucket, source.key))
    }

    fn set_content_sha256<'a>(&self, context: &mut Context<'a>, key: ConditionKey)
    where
        'r: 'a,
    {
        if self.is_form() {
            return;
        }
        let mut sent = self.header("x-amz-content-sha256").peekable();
        if sent.peek().is_some() {
            context.set_key(key, sent);
        } else if self.signature.is_some_and(|signature| signature.auth_type == AuthType::QueryString) {
            // What a presigned URL means that says nothing of the body.
            context.set_key(key, ["UNSIGNED-PAYLOAD"]);
        }
    }

    /// Whether an upload makes an object, or is one of the steps before; none where it is no upload.
    fn creates_object(&self) -> Option<bool> {
        match self.operation {
            Operation::PutObject
            | Operation::CopyObject
            | Operation::CompleteMultipartUpload
            | Operation::PostObject => Some(true),
            Operation::CreateMultipartUpload | Operation::UploadPart | Operation::UploadPartCopy => Some(false),
            _ => None,
        }
    }

    /// The days that are left of the retention the request asks for. Amazon does not say how it counts; a day that has
    /// begun is one here. So a limit is neither passed by hours, nor missed by those seconds that a request is on its way.
    fn remaining_days(&self) -> Option<i128> {
        let until = self.details.retain_until?;
        let left = until - OffsetDateTime::from(self.now).unix_timestamp_nanos();
        Some(left.div_euclid(NANOSECONDS_A_DAY) + i128::from(left.rem_euclid(NANOSECONDS_A_DAY) > 0))
    }
}

const NANOSECONDS_A_DAY: i128 = 86_400 * 1_000_000_000;

fn add_tags<'a>(context: &mut Context<'a>, key: ConditionKey, tags: &'a [(String, String)]) {
    for (tag, value) in tags {
        context.add_tag(key, tag, value.as_str());
    }
}

fn names(tags: &[(String, String)]) -> impl Iterator<Item = &str> {
    tags.iter().map(|(name, _)| name.as_str())
}

/// In one allocation.
fn address(ip: IpAddr) -> String {
    const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();
    let mut text = String::with_capacity(LONGEST);
    // Writing to a string cannot fail.
    let _ = write!(text, "{}", ip.to_canonical());
    text
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A clock of the client's that is ahead makes the signature no younger than new.
fn age(now: SystemTime, signed_at: i64) -> Duration {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since_epoch.saturating_sub(Duration::from_secs(u64::try_from(signed_at).unwrap_or_default()))
}
