//! The Dockerfile. No container engine is needed: it is linted, and what it copies is what cargo needs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{cache, repository, tools};

#[test]
fn the_dockerfile_passes_hadolint() {
    let mut hadolint = Command::new(tools::python_tool("hadolint"));
    hadolint.args(["--no-color", "--failure-threshold", "style"]).arg(repository("deploy/Dockerfile"));
    cache::must_run(&mut hadolint, "hadolint");
}

#[test]
fn the_image_is_one_program_that_is_nobody_in_particular() {
    let text = fs::read_to_string(repository("deploy/Dockerfile")).unwrap();
    let (_, last) = text.rsplit_once("\nFROM ").unwrap();
    let mut lines = last.lines();
    assert_eq!(lines.next(), Some("scratch"));
    let of = |instruction: &str| -> Vec<&str> {
        last.lines().filter_map(|line| line.strip_prefix(instruction)).map(str::trim).collect()
    };
    assert_eq!(of("USER"), ["65532:65532"]);
    assert_eq!(of("ENTRYPOINT"), [r#"["/portcullis"]"#]);
    assert!(of("RUN").is_empty(), "there is nothing in scratch to run");
    assert!(of("COPY").iter().all(|copied| copied.starts_with("--from=build")));
}

/// The manifests come with one that keeps policies in etcd, and the documentation says that traces need no build of one's own.
#[test]
fn the_image_has_etcd_and_traces() {
    let text = fs::read_to_string(repository("deploy/Dockerfile")).unwrap();
    let (build, _) = text.rsplit_once("\nFROM ").unwrap();
    assert!(build.lines().any(|line| line == "ARG FEATURES=etcd,otlp"), "{build}");
    assert!(build.contains("--features \"$FEATURES\""), "{build}");
}

/// Of a copy with nothing in it but what the image's build gets, cargo can tell what it would build.
#[test]
fn the_build_gets_what_it_needs() {
    let ignore = fs::read_to_string(repository("deploy/Dockerfile.dockerignore")).unwrap();
    let context = tempfile::tempdir().unwrap();
    for name in ignore.lines().filter_map(|line| line.strip_prefix('!')) {
        copy(&repository(name), &context.path().join(name));
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(context.path()).args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&cache::must_run(&mut cargo, "cargo refuses the copy")).unwrap();
    let targets = metadata["packages"][0]["targets"].as_array().unwrap();
    assert!(targets.iter().any(|target| target["name"] == "portcullis" && target["kind"][0] == "bin"), "{targets:?}");

    // What the sources include of files beside them.
    let source = context.path().join("src");
    for file in files(&source).iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).unwrap();
        for included in text.split("include_str!(\"").skip(1) {
            let path = file.parent().unwrap().join(included.split('"').next().unwrap());
            assert!(path.is_file(), "{} includes {}", file.display(), path.display());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        return;
    }
    for file in files(from) {
        copy(&file, &to.join(file.strip_prefix(from).unwrap()));
    }
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
