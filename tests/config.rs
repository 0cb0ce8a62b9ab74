//! The commands that need no server, run as a user would: `check`, `policy validate`, `--help`.
#![cfg(feature = "proxy")]
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command said and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

fn portcullis(directory: &Path, arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("PORTCULLIS_UPSTREAM_SECRET")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const VALID: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}"#;

#[test]
fn the_shipped_files_pass_the_check() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(repository().join("proxy.toml"), directory.path().join("proxy.toml")).unwrap();
    std::fs::copy(repository().join("examples/identities.toml"), directory.path().join("identities.toml")).unwrap();
    let said = portcullis(directory.path(), &["check"], "");
    assert_eq!(said.out, "proxy.toml: ok\nidentities.toml: ok, 2 accounts, 5 access keys\n", "{said:?}");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("warning: proxy.toml:"), "{said:?}");
    assert!(!said.err.contains("error"), "{said:?}");
}

#[test]
fn a_check_tells_the_problems_of_both_files_at_once() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("p.toml"),
        "[upstream]\nendpoint = \"http://127.0.0.1:1\"\ntime_out = \"3s\"\n",
    )
    .unwrap();
    let said = portcullis(directory.path(), &["check", "--config", "p.toml"], "");
    assert_eq!(
        said.err,
        "error: p.toml:3:1: `upstream.time_out`: unknown key (did you mean `connect_timeout`?)\n\
         error: identities.toml: cannot be read: No such file or directory (os error 2); `examples/identities.toml` is \
         one to begin with\n"
    );
    assert_eq!((said.out.as_str(), said.code), ("", Some(1)));
    let said = portcullis(directory.path(), &["check", "--config", "none.toml"], "");
    assert_eq!(said.err, "error: none.toml: cannot be read: No such file or directory (os error 2)\n");
    assert_eq!(said.code, Some(1));
}

#[test]
fn serve_refuses_what_check_refuses() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("proxy.toml"), "[policy]\nenforcement = \"on\"\n").unwrap();
    let checked = portcullis(directory.path(), &["check"], "");
    let served = portcullis(directory.path(), &["serve"], "");
    assert_eq!(served, checked);
    assert!(served.err.contains("`on` is not one of `off`, `audit`, `enforce`"), "{served:?}");
    assert_eq!(served.code, Some(1));
}

#[test]
fn a_valid_policy_is_valid_from_a_file_and_from_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("policy.json"), VALID).unwrap();
    for file in ["policy.json", "-"] {
        let said = portcullis(directory.path(), &["policy", "validate", "--bucket", "photos", file], VALID);
        assert_eq!(said.code, Some(0), "{file} {said:?}");
        assert!(said.out.starts_with("valid: ") && said.out.ends_with(" of 20480 bytes when normalised\n"), "{said:?}");
    }
}

#[test]
fn an_invalid_policy_is_told_of_in_the_words_of_the_api() {
    let directory = tempfile::tempdir().unwrap();
    let oversized = " ".repeat(70_000);
    for (policy, bucket, message) in [
        ("", "photos", "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "photos", "This policy contains invalid Json"),
        ("{}", "photos", "Missing required field Statement"),
        (VALID, "other", "Policy has invalid resource"),
        (&oversized, "photos", "Normalized policy document exceeds the maximum allowed size of 20480 bytes"),
    ] {
        let said = portcullis(directory.path(), &["policy", "validate", "--bucket", bucket, "-"], policy);
        let first = said.err.lines().next().unwrap_or_default();
        assert_eq!(first, format!("error: MalformedPolicy: {message}"), "{said:?}");
        assert_eq!((said.out.as_str(), said.code), ("", Some(1)), "{message}");
    }
}

#[test]
fn exit_codes_tell_a_wrong_command_line_from_a_wrong_file() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, code, words) in [
        (&["--help"][..], 0, "Usage: portcullis <COMMAND>"),
        (&["--version"], 0, env!("CARGO_PKG_VERSION")),
        (&["serve", "--help"], 0, "[default: proxy.toml]"),
        (&["sandbox", "--help"], 0, "[default: 127.0.0.1:9000]"),
        (&[], 2, "Usage: portcullis <COMMAND>"),
        (&["served"], 2, "a similar subcommand exists: 'serve'"),
        (&["policy", "validate", "-"], 2, "--bucket <BUCKET>"),
        (&["policy", "validate", "--bucket", "x", "-"], 2, "`x` is not a bucket name"),
        (&["policy", "validate", "--bucket", "photos", "none.json"], 1, "none.json: cannot be read"),
        (&["sandbox", "--listen", "0.0.0.0:9000"], 2, "loopback"),
    ] {
        let said = portcullis(directory.path(), arguments, "");
        assert_eq!(said.code, Some(code), "{arguments:?} {said:?}");
        assert!(format!("{}{}", said.out, said.err).contains(words), "{arguments:?} {said:?}");
        assert!(!said.err.contains('\x1b') && !said.out.contains('\x1b'), "no colour but on a terminal: {said:?}");
    }
}

#[test]
fn a_check_warns_of_headers_that_nobody_believes() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(repository().join("examples/identities.toml"), directory.path().join("identities.toml")).unwrap();
    for (trusted, warned) in [("", true), ("\"10.0.0.0/8\"", false)] {
        let listen = format!("[listen]\nproxy_protocol = true\ntrusted_proxies = [{trusted}]\n");
        let text = format!("{listen}[upstream]\nendpoint = \"embedded:x\"\n");
        std::fs::write(directory.path().join("proxy.toml"), text).unwrap();
        let said = portcullis(directory.path(), &["check"], "");
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.err.contains("warning: proxy.toml:2:18: `listen.proxy_protocol`: "), warned, "{said:?}");
    }
}
