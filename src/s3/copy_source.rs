//! Which object does `x-amz-copy-source` name?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>: `[/]BUCKET/KEY`, percent-encoded, with
//! `?versionId=` behind it where a version is meant. A `?` of the key is written `%3F`.
//!
//! ```
//! use portcullis::s3::copy_source::CopySource;
//!
//! let source = CopySource::parse("/photos/a%2Fb%3F?versionId=null")?;
//! assert_eq!((source.bucket.as_str(), source.key.as_str()), ("photos", "a/b?"));
//! assert_eq!(source.version_id.as_deref(), Some("null"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use super::address::{AddressError, BucketName, ObjectKey, decode};
use super::error::{ErrorCode, S3Error};
use super::operation::leaves_its_bucket;

/// The object that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key, decoded.
    pub key: ObjectKey,
    /// Its version, as sent; `null` is one.
    pub version_id: Option<String>,
}

impl CopySource {
    pub(super) fn from_header(value: &[u8]) -> Result<Self, InvalidCopySource> {
        let refuse = |_| InvalidCopySource(String::from_utf8_lossy(value).into_owned());
        Self::parse(std::str::from_utf8(value).map_err(refuse)?)
    }

    /// Reads the header's value.
    ///
    /// # Errors
    /// [`InvalidCopySource`] for anything that is not one object or version for certain.
    pub fn parse(value: &str) -> Result<Self, InvalidCopySource> {
        let refuse = || InvalidCopySource(value.to_owned());
        let (path, version_id) = match value.split_once('?') {
            None => (value, None),
            Some((path, query)) => (path, Some(query.strip_prefix("versionId=").ok_or_else(refuse)?)),
        };
        // What stands behind these a server may take for something else than the key or the version.
        let is_ambiguous = |version: &str| version.contains(['&', ';']) || version.contains(char::is_whitespace);
        if version_id.is_some_and(|version| version.is_empty() || is_ambiguous(version)) || value.contains('#') {
            return Err(refuse());
        }
        let decoded = decode(path).map_err(|_: AddressError| refuse())?;
        let path = decoded.strip_prefix('/').unwrap_or(&decoded);
        let (bucket, key) = path.split_once('/').ok_or_else(refuse)?;
        let bucket = BucketName::parse(bucket).map_err(|_| refuse())?;
        let key = ObjectKey::parse(key).map_err(|_| refuse())?;
        if leaves_its_bucket(&key) {
            return Err(refuse());
        }
        Ok(Self { bucket, key, version_id: version_id.map(str::to_owned) })
    }
}

/// A value that names no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCopySource(String);

impl From<InvalidCopySource> for S3Error {
    fn from(InvalidCopySource(value): InvalidCopySource) -> Self {
        Self::new(ErrorCode::InvalidArgument)
            .with_message("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
            .with_field("ArgumentName", "x-amz-copy-source")
            .with_field("ArgumentValue", value)
    }
}

impl fmt::Display for InvalidCopySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not the source of a copy", self.0)
    }
}

impl std::error::Error for InvalidCopySource {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_source_names_one_object() {
        for (value, bucket, key, version) in [
            ("src/k", "src", "k", None),
            ("/src/k", "src", "k", None),
            ("%2Fsrc%2Fk", "src", "k", None),
            ("src%2Fa/b", "src", "a/b", None),
            ("/src//k", "src", "/k", None),
            ("src/a+b%20c", "src", "a+b c", None),
            ("src/%252F", "src", "%2F", None),
            ("src/k%3FversionId=1", "src", "k?versionId=1", None),
            ("src/k?versionId=1", "src", "k", Some("1")),
            ("src/k?versionId=null", "src", "k", Some("null")),
            ("src/k?versionId=a%20b", "src", "k", Some("a%20b")),
            ("src/k%3F?versionId=a?b", "src", "k?", Some("a?b")),
            ("src/x/../y", "src", "x/../y", None),
            ("src/ünï", "src", "ünï", None),
        ] {
            let source = CopySource::parse(value).unwrap();
            let found = (source.bucket.as_str(), source.key.as_str(), source.version_id.as_deref());
            assert_eq!(found, (bucket, key, version), "{value}");
        }
    }

    #[test]
    fn what_is_not_one_object_for_certain_is_refused() {
        for value in [
            "",
            "/",
            "src",
            "src/",
            "/src",
            "/src/",
            "//src/k",
            "%2F%2Fsrc/k",
            "?versionId=1",
            "src?versionId=1",
            "src/?versionId=1",
            "src/k?versionId=",
            "src/k?",
            "src/k#",
            "src/k#?versionId=1",
            "src/k?versionId=#",
            "src/k?versionId=&x",
            "src/k?versionId=a&versionId=b",
            "src/k?versionId=a;b",
            "src/k?versionId= ",
            "src/k?versionid=1",
            "src/k?x=1&versionId=1",
            "src/k%",
            "src/%zz",
            "src/%FF",
            "sr/k",
            "src/../k",
            "src/%2e%2e/other/k",
            "src/a/../../k",
            "http://host/src/k",
            "arn:aws:s3:us-east-1:111122223333:accesspoint/p/object/k",
        ] {
            let error = S3Error::from(CopySource::parse(value).expect_err(value));
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{value}");
        }
    }
}
