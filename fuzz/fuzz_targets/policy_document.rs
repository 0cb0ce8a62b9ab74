//! Bytes as a policy document: nothing panics; what parses prints in its normal form, and that form parses again, is its
//! own normal form, and compiles to the same policy; whatever is decided by it is explained alike.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portcullis::policy::{
    AccessRequest, Account, AccountId, Action, CanonicalUserId, Context, Policies, Policy, PolicyDocument, Principal,
    decide, explain,
};

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
            ask(&[], Some(&validated.policy));
        }
        Err(refused) => assert!(refused.first().is_some()),
    }
    match Policy::parse_identity(bytes) {
        Ok(validated) => {
            let again = Policy::parse_identity(form.as_bytes()).expect("the normal form of a policy is one");
            assert_eq!(again.policy, validated.policy);
            ask(&[Arc::new(validated.policy)], None);
        }
        Err(refused) => assert!(refused.first().is_some()),
    }
});

fn ask(identity: &[Arc<Policy>], bucket: Option<&Policy>) {
    let owner = AccountId::parse("111122223333").unwrap();
    let canonical_id = CanonicalUserId::parse(&"ab".repeat(32)).unwrap();
    let account = Account { id: owner.clone(), canonical_id };
    let mut context = Context::new();
    context.set("aws:SourceIp", ["192.0.2.7"]);
    context.set("aws:CurrentTime", ["2026-11-23T10:00:00Z"]);
    context.set("aws:TagKeys", ["team", "cost"]);
    for principal in [Principal::Anonymous, Principal::user(account, "/", "alice", "AIDA", Default::default())] {
        for (action, resource) in
            [(Action::GetObject, "arn:aws:s3:::b/home/alice/x"), (Action::PutBucketPolicy, "arn:aws:s3:::b")]
        {
            let request = AccessRequest { principal: &principal, action, resource, context: &context };
            let policies = Policies { identity, bucket, owner: &owner };
            assert_eq!(explain(&request, &policies).decided, decide(&request, &policies));
        }
    }
    let _ = bucket.map(Policy::is_public);
}
