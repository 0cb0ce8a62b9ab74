//! Handles that are kept, so that to count is all that a request has to do.

use std::sync::OnceLock;

use crate::s3::operation::Operation;

/// Something of each operation, made when it is first asked for: most stores ever see a dozen of them.
#[derive(Debug)]
pub(crate) struct ByOperation<T> {
    each: Box<[OnceLock<T>]>,
    /// Of what is no operation, or of none that is known.
    none: OnceLock<T>,
}

impl<T> ByOperation<T> {
    /// That of `operation`; `make` gets its name, or `none`.
    pub(crate) fn get(&self, operation: Option<Operation>, make: impl FnOnce(&'static str) -> T) -> &T {
        let slot = operation.and_then(|operation| self.each.get(operation as usize));
        slot.unwrap_or(&self.none).get_or_init(|| make(operation.map_or("none", Operation::name)))
    }
}

impl<T> Default for ByOperation<T> {
    fn default() -> Self {
        Self { each: Operation::ALL.iter().map(|_| OnceLock::new()).collect(), none: OnceLock::new() }
    }
}
