//! What is counted, by which names?
//!
//! Every metric of Portcullis stands here, with its labels and what it means; `docs/metrics.md` is made from this table.
//! Names and units follow <https://prometheus.io/docs/practices/naming/>. Whoever counts asks the table for a handle, which
//! belongs to the `metrics` recorder that is installed by then: one who wants to hear of everything installs theirs
//! first.
//!
//! What is counted for each request must cost next to nothing there, so its handles are kept (`handles`): no label is
//! written twice. What happens seldom asks anew.

#[cfg(all(test, feature = "proxy"))]
mod document;
mod files;
mod handles;
mod table;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, with_recorder};

pub use self::files::File;
pub(crate) use self::handles::ByOperation;
pub use self::table::*;

/// Something that is counted.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence or two.
    pub help: &'static str,
}

/// Kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Lengths of time in seconds, in buckets up to these.
    Seconds(&'static [f64]),
}

/// Sets to 0 what alerts ask for and may never happen: a series that begins at 1 is no increase.
pub fn begin() {
    let counters = [
        (&PANICS, &[][..]),
        (&AUDIT_ERRORS, &[]),
        (&LIMITED, &["max_in_flight"]),
        (&LIMITED, &["max_held_bytes"]),
        (&LIMITED, &["max_connections"]),
        (&UPSTREAM_ERRORS, &["unreachable"]),
        (&UPSTREAM_ERRORS, &["crowded"]),
        (&UPSTREAM_ERRORS, &["broken"]),
        (&UPSTREAM_ERRORS, &["timeout"]),
        (&RECEIVED, &[]),
        (&SENT, &[]),
        (&SPANS, &["sent"]),
        (&SPANS, &["failed"]),
        (&SPANS, &["dropped"]),
    ];
    for (metric, labels) in counters {
        metric.counter(labels).increment(0);
    }
}

impl Metric {
    /// Tells the installed recorder what this is.
    pub fn describe(&self) {
        with_recorder(|recorder| {
            let (name, help) = (self.name.into(), self.help.into());
            match self.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Seconds(_) => recorder.describe_histogram(name, None, help),
            }
        });
    }

    /// The counter with these values of its labels, in their order.
    pub(crate) fn counter(&self, values: &[&str]) -> Counter {
        self.register(values, |recorder, key, metadata| recorder.register_counter(key, metadata))
    }

    /// The gauge with these values of its labels, in their order.
    pub(crate) fn gauge(&self, values: &[&str]) -> Gauge {
        self.register(values, |recorder, key, metadata| recorder.register_gauge(key, metadata))
    }

    /// The histogram with these values of its labels, in their order.
    pub(crate) fn histogram(&self, values: &[&str]) -> Histogram {
        self.register(values, |recorder, key, metadata| recorder.register_histogram(key, metadata))
    }

    fn register<T>(&self, values: &[&str], with: impl FnOnce(&dyn Recorder, &Key, &Metadata<'_>) -> T) -> T {
        debug_assert_eq!(values.len(), self.labels.len(), "{}", self.name);
        let labels: Vec<_> =
            self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        let key = Key::from_parts(self.name, labels);
        with_recorder(|recorder| with(recorder, &key, &Metadata::new(module_path!(), Level::INFO, None)))
    }
}
