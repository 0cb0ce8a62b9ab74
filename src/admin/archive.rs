//! The archive of all that is kept: JSON, one object a line.
//!
//! ```text
//! {"portcullis_archive":1,"created":"2026-11-24T09:00:00Z","version":"0.1.0"}
//! {"bucket":"photos","owner":"111122223333","public_access_block":{"BlockPublicAcls":true,…},"revisions":[
//!   {"revision":7,"time":"2026-11-23T18:00:00.5Z","by":"arn:aws:iam::…","request_id":"…","document":"{\"Version\":…"},…]}
//! …
//! {"buckets":2,"sha256":"…"}
//! ```
//!
//! (A bucket's object is on one line.) The first line names the format and its version, the last counts the buckets and
//! holds the SHA-256 of every byte before it, so that an archive that was cut short or altered is found out. Buckets
//! stand in the order of their names' bytes, none twice. `revisions` is the history, newest first: what the first one
//! put is in force, and one without `document` is a deletion. A document is a string that holds its exact bytes, or
//! `document_base64` where they are not UTF-8. `owner`, where there is one, is the account recorded as the bucket's
//! creator. A bucket whose records could not be read has `unreadable`, the reason, and nothing else.
//!
//! It streams: neither side needs more than a line, which has at most [`MAX_LINE`] bytes.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::wire::{PublicAccessBlockDocument, parse_rfc3339, rfc3339};
use crate::layer::administration::{Import, Kept};
use crate::policy::{AccountId, InvalidPolicy, MAX_BODY, Policy};
use crate::s3::address::BucketName;
use crate::s3::checksum::hex;
use crate::store::{Change, Contents, PastRevision, REVISIONS_KEPT, Revision};

/// The longest line, in bytes: a full history of the longest documents, each byte of which may need six.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// The only version so far.
const VERSION: u64 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    portcullis_archive: u64,
    created: String,
    version: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    buckets: u64,
    sha256: String,
}

/// All that is kept of one bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketRecord {
    /// Its name.
    pub bucket: String,
    /// The account recorded as its creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its public access block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_access_block: Option<PublicAccessBlockDocument>,
    /// Its history, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<RevisionRecord>,
    /// Why nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// One revision of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionRecord {
    /// Its number where it was made.
    pub revision: u64,
    /// When: RFC 3339.
    pub time: String,
    /// Who: an ARN, or `admin`.
    pub by: String,
    /// In which request.
    pub request_id: String,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The document, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_base64: Option<String>,
}

/// Records on the way: a page of an export, or the body of an import.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordPage {
    /// Them, in the order of their buckets' names.
    pub records: Vec<BucketRecord>,
    /// Where the next page begins, for `?after=`; none after the last, and in an import.
    #[serde(default)]
    pub next: Option<String>,
}

/// What became of the records of an import.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportAnswer {
    /// Each, in their order.
    pub buckets: Vec<ImportedBucket>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedBucket {
    /// Its bucket.
    pub bucket: String,
    /// How it ended, or would.
    pub outcome: ImportOutcome,
}

/// How the import of a bucket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// Nothing was kept of it before.
    New,
    /// Something else was.
    Replaced,
    /// The same was.
    Unchanged,
    /// Something else is, and may not be replaced; in a dry run alone.
    InTheWay,
    /// It could not be read when it was exported, so there is nothing to import.
    Unreadable,
}

impl BucketRecord {
    /// What is kept, as a record.
    pub fn new(bucket: &BucketName, kept: Kept) -> Self {
        Self {
            bucket: bucket.as_str().to_owned(),
            owner: kept.owner.map(|owner| owner.as_str().to_owned()),
            public_access_block: kept.public_access_block.map(PublicAccessBlockDocument::from),
            revisions: kept.revisions.into_iter().map(RevisionRecord::new).collect(),
            unreadable: None,
        }
    }

    /// The record of a bucket whose own could not be read.
    pub fn unreadable(bucket: &BucketName, reason: String) -> Self {
        Self {
            bucket: bucket.as_str().to_owned(),
            owner: None,
            public_access_block: None,
            revisions: Vec::new(),
            unreadable: Some(reason),
        }
    }

    /// What is to be imported; the policy that comes into force is checked by the rules of `PUT ?policy`. None of a
    /// bucket that could not be read.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn import(&self) -> Result<Option<(BucketName, Import)>, RecordError> {
        let wrong = |what: String| RecordError { bucket: self.bucket.clone(), fault: Fault::Wrong(what) };
        let bucket = BucketName::parse(&self.bucket).map_err(|error| wrong(error.to_string()))?;
        if self.unreadable.is_some() {
            return Ok(None);
        }
        let owner =
            self.owner.as_deref().map(AccountId::parse).transpose().map_err(|error| wrong(error.to_string()))?;
        let block = match self.public_access_block {
            Some(document) => Some(document.block().ok_or_else(|| wrong("a public access block says nothing".into()))?),
            None => None,
        };
        if self.revisions.len() > REVISIONS_KEPT {
            return Err(wrong(format!("it has {} revisions, more than {REVISIONS_KEPT}", self.revisions.len())));
        }
        if !self.revisions.is_sorted_by(|newer, older| newer.revision > older.revision) {
            return Err(wrong("its revisions are not in order, newest first".to_owned()));
        }
        let in_its_place = |record: &RevisionRecord| {
            record.past().map_err(|what| wrong(format!("revision {}: {what}", record.revision)))
        };
        let revisions = self.revisions.iter().map(in_its_place).collect::<Result<Vec<_>, _>>()?;
        let policy = match revisions.first().and_then(|newest| newest.document.as_deref()) {
            Some(document) => match Policy::parse(document, bucket.as_str()) {
                Ok(validated) => Some(Arc::new(validated.policy)),
                Err(invalid) => {
                    return Err(RecordError { bucket: self.bucket.clone(), fault: Fault::Policy(invalid) });
                }
            },
            None => None,
        };
        let contents = Contents { revisions, policy, public_access_block: None };
        Ok(Some((bucket, Import { contents, public_access_block: block, owner })))
    }
}

impl RevisionRecord {
    fn new(revision: Revision) -> Self {
        let Revision { revision, document, change } = revision;
        let (document, document_base64) = match document.map(|document| String::from_utf8(document.to_vec())) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(other)) => (None, Some(STANDARD.encode(other.as_bytes()))),
            None => (None, None),
        };
        let (time, by, request_id) = (rfc3339(change.at), change.by, change.request_id);
        Self { revision, time, by, request_id, document, document_base64 }
    }

    fn past(&self) -> Result<PastRevision, String> {
        let document = match (&self.document, &self.document_base64) {
            (Some(_), Some(_)) => return Err("its document is there twice".to_owned()),
            (Some(text), None) => Some(Bytes::copy_from_slice(text.as_bytes())),
            (None, Some(encoded)) => {
                Some(STANDARD.decode(encoded).map_err(|error| format!("`document_base64`: {error}"))?.into())
            }
            (None, None) => None,
        };
        if document.as_ref().is_some_and(|document| document.len() > MAX_BODY) {
            return Err(format!("its document has more than {MAX_BODY} bytes"));
        }
        // As an ARN or a request's id may be long, and no longer.
        if self.by.len() > MAX_NAME || self.request_id.len() > MAX_NAME {
            return Err(format!("`by` or `request_id` has more than {MAX_NAME} bytes"));
        }
        let at = parse_rfc3339(&self.time).ok_or_else(|| "`time` is not as in RFC 3339".to_owned())?;
        Ok(PastRevision { document, change: Change { at, by: self.by.clone(), request_id: self.request_id.clone() } })
    }
}

const MAX_NAME: usize = 4096;

/// Writes an archive, line by line, each with its end.
#[derive(Debug)]
pub struct ArchiveWriter {
    hash: Sha256,
    buckets: u64,
}

impl ArchiveWriter {
    /// A new archive, and its first line.
    ///
    /// # Errors
    /// Never, but that the encoder cannot say so.
    pub fn new(now: SystemTime) -> Result<(Self, Vec<u8>), serde_json::Error> {
        let mut archive = Self { hash: Sha256::new(), buckets: 0 };
        let header = Header {
            portcullis_archive: VERSION,
            created: rfc3339(now),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let line = archive.line(&header)?;
        Ok((archive, line))
    }

    /// The line of a bucket. They must come in their order.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn record(&mut self, record: &BucketRecord) -> Result<Vec<u8>, serde_json::Error> {
        self.buckets += 1;
        self.line(record)
    }

    /// The last line.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn end(mut self) -> Result<Vec<u8>, serde_json::Error> {
        let end = End { buckets: self.buckets, sha256: hex(&std::mem::take(&mut self.hash).finalize()) };
        self.line(&end)
    }

    fn line(&mut self, line: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.hash.update(&line);
        Ok(line)
    }
}

/// Reads an archive, line by line, and holds it to its form.
#[derive(Debug, Default)]
pub struct ArchiveReader {
    hash: Sha256,
    begun: bool,
    ended: bool,
    buckets: u64,
    last: Option<String>,
}

impl ArchiveReader {
    /// Takes the next line, without its end. The record that it holds; none of the first line and the last.
    ///
    /// # Errors
    /// [`ArchiveError`] of what is not as it must be.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<BucketRecord>, ArchiveError> {
        if self.ended {
            return Err(ArchiveError::AfterEnd);
        }
        if !self.begun {
            let header: Header = serde_json::from_slice(line).map_err(|_| ArchiveError::NoArchive)?;
            if header.portcullis_archive != VERSION {
                return Err(ArchiveError::Version(header.portcullis_archive));
            }
            self.begun = true;
            self.hash(line);
            return Ok(None);
        }
        if let Ok(end) = serde_json::from_slice::<End>(line) {
            self.ended = true;
            let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
            return if (end.buckets, end.sha256) == (self.buckets, sha256) {
                Ok(None)
            } else {
                Err(ArchiveError::Altered)
            };
        }
        let record: BucketRecord =
            serde_json::from_slice(line).map_err(|error| ArchiveError::Line(error.to_string()))?;
        if self.last.as_ref().is_some_and(|last| *last >= record.bucket) {
            return Err(ArchiveError::Order(record.bucket));
        }
        self.hash(line);
        self.buckets += 1;
        self.last = Some(record.bucket.clone());
        Ok(Some(record))
    }

    /// That was all; how many buckets there were.
    ///
    /// # Errors
    /// [`ArchiveError`] where the end is missing.
    pub fn end(self) -> Result<u64, ArchiveError> {
        match (self.begun, self.ended) {
            (false, _) => Err(ArchiveError::NoArchive),
            (true, false) => Err(ArchiveError::CutOff),
            (true, true) => Ok(self.buckets),
        }
    }

    fn hash(&mut self, line: &[u8]) {
        self.hash.update(line);
        self.hash.update(b"\n");
    }
}

/// What is wrong with an archive as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It does not begin as an archive does.
    NoArchive,
    /// Its version is another.
    Version(u64),
    /// This line is no bucket's.
    Line(String),
    /// This bucket does not stand in its place, or stands there twice.
    Order(String),
    /// It ends before its last line.
    CutOff,
    /// It goes on after its last line.
    AfterEnd,
    /// Its last line speaks of other lines.
    Altered,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArchive => f.write_str("this is not an archive of `portcullis policy export`"),
            Self::Version(version) => write!(f, "the archive is of version {version}, and only {VERSION} is known"),
            Self::Line(reason) => write!(f, "this is not the record of a bucket: {reason}"),
            Self::Order(bucket) => write!(f, "bucket {bucket:?} is not in the order of names, or there twice"),
            Self::CutOff => f.write_str("the archive is cut off: its last line is missing"),
            Self::AfterEnd => f.write_str("the archive goes on after its last line"),
            Self::Altered => f.write_str("the archive is not as it was written: its checksum does not match"),
        }
    }
}

impl std::error::Error for ArchiveError {}

/// What is wrong with the record of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    bucket: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Wrong(String),
    Policy(InvalidPolicy),
}

impl RecordError {
    /// Where it is the policy, what is wrong with that.
    pub fn invalid_policy(&self) -> Option<&InvalidPolicy> {
        match &self.fault {
            Fault::Policy(invalid) => Some(invalid),
            Fault::Wrong(_) => None,
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Wrong(what) => write!(f, "bucket {:?}: {what}", self.bucket),
            Fault::Policy(invalid) => write!(f, "bucket {:?}: its policy: {invalid}", self.bucket),
        }
    }
}

impl std::error::Error for RecordError {}

#[cfg(test)]
mod tests;
