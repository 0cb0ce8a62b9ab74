//! The commands that need no server, run as a user would: `check`, `policy validate`, `--help`.
#![cfg(feature = "proxy")]
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use std::io::{BufRead, BufReader, Write};
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

/// `x.crt` and `x.key`, for `names`.
fn issue(directory: &Path, names: &[&str]) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    std::fs::write(directory.join("x.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(directory.join("x.key"), key.serialize_pem()).unwrap();
}

const TLS: &str = "[listen]\naddress = \"127.0.0.1:0\"\ntls = { cert = \"x.crt\", key = \"x.key\" }\n[admin]\naddress = \"\"\n\
                   [upstream]\nendpoint = \"embedded:data\"\n";

/// A directory with a configuration and identities, and certificates not yet.
fn with_tls() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("proxy.toml"), TLS).unwrap();
    let identities = "[[account]]\nid = \"111122223333\"\n\
                      root_keys = [{ access_key_id = \"A\", secret_access_key = \"s\" }]\n";
    std::fs::write(directory.path().join("identities.toml"), identities).unwrap();
    directory
}

#[test]
fn a_check_looks_at_the_certificates_too() {
    let directory = with_tls();
    let missing = "error: x.crt: cannot be read: No such file or directory (os error 2)\n\
                   error: x.key: cannot be read: No such file or directory (os error 2)\n";
    for command in ["check", "serve"] {
        let said = portcullis(directory.path(), &[command], "");
        assert_eq!((&*said.err, said.code), (missing, Some(1)), "{command}");
    }
    issue(directory.path(), &["s3.test", "*.s3.test"]);
    let said = portcullis(directory.path(), &["check"], "");
    let told = "x.crt: ok, for s3.test, *.s3.test, until 2021-01-01T00:00:00Z\n";
    assert!(said.out.ends_with(told) && said.code == Some(0), "{said:?}");
    let warned = "warning: x.crt: the certificate expired at 2021-01-01T00:00:00Z: clients will refuse it\n";
    assert!(said.err.contains(warned), "{said:?}");
    let key = std::fs::read(directory.path().join("x.key")).unwrap();
    issue(directory.path(), &["s3.test"]);
    std::fs::write(directory.path().join("x.key"), key).unwrap();
    let said = portcullis(directory.path(), &["check"], "");
    assert_eq!(said.err, "error: x.key: is not the key of the certificate in x.crt\n");
}

#[test]
fn certificates_are_read_again_when_they_change_and_at_a_hangup() {
    let directory = with_tls();
    issue(directory.path(), &["s3.test"]);
    let mut server = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("serve")
        .current_dir(directory.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut wait_for = |what: &str| assert!(lines.any(|line| line.contains(what)), "it ended without: {what}");
    wait_for("x.crt: the certificate expired at 2021-01-01T00:00:00Z");
    wait_for("serving");

    issue(directory.path(), &["s3.test"]);
    wait_for("certificates re-read");
    wait_for("x.crt: the certificate expired at 2021-01-01T00:00:00Z");
    std::fs::write(directory.path().join("x.key"), "").unwrap();
    wait_for("the new certificates are refused; the old ones stay in force");
    wait_for("x.key: is empty");
    // Nothing has changed since, and whoever asks is told all the same.
    let hangup = || assert!(Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap().success());
    hangup();
    wait_for("identities re-read");
    wait_for("the new certificates are refused; the old ones stay in force");
    issue(directory.path(), &["s3.test"]);
    hangup();
    wait_for("certificates re-read");
    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());
    assert!(server.wait().unwrap().success());
}
