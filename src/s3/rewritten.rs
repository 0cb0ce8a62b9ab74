//! Which headers are right for a body that was written anew here?
//!
//! A header that describes a body says so of the one it came with. What still speaks of that one must not go on: a store
//! would refuse a request that is right, and a client would take an answer for damaged.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, EXPECT, HeaderName, TE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue};
use md5::{Digest as _, Md5};

use super::aws_chunked::unframe;
use super::checksum::{ChecksumAlgorithm, Hasher};

static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
static SDK_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");

/// Digests of RFC 3230 and RFC 9530.
const DIGESTS: [&str; 3] = ["content-digest", "digest", "repr-digest"];

/// What the names of checksums begin with, and those that do without naming one.
const CHECKSUM: &str = "x-amz-checksum-";
const ABOUT_CHECKSUMS: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];

/// Makes a request's headers describe `body`, which replaces the one they came with.
///
/// Every `x-amz-checksum-*` is computed anew with the algorithm it had, or that `x-amz-trailer` announced, and so
/// `x-amz-sdk-checksum-algorithm` stays true; what is no algorithm of ours goes. `Content-MD5` is always there: S3 demands it
/// or a checksum of `POST ?delete`, and there are stores that know `Content-MD5` alone. The body is sent at once and plain,
/// so whatever speaks of aws-chunked framing, transfer codings, compression or `100-continue` goes too.
///
/// `x-amz-content-sha256` is the signer's to set.
pub fn describe_request(headers: &mut HeaderMap, body: &[u8]) {
    let trailer = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let promised = |algorithm: &ChecksumAlgorithm| {
        headers.contains_key(algorithm.header()) || trailer.as_deref().map(str::trim) == Some(algorithm.header())
    };
    let algorithms: Vec<_> = ChecksumAlgorithm::ALL.into_iter().filter(promised).collect();
    unframe(headers, Vec::new());
    undescribe(headers);
    for name in [CONTENT_ENCODING, EXPECT, TE] {
        headers.remove(name);
    }
    for algorithm in &algorithms {
        let mut hasher = Hasher::new(*algorithm);
        hasher.update(body);
        insert(headers, HeaderName::from_static(algorithm.header()), &hasher.finish());
    }
    let named = headers.get(&SDK_ALGORITHM).and_then(|value| value.to_str().ok());
    if named.is_some_and(|named| !algorithms.iter().any(|one| one.name().eq_ignore_ascii_case(named))) {
        headers.remove(&SDK_ALGORITHM);
    }
    insert(headers, CONTENT_MD5.clone(), &Md5::digest(body));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
}

/// Takes off all that describes the very bytes of a body: its length, digests, framing, and the ETag by which a client would
/// take another body for the same. Of a compressed one `Content-Encoding` must have been looked at before.
pub fn undescribe(headers: &mut HeaderMap) {
    let described = |name: &HeaderName| {
        let name = name.as_str();
        DIGESTS.contains(&name) || (name.starts_with(CHECKSUM) && !ABOUT_CHECKSUMS.contains(&name))
    };
    let digests: Vec<HeaderName> = headers.keys().filter(|name| described(name)).cloned().collect();
    let fixed = [CONTENT_LENGTH, CONTENT_RANGE, ETAG, TRAILER, TRANSFER_ENCODING, CONTENT_MD5.clone()];
    for name in digests.into_iter().chain(fixed) {
        headers.remove(name);
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, digest: &[u8]) {
    // INVARIANT: base64 is ASCII.
    if let Ok(value) = HeaderValue::from_str(&BASE64_STANDARD.encode(digest)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::checksum::DigestChecks;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_new_body_has_digests_of_its_own() {
        const MD5: (&str, &str) = ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==");
        const CRC32: (&str, &str) = ("x-amz-checksum-crc32", "y/Q5Jg==");
        const LENGTH: (&str, &str) = ("content-length", "9");
        for (before, after) in [
            (&[][..], &[MD5, LENGTH][..]),
            (&[("content-md5", "of another"), ("content-length", "70000")], &[MD5, LENGTH]),
            (
                &[
                    ("x-amz-checksum-crc32", "AAAAAA=="),
                    ("x-amz-sdk-checksum-algorithm", "crc32"),
                    ("x-amz-meta-a", "1"),
                ],
                &[CRC32, ("x-amz-sdk-checksum-algorithm", "crc32"), ("x-amz-meta-a", "1"), MD5, LENGTH],
            ),
            (
                &[
                    ("x-amz-trailer", " X-Amz-Checksum-CRC32 "),
                    ("x-amz-sdk-checksum-algorithm", "CRC32"),
                    ("x-amz-decoded-content-length", "70000"),
                    ("content-encoding", "aws-chunked"),
                    ("transfer-encoding", "chunked"),
                    ("expect", "100-continue"),
                    ("te", "trailers"),
                    ("trailer", "x-amz-checksum-crc32"),
                    ("digest", "md5=x"),
                ],
                &[CRC32, ("x-amz-sdk-checksum-algorithm", "CRC32"), MD5, LENGTH],
            ),
            (&[("x-amz-checksum-xxhash64", "AAAA"), ("x-amz-sdk-checksum-algorithm", "XXHASH64")], &[MD5, LENGTH]),
            (
                &[
                    ("content-type", "application/xml"),
                    ("x-amz-checksum-type", "FULL_OBJECT"),
                    ("content-encoding", "gzip"),
                ],
                &[("content-type", "application/xml"), ("x-amz-checksum-type", "FULL_OBJECT"), MD5, LENGTH],
            ),
        ] {
            let mut found = headers(before);
            describe_request(&mut found, b"123456789");
            assert_eq!(found, headers(after), "{before:?}");
        }
    }

    #[test]
    fn every_algorithm_is_computed_anew() {
        for algorithm in ChecksumAlgorithm::ALL {
            let mut found = HeaderMap::new();
            found.insert(algorithm.header(), HeaderValue::from_static("of another body"));
            found.insert("x-amz-sdk-checksum-algorithm", HeaderValue::from_static(algorithm.name()));
            describe_request(&mut found, b"a body");
            let checks = DigestChecks::from_headers(&found).unwrap_or_else(|error| panic!("{algorithm}: {error:?}"));
            assert_eq!(checks.verify(b"a body"), Ok(()), "{algorithm}");
            assert!(checks.verify(b"another").is_err(), "{algorithm}");
            assert!(found.contains_key(algorithm.header()) && found.contains_key("x-amz-sdk-checksum-algorithm"));
        }
    }

    #[test]
    fn an_answer_keeps_what_does_not_speak_of_its_bytes() {
        let mut found = headers(&[
            ("content-length", "5"),
            ("content-md5", "x"),
            ("etag", "\"x\""),
            ("x-amz-checksum-sha256", "x"),
            ("repr-digest", "x"),
            ("content-type", "application/xml"),
            ("x-amz-request-id", "1"),
        ]);
        undescribe(&mut found);
        assert_eq!(found, headers(&[("content-type", "application/xml"), ("x-amz-request-id", "1")]));
    }
}
