//! The commands beside `serve`: `sandbox`, `check`, `policy validate`, `debug classify`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::cache::python_tool;
use crate::support::process::{Finished, Server, accepts, free_address, run};
use crate::support::script::{check, isolate};
use crate::support::{Auth, Backend, Stack, binary};

const SOON: Duration = Duration::from_secs(60);

/// Runs what the banner prints, as it is printed, and holds every command against the comment above it.
#[test]
fn the_sandboxs_commands_do_what_its_banner_says() {
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut sandbox = start_sandbox(directory.path(), address);
    let banner = sandbox.stdout();

    let lines: Vec<_> = banner.lines().collect();
    let steps: Vec<_> = lines
        .windows(2)
        .filter_map(|pair| Some((pair[0].strip_prefix("# ")?, pair[1])))
        .filter(|(_, command)| command.contains("aws ") || command.starts_with("curl "))
        .collect();
    let told: Vec<_> = steps.iter().map(|(what, _)| what.split([' ', ',', ':']).next().unwrap()).collect();
    for status in ["200", "204", "400", "403", "405", "the"] {
        assert!(told.contains(&status), "the banner shows no {status}:\n{banner}");
    }
    let mut last_put = "";
    for (what, command) in steps {
        let Finished { code, stdout, stderr } = paste(command, directory.path());
        let mut words = what.split([' ', ':']);
        match (words.next().unwrap(), words.next().unwrap()) {
            (status, error_code) if command.starts_with("curl ") => {
                assert!(stdout.ends_with(&format!("{status}\n")), "{what}\n{command}\n{stdout}{stderr}");
                assert_eq!(stdout.contains("<Code>"), status == "403", "{what}\n{command}\n{stdout}");
                assert!(status != "403" || stdout.contains(error_code), "{what}\n{command}\n{stdout}");
            }
            ("200", _) => assert!(code == Some(0) && !stdout.is_empty(), "{what}\n{command}\n{stdout}{stderr}"),
            ("204", _) => assert!(code == Some(0) && stdout.is_empty(), "{what}\n{command}\n{stdout}{stderr}"),
            ("the", _) => {
                let policy = last_put.split('\'').nth(1).unwrap();
                assert_eq!((code, stdout.trim_end()), (Some(0), policy), "{what}\n{command}\n{stderr}");
            }
            (_, error_code) => {
                let told = format!("({error_code})");
                assert!(code != Some(0) && stderr.contains(&told), "{what}\n{command}\n{stdout}{stderr}");
            }
        }
        if what.starts_with("204") && command.contains(" put-bucket-policy ") {
            last_put = command;
        }
    }

    sandbox.signal("INT");
    let status = sandbox.wait(Duration::from_secs(20));
    assert!(status.success(), "{status}\n{}", sandbox.stderr());
    assert!(!accepts(address), "the listener is still there");
    let left: Vec<_> = fs::read_dir(directory.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn a_second_sandbox_says_that_the_port_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let _first = start_sandbox(directory.path(), address);
    let second = run(binary().args(["sandbox", "--listen", &address.to_string()]), SOON);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains(&address.to_string()) && second.stderr.contains("--listen"), "{second:?}");
}

fn start_sandbox(directory: &Path, address: std::net::SocketAddr) -> Server {
    let temporary = directory.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = binary();
    command.args(["sandbox", "--listen", &address.to_string()]).env("TMPDIR", temporary);
    let started = Server::start("sandbox", directory, &mut command);
    started.ready_when(|server| server.stdout().contains("Ctrl-C"))
}

/// What a shell does with a pasted line.
fn paste(line: &str, home: &Path) -> Finished {
    let tools = python_tool("aws");
    let path = format!("{}:{}", tools.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", line]).env("PATH", path);
    isolate(&mut command, home);
    run(&mut command, SOON)
}

#[test]
fn validate_says_what_the_api_says() {
    check("validate", &Stack::start(Backend::Embedded, Auth::Preserve));
}

#[test]
fn check_accepts_what_serve_runs_with() {
    let stack = Stack::start(Backend::Embedded, Auth::Preserve);
    let config = stack.proxy.directory.join("proxy.toml");
    let checked =
        run(binary().args(["check", "--config"]).arg(config).env("PORTCULLIS_UPSTREAM_SECRET", "secret"), SOON);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn check_tells_every_problem_with_its_line_and_serve_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("proxy.toml");
    let text = r#"[listen]
address = "nowhere"

[upstream]
endpoint = "http://127.0.0.1:3900"
time_out = "3s"
auth = "forward"

[policy]
enforcement = "on"

[identity]
file = "identities.toml"

[limits]
idle_timeout = "soon"
"#;
    fs::write(&config, text).unwrap();
    fs::write(directory.path().join("identities.toml"), "[[account]]\nid = \"1\"\n").unwrap();
    for command in ["check", "serve"] {
        let refused = run(binary().args([command, "--config"]).arg(&config), SOON);
        assert_eq!(refused.code, Some(1), "{command}: {refused:?}");
        for (line, word) in
            [(2, "nowhere"), (6, "time_out"), (7, "forward"), (10, "on"), (16, "soon")].map(|(line, word)| {
                assert!(text.lines().nth(line - 1).unwrap().contains(word), "the test's own text");
                (format!("proxy.toml:{line}"), word)
            })
        {
            let told = refused.stderr.lines().any(|told| told.contains(&line) && told.contains(word));
            assert!(told, "{command}: nothing about {word} at {line}:\n{}", refused.stderr);
        }
        assert!(refused.stderr.contains("identities.toml:2"), "{command}:\n{}", refused.stderr);
    }
}

#[test]
fn help_and_mistakes_read_well() {
    let help = run(binary().arg("--help"), SOON);
    assert_eq!(help.code, Some(0));
    for command in ["serve", "sandbox", "check", "policy"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
    }
    let rows = [
        (vec!["serve", "--config", "/no/such/proxy.toml"], 1, "/no/such/proxy.toml"),
        (vec!["policy", "validate", "--bucket", "photos", "/no/such/policy.json"], 1, "/no/such/policy.json"),
        (vec!["policy", "validate", "--bucket", "no/bucket", "-"], 2, "no/bucket"),
        (vec!["sandbox", "--listen", "0.0.0.0:9000"], 2, "loopback"),
        (vec!["serve", "--confg", "x"], 2, "--confg"),
    ];
    for (arguments, code, word) in rows {
        let failed = run(binary().args(&arguments), SOON);
        assert_eq!(failed.code, Some(code), "{arguments:?}: {failed:?}");
        assert!(failed.stderr.contains(word) && !failed.stderr.contains("panicked"), "{arguments:?}: {failed:?}");
    }
}

/// Whatever a client of Amazon's can ask has a name here, in both addressing styles.
#[test]
fn classify_knows_every_operation_of_botocores_model() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/py/botocore_model.py");
    let mut command = Command::new(python_tool("python"));
    command.arg(script).arg(binary().get_program());
    let Finished { code, stdout, stderr } = run(&mut command, SOON);
    assert!(code == Some(0) && stdout.ends_with(" operations\n"), "{stdout}{stderr}");
}
