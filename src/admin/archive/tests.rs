use std::time::{Duration, SystemTime};

use super::*;
use crate::s3::public_access_block::PublicAccessBlock;

const DOCUMENT: &str = "{\"Version\": \"2012-10-17\",\r\n\t\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::photos/ü\\u00e9\\\"*\"}]}\n\n";

fn change(n: u64) -> Change {
    Change {
        at: SystemTime::UNIX_EPOCH + Duration::new(1_764_000_000 + n, 123_456_789),
        by: format!("arn:aws:iam::111122223333:user/ünï-{n}"),
        request_id: format!("4442587FB7D0{n:04}"),
    }
}

fn kept() -> Kept {
    Kept {
        revisions: vec![
            Revision { revision: 9, document: Some(DOCUMENT.into()), change: change(3) },
            Revision { revision: 5, document: None, change: change(2) },
            Revision { revision: 2, document: Some(Bytes::from_static(b"\xff\x00 no text")), change: change(1) },
        ],
        public_access_block: Some(PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() }),
        owner: Some(AccountId::parse("111122223333").unwrap()),
    }
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

/// An archive of two buckets, line by line without ends.
fn archive() -> Vec<Vec<u8>> {
    let (mut writer, header) = ArchiveWriter::new(SystemTime::UNIX_EPOCH).unwrap();
    let photos = writer.record(&BucketRecord::new(&bucket("photos"), kept())).unwrap();
    let videos = writer.record(&BucketRecord::unreadable(&bucket("videos"), "bits fell over".to_owned())).unwrap();
    let lines = [header, photos, videos, writer.end().unwrap()];
    lines.map(|line| line.strip_suffix(b"\n").unwrap().to_vec()).to_vec()
}

fn read(lines: &[Vec<u8>]) -> Result<Vec<BucketRecord>, ArchiveError> {
    let mut reader = ArchiveReader::default();
    let mut records = Vec::new();
    for line in lines {
        records.extend(reader.line(line)?);
    }
    assert_eq!(reader.end()?, records.len() as u64);
    Ok(records)
}

#[test]
fn all_that_is_kept_comes_back_as_it_was() {
    let records = read(&archive()).unwrap();
    let (name, import) = records[0].import().unwrap().unwrap();
    assert_eq!(name, bucket("photos"));
    let Kept { revisions, public_access_block, owner } = kept();
    let past = revisions.into_iter().map(|Revision { document, change, .. }| PastRevision { document, change });
    assert_eq!(import.contents.revisions, past.collect::<Vec<_>>());
    assert!(import.contents.policy.unwrap().is_public());
    assert_eq!((import.public_access_block, import.owner), (public_access_block, owner));
    assert!(records[1].import().unwrap().is_none());
    assert_eq!(read(&archive()[..1].iter().cloned().chain(end_of_nothing()).collect::<Vec<_>>()), Ok(Vec::new()));
}

/// The last line of an archive without buckets.
fn end_of_nothing() -> Option<Vec<u8>> {
    let (writer, _) = ArchiveWriter::new(SystemTime::UNIX_EPOCH).unwrap();
    Some(writer.end().unwrap().strip_suffix(b"\n").unwrap().to_vec())
}

/// The format is others' as well: it does not change unnoticed.
#[test]
fn the_format_is_as_documented() {
    let text: Vec<_> = archive().into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    let version = env!("CARGO_PKG_VERSION");
    let created = "1970-01-01T00:00:00Z";
    assert_eq!(text[0], format!(r#"{{"portcullis_archive":1,"created":"{created}","version":"{version}"}}"#));
    let photos: serde_json::Value = serde_json::from_str(&text[1]).unwrap();
    assert_eq!(photos["owner"], "111122223333");
    assert_eq!(photos["public_access_block"]["BlockPublicAcls"], true);
    assert_eq!(photos["revisions"][0]["document"], DOCUMENT);
    assert_eq!(photos["revisions"][0]["time"], "2025-11-24T16:00:03.123456789Z");
    assert_eq!(photos["revisions"][2]["document_base64"], "/wAgbm8gdGV4dA==");
    assert!(photos["revisions"][1].get("document").is_none());
    assert_eq!(text[2], r#"{"bucket":"videos","unreadable":"bits fell over"}"#);
    assert!(text[3].starts_with(r#"{"buckets":2,"sha256":""#), "{}", text[3]);
}

#[test]
fn an_archive_that_is_not_whole_is_found_out() {
    let whole = archive();
    for cut in 0..whole.len() {
        let error = if cut == 0 { ArchiveError::NoArchive } else { ArchiveError::CutOff };
        assert_eq!(read(&whole[..cut]), Err(error), "cut off after {cut} lines");
    }
    let mut altered = whole.clone();
    let at = altered[1].windows(4).position(|window| window == b"3333").unwrap();
    altered[1][at] = b'4';
    assert_eq!(read(&altered), Err(ArchiveError::Altered));
    let mut shorter = whole.clone();
    shorter.remove(2);
    assert_eq!(read(&shorter), Err(ArchiveError::Altered));
    let mut longer = whole.clone();
    longer.push(whole[2].clone());
    assert_eq!(read(&longer), Err(ArchiveError::AfterEnd));
    let mut turned = whole.clone();
    turned.swap(1, 2);
    assert_eq!(read(&turned), Err(ArchiveError::Order("photos".to_owned())));
    let mut twice = whole.clone();
    twice.insert(2, whole[1].clone());
    assert_eq!(read(&twice), Err(ArchiveError::Order("photos".to_owned())));
    let later = vec![br#"{"portcullis_archive":2,"created":"","version":""}"#.to_vec()];
    assert_eq!(read(&later), Err(ArchiveError::Version(2)));
    assert_eq!(read(&[b"{}".to_vec()]), Err(ArchiveError::NoArchive));
    let unknown = vec![whole[0].clone(), br#"{"bucket":"photos","acl":"public"}"#.to_vec()];
    assert!(matches!(read(&unknown), Err(ArchiveError::Line(reason)) if reason.contains("acl")));
}

#[test]
fn a_record_is_held_to_its_rules() {
    type Alter = fn(&mut BucketRecord);
    let rows: [(Alter, &str); 11] = [
        (|r| r.bucket = "a/b".to_owned(), "`a/b` is not a bucket name"),
        (|r| r.owner = Some("1".to_owned()), "1"),
        (|r| r.public_access_block = Some(PublicAccessBlockDocument::default()), "says nothing"),
        (|r| r.revisions.swap(0, 1), "not in order"),
        (|r| r.revisions[1].revision = 9, "not in order"),
        (|r| r.revisions[2].time = "yesterday".to_owned(), "revision 2: `time`"),
        (|r| r.revisions[2].document = Some(String::new()), "revision 2: its document is there twice"),
        (|r| r.revisions[2].document_base64 = Some("?".to_owned()), "revision 2: `document_base64`"),
        (|r| r.revisions[1].document = Some(" ".repeat(MAX_BODY + 1)), "revision 5: its document has more than 65536"),
        (|r| r.revisions[1].by = "x".repeat(5000), "revision 5: `by`"),
        (|r| r.revisions[0].document = Some("{}".to_owned()), "its policy: Missing required field Statement"),
    ];
    for (alter, expected) in rows {
        let mut record = BucketRecord::new(&bucket("photos"), kept());
        alter(&mut record);
        let error = record.import().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.invalid_policy().is_some(), expected.contains("its policy"), "{error}");
    }
    let mut many = BucketRecord::new(&bucket("photos"), kept());
    let revision = |n: u64| RevisionRecord { revision: 100 - n, ..many.revisions[1].clone() };
    many.revisions = (0..=REVISIONS_KEPT as u64).map(revision).collect();
    assert!(many.import().unwrap_err().to_string().contains("21 revisions, more than 20"));
    // Of what is no longer in force nothing is asked but that it can be kept.
    let mut old = BucketRecord::new(&bucket("photos"), kept());
    old.revisions[2].document_base64 = None;
    old.revisions[2].document = Some("{}".to_owned());
    assert!(old.import().unwrap().is_some());
}
