//! What does the head of an answer say, and where does the answer end?
//!
//! Follows RFC 9112, sections 4, 6.3 and 9.3.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// The most bytes of a head. S3's own answers have a few kibibytes, metadata included.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The most headers of a head.
const MAX_HEADERS: usize = 256;

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    is_http_10: bool,
}

/// Where the answer to a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// When the connection is closed.
    Close,
}

/// It is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// It is not HTTP/1.
    Http(httparse::Error),
    /// A header's value is none.
    Value(HeaderName),
    /// The status is none.
    Status(u16),
    /// It has more bytes than anybody sends.
    TooLong,
    /// `Content-Length` is no number, or several.
    ContentLength,
    /// The body is encoded in a way that nobody asked for.
    TransferEncoding,
}

impl ResponseHead {
    /// Takes a head from the front of `buffer`; `None` where more is needed.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Self>, HeadError> {
        if buffer.is_empty() {
            return Ok(None);
        }
        let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut parsed, buffer, &mut fields) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if buffer.len() <= MAX_HEAD => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(HeadError::TooLong),
            Err(error) => return Err(HeadError::Http(error)),
        };
        let code = parsed.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| HeadError::Status(code))?;
        let is_http_10 = parsed.version == Some(0);
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for field in parsed.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes())
                .map_err(|_| HeadError::Http(httparse::Error::HeaderName))?;
            let value = HeaderValue::from_bytes(field.value).map_err(|_| HeadError::Value(name.clone()))?;
            headers.append(name, value);
        }
        let _ = buffer.split_to(length);
        Ok(Some(Self { status, headers, is_http_10 }))
    }

    /// Where the answer to a request with this `method` ends.
    ///
    /// # Errors
    /// [`HeadError`] where that cannot be told for certain.
    pub fn extent(&self, method: &Method) -> Result<Extent, HeadError> {
        let has_none = *method == Method::HEAD
            || self.status.is_informational()
            || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if has_none {
            return Ok(Extent::Length(0));
        }
        if self.headers.contains_key(TRANSFER_ENCODING) {
            // Chunked is the only coding that is asked for. What else an old server wraps its body in ends with the connection.
            let mut codings = tokens(&self.headers, &TRANSFER_ENCODING);
            let is_chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
            return match codings.next() {
                None if is_chunked && !self.is_http_10 => Ok(Extent::Chunked),
                _ => Err(HeadError::TransferEncoding),
            };
        }
        let mut lengths = tokens(&self.headers, &CONTENT_LENGTH);
        let Some(length) = lengths.next() else { return Ok(Extent::Close) };
        // Several that agree are one (RFC 9110, section 8.6).
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || lengths.any(|other| other != length) {
            return Err(HeadError::ContentLength);
        }
        length.parse().map(Extent::Length).map_err(|_| HeadError::ContentLength)
    }

    /// Whether the connection is good for another request after this answer.
    pub fn keeps_alive(&self) -> bool {
        if !self.headers.contains_key(CONNECTION) {
            return !self.is_http_10;
        }
        let says = |wanted: &str| tokens(&self.headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(wanted));
        !says("close") && (!self.is_http_10 || says("keep-alive"))
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim)
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => write!(f, "the answer is not HTTP/1: {error}"),
            Self::Value(name) => write!(f, "the value of the answer's header `{name}` is none"),
            Self::Status(code) => write!(f, "the answer's status `{code}` is none"),
            Self::TooLong => write!(f, "the answer's head has more than {MAX_HEAD} bytes"),
            Self::ContentLength => f.write_str("the answer's Content-Length is no number, or several"),
            Self::TransferEncoding => f.write_str("the answer's Transfer-Encoding is not `chunked`"),
        }
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> ResponseHead {
        let mut buffer = BytesMut::from(format!("HTTP/{}\r\n\r\nrest", lines.replace('\n', "\r\n")).as_bytes());
        let head = ResponseHead::take(&mut buffer).unwrap().unwrap();
        assert_eq!(buffer, "rest", "{lines}");
        head
    }

    #[test]
    fn an_answer_ends_where_rfc_9112_says() {
        use Extent::{Chunked, Close, Length};
        for (method, lines, expected) in [
            ("GET", "1.1 200 OK\nContent-Length: 5", Ok(Length(5))),
            ("GET", "1.1 200 OK\ncontent-length: 5, 5", Ok(Length(5))),
            ("GET", "1.1 200 OK\nContent-Length: 5\nContent-Length: 5", Ok(Length(5))),
            ("GET", "1.1 200 OK\nTransfer-Encoding: Chunked\nContent-Length: 5", Ok(Chunked)),
            ("GET", "1.1 200 OK", Ok(Close)),
            ("GET", "1.0 200 OK", Ok(Close)),
            ("HEAD", "1.1 200 OK\nContent-Length: 5", Ok(Length(0))),
            ("HEAD", "1.1 200 OK\nTransfer-Encoding: chunked", Ok(Length(0))),
            ("GET", "1.1 204 No Content", Ok(Length(0))),
            ("GET", "1.1 304 Not Modified\nContent-Length: 5", Ok(Length(0))),
            ("GET", "1.1 100 Continue", Ok(Length(0))),
            ("GET", "1.1 200 OK\nContent-Length: 5\nContent-Length: 6", Err(HeadError::ContentLength)),
            ("GET", "1.1 200 OK\nContent-Length: +5", Err(HeadError::ContentLength)),
            ("GET", "1.1 200 OK\nContent-Length: 5x", Err(HeadError::ContentLength)),
            ("GET", "1.1 200 OK\nContent-Length:", Err(HeadError::ContentLength)),
            ("GET", "1.1 200 OK\nContent-Length: 18446744073709551616", Err(HeadError::ContentLength)),
            ("GET", "1.1 200 OK\nTransfer-Encoding: gzip, chunked", Err(HeadError::TransferEncoding)),
            ("GET", "1.1 200 OK\nTransfer-Encoding: identity", Err(HeadError::TransferEncoding)),
            ("GET", "1.1 200 OK\nTransfer-Encoding: chunked, chunked", Err(HeadError::TransferEncoding)),
            ("GET", "1.0 200 OK\nTransfer-Encoding: chunked", Err(HeadError::TransferEncoding)),
        ] {
            assert_eq!(head(lines).extent(&method.parse().unwrap()), expected, "{method} {lines}");
        }
    }

    #[test]
    fn a_connection_lasts_unless_the_store_says_otherwise() {
        for (lines, expected) in [
            ("1.1 200 OK", true),
            ("1.1 200 OK\nConnection: keep-alive", true),
            ("1.1 200 OK\nConnection: te, Close", false),
            ("1.0 200 OK", false),
            ("1.0 200 OK\nConnection: Keep-Alive", true),
        ] {
            assert_eq!(head(lines).keeps_alive(), expected, "{lines}");
        }
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole_and_nothing_else_is() {
        let text = "HTTP/1.1 206 Partial Content\r\nX-Amz-Meta-A: 1\r\nX-Amz-Meta-A: 2\r\nETag: \"\u{fc}\"\r\n\r\nbody";
        for length in 0..text.len() - 4 {
            let mut buffer = BytesMut::from(&text.as_bytes()[..length]);
            assert!(ResponseHead::take(&mut buffer).unwrap().is_none(), "{length}");
            assert_eq!(buffer.len(), length);
        }
        let mut buffer = BytesMut::from(text.as_bytes());
        let head = ResponseHead::take(&mut buffer).unwrap().unwrap();
        assert_eq!((head.status, &buffer[..]), (StatusCode::PARTIAL_CONTENT, &b"body"[..]));
        assert_eq!(head.headers.get_all("x-amz-meta-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.headers["etag"].as_bytes(), "\"\u{fc}\"".as_bytes());
        for nonsense in
            ["HTTP/2 200 OK\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n"]
        {
            assert!(ResponseHead::take(&mut BytesMut::from(nonsense)).is_err(), "{nonsense:?}");
        }
        let endless = ["HTTP/1.1 200 OK\r\nx: ", &"x".repeat(MAX_HEAD)].concat();
        assert_eq!(ResponseHead::take(&mut BytesMut::from(&*endless)).unwrap_err(), HeadError::TooLong);
    }
}
