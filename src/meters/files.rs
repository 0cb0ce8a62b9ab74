//! Files that are read anew while the process runs.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{RELOADED, RELOADED_AT, RELOADS};

/// A kind of file that is read anew, on change or at SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `proxy.toml`.
    Config,
    /// The identities and the files they name.
    Identities,
    /// The certificates that clients get, and their keys.
    Certificates,
}

impl File {
    /// As it is written in labels and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Identities => "identities",
            Self::Certificates => "certificates",
        }
    }

    /// It was read when the process began.
    pub fn loaded(self) {
        for result in ["success", "failure"] {
            RELOADS.counter(&[self.as_str(), result]).increment(0);
        }
        self.is_in_force();
    }

    /// A new version came into force.
    pub fn reloaded(self) {
        RELOADS.counter(&[self.as_str(), "success"]).increment(1);
        self.is_in_force();
    }

    /// A new version was refused; the old one stays in force.
    pub fn refused(self) {
        RELOADS.counter(&[self.as_str(), "failure"]).increment(1);
        RELOADED.gauge(&[self.as_str()]).set(0.0);
    }

    fn is_in_force(self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        RELOADED.gauge(&[self.as_str()]).set(1.0);
        RELOADED_AT.gauge(&[self.as_str()]).set(now.as_secs_f64());
    }
}
