//! The program, run on a directory of its own: an embedded store with the bucket `photos`, and an account that owns it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;

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
        fs::set_permissions(at("token"), fs::Permissions::from_mode(0o600)).unwrap();
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
    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        self.server.signal("TERM");
        let status = self.server.wait(SOON);
        assert!(status.success(), "{status}");
        drop(self.server);
        self.directory
    }

    /// Puts a file in its directory, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// Writes `proxy.toml` anew, with the same addresses.
    pub(crate) fn rewrite(&self, listen: &str, more: &str) {
        self.write("proxy.toml", &proxy_toml(self.address, self.admin, listen, more));
    }

    /// Waits until the log says this.
    #[track_caller]
    pub(crate) fn until_said(&self, words: &str) {
        assert!(eventually(SOON, || self.server.stderr().contains(words)), "nothing in the log of {words:?}");
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
         [identity]\nfile = \"identities.toml\"\n[ownership]\nsources = [\"static\", \"default\"]\n\
         default_account = \"{ACCOUNT}\"\n{more}\n"
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

/// A connection for one request after the other.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer()
    }

    /// The same, where the connection may be closed.
    pub(crate) fn try_ask(&mut self, request: &str) -> std::io::Result<Answer> {
        self.0.get_mut().write_all(request.as_bytes())?;
        self.try_answer()
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().unwrap()
    }

    /// The next answer, where there is one.
    pub(crate) fn try_answer(&mut self) -> std::io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut answer = Answer::parse(head.as_bytes());
        let length = answer.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body)?;
        answer.body = String::from_utf8(body).unwrap();
        Ok(answer)
    }
}

/// A request that is signed with the key `key`, whose secret is `KEY-secret`.
pub(crate) fn signed(method: &str, target: &str, key: &str, body: &str) -> String {
    let identity = Credentials::new(key, format!("{key}-secret"), None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let builder = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("s3");
    let params = builder.time(SystemTime::now()).settings(settings).build().unwrap().into();
    let url = format!("http://s3.localhost{target}");
    let headers = std::iter::once(("host", "s3.localhost"));
    let signable = SignableRequest::new(method, url, headers, SignableBody::Bytes(body.as_bytes())).unwrap();
    let (added, _) = sign(signable, &params).unwrap().into_parts().0.into_parts();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: {}\r\n", body.len());
    let head = added.iter().fold(head, |head, header| head + header.name() + ": " + header.value() + "\r\n");
    format!("{head}\r\n{body}")
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
