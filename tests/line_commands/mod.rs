//! The commands that read requests and write answers, a line each, run as a user would.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Said {
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// `portcullis`, these words, and arguments.
pub(crate) fn command(words: [&str; 2], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(words).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(mut command: Command, input: impl AsRef<[u8]>) -> Said {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    // A command that does not read its input may be gone before it is written.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

const REQUESTS: usize = 100_000;
/// Far more than a slow machine takes; only what never comes takes so long.
pub(crate) const EVER: Duration = Duration::from_secs(300);

/// Streams 100,000 requests through: each answer must come although the input stays open, and meanwhile neither they nor
/// the requests may pile up.
pub(crate) fn assert_streams_in_little_memory(
    mut command: Command,
    request: impl Fn(usize) -> Value + Send + 'static,
    assert_answer: impl Fn(usize, &Value) + Send + 'static,
) {
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let (all_read, when_all_read) = mpsc::channel::<()>();
    let writer = thread::spawn(move || {
        for n in 0..REQUESTS {
            writeln!(stdin, "{}", request(n)).unwrap();
        }
        // Open until all the answers are there.
        let _ = when_all_read.recv();
    });
    let (told, tells) = mpsc::channel();
    let reader = thread::spawn(move || {
        for (n, line) in answers.enumerate() {
            assert_answer(n, &serde_json::from_str(&line.unwrap()).unwrap());
            if n + 1 == REQUESTS {
                told.send(()).unwrap();
            }
        }
    });
    let peak = tells.recv_timeout(EVER).map(|()| peak_memory(&child));
    if peak.is_err() {
        child.kill().unwrap();
    }
    drop(all_read);
    reader.join().unwrap();
    assert!(peak.is_ok(), "an answer does not come while the input is open");
    let kib = peak.unwrap();
    assert!(kib < 64 * 1024, "{kib} KiB");
    writer.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The most that a running process has held, in KiB.
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
