//! Which bucket and key does a request speak of?

use std::fmt;

/// A bucket's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

/// Text that cannot be a bucket's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBucketName(String);

impl BucketName {
    /// Takes 3 to 255 of `A-Z a-z 0-9 . _ -`: today's rules and those of the buckets made before them, since the store
    /// behind us may hold either.
    ///
    /// # Errors
    /// [`InvalidBucketName`] with the offending text.
    pub fn parse(text: &str) -> Result<Self, InvalidBucketName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (3..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidBucketName(text.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `arn:aws:s3:::NAME`.
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.0)
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidBucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a bucket name", self.0)
    }
}

impl std::error::Error for InvalidBucketName {}
