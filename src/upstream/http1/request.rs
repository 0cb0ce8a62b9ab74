//! How is a request written, and its body framed?
//!
//! Follows RFC 9112, sections 3 and 6.

use bytes::{BufMut, BytesMut};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderName,
    MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use http_body::Body;

/// How the end of a request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    /// It has so many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

impl Framing {
    /// What `headers` say of `body`, and, where they say nothing, what they say from now on.
    pub(super) fn settle<B: Body>(headers: &mut HeaderMap, body: &B) -> Self {
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        // One that was announced and is over already is a body that failed, and must not be taken for an empty one.
        if body.is_end_stream() && announced.unwrap_or(0) == 0 {
            headers.remove(TRANSFER_ENCODING);
            return Self::Empty;
        }
        let is_chunked = headers.contains_key(TRANSFER_ENCODING);
        match announced.or(body.size_hint().exact()).filter(|_| !is_chunked) {
            Some(length) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                Self::Length(length)
            }
            None => {
                headers.remove(CONTENT_LENGTH);
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                Self::Chunked
            }
        }
    }
}

/// The trailers that `headers` announce, which alone are sent on; but for those that say how a message is read, who asks, or
/// for how long it counts (RFC 9110, section 6.5.1): by the time a trailer comes, that is decided.
pub(super) fn announced_trailers(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    names.filter(|name| !NO_TRAILERS.contains(name)).collect()
}

static NO_TRAILERS: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// Writes the request line and the headers, whose names are in lower case, as they always are in HTTP/2.
pub(super) fn write_head(out: &mut BytesMut, request: &Parts) {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let method = request.method.as_str();
    let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    out.reserve(method.len() + target.len() + 14 + headers.sum::<usize>());
    for piece in [method, " ", target, " HTTP/1.1\r\n"] {
        out.put_slice(piece.as_bytes());
    }
    write_headers(out, &request.headers, |_| true);
    out.put_slice(b"\r\n");
}

/// Writes those headers, or trailers, that `is_sent`, each with its line end.
pub(super) fn write_headers(out: &mut BytesMut, headers: &HeaderMap, is_sent: impl Fn(&HeaderName) -> bool) {
    for (name, value) in headers.iter().filter(|(name, _)| is_sent(name)) {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::Request;
    use http_body::Frame;
    use http_body_util::{Empty, Full};

    use super::*;

    /// A body of which nothing is known.
    struct Unknown;

    impl Body for Unknown {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_body_is_framed_as_its_head_says_or_as_it_is() {
        let settle = |headers: &mut HeaderMap, body| match body {
            "" => Framing::settle(headers, &Empty::<Bytes>::new()),
            "?" => Framing::settle(headers, &Unknown),
            body => Framing::settle(headers, &Full::new(Bytes::from_static(body.as_bytes()))),
        };
        let chunked = (Framing::Chunked, None, Some("chunked"));
        for (header, body, expected) in [
            (None, "", (Framing::Empty, None, None)),
            (Some(("content-length", "0")), "", (Framing::Empty, Some("0"), None)),
            (Some(("content-length", "5")), "", (Framing::Length(5), Some("5"), None)),
            (Some(("transfer-encoding", "chunked")), "", (Framing::Empty, None, None)),
            (None, "hello", (Framing::Length(5), Some("5"), None)),
            (Some(("content-length", "5")), "hello", (Framing::Length(5), Some("5"), None)),
            (Some(("transfer-encoding", "chunked")), "hello", chunked),
            (Some(("content-length", "7")), "?", (Framing::Length(7), Some("7"), None)),
            (None, "?", chunked),
        ] {
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = header {
                headers.insert(name, HeaderValue::from_static(value));
            }
            let framing = settle(&mut headers, body);
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            let found = (framing, text("content-length"), text("transfer-encoding"));
            assert_eq!(found, expected, "{header:?} {body:?}");
        }
    }

    #[test]
    fn a_trailer_is_sent_that_is_announced_and_decides_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(TRAILER, HeaderValue::from_static("X-Sum, authorization ,content-length, a b"));
        headers.append(TRAILER, HeaderValue::from_static("x-other"));
        assert_eq!(announced_trailers(&headers), ["x-sum", "x-other"]);
        let mut trailers = HeaderMap::new();
        for name in ["x-sum", "x-hidden"] {
            trailers.insert(name, HeaderValue::from_static("1"));
        }
        let mut out = BytesMut::new();
        write_headers(&mut out, &trailers, |name| announced_trailers(&headers).contains(name));
        assert_eq!(out, "x-sum: 1\r\n");
    }

    #[test]
    fn a_head_is_written_as_it_was_read() {
        let (parts, ()) = Request::put("/b/a%2Fb//c?x=+&policy")
            .header("host", "s3")
            .header("x-amz-meta-a", "1")
            .header("x-amz-meta-a", "2")
            .body(())
            .unwrap()
            .into_parts();
        let mut out = BytesMut::new();
        write_head(&mut out, &parts);
        assert_eq!(
            out,
            "PUT /b/a%2Fb//c?x=+&policy HTTP/1.1\r\nhost: s3\r\nx-amz-meta-a: 1\r\nx-amz-meta-a: 2\r\n\r\n"
        );
    }
}
