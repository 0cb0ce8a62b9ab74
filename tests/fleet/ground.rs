//! Real servers that share a place for policies, and clients that keep asking them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portcullis::config;
use portcullis::identity::file::IdentityFile;
use portcullis::server::Server;
use tokio::sync::oneshot;

const TOKEN: &str = "a-token-of-the-tests";
const ACCOUNT: &str = "111122223333";

/// Nothing here takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bucket that policies are put on.
pub(crate) const BUCKET: &str = "photos";

/// One of several servers, each with a directory of its own.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    _directory: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    run: tokio::task::JoinHandle<()>,
}

impl Replica {
    /// `upstream` and `store` are the bodies of those sections. Owners are known without asking, so that what is asked is
    /// about policies.
    pub(crate) async fn start(upstream: &str, store: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("token"), TOKEN).unwrap();
        let keys = "root_keys = [{ access_key_id = \"ROOT\", secret_access_key = \"root-secret\" }]";
        fs::write(path.join("identities.toml"), format!("[[account]]\nid = \"{ACCOUNT}\"\n{keys}\n")).unwrap();
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
             [upstream]\nauth = \"resign\"\n{upstream}\n[store]\n{store}\n\
             [ownership]\nsources = [\"default\"]\ndefault_account = \"{ACCOUNT}\"\ncache_ttl = \"1h\"\n\
             [log]\nlevel = \"error\"\naudit = \"audit.jsonl\"\n"
        );
        let settings = config::parse(&text, "proxy.toml", path, &|_| None).unwrap().settings;
        let identities = IdentityFile::load(&path.join("identities.toml")).unwrap();
        let server = Server::bind(settings, Arc::new(identities)).await.unwrap();
        let (address, admin) = (server.local_addrs()[0], server.admin_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let run = tokio::spawn(async move {
            let ended = server.run(async move {
                let _ = stopped.await;
            });
            ended.await.unwrap();
        });
        Self { address, admin, _directory: directory, stop, run }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.run.await.unwrap();
    }

    /// Puts a policy on the bucket, which lets everybody read below `n/`, and answers the status.
    pub(crate) async fn put(&self, n: u64) -> u16 {
        ask(self.admin, "PUT", &format!("/v1/buckets/{BUCKET}/policy"), &policy(n)).await.0
    }

    /// What the admin API answers to `GET ?policy`.
    pub(crate) async fn policy(&self) -> (u16, String) {
        ask(self.admin, "GET", &format!("/v1/buckets/{BUCKET}/policy"), "").await
    }

    /// What a stranger is told of an object below `n/`.
    pub(crate) async fn read(&self, n: u64) -> u16 {
        ask(self.address, "GET", &format!("/{BUCKET}/{n}/k"), "").await.0
    }

    pub(crate) async fn is_ready(&self) -> bool {
        ask(self.admin, "GET", "/readyz", "").await.0 == 200
    }

    /// What its metrics say of how old what it decides by is, in seconds. One recorder is all servers' of a process, so
    /// only one may be asked at a time.
    pub(crate) async fn staleness(&self) -> f64 {
        let (_, told) = ask(self.admin, "GET", "/metrics", "").await;
        let line = told.lines().find_map(|line| line.strip_prefix("portcullis_store_staleness_seconds "));
        line.unwrap_or_else(|| panic!("{told}")).parse().unwrap()
    }
}

/// The policy that lets everybody read below `n/`.
pub(crate) fn policy(n: u64) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{BUCKET}/{n}/*"}}]}}"#
    )
}

async fn ask(to: SocketAddr, method: &'static str, path: &str, body: &str) -> (u16, String) {
    let (path, body) = (path.to_owned(), body.to_owned());
    tokio::task::spawn_blocking(move || answer(to, method, &path, &body)).await.unwrap()
}

/// Status and body.
fn answer(to: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    // The token is for the admin API alone.
    let token = if path.starts_with("/v1/") { format!("Authorization: Bearer {TOKEN}\r\n") } else { String::new() };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\n{token}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Waits until `reached` says so, and answers how long that took.
pub(crate) async fn eventually(what: &str, mut reached: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !reached().await {
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// Clients that keep reading what no policy opens.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many for each of `replicas`. Any answer but a denial ends the test.
    pub(crate) fn start(replicas: &[Replica], each: usize) -> Self {
        let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let addresses = replicas.iter().flat_map(|replica| std::iter::repeat_n(replica.address, each));
        let threads = addresses.map(|to| {
            let (is_over, answers) = (Arc::clone(&is_over), Arc::clone(&answers));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(answer(to, "GET", &format!("/{BUCKET}/closed/k"), "").0, 403);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let threads = threads.collect();
        Self { is_over, answers, threads }
    }

    /// How many answers there were.
    pub(crate) async fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let threads = self.threads;
        tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap()))
            .await
            .unwrap();
        self.answers.load(Ordering::Relaxed)
    }
}

/// Of several lengths of time, the middle one, the 95th percentile, and the longest.
pub(crate) fn spread(mut took: Vec<Duration>) -> [Duration; 3] {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    [at(50), at(95), at(100)]
}
