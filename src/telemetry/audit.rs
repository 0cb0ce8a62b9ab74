//! Who changed which policy, and who was denied what: one JSON object a line, appended.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::layer::PolicyDenial;

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// To the standard error stream, among the log.
    Stderr,
    /// To the end of this file, which is made if it is not there.
    File(PathBuf),
}

/// A request that was denied, or that would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DenialRecord<'a> {
    /// When: RFC 3339, UTC.
    pub time: &'a str,
    /// The request, as in `x-amz-request-id`.
    pub request_id: &'a str,
    /// `denied`, or `would_deny` in a dry run; `would_refuse` for what a dry run could not decide.
    pub event: &'a str,
    /// Amazon's name of what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'a str>,
    /// The caller's ARN; `anonymous` for nobody, or nobody known.
    pub principal: &'a str,
    /// The caller's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    /// The caller's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<std::net::IpAddr>,
    /// What was not granted, and why not.
    #[serde(flatten)]
    pub denial: Option<&'a PolicyDenial>,
    /// The error's code, of what could not be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
}

/// A change of what is in force for a bucket, made or attempted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRecord<'a> {
    /// When: RFC 3339, UTC.
    pub time: &'a str,
    /// The request, as in `x-amz-request-id`.
    pub request_id: &'a str,
    /// What was done: `put`, `delete`, `put_public_access_block`, `delete_public_access_block`, `purge` or
    /// `import`.
    pub action: &'a str,
    /// To which bucket's policy.
    pub bucket: &'a str,
    /// The caller's ARN; `admin` for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<&'a str>,
    /// The caller's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    /// The caller's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<std::net::IpAddr>,
    /// The revision the change made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// SHA-256 of the document, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<&'a str>,
    /// The account that an import recorded as the bucket's creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'a str>,
    /// How it ended.
    pub outcome: &'a str,
}

/// The audit trail.
#[derive(Debug)]
pub struct AuditLog {
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    File(Mutex<File>),
}

/// The audit file cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    cause: io::Error,
}

impl AuditLog {
    /// Opens the trail for appending. A new file is readable by its owner alone.
    ///
    /// # Errors
    /// [`OpenError`] with the file's name.
    pub fn open(target: AuditTarget) -> Result<Self, OpenError> {
        let sink = match target {
            AuditTarget::Stderr => Sink::Stderr,
            AuditTarget::File(path) => match append(&path) {
                Ok(file) => Sink::File(Mutex::new(file)),
                Err(cause) => return Err(OpenError { path, cause }),
            },
        };
        Ok(Self { sink })
    }

    /// Appends `record` as one line, whole or not at all as far as the system allows: it is written at once, so that
    /// neither threads nor processes that share the file mix their lines.
    ///
    /// # Errors
    /// What writing says.
    pub fn write(&self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        match &self.sink {
            Sink::Stderr => io::stderr().lock().write_all(&line),
            Sink::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line),
        }
    }
}

fn append(path: &std::path::Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the audit file `{}` cannot be opened: {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(request_id: &str) -> AuditRecord<'_> {
        AuditRecord {
            time: "2026-11-23T18:00:00Z",
            request_id,
            action: "put",
            bucket: "photos",
            principal: Some("arn:aws:iam::111122223333:user/alice"),
            account: Some("111122223333"),
            source_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            revision: Some(3),
            sha256: None,
            owner: None,
            outcome: "stored",
        }
    }

    #[test]
    fn lines_are_whole_and_appended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        std::fs::write(&path, "{\"earlier\":true}\n").unwrap();
        let log = AuditLog::open(AuditTarget::File(path.clone())).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let log = &log;
                scope.spawn(move || (0..50).for_each(|n| log.write(&record(&format!("{thread}-{n}"))).unwrap()));
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 201);
        assert_eq!(lines[0]["earlier"], true);
        assert_eq!(lines[1]["source_ip"], "127.0.0.1");
        assert!(lines[1].get("sha256").is_none());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = AuditLog::open(AuditTarget::File("/nowhere/audit".into())).unwrap_err();
        assert!(error.to_string().contains("/nowhere/audit"), "{error}");
    }
}
