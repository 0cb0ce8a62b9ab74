//! What is counted, for Prometheus.
//!
//! Whoever counts uses the `metrics` facade; here are the names with their help, and the one recorder of the process.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to count. Where somebody else's recorder counts already, a test's for one, that one goes on.
pub fn install() {
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().install_recorder().ok();
        metrics::describe_counter!(
            "portcullis_decisions_total",
            "Requests by operation, decision (allowed, denied, refused) and mode (off, audit, enforce)."
        );
        metrics::describe_gauge!(
            "portcullis_requests_in_flight",
            "Requests under way, of at most limits.max_in_flight."
        );
        metrics::describe_gauge!("portcullis_held_bytes", "Bytes of bodies held, of at most limits.max_held_bytes.");
        recorder
    });
}

/// All that was counted, in the Prometheus text format (version 0.0.4); nothing where nobody counts.
pub fn render() -> String {
    let handle = RECORDER.get().and_then(Option::as_ref);
    handle.map(PrometheusHandle::render).unwrap_or_default()
}
