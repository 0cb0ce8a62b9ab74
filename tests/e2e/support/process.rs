//! Servers as values: stopped when dropped, a panic included, with what they printed at hand.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::cache;

/// How long a server may take to start, on a machine that is also compiling.
pub(crate) const START: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Server {
    /// Starts `command`; what it prints goes to files in `directory`.
    pub(crate) fn start(name: &'static str, directory: &Path, command: &mut Command) -> Self {
        let stdout = directory.join(format!("{name}.stdout"));
        let stderr = directory.join(format!("{name}.stderr"));
        let append = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {command:?}: {e}"));
        Self { name, child, stdout, stderr }
    }

    /// Waits until `ready`; panics with the server's output when it exits first or takes longer than [`START`].
    pub(crate) fn ready_when(mut self, ready: impl Fn(&Self) -> bool) -> Self {
        let deadline = Instant::now() + START;
        while !ready(&self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} exited before it was ready: {status}", self.name);
            }
            assert!(Instant::now() < deadline, "{} was not ready within {START:?}", self.name);
            pause();
        }
        self
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `SIGKILL`: no chance to clean up.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends `signal` (`INT`, `TERM`, `HUP`).
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{signal} {}: {status}", self.name);
    }

    /// Waits for the server to end by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let mut status = None;
        let ended = eventually(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "{} still runs after {limit:?}", self.name);
        status.unwrap()
    }

    /// All it printed on standard output up to now.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap()).into_owned()
    }

    /// All it printed on standard error up to now.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        self.kill();
        if thread::panicking() {
            if let Ok(Some(status)) = ended {
                eprintln!("--- {} had ended by itself: {status}", self.name);
            }
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                let lines: Vec<_> = text.lines().collect();
                let tail = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default();
                eprintln!("--- {} {stream}, last {} lines\n{}", self.name, tail.len(), tail.join("\n"));
            }
        }
    }
}

/// Polls `condition` until it holds; false when it does not within `limit`.
pub(crate) fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        pause();
    }
}

/// Between two polls.
fn pause() {
    thread::sleep(Duration::from_millis(10));
}

/// Runs a command to its end within `limit`, and answers its status and all it printed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Finished {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start("command", directory.path(), command);
    let ended = eventually(limit, || server.child.try_wait().unwrap().is_some());
    if !ended {
        server.kill();
    }
    let status = server.child.wait().unwrap();
    Finished { code: status.code().filter(|_| ended), stdout: server.stdout(), stderr: server.stderr() }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; none when a signal, or our time limit, ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A port of 127.0.0.1 that nobody uses and that no other test is given, in another run of the suite neither: a lock
/// holds it until this process ends. It lies under the range the kernel takes clients' ports from, so no outgoing
/// connection can sit on it before the server does.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let locks = cache::directory().join("ports");
    fs::create_dir_all(&locks).unwrap();
    let free = (10_000..32_000).find_map(|port: u16| {
        let lock = File::create(locks.join(port.to_string())).unwrap();
        let is_free = lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok();
        is_free.then_some((port, lock))
    });
    let (port, lock) = free.expect("no free port under 32000");
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Whether something listens.
pub(crate) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// The status of a plain `GET`; none when nobody answers.
pub(crate) fn http_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}
