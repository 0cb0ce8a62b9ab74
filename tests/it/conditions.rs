//! Conditions on `?policy` calls: what the Layer knows of a request, a policy can ask about.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use portcullis::PeerAddress;

use super::support::stack::Stack;
use super::support::{Caller, presigned, request, signed, signed_with};

/// A policy that lets bob read it on a condition.
fn bob_may_read(condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:user/bob"}},
            "Action":"s3:GetBucketPolicy","Resource":"arn:aws:s3:::photos","Condition":{condition}}}}}"#
    )
}

async fn stack_with(condition: &str) -> Stack {
    let stack = Stack::storing();
    let answer = stack.put(Caller("root"), &bob_may_read(condition)).await;
    assert_eq!(answer.verdict(), "204", "{condition}: {answer:?}");
    stack
}

#[tokio::test]
async fn a_condition_is_held_against_the_request() {
    const YES: &str = "200";
    const NO: &str = "403 AccessDenied";
    for (condition, verdict) in [
        (r#"{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#, YES),
        (r#"{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}"#, NO),
        (r#"{"NotIpAddress":{"aws:SourceIp":"192.0.2.7"}}"#, NO),
        (r#"{"StringLike":{"aws:UserAgent":"test/*"}}"#, YES),
        (r#"{"StringLike":{"aws:UserAgent":"curl/*"}}"#, NO),
        (r#"{"StringEquals":{"aws:referer":"https://example.com/a"}}"#, YES),
        (r#"{"Null":{"aws:referer":"true"}}"#, NO),
        (r#"{"Bool":{"aws:SecureTransport":"false"}}"#, YES),
        (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, NO),
        (r#"{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}"#, YES),
        (r#"{"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}"#, NO),
        (r#"{"NumericGreaterThan":{"aws:EpochTime":1767225600}}"#, YES),
        (
            r#"{"StringEquals":{"aws:username":"bob","aws:PrincipalType":"User","aws:PrincipalAccount":"111122223333"}}"#,
            YES,
        ),
        (r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/b?b"}}"#, YES),
        (r#"{"StringEquals":{"aws:userid":"AIDAbob"}}"#, YES),
        (r#"{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}"#, YES),
        (
            r#"{"StringEquals":{"s3:ResourceAccount":"111122223333","aws:ResourceAccount":"${aws:PrincipalAccount}"}}"#,
            YES,
        ),
        (r#"{"StringEquals":{"s3:authType":"REST-HEADER","s3:signatureversion":"AWS4-HMAC-SHA256"}}"#, YES),
        (r#"{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}"#, NO),
        (r#"{"NumericLessThan":{"s3:signatureAge":60000}}"#, YES),
        (
            r#"{"StringEquals":{"s3:x-amz-content-sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#,
            YES,
        ),
        (r#"{"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}"#, NO),
        (r#"{"StringEquals":{"aws:username":"alice"}}"#, NO),
        (r#"{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}"#, NO),
        (r#"{"StringEquals":{"s3:ResourceAccount":"444455556666"}}"#, NO),
        (r#"{"StringEquals":{"aws:ResourceAccount":"444455556666"}}"#, NO),
        (r#"{"NumericLessThan":{"aws:EpochTime":1767225600}}"#, NO),
        (r#"{"NumericGreaterThan":{"s3:signatureAge":60000}}"#, NO),
        (r#"{"Bool":{"aws:PrincipalIsAWSService":"true"}}"#, NO),
        (r#"{"Bool":{"aws:ViaAWSService":"true"}}"#, NO),
        (r#"{"Bool":{"aws:PrincipalIsAWSService":"false","aws:ViaAWSService":"false"}}"#, YES),
        // Of these a request knows nothing here.
        (r#"{"Null":{"aws:SourceVpce":"true","aws:MultiFactorAuthPresent":"true","s3:TlsVersion":"true"}}"#, YES),
    ] {
        let headers = [("user-agent", "test/1.0"), ("referer", "https://example.com/a")];
        let mut get = signed(Caller("bob"), request("GET", "/photos?policy", &headers, "")).await;
        get.extensions_mut().insert(PeerAddress(IpAddr::from([192, 0, 2, 7])));
        assert_eq!(stack_with(condition).await.send(get).await.verdict(), verdict, "{condition}");
    }
}

#[tokio::test]
async fn headers_that_are_longer_than_amazons_are_held_against_no_pattern() {
    for (length, verdict) in [(4_000, "200"), (9_000, "400 RequestHeaderSectionTooLarge")] {
        let user_agent = "a".repeat(length);
        let get = request("GET", "/photos?policy", &[("user-agent", &user_agent)], "");
        let answer =
            stack_with(r#"{"StringLike":{"aws:UserAgent":"a*"}}"#).await.send(signed(Caller("bob"), get).await).await;
        assert_eq!(answer.verdict(), verdict, "{length} bytes");
    }
}

#[tokio::test]
async fn a_presigned_request_says_that_it_is_one() {
    let condition =
        r#"{"StringEquals":{"s3:authType":"REST-QUERY-STRING","s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}"#;
    let get = presigned(Caller("bob"), "GET", "/photos?policy", &[], "");
    assert_eq!(stack_with(condition).await.send(get).await.verdict(), "200");
}

#[tokio::test]
async fn the_age_of_a_signature_counts() {
    let condition = r#"{"NumericLessThan":{"s3:signatureAge":"300000"}}"#;
    for (minutes, verdict) in [(4, "200"), (6, "403 AccessDenied")] {
        let stack = stack_with(condition).await;
        let bob = Caller("bob");
        let at = SystemTime::now() - Duration::from_secs(minutes * 60);
        let get = signed_with(&bob.key(), &bob.secret(), request("GET", "/photos?policy", &[], ""), at).await;
        assert_eq!(stack.send(get).await.verdict(), verdict, "signed {minutes} minutes ago");
    }
}

#[tokio::test]
async fn the_lock_out_guard_knows_the_circumstances() {
    let deny_elsewhere = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:PutBucketPolicy",
        "Resource":"arn:aws:s3:::photos","Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}}"#;
    for (peer, verdict) in [([192, 0, 2, 7], "204"), ([198, 51, 100, 7], "403 AccessDenied")] {
        let mut put = signed(Caller("alice"), request("PUT", "/photos?policy", &[], deny_elsewhere)).await;
        put.extensions_mut().insert(PeerAddress(IpAddr::from(peer)));
        let stack = Stack::storing();
        assert_eq!(stack.send(put).await.verdict(), verdict, "alice puts it from {peer:?}");
        // Once it is there, it counts for everybody but the owner's root.
        assert_eq!(stack.put(Caller("root"), deny_elsewhere).await.verdict(), "204");
        assert_eq!(
            stack.put(Caller("alice"), deny_elsewhere).await.verdict(),
            "403 AccessDenied",
            "from nowhere known"
        );
    }
}
