//! The bucket that the policies are kept in: nobody gets at it, whoever asks, and whatever is enforced.

use portcullis::layer::Verdict;
use portcullis::{Enforcement, PassThrough};

use super::super::support::stack::Stack;
use super::super::support::{Answer, Caller, presigned, request, signed};
use super::{DENIED, by};

const MODES: [(Enforcement, PassThrough); 6] = [
    (Enforcement::Off, PassThrough::AsSent),
    (Enforcement::Off, PassThrough::Verified),
    (Enforcement::Audit, PassThrough::AsSent),
    (Enforcement::Audit, PassThrough::Verified),
    (Enforcement::Enforce, PassThrough::AsSent),
    (Enforcement::Enforce, PassThrough::Verified),
];

/// A policy that opens all that it can.
const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*",
    "Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}"#;

/// The root user of the account that owns it, and everybody else, with what they may do anything in `photos` otherwise.
async fn each_mode(mut check: impl AsyncFnMut(&Stack, &str)) {
    for (enforcement, pass_through) in MODES {
        let stack = Stack::reserving(enforcement, pass_through);
        let answer = stack.put(Caller("root"), OPEN).await;
        assert_eq!(answer.verdict(), "204", "{answer:?}");
        check(&stack, &format!("{enforcement:?} {pass_through:?}")).await;
    }
}

#[tokio::test]
async fn no_request_names_it() {
    each_mode(async |stack, mode| {
        for (method, target, headers) in [
            ("GET", "/our-policies", &[][..]),
            ("HEAD", "/our-policies", &[]),
            ("GET", "/our-policies?list-type=2", &[]),
            ("GET", "/our-policies/prod/buckets/photos", &[]),
            ("HEAD", "/our-policies/prod/buckets/photos", &[]),
            ("PUT", "/our-policies/prod/buckets/photos", &[]),
            ("DELETE", "/our-policies/prod/buckets/photos", &[]),
            ("POST", "/our-policies/prod/buckets/photos?uploads", &[]),
            ("PUT", "/our-policies", &[]),
            ("DELETE", "/our-policies", &[]),
            ("POST", "/our-policies?delete", &[]),
            ("POST", "/our-policies", &[("content-type", "multipart/form-data; boundary=x")]),
            ("PUT", "/our-policies?policy", &[]),
            ("GET", "/our-policies?policy", &[]),
            ("DELETE", "/our-policies?policy", &[]),
            ("PUT", "/our-policies?publicAccessBlock", &[]),
            ("PUT", "/our-policies?acl", &[("x-amz-acl", "public-read")]),
            ("OPTIONS", "/our-policies/x", &[("origin", "https://a"), ("access-control-request-method", "GET")]),
            ("GET", "/%6fur-policies/x", &[]),
            ("GET", "//our-policies/x", &[]),
            ("GET", "/photos/../our-policies/x", &[]),
            ("PUT", "/photos/k", &[("x-amz-copy-source", "our-policies/prod/buckets/photos")]),
            ("PUT", "/photos/k", &[("x-amz-copy-source", "/our%2Dpolicies%2Fprod/buckets/photos?versionId=1")]),
            ("PUT", "/photos/k?partNumber=1&uploadId=u", &[("x-amz-copy-source", "our-policies/x")]),
            ("PUT", "/photos/k?renameObject", &[("x-amz-rename-source", "/our-policies/x")]),
        ] {
            for caller in ["root", "bob", "stranger", "anonymous"] {
                let before = stack.seen();
                let answer = stack.send(by(caller, request(method, target, headers, "")).await).await;
                assert_eq!(stack.seen(), before, "{mode}: {caller}: {method} {target} {headers:?}: {answer:?}");
                assert!(matches!(answer.status, 400 | 403), "{mode}: {caller}: {method} {target}: {answer:?}");
                // Nor may a proxy send it there.
                let (parts, _) = by(caller, request(method, target, headers, "")).await.into_parts();
                let verdict = stack.layer.authorizer().authorize(parts).await;
                assert!(matches!(verdict, Verdict::Refused(_)), "{mode}: {caller}: {method} {target}: {verdict:?}");
            }
            let answer = stack.send(by("root", request(method, target, headers, "")).await).await;
            if method != "HEAD" {
                assert_eq!(answer.verdict(), DENIED, "{mode}: {method} {target} {headers:?}");
            }
        }
        let mut virtual_hosted = request("GET", "/prod/buckets/photos", &[], "");
        virtual_hosted.headers_mut().insert("host", "our-policies.s3.localhost".parse().unwrap());
        assert_eq!(stack.send(signed(Caller("root"), virtual_hosted).await).await.verdict(), DENIED, "{mode}");
        let hoisted = [("x-amz-copy-source", "our-policies%2Fprod%2Fbuckets%2Fphotos")];
        let copy = presigned(Caller("root"), "PUT", "/photos/k?x-id=CopyObject", &hoisted, "");
        assert_eq!(stack.send(copy).await.verdict(), DENIED, "{mode}");
    })
    .await;
}

#[tokio::test]
async fn all_that_only_looks_like_it_passes() {
    each_mode(async |stack, mode| {
        for (target, headers) in [
            ("/photos/our-policies", &[][..]),
            ("/photos/our-policies/prod", &[]),
            ("/photos/k", &[("x-amz-copy-source", "photos/our-policies")]),
            ("/photos/k", &[("x-amz-meta-source", "our-policies/x")]),
        ] {
            let before = stack.seen();
            let answer = stack.send(signed(Caller("root"), request("PUT", target, headers, "")).await).await;
            assert_eq!((answer.status, stack.seen()), (200, before + 1), "{mode}: {target} {headers:?}: {answer:?}");
        }
    })
    .await;
}

/// What is signed anew the store would do in our name.
#[tokio::test]
async fn no_body_sends_the_store_there() {
    let configuration = |bucket: &str| {
        format!(
            "<ReplicationConfiguration><Role>r</Role><Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::{bucket}\
             </Bucket></Destination></Rule></ReplicationConfiguration>"
        )
    };
    for enforcement in [Enforcement::Off, Enforcement::Audit, Enforcement::Enforce] {
        let stack = Stack::reserving(enforcement, PassThrough::Verified);
        for (target, bucket, passes) in [
            ("/photos?replication", "photos-copy", true),
            ("/photos?replication", "our-policies", false),
            ("/photos?replication", "&#111;ur-policies", false),
            ("/photos?logging", "our-policies", false),
            ("/photos?inventory&id=1", "Our-Policies", false),
            ("/photos?analytics&id=1", "our-policies", false),
        ] {
            let before = stack.seen();
            let ask = signed(Caller("root"), request("PUT", target, &[], configuration(bucket))).await;
            let answer: Answer = stack.send(ask).await;
            let asked = stack.seen() - before;
            assert_eq!(asked, usize::from(passes), "{enforcement:?}: {target} {bucket}: {answer:?}");
            assert_eq!(answer.status, if passes { 200 } else { 403 }, "{enforcement:?}: {target} {bucket}: {answer:?}");
        }
    }
}
