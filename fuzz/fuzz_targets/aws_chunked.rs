//! `aws-chunked` bodies: however the input is split the answer is the same, and it is never longer than was declared; what
//! is relayed is what is decoded, and nothing in it is changed but signatures.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis::s3::aws_chunked::{ChunkSignatures, ChunkSigner, Decoder, Framing, Relay, RelayError, decode};
use portcullis::s3::checksum::DigestChecks;

/// Agrees to one signature, so that the fuzzer gets past it.
struct Zeros;

impl ChunkSignatures for Zeros {
    fn chunk(&mut self, _: [u8; 32], signature: &str) -> bool {
        signature.bytes().all(|digit| digit == b'0')
    }

    fn trailer(&mut self, _: &[u8], signature: &str) -> bool {
        signature.bytes().all(|digit| digit == b'0')
    }
}

/// Signs with one signature.
struct Ones;

impl ChunkSigner for Ones {
    fn chunk(&mut self, _: [u8; 32]) -> String {
        "1".repeat(64)
    }

    fn trailer(&mut self, _: &[u8]) -> String {
        "1".repeat(64)
    }
}

/// What went on of two pieces before the end was judged, and the end.
fn relayed(mut relay: Relay, pieces: [&[u8]; 2]) -> (Vec<u8>, Result<Bytes, RelayError>) {
    let mut out = Vec::new();
    for piece in pieces {
        match relay.push(Bytes::copy_from_slice(piece)) {
            Ok(passed) => out.extend(passed.unwrap_or_default()),
            Err(error) => return (out, Err(error)),
        }
    }
    let end = relay.finish();
    (out, end)
}

fuzz_target!(|input: (u8, u16, u16, &[u8])| {
    let (kind, length, cut, body) = input;
    let framing = match kind % 3 {
        0 => Framing::Signed,
        1 => Framing::SignedTrailer,
        _ => Framing::UnsignedTrailer,
    };
    let length = u64::from(length);
    let whole = decode(body, framing, length, Some(&mut Zeros));

    let (left, right) = body.split_at(usize::from(cut).min(body.len()));
    for anew in [false, true] {
        let mut relay = Relay::new(framing, length, Some(Box::new(Zeros)), DigestChecks::default());
        if anew {
            relay.sign_anew(Box::new(Ones));
        }
        let (mut out, end) = relayed(relay, [left, right]);
        match (&whole, end) {
            (Ok(whole), Ok(end)) => {
                assert!(whole.trailers.is_empty(), "none was announced");
                out.extend_from_slice(&end);
                assert_eq!(out.len(), body.len());
                if !anew || !framing.is_signed() {
                    assert_eq!(out, body);
                }
            }
            // Trailers that were not announced.
            (Ok(whole), Err(_)) => assert!(!whole.trailers.is_empty()),
            (Err(_), Ok(_)) => panic!("relayed, but not decoded"),
            (Err(_), Err(_)) => assert!(out.len() < body.len().max(1), "complete in the eyes of HTTP"),
        }
    }
    let mut data = Vec::new();
    let mut decoder = Decoder::new(framing, length, Some(Zeros));
    let pushed = decoder
        .push(left, |piece| data.extend_from_slice(piece))
        .and_then(|()| decoder.push(right, |piece| data.extend_from_slice(piece)));
    assert!(data.len() as u64 <= length);
    match (whole, pushed.and_then(|()| decoder.finish())) {
        (Ok(whole), Ok(trailers)) => {
            assert_eq!((whole.data.as_ref(), whole.trailers), (data.as_slice(), trailers));
            assert_eq!(data.len() as u64, length);
        }
        (Err(_), Err(_)) => {}
        (whole, parts) => panic!("whole: {whole:?}, in two parts: {parts:?}"),
    }
});
