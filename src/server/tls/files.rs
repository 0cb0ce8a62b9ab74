//! Certificates, keys and authorities from PEM files (RFC 7468), or all that is wrong with them.
//!
//! Files with keys are quoted nowhere: what is wrong with them is said in words of ours.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use memchr::memmem;
use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::{CertifiedKey, SigningKey};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use zeroize::Zeroizing;

use super::CertificateFiles;
use crate::toml_reader::Problem;

/// What there is to know of a certificate that clients get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedCertificate {
    /// Its file.
    pub file: String,
    /// The hosts that it is for (`dNSName` of `subjectAltName`), which may begin with `*.`.
    pub names: Vec<String>,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it expires.
    pub not_after: SystemTime,
}

impl ServedCertificate {
    /// When it expires, such as `2027-01-31T12:00:00Z` (RFC 3339).
    pub fn expiry(&self) -> String {
        written(self.not_after)
    }

    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { file: self.file.clone(), place: None, message: message.into() }
    }

    pub(super) fn warning(&self, now: SystemTime) -> Option<Problem> {
        if now > self.not_after {
            Some(self.problem(format!("the certificate expired at {}: clients will refuse it", self.expiry())))
        } else if now < self.not_before {
            Some(self.problem(format!(
                "the certificate is not valid before {}: clients will refuse it",
                written(self.not_before)
            )))
        } else {
            None
        }
    }
}

fn written(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

/// Reads one certificate with its chain and its key. What is wrong is added to `problems`, and then there is none.
pub(super) fn certificate(
    files: &CertificateFiles,
    problems: &mut Vec<Problem>,
) -> Option<(ServedCertificate, Arc<CertifiedKey>)> {
    // Both are looked at, whatever is wrong with the first.
    let chain = noted(&files.cert, read_chain(&files.cert), problems);
    let key = noted(&files.key, read_key(&files.key), problems);
    let (chain, key) = chain.zip(key)?;
    let served = noted(&files.cert, describe(&files.cert, &chain), problems)?;
    noted(&files.key, pair(chain, key, &files.cert), problems).map(|key| (served, Arc::new(key)))
}

/// Reads the authorities that sign clients' certificates.
pub(super) fn authorities(file: &Path, problems: &mut Vec<Problem>) -> Option<RootCertStore> {
    let read = read_chain(file).and_then(|certificates| {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| unreadable(index, &error))?;
        }
        Ok(roots)
    });
    noted(file, read, problems)
}

fn noted<T>(file: &Path, read: Result<T, String>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|message| problems.push(Problem { file: file.display().to_string(), place: None, message })).ok()
}

fn read_file(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.is_empty() { Err("is empty".to_owned()) } else { Ok(Zeroizing::new(bytes)) }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_file(file)?;
    let read = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = read.map_err(|error| not_pem(&error))?;
    if chain.is_empty() {
        return Err("holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    Ok(chain)
}

fn read_key(file: &Path) -> Result<Arc<dyn SigningKey>, String> {
    let bytes = read_file(file)?;
    if memmem::find(&bytes, b"ENCRYPTED").is_some() {
        return Err("its private key is encrypted, and there is nobody to ask for a passphrase".to_owned());
    }
    let read = PrivateKeyDer::pem_slice_iter(&bytes).map(|key| key.map(Zeroizing::new)).collect::<Result<Vec<_>, _>>();
    match read.map_err(|error| not_pem(&error))?.as_slice() {
        [] => Err("holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)".to_owned()),
        [key] => any_supported_type(key).map_err(|_| {
            "its private key is none that can be used: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519"
                .to_owned()
        }),
        [_, _, ..] => Err("holds several private keys".to_owned()),
    }
}

fn not_pem(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "is not PEM: a section has no end",
        PemError::IllegalSectionStart { .. } => "is not PEM: the line that begins a section is broken",
        PemError::Base64Decode(_) => "is not PEM: a section is not Base64",
        _ => "is not PEM",
    }
    .to_owned()
}

/// What the first certificate of `chain` says; that the others are certificates at all is seen to as well.
fn describe(file: &Path, chain: &[CertificateDer<'_>]) -> Result<ServedCertificate, String> {
    let (first, issuers) = chain.split_first().ok_or("holds no certificate")?;
    for (index, issuer) in issuers.iter().enumerate() {
        anchor_from_trusted_cert(issuer).map_err(|error| unreadable(index + 1, &error))?;
    }
    let parsed = EndEntityCert::try_from(first).map_err(|error| unreadable(0, &error))?;
    let (not_before, not_after) = validity(&parsed).map_err(|error| unreadable(0, &error))?;
    let time = |time: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
    Ok(ServedCertificate {
        file: file.display().to_string(),
        names: parsed.valid_dns_names().map(str::to_owned).collect(),
        not_before: time(not_before),
        not_after: time(not_after),
    })
}

/// From when to when. webpki tells of these times only where a certificate is verified out of them, and looks at them
/// before anything else; so it is asked at times that no certificate is good for.
fn validity(certificate: &EndEntityCert<'_>) -> Result<(UnixTime, UnixTime), webpki::Error> {
    let verified_at = |seconds: u64| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        certificate.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None).err()
    };
    let not_before = match verified_at(0) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
        _ => UnixTime::since_unix_epoch(Duration::ZERO),
    };
    match verified_at(u64::MAX) {
        Some(webpki::Error::CertExpired { not_after, .. }) => Ok((not_before, not_after)),
        Some(error) => Err(error),
        None => Err(webpki::Error::InvalidCertValidity),
    }
}

fn pair(chain: Vec<CertificateDer<'static>>, key: Arc<dyn SigningKey>, file: &Path) -> Result<CertifiedKey, String> {
    let certified = CertifiedKey::new(chain, key);
    if certified.keys_match().is_ok() {
        return Ok(certified);
    }
    let of_another = certified.cert.iter().enumerate().skip(1).find(|(_, other)| {
        let alone = CertifiedKey::new(vec![CertificateDer::clone(other)], Arc::clone(&certified.key));
        alone.keys_match().is_ok()
    });
    let file = file.display();
    Err(match of_another {
        Some((index, _)) => format!(
            "is the key of certificate {} in {file}: its own must come first, and those of its issuers after it",
            index + 1
        ),
        None => format!("is not the key of the certificate in {file}"),
    })
}

fn unreadable(index: usize, error: &dyn std::fmt::Display) -> String {
    format!("its certificate {} cannot be used: {error}", index + 1)
}
