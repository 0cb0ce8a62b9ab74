//! The dry run, and what auditors are told.

use http_body_util::Full;
use portcullis::{DenialCause, DenialReason, Denied, Enforcement, PassThrough, PolicyDenial};

use super::super::support::stack::Stack;
use super::super::support::{Caller, request, signed, signed_with};
use super::{DENIED, preserving};

fn policies(denied: &Denied) -> &PolicyDenial {
    let DenialCause::Policies(denial) = &denied.cause else { unreachable!("{denied:?}") };
    denial
}

#[tokio::test]
async fn a_dry_run_decides_tells_and_lets_pass() {
    let stack = Stack::deciding(Enforcement::Audit, PassThrough::AsSent);
    for (caller, method, target, told) in [
        ("root", "GET", "/photos/a", None),
        ("bob", "GET", "/photos/a", Some("s3:GetObject")),
        ("anonymous", "DELETE", "/photos/a?versionId=1", Some("s3:DeleteObjectVersion")),
        ("bob", "PUT", "/photos/a?acl&cors", Some("Conflict")),
        ("bob", "GET", "/photos/a/../b", Some("InvalidURI")),
        ("bob", "GET", "/nowhere/a", Some("NoSuchBucket")),
    ] {
        let answer = stack.ask(caller, method, target, &[]).await;
        assert_eq!(answer.verdict(), "200", "{caller} {method} {target}");
        let denied = stack.denials.lock().unwrap().pop();
        assert!(stack.denials.lock().unwrap().is_empty(), "{target}: told once");
        match (denied.as_ref().map(|denied| &denied.cause), told) {
            (None, None) => {}
            (Some(DenialCause::Policies(denial)), Some(action)) => assert_eq!(denial.action, action),
            (Some(DenialCause::Refused { code, .. }), Some(expected)) => {
                assert_eq!(*code, if expected == "Conflict" { "InvalidArgument" } else { expected });
            }
            (found, expected) => panic!("{target}: {found:?} for {expected:?}"),
        }
        assert!(denied.is_none_or(|denied| !denied.enforced));
    }
    assert_eq!(stack.seen(), 6);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_of_what_passes() {
    let stack = Stack::deciding(Enforcement::Audit, PassThrough::AsSent);
    let body = "<Delete><Object><Key>a</Key></Object></Delete>";
    let sent = request("POST", "/photos?delete", &[("x-forwarded-host", "x")], body);
    assert_eq!(stack.send(signed(Caller("bob"), sent).await).await.verdict(), "200");
    let (seen, passed) = stack.seen.lock().unwrap().pop().unwrap();
    assert_eq!((&passed[..], seen.headers()["x-forwarded-host"].as_bytes()), (body.as_bytes(), &b"x"[..]));
    let long = " ".repeat(2 * 1024 * 1024 + 5);
    let sent = request("POST", "/photos?delete", &[], long.clone());
    assert_eq!(stack.send(signed(Caller("root"), sent).await).await.verdict(), "200");
    assert_eq!(stack.seen.lock().unwrap().pop().unwrap().1, long);
    let told: Vec<Denied> = stack.denials.lock().unwrap().drain(..).collect();
    assert_eq!(told.len(), 2);
    assert!(matches!(told[1].cause, DenialCause::Refused { code: "MaxMessageLengthExceeded", .. }), "{told:?}");
    let forged = signed_with("ROOT", "wrong", request("GET", "/photos/a", &[], ""), std::time::SystemTime::now()).await;
    assert_eq!(stack.send(forged).await.verdict(), "200", "the store knows the keys, too");
    let told = stack.denials.lock().unwrap().pop().unwrap();
    assert!(matches!(told.cause, DenialCause::Refused { code: "SignatureDoesNotMatch", status: 403 }), "{told:?}");
}

#[tokio::test]
async fn policy_calls_are_no_part_of_a_dry_run() {
    let stack = Stack::deciding(Enforcement::Audit, PassThrough::AsSent);
    assert_eq!(stack.put(Caller("bob"), "{}").await.verdict(), DENIED);
    assert!(stack.denials.lock().unwrap().pop().unwrap().enforced);
}

#[tokio::test]
async fn a_dry_run_signs_nothing_anew_that_was_not_signed() {
    let stack = Stack::deciding(Enforcement::Audit, PassThrough::Verified);
    assert_eq!(stack.verdict("anonymous", "GET", "/photos/a", &[]).await, DENIED);
    assert_eq!(stack.verdict("bob", "GET", "/photos/a", &[]).await, "200");
    assert_eq!(stack.denials.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_denial_tells_which_statement_denied() {
    let stack = preserving()
        .with_policy(
            r#"{"Sid":"Readers","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"},
               {"Sid":"NotTheseOnes","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/secret/*"}"#,
        )
        .await;
    let answer = stack.ask("bob", "GET", "/photos/secret/a", &[]).await;
    assert_eq!(answer.element("Message").unwrap(), "Access Denied", "the client learns no more than that");
    let denied = stack.denials.lock().unwrap().pop().unwrap();
    assert!(denied.enforced);
    assert_eq!(denied.by.as_deref(), Some("arn:aws:iam::111122223333:user/bob"));
    assert_eq!(denied.request_id, answer.headers["x-amz-request-id"].to_str().unwrap());
    assert_eq!(denied.operation.unwrap().name(), "GetObject");
    let denial = policies(&denied);
    assert_eq!((denial.action, denial.resource.as_str()), ("s3:GetObject", "arn:aws:s3:::photos/secret/a"));
    assert_eq!(denial.reason, DenialReason::ExplicitDeny);
    assert_eq!(denial.decided_by.len(), 1);
    let by = &denial.decided_by[0];
    assert_eq!((by.policy.to_string().as_str(), by.statement, by.sid.as_deref()), ("bucket", 1, Some("NotTheseOnes")));
}

#[tokio::test]
async fn a_denial_tells_what_each_statement_missed() {
    let stack = preserving()
        .with_policy(
            r#"{"Sid":"Office","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*",
                "Condition":{"StringEquals":{"aws:referer":["https://office.example"]}}},
               {"Sid":"Writers","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}"#,
        )
        .await;
    stack.ask("alice", "GET", "/photos/a", &[("referer", "https://home.example")]).await;
    let denied = stack.denials.lock().unwrap().pop().unwrap();
    let denial = policies(&denied);
    assert_eq!(denial.reason, DenialReason::ImplicitDeny);
    let missed: Vec<_> = denial.missed.iter().map(|one| (one.policy.to_string(), one.missed)).collect();
    let (identity, bucket) = ("identity:0".to_owned(), "bucket".to_owned());
    assert_eq!(missed, [(identity, Some("Action")), (bucket.clone(), Some("Condition")), (bucket, Some("Principal"))]);
    let test = denial.missed[1].test.as_ref().unwrap();
    assert_eq!((test.operator.as_str(), test.key.as_str()), ("StringEquals", "aws:referer"));
    assert_eq!((&test.wanted[0], &test.found[0]), (&"https://office.example".into(), &"https://home.example".into()));
}

#[tokio::test]
async fn a_denial_is_of_a_bounded_size() {
    let values = (0..300).map(|n| format!("\"{n}{}\"", "x".repeat(40))).collect::<Vec<_>>().join(",");
    let statement = format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*","Condition":{{"StringEquals":{{"aws:referer":[{values}]}}}}}}"#
    );
    let stack = preserving().with_policy(&statement).await;
    stack.ask("anonymous", "GET", "/photos/a", &[("referer", &"y".repeat(5000))]).await;
    let denied = stack.denials.lock().unwrap().pop().unwrap();
    assert!(format!("{denied:?}").len() < 4096, "{}", format!("{denied:?}").len());
}

#[tokio::test]
async fn policy_calls_are_told_of_too() {
    let stack = preserving();
    stack.put(Caller("bob"), "{}").await;
    let denied = stack.denials.lock().unwrap().pop().unwrap();
    assert_eq!(policies(&denied).action, "s3:PutBucketPolicy");
    stack.put(Caller("stranger"), "{}").await;
    let denied = stack.denials.lock().unwrap().pop().unwrap();
    assert_eq!(policies(&denied).reason, DenialReason::OtherAccount);
    let body = Full::from("{}");
    stack.send(request("PUT", "/photos?policy", &[], "").map(|_| body)).await;
    let denied = stack.denials.lock().unwrap().pop().unwrap();
    assert_eq!(policies(&denied).reason, DenialReason::Anonymous);
}
