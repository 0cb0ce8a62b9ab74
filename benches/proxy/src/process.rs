//! Processes on a core of their own, and what the kernel knows of them.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::at;

/// How long a proxy may take until it listens.
const START: Duration = Duration::from_secs(30);

/// A server that runs until this is dropped. All its work is done in the one process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Runs a program on the core with that number; returns once it listens. What it says goes into `log`.
    ///
    /// # Errors
    /// Where it cannot be run, ends, or does not listen in time; with the end of its log.
    pub fn start(program: &Path, arguments: &[&str], core: usize, address: SocketAddr, log: &Path) -> io::Result<Self> {
        let output = File::create(log).map_err(at(log))?;
        // It executes the program in its own place, so that the process is the program's.
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut server = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(io::Error::other(format!("{} does not listen: {said}", program.display())));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(server)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that its threads have used so far, user's and system's.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut total = Duration::ZERO;
        // In nanoseconds, where `stat` has hundredths of a second.
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let path = task?.path().join("schedstat");
            let text = match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.map_err(at(&path))?,
            };
            let on_core = text.split(' ').next().and_then(|field| field.parse().ok());
            total += Duration::from_nanos(on_core.ok_or_else(|| io::Error::other(format!("schedstat: {text}")))?);
        }
        Ok(total)
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn resident(&self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    /// The most that was resident since [`Server::forget_peak`], in bytes.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn peak(&self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    /// Lets [`Server::peak`] begin anew.
    ///
    /// # Errors
    /// Where the process is another user's.
    pub fn forget_peak(&self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5")
    }

    fn status(&self, field: &str) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.map(|count| count << 10).ok_or_else(|| io::Error::other(format!("no {field} in {text}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is wanted any more, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps this process, and the threads it starts from now on, on one core.
///
/// # Errors
/// Where there is no such core.
pub fn stay_on(core: usize) -> io::Result<()> {
    run(Command::new("taskset").args(["-a", "-c", "-p"]).arg(core.to_string()).arg(std::process::id().to_string()))
        .map(drop)
}

/// Runs a command to its end and returns what it wrote.
///
/// # Errors
/// Where it fails; with what it wrote.
pub fn run(command: &mut Command) -> io::Result<String> {
    let shown = format!("{command:?}");
    let failed = |what: String| io::Error::other(format!("{shown}: {what}"));
    match command.output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// An address of this machine that nobody listens on.
///
/// # Errors
/// Where there is none left.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
