//! The endpoints of one store: who gets a request is for `balance.rs` to say; here they are connected to, left out when
//! they accept no connections, and probed until they do.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::balance::{Attempts, Balance, Load, Standing};
use super::connect::{ConnectError, Connector, Stream};
use super::endpoint::Endpoint;
use super::tls::{TlsError, Trust, client_config};

/// The places one store is at, each as good as any other. Clones share what is known of them, so that what one part of
/// the program finds out counts for all.
#[derive(Clone)]
pub struct Endpoints {
    shared: Arc<Shared>,
    trust: Trust,
}

struct Shared {
    balance: Balance,
    connector: Connector,
}

impl Endpoints {
    /// `connect_timeout` is for one connection, TLS included. `trust` says whom to believe that an `https` endpoint is
    /// the store.
    ///
    /// # Errors
    /// [`TlsError`] where an endpoint is `https` and there are no certificates to trust.
    pub fn new(
        endpoints: impl IntoIterator<Item = Endpoint>,
        trust: Trust,
        connect_timeout: Duration,
    ) -> Result<Self, TlsError> {
        let balance = Balance::new(endpoints);
        let is_https = balance.standings().iter().any(|standing| standing.endpoint().is_https());
        let connector = Connector::new(client_config(&trust, is_https)?, connect_timeout);
        Ok(Self { shared: Arc::new(Shared { balance, connector }), trust })
    }

    /// How long connecting may take.
    pub fn connect_timeout(&self) -> Duration {
        self.shared.connector.limit()
    }

    /// The endpoints that get no requests for now, because they accept no connections.
    pub fn ejected(&self) -> impl Iterator<Item = &Endpoint> {
        let standings = self.shared.balance.standings().iter();
        standings.filter(|standing| standing.is_ejected()).map(|standing| standing.endpoint())
    }

    pub(super) fn len(&self) -> usize {
        self.shared.balance.standings().len()
    }

    /// What TLS of others' making needs to be as ours is.
    pub(super) fn client_config(&self) -> Result<rustls::ClientConfig, TlsError> {
        let mut endpoints = self.shared.balance.standings().iter();
        client_config(&self.trust, endpoints.any(|standing| standing.endpoint().is_https()))
    }

    /// The endpoints to try one request at.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        self.shared.balance.attempts()
    }

    /// A new connection for a request that goes to this endpoint.
    pub(super) async fn connect(&self, load: &Load) -> Result<Stream, ConnectError> {
        let connected = self.shared.connector.connect(load.endpoint()).await;
        match &connected {
            Ok(_) => self.reached(load),
            Err(error) => self.unreachable(load, error),
        }
        connected
    }

    /// The endpoint accepted a connection.
    pub(super) fn reached(&self, load: &Load) {
        reached(load.standing());
    }

    /// The endpoint accepted no connection, or not with a certificate to trust.
    pub(super) fn unreachable(&self, load: &Load, error: &dyn fmt::Display) {
        let ejection = load.standing().failed(Instant::now());
        if ejection.is_new {
            tracing::warn!(endpoint = %load.endpoint(), %error, "an endpoint of the object store is ejected");
        }
        if let Some(at) = ejection.probe_at {
            tokio::spawn(probe(Arc::downgrade(&self.shared), Arc::clone(load.standing()), at));
        }
    }

    /// Whether any endpoint accepts connections; asked of all of them at once. What is found out is for whoever asks: it
    /// changes nothing about who gets requests.
    ///
    /// # Errors
    /// What each of them said.
    pub(super) async fn reachable(&self) -> Result<(), String> {
        let mut asked = JoinSet::new();
        for standing in self.shared.balance.standings() {
            let (standing, connector) = (Arc::clone(standing), self.shared.connector.clone());
            asked.spawn(async move { connector.connect(standing.endpoint()).await.map(drop) });
        }
        let mut failures = Vec::new();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => failures.push(error.to_string()),
                Err(error) => failures.push(error.to_string()),
            }
        }
        failures.sort_unstable();
        Err(failures.join("; "))
    }
}

/// Connects every now and then, until that works or nobody wants to know.
async fn probe(shared: Weak<Shared>, standing: Arc<Standing>, mut at: Instant) {
    loop {
        sleep_until(at).await;
        // Whoever had the endpoints is gone, or a request has got through in the meantime.
        let Some(shared) = shared.upgrade() else { return };
        if !standing.needs_probe() {
            return;
        }
        match shared.connector.connect(standing.endpoint()).await {
            Ok(_) => {
                reached(&standing);
                at = Instant::now();
            }
            Err(error) => {
                tracing::debug!(%error, "an endpoint of the object store is still ejected");
                at = standing.probe_failed(Instant::now());
            }
        }
    }
}

fn reached(standing: &Standing) {
    if standing.reached() {
        tracing::info!(endpoint = %standing.endpoint(), "an endpoint of the object store is back");
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("standings", &self.shared.balance.standings()).finish_non_exhaustive()
    }
}
