//! A connection to an endpoint: name, TCP, and TLS where the endpoint wants it.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::endpoint::Endpoint;
use crate::layer::BoxError;

/// An open connection.
pub(super) type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    limit: Duration,
}

/// There is no connection to be had.
#[derive(Debug)]
pub(super) struct ConnectError {
    endpoint: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Failed(BoxError),
    TimedOut(Duration),
}

impl Connector {
    /// `limit` is for all of it: finding the address, connecting, shaking hands.
    pub(super) fn new(tls: ClientConfig, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among the addresses of a name, so that one that is silent leaves time for the next.
        tcp.set_connect_timeout(Some(limit));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        Self { https, limit }
    }

    /// How long connecting may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// A new connection to `endpoint`. Its host is the name that a certificate must be for.
    ///
    /// # Errors
    /// [`ConnectError`] with all that is known of why not.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Stream, ConnectError> {
        let failed = |cause| ConnectError { endpoint: endpoint.to_string(), cause };
        let uri =
            endpoint.uri(PathAndQuery::from_static("/")).map_err(|error| failed(Cause::Failed(Box::new(error))))?;
        let mut https = self.https.clone();
        let connected = timeout(self.limit, async {
            poll_fn(|cx| https.poll_ready(cx)).await?;
            https.call(uri).await
        });
        match connected.await {
            Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
            Ok(Err(error)) => Err(failed(Cause::Failed(error))),
            Err(_) => Err(failed(Cause::TimedOut(self.limit))),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection to {}: ", self.endpoint)?;
        match &self.cause {
            Cause::Failed(error) => Chain(error.as_ref()).fmt(f),
            Cause::TimedOut(limit) => write!(f, "none in {limit:?}"),
        }
    }
}

impl StdError for ConnectError {}

/// An error with all that caused it, on one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn StdError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
