//! `?publicAccessBlock` and `?policyStatus`, and what the four switches do.

use http_body_util::Full;
use portcullis::{ChangeKind, DenialCause, DenialReason};

use super::super::support::stack::Stack;
use super::super::support::{Answer, Caller, request, signed};
use super::{DENIED, by, preserving, resigning};

const PUBLIC: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#;

impl Stack {
    async fn block(&self, caller: &'static str, switches: &[&str]) -> Answer {
        let switches: String = switches.iter().map(|switch| format!("<{switch}>true</{switch}>")).collect();
        let body = format!("<PublicAccessBlockConfiguration>{switches}</PublicAccessBlockConfiguration>");
        self.send(by(caller, request("PUT", "/photos?publicAccessBlock", &[], body)).await).await
    }
}

#[tokio::test]
async fn it_is_put_shown_and_taken_away() {
    for stack in [preserving(), resigning(), Stack::storing()] {
        let shown = || stack.ask("root", "GET", "/photos?publicAccessBlock", &[]);
        assert_eq!(shown().await.verdict(), "404 NoSuchPublicAccessBlockConfiguration");
        assert_eq!(stack.block("bob", &["BlockPublicAcls"]).await.verdict(), DENIED);
        assert_eq!(stack.block("anonymous", &["BlockPublicAcls"]).await.verdict(), DENIED);
        assert_eq!(stack.block("root", &["BlockPublicAcls", "RestrictPublicBuckets"]).await.verdict(), "200");
        let answer = shown().await;
        let found = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
            .map(|switch| answer.element(switch).unwrap());
        assert_eq!(found, ["true", "false", "false", "true"]);
        assert_eq!(stack.ask("bob", "DELETE", "/photos?publicAccessBlock", &[]).await.verdict(), DENIED);
        assert_eq!(stack.ask("root", "DELETE", "/photos?publicAccessBlock", &[]).await.verdict(), "204");
        assert_eq!(stack.ask("root", "DELETE", "/photos?publicAccessBlock", &[]).await.verdict(), "204");
        assert_eq!(shown().await.verdict(), "404 NoSuchPublicAccessBlockConfiguration");
        let broken = request("PUT", "/photos?publicAccessBlock", &[], "<x/>");
        assert_eq!(stack.send(signed(Caller("root"), broken).await).await.verdict(), "400 MalformedXML");
        assert_eq!(stack.seen(), 0, "the store is not asked");
        let kinds: Vec<ChangeKind> = stack.changes.lock().unwrap().iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::PutPublicAccessBlock, ChangeKind::DeletePublicAccessBlock]);
    }
}

#[tokio::test]
async fn the_status_says_whether_the_policy_is_public() {
    let stack = preserving();
    let status = || stack.ask("root", "GET", "/photos?policyStatus", &[]);
    assert_eq!(status().await.verdict(), "404 NoSuchBucketPolicy");
    let stack = preserving().with_policy(PUBLIC).await;
    let answer = stack.ask("root", "GET", "/photos?policyStatus", &[]).await;
    assert_eq!((answer.status, answer.element("IsPublic").as_deref()), (200, Some("true")));
    assert_eq!(stack.ask("bob", "GET", "/photos?policyStatus", &[]).await.verdict(), DENIED);
    let private = PUBLIC.replace("\"*\"", "{\"AWS\":\"444455556666\"}");
    let stack = preserving().with_policy(&private).await;
    let answer = stack.ask("root", "GET", "/photos?policyStatus", &[]).await;
    assert_eq!(answer.element("IsPublic").as_deref(), Some("false"));
}

#[tokio::test]
async fn block_public_policy_refuses_one() {
    let stack = preserving();
    stack.block("root", &["BlockPublicPolicy"]).await;
    let policy = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
    let put = stack.put(Caller("root"), &policy(PUBLIC)).await;
    assert_eq!(put.verdict(), DENIED);
    assert!(put.element("Message").unwrap().contains("BlockPublicPolicy"), "{put:?}");
    assert_eq!(stack.get(Caller("root")).await.verdict(), "404 NoSuchBucketPolicy");
    let private = policy(&PUBLIC.replace("\"*\"", "{\"AWS\":\"444455556666\"}"));
    assert_eq!(stack.put(Caller("root"), &private).await.verdict(), "204");
}

#[tokio::test]
async fn restrict_public_buckets_keeps_strangers_out_of_a_public_bucket() {
    let theirs = PUBLIC.replace("\"*\"", "{\"AWS\":\"444455556666\"}").replace("GetObject", "PutObject");
    let stack = resigning().with_policy(&format!("{PUBLIC},{theirs}")).await;
    assert_eq!(stack.verdict("anonymous", "GET", "/photos/a", &[]).await, "200");
    assert_eq!(stack.verdict("stranger", "PUT", "/photos/a", &[]).await, "200");
    stack.block("root", &["RestrictPublicBuckets"]).await;
    for (caller, method, verdict) in [
        ("anonymous", "GET", DENIED),
        ("stranger", "GET", DENIED),
        // The policy is public as a whole.
        ("stranger", "PUT", DENIED),
        ("bob", "GET", "200"),
        ("root", "GET", "200"),
    ] {
        assert_eq!(stack.verdict(caller, method, "/photos/a", &[]).await, verdict, "{caller} {method}");
    }
    let told = stack.denials.lock().unwrap().pop().unwrap();
    let DenialCause::Policies(denial) = told.cause else { panic!("{told:?}") };
    assert_eq!(denial.reason, DenialReason::RestrictPublicBuckets);
}

#[tokio::test]
async fn restrict_public_buckets_leaves_a_policy_that_is_not_public_alone() {
    let theirs = PUBLIC.replace("\"*\"", "{\"AWS\":\"444455556666\"}");
    let stack = resigning().with_policy(&theirs).await;
    stack.block("root", &["RestrictPublicBuckets"]).await;
    assert_eq!(stack.verdict("stranger", "GET", "/photos/a", &[]).await, "200");
}

#[tokio::test]
async fn block_public_acls_refuses_them() {
    let stack = preserving();
    let everybody = "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"";
    let body = "<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>";
    for blocked in [false, true] {
        if blocked {
            stack.block("root", &["BlockPublicAcls"]).await;
        }
        for (method, target, headers, is_public) in [
            ("PUT", "/photos/a", &[("x-amz-acl", "private")][..], false),
            ("PUT", "/photos/a", &[("x-amz-acl", "public-read")], true),
            ("PUT", "/photos/a", &[("x-amz-acl", "authenticated-read")], true),
            ("PUT", "/photos/a", &[("x-amz-grant-read", everybody)], true),
            ("PUT", "/photos/a", &[("x-amz-copy-source", "photos/b"), ("x-amz-acl", "public-read")], true),
            ("POST", "/photos/a?uploads", &[("x-amz-acl", "public-read-write")], true),
            ("PUT", "/photos?acl", &[("x-amz-acl", "public-read")], true),
            ("PUT", "/photos/a?acl", &[("x-amz-acl", "public-read")], true),
        ] {
            let verdict = if blocked && is_public { DENIED } else { "200" };
            assert_eq!(stack.verdict("root", method, target, headers).await, verdict, "{method} {target} {headers:?}");
        }
        let verdict = if blocked { DENIED } else { "200" };
        for target in ["/photos?acl", "/photos/a?acl"] {
            let put = signed(Caller("root"), request("PUT", target, &[], body)).await;
            assert_eq!(stack.send(put.map(|body: Full<_>| body)).await.verdict(), verdict, "{target}");
        }
    }
}

#[tokio::test]
async fn a_bucket_made_once_more_is_held_against_what_is_in_force_for_it() {
    let stack = resigning();
    let public = &[("x-amz-acl", "public-read")][..];
    assert_eq!(stack.verdict("root", "PUT", "/photos", public).await, "200");
    stack.block("root", &["BlockPublicAcls"]).await;
    assert_eq!(stack.verdict("root", "PUT", "/photos", public).await, DENIED);
    assert_eq!(stack.verdict("root", "PUT", "/fresh", public).await, "200");
    let shut = r#"{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/dan"},"Action":"s3:PutBucketAcl","Resource":"arn:aws:s3:::photos"}"#;
    let stack = resigning().with_policy(shut).await;
    assert_eq!(stack.verdict("dan", "PUT", "/photos", &[("x-amz-acl", "log-delivery-write")]).await, DENIED);
    assert_eq!(stack.verdict("dan", "PUT", "/photos", &[]).await, "200");
}
