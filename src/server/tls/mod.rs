//! TLS in front: which certificates, for whom, and what becomes of new versions of them.
//!
//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446), HTTP/2 and HTTP/1.1 by ALPN. Of several certificates the first counts that is
//! for the name a client asks for (SNI, RFC 6066), and whose key suits it; a client that asks for none, or for one that
//! none is for, gets the first of all. Names are those of the certificates' `subjectAltName`, of one label where they
//! begin with `*`.
//!
//! Clients may be asked for certificates of their own. These open the connection and nothing else: who is asking for
//! what is said by a request's signature, as ever. Lists of revoked certificates are not read.
//!
//! Sessions are resumed by tickets, which only this process can read, and only until the files are read anew: whose
//! authority was taken away does not resume what it had. There is no 0-RTT data, which could be sent again by others.
//!
//! A new version of the files with a problem is refused as a whole, loudly, and the old one stays in force; connections
//! that are open go on either way. That a certificate has expired, or is not valid yet, is a warning and no problem: an
//! old certificate may do for some clients, and no service does for none.

mod choice;
mod files;
mod handshake;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

use self::choice::Choice;
pub use self::files::ServedCertificate;
pub(crate) use self::handshake::handshake;
use crate::meters::File;
pub use crate::toml_reader::{Problem, Problems};
use crate::watch::{Fingerprint, Refreshed, Reread, fingerprint};
pub use crate::watch::{Watch, WatchError};

/// What a client and we may agree on, the better first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files that TLS needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates; the first is for clients that ask for no name of the others.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients show certificates of their own.
    pub client_auth: ClientAuth,
}

/// The files of one certificate, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and after it the chain up to its authority.
    pub cert: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Whether clients show certificates of their own; with the file of the authorities whose certificates are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They may; one that is no good is refused.
    Optional(PathBuf),
    /// They must.
    Required(PathBuf),
}

impl ClientAuth {
    fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Off => None,
            Self::Optional(file) | Self::Required(file) => Some(file),
        }
    }
}

/// The certificates of a listener, always those of the last good version of their files.
pub struct Certificates {
    files: TlsFiles,
    current: ArcSwap<Version>,
    /// What the files held when they were last read, whether that was good or not. Locked while re-reading.
    last_seen: Mutex<Fingerprint>,
}

/// What the files said at some time.
struct Version {
    config: Arc<ServerConfig>,
    served: Vec<ServedCertificate>,
}

impl Certificates {
    /// Reads `files`.
    ///
    /// # Errors
    /// Every problem of every file. None quotes what a file holds.
    pub fn load(files: TlsFiles) -> Result<Self, Problems> {
        // Taken before reading: a change in between is then seen by the first look.
        let seen = fingerprint(&all(&files));
        let version = read(&files)?;
        Ok(Self { files, current: ArcSwap::from_pointee(version), last_seen: Mutex::new(seen) })
    }

    /// Reads the files anew.
    ///
    /// # Errors
    /// Every problem of the new version; the old one stays in force.
    pub fn reload(&self) -> Result<(), Problems> {
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        *last_seen = fingerprint(&all(&self.files));
        self.replace()
    }

    /// Re-reads the files whenever they change, for as long as the answer is kept.
    ///
    /// # Errors
    /// [`WatchError`] where the system has no watch to give.
    pub fn watch(self: &Arc<Self>) -> Result<Watch, WatchError> {
        Watch::start(Arc::clone(self), |_| {})
    }

    /// The certificates that are in force, in the order of the configuration.
    pub fn served(&self) -> Vec<ServedCertificate> {
        self.current.load().served.clone()
    }

    /// Which of them have expired `now`, or are not valid yet.
    pub fn warnings(&self, now: SystemTime) -> Vec<Problem> {
        self.current.load().served.iter().filter_map(|served| served.warning(now)).collect()
    }

    /// The first certificate's file.
    pub fn path(&self) -> &Path {
        self.files.certificates.first().map_or(Path::new(""), |files| &files.cert)
    }

    /// What new connections begin with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    fn refresh(&self) -> Refreshed {
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = fingerprint(&all(&self.files));
        if seen == *last_seen {
            return Refreshed::Unchanged;
        }
        *last_seen = seen;
        match self.replace() {
            Ok(()) => Refreshed::Replaced,
            Err(problems) => Refreshed::Refused(problems),
        }
    }

    fn replace(&self) -> Result<(), Problems> {
        let version = read(&self.files).inspect_err(|_| File::Certificates.refused())?;
        self.current.store(Arc::new(version));
        File::Certificates.reloaded();
        Ok(())
    }
}

impl Reread for Certificates {
    const NAME: &'static str = "certificates";

    fn path(&self) -> &Path {
        self.path()
    }

    fn files(&self) -> Vec<PathBuf> {
        all(&self.files)
    }

    fn look(&self) -> Refreshed {
        let refreshed = self.refresh();
        let file = self.path().display();
        match &refreshed {
            Refreshed::Unchanged => {}
            Refreshed::Replaced => {
                tracing::info!(%file, certificates = self.files.certificates.len(), "certificates re-read");
                for warning in self.warnings(SystemTime::now()) {
                    tracing::warn!("{warning}");
                }
            }
            Refreshed::Refused(problems) => {
                tracing::error!(%file, "the new certificates are refused; the old ones stay in force:\n{problems}");
            }
        }
        refreshed
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

/// All of `files`.
fn all(files: &TlsFiles) -> Vec<PathBuf> {
    let pairs = files.certificates.iter().flat_map(|files| [files.cert.clone(), files.key.clone()]);
    pairs.chain(files.client_auth.file().cloned()).collect()
}

fn read(files: &TlsFiles) -> Result<Version, Problems> {
    let mut problems = Vec::new();
    let read: Vec<_> = files.certificates.iter().filter_map(|files| files::certificate(files, &mut problems)).collect();
    // One that is never chosen is a mistake, so each but the first must have a name.
    for (served, _) in read.iter().skip(1).filter(|(served, _)| served.names.is_empty()) {
        problems.push(served.problem("names no host (`subjectAltName`), so no client would ever get it"));
    }
    let authorities = files.client_auth.file().and_then(|file| files::authorities(file, &mut problems));
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    // What is left are mistakes of the caller's, such as a list without certificates.
    let whole = |error: &dyn fmt::Display| {
        let file = files.certificates.first().map_or_else(String::new, |files| files.cert.display().to_string());
        Problems::whole_file(&file, format!("TLS cannot be set up: {error}"))
    };
    let choice = Choice::new(read.iter().map(|(served, key)| (served.names.as_slice(), Arc::clone(key))));
    let choice = choice.ok_or_else(|| whole(&"there is no certificate"))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| whole(&error))?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match files.client_auth {
                ClientAuth::Optional(_) => verifier.allow_unauthenticated(),
                ClientAuth::Required(_) | ClientAuth::Off => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| whole(&error))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(choice));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.ticketer = ring::Ticketer::new().map_err(|error| whole(&error))?;
    let served = read.into_iter().map(|(served, _)| served).collect();
    Ok(Version { config: Arc::new(config), served })
}

#[cfg(test)]
mod tests;
