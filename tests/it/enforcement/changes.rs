//! Policies that change while requests are decided: each by one of them, and after a change is acknowledged by the new one.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::RequestBody;
use tokio::sync::{Notify, Semaphore};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::super::support::stack::Stack;
use super::super::support::{Answer, Caller, request, signed};
use super::{DENIED, preserving};

/// A policy that lets bob do this one of the two things that a copy is.
fn half(action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:user/bob"}},
            "Action":"{action}","Resource":"arn:aws:s3:::photos/*"}}}}"#
    )
}

async fn copy(stack: &Stack) -> String {
    let headers = [
        ("x-amz-copy-source", "photos/b"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-object-annotation-directive", "EXCLUDE"),
    ];
    let sent = signed(Caller("bob"), request("PUT", "/photos/a", &headers, "")).await;
    stack.send(sent).await.verdict()
}

#[test]
fn no_request_is_decided_by_a_mix_of_two_policies() {
    const CHANGES: usize = 400;
    let stack = preserving();
    let changed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                runtime().block_on(async {
                    while changed.load(Ordering::Relaxed) < CHANGES {
                        assert_eq!(copy(&stack).await, DENIED, "allowed by half of one policy and half of the other");
                    }
                });
            });
        }
        runtime().block_on(async {
            let policies = [half("s3:GetObject"), half("s3:PutObject")];
            for policy in policies.iter().cycle().take(CHANGES) {
                let answer = stack.put(Caller("root"), policy).await;
                // Counted whatever it says, so that the others end.
                changed.fetch_add(1, Ordering::Relaxed);
                assert_eq!(answer.verdict(), "204");
            }
        });
    });
    runtime().block_on(async {
        let both = half("s3:*");
        assert_eq!(stack.put(Caller("root"), &both).await.verdict(), "204");
        assert_eq!(copy(&stack).await, "200", "and both together would have been allowed");
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn none_is_decided_by_the_old_policy_after_the_new_one_is_acknowledged() {
    let stack = preserving();
    let (open, shut) = (half("s3:GetObject"), half("s3:PutObject"));
    for _ in 0..200 {
        assert_eq!(stack.put(Caller("root"), &open).await.verdict(), "204");
        assert_eq!(stack.verdict("bob", "GET", "/photos/a", &[]).await, "200");
        assert_eq!(stack.put(Caller("root"), &shut).await.verdict(), "204");
        assert_eq!(stack.verdict("bob", "GET", "/photos/a", &[]).await, DENIED);
    }
}

#[tokio::test]
async fn of_two_who_make_one_bucket_the_second_is_told_it_is_the_others() {
    let stack = super::resigning();
    let (made, go_on) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = {
        let (owners, made, go_on, calls) =
            (Arc::clone(&stack.owners), Arc::clone(&made), Arc::clone(&go_on), Arc::clone(&calls));
        service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
            let (owners, made, go_on) = (Arc::clone(&owners), Arc::clone(&made), Arc::clone(&go_on));
            calls.fetch_add(1, Ordering::Relaxed);
            async move {
                made.notify_one();
                drop(go_on.acquire().await);
                owners.store_did(&request.into_parts().0);
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        })
    };
    let make = async |caller| {
        let sent = signed(Caller(caller), request("PUT", "/fresh", &[], "")).await;
        Answer::of(stack.layer.layer(inner.clone()).oneshot(sent).await.unwrap()).await.verdict()
    };
    let second = async {
        made.notified().await;
        // Decided while there is no such bucket, and then waiting for its turn.
        tokio::join!(make("stranger"), async { go_on.add_permits(2) }).0
    };
    assert_eq!(tokio::join!(make("root"), second), ("200".to_owned(), "409 BucketAlreadyExists".to_owned()));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
