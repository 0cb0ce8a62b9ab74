//! Policies with conditions on TLS, and real requests that they decide: the whole server, as `proxy.toml` builds it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use portcullis::config;
use portcullis::identity::file::IdentityFile;
use portcullis::server::{ServeError, Server};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::ground::{Ground, dial_address};
use crate::policies::{ACCOUNT, ALICE, KEY, head_by};
use crate::support::soon;

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::demo/*"},
    {"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::demo/secure/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
    {"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::demo/modern/*","Condition":{"NumericLessThan":{"s3:TlsVersion":"1.3"}}},
    {"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::demo/known/*","Condition":{"Null":{"s3:TlsVersion":"true"}}}]}"#;

struct Whole {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Result<(), ServeError>>,
}

impl Whole {
    async fn start(directory: &Path, listen: &str) -> Self {
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n{listen}\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [upstream]\nendpoint = \"embedded:data\"\n[ownership]\ndefault_account = \"{ACCOUNT}\"\n\
             [log]\nlevel = \"error\"\naudit = \"audit.jsonl\"\n"
        );
        let settings = config::parse(&text, "proxy.toml", directory, &|_| None).unwrap().settings;
        let identities = IdentityFile::load(&directory.join("identities.toml")).unwrap();
        let server = Server::bind(settings, Arc::new(identities)).await.unwrap();
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let run = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { address, stop, run }
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        soon("end of the server", self.run).await.unwrap().unwrap();
    }
}

/// The answer's status and all of the answer.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("answer", stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn get(key: &str, more: &str) -> String {
    format!("{}{more}Connection: close\r\n\r\n", head_by(ALICE, "GET", &format!("/demo/{key}/k")))
}

#[tokio::test]
async fn conditions_on_tls_decide_real_requests() {
    let ground = Ground::new();
    let directory = ground.at("");
    for key in ["any", "secure", "modern", "known"] {
        std::fs::create_dir_all(ground.at(&format!("data/demo/{key}"))).unwrap();
        std::fs::write(ground.at(&format!("data/demo/{key}/k")), "the object").unwrap();
    }
    let keys =
        |(id, secret): (&str, &str)| format!("[{{ access_key_id = \"{id}\", secret_access_key = \"{secret}\" }}]");
    let identities = format!(
        "[[account]]\nid = \"{ACCOUNT}\"\nroot_keys = {}\n[[account.user]]\nname = \"alice\"\nkeys = {}\n",
        keys(KEY),
        keys(ALICE)
    );
    std::fs::write(ground.at("identities.toml"), identities).unwrap();
    ground.issue("tls", &["s3.localhost"]);

    let server = Whole::start(&directory, "tls = { cert = \"tls.crt\", key = \"tls.key\" }").await;
    let connect = |version| dial_address(b"", server.address, ground.client(&[version], &["http/1.1"]), "s3.localhost");
    let put = format!(
        "{}Content-Length: {}\r\nConnection: close\r\n\r\n{POLICY}",
        head_by(KEY, "PUT", "/demo?policy"),
        POLICY.len()
    );
    let (status, answer) = exchange(connect(&TLS13).await.unwrap(), &put).await;
    assert_eq!(status, 204, "{answer}");
    for (key, version, expected) in [
        ("any", &TLS12, 200),
        ("any", &TLS13, 200),
        ("secure", &TLS12, 200),
        ("secure", &TLS13, 200),
        ("modern", &TLS12, 403),
        ("modern", &TLS13, 200),
        ("known", &TLS12, 200),
        ("known", &TLS13, 200),
    ] {
        // What the client says of itself changes nothing.
        for more in ["", "X-Forwarded-Proto: http\r\n"] {
            let (status, answer) = exchange(connect(version).await.unwrap(), &get(key, more)).await;
            assert_eq!(status, expected, "{key} {version:?} {more}: {answer}");
            assert_eq!(answer.ends_with("the object"), expected == 200, "{answer}");
        }
    }
    server.end().await;

    // The same without TLS; then behind a trusted proxy that ended it, and does not tell the version.
    for (listen, proto, expected) in [
        ("", "https", [200, 403, 200, 403]),
        ("trusted_proxies = [\"127.0.0.0/8\"]", "https", [200, 200, 200, 403]),
        ("trusted_proxies = [\"127.0.0.0/8\"]", "http", [200, 403, 200, 403]),
    ] {
        let server = Whole::start(&directory, listen).await;
        for (key, expected) in ["any", "secure", "modern", "known"].into_iter().zip(expected) {
            let stream = TcpStream::connect(server.address).await.unwrap();
            let (status, answer) = exchange(stream, &get(key, &format!("X-Forwarded-Proto: {proto}\r\n"))).await;
            assert_eq!(status, expected, "{key} {listen} {proto}: {answer}");
        }
        server.end().await;
    }
}

#[tokio::test]
async fn a_server_does_not_start_with_certificates_that_will_not_do() {
    let ground = Ground::new();
    std::fs::write(ground.at("identities.toml"), format!("[[account]]\nid = \"{ACCOUNT}\"\n")).unwrap();
    ground.issue("tls", &["s3.localhost"]);
    ground.issue("other", &["s3.localhost"]);
    let text = "[listen]\naddress = \"127.0.0.1:0\"\ntls = { cert = \"tls.crt\", key = \"other.key\" }\n[admin]\naddress = \"\"\n\
                [upstream]\nendpoint = \"embedded:data\"\n";
    let settings = config::parse(text, "proxy.toml", &ground.at(""), &|_| None).unwrap().settings;
    let identities = IdentityFile::load(&ground.at("identities.toml")).unwrap();
    let error = Server::bind(settings, Arc::new(identities)).await.unwrap_err().to_string();
    assert!(error.contains("other.key: is not the key of the certificate in "), "{error}");
}
