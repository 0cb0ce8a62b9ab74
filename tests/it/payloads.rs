//! Bodies that stream through the Layer, in every payload mode: what passes, byte for byte, and what never does.

use http::Request;
use http_body_util::Full;
use portcullis::s3::aws_chunked::Framing;
use portcullis::s3::forward::{Resign, SignedPayload};
use portcullis::s3::held_bytes::DEFAULT_HELD_BYTES;
use portcullis::{DenialCause, Enforcement, PassThrough};

use super::support::stack::{Stack, number};
use super::support::{Caller, frame_signed_with, request, signed};

pub(crate) const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
pub(crate) const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
pub(crate) const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// Of `hello, world`.
const CRC32: &str = "x-amz-checksum-crc32:/6tyOg==";

/// Everybody may do anything with objects.
const OPEN: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/*"}}"#;

/// A layer that decides, in front of a store that judges for itself or knows our key alone.
pub(crate) async fn stack(pass_through: PassThrough) -> Stack {
    let stack = Stack::deciding(Enforcement::Enforce, pass_through);
    assert_eq!(stack.put(Caller("root"), OPEN).await.verdict(), "204");
    stack
}

pub(crate) fn put(payload: &str, headers: &[(&str, &str)]) -> Request<Full<bytes::Bytes>> {
    let mut all = vec![("x-amz-content-sha256", payload), ("x-amz-decoded-content-length", "12")];
    all.extend(headers);
    request("PUT", "/photos/k", &all, "")
}

/// The head with the body that was made for it.
fn with_body(mut head: Request<Full<bytes::Bytes>>, body: &str) -> Request<Full<bytes::Bytes>> {
    head.headers_mut().insert("content-length", body.len().into());
    *head.body_mut() = Full::from(body.to_owned());
    head
}

/// `hello, world` in two signed chunks.
async fn chunked(trailer: Option<&str>) -> (Request<Full<bytes::Bytes>>, String) {
    let head = match trailer {
        None => put(SIGNED, &[("content-encoding", "aws-chunked")]),
        Some(_) => put(SIGNED_TRAILER, &[("x-amz-trailer", "x-amz-checksum-crc32")]),
    };
    let head = signed(Caller("alice"), head).await;
    let body = frame_signed_with(Caller("alice"), &head, &["hello, ", "world", ""], trailer);
    (head, body)
}

#[tokio::test]
async fn signed_chunks_keep_all_but_their_signatures() {
    for (trailer, framing) in [(None, Framing::Signed), (Some(CRC32), Framing::SignedTrailer)] {
        let preserving = stack(PassThrough::AsSent).await;
        let (head, body) = chunked(trailer).await;
        assert_eq!(preserving.send(with_body(head, &body)).await.verdict(), "200");
        let (_, passed) = preserving.seen.lock().unwrap().pop().unwrap();
        assert_eq!(passed, body, "{framing:?}");

        let resigning = stack(PassThrough::Verified).await;
        let (head, body) = chunked(trailer).await;
        assert_eq!(resigning.send(with_body(head, &body)).await.verdict(), "200");
        let (seen, passed) = resigning.seen.lock().unwrap().pop().unwrap();
        let resign = seen.extensions().get::<Resign>().unwrap();
        assert!(matches!(&resign.payload, SignedPayload::Streaming(found, _) if *found == framing), "{resign:?}");
        assert_eq!(seen.headers()["content-length"], passed.len().to_string().as_str());
        assert_eq!(seen.headers()["x-amz-decoded-content-length"], "12");
        let [first, second, last] = [1, 2, 3].map(number);
        let trailer = trailer
            .map_or_else(String::new, |trailer| format!("{trailer}\r\nx-amz-trailer-signature:{}\r\n", number(4)));
        let expected = format!(
            "7;chunk-signature={first}\r\nhello, \r\n5;chunk-signature={second}\r\nworld\r\n\
             0;chunk-signature={last}\r\n{trailer}\r\n"
        );
        assert_eq!(passed, expected);
    }
}

#[tokio::test]
async fn a_checksum_in_a_trailer_is_verified_whoever_asks() {
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        for caller in [Some(Caller("alice")), None] {
            for (trailer, announced, verdict) in [
                (CRC32, "x-amz-checksum-crc32", "200"),
                ("x-amz-checksum-crc32c:aZmkHw==", "x-amz-checksum-crc32c", "200"),
                ("x-amz-checksum-crc64nvme:imGzfIgXKM8=", "x-amz-checksum-crc64nvme", "200"),
                ("x-amz-checksum-sha1:t+I+wpryKwtOQdox6GjVciYSHIQ=", "x-amz-checksum-sha1", "200"),
                ("x-amz-checksum-sha256:Ccp+TqpuiunH0mEWcSkYSINkTQffuny/vEyKLgg2DVs=", "x-amz-checksum-sha256", "200"),
                ("x-amz-checksum-crc32:AAAAAA==", "x-amz-checksum-crc32", "400 BadDigest"),
                ("x-amz-checksum-crc64nvme:AAAAAAAAAAA=", "x-amz-checksum-crc64nvme", "400 BadDigest"),
                (CRC32, "x-amz-checksum-sha1", "400 MalformedTrailerError"),
                ("x-amz-checksum-crc32:x", "x-amz-checksum-crc32", "400 InvalidRequest"),
            ] {
                let stack = stack(pass_through).await;
                let head = put(UNSIGNED_TRAILER, &[("x-amz-trailer", announced)]);
                let head = match caller {
                    Some(caller) => signed(caller, head).await,
                    None => head,
                };
                let body = format!("c\r\nhello, world\r\n0\r\n{trailer}\r\n\r\n");
                assert_eq!(stack.send(with_body(head, &body)).await.verdict(), verdict, "{pass_through:?} {trailer}");
                let seen = stack.seen.lock().unwrap();
                let passed: Vec<&bytes::Bytes> = seen.iter().map(|(_, body)| body).collect();
                assert_eq!(passed, if verdict == "200" { vec![&body] } else { vec![] });
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_as_s3_tells_it() {
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        for (what, change, verdict) in [
            ("nothing", (|body| body) as fn(String) -> String, "200"),
            ("a byte of data", |body| body.replace("world", "worlt"), "403 SignatureDoesNotMatch"),
            ("a digit of a signature", |body| body.replacen("signature=", "signature=0", 1), "400 InvalidRequest"),
            (
                "two chunks in another order",
                |body| {
                    let (first, rest) = body.split_once("5;").unwrap();
                    let (second, last) = rest.split_once("0;chunk").unwrap();
                    format!("5;{second}{first}0;chunk{last}")
                },
                "403 SignatureDoesNotMatch",
            ),
            ("a chunk left out", |body| format!("5;{}", body.split_once("5;").unwrap().1), "403 SignatureDoesNotMatch"),
            ("cut off", |body| body.strip_suffix("\r\n\r\n").unwrap().to_owned(), "400 IncompleteBody"),
            ("no body", |_| String::new(), "400 IncompleteBody"),
            ("a trailer", |body| body.replace("\r\n\r\n", "\r\nx:y\r\n\r\n"), "400 MalformedTrailerError"),
            ("more behind the end", |body| body + "more", "400 MalformedTrailerError"),
            ("a chunk more", |body| body.replace("0;chunk", "1;chunk"), "400 IncompleteBody"),
        ] {
            let stack = stack(pass_through).await;
            let (head, body) = chunked(None).await;
            let answer = stack.send(with_body(head, &change(body))).await;
            assert_eq!(answer.verdict(), verdict, "{pass_through:?}: {what}");
            assert_eq!(stack.seen(), usize::from(verdict == "200"), "{what}");
        }
    }
}

#[tokio::test]
async fn what_a_head_cannot_promise_is_refused_before_its_body() {
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        let stack = stack(pass_through).await;
        let nothing = [("x-amz-content-sha256", SIGNED)];
        let no_length = signed(Caller("alice"), request("PUT", "/photos/k", &nothing, "data")).await;
        assert_eq!(stack.send(no_length).await.verdict(), "411 MissingContentLength");
        let nobody = stack.send(put(SIGNED, &[])).await;
        assert_eq!(nobody.verdict(), "400 InvalidRequest", "nobody's key signs no chunks");
        assert_eq!(stack.seen(), 0);
    }
    let stack = stack(PassThrough::Verified).await;
    let head = signed(
        Caller("alice"),
        request(
            "PUT",
            "/photos/k",
            &[("x-amz-content-sha256", SIGNED), ("x-amz-decoded-content-length", "99999999999")],
            "",
        ),
    )
    .await;
    let body = format!("{:x};chunk-signature={}\r\n", 1_u64 << 30, "0".repeat(64));
    let answer = stack.send(with_body(head, &body)).await;
    assert_eq!(answer.verdict(), "403 InvalidChunkSizeError");
    assert_eq!(answer.element("BadChunkSize").as_deref(), Some("1073741824"));
}

#[tokio::test]
async fn plain_bodies_are_held_against_their_headers() {
    let right = "Ccp+TqpuiunH0mEWcSkYSINkTQffuny/vEyKLgg2DVs=";
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        for (method, target, headers, verdict) in [
            ("PUT", "/photos/k", &[("content-md5", "5NfxtO0uQtFYmPSyewGdpA==")][..], "200"),
            ("PUT", "/photos/k", &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "400 BadDigest"),
            ("PUT", "/photos/k", &[("content-md5", "x")], "400 InvalidDigest"),
            ("PUT", "/photos/k", &[("x-amz-checksum-sha256", right)], "200"),
            ("PUT", "/photos/k?partNumber=1&uploadId=u", &[("x-amz-checksum-crc32", "AAAAAA==")], "400 BadDigest"),
            ("PUT", "/photos/k", &[("x-amz-trailer", "x-amz-checksum-crc32")], "400 MalformedTrailerError"),
            // That of the whole object, of which this body only lists the parts.
            ("POST", "/photos/k?uploadId=u", &[("x-amz-checksum-crc32", "AAAAAA==")], "200"),
        ] {
            for payload in [None, Some("UNSIGNED-PAYLOAD")] {
                let stack = stack(pass_through).await;
                let mut headers = headers.to_vec();
                headers.extend(payload.map(|payload| ("x-amz-content-sha256", payload)));
                let sent = signed(Caller("alice"), request(method, target, &headers, "hello, world")).await;
                assert_eq!(stack.send(sent).await.verdict(), verdict, "{pass_through:?} {target} {headers:?}");
                assert_eq!(stack.seen(), usize::from(verdict == "200"));
            }
        }
        let stack = stack(pass_through).await;
        let mut forged = signed(Caller("alice"), request("PUT", "/photos/k", &[], "hello, world")).await;
        *forged.body_mut() = Full::from("hello, worle");
        assert_eq!(stack.send(forged).await.verdict(), "400 XAmzContentSHA256Mismatch");
        assert_eq!(stack.seen(), 0);
    }
}

#[tokio::test]
async fn where_nothing_is_decided_nothing_is_held_against_a_body() {
    for enforcement in [Enforcement::Off, Enforcement::Audit] {
        let stack = Stack::deciding(enforcement, PassThrough::AsSent);
        let (head, body) = chunked(None).await;
        let body = body.replace("world", "worlt");
        assert_eq!(stack.send(with_body(head, &body)).await.verdict(), "200", "the store's own judgement");
        assert_eq!(stack.seen.lock().unwrap().pop().unwrap().1, body);
    }
}

#[tokio::test]
async fn a_document_that_finds_no_room_is_told_to_slow_down() {
    let delete = |keys: usize| format!("<Delete>{}</Delete>", "<Object><Key>some/key</Key></Object>".repeat(keys));
    for (enforcement, verdict) in [(Enforcement::Enforce, "503 SlowDown"), (Enforcement::Audit, "200")] {
        let mut stack = Stack::deciding(enforcement, PassThrough::Verified);
        stack.inner_answer = "<DeleteResult/>";
        let others = stack.room.take(DEFAULT_HELD_BYTES).unwrap();
        for (keys, verdict) in [(900, "200"), (5_000, verdict), (900, "200")] {
            let sent = signed(Caller("root"), request("POST", "/photos?delete", &[], delete(keys))).await;
            let found = stack.send(sent).await.verdict();
            assert_eq!(found, verdict, "{enforcement:?} {keys}");
        }
        let told: Vec<_> = stack.denials.lock().unwrap().drain(..).map(|denied| denied.cause).collect();
        match (enforcement, told.as_slice()) {
            (Enforcement::Audit, [DenialCause::Refused { code: "SlowDown", .. }]) | (Enforcement::Enforce, []) => {}
            (_, told) => panic!("{enforcement:?}: {told:?}"),
        }
        drop(others);
        assert_eq!(stack.room.held(), 0);
        let sent = signed(Caller("root"), request("POST", "/photos?delete", &[], delete(900))).await;
        assert_eq!(stack.send(sent).await.verdict(), "200");
    }
}
