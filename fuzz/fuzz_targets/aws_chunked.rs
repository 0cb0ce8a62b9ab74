//! `aws-chunked` bodies: however the input is split the answer is the same, and it is never longer than was declared.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::s3::aws_chunked::{ChunkSignatures, Decoder, Framing, decode};

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
