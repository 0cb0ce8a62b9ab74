//! Where the store is.

use std::fmt;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// The scheme, host and port of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

/// Text that is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEndpoint {
    endpoint: String,
    reason: &'static str,
}

impl Endpoint {
    /// Takes `http://HOST[:PORT]` or `https://HOST[:PORT]`, with nothing behind it but a slash.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] with the offending text.
    pub fn parse(endpoint: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |reason| InvalidEndpoint { endpoint: endpoint.to_owned(), reason };
        let uri: Uri = endpoint.parse().map_err(|_| invalid("it is not a URL"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| invalid("it lacks `http://` or `https://`"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(invalid("its scheme is neither `http` nor `https`"));
        }
        let authority = parts.authority.ok_or_else(|| invalid("it names no host"))?;
        if authority.host().is_empty() {
            return Err(invalid("it names no host"));
        }
        if authority.as_str().contains('@') {
            return Err(invalid("it carries a user name; credentials have keys of their own"));
        }
        // `http` takes any text for a port, and gives none where it is no number; clients would then take the default one.
        if authority.as_str() != authority.host() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(invalid("its port is none"));
        }
        if parts.path_and_query.is_some_and(|path| path.as_str() != "/") {
            return Err(invalid("it has a path, which signatures could not cover"));
        }
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        // A client that takes the default port leaves it out of `Host`, and so out of what it signs.
        let host = match authority.port_u16() {
            Some(port) if port != default_port => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        let host = HeaderValue::from_str(&host).map_err(|_| invalid("its host cannot stand in a header"))?;
        Ok(Self { scheme, authority, host })
    }

    /// Whether connections are encrypted.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// What `Host` says in a request signed for this endpoint.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Host name or address and port, to connect to. An IPv6 address comes without its brackets.
    pub fn connect_to(&self) -> (&str, u16) {
        let port = self.authority.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 });
        (self.authority.host().trim_start_matches('[').trim_end_matches(']'), port)
    }

    /// The URI of `target`, which is kept byte for byte.
    ///
    /// # Errors
    /// When `target` is of a form that has no place after a host, such as `*`.
    pub(crate) fn uri(&self, target: PathAndQuery) -> Result<Uri, http::uri::InvalidUriParts> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        Uri::from_parts(parts)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an endpoint: {}", self.endpoint, self.reason)
    }
}

impl std::error::Error for InvalidEndpoint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, host, connect_to) in [
            ("http://127.0.0.1:3900", "127.0.0.1:3900", ("127.0.0.1", 3900)),
            ("http://store", "store", ("store", 80)),
            ("http://store:80/", "store", ("store", 80)),
            ("https://store:443", "store", ("store", 443)),
            ("https://store:80", "store:80", ("store", 80)),
            ("http://[::1]:9000", "[::1]:9000", ("::1", 9000)),
        ] {
            let endpoint = Endpoint::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(endpoint.host(), host, "{text}");
            assert_eq!(endpoint.connect_to(), connect_to, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_by_name() {
        for text in [
            "",
            "store",
            "store:9000",
            "ftp://store",
            "http://",
            "http://u:p@store",
            "http://u@store",
            "http://store:",
            "http://store:0",
            "http://store:65536",
            "http://store:390O",
            "http://[::1]:x",
            "http://store/s3",
            "http://store?x",
        ] {
            let error = Endpoint::parse(text).expect_err(text);
            assert!(error.to_string().contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn a_target_is_kept_byte_for_byte() {
        let endpoint = Endpoint::parse("http://store:9000").unwrap();
        for target in
            ["/", "//", "/b//k", "/b/a%2Fb", "/b/../x", "/b/%61+b", "/b?policy", "/b?x=%zz&&=", "/?", "/b/ünï"]
        {
            let uri = endpoint.uri(target.parse().unwrap()).unwrap();
            assert_eq!(uri.path_and_query().unwrap().as_str(), target);
        }
    }
}
