//! Decisions for proxies that carry the bytes themselves.

use http::Request;
use portcullis::layer::asked_about;
use portcullis::{Enforcement, PassThrough};

use super::super::support::stack::Stack;
use super::super::support::{Caller, request, signed};
use super::{by, preserving};

const PUBLIC: &str = r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::photos/public/*"}"#;

async fn status(stack: &Stack, caller: &'static str, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
    let (parts, _) = by(caller, request(method, target, headers, "")).await.into_parts();
    match stack.layer.authorizer().authorize(parts).await {
        Ok(()) => 200,
        Err(answer) => answer.status().as_u16(),
    }
}

#[tokio::test]
async fn what_the_head_decides_is_decided() {
    let stack = preserving().with_policy(PUBLIC).await;
    for (caller, method, target, headers, expected) in [
        ("anonymous", "GET", "/photos/public/a", &[][..], 200),
        ("anonymous", "HEAD", "/photos/public/a", &[], 200),
        ("anonymous", "PUT", "/photos/public/a", &[], 200),
        ("anonymous", "GET", "/photos/a", &[], 403),
        ("anonymous", "GET", "/photos/public/../a", &[], 400),
        ("anonymous", "PUT", "/photos/public/a", &[("x-amz-acl", "public-read")], 403),
        ("bob", "GET", "/photos/a", &[], 403),
        ("root", "GET", "/photos/a", &[], 200),
        ("root", "GET", "/", &[], 200),
        ("root", "GET", "/nowhere/a", &[], 404),
        (
            "anonymous",
            "OPTIONS",
            "/photos/a",
            &[("origin", "https://a"), ("access-control-request-method", "PUT")],
            200,
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
        assert_eq!(status(&stack, "root", method, target, &[]).await, 403, "{method} {target}");
    }
    assert_eq!(stack.get(Caller("root")).await.verdict(), "200", "the policy is still there");
}

#[tokio::test]
async fn a_dry_run_lets_everything_pass_and_off_decides_nothing() {
    for (enforcement, told) in [(Enforcement::Audit, 2), (Enforcement::Off, 0)] {
        let stack = Stack::deciding(enforcement, PassThrough::AsSent);
        assert_eq!(status(&stack, "bob", "GET", "/photos/a", &[]).await, 200);
        assert_eq!(status(&stack, "root", "GET", "/photos/a?acl&cors", &[]).await, 200);
        assert_eq!(stack.denials.lock().unwrap().len(), told, "{enforcement:?}");
    }
}

#[tokio::test]
async fn a_proxy_may_say_in_headers_what_it_was_asked() {
    let stack = preserving();
    let original = signed(Caller("root"), request("DELETE", "/photos/a//b?versionId=1", &[], "")).await;
    let mut asking = Request::get("/authorize")
        .header("x-original-uri", "/photos/a//b?versionId=1")
        .header("x-original-method", "DELETE");
    for (name, value) in original.headers() {
        asking = asking.header(name, value);
    }
    let (parts, ()) = asking.body(()).unwrap().into_parts();
    let asked = asked_about(parts).unwrap();
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("DELETE", "/photos/a//b?versionId=1"));
    assert!(stack.layer.authorizer().authorize(asked).await.is_ok());
    for (name, value) in [("x-original-uri", "no uri"), ("x-original-method", "NO METHOD")] {
        let (parts, ()) = Request::get("/").header(name, value).body(()).unwrap().into_parts();
        assert!(asked_about(parts).is_err(), "{name}");
    }
}
