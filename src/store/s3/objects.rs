//! What [`S3Store`](super::S3Store) needs of an object store: [`ObjectStorage`].
//!
//! Reads must see every write that was answered before them, as on Amazon S3 and nearly all that speak its protocol.
//! Conditions on writes need not be heeded: whether they are is found out (`conditions.rs`).

use std::fmt;

use bytes::Bytes;

use crate::store::BoxFuture;

/// The objects of one bucket.
pub trait ObjectStorage: Send + Sync + 'static {
    /// The object at `key`; [`Fetched::Unchanged`] where it still is the one that `unless` names.
    ///
    /// # Errors
    /// [`ObjectError`] unless it is certain. An object of a bucket that is not there is not [`Fetched::Absent`].
    fn get<'a>(&'a self, key: &'a str, unless: Option<&'a ETag>) -> BoxFuture<'a, Result<Fetched, ObjectError>>;

    /// Puts an object in place of any other, in one step, if `condition` holds.
    ///
    /// # Errors
    /// [`ObjectError`]: it may or may not have been stored.
    fn put<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        condition: &'a Condition,
    ) -> BoxFuture<'a, Result<Written, ObjectError>>;

    /// Takes an object away, or finds that there is none.
    ///
    /// # Errors
    /// [`ObjectError`]: it may or may not be gone.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>>;

    /// The first objects, `limit` at most, of those whose keys begin with `prefix` and come after `after`, in the order of
    /// their keys' bytes.
    ///
    /// # Errors
    /// [`ObjectError`] when they cannot be known.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, ObjectError>>;
}

/// What tells one content of an object from another, as the object store names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// Takes a header's value. None for a weak one, by which nothing can be written.
    pub fn parse(value: &str) -> Option<Self> {
        (!value.is_empty() && !value.starts_with("W/")).then(|| Self(value.to_owned()))
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was found at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing.
    Absent,
    /// What is known already.
    Unchanged,
    /// This.
    Found {
        /// The object.
        content: Bytes,
        /// Its tag, where the store names one.
        etag: Option<ETag>,
    },
}

/// What must be so for an object to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// There is no such object.
    Absent,
    /// The object still is this one.
    Unchanged(ETag),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was done. With the new object's tag, where the store names it.
    Done(Option<ETag>),
    /// The condition did not hold, and nothing was written.
    Refused,
    /// The store knows no conditions, and nothing was written.
    NotSupported,
}

/// Some of the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Them, in the order of their keys.
    pub objects: Vec<Listed>,
    /// Whether there are none after them.
    pub is_last: bool,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
}

/// The object store gave no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectError {
    /// What was asked and what came of it.
    pub reason: String,
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ObjectError {}
