//! The program under test: its configuration, and its life.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::people::{ACME, OPERATOR, identity_file};
use super::process::{Server, free_address, http_status};

/// Who connects from here is believed about whom it connects for. All others come from 127.0.0.1.
pub(crate) const TRUSTED_PROXY: &str = "127.0.0.2";

/// The binary that cargo built for this test run.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    Store,
    Forward,
}

/// What differs between tests; the rest of `proxy.toml` is the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `http://…` or `embedded:DIR`.
    pub(crate) upstream: String,
    pub(crate) region: String,
    /// `preserve` or `resign`.
    pub(crate) auth: &'static str,
    pub(crate) handler: Handler,
    /// `off`, `audit` or `enforce`.
    pub(crate) enforcement: &'static str,
    pub(crate) lockout_guard: bool,
    /// For `limits.idle_timeout` and `limits.request_header_timeout`.
    pub(crate) patience: &'static str,
    pub(crate) log_format: &'static str,
    /// Where policies are kept, if not in a file.
    pub(crate) store: Option<&'static str>,
    /// Whether proxies on 127.0.0.1 may ask about requests, and are believed.
    pub(crate) authz: bool,
}

impl Settings {
    pub(crate) fn new(upstream: String, region: &str, auth: &'static str) -> Self {
        Self {
            upstream,
            region: region.to_owned(),
            auth,
            handler: Handler::Store,
            enforcement: "enforce",
            lockout_guard: true,
            patience: "60s",
            log_format: "json",
            store: None,
            authz: false,
        }
    }

    fn proxy_toml(&self, directory: &Path, listen: SocketAddr, admin: SocketAddr, authz: Option<SocketAddr>) -> String {
        let Self { upstream, region, auth, handler, enforcement, lockout_guard, patience, log_format, store, .. } =
            self;
        let trusted = if authz.is_some() { "127.0.0.1" } else { TRUSTED_PROXY };
        let authz = authz.map(|address| address.to_string()).unwrap_or_default();
        let handler = match handler {
            Handler::Store => "store",
            Handler::Forward => "forward",
        };
        let store = store.map_or_else(|| format!("redb:{}/policies.redb", directory.display()), str::to_owned);
        format!(
            r#"[listen]
address = "{listen}"
domains = ["s3.localhost"]
trusted_proxies = ["{trusted}/32"]

[admin]
address = "{admin}"

[authz]
address = "{authz}"

[upstream]
endpoint = "{upstream}"
region = "{region}"
auth = "{auth}"
access_key_id = "{key}"
secret_access_key_env = "PORTCULLIS_UPSTREAM_SECRET"

[policy]
handler = "{handler}"
enforcement = "{enforcement}"
lockout_guard = {lockout_guard}

[store]
url = "{store}"

[identity]
file = "{directory}/identities.toml"

[ownership]
sources = ["static", "registry", "default"]
default_account = "{ACME}"

[[ownership.bucket]]
name = "static-globex-*"
account = "{globex}"

[limits]
request_header_timeout = "{patience}"
idle_timeout = "{patience}"
drain_timeout = "5s"

[log]
format = "{log_format}"
level = "info"
audit = "{directory}/audit.log"
"#,
            directory = directory.display(),
            key = OPERATOR.access_key_id,
            globex = super::people::GLOBEX,
        )
    }
}

/// A running proxy with a directory of its own.
pub(crate) struct Portcullis {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Where proxies ask.
    pub(crate) authz: Option<SocketAddr>,
    pub(crate) directory: PathBuf,
    pub(crate) enforcement: &'static str,
    pub(crate) server: Server,
}

impl Portcullis {
    /// Writes `proxy.toml` and the identity file into `directory`, and starts.
    pub(crate) fn start(directory: &Path, settings: &Settings) -> Self {
        let (address, admin) = (free_address(), free_address());
        let authz = settings.authz.then(free_address);
        fs::write(directory.join("proxy.toml"), settings.proxy_toml(directory, address, admin, authz)).unwrap();
        fs::write(directory.join("identities.toml"), identity_file()).unwrap();
        let server = serve(directory, admin);
        Self { address, admin, authz, directory: directory.to_owned(), enforcement: settings.enforcement, server }
    }

    /// Starts again with the same configuration, addresses and data, after a kill.
    pub(crate) fn restart(&mut self) {
        self.server = serve(&self.directory, self.admin);
    }

    /// Stops, and starts again with another enforcement and the same data.
    pub(crate) fn restart_with(&mut self, enforcement: &'static str) {
        let file = self.directory.join("proxy.toml");
        let text = fs::read_to_string(&file).unwrap();
        let line = |mode: &str| format!("enforcement = \"{mode}\"");
        assert!(text.contains(&line(self.enforcement)), "{text}");
        fs::write(&file, text.replace(&line(self.enforcement), &line(enforcement))).unwrap();
        self.enforcement = enforcement;
        self.server.kill();
        self.restart();
    }

    /// The lines of the access log.
    pub(crate) fn access_lines(&self) -> Vec<serde_json::Value> {
        let text = self.server.stdout() + &self.server.stderr();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["target"] == "portcullis::access").collect()
    }

    /// The lines of the audit log.
    pub(crate) fn audit_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.join("audit.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn serve(directory: &Path, admin: SocketAddr) -> Server {
    // As many open files as most systems allow at first, and this machine may not.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -S -n 1024 && exec \"$0\" \"$@\""])
        .arg(binary().get_program())
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1")
        .args(["serve", "--config"])
        .arg(directory.join("proxy.toml"))
        .env("PORTCULLIS_UPSTREAM_SECRET", OPERATOR.secret_access_key);
    Server::start("portcullis", directory, &mut command).ready_when(|_| http_status(admin, "/readyz") == Some(200))
}
