//! A whole server on an etcd, with the few requests that the tests make of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use portcullis::config;
use portcullis::identity::file::IdentityFile;
use portcullis::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const ACCOUNT: &str = "111122223333";

/// A server in front of its own files, which are alike.
pub(crate) struct Replica {
    address: SocketAddr,
    admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    run: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Replica {
    /// One that asks these members of an etcd: `HOST:PORT,HOST:PORT`.
    pub(crate) async fn start(members: &str, max_staleness: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data/demo");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("a"), "hello").unwrap();
        std::fs::write(data.join("b"), "hello").unwrap();
        let identities = directory.path().join("identities.toml");
        let keys = "root_keys = [{ access_key_id = \"ROOT\", secret_access_key = \"root-secret\" }]";
        std::fs::write(&identities, format!("[[account]]\nid = \"{ACCOUNT}\"\n{keys}\n")).unwrap();
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [upstream]\nendpoint = \"embedded:data\"\nauth = \"resign\"\n\
             [store]\nurl = \"etcd://{members}/fleet\"\nmax_staleness = \"{max_staleness}\"\n\
             [ownership]\ndefault_account = \"{ACCOUNT}\"\n[log]\nlevel = \"error\"\naudit = \"audit.jsonl\"\n"
        );
        let (address, admin, stop, run) = serve(&text, directory.path(), &identities).await;
        Self { address, admin, stop: Some(stop), run, _directory: directory }
    }

    /// What anonymous gets.
    pub(crate) async fn get(&self, key: &str) -> u16 {
        http(self.address, &format!("GET /demo/{key} HTTP/1.1\r\nHost: s3.localhost\r\n"), "").await
    }

    pub(crate) async fn put_policy(&self, policy: &str) -> u16 {
        let head = signed("PUT", "/demo?policy");
        http(self.address, &format!("{head}Content-Length: {}\r\n", policy.len()), policy).await
    }

    pub(crate) async fn is_ready(&self) -> bool {
        http(self.admin, "GET /readyz HTTP/1.1\r\nHost: admin\r\n", "").await == 200
    }

    /// What its metrics say of how old what it decides by is, in seconds. One recorder is all servers' of a process, so
    /// only one may be asked at a time.
    pub(crate) async fn staleness(&self) -> f64 {
        let told = text(self.admin, "GET /metrics HTTP/1.1\r\nHost: admin\r\n", "").await;
        let line = told.lines().find_map(|line| line.strip_prefix("portcullis_store_staleness_seconds "));
        line.unwrap_or_else(|| panic!("{told}")).parse().unwrap()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.run.await.unwrap();
    }
}

/// Clients that never cease to read, and must never see but what one of the policies says.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(replicas: &Arc<Vec<Replica>>, clients: usize) -> Self {
        let (over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |n: usize| {
            let (replicas, over, answers) = (Arc::clone(replicas), Arc::clone(&over), Arc::clone(&answers));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let status = replicas[n % replicas.len()].get(["a", "b"][n % 2]).await;
                    assert!(matches!(status, 200 | 403), "{status}");
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { over, answers, clients }
    }

    pub(crate) async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        assert!(self.answers.load(Ordering::Relaxed) > 0);
    }
}

async fn serve(
    text: &str,
    directory: &Path,
    identities: &Path,
) -> (SocketAddr, SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let settings = config::parse(text, "proxy.toml", directory, &|_| None).unwrap().settings;
    let server = Server::bind(settings, Arc::new(IdentityFile::load(identities).unwrap())).await.unwrap();
    let (address, admin) = (server.local_addrs()[0], server.admin_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        let ended = server.run(async move {
            let _ = stopped.await;
        });
        ended.await.unwrap();
    });
    (address, admin, stop, run)
}

/// The head of a request of the owner's root, without the empty line.
fn signed(method: &str, target: &str) -> String {
    let identity = Credentials::new("ROOT", "root-secret", None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("http://s3.localhost{target}");
    let host = [("host", "s3.localhost")];
    let signable = SignableRequest::new(method, url, host.into_iter(), SignableBody::UnsignedPayload).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let (headers, _) = instructions.into_parts();
    headers.iter().fold(format!("{method} {target} HTTP/1.1\r\nHost: s3.localhost\r\n"), |head, header| {
        format!("{head}{}: {}\r\n", header.name(), header.value())
    })
}

/// The status that a request on a connection of its own is answered with.
async fn http(address: SocketAddr, head: &str, body: &str) -> u16 {
    let text = text(address, head, body).await;
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {text:?}"))
}

/// The whole answer.
async fn text(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A policy that opens one key to everybody.
pub(crate) fn opening(key: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::demo/{key}"}}]}}"#
    )
}
