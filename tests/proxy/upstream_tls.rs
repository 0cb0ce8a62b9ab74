//! TLS towards the store: a private authority is believed, and nobody else.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::s3::address::BucketName;
use portcullis::upstream::{ControlClient, ControlSettings, Endpoint, Endpoints, Trust, UpstreamCredentials};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::support::{Options, Proxy, Store, first_line};

/// An authority of a test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn trust(&self) -> Trust {
        Trust::Only(vec![self.0.der().clone()])
    }

    /// A store with a certificate for `name`. It answers every request with `ok`, over HTTP/1.1.
    async fn store(&self, name: &str) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, acceptor(certificate.der().clone(), &key)));
        address
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    // Offered, and not to be taken: what stands here speaks HTTP/1.1 whatever it says.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut connections = JoinSet::new();
    loop {
        let stream = listener.accept().await.unwrap().0;
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            // A client that does not believe us is what some tests are about.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (mut read, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut piece).await {
                read.extend_from_slice(&piece[..count]);
                if read.ends_with(b"\r\n\r\n") {
                    read.clear();
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            }
        });
    }
}

fn endpoints(urls: &[String], trust: Trust) -> Endpoints {
    let urls = urls.iter().map(|url| Endpoint::parse(url).unwrap());
    Endpoints::new(urls, trust, Duration::from_secs(10)).unwrap()
}

fn control(endpoints: Endpoints) -> ControlClient {
    let (region, timeout) = ("us-east-1".to_owned(), Duration::from_secs(10));
    ControlClient::new(ControlSettings { endpoints, region, credentials: UpstreamCredentials::default(), timeout })
        .unwrap()
}

/// What is logged on this thread, which is all there is in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn ask(proxy: &Proxy) -> (String, String) {
    let mut client = proxy.connect().await;
    client.send("GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n").await;
    let (head, body) = client.answer().await;
    (first_line(&head).to_owned(), body)
}

#[tokio::test]
async fn a_private_authority_vouches_for_the_store_by_name_or_address() {
    let authority = Authority::new("ours");
    for name in ["127.0.0.1", "localhost"] {
        let store = authority.store(name).await;
        let endpoints = endpoints(&[format!("https://{name}:{}", store.port())], authority.trust());
        let proxy = Proxy::start_endpoints(endpoints.clone(), Options::default()).await;
        assert_eq!(ask(&proxy).await, ("HTTP/1.1 200 OK".to_owned(), "ok".to_owned()), "{name}");
        let control = control(endpoints);
        control.reachable().await.unwrap();
        assert!(control.head_bucket(&BucketName::parse("demo").unwrap()).await.unwrap());
    }
}

#[tokio::test]
async fn who_is_not_vouched_for_gets_no_request_and_the_log_says_why() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let cases = [
        ("another authority", other.store("127.0.0.1").await, "UnknownIssuer"),
        ("another name", authority.store("store.example").await, "not valid for name"),
    ];
    for (case, store, reason) in cases {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let url = format!("https://{store}");
        let endpoints = endpoints(std::slice::from_ref(&url), authority.trust());
        let proxy = Proxy::start_endpoints(endpoints.clone(), Options::default()).await;
        let (status, body) = ask(&proxy).await;
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable", "{case}");
        assert!(body.contains("<Code>ServiceUnavailable</Code>") && !body.contains(reason), "{case}: {body}");
        let text = log.text();
        let told = |line: &str| line.contains(reason) && line.contains(&url) && line.contains("is ejected");
        assert!(text.lines().any(told), "{case}: {text}");

        let control = control(endpoints);
        for error in [
            control.reachable().await.unwrap_err(),
            control.head_bucket(&BucketName::parse("demo").unwrap()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(reason), "{case}: {error}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_with_a_wrong_certificate_is_ejected_and_another_is_asked() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let (wrong, right) = (other.store("127.0.0.1").await, authority.store("127.0.0.1").await);
    let endpoints = endpoints(&[wrong, right].map(|store| format!("https://{store}")), authority.trust());
    let proxy = Proxy::start_endpoints(endpoints.clone(), Options::default()).await;
    for _ in 0..3 {
        assert_eq!(ask(&proxy).await.1, "ok");
    }
    let ejected: Vec<_> = endpoints.ejected().map(ToString::to_string).collect();
    assert_eq!(ejected, [format!("https://{wrong}")]);
    control(endpoints).reachable().await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_is_never_finished_ends_with_the_time_for_connecting() {
    let silent = Store::start().await;
    let url = Endpoint::parse(&format!("https://{}", silent.address())).unwrap();
    let endpoints = Endpoints::new([url], Authority::new("ours").trust(), Duration::from_millis(50)).unwrap();
    let proxy = Proxy::start_endpoints(endpoints, Options::default()).await;
    assert_eq!(ask(&proxy).await.0, "HTTP/1.1 503 Service Unavailable");
}
