//! `handler = "forward"`: the store keeps the policies and answers; the proxy judges who may ask,
//! or, where it enforces, who may do what.

use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

#[test]
fn policies_are_forwarded_with_preserve() {
    check("forward", &Stack::start_unenforced(Backend::Moto, Auth::Preserve));
}

#[test]
fn policies_are_forwarded_with_resign() {
    check("forward", &Stack::start_unenforced(Backend::Moto, Auth::Resign));
}

#[test]
fn the_stores_policies_are_enforced_with_preserve() {
    check("forward_enforced", &Stack::start(Backend::Moto, Auth::Preserve));
}

#[test]
fn the_stores_policies_are_enforced_with_resign() {
    check("forward_enforced", &Stack::start(Backend::Moto, Auth::Resign));
}
