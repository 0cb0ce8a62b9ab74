//! New settings for a server that runs: what can be exchanged is, and what cannot is named.
//!
//! What is new counts from the next request; requests under way end by the settings they began with. So nothing waits,
//! and no connection is closed.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::ServeError;
use super::frontend::LiveFrontend;
use super::generation::{Generation, Lasting};
use super::seats::Exchange;
use crate::admin::api::AdminApi;
use crate::config::Settings;
use crate::config::settings::{Endpoint, Enforcement, StoreUrl, UpstreamAuth};
use crate::meters;
use crate::telemetry::logging;

/// A running server's settings, to be exchanged.
pub(super) struct Live {
    pub(super) lasting: Lasting,
    pub(super) current: Arc<ArcSwap<Generation>>,
    pub(super) frontend: LiveFrontend,
    pub(super) api: Option<AdminApi>,
    /// Give those who serve what a generation comes to.
    pub(super) exchanges: Vec<Exchange>,
    /// What was asked for last, all of it. Locked while it is brought into force.
    pub(super) asked: Mutex<Settings>,
}

/// What came of new settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// They are those that were asked for before.
    Unchanged,
    /// They are in force, but for what these keys say, which takes a restart.
    InForce {
        /// The keys, such as `listen.address`.
        need_restart: Vec<&'static str>,
    },
}

impl Live {
    /// Brings `settings` into force.
    ///
    /// # Errors
    /// [`ServeError`] for what cannot be made; then nothing has changed.
    pub(super) fn apply(&self, settings: Settings) -> Result<Applied, ServeError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if settings == *asked {
            return Ok(Applied::Unchanged);
        }
        let before = self.current.load_full();
        let mut new = settings.clone();
        let need_restart = keep(&before.settings, &mut new);
        let generation = Arc::new(before.next(&self.lasting, new)?);
        logging::set_level(generation.settings.log.level);
        if let Some(api) = &self.api {
            api.replace(generation.policies.administration(Arc::clone(&self.lasting.registry)));
        }
        let frontend = generation.frontend(&self.lasting);
        for exchange in &self.exchanges {
            exchange(&generation, &frontend);
        }
        self.frontend.replace(frontend);
        self.current.store(generation);
        *asked = settings;
        meters::RESTART_NEEDED.gauge(&[]).set(if need_restart.is_empty() { 0.0 } else { 1.0 });
        Ok(Applied::InForce { need_restart })
    }
}

/// The keys whose change takes a restart, for the reference that is made of it.
#[cfg(test)]
pub(crate) fn take_a_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    keep(old, &mut new.clone())
}

/// Leaves in `new` as it was in `old` what only a restart can change. The keys whose change was taken back.
fn keep(old: &Settings, new: &mut Settings) -> Vec<&'static str> {
    let mut keys = Vec::new();
    macro_rules! keep {
        ($($($field:ident).+ => $key:literal,)*) => {
            $(if old.$($field).+ != new.$($field).+ {
                keys.push($key);
                new.$($field).+ = old.$($field).+.clone();
            })*
        };
    }
    keep! {
        listen.addresses => "listen.address",
        listen.proxy_protocol => "listen.proxy_protocol",
        listen.tls => "listen.tls, listen.client_ca, listen.client_auth",
        admin => "[admin]",
        authz => "[authz]",
        policy.handler => "policy.handler",
        store => "[store]",
        identity => "identity.file",
        limits.workers => "limits.workers",
        limits.max_connections => "limits.max_connections",
        log.format => "log.format",
        log.audit => "log.audit",
        trace => "[trace]",
    }
    // A file without `[authz]` may say what `config` refuses beside it. Whoever asks goes on asking until the restart, and
    // must not be answered by that. That nobody is trusted any more counts at once: then nobody may ask.
    if old.authz.is_some() && new.upstream.auth == UpstreamAuth::Resign {
        keys.push("upstream.auth, which [authz] rests on");
        new.upstream.auth = old.upstream.auth;
    }
    if old.authz.is_some() && new.policy.enforcement == Enforcement::Off {
        keys.push("policy.enforcement, which [authz] rests on");
        new.policy.enforcement = old.policy.enforcement;
    }
    // An embedded store has its files, its keys and its names from its start.
    let is_embedded = |settings: &Settings| {
        settings.upstream.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Embedded(_)))
    };
    let embedded = is_embedded(old) || is_embedded(new);
    if embedded && old.upstream != new.upstream {
        keys.push("[upstream], of an embedded store");
        new.upstream = old.upstream.clone();
    }
    if embedded && old.listen.domains != new.listen.domains {
        keys.push("listen.domains, of an embedded store");
        new.listen.domains.clone_from(&old.listen.domains);
    }
    // The policies are kept there, and what keeps them goes on as it began.
    if matches!(old.store.url, StoreUrl::S3 { .. }) && old.upstream != new.upstream {
        keys.push("[upstream], which keeps the policies");
        new.upstream = old.upstream.clone();
    }
    keys
}
