//! What the Layer does with all other requests: what passes untouched, what is signed anew, and how buckets come and go.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::ownership::Ownership;
use portcullis::policy::AccountId;
use portcullis::s3::address::BucketName;
use portcullis::s3::forward::{Resign, SignedPayload};
use portcullis::store::PolicyStore;
use portcullis::{ChangeKind, PassThrough, RequestBody};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::support::stack::{OPEN, Stack};
use super::support::{Caller, OWNER, presigned, request, signed, signed_with};

#[tokio::test]
async fn everything_else_passes_untouched() {
    let stack = Stack::storing();
    for target in
        ["/photos/a//b", "/photos/a%2Fb", "/photos/../x", "/photos/a+b%20c?x=1&Policy", "/x?y=%zz", "/a%zz", "/"]
    {
        let answer = stack.send(request("PUT", target, &[("authorization", "Whatever it is")], "data")).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"from the store"[..]), "{target}");
        let (seen, body) = stack.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.uri().to_string(), target);
        assert_eq!(body, "data");
        assert!(seen.extensions().get::<Resign>().is_none());
    }
}

#[tokio::test]
async fn what_is_no_operation_is_the_stores_to_refuse() {
    let preflight = [("origin", "https://a.org"), ("access-control-request-method", "PUT")];
    let copy = [("x-amz-copy-source", "no source")];
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        for (method, target, headers) in [
            ("PUT", "/photos?acl&cors", &[][..]),
            ("DELETE", "/photos?acl", &[]),
            ("PUT", "/photos?uploadId=1", &[]),
            ("PUT", "/photos/k?uploadId=1", &[]),
            ("PUT", "/photos/k?acl", &copy),
            ("GET", "/photos/k?versionId=", &[]),
            ("GET", "/photos/k?versionId=1&versionId=2", &[]),
            ("GET", "/photos?prefix=a&prefix=b", &[]),
            ("GET", "/photos/%2e%2e/k", &[]),
            ("DELETE", "/", &[]),
            ("POST", "/photos", &[]),
            ("PATCH", "/photos/k", &[]),
            ("OPTIONS", "/photos", &[]),
            ("OPTIONS", "/?policy", &preflight),
            ("OPTIONS", "/photos?policy&acl", &preflight),
        ] {
            let stack = Stack::forwarding(pass_through, None);
            let sent = request(method, target, headers, "");
            let sent = if pass_through == PassThrough::Verified { signed(Caller("root"), sent).await } else { sent };
            assert_eq!(stack.send(sent).await.verdict(), "200", "{method} {target} {pass_through:?}");
            let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
            assert_eq!((seen.method().as_str(), seen.uri().to_string().as_str()), (method, target));
        }
    }
}

#[tokio::test]
async fn a_request_for_two_hosts_goes_nowhere() {
    for method in ["PUT", "DELETE", "GET"] {
        let stack = Stack::storing();
        stack.put(Caller("root"), OPEN).await;
        for (target, host) in [
            ("http://photos.s3.localhost/", "mine.s3.localhost"),
            ("http://mine.s3.localhost/", "photos.s3.localhost"),
            ("http://u@photos.s3.localhost/", "photos.s3.localhost"),
        ] {
            let mut contradictory = request(method, target, &[], "");
            contradictory.headers_mut().insert("host", host.parse().unwrap());
            assert_eq!(stack.send(contradictory).await.verdict(), "400 InvalidRequest", "{method} {target} {host}");
        }
        let twice = request(method, "/photos", &[("host", "mine.s3.localhost")], "");
        assert_eq!(stack.send(twice).await.verdict(), "400 InvalidRequest", "{method}");
        assert_eq!(stack.seen(), 0, "{method}");
        assert_eq!(stack.get(Caller("root")).await.body, OPEN, "{method}");
    }
}

#[tokio::test]
async fn what_may_make_or_delete_a_bucket_does_not_pass_unread() {
    for (method, target, verdict) in [
        ("DELETE", "/photos?x=%zz", "400 InvalidURI"),
        ("PUT", "/photos/?%zz", "400 InvalidURI"),
        ("GET", "/photos?x=%zz", "200"),
        ("DELETE", "/photos/key?x=%zz", "200"),
    ] {
        let answer = Stack::storing().send(request(method, target, &[], "")).await;
        assert_eq!(answer.verdict(), verdict, "{method} {target}");
    }
}

#[tokio::test]
async fn a_deleted_bucket_takes_its_policy_along() {
    let mut stack = Stack::storing();
    stack.put(Caller("root"), OPEN).await;
    let delete = || signed(Caller("root"), request("DELETE", "/photos", &[], ""));
    stack.inner_status = 409;
    assert_eq!(stack.send(delete().await).await.status, 409);
    assert_eq!(stack.get(Caller("root")).await.verdict(), "200", "the bucket is still there");
    stack.inner_status = 204;
    assert_eq!(stack.send(delete().await).await.status, 204);
    assert_eq!(stack.get(Caller("root")).await.verdict(), "404 NoSuchBucket");
    let create = signed(Caller("stranger"), request("PUT", "/photos", &[], "")).await;
    stack.inner_status = 200;
    assert_eq!(stack.send(create).await.status, 200);
    assert_eq!(stack.get(Caller("stranger")).await.verdict(), "404 NoSuchBucketPolicy", "it is the stranger's now");
    assert_eq!(stack.get(Caller("root")).await.verdict(), "405 MethodNotAllowed");
    let kinds: Vec<ChangeKind> = stack.changes.lock().unwrap().iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Put, ChangeKind::Purge]);
}

#[tokio::test]
async fn a_name_that_the_store_did_not_give_is_nobodys() {
    let mut stack = Stack::storing();
    stack.inner_status = 403;
    stack.send(signed(Caller("stranger"), request("PUT", "/loot", &[], "")).await).await;
    assert!(!stack.owners.0.lock().unwrap().contains_key("loot"), "refused");
    // To the store it was an object of a bucket whose base domain we do not know.
    stack.inner_status = 200;
    stack.owners.1.store(true, Ordering::Relaxed);
    let create = request("PUT", "/loot", &[], "");
    stack.send(signed(Caller("stranger"), create).await).await;
    assert!(!stack.owners.0.lock().unwrap().contains_key("loot"), "no bucket was made");
}

#[tokio::test]
async fn a_bucket_that_is_still_there_keeps_what_is_stored_for_it() {
    let stack = Stack::storing();
    stack.put(Caller("root"), OPEN).await;
    stack.owners.1.store(true, Ordering::Relaxed);
    let answer = stack.send(signed(Caller("stranger"), request("DELETE", "/photos", &[], "")).await).await;
    assert_eq!(answer.status, 200, "the store deleted something else");
    assert_eq!(stack.get(Caller("root")).await.body, OPEN);
}

#[tokio::test]
async fn making_a_bucket_is_verified_before_it_is_signed_anew() {
    let stack = Stack::forwarding(PassThrough::Verified, None);
    for (payload, verdict) in [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "411 MissingContentLength"),
        (&"0".repeat(64), "400 XAmzContentSHA256Mismatch"),
        ("UNSIGNED-PAYLOAD", "200"),
    ] {
        let headers = [("x-amz-content-sha256", payload)];
        let create = request("PUT", "/fresh", &headers, "<CreateBucketConfiguration/>");
        assert_eq!(stack.send(signed(Caller("root"), create).await).await.verdict(), verdict, "{payload}");
    }
    let long = request("PUT", "/fresh2", &[], vec![b' '; 200_000]);
    assert_eq!(stack.send(signed(Caller("root"), long).await).await.verdict(), "400 MaxMessageLengthExceeded");
    let seen = stack.seen.lock().unwrap();
    assert_eq!((seen.len(), &seen[0].1[..]), (1, &b"<CreateBucketConfiguration/>"[..]));
    assert!(seen[0].0.extensions().get::<Resign>().is_some());
}

#[tokio::test]
async fn a_slow_body_keeps_nobody_waiting() {
    let stack = Stack::storing();
    let inner = service_fn(|request: Request<RequestBody<Never>>| async {
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let slow: Request<Never> = request("PUT", "/photos", &[], "").map(|_| Never);
    let mut slow = Box::pin(stack.layer.layer(inner).oneshot(slow));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(slow.as_mut().poll(cx).is_pending())).await);
    let put = tokio::time::timeout(Duration::from_secs(10), stack.put(Caller("root"), OPEN)).await;
    assert_eq!(put.expect("an anonymous PUT /photos holds the bucket's turn").verdict(), "204");
}

/// A body that has begun and does not move.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn a_bucket_deleted_behind_our_back_leaves_nothing_to_the_next() {
    let stack = Stack::storing();
    stack.put(Caller("root"), OPEN).await;
    stack.owners.0.lock().unwrap().clear();
    stack.send(signed(Caller("root"), request("PUT", "/photos", &[], "")).await).await;
    assert_eq!(stack.get(Caller("root")).await.verdict(), "404 NoSuchBucketPolicy");
}

#[tokio::test]
async fn making_a_bucket_that_is_there_takes_nothing_from_it() {
    let stack = Stack::storing();
    stack.put(Caller("root"), OPEN).await;
    stack.send(signed(Caller("stranger"), request("PUT", "/photos", &[], "")).await).await;
    assert_eq!(stack.get(Caller("root")).await.verdict(), "200");
}

#[tokio::test]
async fn only_a_verified_signature_makes_a_creator() {
    let stack = Stack::storing();
    let forged = signed_with("ROOT", "wrong", request("PUT", "/loot", &[], ""), SystemTime::now()).await;
    assert_eq!(stack.send(forged).await.status, 200, "the store's own judgement, here yes");
    let bucket = BucketName::parse("loot").unwrap();
    assert_eq!(stack.owners.0.lock().unwrap()[bucket.as_str()], Ownership::Unknown);
}

#[tokio::test]
async fn verified_requests_say_how_to_sign_them_anew() {
    let stack = Stack::forwarding(PassThrough::Verified, None);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let mut hosted = request("GET", "/a//b", &[], "");
    hosted.headers_mut().insert("host", "photos.s3.localhost".parse().unwrap());
    for (request, path, payload) in [
        (request("GET", "/photos/a%2Fb?x=1", &[], ""), "/photos/a%2Fb", SignedPayload::Sha256(empty.to_owned())),
        (hosted, "/photos/a//b", SignedPayload::Sha256(empty.to_owned())),
        (
            request("PUT", "/photos/k", &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], "data"),
            "/photos/k",
            SignedPayload::Unsigned,
        ),
        (request("GET", "/", &[], ""), "/", SignedPayload::Sha256(empty.to_owned())),
    ] {
        assert_eq!(stack.send(signed(Caller("bob"), request).await).await.status, 200, "{path}");
        let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
        let resign = seen.extensions().get::<Resign>().unwrap();
        assert_eq!((resign.path.as_str(), &resign.payload), (path, &payload));
        assert_eq!(resign.account, Some(AccountId::parse(OWNER).unwrap()));
    }
}

#[tokio::test]
async fn nothing_unsigned_or_wrong_is_signed_anew() {
    let stack = Stack::forwarding(PassThrough::Verified, None);
    assert_eq!(stack.send(request("GET", "/photos/k", &[], "")).await.verdict(), "403 AccessDenied");
    for (payload, verdict) in [
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "400 IncompleteBody"),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "400 IncompleteBody"),
        (&"0".repeat(64), "400 XAmzContentSHA256Mismatch"),
    ] {
        let headers = [("x-amz-content-sha256", payload), ("x-amz-decoded-content-length", "4")];
        let answer = stack.send(signed(Caller("root"), request("PUT", "/photos/k", &headers, "data")).await).await;
        assert_eq!(answer.verdict(), verdict, "{payload}");
    }
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn what_a_presigned_url_carries_as_parameters_is_signed_anew_as_headers() {
    let stack = Stack::forwarding(PassThrough::Verified, None);
    let sent = presigned(Caller("alice"), "PUT", "/photos/k?x=1", &[("x-amz-acl", "private")], "data");
    assert_eq!(stack.send(sent).await.status, 200);
    let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.headers()["x-amz-acl"], "private");
    assert_eq!(seen.extensions().get::<Resign>().unwrap().payload, SignedPayload::Unsigned);
}

#[tokio::test]
async fn nobody_unknown_takes_away_what_a_lost_bucket_left() {
    let mut stack = Stack::storing();
    stack.put(Caller("root"), OPEN).await;
    stack.owners.0.lock().unwrap().clear();
    // The store refuses, as it does an anonymous caller.
    stack.inner_status = 403;
    assert_eq!(stack.send(request("PUT", "/photos", &[], "")).await.status, 403);
    let bucket = BucketName::parse("photos").unwrap();
    assert!(stack.store.get(&bucket).await.unwrap().is_some());
}
