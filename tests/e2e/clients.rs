//! Real clients in `resign` mode over plain HTTP in front of Garage: what each sends arrives byte for byte, and comes back.
//!
//! Objects of 0 B, 1 B, 5 MiB and 64 MiB, and one of 128 MiB for which the proxy must not need 64 more; with `PORTCULLIS_CLIENTS=full` in
//! the environment also of 1 GiB in parts, and 5 GiB for the one, and then better with `--release`. How long each took is
//! printed: `--nocapture` shows it.

use std::time::Duration;

use serde_json::Value;

use crate::support::clients::{javascript_modules, python_tool, restic};
use crate::support::process::run;
use crate::support::script::command_with;
use crate::support::{Auth, Backend, Stack};

/// No client may take longer for all its objects, whatever hangs.
const LIMIT: Duration = Duration::from_secs(1_800);

fn check(client: &str) {
    check_script("clients", client);
}

/// Runs `py/SCRIPT.py` with what `client` needs.
fn check_script(script: &str, client: &str) {
    let stack = Stack::start(Backend::Garage, Auth::Resign);
    let mut description = stack.describe();
    let mut tell = |name: &str, value: Value| description.as_object_mut().unwrap().insert(name.to_owned(), value);
    let python = python_tool("python");
    tell("clients", python.parent().unwrap().to_str().into());
    tell("pid", stack.proxy.server.id().into());
    if client.starts_with("javascript") {
        tell("javascript", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/js/transfer.cjs").into());
        tell("node_modules", javascript_modules().to_str().into());
    }
    if client == "restic" {
        tell("restic", restic().to_str().into());
    }
    let mut command = command_with(&python, script, &stack, &description);
    let finished = run(command.env("PORTCULLIS_CLIENT", client), LIMIT);
    assert_eq!(finished.code, Some(0), "{client}\n{}{}", finished.stdout, finished.stderr);
    print!("{}", finished.stdout);
}

#[test]
fn the_aws_cli() {
    check("aws");
}

#[test]
fn boto3_as_it_comes() {
    check("boto3");
}

#[test]
fn boto3_with_payload_signing() {
    check("boto3-signed");
}

#[test]
fn boto3_with_every_checksum() {
    check("boto3-checksums");
}

#[test]
fn rclone() {
    check("rclone");
}

#[test]
fn s3cmd() {
    check("s3cmd");
}

#[test]
fn the_sdk_for_javascript_from_memory() {
    check("javascript");
}

#[test]
fn the_sdk_for_javascript_streaming() {
    check("javascript-stream");
}

#[test]
fn pyarrow_by_the_sdk_for_cpp() {
    check("pyarrow");
}

#[test]
fn minio_for_python() {
    check("minio");
}

#[test]
fn restic_by_minio_for_go() {
    check("restic");
}

#[test]
fn memory_stays_flat_whatever_the_size() {
    check_script("huge", "javascript-stream");
}
