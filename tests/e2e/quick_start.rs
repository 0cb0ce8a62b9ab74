//! `examples/try_store.py`, which the quick starts have everybody run at their own store.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::cache::python_tool;
use crate::support::people::PEOPLE;
use crate::support::process::run;
use crate::support::script::isolate;
use crate::support::{Auth, Backend, Stack};

/// Runs it as the root user of acme, with mallory for the user who may do nothing; what it printed.
fn tried(stack: &Stack) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/try_store.py");
    let mut command = Command::new(python_tool("python"));
    command.args(["-B", "-u"]).arg(script);
    let told = stack.describe();
    for (option, name) in [("--endpoint", "endpoint"), ("--region", "region")] {
        command.args([option, told.get(name).unwrap().as_str().unwrap()]);
    }
    for (option, name) in [("--owner", "acme-root"), ("--user", "mallory")] {
        let person = PEOPLE.iter().find(|person| person.name == name).unwrap();
        command.args([option, person.access_key_id, person.secret_access_key]);
    }
    command.args(["--user-arn", "arn:aws:iam::111122223333:user/mallory"]);
    isolate(&mut command, stack.directory());
    let finished = run(&mut command, Duration::from_secs(300));
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    finished.stdout
}

#[test]
fn a_store_can_be_tried() {
    for backend in [Backend::Garage, Backend::Embedded] {
        let said = tried(&Stack::start(backend, Auth::Resign));
        assert!(said.ends_with("19 checks, 0 failed\n"), "{backend:?}: {said}");
    }
}
