//! What is not counted where it happens, but looked up when somebody asks.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwap;

use super::generation::Generation;
use super::stores::Staleness;
use super::tls::Certificates;
use crate::admin::health::Metrics;
use crate::meters;
use crate::telemetry::metrics;

/// What is looked up.
pub(super) struct Gauges {
    pub(super) current: Arc<ArcSwap<Generation>>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) staleness: Staleness,
}

impl Gauges {
    /// What `/metrics` tells: these, and all that was counted.
    pub(super) fn into_metrics(self) -> Metrics {
        Arc::new(move || {
            self.look();
            metrics::render()
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of requests")]
    fn look(&self) {
        let in_flight = &self.current.load().in_flight;
        meters::IN_FLIGHT.gauge(&[]).set(in_flight.under_way() as f64);
        meters::IN_FLIGHT_LIMIT.gauge(&[]).set(in_flight.limit() as f64);
        meters::STORE_STALENESS.gauge(&[]).set((self.staleness)().as_secs_f64());
        for certificate in self.certificates.iter().flat_map(|certificates| certificates.served()) {
            let expiry = certificate.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
            meters::CERTIFICATE_EXPIRY.gauge(&[&certificate.file]).set(expiry.as_secs_f64());
        }
    }
}
