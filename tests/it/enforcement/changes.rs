//! Policies that change while requests are decided: each by one of them, and after a change is acknowledged by the new one.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::support::stack::Stack;
use super::super::support::{Caller, request, signed};
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
