//! Requests no client library would send, over raw sockets: each ends with S3's error or a closed connection, in time,
//! and the proxy goes on serving.

use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

#[test]
fn broken_and_stalled_requests_end_in_time_with_preserve() {
    check("sockets", &Stack::start_with(Backend::Embedded, Auth::Preserve, |settings| settings.patience = "2s"));
}

#[test]
fn broken_and_stalled_requests_end_in_time_with_resign() {
    check("sockets", &Stack::start_with(Backend::Embedded, Auth::Resign, |settings| settings.patience = "2s"));
}
