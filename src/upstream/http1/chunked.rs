//! Where does a body in chunks end?
//!
//! Follows RFC 9112, section 7.1. Extensions of chunks are read over; trailers are kept.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The longest line of a chunk's size with its extensions, in bytes: the size has 16 at most, and nobody sends extensions.
const MAX_SIZE_LINE: usize = 4 * 1024;

/// The most bytes of the trailers together.
const MAX_TRAILERS: usize = 16 * 1024;

/// The most trailers.
const MAX_TRAILER_COUNT: usize = 32;

/// Reads one body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunked {
    /// A line with a size is next.
    #[default]
    Size,
    /// So many bytes of a chunk are yet to come.
    Data(u64),
    /// The line end after a chunk's bytes is next.
    DataEnd,
    /// The last chunk was read: trailers are next, and the empty line after them.
    Trailers,
    /// All of it was read.
    Over,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the body.
    Data(Bytes),
    /// Its end, with the trailers; mostly there are none.
    End(HeaderMap),
}

/// The body is not in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkedError {
    /// A size is none, or its line is too long.
    Size,
    /// Another byte stands where a chunk's line end should.
    DataEnd(u8),
    /// The trailers are none, or too many.
    Trailers,
}

impl Chunked {
    /// Takes what it can from the front of `buffer`; `None` where more is needed.
    ///
    /// # Errors
    /// [`ChunkedError`].
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, ChunkedError> {
        loop {
            match *self {
                // To httparse a line without a size is the last chunk's.
                Self::Size if buffer.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => {
                    return Err(ChunkedError::Size);
                }
                Self::Size => match httparse::parse_chunk_size(buffer) {
                    Ok(httparse::Status::Complete((length, size))) => {
                        let _ = buffer.split_to(length);
                        *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                    }
                    Ok(httparse::Status::Partial) if buffer.len() <= MAX_SIZE_LINE => return Ok(None),
                    Ok(httparse::Status::Partial) | Err(_) => return Err(ChunkedError::Size),
                },
                Self::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(None);
                    }
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    let left = left.saturating_sub(length as u64);
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    return Ok(Some(Piece::Data(buffer.split_to(length).freeze())));
                }
                Self::DataEnd => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        let _ = buffer.split_to(2);
                        *self = Self::Size;
                    }
                    [] | [b'\r'] => return Ok(None),
                    [b'\r', other, ..] | [other, ..] => return Err(ChunkedError::DataEnd(*other)),
                },
                Self::Trailers => {
                    let Some((length, trailers)) = trailers(buffer)? else { return Ok(None) };
                    let _ = buffer.split_to(length);
                    *self = Self::Over;
                    return Ok(Some(Piece::End(trailers)));
                }
                Self::Over => return Ok(None),
            }
        }
    }
}

/// The trailers, and how many bytes they have with the empty line after them.
fn trailers(buffer: &[u8]) -> Result<Option<(usize, HeaderMap)>, ChunkedError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_COUNT];
    match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Complete((length, fields))) => {
            let mut trailers = HeaderMap::new();
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| ChunkedError::Trailers)?;
                let value = HeaderValue::from_bytes(field.value).map_err(|_| ChunkedError::Trailers)?;
                trailers.append(name, value);
            }
            Ok(Some((length, trailers)))
        }
        Ok(httparse::Status::Partial) if buffer.len() <= MAX_TRAILERS => Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => Err(ChunkedError::Trailers),
    }
}

impl fmt::Display for ChunkedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("the size of a chunk is none"),
            Self::DataEnd(byte) => write!(f, "a chunk is followed by `{}`", byte.escape_ascii()),
            Self::Trailers => f.write_str("the trailers are none"),
        }
    }
}

impl std::error::Error for ChunkedError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, its trailers and what is left.
    type Whole = (Vec<u8>, HeaderMap, Vec<u8>);

    /// What comes out where it is fed in these pieces; `None` where it does not end.
    fn read(pieces: &[&[u8]]) -> Result<Option<Whole>, ChunkedError> {
        let (mut reader, mut buffer, mut body) = (Chunked::default(), BytesMut::new(), Vec::new());
        for (n, piece) in pieces.iter().enumerate() {
            buffer.extend_from_slice(piece);
            while let Some(found) = reader.next(&mut buffer)? {
                match found {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::End(trailers) => {
                        assert_eq!(reader.next(&mut buffer), Ok(None), "nothing follows the end");
                        let left = [&buffer[..], &pieces[n + 1..].concat()].concat();
                        return Ok(Some((body, trailers, left)));
                    }
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn a_body_ends_where_rfc_9112_says() {
        for (text, expected) in [
            ("0\r\n\r\n", Ok(Some(("", "")))),
            ("5\r\nhello\r\n0\r\n\r\n", Ok(Some(("hello", "")))),
            ("5\r\nhello\r\n0\r\n\r\nHTTP/1.1", Ok(Some(("hello", "HTTP/1.1")))),
            ("A;x=\"y\"\r\n0123456789\r\n00\r\nx-sum: 1\r\n\r\n", Ok(Some(("0123456789", "")))),
            ("5\r\nhello\r\n1\r\n!\r\n0\r\n\r", Ok(None)),
            ("5\r\nhel", Ok(None)),
            ("", Ok(None)),
            ("\r\n", Err(ChunkedError::Size)),
            ("-1\r\n", Err(ChunkedError::Size)),
            ("0x5\r\nhello", Err(ChunkedError::Size)),
            ("5 5\r\nhello", Err(ChunkedError::Size)),
            ("10000000000000000\r\n", Err(ChunkedError::Size)),
            ("5\r\nhello!\r\n", Err(ChunkedError::DataEnd(b'!'))),
            ("5\r\nhello\n0\r\n\r\n", Err(ChunkedError::DataEnd(b'\n'))),
            ("0\r\nno trailer\r\n\r\n", Err(ChunkedError::Trailers)),
        ] {
            let found = read(&[text.as_bytes()]);
            let found = found.map(|found| found.map(|(body, _, left)| (body, left)));
            let expected = expected.map(|found: Option<(&str, &str)>| {
                found.map(|(body, left)| (body.as_bytes().to_vec(), left.as_bytes().to_vec()))
            });
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn lines_without_an_end_are_not_collected_for_ever() {
        let extension = ["1;", &"x".repeat(MAX_SIZE_LINE)].concat();
        assert_eq!(read(&[extension.as_bytes()]), Err(ChunkedError::Size));
        let trailers = ["0\r\nx: ", &"x".repeat(MAX_TRAILERS)].concat();
        assert_eq!(read(&[trailers.as_bytes()]), Err(ChunkedError::Trailers));
        let many = ["0\r\n", &"x: 1\r\n".repeat(MAX_TRAILER_COUNT + 1), "\r\n"].concat();
        assert_eq!(read(&[many.as_bytes()]), Err(ChunkedError::Trailers));
    }

    proptest! {
        #[test]
        fn what_was_cut_into_chunks_comes_out_whole_however_it_arrives(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            trailer in proptest::option::of("[a-z]{1,8}"),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n");
            if let Some(value) = &trailer {
                wire.extend_from_slice(format!("x-sum: {value}\r\n").as_bytes());
            }
            wire.extend_from_slice(b"\r\nnext");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([wire.len()]) {
                pieces.push(&wire[from..cut]);
                from = cut;
            }
            let (body, trailers, left) = read(&pieces).unwrap().unwrap();
            prop_assert_eq!(body, chunks.concat());
            prop_assert_eq!(trailers.get("x-sum").map(|value| value.to_str().unwrap()), trailer.as_deref());
            prop_assert_eq!(left, b"next");
        }

        #[test]
        fn nothing_makes_it_panic_or_go_round_in_circles(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&wire]);
        }
    }
}
