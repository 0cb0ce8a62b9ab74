//! Policies of forms: what is accepted is JSON but for what Amazon's page allows beside it, and no form keeps a policy
//! that does not name the bucket it was sent to.

#![no_main]

use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use portcullis::s3::address::BucketName;
use portcullis::s3::form::Form;
use portcullis::s3::post_policy::{PostPolicy, PostPolicyError};

const FORM: &[u8] = b"--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuser/a\r\n\
                      --x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";

fuzz_target!(|document: &str| {
    let Ok(policy) = PostPolicy::parse(&STANDARD.encode(document)) else { return };
    let is_json = serde_json::from_str::<serde_json::Value>(document).is_ok();
    let comma_at_end = |at: usize| document.split_at(at + 1).1.trim_start().starts_with([']', '}']);
    let has_comma_at_end = document.match_indices(',').any(|(at, _)| comma_at_end(at));
    let beside_json = document.contains("\\$") || document.contains("\\v") || has_comma_at_end;
    assert!(is_json || beside_json, "{document}");
    let form = Form::parse("multipart/form-data; boundary=x", FORM).expect("a form");
    let bucket = |name| BucketName::parse(name).expect("a bucket's name");
    let (photos, other) = (bucket("photos"), bucket("other-photos"));
    let checked = policy.check(&form, &photos, UNIX_EPOCH);
    if checked.is_ok() {
        assert!(document.contains("conditions"), "{document}");
        // Exact or by its beginning: only an empty beginning names both.
        let elsewhere = policy.check(&form, &other, UNIX_EPOCH);
        let by_beginning = document.to_ascii_lowercase().contains("starts-with") || document.contains("\\u");
        assert!(elsewhere.is_err() || by_beginning, "{document}");
    }
    let late = std::time::SystemTime::from(policy.expiration()) + std::time::Duration::from_secs(1);
    assert_eq!(policy.check(&form, &photos, late), Err(PostPolicyError::Expired));
});
