//! Runs the Python scripts.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::cache::python_tool;
use super::process::{Finished, run};
use super::stack::Stack;

/// No script may take longer, whatever hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `tests/e2e/py/NAME.py` against the stack; panics with its output when it fails.
pub(crate) fn check(name: &str, stack: &Stack) {
    if let Some(failure) = failure(name, stack) {
        panic!("{failure}");
    }
}

/// Runs it, and answers how it failed and what it printed; nothing when it did not.
pub(crate) fn failure(name: &str, stack: &Stack) -> Option<String> {
    outcome(name, &mut command(name, stack))
}

/// Runs it with clients that connect to `front`, a proxy before the stack that is called so.
pub(crate) fn check_through(front: (&str, SocketAddr), name: &str, stack: &Stack) {
    let mut told = stack.describe();
    let fields = told.as_object_mut().unwrap();
    fields.insert("front".to_owned(), front.0.into());
    fields.insert("endpoint".to_owned(), format!("http://{}", front.1).into());
    let mut command = command(name, stack);
    if let Some(failure) = outcome(name, command.env("PORTCULLIS_E2E", told.to_string())) {
        panic!("{failure}");
    }
}

fn outcome(name: &str, command: &mut Command) -> Option<String> {
    let Finished { code, stdout, stderr } = run(command, LIMIT);
    let ended = code.map_or_else(|| format!("did not end within {LIMIT:?}"), |code| format!("exited with {code}"));
    (code != Some(0)).then(|| format!("{name}.py {ended}\n{stdout}{stderr}"))
}

/// The command that runs `tests/e2e/py/NAME.py`.
pub(crate) fn command(name: &str, stack: &Stack) -> Command {
    command_with(&python_tool("python"), name, stack, &stack.describe())
}

/// The same by another interpreter and with more to tell.
pub(crate) fn command_with(python: &Path, name: &str, stack: &Stack, description: &Value) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/e2e/py/{name}.py"));
    let mut command = Command::new(python);
    // -B: no compiled files in the tree.
    command.args(["-B", "-u"]).arg(script).env("PORTCULLIS_E2E", description.to_string());
    isolate(&mut command, stack.directory());
    command
}

/// Keeps the machine's own AWS and proxy settings out of a client.
pub(crate) fn isolate(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(&name);
        }
    }
    command
        .env("HOME", home)
        .env("AWS_CONFIG_FILE", home.join("no-aws-config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", home.join("no-aws-credentials"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "");
}
