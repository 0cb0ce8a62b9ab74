//! Writes what auditors are told as lines of the audit trail.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::layer::{DenialCause, Denied, Outcome, PolicyChange};
use crate::meters;
use crate::telemetry::audit::{AuditLog, AuditRecord, DenialRecord};

/// Writes a change's line. One that cannot be written is told in the log; the change itself has been made.
pub(super) fn record(audit: &AuditLog, change: &PolicyChange) {
    let time = OffsetDateTime::from(change.at).format(&Rfc3339).unwrap_or_default();
    let (revision, outcome) = match &change.outcome {
        Outcome::Stored { revision } => (*revision, "stored".to_owned()),
        Outcome::Forwarded { status } => (None, format!("forwarded: {status}")),
        Outcome::Failed { reason } => (None, format!("failed: {reason}")),
    };
    let written = audit.write(&AuditRecord {
        time: &time,
        request_id: &change.request_id,
        action: change.kind.as_str(),
        bucket: change.bucket.as_str(),
        principal: change.by.as_deref(),
        account: change.account.as_ref().map(|id| id.as_str()),
        source_ip: change.peer,
        revision,
        sha256: change.sha256.as_deref(),
        owner: change.owner.as_ref().map(|id| id.as_str()),
        outcome: &outcome,
    });
    if let Err(error) = written {
        meters::AUDIT_ERRORS.counter(&[]).increment(1);
        tracing::error!(%error, request_id = %change.request_id, bucket = %change.bucket, "an audit line was not written");
    }
}

/// Writes a denial's line.
pub(super) fn record_denial(audit: &AuditLog, denied: &Denied) {
    let time = OffsetDateTime::from(denied.at).format(&Rfc3339).unwrap_or_default();
    let (event, denial, code) = match (&denied.cause, denied.enforced) {
        (DenialCause::Policies(denial), true) => ("denied", Some(&**denial), None),
        (DenialCause::Policies(denial), false) => ("would_deny", Some(&**denial), None),
        (DenialCause::Refused { code, .. }, _) => ("would_refuse", None, Some(*code)),
    };
    let written = audit.write(&DenialRecord {
        time: &time,
        request_id: &denied.request_id,
        event,
        operation: denied.operation.map(crate::s3::operation::Operation::name),
        principal: denied.by.as_deref().unwrap_or("anonymous"),
        account: denied.account.as_ref().map(|id| id.as_str()),
        source_ip: denied.peer,
        denial,
        code,
    });
    if let Err(error) = written {
        meters::AUDIT_ERRORS.counter(&[]).increment(1);
        tracing::error!(%error, request_id = %denied.request_id, "an audit line was not written");
    }
}
