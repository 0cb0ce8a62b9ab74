//! What the layer found out about a request, for whoever stands around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::s3::address::BucketName;
use crate::s3::operation::Operation;
use crate::spans::{Span, Value};

/// What became known of a request on its way. An outer layer that wants to know, such as an access log, puts one among the
/// request's extensions and keeps a clone.
#[derive(Clone, Debug, Default)]
pub struct Findings(Arc<Found>);

#[derive(Debug, Default)]
struct Found {
    /// The operation's place among all of them, from 1; 0 for none.
    operation: AtomicU8,
    verdict: AtomicU8,
    received: AtomicU64,
    /// What is recorded of it; none where nothing is.
    span: Option<Span>,
}

/// What was decided about a request; in a dry run, what would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It is granted.
    Allowed,
    /// It is not, or not all of it.
    Denied,
    /// It could not be decided: it is malformed, not authentic, on nothing that is there, or what was needed for it did
    /// not answer.
    Refused,
}

impl Conclusion {
    /// `allowed`, `denied` or `refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Refused => "refused",
        }
    }
}

impl Findings {
    /// Nothing yet, of a request that this records.
    #[cfg(feature = "proxy")]
    pub(crate) fn recorded_by(span: Option<Span>) -> Self {
        Self(Arc::new(Found { span, ..Found::default() }))
    }

    /// What is recorded of the request; none where nothing is.
    pub(crate) fn span(&self) -> Option<&Span> {
        self.0.span.as_ref()
    }

    /// What it asks for; none where that is not known, or not of S3.
    pub fn operation(&self) -> Option<Operation> {
        let place = usize::from(self.0.operation.load(Ordering::Relaxed)).checked_sub(1)?;
        Operation::ALL.get(place).copied()
    }

    /// What was decided; none where nothing was to be.
    pub fn verdict(&self) -> Option<Conclusion> {
        match self.0.verdict.load(Ordering::Relaxed) {
            1 => Some(Conclusion::Allowed),
            2 => Some(Conclusion::Denied),
            3 => Some(Conclusion::Refused),
            _ => None,
        }
    }

    /// How many bytes of its body were read.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// So many more bytes of its body were read.
    pub fn add_received(&self, bytes: u64) {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn set_operation(&self, operation: Option<Operation>) {
        // Enums of ours number their variants from 0, in the order of `ALL`; there is room for twice as many.
        let place = operation.and_then(|operation| u8::try_from(operation as usize + 1).ok());
        self.0.operation.store(place.unwrap_or_default(), Ordering::Relaxed);
    }

    /// The bucket it is on.
    pub(super) fn set_bucket(&self, bucket: Option<&BucketName>) {
        if let (Some(span), Some(bucket)) = (self.span(), bucket) {
            span.set("aws.s3.bucket", Value::Text(bucket.as_str()));
        }
    }

    pub(super) fn set_verdict(&self, verdict: Conclusion) {
        let number = match verdict {
            Conclusion::Allowed => 1,
            Conclusion::Denied => 2,
            Conclusion::Refused => 3,
        };
        self.0.verdict.store(number, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_is_told() {
        let findings = Findings::default();
        assert_eq!((findings.operation(), findings.verdict()), (None, None));
        for &operation in Operation::ALL {
            findings.clone().set_operation(Some(operation));
            assert_eq!(findings.operation(), Some(operation));
        }
        for verdict in [Conclusion::Allowed, Conclusion::Denied, Conclusion::Refused] {
            findings.set_verdict(verdict);
            assert_eq!(findings.verdict(), Some(verdict));
        }
        findings.set_operation(None);
        assert_eq!(findings.operation(), None);
    }
}
