//! The program, run on a directory of its own: an embedded store with the bucket `photos`, and an account that owns it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[path = "../e2e/support/cache.rs"]
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
pub(crate) mod cache;
#[path = "../e2e/support/process.rs"]
#[allow(dead_code, reason = "the end-to-end tests use all of it")]
pub(crate) mod process;

use self::process::{Server, eventually, free_address, http_status};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const TOKEN: &str = "a-token-of-the-tests";

/// How long anything may take, on a machine that is also compiling.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Lets everybody read what is under `public/`.
pub(crate) const PUBLIC: &str = r#"{"Statement":[{"Sid":"Public","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/public/*"}]}"#;

/// A running proxy.
pub(crate) struct Proxy {
    // Before its directory, which is dropped with all that it printed.
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) directory: tempfile::TempDir,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Proxy {
    /// Runs with this in `[listen]`, and this below the sections that every test has.
    pub(crate) fn start(listen: &str, more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), listen, more)
    }

    pub(crate) fn start_in(directory: tempfile::TempDir, listen: &str, more: &str) -> Self {
        let (address, admin) = (free_address(), free_address());
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("data/photos/public")).unwrap();
        fs::write(at("data/photos/public/hello"), "hello").unwrap();
        fs::write(at("data/photos/secret"), "secret").unwrap();
        fs::write(at("token"), TOKEN).unwrap();
        if !at("identities.toml").exists() {
            fs::write(at("identities.toml"), identities(&["ROOT"])).unwrap();
        }
        fs::write(at("proxy.toml"), proxy_toml(address, admin, listen, more)).unwrap();
        let mut command = portcullis();
        command.args(["serve", "--config"]).arg(at("proxy.toml"));
        let server = Server::start("portcullis", directory.path(), &mut command);
        let server = server.ready_when(|_| http_status(admin, "/readyz") == Some(200));
        Self { address, admin, directory, server }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a policy on `photos`, as the operator.
    pub(crate) fn put_policy(&self, policy: &str) {
        fs::write(self.path("policy.json"), policy).unwrap();
        let admin = format!("http://{}", self.admin);
        let mut command = portcullis();
        command.args(["policy", "put", "photos"]).arg(self.path("policy.json"));
        command.args(["--admin", &admin, "--token-file"]).arg(self.path("token"));
        cache::must_run(&mut command, "the policy is not put");
    }

    /// A request of nobody in particular.
    pub(crate) fn get(&self, target: &str) -> Answer {
        ask(self.address, &format!("GET {target} HTTP/1.1\r\nHost: s3.localhost\r\nConnection: close\r\n\r\n"))
    }

    pub(crate) fn scrape(&self) -> String {
        let answer = ask(self.admin, "GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
        answer.body
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.server.signal("TERM");
        let status = self.server.wait(SOON);
        assert!(status.success(), "{status}");
    }

    /// The value of a series, written as Prometheus writes it; none where there is no such series.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.scrape();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next().unwrap().parse().ok()
    }

    /// Waits for a series to have this value.
    #[track_caller]
    pub(crate) fn until_metric(&self, series: &str, value: f64) {
        let mut last = None;
        let is_so = eventually(SOON, || {
            last = self.metric(series);
            last == Some(value)
        });
        assert!(is_so, "{series} is {last:?} and not {value}");
    }
}

pub(crate) fn portcullis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

pub(crate) fn proxy_toml(address: SocketAddr, admin: SocketAddr, listen: &str, more: &str) -> String {
    format!(
        "[listen]\naddress = \"{address}\"\n{listen}\n[admin]\naddress = \"{admin}\"\ntoken_file = \"token\"\n\
         [identity]\nfile = \"identities.toml\"\n[ownership]\ndefault_account = \"{ACCOUNT}\"\n{more}\n"
    ) + if more.contains("[upstream]") { "" } else { "[upstream]\nendpoint = \"embedded:data\"\nauth = \"resign\"\n" }
}

/// An account with these root keys, whose secrets are `KEY-secret`.
pub(crate) fn identities(keys: &[&str]) -> String {
    let key = |key: &&str| format!("{{ access_key_id = \"{key}\", secret_access_key = \"{key}-secret\" }}");
    let keys: Vec<_> = keys.iter().map(key).collect();
    format!("[[account]]\nid = \"{ACCOUNT}\"\nname = \"acme\"\nroot_keys = [{}]\n", keys.join(", "))
}

/// Sends `request` and reads the answer to its end.
pub(crate) fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::parse(&answer)
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
