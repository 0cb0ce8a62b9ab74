//! Other people's S3 clients, and what they need.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::cache::{directory, in_suite, install_once, install_python_environment, must_run};

/// A program of the Python environment that holds other people's clients: `python`, `rclone`, `s3cmd`.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    let install = || install_python_environment("python-clients", "requirements-clients.txt");
    ENVIRONMENT.get_or_init(install).join("bin").join(name)
}

/// Where Node.js finds the packages that `js/package-lock.json` names.
pub(crate) fn javascript_modules() -> PathBuf {
    let source = in_suite("js");
    let lock = fs::read_to_string(source.join("package-lock.json")).unwrap();
    let home = directory().join("javascript");
    install_once(&home, &lock, || {
        fs::create_dir_all(&home).unwrap();
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source.join(file), home.join(file)).unwrap();
        }
        must_run(
            Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&home),
            "the end-to-end tests need Node.js with npm, which could not install tests/e2e/js",
        );
    });
    home.join("node_modules")
}

/// The program of Debian's package, unpacked and not installed.
pub(crate) fn restic() -> PathBuf {
    let home = directory().join("restic");
    install_once(&home, "restic", || {
        fs::create_dir_all(&home).unwrap();
        let mut download = Command::new("apt-get");
        download.args(["download", "restic"]).current_dir(&home);
        // Where no list of packages was fetched yet, it knows none.
        if !download.output().is_ok_and(|output| output.status.success()) {
            must_run(Command::new("apt-get").arg("update"), "the end-to-end tests need Debian's package restic");
            must_run(&mut download, "apt-get could not download restic");
        }
        let mut files = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
        let package = files.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        must_run(
            Command::new("dpkg-deb").arg("--extract").arg(package.expect("a package was downloaded")).arg(&home),
            "restic could not be unpacked",
        );
    });
    home.join("usr/bin/restic")
}
