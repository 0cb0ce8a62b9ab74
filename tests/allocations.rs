//! Does deciding allocate? Asked of an allocator that counts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: what is not there fails it")]

use std::sync::Arc;

use portcullis::policy::{
    AccessRequest, Account, AccountId, Action, CanonicalUserId, Context, Decision, Policies, Policy, Principal, decide,
};

const OWNER: &str = "111122223333";

fn account(id: &str) -> Account {
    let canonical_id = CanonicalUserId::parse(&"ab".repeat(32)).unwrap();
    Account { id: AccountId::parse(id).unwrap(), canonical_id }
}

fn bucket_policy(statements: &str) -> Policy {
    let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    Policy::parse(document.as_bytes(), "b").unwrap_or_else(|refused| panic!("{document}: {refused}")).policy
}

fn context() -> Context<'static> {
    let mut context = Context::new();
    for (key, values) in [
        ("aws:SourceIp", &["192.0.2.7"][..]),
        ("aws:SecureTransport", &["true"]),
        ("aws:CurrentTime", &["2026-11-23T10:00:00Z"]),
        ("aws:UserAgent", &["aws-cli/2.31.0"]),
        ("aws:TagKeys", &["team", "cost"]),
        ("s3:max-keys", &["100"]),
        ("s3:prefix", &["home/alice/"]),
        ("s3:x-amz-content-sha256", &["QUJD"]),
    ] {
        context.set(key, values.iter().copied());
    }
    context
}

/// Decides once to see that the answer is right, and once more to count.
fn allocations(request: &AccessRequest<'_>, policies: &Policies<'_>, expected: Decision, what: &str) -> u64 {
    assert_eq!(decide(request, policies).decision(), expected, "{what}");
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(decide(std::hint::black_box(request), std::hint::black_box(policies)));
    });
    counted.count_total
}

#[test]
fn the_allocator_does_count() {
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(vec![1_u8; 10]);
    });
    assert_eq!(counted.count_total, 1);
}

#[test]
fn no_kind_of_condition_allocates() {
    let alice = Principal::user(account(OWNER), "/", "alice", "AIDAALICE", [("team".into(), "blue".into())].into());
    let (owner, context) = (account(OWNER).id, context());
    for condition in [
        r#"{}"#,
        r#"{"StringEquals":{"aws:UserAgent":["x","aws-cli/2.31.0"]}}"#,
        r#"{"StringEqualsIgnoreCase":{"aws:UserAgent":"AWS-CLI/2.31.0"}}"#,
        r#"{"StringNotEquals":{"aws:PrincipalTag/team":["red","green"]}}"#,
        r#"{"StringLike":{"s3:prefix":["x*","home/*/"]}}"#,
        r#"{"StringLike":{"s3:prefix":["home/${aws:username}/*","${aws:referer, 'none'}"]}}"#,
        r#"{"NumericLessThanEquals":{"s3:max-keys":[10,100]}}"#,
        r#"{"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00.5+02:00"}}"#,
        r#"{"Bool":{"aws:SecureTransport":true}}"#,
        r#"{"BinaryEquals":{"s3:x-amz-content-sha256":"QUJD"}}"#,
        r#"{"IpAddress":{"aws:SourceIp":["2001:db8::/32","192.0.2.0/24"]}}"#,
        r#"{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
        r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}}"#,
        r#"{"Null":{"aws:SourceVpce":"true"}}"#,
        r#"{"ForAllValues:StringLike":{"aws:TagKeys":["team","co?t"]}}"#,
        r#"{"ForAnyValue:StringNotEqualsIfExists":{"aws:TagKeys":["team"]}}"#,
    ] {
        let policy = bucket_policy(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","Condition":{condition}}}"#
        ));
        let policies = Policies { identity: &[], bucket: Some(&policy), owner: &owner };
        let request = AccessRequest {
            principal: &alice,
            action: Action::ListBucket,
            resource: "arn:aws:s3:::b",
            context: &context,
        };
        assert_eq!(allocations(&request, &policies, Decision::Allow, condition), 0, "{condition}");
    }
}

#[test]
fn no_kind_of_caller_or_statement_allocates() {
    let (owner, context) = (account(OWNER).id, context());
    let canonical = "ab".repeat(32);
    let policy = bucket_policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":["{OWNER}","444455556666","arn:aws:iam::{OWNER}:role/ci"],"CanonicalUser":"{canonical}"}},
             "NotAction":"s3:Put*","NotResource":"arn:aws:s3:::b/secret/*"}},
           {{"Effect":"Deny","NotPrincipal":{{"AWS":["{OWNER}","444455556666","arn:aws:iam::444455556666:user/carol",
             "arn:aws:iam::{OWNER}:role/ci","arn:aws:sts::{OWNER}:assumed-role/ci/s"]}},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"}},
           {{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/home/${{aws:username}}/*"}}"#
    ));
    let identity: Vec<Arc<Policy>> = [
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":["arn:aws:s3:::b*/*","*"]}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:userid}"}}"#,
    ]
    .iter()
    .map(|text| Arc::new(Policy::parse_identity(text.as_bytes()).unwrap().policy))
    .collect();
    let policies = Policies { identity: &identity, bucket: Some(&policy), owner: &owner };
    for (principal, resource, decision) in [
        (Principal::root(account(OWNER)), "arn:aws:s3:::b/x", Decision::Allow),
        (
            Principal::assumed_role(account(OWNER), "/", "ci", "s", "AROA:s", [].into()),
            "arn:aws:s3:::b/x",
            Decision::Allow,
        ),
        (
            Principal::assumed_role(account(OWNER), "/", "ci", "t", "AROA:t", [].into()),
            "arn:aws:s3:::b/x",
            Decision::ExplicitDeny,
        ),
        (
            Principal::user(account("444455556666"), "/", "carol", "AIDA", [].into()),
            "arn:aws:s3:::b/x",
            Decision::Allow,
        ),
        (
            Principal::user(account("444455556666"), "/", "carol", "AIDA", [].into()),
            "arn:aws:s3:::b/AIDA",
            Decision::ExplicitDeny,
        ),
        (
            Principal::user(account("444455556666"), "/", "carol", "AIDA", [].into()),
            "arn:aws:s3:::b/secret/x",
            Decision::ImplicitDeny,
        ),
        (Principal::Anonymous, "arn:aws:s3:::b/x", Decision::ExplicitDeny),
        (Principal::Anonymous, "arn:aws:s3:::c/x", Decision::ImplicitDeny),
    ] {
        let what = format!("{:?} on {resource}", principal.arn());
        let request = AccessRequest { principal: &principal, action: Action::GetObject, resource, context: &context };
        assert_eq!(allocations(&request, &policies, decision, &what), 0, "{what}");
    }
}

#[test]
fn a_context_allocates_for_the_values_it_has() {
    use http::HeaderMap;
    use http::header::{HeaderValue, USER_AGENT};
    use portcullis::policy::{ConditionKey, KeySet};
    use portcullis::s3::action_map::Head;
    use portcullis::s3::address::{Address, Domains};
    use portcullis::s3::context::{AccessFacts, RequestDetails, RequestFacts, Subject};
    use portcullis::s3::operation::{Operation, Query};

    let (address, _) = Address::parse(None, "/photos/k", &Domains::default()).unwrap();
    let query = Query::parse(Some("versionId=1")).unwrap();
    let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static("curl/8"))]);
    let owner = account(OWNER).id;
    for (keys, expected) in [
        (&[][..], 0),
        // No request has it, or not for this action, or there is none in this one.
        (&["aws:SourceVpce", "s3:prefix", "aws:referer", "aws:username"], 0),
        // The list of values; the texts stand in the request.
        (&["aws:UserAgent", "aws:SecureTransport", "s3:ResourceAccount"], 1),
        (&["s3:versionid"], 1),
        // The address as a text, and the list.
        (&["aws:SourceIp"], 2),
    ] {
        let keys: KeySet = keys.iter().map(|key| ConditionKey::named(key)).collect();
        let counted = allocation_counter::measure(|| {
            let details = RequestDetails::read(Operation::GetObject, &headers, None, None).unwrap();
            let request = RequestFacts {
                operation: Operation::GetObject,
                head: Head { address: &address, query: &query, headers: &headers },
                details: &details,
                source_ip: Some([192, 0, 2, 7].into()),
                secure_transport: true,
                tls_version: None,
                now: std::time::SystemTime::UNIX_EPOCH,
                region: "us-east-1",
                signature: None,
            };
            let access = AccessFacts {
                action: Action::GetObjectVersion,
                owner: Some(&owner),
                subject: Subject::Object,
                object_tags: &[],
                bucket_tags: &[],
            };
            std::hint::black_box(request.context(std::hint::black_box(&access), std::hint::black_box(keys)));
        });
        assert_eq!(counted.count_total, expected, "{keys:?}");
    }
}
