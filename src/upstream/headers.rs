//! Which headers are for one connection only, and stop here?
//!
//! Follows RFC 9110, sections 7.6.1 and 10.1.4.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, RANGE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{HeaderValue, Request};
use http_body::Body;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_AUTHENTICATE: HeaderName = HeaderName::from_static("proxy-authenticate");
static PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Takes off what speaks of the client's connection, and says about the body what the next connection needs.
pub(crate) fn prepare_request<B: Body>(request: &mut Request<B>, authority: Option<&Authority>) {
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let takes_trailers = takes_trailers(request.headers());
    let sized = request.body().is_end_stream() || request.body().size_hint().exact().is_some();
    let headers = request.headers_mut();
    strip(headers);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // A length beside chunked framing is how requests are smuggled; the framing decides.
    if chunked {
        headers.remove(CONTENT_LENGTH);
    }
    // Said outright, since hyper takes a GET of unknown length to have no body at all.
    if !sized && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    // An absolute target or `:authority` overrides `Host` (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1). It is what
    // the layers judged by: were the other sent on, the store would act on another bucket than they did.
    if let Some(host) = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        headers.insert(HOST, host);
    }
}

/// Takes off what speaks of the store's connection.
pub(crate) fn prepare_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip(headers);
}

fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let values = headers.get_all(CONNECTION).iter();
        // Mostly it is `keep-alive`, a header that is taken off anyway, or `close`, which is none.
        let named: Vec<HeaderName> =
            values.flat_map(tokens).filter(|token| !is_option(token)).filter_map(end_to_end).collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    // There is hardly ever one, and to see that takes less than to look each of them up.
    if headers.keys().any(is_of_connection) {
        for name in [
            &KEEP_ALIVE,
            &PROXY_AUTHENTICATE,
            &PROXY_AUTHORIZATION,
            &PROXY_CONNECTION,
            &TE,
            &TRANSFER_ENCODING,
            &UPGRADE,
        ] {
            headers.remove(name);
        }
    }
}

/// What stands in `Connection` and is no header's name, or that of one that goes in any case.
fn is_option(token: &str) -> bool {
    token.eq_ignore_ascii_case("keep-alive") || token.eq_ignore_ascii_case("close")
}

/// Whether a header is always for one connection, named by `Connection` or not.
fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// A header that `Connection` may take along. Those that S3 acts on it may not, whatever it says: without them the message
/// would mean something else than was signed, and in a request that is signed anew nobody would notice.
fn end_to_end(token: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(token.as_bytes()).ok().filter(|name| !is_acted_on(name))
}

fn is_acted_on(name: &HeaderName) -> bool {
    let begins = |prefix| name.as_str().starts_with(prefix);
    *name == HOST || *name == AUTHORIZATION || *name == RANGE || begins("x-amz-") || begins("content-") || begins("if-")
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(tokens)
        .any(|token| token.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("trailers")))
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{Empty, Full};

    use super::*;

    #[test]
    fn only_what_is_end_to_end_goes_on() {
        let mut request = Request::builder()
            .uri("/b/k")
            .header("host", "b.s3.example.com")
            .header("connection", "close, X-Mine , host")
            .header("connection", "te, Authorization, x-amz-acl, content-type, if-match, range")
            .header("x-mine", "1")
            .header("x-amz-acl", "private")
            .header("content-type", "text/plain")
            .header("if-match", "\"a\"")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic eA==")
            .header("te", "gzip;q=0.5, trailers")
            .header("upgrade", "websocket")
            .header("trailer", "x-checksum")
            .header("content-length", "3")
            .header("authorization", "AWS4-HMAC-SHA256 …")
            .header("range", "bytes=0-1")
            .body(Full::new(Bytes::from_static(b"abc")))
            .unwrap();
        prepare_request(&mut request, None);
        let mut left: Vec<(&str, &[u8])> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("authorization", "AWS4-HMAC-SHA256 …".as_bytes()),
                ("connection", b"te"),
                ("content-length", b"3"),
                ("content-type", b"text/plain"),
                ("host", b"b.s3.example.com"),
                ("if-match", b"\"a\""),
                ("range", b"bytes=0-1"),
                ("te", b"trailers"),
                ("trailer", b"x-checksum"),
                ("x-amz-acl", b"private"),
            ]
        );
    }

    #[test]
    fn each_header_of_one_connection_stops_here() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "transfer-encoding",
            "upgrade",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            headers.append(name, HeaderValue::from_static("y"));
            headers.insert("x-amz-meta-upgrade", HeaderValue::from_static("z"));
            prepare_response(&mut headers);
            assert_eq!(headers.len(), 1, "{name}: {headers:?}");
            assert!(headers.contains_key("x-amz-meta-upgrade"), "{name}: {headers:?}");
        }
    }

    #[test]
    fn host_is_the_clients_own_and_the_targets_goes_first() {
        for (header, authority, expected) in [
            (Some("a.example.com"), Some("b.example.com"), Some("b.example.com")),
            (Some("a.example.com"), None, Some("a.example.com")),
            (None, Some("b.example.com:81"), Some("b.example.com:81")),
            // The endpoint's, once that is known.
            (None, None, None),
        ] {
            let mut request = Request::new(Empty::<Bytes>::new());
            if let Some(host) = header {
                request.headers_mut().insert(HOST, HeaderValue::from_static(host));
            }
            let authority = authority.map(Authority::from_static);
            prepare_request(&mut request, authority.as_ref());
            let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
            assert_eq!(host, expected.map(str::as_bytes), "{header:?} {authority:?}");
        }
    }

    #[test]
    fn a_length_beside_chunked_framing_is_dropped() {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        prepare_response(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }
}
