//! Finds a connection for a request, at whichever endpoint has one, and sends it there: once.
//!
//! A request goes to another endpoint, or to another connection of the same, only where nothing of it was sent and
//! nothing of its body asked for: because there was no connection, or because the one it was for ended first. Whatever
//! happens later is told to the client, who alone knows whether the request may be repeated.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use super::balance::Load;
use super::connect::{Chain, ConnectError};
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::pool::{Connection, Pool, Slot};
use super::upload::Upload;
use crate::layer::BoxError;
use crate::s3::error::S3Error;

/// Sends requests. Clones share their connections.
pub(super) struct Dispatcher<B> {
    endpoints: Endpoints,
    /// One for each endpoint, in the same order.
    pools: Arc<[Pool<B>]>,
}

/// A store's answer, and the load that it is until its body has been read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) load: Load,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// No endpoint accepts connections. What the last one said, unless there is none at all.
    Unreachable(Option<ConnectError>),
    /// As many connections as allowed were busy for so long.
    Crowded(Duration),
    /// The request cannot be made one for an endpoint.
    Refused(S3Error),
    /// The connection ended before the answer came, or the request's body before its time.
    Broken(hyper::Error),
}

impl<B> Dispatcher<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// With at most so many connections at once to each endpoint.
    pub(super) fn new(endpoints: Endpoints, max_connections: Option<usize>) -> Self {
        let pools = (0..endpoints.len()).map(|_| Pool::new(max_connections)).collect();
        Self { endpoints, pools }
    }

    /// Sends `request`, which `address` makes one for the endpoint that was found: once for each that is tried, the
    /// last one's being the one that counts.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(super) async fn send(
        &self,
        mut request: Request<Upload<B>>,
        address: impl Fn(&mut Request<Upload<B>>, &Endpoint) -> Result<(), S3Error>,
    ) -> Result<Answer, Unanswered> {
        let mut last = Unanswered::Unreachable(None);
        for load in self.endpoints.attempts() {
            // INVARIANT: there is one for each endpoint.
            let Some(pool) = self.pools.get(load.index()) else { continue };
            let limit = self.endpoints.connect_timeout();
            let mut is_addressed = false;
            loop {
                let slot = pool.slot(limit).await.ok_or(Unanswered::Crowded(limit))?;
                let mut connection = match self.connection(slot, &load).await {
                    Ok(connection) => connection,
                    Err(unanswered) => {
                        last = unanswered;
                        break;
                    }
                };
                if !is_addressed {
                    if let Err(error) = address(&mut request, load.endpoint()) {
                        connection.give_back();
                        return Err(Unanswered::Refused(error));
                    }
                    is_addressed = true;
                }
                let mut error = match connection.send(request).await {
                    Ok(response) => {
                        connection.give_back();
                        return Ok(Answer { response, load });
                    }
                    Err(error) => error,
                };
                let unsent = error.take_message();
                last = Unanswered::Broken(error.into_error());
                let Some(unsent) = unsent else { return Err(last) };
                request = unsent;
                // An endpoint that closes even a new connection is none to insist on.
                if !connection.is_reused() {
                    break;
                }
            }
        }
        Err(last)
    }

    async fn connection(&self, slot: Slot<B>, load: &Load) -> Result<Connection<B>, Unanswered> {
        match slot.idle() {
            Ok(connection) => Ok(connection),
            Err(slot) => {
                let stream = self.endpoints.connect(load).await;
                let stream = stream.map_err(|error| Unanswered::Unreachable(Some(error)))?;
                slot.open(stream).await.map_err(Unanswered::Broken)
            }
        }
    }
}

impl<B> Clone for Dispatcher<B> {
    fn clone(&self) -> Self {
        Self { endpoints: self.endpoints.clone(), pools: Arc::clone(&self.pools) }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(Some(error)) => error.fmt(f),
            Self::Unreachable(None) => f.write_str("there is no endpoint"),
            Self::Crowded(limit) => {
                write!(f, "all connections that `upstream.max_connections` allows were busy for {limit:?}")
            }
            Self::Refused(error) => error.fmt(f),
            Self::Broken(error) => Chain(error as &dyn StdError).fmt(f),
        }
    }
}
