//! Decisions for proxies that carry the bytes themselves.

use http::{Request, Response};
use portcullis::layer::{Asking, Verdict, asked_about};
use portcullis::{Enforcement, PassThrough};

use super::super::support::stack::Stack;
use super::super::support::{Caller, request, signed};
use super::{by, preserving};

const PUBLIC: &str = r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::photos/public/*"}"#;

/// The status that is answered; `whole` before that of a request that is not decided by its head.
async fn verdict(
    stack: &Stack,
    caller: &'static str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    asking: Option<Asking>,
) -> String {
    let (mut parts, _) = by(caller, request(method, target, headers, "")).await.into_parts();
    if let Some(asking) = asking {
        parts.extensions.insert(asking);
    }
    let status = |answer: Response<bytes::Bytes>| answer.status().as_u16().to_string();
    match stack.layer.authorizer().authorize(parts).await {
        Verdict::Allowed => "200".to_owned(),
        Verdict::Undecidable(answer) => format!("whole {}", status(answer)),
        Verdict::Refused(answer) => status(answer),
    }
}

async fn status(stack: &Stack, caller: &'static str, method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    verdict(stack, caller, method, target, headers, None).await
}

#[tokio::test]
async fn what_the_head_decides_is_decided() {
    let stack = preserving().with_policy(PUBLIC).await;
    for (caller, method, target, headers, expected) in [
        ("anonymous", "GET", "/photos/public/a", &[][..], "200"),
        ("anonymous", "HEAD", "/photos/public/a", &[], "200"),
        ("anonymous", "PUT", "/photos/public/a", &[], "200"),
        ("anonymous", "GET", "/photos/a", &[], "403"),
        ("anonymous", "GET", "/photos/public/../a", &[], "400"),
        ("anonymous", "PUT", "/photos/public/a", &[("x-amz-acl", "public-read")], "403"),
        ("bob", "GET", "/photos/a", &[], "403"),
        ("root", "GET", "/photos/a", &[], "200"),
        ("root", "GET", "/", &[], "200"),
        ("root", "GET", "/nowhere/a", &[], "404"),
        (
            "anonymous",
            "OPTIONS",
            "/photos/a",
            &[("origin", "https://a"), ("access-control-request-method", "PUT")],
            "200",
        ),
    ] {
        assert_eq!(status(&stack, caller, method, target, headers).await, expected, "{caller} {method} {target}");
    }
    assert_eq!(stack.seen(), 0, "nothing is sent on from here");
    assert_eq!(stack.denials.lock().unwrap().len(), 3, "each denial is told of");
}

#[tokio::test]
async fn what_takes_more_than_a_head_is_refused_and_nothing_is_done() {
    let stack = preserving().with_policy(PUBLIC).await;
    for (method, target) in [
        ("DELETE", "/photos?policy"),
        ("PUT", "/photos?policy"),
        ("GET", "/photos?policyStatus"),
        ("DELETE", "/photos?publicAccessBlock"),
        ("PUT", "/fresh"),
        ("DELETE", "/photos"),
        ("POST", "/photos?delete"),
        ("PUT", "/photos/a?tagging"),
        ("PUT", "/photos/a?acl"),
    ] {
        assert_eq!(status(&stack, "root", method, target, &[]).await, "whole 403", "{method} {target}");
    }
    assert_eq!(stack.get(Caller("root")).await.verdict(), "200", "the policy is still there");
}

#[tokio::test]
async fn a_dry_run_lets_everything_pass_and_off_decides_nothing() {
    for (enforcement, told) in [(Enforcement::Audit, 2), (Enforcement::Off, 0)] {
        let stack = Stack::deciding(enforcement, PassThrough::AsSent);
        assert_eq!(status(&stack, "bob", "GET", "/photos/a", &[]).await, "200");
        assert_eq!(status(&stack, "root", "GET", "/photos/a?acl&cors", &[]).await, "200");
        // What is answered or noted here is so whatever is enforced.
        for (method, target) in [("PUT", "/photos?policy"), ("PUT", "/fresh"), ("DELETE", "/photos")] {
            assert_eq!(status(&stack, "root", method, target, &[]).await, "whole 403", "{enforcement:?} {target}");
        }
        assert_eq!(stack.denials.lock().unwrap().len(), told, "{enforcement:?}");
        assert_eq!(status(&stack, "root", "PATCH", "/photos?policy", &[]).await, "405");
    }
}

#[tokio::test]
async fn what_would_be_changed_on_its_way_through_is_not_sent_on_as_it_came() {
    let stack = preserving().with_policy(PUBLIC).await;
    for (target, headers) in [
        ("/photos/public/a", &[("x-http-method-override", "DELETE")][..]),
        ("/photos/public/a", &[("x-original-url", "/photos/secret")]),
        ("/photos/public/a", &[("x-original-uri", "/photos/public/a")]),
        ("/photos/public/a", &[("forwarded", "host=secret.s3.example.com")]),
        ("/photos/public/a", &[("x_forwarded_host", "secret.s3.example.com")]),
        ("/photos/public/a", &[("x-copy-from", "/photos/secret")]),
    ] {
        assert_eq!(status(&stack, "anonymous", "GET", target, headers).await, "whole 403", "{target} {headers:?}");
    }
    assert_eq!(status(&stack, "anonymous", "GET", "/photos/public/a;b", &[]).await, "400");
    assert_eq!(status(&stack, "anonymous", "GET", "/photos/public/a?response-content-type=a", &[]).await, "400");
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn headers_that_a_proxy_may_have_joined_decide_nothing() {
    let stack = preserving().with_policy(PUBLIC).await;
    let acl = [("x-amz-storage-class", "STANDARD,GLACIER")];
    let lists = [("x-amz-object-attributes", "ETag,ObjectSize"), ("x-amz-meta-a", "1,2"), ("accept", "a/b, c/d")];
    for (headers, asking, expected) in [
        (&acl[..], Asking::ExtAuthz, "whole 403"),
        (&[("if-none-match", "\"a\",\"b\"")], Asking::ExtAuthz, "whole 403"),
        (&lists, Asking::ExtAuthz, "200"),
        (&[("x-amz-storage-class", "STANDARD")], Asking::ExtAuthz, "200"),
        (&[("if-none-match", "\"a\",\"b\"")], Asking::AuthRequest, "200"),
    ] {
        let found = verdict(&stack, "anonymous", "PUT", "/photos/public/a", headers, Some(asking)).await;
        assert_eq!(found, expected, "{headers:?} {asking:?}");
    }
}

#[tokio::test]
async fn a_signature_is_of_the_request_and_not_of_the_question() {
    let stack = preserving();
    let original = [("content-length", "4"), ("x-amz-tagging", "a=b")];
    let original = signed(Caller("root"), request("PUT", "/photos/a//b%2F?x-id=PutObject", &original, "")).await;
    let ask = |uri: &'static str, method: &'static str, length: &'static str, headers: &http::HeaderMap| {
        let mut asking = Request::get("/auth_request")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-original-uri", uri)
            .header("x-original-method", method)
            .header("x-original-content-length", length);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "content-length") {
            asking = asking.header(name, value);
        }
        let (parts, ()) = asking.body(()).unwrap().into_parts();
        asked_about(parts).unwrap()
    };
    for (uri, method, length, allowed) in [
        ("/photos/a//b%2F?x-id=PutObject", "PUT", "4", true),
        ("/photos/a//b%2F?x-id=PutObject", "PUT", "5", false),
        ("/photos/a//b%2F?x-id=PutObject", "DELETE", "4", false),
        ("/photos/a/b%2F?x-id=PutObject", "PUT", "4", false),
        ("/photos/a//b%2F", "PUT", "4", false),
    ] {
        let verdict = stack.layer.authorizer().authorize(ask(uri, method, length, original.headers())).await;
        assert_eq!(matches!(verdict, Verdict::Allowed), allowed, "{method} {uri} {length}: {verdict:?}");
    }
}
