//! The contract of `PUT`, `GET` and `DELETE ?policy`, whoever the store is and however requests go on to it.

use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

#[test]
fn the_contract_holds_on_the_embedded_store_with_preserve() {
    check("contract", &Stack::start(Backend::Embedded, Auth::Preserve));
}

#[test]
fn the_contract_holds_on_the_embedded_store_with_resign() {
    check("contract", &Stack::start(Backend::Embedded, Auth::Resign));
}

#[test]
fn the_contract_holds_on_garage_with_preserve() {
    check("contract", &Stack::start(Backend::Garage, Auth::Preserve));
}

#[test]
fn the_contract_holds_on_garage_with_resign() {
    check("contract", &Stack::start(Backend::Garage, Auth::Resign));
}

#[test]
fn bodies_are_verified_and_broken_ones_get_s3s_errors() {
    check("bodies", &Stack::start(Backend::Embedded, Auth::Preserve));
}

#[test]
fn without_the_guard_a_user_may_lock_herself_out() {
    let stack = Stack::start_with(Backend::Embedded, Auth::Preserve, |settings| settings.lockout_guard = false);
    check("unguarded", &stack);
}
