//! What is the body inside `aws-chunked` framing?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>:
//!
//! ```text
//! body    = *chunk last CRLF                                           ; without trailers
//!         | *chunk last *(name ":" value CRLF) [signature CRLF] CRLF   ; with trailers
//! chunk   = size [";chunk-signature=" 64HEX] CRLF data CRLF            ; size in hexadecimal
//! last    = "0"  [";chunk-signature=" 64HEX] CRLF
//! ```
//!
//! The framing is one of the body itself, not HTTP's chunked transfer coding, which may come on top. S3's rule that
//! every chunk but the last has at least 8 KiB is not enforced: it protects S3's own storage, and nothing here.

mod relay;
mod trailer;

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

pub use self::relay::{MAX_RELAYED_CHUNK, Relay, RelayError};
use super::error::{ErrorCode, S3Error};

/// The longest line before a chunk's data, in bytes, line end excluded: 16 digits and a signature.
const MAX_LINE: usize = 16 + SIGNATURE_NAME.len() + SIGNATURE_DIGITS;

/// The most bytes after the last chunk's line. One checksum and one signature need under 200.
pub const MAX_TRAILER_BYTES: usize = 4096;

const SIGNATURE_NAME: &str = ";chunk-signature=";
const SIGNATURE_DIGITS: usize = 64;

/// How a body is framed, as `x-amz-content-sha256` declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: every chunk is signed.
    Signed,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: every chunk is signed, and so are the trailers.
    SignedTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: nothing is signed, a checksum comes in the trailer.
    UnsignedTrailer,
}

impl Framing {
    /// Reads the value of `x-amz-content-sha256`. `None`: the body is not framed, or signed in a way unknown here.
    pub fn from_content_sha256(value: &str) -> Option<Self> {
        match value {
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Self::Signed),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Self::SignedTrailer),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Self::UnsignedTrailer),
            _ => None,
        }
    }

    /// The value of `x-amz-content-sha256` that declares it.
    pub fn content_sha256(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    /// Whether its chunks are signed.
    pub fn is_signed(self) -> bool {
        match self {
            Self::Signed | Self::SignedTrailer => true,
            Self::UnsignedTrailer => false,
        }
    }
}

/// Checks the signatures, each of which covers the one before it. Implemented by who holds the signing key.
pub trait ChunkSignatures {
    /// Whether `signature` (64 hexadecimal digits) is that of the next chunk, whose data has this SHA-256. The last,
    /// empty chunk is asked about too.
    fn chunk(&mut self, sha256_of_data: [u8; 32], signature: &str) -> bool;

    /// Whether `signature` is that of the trailers. `canonical` holds a line `name:value\n` for each, names in lower
    /// case, without that of the signature itself.
    fn trailer(&mut self, canonical: &[u8], signature: &str) -> bool;
}

impl<T: ChunkSignatures + ?Sized> ChunkSignatures for &mut T {
    fn chunk(&mut self, sha256_of_data: [u8; 32], signature: &str) -> bool {
        (**self).chunk(sha256_of_data, signature)
    }

    fn trailer(&mut self, canonical: &[u8], signature: &str) -> bool {
        (**self).trailer(canonical, signature)
    }
}

/// Makes the signatures anew, each of which covers the one before it. Implemented by who holds the signing key.
pub trait ChunkSigner: Send {
    /// The signature, 64 hexadecimal digits, of the next chunk, whose data has this SHA-256. The last, empty chunk is
    /// asked for too.
    fn chunk(&mut self, sha256_of_data: [u8; 32]) -> String;

    /// The signature of the trailers, in the form that [`ChunkSignatures::trailer`] takes.
    fn trailer(&mut self, canonical: &[u8]) -> String;
}

/// A body without its framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The bytes the sender meant.
    pub data: Bytes,
    /// What followed them, in the order it was sent, without the signature.
    pub trailers: Vec<(HeaderName, HeaderValue)>,
}

/// The length of the data, from `x-amz-decoded-content-length`, in bytes.
///
/// # Errors
/// [`ChunkedError::MissingLength`] without the header, [`ChunkedError::InvalidLength`] where it is not one number.
pub fn decoded_length(headers: &HeaderMap) -> Result<u64, ChunkedError> {
    let mut values = headers.get_all("x-amz-decoded-content-length").iter();
    let value = values.next().ok_or(ChunkedError::MissingLength)?;
    let invalid = || ChunkedError::InvalidLength(String::from_utf8_lossy(value.as_bytes()).into_owned());
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()) && values.next().is_none());
    digits.and_then(|text| text.parse().ok()).ok_or_else(invalid)
}

/// Takes off the headers what only describes the framing of a body that is decoded; what stood in its trailers becomes
/// headers.
pub(crate) fn unframe(headers: &mut HeaderMap, trailers: Vec<(HeaderName, HeaderValue)>) {
    headers.extend(trailers);
    for name in ["x-amz-decoded-content-length", "x-amz-trailer"] {
        headers.remove(HeaderName::from_static(name));
    }
    let kept: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .map(str::to_owned)
        .collect();
    match HeaderValue::from_str(&kept.join(", ")) {
        Ok(value) if !kept.is_empty() => headers.insert(CONTENT_ENCODING, value),
        _ => headers.remove(CONTENT_ENCODING),
    };
}

/// Decodes a whole body, for those small enough to be held in memory.
///
/// # Errors
/// [`ChunkedError`]. With a signed framing and no `signatures`, every signature is wrong.
pub fn decode(
    body: &[u8],
    framing: Framing,
    decoded_length: u64,
    signatures: Option<&mut dyn ChunkSignatures>,
) -> Result<Decoded, ChunkedError> {
    let mut data = BytesMut::with_capacity(body.len().min(usize::try_from(decoded_length).unwrap_or(usize::MAX)));
    let mut decoder = Decoder::new(framing, decoded_length, signatures);
    decoder.push(body, |piece| data.extend_from_slice(piece))?;
    Ok(Decoded { trailers: decoder.finish()?, data: data.freeze() })
}

/// Decodes a body piece by piece, in memory that does not grow with it.
#[derive(Debug)]
pub struct Decoder<S> {
    framing: Framing,
    decoded_length: u64,
    received: u64,
    signatures: Option<S>,
    state: State,
    /// The line being read, or all that came after the last chunk.
    buffer: Vec<u8>,
    chunk: Chunk,
}

/// The chunk being read.
#[derive(Debug, Default)]
struct Chunk {
    hash: Sha256,
    signature: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the line before a chunk's data.
    Line,
    /// In a chunk's data, with this many bytes to come.
    Data(u64),
    /// Behind a chunk's data, before the line end.
    DataEnd,
    /// Behind the last chunk's line.
    Trailer,
    /// An error was reported; nothing more is decoded.
    Failed,
}

impl<S: ChunkSignatures> Decoder<S> {
    /// Starts before the first byte. `decoded_length` is what [`decoded_length`] read.
    pub fn new(framing: Framing, decoded_length: u64, signatures: Option<S>) -> Self {
        let (state, buffer, chunk) = (State::Line, Vec::new(), Chunk::default());
        Self { framing, decoded_length, received: 0, signatures, state, buffer, chunk }
    }

    /// Reads on, handing every piece of data to `sink`.
    ///
    /// A chunk's signature stands before its data and is checked behind it, so data must not be acted upon finally
    /// before [`Self::finish`] has agreed to all of it.
    ///
    /// # Errors
    /// [`ChunkedError`]; from then on every call fails.
    pub fn push<'a>(&mut self, mut input: &'a [u8], mut sink: impl FnMut(&'a [u8])) -> Result<(), ChunkedError> {
        while !input.is_empty() {
            match self.step(input, &mut sink) {
                Ok(rest) => input = rest,
                Err(error) => {
                    self.state = State::Failed;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Ends the body and gives its trailers.
    ///
    /// # Errors
    /// [`ChunkedError`] when the last chunk has not come, or the trailers are malformed or wrongly signed.
    pub fn finish(mut self) -> Result<Vec<(HeaderName, HeaderValue)>, ChunkedError> {
        self.end()
    }

    fn end(&mut self) -> Result<Vec<(HeaderName, HeaderValue)>, ChunkedError> {
        if self.state != State::Trailer {
            return Err(ChunkedError::Truncated);
        }
        trailer::parse(&self.buffer, self.framing, self.signatures.as_mut())
    }

    /// Takes at least one byte off `input`, which is not empty, and gives back the rest.
    fn step<'a>(&mut self, input: &'a [u8], sink: &mut impl FnMut(&'a [u8])) -> Result<&'a [u8], ChunkedError> {
        match self.state {
            State::Line => match self.take_line(input)? {
                (Some(line), rest) => {
                    self.begin_chunk(&line)?;
                    Ok(rest)
                }
                (None, rest) => Ok(rest),
            },
            State::Data(remaining) => {
                let here = usize::try_from(remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
                let (data, rest) = input.split_at(here);
                if self.framing.is_signed() {
                    self.chunk.hash.update(data);
                }
                sink(data);
                let taken = data.len() as u64;
                self.received += taken;
                self.state = if taken == remaining { State::DataEnd } else { State::Data(remaining - taken) };
                Ok(rest)
            }
            State::DataEnd => match self.take_line(input)? {
                (Some(line), rest) if line.is_empty() => {
                    self.end_chunk()?;
                    self.state = State::Line;
                    Ok(rest)
                }
                (Some(line), _) => Err(malformed(&line)),
                (None, rest) => Ok(rest),
            },
            State::Trailer => {
                self.buffer.extend_from_slice(input);
                if self.buffer.len() > MAX_TRAILER_BYTES {
                    return Err(ChunkedError::MalformedTrailer(format!("more than {MAX_TRAILER_BYTES} bytes")));
                }
                Ok(&[])
            }
            State::Failed => Err(ChunkedError::AfterError),
        }
    }

    /// Moves input up to a line end into the buffer. The line comes without its CRLF, once it is whole.
    fn take_line<'a>(&mut self, input: &'a [u8]) -> Result<(Option<Vec<u8>>, &'a [u8]), ChunkedError> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (line, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        let room = (MAX_LINE + 2).saturating_sub(self.buffer.len());
        if line.len() > room {
            return Err(malformed(&self.buffer));
        }
        self.buffer.extend_from_slice(line);
        if end.is_none() {
            return Ok((None, rest));
        }
        let mut line = std::mem::take(&mut self.buffer);
        if !line.ends_with(b"\r\n") {
            return Err(malformed(&line));
        }
        line.truncate(line.len() - 2);
        Ok((Some(line), rest))
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), ChunkedError> {
        let text = std::str::from_utf8(line).map_err(|_| malformed(line))?;
        let (size, signature) = match text.split_once(SIGNATURE_NAME) {
            Some((size, signature)) => (size, Some(signature)),
            None => (text, None),
        };
        // `from_str_radix` takes a sign.
        if !(1..=16).contains(&size.len()) || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed(line));
        }
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed(line))?;
        let signature = match (self.framing.is_signed(), signature) {
            (true, Some(signature)) if is_signature(signature) => signature.to_owned(),
            (false, None) => String::new(),
            (true, _) | (false, Some(_)) => return Err(malformed(line)),
        };
        self.chunk = Chunk { hash: Sha256::new(), signature };
        if size == 0 {
            self.end_chunk()?;
            if self.received != self.decoded_length {
                return Err(self.wrong_length(self.received));
            }
            self.state = State::Trailer;
            return Ok(());
        }
        match self.received.checked_add(size) {
            Some(total) if total <= self.decoded_length => {
                self.state = State::Data(size);
                Ok(())
            }
            total => Err(self.wrong_length(total.unwrap_or(u64::MAX))),
        }
    }

    fn end_chunk(&mut self) -> Result<(), ChunkedError> {
        let chunk = std::mem::take(&mut self.chunk);
        if !self.framing.is_signed() {
            return Ok(());
        }
        let hash = chunk.hash.finalize().into();
        let valid = self.signatures.as_mut().is_some_and(|signatures| signatures.chunk(hash, &chunk.signature));
        if valid { Ok(()) } else { Err(ChunkedError::BadSignature) }
    }

    fn wrong_length(&self, found: u64) -> ChunkedError {
        ChunkedError::WrongLength { declared: self.decoded_length, found }
    }
}

fn is_signature(text: &str) -> bool {
    text.len() == SIGNATURE_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn malformed(line: &[u8]) -> ChunkedError {
    ChunkedError::MalformedChunk(String::from_utf8_lossy(line).into_owned())
}

/// Why a body cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkedError {
    /// `x-amz-decoded-content-length` is missing.
    MissingLength,
    /// `x-amz-decoded-content-length` has this value.
    InvalidLength(String),
    /// This stands where a chunk's line, or the line end behind its data, was due.
    MalformedChunk(String),
    /// The body ends before its last chunk.
    Truncated,
    /// The data is not as long as was declared, in bytes. Where it is longer, `found` is what the chunks announced.
    WrongLength {
        /// What `x-amz-decoded-content-length` said.
        declared: u64,
        /// What came.
        found: u64,
    },
    /// A chunk has this size, in bytes, and must be held to be signed anew.
    ChunkTooLong(u64),
    /// The trailers are malformed; the text says how.
    MalformedTrailer(String),
    /// A chunk or the trailers are not signed by the holder of the key.
    BadSignature,
    /// More input after an error.
    AfterError,
}

impl From<ChunkedError> for S3Error {
    fn from(error: ChunkedError) -> Self {
        match error {
            ChunkedError::MissingLength => Self::new(ErrorCode::MissingContentLength),
            ChunkedError::InvalidLength(value) => Self::new(ErrorCode::InvalidRequest)
                .with_message("Value for x-amz-decoded-content-length header is invalid.")
                .with_field("ArgumentValue", value),
            ChunkedError::MalformedChunk(_) | ChunkedError::AfterError => {
                Self::new(ErrorCode::InvalidRequest).with_message("The aws-chunked framing of the body is not valid.")
            }
            ChunkedError::Truncated => {
                Self::new(ErrorCode::IncompleteBody).with_message("The request body terminated unexpectedly")
            }
            ChunkedError::WrongLength { .. } => Self::new(ErrorCode::IncompleteBody),
            ChunkedError::ChunkTooLong(size) => Self::new(ErrorCode::InvalidChunkSizeError)
                .with_message(format!("A signed chunk may have at most {MAX_RELAYED_CHUNK} bytes."))
                .with_field("BadChunkSize", size.to_string()),
            ChunkedError::MalformedTrailer(_) => Self::new(ErrorCode::MalformedTrailerError),
            ChunkedError::BadSignature => Self::new(ErrorCode::SignatureDoesNotMatch),
        }
    }
}

impl fmt::Display for ChunkedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLength => f.write_str("no `x-amz-decoded-content-length`"),
            Self::InvalidLength(value) => write!(f, "`x-amz-decoded-content-length` is `{value}`"),
            Self::MalformedChunk(line) => write!(f, "`{line}` where a chunk begins or ends"),
            Self::Truncated => f.write_str("the body ends before its last chunk"),
            Self::WrongLength { declared, found } => write!(f, "{found} bytes of data where {declared} were declared"),
            Self::ChunkTooLong(size) => write!(f, "a signed chunk of {size} bytes"),
            Self::MalformedTrailer(cause) => write!(f, "malformed trailer: {cause}"),
            Self::BadSignature => f.write_str("a chunk or trailer signature does not match"),
            Self::AfterError => f.write_str("input after an error"),
        }
    }
}

impl std::error::Error for ChunkedError {}

#[cfg(test)]
mod tests;
