//! `POST ?delete`: each key is decided by itself.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use portcullis::s3::forward::{Resign, SignedPayload};
use portcullis::{DenialCause, Denied, Enforcement, PassThrough, RequestBody};
use sha2::{Digest, Sha256};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::super::support::stack::Stack;
use super::super::support::{Answer, Caller, request, signed};
use super::{DENIED, preserving, resigning};

const HOME: &str = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"s3:DeleteObject",
    "Resource":"arn:aws:s3:::photos/home/bob/*"}"#;

fn delete(body: &str) -> Request<Full<bytes::Bytes>> {
    request("POST", "/photos?delete", &[("content-type", "application/xml")], body.to_owned())
}

fn keys(keys: &[&str]) -> String {
    let objects: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    format!("<Delete>{objects}</Delete>")
}

#[tokio::test]
async fn signed_anew_the_allowed_keys_are_deleted_and_the_others_told_of() {
    let mut stack = resigning().with_policy(HOME).await;
    stack.inner_answer = "<?xml version=\"1.0\"?><DeleteResult><Deleted><Key>home/bob/a</Key></Deleted></DeleteResult>";
    let body = keys(&["home/eve/a", "home/bob/a", "home/eve/b"]);
    let answer = stack.send(signed(Caller("bob"), delete(&body)).await).await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("<Deleted><Key>home/bob/a</Key></Deleted>"), "{text}");
    for key in ["home/eve/a", "home/eve/b"] {
        let error = format!("<Error><Key>{key}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
        assert!(text.contains(&error), "{text}");
    }
    let (seen, sent) = stack.seen.lock().unwrap().pop().unwrap();
    let sent = String::from_utf8(sent.to_vec()).unwrap();
    assert!(sent.contains("home/bob/a") && !sent.contains("eve"), "{sent}");
    assert_eq!(seen.headers()["content-length"], sent.len().to_string().as_str());
    let hash = Sha256::digest(&sent).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(seen.extensions().get::<Resign>().unwrap().payload, SignedPayload::Sha256(hash));
    let told = stack.denials.lock().unwrap();
    assert_eq!(told.len(), 2, "each denied key is told of");
}

#[tokio::test]
async fn quiet_or_not_denials_are_told() {
    let mut stack = resigning().with_policy(HOME).await;
    stack.inner_answer = "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
    let body = "<Delete><Quiet>true</Quiet><Object><Key>home/bob/a</Key></Object><Object><Key>x&amp;y</Key><VersionId>v</VersionId></Object></Delete>";
    let answer = stack.send(signed(Caller("bob"), delete(body)).await).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("<Error><Key>x&amp;y</Key><VersionId>v</VersionId><Code>AccessDenied</Code>"), "{text}");
    assert!(String::from_utf8(stack.seen.lock().unwrap()[0].1.to_vec()).unwrap().contains("<Quiet>true</Quiet>"));
}

#[tokio::test]
async fn where_all_are_denied_the_store_is_not_asked() {
    let stack = resigning().with_policy(HOME).await;
    let answer = stack.send(signed(Caller("bob"), delete(&keys(&["a", "b"]))).await).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!((answer.status, text.matches("<Code>AccessDenied</Code>").count()), (200, 2), "{text}");
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn a_signed_body_goes_whole_or_not_at_all() {
    let stack = preserving().with_policy(HOME).await;
    let mixed = stack.send(signed(Caller("bob"), delete(&keys(&["home/bob/a", "home/eve/a"]))).await).await;
    assert_eq!(mixed.verdict(), DENIED);
    assert_eq!(stack.seen(), 0);
    let body = keys(&["home/bob/a", "home/bob/b"]);
    assert_eq!(stack.send(signed(Caller("bob"), delete(&body)).await).await.verdict(), "200");
    assert_eq!(stack.seen.lock().unwrap()[0].1, body);
}

#[tokio::test]
async fn what_is_decided_is_all_there_is() {
    for stack in [preserving(), resigning()] {
        let stack = stack.with_policy(HOME).await;
        for (body, verdict) in [
            (keys(&["home/bob/../eve/a"]), "400 InvalidURI"),
            (
                "<Delete><Object><Key>home/bob/a</Key><Key>home/eve/a</Key></Object></Delete>".to_owned(),
                "400 MalformedXML",
            ),
            (
                "<!DOCTYPE d [<!ENTITY e \"home/eve/a\">]><Delete><Object><Key>&e;</Key></Object></Delete>".to_owned(),
                "400 MalformedXML",
            ),
            (
                "<Delete><Object><Key>home/bob/a</Key></Object></Delete><Delete><Object><Key>x</Key></Object></Delete>"
                    .to_owned(),
                "400 MalformedXML",
            ),
            (String::new(), "400 MissingRequestBodyError"),
            (keys(&vec!["home/bob/a"; 1001]), "400 MalformedXML"),
            (" ".repeat(2 * 1024 * 1024 + 1), "400 MaxMessageLengthExceeded"),
        ] {
            let answer = stack.send(signed(Caller("bob"), delete(&body)).await).await;
            assert_eq!(answer.verdict(), verdict, "{}", body.chars().take(100).collect::<String>());
            assert_eq!(stack.seen(), 0);
        }
        let versions = "<Delete><Object><Key>home/bob/a</Key><VersionId>v</VersionId></Object></Delete>";
        let answer = stack.send(signed(Caller("bob"), delete(versions)).await).await;
        assert!(
            String::from_utf8(answer.body.to_vec()).unwrap().contains("AccessDenied"),
            "a version is another action"
        );
        assert_eq!(stack.seen(), 0);
        let mut forged = signed(Caller("bob"), delete(&keys(&["home/bob/a"]))).await;
        *forged.body_mut() = Full::from(keys(&["home/bob/b"]));
        assert_eq!(stack.send(forged).await.verdict(), "400 XAmzContentSHA256Mismatch");
    }
}

#[tokio::test]
async fn of_a_stranger_nothing_is_read_that_could_not_be_granted() {
    let stack = resigning();
    for (target, verdict) in [("/photos?delete", DENIED), ("/nowhere?delete", "404 NoSuchBucket"), ("/fresh", DENIED)] {
        let method = if target == "/fresh" { "PUT" } else { "POST" };
        let asked = request(method, target, &[("content-length", "1000")], "").map(|_| Unread);
        let inner = service_fn(|_: Request<RequestBody<Unread>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let answer = Answer::of(stack.layer.layer(inner).oneshot(asked).await.unwrap()).await;
        assert_eq!(answer.verdict(), verdict, "{target}");
    }
}

/// A body that nobody may ask for.
struct Unread;

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        unreachable!("the body is read")
    }
}

#[tokio::test]
async fn of_a_thousand_denials_the_first_are_explained() {
    let stack = resigning().with_policy(HOME).await;
    let body = keys(&["home/eve/a"; 1000]);
    assert_eq!(stack.send(signed(Caller("bob"), delete(&body)).await).await.status, 200);
    let told = stack.denials.lock().unwrap();
    let explained =
        |denied: &&Denied| matches!(&denied.cause, DenialCause::Policies(denial) if !denial.missed.is_empty());
    assert_eq!((told.len(), told.iter().filter(explained).count()), (1000, 16));
}

#[tokio::test]
async fn anybody_may_be_granted_it() {
    let stack = Stack::deciding(Enforcement::Enforce, PassThrough::Verified)
        .with_policy(
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::photos/bin/*"}"#,
        )
        .await;
    assert_eq!(stack.send(delete(&keys(&["bin/a"]))).await.verdict(), "200");
    let answer = stack.send(delete(&keys(&["a"]))).await;
    assert!(String::from_utf8(answer.body.to_vec()).unwrap().contains("AccessDenied"));
    assert_eq!(stack.seen(), 1);
}
