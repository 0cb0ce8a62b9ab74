//! What is counted of each request, with handles that are kept: [`RequestMeters`].

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram};

use crate::layer::{Conclusion, Findings};
use crate::meters::{self, ByOperation};

/// The statuses of nearly all answers. Any other is looked up when it is met.
const CODES: [u16; 20] =
    [200, 204, 206, 301, 304, 307, 400, 403, 404, 405, 408, 409, 411, 412, 416, 500, 501, 502, 503, 504];

/// The handles of what is counted of requests.
#[derive(Debug)]
pub struct RequestMeters {
    by_operation: ByOperation<OfOperation>,
    received: Counter,
    sent: Counter,
}

#[derive(Debug)]
struct OfOperation {
    name: &'static str,
    duration: Histogram,
    /// One for each verdict, and one for none.
    by_verdict: [OfVerdict; 4],
}

#[derive(Debug, Default)]
struct OfVerdict {
    /// One for each of [`CODES`].
    by_code: [OnceLock<Counter>; CODES.len()],
    /// For a client that went away before it had an answer.
    unanswered: OnceLock<Counter>,
}

impl Default for RequestMeters {
    fn default() -> Self {
        Self {
            by_operation: ByOperation::default(),
            received: meters::RECEIVED.counter(&[]),
            sent: meters::SENT.counter(&[]),
        }
    }
}

impl RequestMeters {
    /// A request has ended.
    pub fn ended(&self, findings: &Findings, status: Option<StatusCode>, took: Duration, sent: u64) {
        let of = self.by_operation.get(findings.operation(), |name| OfOperation {
            name,
            duration: meters::REQUEST_DURATION.histogram(&[name]),
            by_verdict: Default::default(),
        });
        of.count(findings.verdict(), status);
        of.duration.record(took.as_secs_f64());
        match findings.received() {
            0 => {}
            received => self.received.increment(received),
        }
        if sent > 0 {
            self.sent.increment(sent);
        }
    }
}

impl OfOperation {
    fn count(&self, verdict: Option<Conclusion>, status: Option<StatusCode>) {
        let [allowed, denied, refused, undecided] = &self.by_verdict;
        let of = match verdict {
            Some(Conclusion::Allowed) => allowed,
            Some(Conclusion::Denied) => denied,
            Some(Conclusion::Refused) => refused,
            None => undecided,
        };
        let counter = |code: &str| {
            let verdict = verdict.map_or("none", Conclusion::as_str);
            meters::REQUESTS.counter(&[self.name, code, verdict])
        };
        let kept = match status {
            None => Some(&of.unanswered),
            Some(status) => CODES.binary_search(&status.as_u16()).ok().and_then(|at| of.by_code.get(at)),
        };
        let code = status.as_ref().map_or("none", StatusCode::as_str);
        match kept {
            Some(kept) => kept.get_or_init(|| counter(code)).increment(1),
            None => counter(code).increment(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_can_be_searched() {
        assert!(CODES.is_sorted());
    }
}
