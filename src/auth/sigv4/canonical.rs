//! The canonical request: the one text that client and server derive from a request, and sign.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>, "Task 1".

use std::borrow::Cow;

use http::HeaderName;
use http::header::HOST;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::Kind;
use crate::s3::address::authority_of;

/// What stands in place of a secret where a canonical request is shown.
const REDACTED: &[u8] = b"(redacted)";

/// How the path is written in the canonical request.
///
/// S3 decodes the path and encodes the key anew, so that `%2F` is a slash there; many clients sign the path just as they
/// send it, which differs where they escape more or less than RFC 3986 asks for (`(` for `%28`, `%7E` for `~`). Taking
/// either is safe: both decode to the key that is acted upon, and a bucket's name, which ends at the first slash as sent,
/// has no character that could be escaped into another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathForm {
    /// Decoded and encoded again, as S3 does it.
    Recoded,
    /// As sent.
    Raw,
}

/// The first lines: method and path.
pub(super) fn head(parts: &Parts, form: PathForm) -> Vec<u8> {
    let path = match parts.uri.path() {
        "" => "/",
        path => path,
    };
    let mut out = Vec::with_capacity(parts.method.as_str().len() + path.len() + 2);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b'\n');
    match form {
        PathForm::Raw => out.extend_from_slice(path.as_bytes()),
        PathForm::Recoded => push_recoded_path(&mut out, path),
    }
    out.push(b'\n');
    out
}

/// The path as S3 signs it: decoded once and encoded again, slashes apart; never normalised otherwise.
pub(super) fn push_recoded_path(out: &mut Vec<u8>, path: &str) {
    if path.bytes().all(|byte| byte == b'/' || is_unreserved(byte)) {
        // Mostly: then it is its own spelling.
        out.extend_from_slice(path.as_bytes());
        return;
    }
    let decoded: Cow<'_, [u8]> = percent_decode_str(path).into();
    for (n, segment) in decoded.split(|byte| *byte == b'/').enumerate() {
        if n > 0 {
            out.push(b'/');
        }
        push_encoded(out, segment.iter().copied());
    }
}

/// The lines after the path: query, headers, names of the headers and payload hash. With `redact`, session tokens and
/// customer keys are left out of it: that form is for showing only.
pub(super) fn tail(parts: &Parts, kind: Kind, signed_headers: &[HeaderName], payload: &str, redact: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    push_query(&mut out, parts.uri.query().unwrap_or_default(), kind, redact);
    out.push(b'\n');
    for name in signed_headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b':');
        if redact && is_secret(name.as_str().as_bytes()) {
            out.extend_from_slice(REDACTED);
        } else {
            push_header(&mut out, parts, name);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    push_joined(&mut out, signed_headers.iter().map(HeaderName::as_str));
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

/// The names of the signed headers, between semicolons.
pub(super) fn push_joined<'a>(out: &mut Vec<u8>, names: impl Iterator<Item = &'a str>) {
    for (n, name) in names.enumerate() {
        if n > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
}

pub(super) fn push_query(out: &mut Vec<u8>, query: &str, kind: Kind, redact: bool) {
    if query.is_empty() {
        return;
    }
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recode_query(name), recode_query(value))
        })
        .filter(|(name, _)| kind == Kind::Header || name != b"X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    for (n, (name, value)) in pairs.iter().enumerate() {
        if n > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(if redact && is_secret(name) { REDACTED } else { value });
    }
}

/// Session tokens, and the keys of server-side encryption with customer keys.
fn is_secret(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name == b"x-amz-security-token" || name.ends_with(b"-customer-key")
}

/// Decodes and encodes a name or a value. A `+` is a space, as S3 and its clients' signers have it.
fn recode_query(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (n, piece) in text.split('+').enumerate() {
        if n > 0 {
            out.extend_from_slice(b"%20");
        }
        push_encoded(&mut out, percent_decode_str(piece));
    }
    out
}

fn push_encoded(out: &mut Vec<u8>, bytes: impl Iterator<Item = u8>) {
    for byte in bytes {
        match byte {
            byte if is_unreserved(byte) => out.push(byte),
            _ => {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
                out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
}

/// What RFC 3986 leaves as it is (section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Adds the values of a header, joined by commas. One that is not there counts as empty, so that it cannot match what
/// was signed.
fn push_header(out: &mut Vec<u8>, parts: &Parts, name: &HeaderName) {
    if *name == HOST {
        // By the same rule as the bucket is found (the authority of HTTP/2 or of an absolute target, and the header, agree),
        // or a signature for one host could be used on the bucket of another. An ambiguous one matches nothing.
        out.extend_from_slice(authority_of(parts).ok().flatten().unwrap_or_default().as_bytes());
        return;
    }
    let values = parts.headers.get_all(name).iter();
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        push_trimmed(out, value.as_bytes());
    }
}

/// White space goes at both ends, and runs of spaces become one, inside quotes too.
pub(super) fn push_trimmed(out: &mut Vec<u8>, value: &[u8]) {
    let value = value.trim_ascii();
    if memchr::memmem::find(value, b"  ").is_none() {
        out.extend_from_slice(value);
        return;
    }
    let mut last = b' ';
    for &byte in value {
        if byte != b' ' || last != b' ' {
            out.push(byte);
        }
        last = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_path_is_recoded_and_never_normalised() {
        let rows = [
            ("/", "/"),
            ("/b/k", "/b/k"),
            ("/b//k", "/b//k"),
            ("/b/a%2Fb", "/b/a/b"),
            ("/b/a%2f%2Fb", "/b/a//b"),
            ("/b/a%252Fb", "/b/a%252Fb"),
            ("/b/../x/./y", "/b/../x/./y"),
            ("/b/%2e%2e/x", "/b/../x"),
            ("/b/a+b%20c", "/b/a%2Bb%20c"),
            ("/b/%7Ek~(1)", "/b/~k~%281%29"),
            ("/b/%C3%BCn%c3%af", "/b/%C3%BCn%C3%AF"),
            ("/b/%FF", "/b/%FF"),
            ("/b/100%", "/b/100%25"),
            ("/b/$@!*',;:=&", "/b/%24%40%21%2A%27%2C%3B%3A%3D%26"),
        ];
        for (path, expected) in rows {
            let parts = parts(path, &[]);
            assert_eq!(text(head(&parts, PathForm::Recoded)), format!("GET\n{expected}\n"), "{path}");
            assert_eq!(text(head(&parts, PathForm::Raw)), format!("GET\n{path}\n"), "{path}");
        }
    }

    #[test]
    fn a_query_is_recoded_and_sorted_by_name_then_value() {
        let rows = [
            ("/?", ""),
            ("/?lifecycle", "lifecycle="),
            ("/?prefix=J&max-keys=2", "max-keys=2&prefix=J"),
            ("/?b=2&a=%7e&b=1&B=0", "B=0&a=~&b=1&b=2"),
            ("/?a=x+y%2Bz%20w", "a=x%20y%2Bz%20w"),
            ("/?a-b=1&a=2", "a=2&a-b=1"),
            ("/?&&a=1&", "a=1"),
            ("/?a=b=c", "a=b%3Dc"),
            ("/?=x", "=x"),
            ("/?X-Amz-Signature=00&a=1", "a=1"),
            ("/?X%2DAmz-Signature=00&a=1", "a=1"),
        ];
        for (uri, expected) in rows {
            let tail = text(tail(&parts(uri, &[]), Kind::Presigned, &[], "", false));
            assert_eq!(tail.lines().next(), Some(expected), "{uri}");
        }
    }

    #[test]
    fn header_values_are_trimmed_collapsed_and_joined() {
        let parts = parts("http://h:8080/", &[("x-a", "  a   b  "), ("x-a", "\"c  d\""), ("x-b", "a\tb")]);
        let names = ["host", "x-a", "x-b", "x-none"].map(HeaderName::from_static);
        let expected = "\nhost:h:8080\nx-a:a b,\"c d\"\nx-b:a\tb\nx-none:\n\nhost;x-a;x-b;x-none\nP";
        assert_eq!(text(tail(&parts, Kind::Header, &names, "P", false)), expected);
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let headers = [("x-amz-security-token", "hunter2"), ("x-amz-server-side-encryption-customer-key", "hunter2")];
        let parts = parts("/?X-Amz-Security-Token=hunter2", &headers);
        let names = headers.map(|(name, _)| HeaderName::from_static(name));
        assert!(text(tail(&parts, Kind::Header, &names, "", false)).contains("hunter2"));
        assert!(!text(tail(&parts, Kind::Header, &names, "", true)).contains("hunter2"));
    }
}
