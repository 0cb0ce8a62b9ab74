//! Finds a connection for a request, at whichever endpoint has one, and sends it there: once.
//!
//! A request goes to another endpoint, or to another connection of the same, only where nothing of it was sent and
//! nothing of its body asked for: because there was no connection, or because the one it was for ended first. Whatever
//! happens later is told to the client, who alone knows whether the request may be repeated.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Body;

use super::balance::Load;
use super::connect::ConnectError;
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::http1::response::ResponseHead;
use super::http1::{Broken, Connection, Exchange, Failure, Incoming};
use super::pool::{Pool, Slot};
use crate::layer::BoxError;
use crate::s3::error::S3Error;

/// Sends requests.
pub(super) struct Dispatcher {
    endpoints: Endpoints,
    /// One for each endpoint, in the same order.
    pools: Box<[Pool]>,
    response_header_timeout: Duration,
}

/// A store's answer, and what it takes until its body has been read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: ResponseHead,
    pub(super) body: Incoming,
    pub(super) slot: Slot,
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
    /// The connection ended before the answer came.
    Broken(Broken),
    /// The store said nothing for so long.
    TimedOut(Duration),
    /// The request's own body failed.
    Body(BoxError),
}

impl Dispatcher {
    /// With at most so many connections at once to each endpoint, which may take so long to begin an answer.
    pub(super) fn new(endpoints: Endpoints, max_connections: Option<usize>, response_header_timeout: Duration) -> Self {
        let pools = (0..endpoints.len()).map(|_| Pool::new(max_connections)).collect();
        Self { endpoints, pools, response_header_timeout }
    }

    /// Sends `request`, which `address` makes one for the endpoint that was found: once for each that is tried, the
    /// last one's being the one that counts.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(super) async fn send<B>(
        &self,
        mut request: Request<B>,
        address: impl Fn(&mut Request<B>, &Endpoint) -> Result<(), S3Error>,
    ) -> Result<Answer, Unanswered>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let mut last = Unanswered::Unreachable(None);
        for load in self.endpoints.attempts() {
            // INVARIANT: there is one for each endpoint.
            let Some(pool) = self.pools.get(load.index()) else { continue };
            let limit = self.endpoints.connect_timeout();
            let mut is_addressed = false;
            loop {
                let slot = pool.slot(limit).await.ok_or(Unanswered::Crowded(limit))?;
                let connection = match self.connection(&slot, &load).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        last = Unanswered::Unreachable(Some(error));
                        break;
                    }
                };
                if !is_addressed {
                    if let Err(error) = address(&mut request, load.endpoint()) {
                        slot.give_back(connection);
                        return Err(Unanswered::Refused(error));
                    }
                    is_addressed = true;
                }
                let is_reused = connection.is_reused();
                match Exchange::new(connection, request).answer(self.response_header_timeout).await {
                    Ok((head, body)) => return Ok(Answer { head, body, slot, load }),
                    Err(Failure::Unsent(unsent, broken)) => {
                        request = *unsent;
                        last = Unanswered::Broken(broken);
                    }
                    Err(Failure::Broken(broken)) => return Err(Unanswered::Broken(broken)),
                    Err(Failure::Body(error)) => return Err(Unanswered::Body(error)),
                    Err(Failure::TimedOut(limit)) => return Err(Unanswered::TimedOut(limit)),
                }
                // An endpoint that closes even a new connection is none to insist on.
                if !is_reused {
                    break;
                }
            }
        }
        Err(last)
    }

    async fn connection(&self, slot: &Slot, load: &Load) -> Result<Box<Connection>, ConnectError> {
        match slot.idle() {
            Some(connection) => Ok(connection),
            None => Ok(slot.open(self.endpoints.connect(load).await?)),
        }
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
            Self::Broken(broken) => broken.fmt(f),
            Self::TimedOut(limit) => write!(f, "it said nothing for {limit:?}"),
            Self::Body(error) => write!(f, "the request's body failed: {error}"),
        }
    }
}
