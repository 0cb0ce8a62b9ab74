//! A server in a directory, the command line, and clients that keep changing policies.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use portcullis::config;
use portcullis::identity::file::IdentityFile;
use portcullis::server::Server;
use serde_json::Value;
use tokio::sync::oneshot;

const TOKEN: &str = "a-token-of-the-tests";
const ACCOUNT: &str = "111122223333";

/// The configuration, less where policies are kept.
const CONFIG: &str = "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
     [upstream]\nendpoint = \"embedded:data\"\n[ownership]\ndefault_account = \"111122223333\"\n\
     [log]\nlevel = \"error\"\naudit = \"audit.jsonl\"\n[store]\n";

/// A policy for `bucket`, told apart from others by its number.
pub(crate) fn policy(bucket: &str, n: u64) -> String {
    format!(
        "{{\"Version\": \"2012-10-17\",\n \"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"{ACCOUNT}\"}},\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::{bucket}/{n}\"}}]}}\n"
    )
}

/// A directory with buckets, identities and a configuration.
pub(crate) struct Ground(tempfile::TempDir);

impl Ground {
    pub(crate) fn new(buckets: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for bucket in buckets {
            fs::create_dir_all(path.join("data").join(bucket)).unwrap();
        }
        fs::write(path.join("token"), TOKEN).unwrap();
        let keys = "root_keys = [{ access_key_id = \"ROOT\", secret_access_key = \"root-secret\" }]";
        fs::write(path.join("identities.toml"), format!("[[account]]\nid = \"{ACCOUNT}\"\n{keys}\n")).unwrap();
        fs::write(path.join("proxy.toml"), CONFIG).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts a server that keeps its policies in `place`.
    pub(crate) async fn serve(&self, place: &str) -> Running {
        let text = format!("{CONFIG}url = \"{place}\"\n");
        let settings = config::parse(&text, "proxy.toml", self.0.path(), &|_| None).unwrap().settings;
        let identities = IdentityFile::load(&self.path("identities.toml")).unwrap();
        let server = Server::bind(settings, Arc::new(identities)).await.unwrap();
        let admin = server.admin_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = tokio::spawn(async move {
            let ended = server.run(async move {
                let _ = stopped.await;
            });
            ended.await.unwrap();
        });
        Running { admin, stop, run }
    }

    /// Runs `portcullis policy` with these arguments.
    pub(crate) async fn policy(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("policy").args(arguments).current_dir(self.0.path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Said {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }

    /// Runs `portcullis policy migrate`, and reads its counts.
    pub(crate) async fn migrate(&self, from: &str, to: &str, more: &[&str]) -> (Said, Value) {
        let said = self.policy(&[&["migrate", "--json", "--from", from, "--to", to], more].concat()).await;
        let counts = serde_json::from_str(&said.out).unwrap_or(Value::Null);
        (said, counts)
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

/// A running server.
pub(crate) struct Running {
    pub(crate) admin: SocketAddr,
    stop: oneshot::Sender<()>,
    run: tokio::task::JoinHandle<()>,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.admin)
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.run.await.unwrap();
    }

    /// The status and body of a call of the admin API.
    pub(crate) async fn call(&self, method: &'static str, path: &str, body: &str) -> (u16, String) {
        let (admin, path, body) = (self.admin, path.to_owned(), body.to_owned());
        tokio::task::spawn_blocking(move || call(admin, method, &path, &body)).await.unwrap()
    }

    pub(crate) async fn put(&self, bucket: &str, n: u64) {
        let (status, body) = self.call("PUT", &format!("/v1/buckets/{bucket}/policy"), &policy(bucket, n)).await;
        assert_eq!(status, 200, "{body}");
    }

    /// All that is kept, less the numbers of the revisions.
    pub(crate) async fn kept(&self) -> Vec<Value> {
        let (status, body) = self.call("GET", "/v1/archive", "").await;
        assert_eq!(status, 200, "{body}");
        let mut page: Value = serde_json::from_str(&body).unwrap();
        let mut records = page["records"].take().as_array().unwrap().clone();
        for record in &mut records {
            let Some(revisions) = record["revisions"].as_array_mut() else { continue };
            for revision in revisions {
                revision.as_object_mut().unwrap().remove("revision");
            }
        }
        records
    }
}

fn call(admin: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Puts one policy after the other, until one is refused.
pub(crate) struct Writer {
    pub(crate) bucket: &'static str,
    /// The number of the last policy that was acknowledged.
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<u16>,
}

impl Writer {
    pub(crate) fn start(server: &Running, bucket: &'static str) -> Self {
        let (admin, acknowledged) = (server.admin, Arc::new(AtomicU64::new(0)));
        let last = Arc::clone(&acknowledged);
        let thread = std::thread::spawn(move || {
            loop {
                let n = last.load(Ordering::SeqCst) + 1;
                let (status, _) = call(admin, "PUT", &format!("/v1/buckets/{bucket}/policy"), &policy(bucket, n));
                if status != 200 {
                    return status;
                }
                last.store(n, Ordering::SeqCst);
            }
        });
        Self { bucket, acknowledged, thread }
    }

    pub(crate) async fn has_written(&self, n: u64) {
        while self.acknowledged.load(Ordering::SeqCst) < n {
            assert!(!self.thread.is_finished(), "{} was refused", self.bucket);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The last number that was acknowledged, and the status that ended it.
    pub(crate) async fn ended(self) -> (u64, u16) {
        let status = tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
        (self.acknowledged.load(Ordering::SeqCst), status)
    }
}

/// The files of objects below a directory.
pub(crate) fn object(ground: &Ground, place: &str) -> PathBuf {
    let path = ground.path("data").join(place);
    assert!(Path::new(&path).is_file(), "{}", path.display());
    path
}
