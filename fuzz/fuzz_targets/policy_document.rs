//! Bytes as a policy document: nothing panics; what parses prints in its normal form, and that form parses again, is its
//! own normal form, and compiles to the same policy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::policy::{Policy, PolicyDocument};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = PolicyDocument::parse(bytes) else {
        assert!(Policy::parse(bytes, "b").is_err() && Policy::parse_identity(bytes).is_err());
        return;
    };
    let form = document.normalized();
    let again = PolicyDocument::parse(form.as_bytes()).expect("a normal form parses");
    assert_eq!(again.normalized(), form);

    match Policy::parse(bytes, "b") {
        Ok(validated) => {
            let again = Policy::parse(form.as_bytes(), "b").expect("the normal form of a policy is one");
            assert_eq!(again.policy, validated.policy);
        }
        Err(refused) => assert!(refused.first().is_some()),
    }
    match Policy::parse_identity(bytes) {
        Ok(validated) => {
            let again = Policy::parse_identity(form.as_bytes()).expect("the normal form of a policy is one");
            assert_eq!(again.policy, validated.policy);
        }
        Err(refused) => assert!(refused.first().is_some()),
    }
});
