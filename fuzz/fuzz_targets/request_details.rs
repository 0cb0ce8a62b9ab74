//! What requests say of their tags, locks and keys: what is read from a body, a form or headers is what a plain writing of
//! it says, headers do not count where a body does, and an operation without details has none.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::policy::ConditionKey;
use portcullis::s3::context::{DetailsError, MAX_TAGS, RequestDetails, needs_details};
use portcullis::s3::operation::Operation;

const OPERATIONS: [Operation; 10] = [
    Operation::PutObject,
    Operation::CopyObject,
    Operation::CreateMultipartUpload,
    Operation::PutObjectTagging,
    Operation::PutObjectRetention,
    Operation::PutObjectLegalHold,
    Operation::PutBucketInventoryConfiguration,
    Operation::CreateBucket,
    Operation::UpdateObjectEncryption,
    Operation::GetObject,
];

const HEADERS: [&str; 8] = [
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-event-hold",
    "x-amz-object-lock-event-hold-duration-days",
    "x-amz-object-lock-event-hold-duration-years",
];

fuzz_target!(|input: (u8, Vec<(u8, &[u8])>, &[u8])| {
    let (operation, sent, body) = input;
    let operation = OPERATIONS[usize::from(operation) % OPERATIONS.len()];
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(HEADERS[usize::from(name) % HEADERS.len()]), value);
        }
    }
    let read = RequestDetails::read(operation, &headers, None, Some(body));
    if needs_details(operation) {
        assert_eq!(read, RequestDetails::read(operation, &HeaderMap::new(), None, Some(body)), "{operation}");
        let unread = RequestDetails::read(operation, &headers, None, None);
        assert_eq!(unread, Err(DetailsError::BodyNotRead), "{operation}");
    } else {
        assert_eq!(read, RequestDetails::read(operation, &headers, None, None), "{operation}");
    }
    let details = match read {
        Ok(details) => details,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for tags in [details.object_tags(), details.bucket_tags()] {
        assert!(tags.len() <= MAX_TAGS);
        assert!(
            tags.iter().enumerate().all(|(at, (tag, _))| !tag.is_empty() && tags[..at].iter().all(|(t, _)| t != tag))
        );
    }

    // White space around them is kept by a header, and refused in XML.
    let trimmed = details.object_tags().iter().all(|(tag, value)| tag.trim() == tag && value.trim() == value);
    let anew = match operation {
        Operation::PutObjectTagging => xml(&["Tagging", "TagSet"], details.object_tags()),
        Operation::CreateBucket if !details.bucket_tags().is_empty() => {
            xml(&["CreateBucketConfiguration", "Tags"], details.bucket_tags())
        }
        Operation::PutObject | Operation::CopyObject if trimmed && xml_can_hold(details.object_tags()) => {
            xml(&["Tagging", "TagSet"], details.object_tags())
        }
        _ => String::new(),
    };
    if !anew.is_empty() && anew.len() <= portcullis::s3::context::MAX_DETAILS_BODY {
        let again = match operation {
            Operation::CreateBucket => Operation::CreateBucket,
            _ => Operation::PutObjectTagging,
        };
        let again = RequestDetails::read(again, &HeaderMap::new(), None, Some(anew.as_bytes())).expect("a plain body");
        assert_eq!(again.object_tags(), details.object_tags(), "{anew}");
        assert_eq!(again.bucket_tags(), details.bucket_tags(), "{anew}");
    }

    let said = |key: &str| details.values(ConditionKey::named(key)).map(str::to_owned).collect::<Vec<_>>();
    let days: Vec<Option<u32>> =
        said("s3:object-lock-event-hold-duration-days").iter().map(|days| days.parse().ok()).collect();
    assert!(days.len() <= 1 && days.iter().all(Option::is_some), "{days:?}");
    assert!(said("s3:object-lock-mode").iter().all(|mode| ["GOVERNANCE", "COMPLIANCE"].contains(&mode.as_str())));
    for key in ["s3:object-lock-legal-hold", "s3:object-lock-event-hold"] {
        assert!(said(key).iter().all(|state| ["ON", "OFF"].contains(&state.as_str())));
    }
});

fn xml(around: &[&str], tags: &[(String, String)]) -> String {
    let escape = |text: &str| -> String { text.chars().map(|c| format!("&#{};", u32::from(c))).collect() };
    let tag = |(tag, value): &(String, String)| {
        format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", escape(tag), escape(value))
    };
    let tags: String = tags.iter().map(tag).collect();
    around.iter().rev().fold(tags, |inner, name| format!("<{name}>{inner}</{name}>"))
}

fn xml_can_hold(tags: &[(String, String)]) -> bool {
    let fits = |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\t' | '\n' | '\r');
    tags.iter().all(|(tag, value)| tag.chars().chain(value.chars()).all(fits))
}
