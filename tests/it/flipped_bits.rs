//! A bit that is wrong, wherever it is: the whole Layer, each byte in turn, in both ways of passing on. Nothing is whole
//! behind it, and the client is told `400` or `403`.
//!
//! The lowest bit of a byte is flipped: it never makes another case of the same letter. What all the others do is told
//! beside the code, of the framing alone.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use portcullis::PassThrough;

use super::payloads::{SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, put, stack};
use super::support::stack::Stack;
use super::support::{Caller, frame_signed_with, request, signed};

/// The SHA-256 of `hello, world`.
const SHA256: &str = "09ca7e4eaa6e8ae9c7d261167129184883644d07dfba7cbfbc4c8a2e08360d5b";
/// Each digest there is of it.
const DIGESTS: [(&str, &str); 6] = [
    ("x-amz-checksum-crc32", "/6tyOg=="),
    ("x-amz-checksum-crc32c", "aZmkHw=="),
    ("x-amz-checksum-crc64nvme", "imGzfIgXKM8="),
    ("x-amz-checksum-sha1", "t+I+wpryKwtOQdox6GjVciYSHIQ="),
    ("x-amz-checksum-sha256", "Ccp+TqpuiunH0mEWcSkYSINkTQffuny/vEyKLgg2DVs="),
    ("content-md5", "5NfxtO0uQtFYmPSyewGdpA=="),
];
const BOTH: [PassThrough; 2] = [PassThrough::AsSent, PassThrough::Verified];

/// Each text with one bit flipped, and where.
fn flipped(text: &str) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..text.len())
        .map(|flipped| (flipped, text.bytes().enumerate().map(|(at, byte)| byte ^ u8::from(at == flipped)).collect()))
}

/// `text` in each of these wrong forms that a header's value can have.
fn flipped_values(text: &str) -> impl Iterator<Item = String> {
    flipped(text).filter_map(|(_, bytes)| String::from_utf8(bytes).ok())
}

async fn is_refused(stack: &Stack, request: Request<Full<Bytes>>, what: &str) {
    let answer = stack.send(request).await;
    assert!(matches!(answer.status, 400 | 403), "{what}: {}", answer.verdict());
    assert_eq!(stack.seen(), 0, "{what}");
}

async fn passes(stack: &Stack, request: Request<Full<Bytes>>, what: &str) {
    assert_eq!(stack.send(request).await.verdict(), "200", "{what}");
    assert_eq!(stack.seen.lock().unwrap().drain(..).count(), 1, "{what}");
}

/// The head with a body of this many bytes.
fn with_bytes(head: &Request<Full<Bytes>>, body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = head.clone();
    request.headers_mut().insert("content-length", body.len().into());
    *request.body_mut() = Full::from(body);
    request
}

/// The body as it is passes; with a bit flipped in any of its bytes it does not.
async fn every_byte_counts(stack: &Stack, head: &Request<Full<Bytes>>, body: &str, what: &str) {
    passes(stack, with_bytes(head, body.as_bytes().to_vec()), what).await;
    for (at, bytes) in flipped(body) {
        let context = format!("{what}: byte {at} of {body:?}");
        is_refused(stack, with_bytes(head, bytes), &context).await;
    }
}

#[tokio::test]
async fn in_signed_chunks() {
    for pass_through in BOTH {
        let stack = stack(pass_through).await;
        let head = signed(Caller("alice"), put(SIGNED, &[("content-encoding", "aws-chunked")])).await;
        let body = frame_signed_with(Caller("alice"), &head, &["hello, ", "world", ""], None);
        every_byte_counts(&stack, &head, &body, &format!("{pass_through:?}")).await;
    }
}

#[tokio::test]
async fn in_signed_chunks_with_each_checksum_behind() {
    for pass_through in BOTH {
        let stack = stack(pass_through).await;
        for (name, value) in DIGESTS.into_iter().filter(|(name, _)| *name != "content-md5") {
            let head = signed(Caller("alice"), put(SIGNED_TRAILER, &[("x-amz-trailer", name)])).await;
            let trailer = format!("{name}:{value}");
            let body = frame_signed_with(Caller("alice"), &head, &["hello, ", "world", ""], Some(&trailer));
            every_byte_counts(&stack, &head, &body, &format!("{pass_through:?} {name}")).await;
            // What is rightly signed and still wrong.
            for wrong in flipped_values(value) {
                let trailer = format!("{name}:{wrong}");
                let body = frame_signed_with(Caller("alice"), &head, &["hello, ", "world", ""], Some(&trailer));
                is_refused(&stack, with_bytes(&head, body.into_bytes()), &format!("{pass_through:?} {trailer}")).await;
            }
        }
    }
}

#[tokio::test]
async fn in_unsigned_chunks_with_each_checksum_behind() {
    for pass_through in BOTH {
        let stack = stack(pass_through).await;
        for (name, value) in DIGESTS.into_iter().filter(|(name, _)| *name != "content-md5") {
            let unsigned = put(UNSIGNED_TRAILER, &[("x-amz-trailer", name)]);
            for head in [signed(Caller("alice"), unsigned.clone()).await, unsigned] {
                let body = format!("7\r\nhello, \r\n5\r\nworld\r\n0\r\n{name}:{value}\r\n\r\n");
                every_byte_counts(&stack, &head, &body, &format!("{pass_through:?} {name}")).await;
            }
        }
    }
}

#[tokio::test]
async fn in_a_body_of_which_the_hash_is_signed() {
    for pass_through in BOTH {
        let stack = stack(pass_through).await;
        let head = signed(Caller("alice"), request("PUT", "/photos/k", &[], "hello, world")).await;
        every_byte_counts(&stack, &head, "hello, world", &format!("{pass_through:?}")).await;
        for wrong in flipped_values(SHA256) {
            let what = format!("{pass_through:?} {wrong}");
            // Of another body, rightly signed; and changed on its way.
            let hash = [("x-amz-content-sha256", wrong.as_str())];
            let other = signed(Caller("alice"), request("PUT", "/photos/k", &hash, "hello, world")).await;
            is_refused(&stack, other, &what).await;
            let mut changed = with_bytes(&head, b"hello, world".to_vec());
            changed.headers_mut().insert("x-amz-content-sha256", wrong.parse().unwrap());
            is_refused(&stack, changed, &what).await;
        }
    }
}

#[tokio::test]
async fn in_a_body_with_each_digest_before() {
    for pass_through in BOTH {
        let stack = stack(pass_through).await;
        for (name, value) in DIGESTS {
            for caller in [Some(Caller("alice")), None] {
                let head = async |value: &str| {
                    let headers = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), (name, value)];
                    let head = request("PUT", "/photos/k", &headers, "hello, world");
                    match caller {
                        Some(caller) => signed(caller, head).await,
                        None => head,
                    }
                };
                let what = format!("{pass_through:?} {caller:?} {name}");
                let right = head(value).await;
                every_byte_counts(&stack, &right, "hello, world", &what).await;
                for wrong in flipped_values(value) {
                    is_refused(&stack, head(&wrong).await, &format!("{what}: {wrong}")).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn in_a_head_that_is_signed() {
    for pass_through in BOTH {
        let stack = stack(pass_through).await;
        let head = signed(Caller("alice"), put(SIGNED, &[("content-encoding", "aws-chunked")])).await;
        let body = frame_signed_with(Caller("alice"), &head, &["hello, ", "world", ""], None);
        let right = with_bytes(&head, body.into_bytes());
        passes(&stack, right.clone(), "as it is").await;
        for name in ["x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-date", "content-encoding"] {
            for wrong in flipped_values(right.headers()[name].to_str().unwrap()) {
                let Ok(value) = wrong.parse() else { continue };
                let mut changed = right.clone();
                changed.headers_mut().insert(name, value);
                is_refused(&stack, changed, &format!("{pass_through:?} {name}: {wrong}")).await;
            }
        }
        let authorization = right.headers()["authorization"].to_str().unwrap().to_owned();
        let signature = authorization.rsplit_once('=').unwrap().0.len() + 1;
        for (at, bytes) in flipped(&authorization).filter(|(at, _)| *at >= signature) {
            let mut changed = right.clone();
            changed.headers_mut().insert("authorization", String::from_utf8(bytes).unwrap().parse().unwrap());
            is_refused(&stack, changed, &format!("{pass_through:?}: digit {at} of the signature")).await;
        }
    }
}
