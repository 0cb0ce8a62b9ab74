//! Writes what the last `cargo bench` measured between the two marks of `README.md`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs, io, thread};

use portcullis_benches::table::{Measurements, render};

const BEGIN: &str = "<!-- measured: written by `cargo run --bin table` -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// Those of the lock file whose speed the tables are about.
const CRATES: [&str; 5] = ["cedar-policy", "criterion", "iam-rs", "rustfs-policy", "s3s-policy"];

fn main() -> io::Result<()> {
    let results = results();
    let measured = Measurements::read(&results).map_err(|error| at(&results, &error))?;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&readme).map_err(|error| at(&readme, &error))?;
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| io::Error::other(format!("README.md: no {BEGIN}")))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| io::Error::other(format!("README.md: no {END}")))?;
    let measured = format!("{}\n{}", circumstances(&results)?, render(&measured));
    fs::write(&readme, format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

/// Where criterion leaves them.
fn results() -> PathBuf {
    if let Some(home) = env::var_os("CRITERION_HOME") {
        return home.into();
    }
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("criterion")
}

fn circumstances(results: &Path) -> io::Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism()?;
    let (newest, _) = newest(results)?.ok_or_else(|| io::Error::other("nothing was measured yet"))?;
    let date = output(Command::new("date").arg("+%Y-%m-%d").arg("-r").arg(newest))?;
    let compiler = output(Command::new("rustc").arg("--version"))?;
    let lock = include_str!("../../Cargo.lock");
    let versions: Vec<_> = CRATES.iter().map(|name| format!("{name} {}", version(lock, name))).collect();
    Ok(format!("{date}, {model} ({cores} cores), {compiler}; {}.\n", versions.join(", ")))
}

/// The file that was written last.
fn newest(within: &Path) -> io::Result<Option<(PathBuf, SystemTime)>> {
    let mut newest: Option<(PathBuf, SystemTime)> = None;
    for entry in fs::read_dir(within).map_err(|error| at(within, &error))? {
        let entry = entry?;
        let found = if entry.file_type()?.is_dir() {
            self::newest(&entry.path())?
        } else {
            Some((entry.path(), entry.metadata()?.modified()?))
        };
        newest = newest.into_iter().chain(found).max_by_key(|(_, at)| *at);
    }
    Ok(newest)
}

fn version<'l>(lock: &'l str, name: &str) -> &'l str {
    let package = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
    package.and_then(|(_, rest)| rest.split_once('"')).map_or("of unknown version", |(version, _)| version)
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?}: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
