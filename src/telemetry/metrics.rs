//! What was counted, written for Prometheus.
//!
//! What there is to count stands in [`meters`]; here is the one recorder of the process.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::meters::{self, Kind};

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// How often what was timed is put into its buckets, so that it does not pile up while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to count. Where somebody else's recorder counts already, a test's for one, that one goes on.
pub fn install() {
    RECORDER.get_or_init(|| {
        let recorder = builder().and_then(PrometheusBuilder::install_recorder).ok();
        for metric in meters::ALL {
            metric.describe();
        }
        Collector::default().describe();
        meters::begin();
        meters::BUILD_INFO.gauge(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        recorder
    });
}

fn builder() -> Result<PrometheusBuilder, metrics_exporter_prometheus::BuildError> {
    let histograms = meters::ALL.iter().filter_map(|metric| match metric.kind {
        Kind::Seconds(buckets) => Some((metric.name, buckets)),
        Kind::Counter | Kind::Gauge => None,
    });
    histograms.into_iter().try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
    })
}

/// All that was counted, in the Prometheus text format (version 0.0.4); nothing where nobody counts.
pub fn render() -> String {
    let Some(handle) = handle() else { return String::new() };
    Collector::default().collect();
    handle.render()
}

/// Never ends.
pub async fn upkeep() {
    loop {
        tokio::time::sleep(UPKEEP).await;
        if let Some(handle) = handle() {
            handle.run_upkeep();
        }
    }
}

fn handle() -> Option<&'static PrometheusHandle> {
    RECORDER.get().and_then(Option::as_ref)
}
