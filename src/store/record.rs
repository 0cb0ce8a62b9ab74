//! How a record lies where it is kept, in a file or in etcd, and whether it is still what was written.
//!
//! `version (1 byte) | SHA-256 (32) | header length (4, little endian) | header (JSON) | document (the rest, as sent)`
//!
//! The hash covers the record's place (table, bucket, revision) and all that follows it, so that a record which was
//! altered, cut off or moved to another key is found out. It is no protection against somebody who may write there.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::s3::public_access_block::PublicAccessBlock;
use crate::store::switches::Switches;
use crate::store::{Change, Revision, StoreError};

/// The only version so far. Another layout takes another number.
const VERSION: u8 = 1;
const HASH: usize = 32;
const LENGTH: usize = 4;

/// Where a record belongs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// What a bucket's newest revision is.
    Head(&'a BucketName),
    /// A revision of a bucket's policy.
    Revision(&'a BucketName, u64),
    /// A revision of a bucket's policy whose number stands in its header, since its key does not tell it.
    #[cfg(feature = "etcd")]
    Numbered(&'a BucketName),
    /// A bucket's creator.
    Owner(&'a BucketName),
    /// A bucket's public access block.
    Block(&'a BucketName),
}

/// The newest revision of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) revision: u64,
    /// Whether it put a document in force, or took it out.
    pub(super) in_force: bool,
}

/// What stands before the document of a revision.
#[derive(Serialize, Deserialize)]
struct RevisionHeader {
    /// Whether a document follows: an empty one is not a deletion.
    document: bool,
    at: SystemTime,
    by: String,
    request_id: String,
}

/// The same with the revision's number.
#[cfg(feature = "etcd")]
#[derive(Serialize, Deserialize)]
struct NumberedHeader {
    revision: u64,
    #[serde(flatten)]
    rest: RevisionHeader,
}

#[derive(Serialize, Deserialize)]
struct OwnerHeader {
    account: String,
}

/// The last change of a public access block. What is not known here could be what denies, so it is not passed over.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockHeader {
    /// None where it was taken out of force.
    block: Option<Switches>,
    at: SystemTime,
    by: String,
    request_id: String,
}

/// What is wrong with a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage(String);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<serde_json::Error> for Damage {
    fn from(e: serde_json::Error) -> Self {
        Self(format!("its header is not understood: {e}"))
    }
}

/// The header of a revision that is yet to get its number.
pub(super) fn revision_header(change: &Change, document: bool) -> Result<Vec<u8>, StoreError> {
    let Change { at, by, request_id } = change.clone();
    serde_json::to_vec(&RevisionHeader { document, at, by, request_id }).map_err(not_written)
}

/// The whole record of a revision whose key does not tell its number.
#[cfg(feature = "etcd")]
pub(super) fn seal_numbered(bucket: &BucketName, revision: &Revision) -> Result<Vec<u8>, StoreError> {
    let Revision { revision, document, change } = revision;
    let Change { at, by, request_id } = change.clone();
    let rest = RevisionHeader { document: document.is_some(), at, by, request_id };
    let header = serde_json::to_vec(&NumberedHeader { revision: *revision, rest }).map_err(not_written)?;
    Ok(seal(Place::Numbered(bucket), &header, document.as_deref().unwrap_or_default()))
}

pub(super) fn block_header(block: Option<PublicAccessBlock>, change: &Change) -> Result<Vec<u8>, StoreError> {
    let Change { at, by, request_id } = change.clone();
    serde_json::to_vec(&BlockHeader { block: block.map(Switches::from), at, by, request_id }).map_err(not_written)
}

fn not_written(e: serde_json::Error) -> StoreError {
    StoreError::Unavailable { reason: format!("the change cannot be written down: {e}") }
}

pub(super) fn head_header(head: Head) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&head)
}

pub(super) fn owner_header(account: &AccountId) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&OwnerHeader { account: account.as_str().to_owned() })
}

/// Puts a record together. A header is at most some kilobytes, so its length always fits.
pub(super) fn seal(place: Place<'_>, header: &[u8], document: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut record = Vec::with_capacity(1 + HASH + LENGTH + header.len() + document.len());
    record.push(VERSION);
    record.extend_from_slice(&hash(place, &[&length, header, document]));
    record.extend_from_slice(&length);
    record.extend_from_slice(header);
    record.extend_from_slice(document);
    record
}

pub(super) fn read_head(bucket: &BucketName, record: &[u8]) -> Result<Head, Damage> {
    let (header, _) = open(Place::Head(bucket), record)?;
    Ok(serde_json::from_slice(header)?)
}

pub(super) fn read_revision(bucket: &BucketName, revision: u64, record: &[u8]) -> Result<Revision, Damage> {
    let (header, document) = open(Place::Revision(bucket, revision), record)?;
    Ok(revision_of(revision, serde_json::from_slice(header)?, document))
}

#[cfg(feature = "etcd")]
pub(super) fn read_numbered(bucket: &BucketName, record: &[u8]) -> Result<Revision, Damage> {
    let (header, document) = open(Place::Numbered(bucket), record)?;
    let NumberedHeader { revision, rest } = serde_json::from_slice(header)?;
    Ok(revision_of(revision, rest, document))
}

fn revision_of(revision: u64, header: RevisionHeader, document: &[u8]) -> Revision {
    let RevisionHeader { document: has_document, at, by, request_id } = header;
    let document = has_document.then(|| Bytes::copy_from_slice(document));
    Revision { revision, document, change: Change { at, by, request_id } }
}

pub(super) fn read_owner(bucket: &BucketName, record: &[u8]) -> Result<AccountId, Damage> {
    let (header, _) = open(Place::Owner(bucket), record)?;
    let header: OwnerHeader = serde_json::from_slice(header)?;
    AccountId::parse(&header.account).map_err(|e| Damage(e.to_string()))
}

/// The block that is in force; none where it was taken out of force.
pub(super) fn read_block(bucket: &BucketName, record: &[u8]) -> Result<Option<PublicAccessBlock>, Damage> {
    let (header, _) = open(Place::Block(bucket), record)?;
    let header: BlockHeader = serde_json::from_slice(header)?;
    Ok(header.block.map(PublicAccessBlock::from))
}

/// Header and document of a record that is as it was sealed.
fn open<'r>(place: Place<'_>, record: &'r [u8]) -> Result<(&'r [u8], &'r [u8]), Damage> {
    let cut_off = || Damage(format!("it is cut off after {} bytes", record.len()));
    let (&version, rest) = record.split_first().ok_or_else(cut_off)?;
    if version != VERSION {
        return Err(Damage(format!("it is of version {version}, and only version {VERSION} is known")));
    }
    let (stated, sealed) = rest.split_first_chunk::<HASH>().ok_or_else(cut_off)?;
    if hash(place, &[sealed]) != *stated {
        return Err(Damage("its checksum does not match".to_owned()));
    }
    let (length, rest) = sealed.split_first_chunk::<LENGTH>().ok_or_else(cut_off)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or_else(cut_off)
}

fn hash(place: Place<'_>, parts: &[&[u8]]) -> [u8; HASH] {
    let (table, bucket, revision) = match place {
        Place::Head(bucket) => (b'h', bucket, 0),
        Place::Revision(bucket, revision) => (b'r', bucket, revision),
        #[cfg(feature = "etcd")]
        Place::Numbered(bucket) => (b'n', bucket, 0),
        Place::Owner(bucket) => (b'o', bucket, 0),
        Place::Block(bucket) => (b'b', bucket, 0),
    };
    let mut hash = Sha256::new();
    hash.update([table]);
    hash.update(bucket.as_str());
    // A name holds no NUL, so that name and number cannot run into each other.
    hash.update([0]);
    hash.update(revision.to_le_bytes());
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).unwrap()
    }

    fn change() -> Change {
        Change {
            at: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
            by: "arn:aws:iam::111122223333:user/alice".to_owned(),
            request_id: "4442587FB7D0A2F9".to_owned(),
        }
    }

    fn sealed(document: &[u8]) -> Vec<u8> {
        let header = revision_header(&change(), true).unwrap();
        seal(Place::Revision(&bucket("photos"), 7), &header, document)
    }

    #[test]
    fn a_revision_comes_back_as_it_was_written() {
        for document in [&b"{}"[..], b"", b"\x00\xff not even text", &[b'x'; 65_536]] {
            let revision = read_revision(&bucket("photos"), 7, &sealed(document)).unwrap();
            let expected = Revision { revision: 7, document: Some(Bytes::copy_from_slice(document)), change: change() };
            assert_eq!(revision, expected);
        }
        let header = revision_header(&change(), false).unwrap();
        let record = seal(Place::Revision(&bucket("photos"), 8), &header, b"");
        assert_eq!(read_revision(&bucket("photos"), 8, &record).unwrap().document, None);
    }

    #[cfg(feature = "etcd")]
    #[test]
    fn a_numbered_revision_comes_back_with_its_number_and_passes_for_no_other() {
        let name = bucket("photos");
        for document in [None, Some(Bytes::new()), Some(Bytes::from_static(b"{\"a\":\"\xff\n\"}"))] {
            let revision = Revision { revision: 7, document, change: change() };
            let record = seal_numbered(&name, &revision).unwrap();
            assert_eq!(read_numbered(&name, &record), Ok(revision));
            assert!(read_numbered(&bucket("photos2"), &record).is_err(), "another bucket");
            assert!(read_revision(&name, 7, &record).is_err(), "another table");
            for at in 0..record.len() {
                assert!(read_numbered(&name, &record[..at]).is_err(), "cut off after {at}");
            }
        }
    }

    #[test]
    fn every_altered_bit_and_every_missing_byte_is_noticed() {
        let record = sealed(b"{\"Version\":\"2012-10-17\"}");
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut altered = record.clone();
                altered[at] ^= 1 << bit;
                assert!(read_revision(&bucket("photos"), 7, &altered).is_err(), "byte {at}, bit {bit}");
            }
            assert!(read_revision(&bucket("photos"), 7, &record[..at]).is_err(), "cut off after {at}");
        }
    }

    #[test]
    fn a_record_does_not_pass_for_another() {
        let record = sealed(b"{}");
        assert!(read_revision(&bucket("photos"), 8, &record).is_err(), "another revision");
        assert!(read_revision(&bucket("photos2"), 7, &record).is_err(), "another bucket");
        let head =
            seal(Place::Head(&bucket("photos")), &head_header(Head { revision: 7, in_force: true }).unwrap(), b"");
        assert_eq!(read_head(&bucket("photos"), &head), Ok(Head { revision: 7, in_force: true }));
        assert!(read_owner(&bucket("photos"), &head).is_err(), "another table");
    }

    #[test]
    fn a_block_comes_back_as_it_was_written_and_whole() {
        let name = bucket("photos");
        for bits in 0..16 {
            let on = |switch: u8| bits & (1 << switch) != 0;
            let block = PublicAccessBlock {
                block_public_acls: on(0),
                ignore_public_acls: on(1),
                block_public_policy: on(2),
                restrict_public_buckets: on(3),
            };
            let record = seal(Place::Block(&name), &block_header(Some(block), &change()).unwrap(), b"");
            assert_eq!(read_block(&name, &record), Ok(Some(block)));
            assert!(read_block(&bucket("videos"), &record).is_err(), "another bucket");
            assert!(read_head(&name, &record).is_err(), "another table");
        }
        let record = seal(Place::Block(&name), &block_header(None, &change()).unwrap(), b"");
        assert_eq!(read_block(&name, &record), Ok(None));

        let known = block_header(Some(PublicAccessBlock::default()), &change()).unwrap();
        let known = String::from_utf8(known).unwrap();
        let later = known.replace("\"block_public_acls\"", "\"block_everything\":true,\"block_public_acls\"");
        let fewer = known.replace("\"block_public_acls\":false,", "");
        for header in [later, fewer] {
            assert_ne!(header, known);
            let record = seal(Place::Block(&name), header.as_bytes(), b"");
            assert!(read_block(&name, &record).is_err(), "{header}");
        }
    }

    #[test]
    fn a_later_version_is_named() {
        let mut record = sealed(b"{}");
        record[0] = 2;
        let damage = read_revision(&bucket("photos"), 7, &record).unwrap_err();
        assert_eq!(damage.to_string(), "it is of version 2, and only version 1 is known");
    }
}
