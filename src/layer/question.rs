//! What does a proxy ask about?
//!
//! A proxy that carries the bytes itself asks with a request of its own. How, the path tells, which the proxy's
//! configuration alone sets, so that no client can make one kind of question look like the other:
//!
//! - at [`AUTH_REQUEST`], nginx's way (<https://nginx.org/en/docs/http/ngx_http_auth_request_module.html>): the method and
//!   the raw target of the request are in `X-Original-Method` and `X-Original-URI`, which the proxy must set;
//! - under [`EXT_AUTHZ`], Envoy's (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto>):
//!   the method is the question's own, and its target follows the prefix.
//!
//! All other headers are the request's own. A question has no body, so where the length of the body was signed,
//! `X-Original-Content-Length` says it; and every question says in `X-Forwarded-For` who the client is, or conditions on
//! the address would be decided for the proxy's.

use std::fmt;

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// Where nginx asks.
pub const AUTH_REQUEST: &str = "/auth_request";

/// What Envoy puts before the path that it asks about.
pub const EXT_AUTHZ: &str = "/ext_authz";

static ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
static ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
static ORIGINAL_LENGTH: HeaderName = HeaderName::from_static("x-original-content-length");
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How a request was asked about; among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// At [`AUTH_REQUEST`]. Headers come one by one, as the client sent them.
    AuthRequest,
    /// Under [`EXT_AUTHZ`]. Headers of one name come as one, joined by commas.
    ExtAuthz,
}

impl Asking {
    /// `auth_request` or `ext_authz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthRequest => "auth_request",
            Self::ExtAuthz => "ext_authz",
        }
    }
}

/// A question that asks about no request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidQuestion {
    /// There is nobody to ask at this path.
    Path(String),
    /// A header that the proxy must set is not there.
    Missing(&'static str),
    /// A header that the proxy must set is there several times: not all of them are its own.
    Repeated(&'static str),
    /// The target that is asked about is no path.
    Target(String),
    /// The method that is asked about is none.
    Method(String),
    /// The length that is asked about is none.
    Length(String),
}

impl fmt::Display for InvalidQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => {
                write!(f, "`{path}` is neither `{AUTH_REQUEST}` nor begins with `{EXT_AUTHZ}/`")
            }
            Self::Missing(header) => write!(f, "the proxy that asks sends no `{header}`"),
            Self::Repeated(header) => write!(f, "the proxy that asks sends `{header}` more than once"),
            Self::Target(target) => write!(f, "`{target}` is not the path and query of a request"),
            Self::Method(method) => write!(f, "`{method}` is not a method"),
            Self::Length(length) => write!(f, "`{length}` is not the length of a body"),
        }
    }
}

impl std::error::Error for InvalidQuestion {}

/// The head of the request that is asked about, with the way of [asking](Asking) among its extensions.
///
/// # Errors
/// [`InvalidQuestion`].
pub fn asked_about(mut parts: Parts) -> Result<Parts, InvalidQuestion> {
    let path = parts.uri.path();
    let asking = if path == AUTH_REQUEST {
        Asking::AuthRequest
    } else if path.strip_prefix(EXT_AUTHZ).is_some_and(|rest| rest.starts_with('/')) {
        Asking::ExtAuthz
    } else {
        return Err(InvalidQuestion::Path(path.to_owned()));
    };
    if !parts.headers.contains_key(&FORWARDED_FOR) {
        return Err(InvalidQuestion::Missing("X-Forwarded-For"));
    }
    let target = match asking {
        Asking::AuthRequest => {
            let method = required(&mut parts.headers, &ORIGINAL_METHOD, "X-Original-Method")?;
            parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| InvalidQuestion::Method(text(&method)))?;
            text(&required(&mut parts.headers, &ORIGINAL_URI, "X-Original-URI")?)
        }
        Asking::ExtAuthz => {
            let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
            target.strip_prefix(EXT_AUTHZ).unwrap_or_default().to_owned()
        }
    };
    parts.uri = at(&parts.uri, target)?;
    // The question's own.
    parts.headers.remove(CONTENT_LENGTH);
    if let Some(length) = taken(&mut parts.headers, &ORIGINAL_LENGTH, "X-Original-Content-Length")? {
        if length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit) {
            return Err(InvalidQuestion::Length(text(&length)));
        }
        parts.headers.insert(CONTENT_LENGTH, length);
    }
    parts.extensions.insert(asking);
    Ok(parts)
}

/// The same place at another target, of which not a byte may get lost: the store will read them all.
fn at(uri: &Uri, target: String) -> Result<Uri, InvalidQuestion> {
    let parsed = PathAndQuery::try_from(target.as_str());
    let Some(parsed) = parsed.ok().filter(|parsed| target.starts_with('/') && parsed.as_str() == target) else {
        return Err(InvalidQuestion::Target(target));
    };
    let mut place = uri.clone().into_parts();
    place.path_and_query = Some(parsed);
    Uri::from_parts(place).map_err(|_| InvalidQuestion::Target(target))
}

fn required(headers: &mut HeaderMap, name: &HeaderName, display: &'static str) -> Result<HeaderValue, InvalidQuestion> {
    taken(headers, name, display)?.ok_or(InvalidQuestion::Missing(display))
}

/// Takes off a header that says what the request's own cannot, and that nothing behind may read.
fn taken(
    headers: &mut HeaderMap,
    name: &HeaderName,
    display: &'static str,
) -> Result<Option<HeaderValue>, InvalidQuestion> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(InvalidQuestion::Repeated(display));
    }
    Ok(headers.remove(name))
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Parts, InvalidQuestion> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        asked_about(request.body(()).unwrap().into_parts().0)
    }

    const CLIENT: (&str, &str) = ("x-forwarded-for", "192.0.2.1");

    #[test]
    fn every_byte_of_a_target_is_asked_about() {
        for target in
            ["/", "/b/a//b", "/b/a%2Fb/../c?x=1&y=%20+", "/b/k?", "//b", "/auth_request", "/ext_authz/a", "/b/{k}"]
        {
            let headers = [CLIENT, ("x-original-uri", target), ("x-original-method", "DELETE")];
            let parts = asked("GET", "/auth_request", &headers).unwrap();
            assert_eq!((parts.method.as_str(), parts.uri.to_string().as_str()), ("DELETE", target));
            assert_eq!(parts.extensions.get(), Some(&Asking::AuthRequest));
            assert_eq!(parts.headers.keys().collect::<Vec<_>>(), ["x-forwarded-for"], "they are not the request's own");

            let parts = asked("PUT", &format!("/ext_authz{target}"), &[CLIENT]).unwrap();
            assert_eq!((parts.method.as_str(), parts.uri.to_string().as_str()), ("PUT", target));
            assert_eq!(parts.extensions.get(), Some(&Asking::ExtAuthz));
        }
        let parts = asked("GET", "http://b.s3.example.com/ext_authz/k", &[CLIENT]).unwrap();
        assert_eq!(parts.uri.to_string(), "http://b.s3.example.com/k", "the authority of HTTP/2 stays");
    }

    #[test]
    fn a_client_cannot_choose_what_is_asked_about() {
        // Envoy asks by its path; what its client writes into headers are a client's headers.
        let spoof = [CLIENT, ("x-original-uri", "/public"), ("x-original-method", "GET")];
        let parts = asked("PUT", "/ext_authz/secret", &spoof).unwrap();
        assert_eq!((parts.method.as_str(), parts.uri.path()), ("PUT", "/secret"));
        assert!(parts.headers.contains_key("x-original-uri"), "for the authorizer to stumble over");
        // nginx replaces them. Where there are two, one is the client's.
        let twice = [spoof, spoof].concat();
        assert_eq!(asked("GET", "/auth_request", &twice).unwrap_err(), InvalidQuestion::Repeated("X-Original-Method"));
    }

    #[test]
    fn what_is_no_question_is_not_guessed_at() {
        use InvalidQuestion::{Length, Method, Missing, Path, Target};
        let uri = |target| [CLIENT, ("x-original-method", "GET"), ("x-original-uri", target)];
        let length = |length| [CLIENT, ("x-original-content-length", length)];
        for (target, headers, expected) in [
            ("/", &[CLIENT][..], Path("/".to_owned())),
            ("/b/k", &[CLIENT], Path("/b/k".to_owned())),
            ("/auth_request/", &[CLIENT], Path("/auth_request/".to_owned())),
            ("/ext_authz", &[CLIENT], Path("/ext_authz".to_owned())),
            ("/ext_authz?policy", &[CLIENT], Path("/ext_authz".to_owned())),
            ("/ext_authzb/k", &[CLIENT], Path("/ext_authzb/k".to_owned())),
            ("/auth_request", &[CLIENT], Missing("X-Original-Method")),
            ("/auth_request", &[CLIENT, ("x-original-method", "GET")], Missing("X-Original-URI")),
            ("/auth_request", &uri("/b")[1..], Missing("X-Forwarded-For")),
            ("/ext_authz/b", &[], Missing("X-Forwarded-For")),
            ("/auth_request", &[CLIENT, ("x-original-method", "NO METHOD")], Method("NO METHOD".to_owned())),
            ("/auth_request", &uri(""), Target(String::new())),
            ("/auth_request", &uri("*"), Target("*".to_owned())),
            ("/auth_request", &uri("b/k"), Target("b/k".to_owned())),
            ("/auth_request", &uri("http://b/k"), Target("http://b/k".to_owned())),
            ("/auth_request", &uri("/b/k l"), Target("/b/k l".to_owned())),
            // To the store these may be part of the key.
            ("/auth_request", &uri("/b/k#l"), Target("/b/k#l".to_owned())),
            ("/auth_request", &uri("/b/k?x#l"), Target("/b/k?x#l".to_owned())),
            ("/ext_authz/b", &length("1a"), Length("1a".to_owned())),
            ("/ext_authz/b", &length(""), Length(String::new())),
        ] {
            assert_eq!(asked("GET", target, headers).unwrap_err(), expected, "{target} {headers:?}");
        }
    }

    #[test]
    fn the_length_is_the_requests_and_not_the_questions() {
        let length = |parts: Parts| parts.headers.get(CONTENT_LENGTH).map(text);
        let parts = asked("PUT", "/ext_authz/b/k", &[CLIENT, ("content-length", "0")]).unwrap();
        assert_eq!(length(parts), None);
        let headers = [CLIENT, ("content-length", "0"), ("x-original-content-length", "42")];
        assert_eq!(length(asked("PUT", "/ext_authz/b/k", &headers).unwrap()), Some("42".to_owned()));
    }
}
