//! Who is the client, where proxies of our own stand between us?
//!
//! A trusted proxy adds the address it was called from at the right end of `X-Forwarded-For`; what stands further left
//! it got from its caller, who may have made it up. So the list is read from the right, through addresses of trusted
//! proxies, up to the first other one. RFC 7239's `Forwarded` is not read: two sources could disagree.
//!
//! The right-most address of all is the peer's, or the one that a trusted peer's PROXY header puts in its place: see
//! [`caller`](super::caller).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies that are believed about whom they speak for. None by default.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Believes peers in `networks`.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// The client's address: the peer's, or, when that is a trusted proxy, the right-most one in `X-Forwarded-For` that
    /// is not. Several headers count as one list, in their order; ports and brackets are dropped. If all are trusted,
    /// it is the left-most.
    ///
    /// An entry that is not an address (`unknown`, a name, nothing at all) ends the reading: the proxy that passed it on
    /// then counts as the client. What stands left of it is never believed, so that nobody gets an address, and with it
    /// a right, by making a proxy write something else beside it.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values = headers.get_all(&X_FORWARDED_FOR).iter().rev();
        let mut entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        while self.contains(client) {
            match entries.next().map(address) {
                Some(Some(next)) => client = next,
                Some(None) | None => break,
            }
        }
        client
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An entry's address, without a port. An IPv4 address in IPv6's clothes is the IPv4 address, which is what networks
/// are given for.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = || text.parse::<IpAddr>();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok();
    let address = bare().or_else(|_| with_port()).ok().or_else(|| in_brackets().map(IpAddr::V6))?;
    // A zone names an interface of the machine that wrote it, and means nothing here.
    (!text.contains('%')).then(|| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, headers: &[&[u8]]) -> String {
        let trusted = TrustedProxies::new(trusted.iter().map(|network| network.parse().unwrap()));
        let mut map = HeaderMap::new();
        map.insert("forwarded", HeaderValue::from_static("for=198.51.100.99"));
        for value in headers {
            map.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
        }
        trusted.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_not_trusted() {
        const TEN: &[&str] = &["10.0.0.0/8", "fd00::/8"];
        for (trusted, peer, headers, expected) in [
            // Nobody is trusted.
            (&[] as &[&str], "10.0.0.1", &["203.0.113.9"] as &[&str], "10.0.0.1"),
            // The peer is not.
            (TEN, "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            (TEN, "192.0.2.1", &[], "192.0.2.1"),
            // The peer is.
            (TEN, "10.0.0.1", &[], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["198.51.100.7, 203.0.113.9, 10.9.9.9,\t10.0.0.2"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (TEN, "10.0.0.1", &["10.1.1.1, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            // Several headers are one list.
            (TEN, "10.0.0.1", &["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["198.51.100.7, 203.0.113.9", "10.0.0.2, 10.0.0.3"], "203.0.113.9"),
            // Ports and brackets.
            (TEN, "10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["203.0.113.9:4711, 10.0.0.2:80"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            (TEN, "10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            (TEN, "10.0.0.1", &["[2001:db8::1]:4711, [fd00::2]:80"], "2001:db8::1"),
            (TEN, "fd00::1", &["203.0.113.9"], "203.0.113.9"),
            // IPv4 in IPv6, on either side.
            (TEN, "::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
            (TEN, "::ffff:192.0.2.1", &[], "192.0.2.1"),
            // What is not an address ends the reading, and the one who passed it on is the client.
            (TEN, "10.0.0.1", &["unknown"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (TEN, "10.0.0.1", &["unknown, 203.0.113.9"], "203.0.113.9"),
            (TEN, "10.0.0.1", &["203.0.113.9, , 10.0.0.2"], "10.0.0.2"),
            (TEN, "10.0.0.1", &["203.0.113.9,"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.9", ""], "10.0.0.1"),
            (TEN, "10.0.0.1", &["\"203.0.113.9\""], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.9 198.51.100.7"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["[203.0.113.9]"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["2001:db8::1]:80"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.9:65536"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["203.0.113.09"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["[fe80::1%1]:80"], "10.0.0.1"),
            (TEN, "10.0.0.1", &["10.0.0.0/8"], "10.0.0.1"),
        ] {
            let headers: Vec<&[u8]> = headers.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(client(trusted, peer, &headers), expected, "{trusted:?} {peer} {headers:?}");
        }
        assert_eq!(client(TEN, "10.0.0.1", &[b"203.0.113.9, \xff"]), "10.0.0.1", "not even text");
    }
}
