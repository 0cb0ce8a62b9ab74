//! Certificates made for a test, and clients that trust them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::server::tls::{CertificateFiles, Certificates, ClientAuth, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Options, Proxy, soon};

pub(crate) type Secure = TlsStream<TcpStream>;

/// An authority, and a directory for what it signs.
pub(crate) struct Ground {
    directory: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { directory: tempfile::tempdir().unwrap(), authority }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes `FILE.crt` for `names`, signed by the authority, and `FILE.key`.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let (cert, key) = self.sign(names);
        let files = CertificateFiles { cert: self.at(&format!("{file}.crt")), key: self.at(&format!("{file}.key")) };
        // With its authority after it, as a whole chain.
        std::fs::write(&files.cert, cert.pem() + &self.authority.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn sign(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &self.authority).unwrap();
        (cert, key)
    }

    pub(crate) fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    pub(crate) fn authority_file(&self, name: &str) -> PathBuf {
        std::fs::write(self.at(name), self.authority_pem()).unwrap();
        self.at(name)
    }

    pub(crate) fn certificates(&self, files: &[CertificateFiles], client_auth: ClientAuth) -> Arc<Certificates> {
        Arc::new(Certificates::load(TlsFiles { certificates: files.to_vec(), client_auth }).unwrap())
    }

    pub(crate) fn options(&self, files: &[CertificateFiles], client_auth: ClientAuth) -> Options {
        Options { tls: Some(self.certificates(files, client_auth)), ..Options::default() }
    }

    /// A client that trusts the authority, speaks these versions and offers these protocols.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        self.configure(versions, protocols, None)
    }

    /// One that has a certificate of its own, signed by another's authority perhaps.
    pub(crate) fn client_with_certificate(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        signer: &Self,
    ) -> Arc<ClientConfig> {
        self.configure(versions, &["http/1.1"], Some(signer))
    }

    fn configure(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
        signer: Option<&Self>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match signer {
            None => builder.with_no_client_auth(),
            Some(signer) => {
                let (cert, key) = signer.sign(&["client"]);
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![cert.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Connects and shakes hands.
pub(crate) async fn dial(proxy: &Proxy, config: Arc<ClientConfig>, name: &str) -> io::Result<Secure> {
    dial_behind(b"", proxy, config, name).await
}

/// The same with these bytes before it.
pub(crate) async fn dial_behind(
    header: &[u8],
    proxy: &Proxy,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<Secure> {
    dial_address(header, proxy.address, config, name).await
}

pub(crate) async fn dial_address(
    header: &[u8],
    address: std::net::SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<Secure> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(header).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon("handshake", TlsConnector::from(config).connect(name, stream)).await
}

/// The certificate that the server showed.
pub(crate) fn shown(stream: &Secure) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Requests on one connection, by the protocol that was agreed on.
pub(crate) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    pub(crate) async fn new(stream: Secure) -> Self {
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            Self::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            Self::Http1(sender)
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn try_get(&mut self, path: &str) -> Result<(u16, String), String> {
        self.send(path, &[]).await.map_err(|error| error.to_string())
    }

    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        self.send(path, headers).await.unwrap()
    }

    async fn send(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String), hyper::Error> {
        let request = |uri: String| {
            headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value))
        };
        let response = match self {
            Self::Http1(sender) => {
                soon("room", sender.ready()).await?;
                let request = request(path.to_owned()).header("host", "s3").body(Full::default()).unwrap();
                soon("answer", sender.send_request(request)).await?
            }
            Self::Http2(sender) => {
                soon("room", sender.ready()).await?;
                let request = request(format!("https://s3{path}")).body(Full::default()).unwrap();
                soon("answer", sender.send_request(request)).await?
            }
        };
        let status = response.status().as_u16();
        let body = soon("body", response.into_body().collect()).await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }
}
