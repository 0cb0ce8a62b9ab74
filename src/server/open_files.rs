//! May this process have as many files open as its own limits need?
//!
//! Most systems let a process have 1024, and raise that up to another bound if it asks. A socket is a file, and a request
//! that is sent on has two.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open whoever asks: listeners, the policies, logs, questions of our own.
const OURS: u64 = 128;

/// Asks for as many as are needed, and warns where they cannot be had.
pub(super) fn allow(max_connections: usize, max_in_flight: usize) {
    let needed = [max_connections, max_in_flight].into_iter().fold(OURS, |sum, more| sum.saturating_add(more as u64));
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed)));
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the bound on open files cannot be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "fewer open files are allowed than limits.max_connections and limits.max_in_flight may need; raise `ulimit -n`"
        );
    }
}
