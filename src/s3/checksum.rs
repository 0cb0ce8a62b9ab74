//! Is this the body its sender meant?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>: `Content-MD5`, one
//! `x-amz-checksum-*` header or trailer, and the SHA-256 that `x-amz-content-sha256` declares. Messages are S3's.
//!
//! ```
//! use http::HeaderMap;
//! use portcullis::s3::checksum::DigestChecks;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("x-amz-checksum-crc32", "y/Q5Jg==".parse()?);
//! let checks = DigestChecks::from_headers(&headers)?; // before the body is read
//! assert!(checks.verify(b"123456789").is_ok());
//! assert!(checks.verify(b"12345678").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::error::{ErrorCode, S3Error};

/// The algorithms of `x-amz-checksum-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumAlgorithm {
    /// CRC-32 as in gzip and Ethernet.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in `x-amz-sdk-checksum-algorithm` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header, or trailer, that carries the checksum.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The checksum's length, in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Computes one checksum, piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Crc32(crc_fast::Digest),
    Crc64(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    /// Starts with nothing read.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        Self(match algorithm {
            ChecksumAlgorithm::Crc32 => State::Crc32(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            ChecksumAlgorithm::Crc32c => State::Crc32(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            ChecksumAlgorithm::Crc64Nvme => State::Crc64(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            ChecksumAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => State::Sha256(Sha256::new()),
        })
    }

    /// Reads on.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Crc32(digest) | State::Crc64(digest) => digest.update(data),
            State::Sha1(digest) => digest.update(data),
            State::Sha256(digest) => digest.update(data),
        }
    }

    /// The checksum of all that was read, big-endian, [`ChecksumAlgorithm::length`] bytes long.
    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            State::Crc32(digest) => digest.finalize().to_be_bytes().into_iter().skip(4).collect(),
            State::Crc64(digest) => digest.finalize().to_be_bytes().to_vec(),
            State::Sha1(digest) => digest.finalize().to_vec(),
            State::Sha256(digest) => digest.finalize().to_vec(),
        }
    }
}

/// Holds a body, as it passes, against the SHA-256 that `x-amz-content-sha256` declares.
#[derive(Clone, Debug)]
pub struct PayloadHash {
    declared: [u8; 32],
    hasher: Sha256,
    is_empty: bool,
}

impl PayloadHash {
    /// Starts with nothing read.
    pub fn new(declared: [u8; 32]) -> Self {
        Self { declared, hasher: Sha256::new(), is_empty: true }
    }

    /// Reads on.
    pub fn update(&mut self, data: &[u8]) {
        self.is_empty &= data.is_empty();
        self.hasher.update(data);
    }

    /// Compares what was read with what was declared and signed.
    ///
    /// # Errors
    /// `XAmzContentSHA256Mismatch` with both hashes. The body must then not be completed upstream.
    pub fn verify(&self) -> Result<(), S3Error> {
        // Most requests have no body.
        let computed = if self.is_empty { SHA256_OF_NOTHING } else { self.hasher.clone().finalize().into() };
        // The sender knows both values, so there is nothing to be learnt from how long this takes.
        if computed == self.declared {
            return Ok(());
        }
        Err(S3Error::new(ErrorCode::XAmzContentSHA256Mismatch)
            .with_field("ClientComputedContentSHA256", hex(&self.declared))
            .with_field("S3ComputedContentSHA256", hex(&computed)))
    }
}

/// The SHA-256 of nothing.
const SHA256_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The same, in hexadecimal.
pub(crate) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Bytes as hexadecimal digits, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    // Written in place, so that the compiler can do many digits at once.
    let mut text = vec![0; 2 * bytes.len()];
    for ([high, low], byte) in text.as_chunks_mut().0.iter_mut().zip(bytes) {
        (*high, *low) = (digit(byte >> 4), digit(byte & 15));
    }
    // INVARIANT: digits are ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// What the headers of a request promise of its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestChecks {
    md5: Option<[u8; 16]>,
    checksum: Option<Promise>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Promise {
    Given { algorithm: ChecksumAlgorithm, expected: Vec<u8> },
    InTrailer(ChecksumAlgorithm),
}

impl DigestChecks {
    /// Reads `Content-MD5`, `x-amz-checksum-*`, `x-amz-sdk-checksum-algorithm` and `x-amz-trailer`. The body is not
    /// needed, so what is wrong here is answered before any of it is read.
    ///
    /// # Errors
    /// `InvalidDigest` for a `Content-MD5` that is none, `InvalidRequest` for all else.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, S3Error> {
        let checksum = match (given_checksum(headers)?, declared_trailer(headers)?) {
            (Some(_), Some(_)) => return Err(invalid_request("Expecting a single x-amz-checksum- header")),
            (given, None) => given,
            (None, Some(algorithm)) => Some(Promise::InTrailer(algorithm)),
        };
        check_sdk_algorithm(headers, checksum.as_ref())?;
        Ok(Self { md5: content_md5(headers)?, checksum })
    }

    /// The algorithm whose checksum is promised in the trailer, when one is.
    pub fn trailer(&self) -> Option<ChecksumAlgorithm> {
        match self.checksum {
            Some(Promise::InTrailer(algorithm)) => Some(algorithm),
            Some(Promise::Given { .. }) | None => None,
        }
    }

    /// Takes the trailers that came after the body.
    ///
    /// # Errors
    /// `MalformedTrailerError` when they are not exactly what `x-amz-trailer` declared; `InvalidRequest` for a value
    /// that is no checksum.
    pub fn with_trailers(mut self, trailers: &[(HeaderName, HeaderValue)]) -> Result<Self, S3Error> {
        match (self.trailer(), trailers) {
            (None, []) => Ok(self),
            (Some(algorithm), [(name, value)]) if name.as_str() == algorithm.header() => {
                let expected = decode_checksum(algorithm, value).ok_or_else(|| {
                    invalid_request(format!("Value for {} trailing header is invalid.", algorithm.header()))
                })?;
                self.checksum = Some(Promise::Given { algorithm, expected });
                Ok(self)
            }
            _ => Err(S3Error::new(ErrorCode::MalformedTrailerError)),
        }
    }

    /// Holds the whole decoded body against every promise.
    ///
    /// # Errors
    /// `BadDigest` when one is not kept; `MalformedTrailerError` when a promised trailer was not handed to
    /// [`Self::with_trailers`].
    pub fn verify(&self, body: &[u8]) -> Result<(), S3Error> {
        let mut verifier = self.clone().verifier();
        verifier.update(body);
        verifier.finish(&[])
    }

    /// The same for a body that comes piece by piece.
    pub fn verifier(self) -> DigestVerifier {
        let algorithm = match &self.checksum {
            Some(Promise::Given { algorithm, .. } | Promise::InTrailer(algorithm)) => Some(*algorithm),
            None => None,
        };
        DigestVerifier { md5: self.md5.map(|_| Md5::new()), checksum: algorithm.map(Hasher::new), promises: self }
    }

    /// Whether there is nothing to hold a body against.
    pub fn is_empty(&self) -> bool {
        self.md5.is_none() && self.checksum.is_none()
    }
}

/// Holds a body, as it passes, against what [`DigestChecks`] found promised.
#[derive(Clone, Debug, Default)]
pub struct DigestVerifier {
    promises: DigestChecks,
    md5: Option<Md5>,
    checksum: Option<Hasher>,
}

impl DigestVerifier {
    /// Reads on: the decoded body, without its framing.
    pub fn update(&mut self, data: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(data);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(data);
        }
    }

    /// Compares all that was read with what was promised, in the headers or in these trailers.
    ///
    /// # Errors
    /// `BadDigest` when a promise is not kept, and the errors of [`DigestChecks::with_trailers`].
    pub fn finish(self, trailers: &[(HeaderName, HeaderValue)]) -> Result<(), S3Error> {
        let promises = self.promises.with_trailers(trailers)?;
        if let (Some(expected), Some(md5)) = (&promises.md5, self.md5) {
            let computed = md5.finalize();
            if computed.as_slice() != expected {
                return Err(S3Error::new(ErrorCode::BadDigest)
                    .with_field("ExpectedDigest", BASE64_STANDARD.encode(expected))
                    .with_field("CalculatedDigest", BASE64_STANDARD.encode(computed)));
            }
        }
        if let (Some(Promise::Given { algorithm, expected }), Some(hasher)) = (&promises.checksum, self.checksum)
            && hasher.finish() != *expected
        {
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(S3Error::new(ErrorCode::BadDigest).with_message(message));
        }
        Ok(())
    }
}

fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let mut values = headers.get_all("content-md5").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digest = BASE64_STANDARD.decode(value).ok().and_then(|digest| digest.try_into().ok());
    match (digest, values.next()) {
        (Some(digest), None) => Ok(Some(digest)),
        _ => {
            Err(S3Error::new(ErrorCode::InvalidDigest)
                .with_field("Content-MD5", String::from_utf8_lossy(value.as_bytes())))
        }
    }
}

fn given_checksum(headers: &HeaderMap) -> Result<Option<Promise>, S3Error> {
    let mut found = None;
    for (name, value) in headers {
        let name = name.as_str();
        // These speak about checksums without being one.
        let Some("x-amz-checksum-") = name.get(..15) else { continue };
        if matches!(name, "x-amz-checksum-algorithm" | "x-amz-checksum-mode" | "x-amz-checksum-type") {
            continue;
        }
        // One that cannot be verified is refused, not skipped: its sender relies on it.
        let Some(algorithm) = ChecksumAlgorithm::of_header(name) else {
            return Err(invalid_request("The algorithm type you specified in x-amz-checksum- header is invalid."));
        };
        if found.is_some() {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(invalid_request(message));
        }
        let expected = decode_checksum(algorithm, value)
            .ok_or_else(|| invalid_request(format!("Value for {name} header is invalid.")))?;
        found = Some(Promise::Given { algorithm, expected });
    }
    Ok(found)
}

fn decode_checksum(algorithm: ChecksumAlgorithm, value: &HeaderValue) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value).ok().filter(|checksum| checksum.len() == algorithm.length())
}

fn declared_trailer(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let mut values = headers.get_all("x-amz-trailer").iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str().ok().and_then(|name| ChecksumAlgorithm::of_header(name.trim())), values.next()) {
        (Some(algorithm), None) => Ok(Some(algorithm)),
        _ => Err(invalid_request("The value specified in the x-amz-trailer header is not supported")),
    }
}

fn check_sdk_algorithm(headers: &HeaderMap, promise: Option<&Promise>) -> Result<(), S3Error> {
    let mut values = headers.get_all("x-amz-sdk-checksum-algorithm").iter();
    let Some(value) = values.next() else { return Ok(()) };
    let named = value.to_str().ok().and_then(ChecksumAlgorithm::of_name).filter(|_| values.next().is_none());
    let promised = match promise {
        Some(Promise::Given { algorithm, .. } | Promise::InTrailer(algorithm)) => Some(*algorithm),
        None => None,
    };
    match (named, promised) {
        (Some(named), Some(promised)) if named == promised => Ok(()),
        (Some(_), None) => Err(invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers \
             were found.",
        )),
        _ => Err(invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")),
    }
}

fn invalid_request(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::new(ErrorCode::InvalidRequest).with_message(message)
}

#[cfg(test)]
mod tests;
