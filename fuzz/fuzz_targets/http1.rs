//! What a store sends: wherever it is split, its head and its body are the same, and what follows them is left alone.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use portcullis::upstream::http1::chunked::{Chunked, Piece};
use portcullis::upstream::http1::response::ResponseHead;

fuzz_target!(|input: (usize, &[u8])| {
    let (at, wire) = input;
    let (first, second) = wire.split_at(at % (wire.len() + 1));
    assert_eq!(body(&[wire]), body(&[first, second]));
    let mut buffer = BytesMut::from(wire);
    if let Ok(Some(head)) = ResponseHead::take(&mut buffer) {
        assert!(wire.ends_with(&buffer) && buffer.len() < wire.len());
        let _ = (head.extent(&http::Method::GET), head.keeps_alive());
    }
});

/// A body in chunks, whether it ended, and what is left; none for what is no such body.
fn body(pieces: &[&[u8]]) -> Option<(Vec<u8>, bool, Vec<u8>)> {
    let (mut reader, mut buffer, mut body, mut ended) = (Chunked::default(), BytesMut::new(), Vec::new(), false);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(found) = reader.next(&mut buffer).ok()? {
            match found {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End(_) => ended = true,
            }
        }
    }
    // What is not yet a whole line is not looked at.
    let left = if ended { buffer.to_vec() } else { Vec::new() };
    Some((body, ended, left))
}
