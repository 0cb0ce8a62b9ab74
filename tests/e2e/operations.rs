//! What an operator sees: health, one log line a request, one audit line a policy change, identities read again.

use std::fs;
use std::time::Duration;

use crate::support::people::{OPERATOR, PEOPLE};
use crate::support::process::{accepts, eventually, http_status};
use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn health_is_answered_on_the_admin_listener_only() {
    let stack = Stack::start(Backend::Embedded, Auth::Preserve);
    for path in ["/livez", "/readyz"] {
        assert_eq!(http_status(stack.proxy.admin, path), Some(200), "{path}");
        assert_ne!(http_status(stack.proxy.address, path), Some(200), "{path} on the data listener");
    }
    assert_eq!(http_status(stack.proxy.admin, "/nothing"), Some(404));
}

#[test]
fn sigterm_drains_and_exits_with_success() {
    let mut stack = Stack::start(Backend::Embedded, Auth::Preserve);
    stack.proxy.server.signal("TERM");
    let status = stack.proxy.server.wait(SOON);
    assert!(status.success(), "{status}");
    assert!(!accepts(stack.proxy.address), "the listener is still there");
}

#[test]
fn every_request_has_one_log_line_and_every_change_one_audit_line() {
    let stack = Stack::start(Backend::Embedded, Auth::Preserve);
    check("changes", &stack);

    let access = || stack.proxy.access_lines();
    // CreateBucket, four about the policy, PutObject.
    assert!(eventually(SOON, || access().len() >= 6), "{:#?}", access());
    assert_eq!(access().len(), 6, "{:#?}", access());

    let audit = stack.proxy.audit_lines();
    let about = |what: &str| audit.iter().filter(|line| line.contains(what)).count();
    assert_eq!(about("logged"), audit.len(), "a line about something else: {audit:#?}");
    assert_eq!(about("user/alice"), 1, "{audit:#?}");
    assert_eq!(about(":root"), 1, "{audit:#?}");

    let everything = stack.proxy.server.stdout() + &stack.proxy.server.stderr() + &audit.join("\n");
    for person in PEOPLE.iter().chain([&OPERATOR]) {
        assert!(!everything.contains(person.secret_access_key), "the secret of {} was logged", person.name);
    }
}

#[test]
fn the_log_for_people_has_one_line_a_request_too() {
    let stack = Stack::start_with(Backend::Embedded, Auth::Preserve, |settings| settings.log_format = "text");
    check("changes", &stack);
    let lines = || {
        let text = stack.proxy.server.stdout() + &stack.proxy.server.stderr();
        text.lines().filter(|line| line.contains("/logged")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(eventually(SOON, || lines().len() >= 6), "{:#?}", lines());
    let lines = lines();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    for word in ["PUT", "/logged?policy", "204", "403", "DELETE", "an%20object"] {
        assert!(lines.iter().any(|line| line.contains(word)), "{word}: {lines:#?}");
    }
}

#[test]
fn identities_are_read_again_when_the_file_changes_and_a_broken_version_is_refused() {
    let stack = Stack::start(Backend::Embedded, Auth::Preserve);
    check("reload_before", &stack);
    let file = stack.proxy.directory.join("identities.toml");
    let text = fs::read_to_string(&file).unwrap();

    fs::write(&file, "[[account]]\nid = \"not an id\"\n").unwrap();
    assert!(eventually(SOON, || stack.proxy.server.stderr().contains("identities.toml")), "nothing was said");
    check("reload_before", &stack);

    // bob gets the permission.
    let permitted =
        text.replace("name = \"bob\"\npolicies = [\"reader\"]", "name = \"bob\"\npolicies = [\"policy-admin\"]");
    assert_ne!(permitted, text);
    fs::write(&file, permitted).unwrap();
    check("reload_after", &stack);
}
