//! Who is at the other end of a connection, and did the client come by TLS, where proxies of our own stand between us?
//!
//! Only trusted proxies are believed, as for addresses ([`client_address`](super::client_address)). Who is believed about
//! TLS follows from who the caller is:
//!
//! - A caller that is no trusted proxy is the client. If it called us itself, it came as we see: by TLS if it is we who
//!   ended it. If a trusted proxy called for it, that one's PROXY header says how it came; where the header does not say,
//!   the proxy passes bytes on as they are, so that the TLS we ended, if any, is the client's own. What the client writes
//!   into its requests counts for nothing, `X-Forwarded-For` and `X-Forwarded-Proto` included: a proxy that sends PROXY
//!   headers need not know HTTP at all. So it is too where the header names nobody, though the proxy's address must then
//!   do for the client's.
//! - A caller that is a trusted proxy speaks for its own callers, by `X-Forwarded-For` and `X-Forwarded-Proto`. How it
//!   came itself says nothing of the client, so neither a PROXY header's TLS nor the TLS that we ended counts then.
//!
//! So a proxy that sends PROXY headers and encrypts its connections to us itself must tell of the client's TLS
//! (`PP2_TYPE_SSL`; HAProxy: `send-proxy-v2-ssl`), or its own would be taken for the client's. This cannot be seen from
//! here.
//!
//! In `X-Forwarded-Proto` only `https` counts, and nothing beside it. The right-most value is the caller's own word, and
//! the others are those of proxies further out, or the client's. Where proxies add their values to a list, none of them
//! can be told from the client's own leg for certain; if any of it was plain, the client's may have been, and the client
//! counts as one without TLS. Several headers are one list. The version is never known that way.
//!
//! So the outermost proxy must *set* `X-Forwarded-Proto`, and not pass on what the client sent; one behind it must keep
//! that word, or add its own. One that replaces it tells of the wrong leg. This cannot be seen from here.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use super::client_address::TrustedProxies;
use super::proxy_protocol::{Header, Leg, Source};
use crate::layer::ClientTls;

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who called on a connection: its other end, or whoever called the trusted proxy that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The client, or the address that must do for the client's.
    Client {
        /// IPv4 where it is an IPv4 address in IPv6's clothes.
        address: IpAddr,
        /// It came by TLS, which we ended, or as a trusted proxy says.
        tls: Option<ClientTls>,
    },
    /// A trusted proxy, whose requests say for whom they are.
    Proxy {
        /// IPv4 where it is an IPv4 address in IPv6's clothes.
        address: IpAddr,
    },
}

impl Caller {
    /// The caller on a connection from `peer` that began with `header`, or with none, which is the default one, and then
    /// came by `ours`, the TLS that we ended. From a peer that is not trusted the header says nothing.
    pub fn new(trusted: &TrustedProxies, peer: IpAddr, header: &Header, ours: Option<ClientTls>) -> Self {
        let peer = peer.to_canonical();
        if !trusted.contains(peer) {
            return Self::Client { address: peer, tls: ours };
        }
        let tls = match header.leg {
            Leg::Unsaid => ours,
            Leg::Plain => None,
            Leg::Tls(tls) => Some(tls),
        };
        match header.source {
            Source::Proxy => Self::Proxy { address: peer },
            Source::Unknown => Self::Client { address: peer, tls },
            Source::Address(address) if trusted.contains(address) => Self::Proxy { address },
            Source::Address(address) => Self::Client { address, tls },
        }
    }

    /// The client's address, where the caller sent a request with these `headers`.
    pub fn client(&self, trusted: &TrustedProxies, headers: &HeaderMap) -> IpAddr {
        match *self {
            Self::Client { address, .. } => address,
            Self::Proxy { address } => trusted.client(address, headers),
        }
    }

    /// Whether the client came by TLS, by the rule above, where the caller sent a request with these `headers`.
    pub fn client_tls(&self, headers: &HeaderMap) -> Option<ClientTls> {
        match *self {
            Self::Client { tls, .. } => tls,
            Self::Proxy { .. } => forwarded_tls(headers),
        }
    }
}

fn forwarded_tls(headers: &HeaderMap) -> Option<ClientTls> {
    let values = headers.get_all(&X_FORWARDED_PROTO).iter();
    let mut values = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).peekable();
    let said = values.peek().is_some();
    let secure = values.all(|value| value.trim_ascii().eq_ignore_ascii_case(b"https"));
    (said && secure).then_some(ClientTls { version: None })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::layer::TlsVersion;

    const TLS: Option<ClientTls> = Some(ClientTls { version: Some(TlsVersion::V1_3) });
    const BY_WORD: Option<ClientTls> = Some(ClientTls { version: None });
    /// What we ended.
    const OURS: Option<ClientTls> = Some(ClientTls { version: Some(TlsVersion::V1_2) });

    fn ten() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()))
    }

    /// Of a header with this source, `proxy` and `unknown` among them, that tells of the caller's TLS.
    fn caller(trusted: &TrustedProxies, peer: &str, source: &str, tls: Option<ClientTls>) -> Caller {
        caller_by(trusted, peer, source, tls.map_or(Leg::Plain, Leg::Tls), None)
    }

    fn caller_by(trusted: &TrustedProxies, peer: &str, source: &str, leg: Leg, ours: Option<ClientTls>) -> Caller {
        let source = match source {
            "proxy" => Source::Proxy,
            "unknown" => Source::Unknown,
            address => Source::Address(address.parse().unwrap()),
        };
        Caller::new(trusted, peer.parse().unwrap(), &Header { source, leg }, ours)
    }

    #[test]
    fn a_header_is_believed_from_a_trusted_peer_alone() {
        let client = |address: &str, tls| Caller::Client { address: address.parse().unwrap(), tls };
        let proxy = |address: &str| Caller::Proxy { address: address.parse().unwrap() };
        for (trusted, peer, source, expected) in [
            (TrustedProxies::default(), "10.0.0.1", "203.0.113.9", client("10.0.0.1", None)),
            (TrustedProxies::default(), "10.0.0.1", "unknown", client("10.0.0.1", None)),
            (ten(), "192.0.2.1", "203.0.113.9", client("192.0.2.1", None)),
            (ten(), "192.0.2.1", "10.0.0.2", client("192.0.2.1", None)),
            (ten(), "192.0.2.1", "proxy", client("192.0.2.1", None)),
            (ten(), "::ffff:192.0.2.1", "203.0.113.9", client("192.0.2.1", None)),
            (ten(), "10.0.0.1", "203.0.113.9", client("203.0.113.9", TLS)),
            (ten(), "::ffff:10.0.0.1", "203.0.113.9", client("203.0.113.9", TLS)),
            (ten(), "fd00::1", "2001:db8::9", client("2001:db8::9", TLS)),
            (ten(), "10.0.0.1", "10.0.0.2", proxy("10.0.0.2")),
            (ten(), "10.0.0.1", "unknown", client("10.0.0.1", TLS)),
            (ten(), "10.0.0.1", "proxy", proxy("10.0.0.1")),
        ] {
            assert_eq!(caller(&trusted, peer, source, TLS), expected, "{trusted:?} {peer} {source}");
        }
        assert_eq!(caller(&ten(), "10.0.0.1", "203.0.113.9", None), client("203.0.113.9", None));
        let no_header = Caller::new(&ten(), "10.0.0.1".parse().unwrap(), &Header::default(), None);
        assert_eq!(no_header, proxy("10.0.0.1"));
    }

    #[test]
    fn the_tls_we_ended_is_the_clients_unless_a_trusted_proxy_may_have_spoken_it() {
        let told = Leg::Tls;
        for (trusted, source, leg, ours, expected) in [
            // Nobody in between who is believed, whatever a header says.
            (TrustedProxies::default(), "proxy", Leg::Unsaid, OURS, OURS),
            (TrustedProxies::default(), "203.0.113.9", Leg::Plain, OURS, OURS),
            (TrustedProxies::default(), "203.0.113.9", told(ClientTls { version: None }), None, None),
            // Bytes passed on as they are.
            (ten(), "203.0.113.9", Leg::Unsaid, OURS, OURS),
            (ten(), "203.0.113.9", Leg::Unsaid, None, None),
            (ten(), "unknown", Leg::Unsaid, OURS, OURS),
            // A proxy that ended the client's leg, and encrypts its own.
            (ten(), "203.0.113.9", told(ClientTls { version: Some(TlsVersion::V1_3) }), OURS, TLS),
            (ten(), "203.0.113.9", told(ClientTls { version: None }), OURS, BY_WORD),
            (ten(), "203.0.113.9", Leg::Plain, OURS, None),
            (ten(), "unknown", Leg::Plain, OURS, None),
            // A proxy that speaks for others by its requests, of which this one says nothing.
            (ten(), "proxy", Leg::Unsaid, OURS, None),
            (ten(), "10.0.0.2", Leg::Unsaid, OURS, None),
            (ten(), "10.0.0.2", told(ClientTls { version: None }), OURS, None),
        ] {
            let caller = caller_by(&trusted, "10.0.0.1", source, leg, ours);
            assert_eq!(caller.client_tls(&HeaderMap::new()), expected, "{trusted:?} {source} {leg:?} {ours:?}");
        }
        // What such a proxy says counts, and what a client says does not.
        let secure =
            HeaderMap::from_iter([(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"))]);
        let plain =
            HeaderMap::from_iter([(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("http"))]);
        let proxy = caller_by(&ten(), "10.0.0.1", "proxy", Leg::Unsaid, OURS);
        assert_eq!((proxy.client_tls(&secure), proxy.client_tls(&plain)), (BY_WORD, None));
        let client = caller_by(&ten(), "192.0.2.1", "proxy", Leg::Unsaid, OURS);
        assert_eq!((client.client_tls(&secure), client.client_tls(&plain)), (OURS, OURS));
    }

    #[test]
    fn the_source_of_a_header_takes_its_peers_place_before_a_forwarded_list() {
        for (source, forwarded, expected) in [
            ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
            ("10.0.0.2", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.2", "198.51.100.7, 203.0.113.9, 10.0.0.3", "203.0.113.9"),
            ("proxy", "198.51.100.7", "198.51.100.7"),
            // Somebody the proxy does not know wrote it.
            ("unknown", "198.51.100.7", "10.0.0.1"),
        ] {
            let caller = caller(&ten(), "10.0.0.1", source, None);
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_static(forwarded),
            )]);
            assert_eq!(caller.client(&ten(), &headers).to_string(), expected, "{source} {forwarded}");
        }
    }

    #[test]
    fn a_trusted_caller_says_whether_the_client_came_by_tls() {
        const CLIENT: &str = "192.0.2.1";
        const PROXY: &str = "10.0.0.2";
        for (source, tls, values, expected) in [
            // The client itself: as it came.
            (CLIENT, None, &[] as &[&str], None),
            (CLIENT, TLS, &[], TLS),
            (CLIENT, None, &["https"], None),
            (CLIENT, TLS, &["http"], TLS),
            (CLIENT, BY_WORD, &["https"], BY_WORD),
            ("unknown", None, &["https"], None),
            ("unknown", TLS, &["http"], TLS),
            // A proxy: as it says, however it came itself.
            ("proxy", None, &["https"], BY_WORD),
            ("proxy", None, &[], None),
            (PROXY, None, &[], None),
            (PROXY, TLS, &[], None),
            (PROXY, None, &["https"], BY_WORD),
            (PROXY, TLS, &["https"], BY_WORD),
            (PROXY, None, &["HTTPS"], BY_WORD),
            (PROXY, None, &["\thttps "], BY_WORD),
            (PROXY, TLS, &["http"], None),
            // All hops say so, or none is believed.
            (PROXY, None, &["https, https"], BY_WORD),
            (PROXY, None, &["https", "https,https"], BY_WORD),
            (PROXY, None, &["http, https"], None),
            (PROXY, None, &["https, http"], None),
            (PROXY, None, &["https, http, https"], None),
            (PROXY, None, &["https", "http"], None),
            (PROXY, None, &["http", "https"], None),
            // Nothing else will do.
            (PROXY, None, &[""], None),
            (PROXY, None, &["https,"], None),
            (PROXY, None, &[",https"], None),
            (PROXY, None, &["https", ""], None),
            (PROXY, None, &["https https"], None),
            (PROXY, None, &["\"https\""], None),
            (PROXY, None, &["https://"], None),
            (PROXY, None, &["https;q=1"], None),
            (PROXY, None, &["wss"], None),
            (PROXY, None, &["on"], None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("forwarded", HeaderValue::from_static("proto=https"));
            headers.insert("x-forwarded-ssl", HeaderValue::from_static("on"));
            for value in values {
                headers.append("x-forwarded-proto", HeaderValue::from_static(value));
            }
            let caller = caller(&ten(), "10.0.0.1", source, tls);
            assert_eq!(caller.client_tls(&headers), expected, "{caller:?} {values:?}");
        }
    }
}
