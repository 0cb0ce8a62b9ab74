//! `docs/metrics.md`, made from the table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{ALL, Kind};

const OPENING: &str = "\
# Metrics

What `/metrics` on the admin listener tells, in the Prometheus text format. Made from the table in `src/meters/table.rs`:
`UPDATE=1 cargo test --lib metrics_document` writes it anew. `deploy/prometheus/alerts.yaml` has alerts on them, and
`deploy/grafana/portcullis.json` shows them.

- Lengths of time are histograms in seconds: `…_bucket`, `…_sum` and `…_count`.
- A series is there from the moment its labels are first met; those that alerts need are there, at 0, from the start.
- Buckets, keys, callers and addresses of clients are never labels: the access log and the audit trail tell of those.
- `process_…` are the usual ones of a process: CPU, memory, threads, file descriptors, start time.

| metric | type | labels | meaning |
|---|---|---|---|
";

#[test]
fn metrics_document_is_made_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let made = document();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "docs/metrics.md is not what the code says; UPDATE=1 writes it anew");
}

fn document() -> String {
    let mut document = OPENING.to_owned();
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Seconds(_) => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(document, "| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help);
    }
    document
}

#[test]
fn names_and_units_are_the_conventions() {
    for metric in ALL {
        let name = metric.name;
        assert!(name.starts_with("portcullis_"), "{name}");
        assert_eq!(
            metric.kind == Kind::Counter,
            name.ends_with("_total"),
            "{name}: counters, and they alone, are totals"
        );
        assert_eq!(matches!(metric.kind, Kind::Seconds(_)), name.ends_with("_duration_seconds"), "{name}");
        assert!(!["_ms", "_milliseconds", "_kib"].iter().any(|unit| name.contains(unit)), "{name}: base units");
        assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{name}: {}", metric.help);
        if let Kind::Seconds(buckets) = metric.kind {
            assert!(buckets.is_sorted(), "{name}");
        }
    }
    let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len(), "each name once");
}
