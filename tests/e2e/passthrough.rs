//! Where nothing is enforced, what is not about policies passes to the store untouched, in both `auth` modes.

use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

#[test]
fn the_aws_cli_works_on_garage_with_preserve() {
    check("aws_cli", &Stack::start_unenforced(Backend::Garage, Auth::Preserve));
}

#[test]
fn the_aws_cli_works_on_garage_with_resign() {
    check("aws_cli", &Stack::start_unenforced(Backend::Garage, Auth::Resign));
}

#[test]
fn garage_gets_what_was_sent_with_preserve() {
    check("passthrough", &Stack::start_unenforced(Backend::Garage, Auth::Preserve));
}

#[test]
fn garage_gets_what_was_sent_with_resign() {
    check("passthrough", &Stack::start_unenforced(Backend::Garage, Auth::Resign));
}
