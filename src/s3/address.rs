//! Which bucket and key does a request speak of?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>. The host decides the style, the
//! raw path is split first and decoded after, exactly once, and this is the only place that decodes it.
//!
//! ```
//! use portcullis::s3::address::{Address, AddressStyle, Domains};
//!
//! let domains = Domains::parse(["s3.example.com"])?;
//! let (address, style) = Address::parse(Some("photos.s3.example.com:9000"), "/2026/a%2Fb", &domains)?;
//! assert_eq!(style, AddressStyle::VirtualHosted);
//! assert_eq!(address.bucket().map(|bucket| bucket.as_str()), Some("photos"));
//! assert_eq!(address.key().map(|key| key.as_str()), Some("2026/a/b"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::fmt;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::{ErrorCode, S3Error};

/// What a request speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The service itself: the list of buckets.
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// An object.
    Object {
        /// The bucket it lies in.
        bucket: BucketName,
        /// Its key.
        key: ObjectKey,
    },
}

/// Where a request names its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressStyle {
    /// In the path: `/BUCKET/KEY`.
    Path,
    /// In the host: `BUCKET.<domain>`.
    VirtualHosted,
}

impl Address {
    /// Reads host (with or without a port) and raw path (as on the wire, without the query).
    ///
    /// A host that is no base domain and not below one means path style, as does no host at all.
    ///
    /// # Errors
    /// [`AddressError`]; its [`S3Error`] is what S3 answers.
    pub fn parse(host: Option<&str>, path: &str, domains: &Domains) -> Result<(Self, AddressStyle), AddressError> {
        // `*` and the authority of CONNECT are no paths.
        let below_root = path.strip_prefix('/').ok_or_else(|| AddressError::InvalidUri(path.to_owned()))?;
        match host.and_then(|host| domains.bucket_of(host)) {
            Some(bucket) => {
                let bucket = BucketName::parse(&bucket)?;
                Ok((Self::in_bucket(bucket, below_root)?, AddressStyle::VirtualHosted))
            }
            None if below_root.is_empty() => Ok((Self::Service, AddressStyle::Path)),
            None => {
                let (bucket, key) = below_root.split_once('/').unwrap_or((below_root, ""));
                let bucket = BucketName::parse(&decode(bucket)?)?;
                Ok((Self::in_bucket(bucket, key)?, AddressStyle::Path))
            }
        }
    }

    fn in_bucket(bucket: BucketName, raw_key: &str) -> Result<Self, AddressError> {
        if raw_key.is_empty() {
            return Ok(Self::Bucket(bucket));
        }
        Ok(Self::Object { bucket, key: ObjectKey::parse(&decode(raw_key)?)? })
    }

    /// The bucket, unless it is the service that is spoken of.
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object { bucket, .. } => Some(bucket),
        }
    }

    /// The key, when an object is spoken of.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Service | Self::Bucket(_) => None,
            Self::Object { key, .. } => Some(key),
        }
    }
}

/// The path-style raw path: `/`, `/BUCKET` or `/BUCKET/KEY`, percent-encoded as Signature V4 does it. Parsing it again
/// gives the same address.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
        f.write_str("/")?;
        if let Some(bucket) = self.bucket() {
            bucket.fmt(f)?;
        }
        match self.key() {
            Some(key) => write!(f, "/{}", utf8_percent_encode(key.as_str(), KEPT)),
            None => Ok(()),
        }
    }
}

/// The raw path a path-style request for the same thing would have. The key's bytes stay as they were sent.
pub fn path_style_target<'a>(style: AddressStyle, bucket: &BucketName, raw_path: &'a str) -> Cow<'a, str> {
    match style {
        AddressStyle::Path => Cow::Borrowed(raw_path),
        AddressStyle::VirtualHosted => Cow::Owned(format!("/{bucket}{raw_path}")),
    }
}

/// The authority a request is for, port included: that of an absolute-form or HTTP/2 target, else the `Host` header.
/// Where both are there they must agree (RFC 9112, section 3.2.2), or what is decided on for the one host could be done
/// on the other.
///
/// Headers such as `X-Forwarded-Host` do not count: whoever can set them could choose the bucket.
///
/// # Errors
/// [`AddressError::AmbiguousHost`] for more than one `Host`, one that is not ASCII or not that of the target, and an
/// authority with a user.
pub fn authority_of(parts: &Parts) -> Result<Option<&str>, AddressError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().map_err(|_| AddressError::AmbiguousHost)?),
        (Some(_), Some(_)) => return Err(AddressError::AmbiguousHost),
    };
    let host = match (parts.uri.authority().map(Authority::as_str), header) {
        (Some(target), Some(header)) if !target.eq_ignore_ascii_case(header) => {
            return Err(AddressError::AmbiguousHost);
        }
        (Some(target), _) => Some(target),
        (None, header) => header,
    };
    match host {
        Some(host) if host.contains('@') => Err(AddressError::AmbiguousHost),
        host => Ok(host),
    }
}

/// The base domains under which buckets are hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(Vec<String>);

impl Domains {
    /// Takes host names such as `s3.example.com`, in any case; none at all means path style only.
    ///
    /// # Errors
    /// [`InvalidDomain`] with the first text that is no host name (a port, an IP address, an empty label).
    pub fn parse<T: AsRef<str>>(domains: impl IntoIterator<Item = T>) -> Result<Self, InvalidDomain> {
        let mut parsed = Vec::new();
        for text in domains {
            let text = text.as_ref();
            if !is_host_name(text) {
                return Err(InvalidDomain(text.to_owned()));
            }
            parsed.push(text.to_ascii_lowercase());
        }
        Ok(Self(parsed))
    }

    /// The bucket a host names. `None`: path style.
    fn bucket_of(&self, host: &str) -> Option<String> {
        // An IPv6 literal begins with `[`, and none is below a domain.
        let host = host.split_once(':').map_or(host, |(name, _port)| name);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if self.0.contains(&host) {
            return None;
        }
        // With one base domain inside another, the inner one is meant.
        let below = |domain: &String| host.strip_suffix(domain.as_str())?.strip_suffix('.');
        self.0.iter().filter_map(below).min_by_key(|bucket| bucket.len()).map(str::to_owned)
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    // A last label of digits alone makes it an IPv4 address, or a mistake for one.
    let name = text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && name && text.split('.').all(label)
}

/// An object's key, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The most bytes a key may have, in UTF-8.
    pub const MAX_BYTES: usize = 1024;

    /// Takes any text of 1 to 1,024 bytes.
    ///
    /// # Errors
    /// [`AddressError::KeyTooLong`], or [`AddressError::InvalidUri`] for an empty one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.len() {
            0 => Err(AddressError::InvalidUri(String::new())),
            1..=Self::MAX_BYTES => Ok(Self(text.to_owned())),
            bytes => Err(AddressError::KeyTooLong(bytes)),
        }
    }

    /// The key, as the ARN `arn:aws:s3:::BUCKET/KEY` holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Percent-decodes once; `+` is a plus. A `%` that begins no escape is refused: stores differ on what it means.
pub(super) fn decode(raw: &str) -> Result<Cow<'_, str>, AddressError> {
    if memchr::memchr(b'%', raw.as_bytes()).is_none() {
        // Mostly: then there is nothing to decode.
        return Ok(Cow::Borrowed(raw));
    }
    let refuse = || AddressError::InvalidUri(raw.to_owned());
    let escape = |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !raw.split('%').skip(1).all(escape) {
        return Err(refuse());
    }
    percent_decode_str(raw).decode_utf8().map_err(|_| refuse())
}

/// Why a request speaks of nothing that can exist.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// This part of the path, or the path itself, has a malformed escape, is not UTF-8, or does not begin with `/`.
    InvalidUri(String),
    /// The bucket's name cannot be one.
    InvalidBucketName(InvalidBucketName),
    /// The key has this many bytes, more than [`ObjectKey::MAX_BYTES`].
    KeyTooLong(usize),
    /// More than one `Host`, one that no host name or address can be, or another than the target names.
    AmbiguousHost,
}

impl From<InvalidBucketName> for AddressError {
    fn from(error: InvalidBucketName) -> Self {
        Self::InvalidBucketName(error)
    }
}

impl From<AddressError> for S3Error {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::InvalidUri(part) => Self::new(ErrorCode::InvalidURI).with_field("URI", part),
            AddressError::InvalidBucketName(InvalidBucketName(name)) => {
                Self::new(ErrorCode::InvalidBucketName).with_field("BucketName", name)
            }
            AddressError::KeyTooLong(bytes) => Self::new(ErrorCode::KeyTooLongError)
                .with_field("Size", bytes.to_string())
                .with_field("MaxSizeAllowed", ObjectKey::MAX_BYTES.to_string()),
            AddressError::AmbiguousHost => {
                Self::new(ErrorCode::InvalidRequest).with_message("The request must name one valid host.")
            }
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUri(part) => write!(f, "`{part}` cannot be decoded"),
            Self::InvalidBucketName(error) => error.fmt(f),
            Self::KeyTooLong(bytes) => write!(f, "key of {bytes} bytes, more than {}", ObjectKey::MAX_BYTES),
            Self::AmbiguousHost => f.write_str("more than one host, or none that can be one"),
        }
    }
}

impl std::error::Error for AddressError {}

/// Text that cannot be a base domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDomain(String);

impl fmt::Display for InvalidDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a host name without a port", self.0)
    }
}

impl std::error::Error for InvalidDomain {}

/// A bucket's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

/// Text that cannot be a bucket's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBucketName(String);

impl BucketName {
    /// Takes 3 to 255 of `A-Z a-z 0-9 . _ -`: today's rules and those of the buckets made before them, since the store
    /// behind us may hold either. But not 64 hexadecimal digits: Garage takes those for the id of a bucket, which has a
    /// name as well, and its policy under that.
    ///
    /// # Errors
    /// [`InvalidBucketName`] with the offending text.
    pub fn parse(text: &str) -> Result<Self, InvalidBucketName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let is_id = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if (3..=255).contains(&text.len()) && text.bytes().all(allowed) && !is_id {
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
        ["arn:aws:s3:::", &self.0].concat()
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

#[cfg(test)]
mod tests;
