//! Policies kept as objects in the store that they are for, which is Garage.

use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

const PLACE: Option<&str> = Some("s3://our-policies/prod");

#[test]
fn nobody_gets_at_the_policies_with_resign() {
    check("reserved", &Stack::start_with(Backend::Garage, Auth::Resign, |settings| settings.store = PLACE));
}

#[test]
fn nobody_gets_at_the_policies_with_preserve() {
    check("reserved", &Stack::start_with(Backend::Garage, Auth::Preserve, |settings| settings.store = PLACE));
}

#[test]
fn nobody_gets_at_the_policies_where_nothing_is_enforced() {
    let stack = Stack::start_with(Backend::Garage, Auth::Resign, |settings| {
        (settings.store, settings.enforcement) = (PLACE, "off");
    });
    check("reserved", &stack);
}

#[test]
fn the_contract_holds_where_the_store_keeps_the_policies() {
    let stack = Stack::start_with(Backend::Garage, Auth::Resign, |settings| settings.store = PLACE);
    check("contract", &stack);
    check("writers", &stack);
}
