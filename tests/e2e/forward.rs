//! `handler = "forward"`: the store keeps the policies and answers; the proxy only judges who may ask.

use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

#[test]
fn policies_are_forwarded_with_preserve() {
    check("forward", &Stack::start(Backend::Moto, Auth::Preserve));
}

#[test]
fn policies_are_forwarded_with_resign() {
    check("forward", &Stack::start(Backend::Moto, Auth::Resign));
}
