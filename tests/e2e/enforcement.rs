//! Policies enforced: what they grant passes and works at the store, and nothing else reaches it.
//!
//! Who signs nothing is for `resign`: with `preserve` Garage refuses them, and the scripts look who it was that did.

use crate::support::script::{check, failure};
use crate::support::{Auth, Backend, Stack};

/// Scripts for a store that works; each has buckets of its own, so they share one.
const ON_GARAGE: [&str; 7] = ["grants", "home", "encryption", "forms", "bucket_lists", "public_access", "cross_origin"];

/// All of them run, whichever fails.
fn check_all(stack: &Stack) {
    let failures: Vec<String> = ON_GARAGE.into_iter().filter_map(|script| failure(script, stack)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_policies_grant_works_on_garage_with_resign() {
    let stack = Stack::start(Backend::Garage, Auth::Resign);
    check_all(&stack);
}

#[test]
fn what_policies_grant_works_on_garage_with_preserve() {
    let stack = Stack::start(Backend::Garage, Auth::Preserve);
    check_all(&stack);
}

#[test]
fn an_encrypted_upload_is_stored_and_another_is_not() {
    check("encryption", &Stack::start(Backend::Embedded, Auth::Resign));
}

#[test]
fn a_dry_run_says_what_enforcing_does() {
    let mut stack = Stack::start_with(Backend::Embedded, Auth::Resign, |settings| settings.enforcement = "audit");
    check("dry_run", &stack);
    stack.proxy.restart_with("enforce");
    check("dry_run", &stack);
}

#[test]
fn nothing_unknown_reaches_the_store_with_resign() {
    check("unknown", &Stack::start(Backend::Recorder, Auth::Resign));
}

#[test]
fn nothing_unknown_reaches_the_store_with_preserve() {
    check("unknown", &Stack::start(Backend::Recorder, Auth::Preserve));
}
