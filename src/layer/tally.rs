//! What the layer counts: decisions, and what they take.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

use super::findings::Conclusion;
use super::layer::Enforcement;
use crate::meters::{self, ByOperation};
use crate::s3::operation::Operation;

/// The handles of one layer's numbers.
#[derive(Debug)]
pub(crate) struct Tally {
    decisions: ByOperation<(&'static str, OfOperation)>,
    duration: Histogram,
    no_room: Counter,
    mode: &'static str,
}

#[derive(Debug, Default)]
struct OfOperation {
    allowed: OnceLock<Counter>,
    denied: OnceLock<Counter>,
    refused: OnceLock<Counter>,
}

impl Tally {
    pub(crate) fn new(enforcement: Enforcement) -> Self {
        let duration = meters::DECISION_DURATION.histogram(&[]);
        let no_room = meters::LIMITED.counter(&["max_held_bytes"]);
        Self { decisions: ByOperation::default(), duration, no_room, mode: enforcement.as_str() }
    }

    /// It was decided like this.
    pub(crate) fn decided(&self, operation: Option<Operation>, verdict: Conclusion) {
        let (name, of) = self.decisions.get(operation, |name| (name, OfOperation::default()));
        let counter = match verdict {
            Conclusion::Allowed => &of.allowed,
            Conclusion::Denied => &of.denied,
            Conclusion::Refused => &of.refused,
        };
        let labels = [*name, verdict.as_str(), self.mode];
        counter.get_or_init(|| meters::DECISIONS_MADE.counter(&labels)).increment(1);
    }

    /// A body was not held, for want of room.
    pub(crate) fn no_room(&self) {
        self.no_room.increment(1);
    }

    /// To decide took so long.
    pub(crate) fn took(&self, time: Duration) {
        self.duration.record(time.as_secs_f64());
    }
}
