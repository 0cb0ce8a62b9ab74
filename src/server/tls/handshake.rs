//! From bytes to a TLS connection, or to the reason there is none.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::layer::{ClientTls, TlsVersion};
use crate::s3::error::{ErrorCode, S3Error};
use crate::server::activity::{Activity, WatchedWrites};
use crate::upstream::respond::error_response;

/// The first byte of every TLS connection: a record of the handshake (RFC 8446, section 5.1). No HTTP begins so.
const HANDSHAKE_RECORD: u8 = 22;

/// How much is read, in bytes, and thrown away of a client that speaks without TLS, so that it comes to read its answer.
const PATIENCE: u64 = 1 << 20;

/// Shakes hands on `stream`, for as long as it takes. A request without TLS is answered `400 InvalidRequest`: it is
/// decided by nobody, and its sender, who spoke in the clear, is told why.
///
/// # Errors
/// [`HandshakeError`]; the connection is then to be closed.
pub(crate) async fn handshake(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    activity: &Arc<Activity>,
) -> Result<(TlsStream<WatchedWrites<TcpStream>>, ClientTls), HandshakeError> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(HandshakeError::Closed);
    }
    let [first] = first;
    if first != HANDSHAKE_RECORD {
        // A method begins with a letter, and so does the preface of HTTP/2.
        if first.is_ascii_alphabetic() {
            refuse(&mut stream).await?;
        }
        return Err(HandshakeError::Plain);
    }
    let socket = WatchedWrites::new(stream, Arc::clone(activity));
    let stream = TlsAcceptor::from(config).accept(socket).await?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::V1_2),
        Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::V1_3),
        _ => None,
    };
    Ok((stream, ClientTls { version }))
}

async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    let error = S3Error::new(ErrorCode::InvalidRequest).with_message("This port speaks TLS: use https.");
    stream.write_all(&serialized(error_response(&error, "/")).await).await?;
    // Closed with unread bytes, the connection would be reset, and the answer with it.
    stream.shutdown().await?;
    copy(&mut stream.take(PATIENCE), &mut sink()).await?;
    Ok(())
}

async fn serialized(response: Response<Full<Bytes>>) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_or_else(|never| match never {}, http_body_util::Collected::to_bytes);
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// There is no TLS to be had.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The other end closed before it said anything.
    Closed,
    /// The other end does not speak it.
    Plain,
    /// It failed, or the connection broke.
    Io(io::Error),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("no TLS handshake: the connection was closed before it"),
            Self::Plain => f.write_str("no TLS handshake: something else was sent"),
            Self::Io(error) => write!(f, "no TLS handshake: {error}"),
        }
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed | Self::Plain => None,
            Self::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
