//! Tools the suite needs, installed once into a directory outside the tree and shared by every later run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `$PORTCULLIS_TEST_CACHE`, else `portcullis` in the user's cache directory.
pub(crate) fn directory() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("PORTCULLIS_TEST_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("portcullis")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/portcullis")))
        .expect("PORTCULLIS_TEST_CACHE, XDG_CACHE_HOME or HOME must be set: the test tools are kept there");
    fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("cannot create {}: {e}", directory.display()));
    directory
}

/// A program of the Python environment: `python`, `aws`, `moto_server`.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| install_python_environment("python", "requirements.txt")).join("bin").join(name)
}

pub(crate) fn in_suite(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(path)
}

pub(crate) fn install_python_environment(name: &str, requirements: &str) -> PathBuf {
    let requirements = in_suite(requirements);
    let wanted = fs::read_to_string(&requirements).unwrap();
    let home = directory().join(name);
    install_once(&home, &wanted, || {
        must_run(
            Command::new("python3").args(["-m", "venv"]).arg(&home),
            "the end-to-end tests need python3 with venv",
        );
        must_run(
            Command::new(home.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&requirements),
            &format!("pip could not install {}", requirements.display()),
        );
    });
    home
}

/// Runs `install` for a directory, unless it was installed for the same `wanted` before. It is there when this returns.
pub(crate) fn install_once(home: &Path, wanted: &str, install: impl FnOnce()) {
    let installed = home.join("installed.txt");
    with_lock(home.file_name().unwrap().to_str().unwrap(), || {
        if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
            return;
        }
        let _ = fs::remove_dir_all(home);
        install();
        fs::write(&installed, wanted).unwrap();
    });
}

/// Installs a package of Debian's, for which this must run as root there.
pub(crate) fn apt_get_install(package: &str) {
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", package]] {
        must_run(
            Command::new("apt-get").arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"),
            &format!("{package} is needed: install it, or run as root on Debian"),
        );
    }
}

/// Runs `install` while no other test process does; a crash releases the lock.
pub(crate) fn with_lock(name: &str, install: impl FnOnce()) {
    let path = directory().join(format!("{name}.lock"));
    let lock = File::create(&path).unwrap_or_else(|e| panic!("cannot create {}: {e}", path.display()));
    lock.lock().unwrap_or_else(|e| panic!("cannot lock {}: {e}", path.display()));
    install();
}

/// Runs a command to its end; `otherwise` says what its failure means.
pub(crate) fn must_run(command: &mut Command, otherwise: &str) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{otherwise}: {command:?}: {e}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{otherwise}: {command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}
