//! Is any header there more than once?

use http::HeaderMap;

/// Whether any name stands more than once. Hardly ever one does, and to ask this once takes less than to look for a second
/// value of each name that must have one only.
pub(crate) fn has_repeats(headers: &HeaderMap) -> bool {
    headers.len() > headers.keys_len()
}
