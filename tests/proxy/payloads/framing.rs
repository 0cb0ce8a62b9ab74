//! Framed bodies as a client sends them and as a store verifies them, from Amazon's pages alone, by code that has nothing
//! of ours in it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.

use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use portcullis::auth::sigv4::Timestamp;
use sha2::{Digest, Sha256};

use crate::support::header;

pub(super) const CALLER: (&str, &str) = ("CALLER", "the caller's secret");
pub(super) const OURS: (&str, &str) = ("OURS", "our secret at the store");
pub(super) const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
pub(super) const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
pub(super) const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The signatures of one request and its chunks.
struct Chain {
    key: Vec<u8>,
    time: String,
    scope: String,
    previous: String,
}

impl Chain {
    /// Begins with the signature of a request, of which this is the canonical form.
    fn begin(secret: &str, time: &str, canonical: &str) -> Self {
        let (date, _) = time.split_once('T').unwrap();
        let scope = format!("{date}/us-east-1/s3/aws4_request");
        let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let previous = hex(&hmac(&key, &to_sign));
        Self { key, time: time.to_owned(), scope, previous }
    }

    fn next(&mut self, kind: &str, hashes: &str) -> String {
        let to_sign = format!("AWS4-HMAC-SHA256-{kind}\n{}\n{}\n{}\n{hashes}", self.time, self.scope, self.previous);
        self.previous = hex(&hmac(&self.key, &to_sign));
        self.previous.clone()
    }

    fn chunk(&mut self, data: &[u8]) -> String {
        self.next("PAYLOAD", &format!("{}\n{}", sha256(b""), sha256(data)))
    }

    fn trailer(&mut self, line: &str) -> String {
        self.next("TRAILER", &sha256(format!("{line}\n").as_bytes()))
    }
}

/// The head of a signed `PUT /demo/k`, and the chain that its chunks go on.
fn head(payload: &str, headers: &[(&str, &str)]) -> (String, Chain) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let time = Timestamp::from_unix(i64::try_from(now).unwrap()).unwrap();
    let mut all = vec![("host", "s3.localhost"), ("x-amz-content-sha256", payload), ("x-amz-date", time.as_str())];
    all.extend(headers);
    all.sort_unstable();
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let chain = Chain::begin(CALLER.1, time.as_str(), &format!("PUT\n/demo/k\n\n{lines}\n{names}\n{payload}"));
    let mut head = String::from("PUT /demo/k HTTP/1.1\r\n");
    for (name, value) in &all {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let (credential, signature) = (format!("{}/{}", CALLER.0, chain.scope), &chain.previous);
    head.push_str(&format!(
        "authorization: AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}\r\n"
    ));
    (head, chain)
}

/// A whole request: its head up to the empty line, and its body.
pub(super) fn upload(payload: &str, chunks: &[&[u8]], trailer: Option<&str>) -> (String, Vec<u8>) {
    let length = chunks.iter().map(|chunk| chunk.len()).sum::<usize>().to_string();
    let mut headers = vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", length.as_str())];
    headers.extend(trailer.and_then(|line| line.split_once(':')).map(|(name, _)| ("x-amz-trailer", name)));
    let (mut head, mut chain) = head(payload, &headers);
    let is_signed = payload != UNSIGNED_TRAILER;
    let mut body = Vec::new();
    for chunk in chunks.iter().chain([&&b""[..]]) {
        body.extend(format!("{:x}", chunk.len()).into_bytes());
        if is_signed {
            body.extend(format!(";chunk-signature={}", chain.chunk(chunk)).into_bytes());
        }
        body.extend(b"\r\n");
        if !chunk.is_empty() {
            body.extend([chunk, &b"\r\n"[..]].concat());
        }
    }
    if let Some(line) = trailer {
        body.extend(format!("{line}\r\n").into_bytes());
        if is_signed {
            body.extend(format!("x-amz-trailer-signature:{}\r\n", chain.trailer(line)).into_bytes());
        }
    }
    body.extend(b"\r\n");
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    (head, body)
}

/// Verifies a request at the store: its head, then every chunk and the trailer. The data.
pub(super) fn verify(head: &str, body: &[u8]) -> Vec<u8> {
    let authorization = header(head, "authorization").unwrap();
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap();
        rest.split(',').next().unwrap().to_owned()
    };
    assert!(part("Credential=").starts_with(OURS.0), "{authorization}");
    let names = part("SignedHeaders=");
    for name in ["host", "x-amz-content-sha256", "x-amz-decoded-content-length"] {
        assert!(names.split(';').any(|signed| signed == name), "{name} is not signed: {names}");
    }
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", header(head, name).unwrap())).collect();
    let payload = header(head, "x-amz-content-sha256").unwrap();
    let canonical = format!("PUT\n/demo/k\n\n{lines}\n{names}\n{payload}");
    let mut chain = Chain::begin(OURS.1, header(head, "x-amz-date").unwrap(), &canonical);
    assert_eq!(part("Signature="), chain.previous, "the head's own signature");
    assert_eq!(header(head, "content-encoding"), Some("aws-chunked"));
    let (mut rest, mut data) = (body, Vec::new());
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        let (size, signature) = line.split_once(";chunk-signature=").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        rest = &rest[end + 2..];
        let chunk = &rest[..size];
        assert_eq!(signature, chain.chunk(chunk), "the chunk of {size} bytes after {}", data.len());
        if size == 0 {
            break;
        }
        data.extend_from_slice(chunk);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
    let mut trailers = std::str::from_utf8(rest).unwrap().split("\r\n");
    if payload == SIGNED_TRAILER {
        let line = trailers.next().unwrap();
        assert_eq!(line.split(':').next(), header(head, "x-amz-trailer"));
        assert_eq!(trailers.next(), Some(format!("x-amz-trailer-signature:{}", chain.trailer(line)).as_str()));
    }
    assert_eq!(trailers.collect::<Vec<_>>(), ["", ""]);
    assert_eq!(header(head, "x-amz-decoded-content-length"), Some(data.len().to_string().as_str()));
    data
}

/// Bytes that differ from place to place.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n * 31 + n / 251) % 256).unwrap()).collect()
}

/// With its CRC-32, computed bit by bit.
pub(super) fn crc32_line(data: &[u8]) -> String {
    use base64::Engine as _;
    let mut crc = u32::MAX;
    for byte in data {
        crc = (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 });
    }
    format!("x-amz-checksum-crc32:{}", base64::prelude::BASE64_STANDARD.encode((!crc).to_be_bytes()))
}
