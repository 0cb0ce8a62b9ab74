use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::layer::TlsVersion;
use crate::s3::checksum::{ChecksumAlgorithm, Hasher};

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// 192.0.2.7:4711, to 198.51.100.1:443.
const FOUR: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];

fn binary(version_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&v2::SIGNATURE[..], &[version_command, family], &length, block].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind, high, low], value].concat()
}

fn ssl(client: u8, subs: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x20, &[&[client, 0, 0, 0, 1][..], &subs.concat()].concat())
}

/// A TCP4 header with these TLVs.
fn with_tlvs(tlvs: &[Vec<u8>]) -> Vec<u8> {
    binary(PROXY, TCP4, &[FOUR, &tlvs.concat()].concat())
}

/// The same with a checksum between `before` and `after`.
fn with_checksum(before: &[Vec<u8>], after: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = with_tlvs(&[before, &[tlv(0x03, &[0; 4])], after].concat());
    let mut hasher = Hasher::new(ChecksumAlgorithm::Crc32c);
    hasher.update(&bytes);
    let at = bytes.len() - after.concat().len() - 4;
    bytes[at..at + 4].copy_from_slice(&hasher.finish());
    bytes
}

const OWN: &str = "the proxy";
const UNKNOWN: &str = "unknown";

fn complete(source: &str, leg: Leg, length: usize) -> Result<Reading, InvalidHeader> {
    let source = match source {
        OWN => Source::Proxy,
        UNKNOWN => Source::Unknown,
        address => Source::Address(address.parse().unwrap()),
    };
    Ok(Reading::Complete { header: Header { source, leg }, length })
}

#[test]
fn a_line_tells_its_source() {
    for (line, source) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", "192.0.2.7"),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 0 0\r\n", "192.0.2.7"),
        ("PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:1 4711 443\r\n", "2001:db8::7"),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n", "192.0.2.7"),
        ("PROXY UNKNOWN\r\n", UNKNOWN),
        ("PROXY UNKNOWN 192.0.2.7 198.51.100.1 4711 443\r\n", UNKNOWN),
        ("PROXY UNKNOWN whatever this is\r\n", UNKNOWN),
    ] {
        assert_eq!(parse(line.as_bytes()), complete(source, Leg::Unsaid, line.len()), "{line:?}");
    }
    // The longest line there is, and one byte more.
    let ff = ["ffff"; 8].join(":");
    let longest = format!("PROXY UNKNOWN {ff} {ff} 65535 65535\r\n");
    assert_eq!(parse(longest.as_bytes()), complete(UNKNOWN, Leg::Unsaid, 107));
    let longer = longest.replace("UNKNOWN", "UNKNOWN ");
    assert_eq!(parse(longer.as_bytes()), Err(InvalidHeader::LineTooLong));
    assert_eq!(parse(&longer.as_bytes()[..106]), Ok(Reading::Partial));
    assert_eq!(parse(&longer.as_bytes()[..107]), Err(InvalidHeader::LineTooLong), "it has no room for its end");
}

#[test]
fn a_line_that_is_not_exactly_the_protocols_is_refused() {
    use InvalidHeader::{Absent, Address, Line, LineEnding, Port};
    let line = |line: &str| Line(line.trim_end().to_owned());
    let address = |text: &str| Address(text.to_owned());
    let port = |text: &str| Port(text.to_owned());
    for (text, expected) in [
        ("GET / HTTP/1.1\r\n", Absent),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Absent),
        ("proxy TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", Absent),
        ("PROXY\r\n", Absent),
        ("PROXY\tUNKNOWN\r\n", Absent),
        (" PROXY UNKNOWN\r\n", Absent),
        ("\r\nPROXY UNKNOWN\r\n", Absent),
        ("PROXY \r\n", Line("PROXY ".to_owned())),
        ("PROXY UNKNOWNS\r\n", line("PROXY UNKNOWNS")),
        ("PROXY  UNKNOWN\r\n", line("PROXY  UNKNOWN")),
        ("PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\n", line("PROXY TCP5 192.0.2.7 198.51.100.1 4711 443")),
        ("PROXY TCP4\r\n", line("PROXY TCP4")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n", line("PROXY TCP4 192.0.2.7 198.51.100.1 4711")),
        (
            "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n",
            Line("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 ".to_owned()),
        ),
        ("PROXY TCP4 192.0.2.7  198.51.100.1 4711 443\r\n", line("PROXY TCP4 192.0.2.7  198.51.100.1 4711 443")),
        ("PROXY TCP4 192.0.2.07 198.51.100.1 4711 443\r\n", address("192.0.2.07")),
        ("PROXY TCP4 192.0.2 198.51.100.1 4711 443\r\n", address("192.0.2")),
        ("PROXY TCP4 ::1 198.51.100.1 4711 443\r\n", address("::1")),
        ("PROXY TCP4 192.0.2.7 ::1 4711 443\r\n", address("::1")),
        ("PROXY TCP6 192.0.2.7 ::1 4711 443\r\n", address("192.0.2.7")),
        ("PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n", address("fe80::1%eth0")),
        ("PROXY TCP6 [::1] ::1 4711 443\r\n", address("[::1]")),
        ("PROXY TCP4 192.0.2.7\u{a0} 198.51.100.1 4711 443\r\n", address("192.0.2.7\u{a0}")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", port("65536")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 +80 443\r\n", port("+80")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 0443\r\n", port("0443")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 00\r\n", port("00")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 -1\r\n", port("-1")),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711\t443\r\n", line("PROXY TCP4 192.0.2.7 198.51.100.1 4711\t443")),
        ("PROXY UNKNOWN\n", LineEnding),
        ("PROXY UNKNOWN\nGET / HTTP/1.1\r\n", LineEnding),
        ("PROXY UNKNOWN\rGET / HTTP/1.1\r\n", LineEnding),
        ("PROXY UNKNOWN\r\rGET", LineEnding),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(expected), "{text:?}");
    }
    let replaced = Address("\u{fffd}".to_owned());
    assert_eq!(parse(b"PROXY TCP4 \xff 198.51.100.1 4711 443\r\n"), Err(replaced), "not even text");
}

#[test]
fn a_binary_header_tells_its_source() {
    let six: Vec<u8> = ["2001:db8::7", "2001:db8::1"]
        .iter()
        .flat_map(|text| text.parse::<std::net::Ipv6Addr>().unwrap().octets())
        .chain([0x12, 0x67, 0x01, 0xbb])
        .collect();
    let mapped: Vec<u8> = [[0; 10].as_slice(), &[255, 255, 192, 0, 2, 7], &[0; 20]].concat();
    for (header, source) in [
        (binary(PROXY, TCP4, FOUR), "192.0.2.7"),
        (binary(PROXY, 0x12, FOUR), "192.0.2.7"),
        (binary(PROXY, TCP6, &six), "2001:db8::7"),
        (binary(PROXY, 0x22, &six), "2001:db8::7"),
        (binary(PROXY, TCP6, &mapped), "192.0.2.7"),
        // Not of the network, or not known.
        (binary(PROXY, 0x31, &[b'/'; 216]), UNKNOWN),
        (binary(PROXY, 0x32, &[b'/'; 216]), UNKNOWN),
        (binary(PROXY, 0x00, b""), UNKNOWN),
        (binary(PROXY, 0x00, FOUR), UNKNOWN),
        (binary(PROXY, 0x10, FOUR), UNKNOWN),
        (binary(PROXY, 0x01, b"whatever"), UNKNOWN),
        // The proxy's own connection, whatever it says beside.
        (binary(LOCAL, 0x00, b""), OWN),
        (binary(LOCAL, TCP4, FOUR), OWN),
        (binary(LOCAL, TCP4, b"short"), OWN),
        (binary(LOCAL, 0xff, b"whatever"), OWN),
        // As long as one may be.
        (binary(LOCAL, 0x00, &[0; MAX_LENGTH - 16]), OWN),
        (with_tlvs(&[tlv(0x04, &[0; MAX_LENGTH - 16 - 12 - 3])]), "192.0.2.7"),
    ] {
        assert_eq!(parse(&header), complete(source, Leg::Unsaid, header.len()), "{header:02x?}");
    }
}

#[test]
fn a_binary_header_that_is_none_is_refused() {
    use InvalidHeader::{Absent, Command, Family, NoRoom, Tlv, TooLong, Transport, Version};
    let mut other_signature = binary(PROXY, TCP4, FOUR);
    other_signature[11] = b'\r';
    for (header, expected) in [
        (other_signature, Absent),
        (binary(0x11, TCP4, FOUR), Version(1)),
        (binary(0x31, TCP4, FOUR), Version(3)),
        (binary(0x22, TCP4, FOUR), Command(2)),
        (binary(PROXY, 0x41, FOUR), Family(4)),
        (binary(PROXY, 0xf0, FOUR), Family(15)),
        (binary(PROXY, 0x13, FOUR), Transport(3)),
        (binary(PROXY, TCP4, &FOUR[..11]), NoRoom { family: TCP4, length: 11 }),
        (binary(PROXY, TCP4, b""), NoRoom { family: TCP4, length: 0 }),
        (binary(PROXY, TCP6, &[0; 35]), NoRoom { family: TCP6, length: 35 }),
        (binary(PROXY, 0x31, &[0; 215]), NoRoom { family: 0x31, length: 215 }),
        (binary(LOCAL, 0x00, &[0; MAX_LENGTH - 15]), TooLong(MAX_LENGTH + 1)),
        (binary(PROXY, TCP4, &[FOUR, &[0x04]].concat()), Tlv(1)),
        (binary(PROXY, TCP4, &[FOUR, &[0x04, 0, 1]].concat()), Tlv(3)),
        (with_tlvs(&[tlv(0x04, b""), vec![0x04, 1, 0, 0]]), Tlv(4)),
        (binary(PROXY, 0x31, &[0; 217]), Tlv(1)),
    ] {
        assert_eq!(parse(&header), Err(expected), "{header:02x?}");
    }
    // What is too long is not waited for, nor what is of another version.
    assert_eq!(parse(&[v2::SIGNATURE, &[LOCAL, 0, 0xff, 0xff][..]].concat()), Err(TooLong(65_551)));
    assert_eq!(parse(&[v2::SIGNATURE, &[0x30, 0, 0, 9][..]].concat()), Err(Version(3)));
}

#[test]
fn a_binary_header_may_tell_of_tls() {
    use TlsVersion::{V1_0, V1_1, V1_2, V1_3};
    let version = |name: &[u8]| tlv(0x21, name);
    let cipher = || tlv(0x23, b"TLS_AES_128_GCM_SHA256");
    let by = |version: TlsVersion| Leg::Tls(ClientTls { version: Some(version) });
    let unknown = Leg::Tls(ClientTls { version: None });
    for (tlvs, leg) in [
        (vec![], Leg::Unsaid),
        (vec![ssl(1, &[version(b"TLSv1.3")])], by(V1_3)),
        (vec![ssl(1, &[version(b"TLSv1.2")])], by(V1_2)),
        (vec![ssl(1, &[version(b"TLSv1.1")])], by(V1_1)),
        (vec![ssl(1, &[version(b"TLSv1")])], by(V1_0)),
        (vec![ssl(1, &[version(b"TLSv1.0")])], by(V1_0)),
        (vec![ssl(7, &[cipher(), version(b"TLSv1.2"), tlv(0x22, b"alice")])], by(V1_2)),
        (vec![tlv(0x01, b"h2"), ssl(1, &[version(b"TLSv1.3")]), tlv(0x04, b"")], by(V1_3)),
        // By TLS, and that is all there is to know.
        (vec![ssl(1, &[])], unknown),
        (vec![ssl(1, &[cipher()])], unknown),
        (vec![ssl(1, &[version(b"")])], unknown),
        (vec![ssl(1, &[version(b"TLSv1.4")])], unknown),
        (vec![ssl(1, &[version(b"tlsv1.3")])], unknown),
        // Not by TLS.
        (vec![ssl(0, &[])], Leg::Plain),
        (vec![ssl(0, &[version(b"TLSv1.3")])], Leg::Plain),
        (vec![ssl(6, &[version(b"TLSv1.3")])], Leg::Plain),
        (vec![ssl(1, &[version(b"SSLv3")])], Leg::Plain),
        (vec![ssl(1, &[version(b"SSLv2")])], Leg::Plain),
        (vec![version(b"TLSv1.3")], Leg::Unsaid),
    ] {
        let header = with_tlvs(&tlvs);
        assert_eq!(parse(&header), complete("192.0.2.7", leg, header.len()), "{tlvs:02x?}");
    }

    use InvalidHeader::{RepeatedTlv, Tlv, TlvLength};
    for (tlvs, expected) in [
        (vec![tlv(0x20, b"\x01\0\0\0")], TlvLength { kind: 0x20, length: 4 }),
        (vec![ssl(1, &[vec![0x21, 0, 7, b'T']])], Tlv(4)),
        (vec![ssl(1, &[version(b"TLSv1.3"), vec![0]])], Tlv(1)),
        (vec![ssl(0, &[vec![0]])], Tlv(1)),
        (vec![ssl(1, &[version(b"TLSv1.3"), version(b"TLSv1")])], RepeatedTlv(0x21)),
        (vec![ssl(0, &[]), ssl(1, &[version(b"TLSv1.3")])], RepeatedTlv(0x20)),
    ] {
        assert_eq!(parse(&with_tlvs(&tlvs)), Err(expected), "{tlvs:02x?}");
    }
    // Nothing is believed of a connection of the proxy's own.
    let local = binary(LOCAL, TCP4, &[FOUR, &ssl(1, &[version(b"TLSv1.3")])].concat());
    assert_eq!(parse(&local), complete(OWN, Leg::Unsaid, local.len()));
}

#[test]
fn a_checksum_is_verified() {
    let others = [tlv(0x02, b"s3.example.com"), tlv(0xea, b"\x01vpce-1")];
    for (before, after) in
        [(&others[..0], &others[..0]), (&others[..], &[]), (&[], &others), (&others[..1], &others[1..])]
    {
        let header = with_checksum(before, after);
        assert_eq!(parse(&header), complete("192.0.2.7", Leg::Unsaid, header.len()), "{header:02x?}");
        // Before the addresses a flaw may make it one that says nothing, or one that is not whole yet. One in the
        // checksum's own type hides it.
        let own_type = header.len() - after.concat().len() - 7;
        for at in (12..header.len()).filter(|at| *at != own_type) {
            let mut broken = header.clone();
            broken[at] ^= 0x01;
            let says_nothing = parse(&broken).is_ok_and(|reading| match reading {
                Reading::Complete { header, .. } => {
                    !matches!(header.source, Source::Address(_)) && header.leg == Leg::Unsaid
                }
                Reading::Partial => true,
            });
            assert!(parse(&broken).is_err() || at < 16 && says_nothing, "{at} of {broken:02x?}");
        }
    }
    let stated = with_tlvs(&[tlv(0x03, &[0xde, 0xad, 0xbe, 0xef])]);
    let computed = u32::from_be_bytes(with_checksum(&[], &[])[31..].try_into().unwrap());
    assert_eq!(parse(&stated), Err(InvalidHeader::Checksum { stated: 0xdead_beef, computed }));
    let short = with_tlvs(&[tlv(0x03, &[0; 3])]);
    assert_eq!(parse(&short), Err(InvalidHeader::TlvLength { kind: 3, length: 3 }));
    let twice = with_checksum(&[], &[tlv(0x03, &[0; 4])]);
    assert_eq!(parse(&twice), Err(InvalidHeader::RepeatedTlv(3)));
}

#[test]
fn what_haproxy_sends_is_understood() {
    // HAProxy 2.6.12, `send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id`, called by curl.
    let h2: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00U\x7f\x00\x00\x01\x7f\x00\x00\x01\xd5pD#\x03\x00\x04\xe29\xf97\
        \x01\x00\x02h2\x02\x00\x0cs3.localhost\x05\x00\x00 \x00(\x01\x00\x00\x00\x00!\x00\x07TLSv1.3\
        #\x00\x16TLS_AES_256_GCM_SHA384";
    let http1: &[u8] =
        b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00Q\x7f\x00\x00\x01\x7f\x00\x00\x01\xd5\x80D#\x03\x00\x04\x05\x8d\x0f\xd1\
        \x01\x00\x08http/1.1\x05\x00\x00 \x00-\x01\x00\x00\x00\x00!\x00\x07TLSv1.2\
        #\x00\x1bECDHE-RSA-AES256-GCM-SHA384GET / HTTP/1.1\r\n";
    for (bytes, version, length) in [(h2, TlsVersion::V1_3, h2.len()), (http1, TlsVersion::V1_2, http1.len() - 16)] {
        let leg = Leg::Tls(ClientTls { version: Some(version) });
        assert_eq!(parse(bytes), complete("127.0.0.1", leg, length));
    }
}

fn any_header() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        any::<([u8; 4], [u8; 4], u16, u16)>().prop_map(|(from, to, source, destination)| {
            let (from, to) = (std::net::Ipv4Addr::from(from), std::net::Ipv4Addr::from(to));
            format!("PROXY TCP4 {from} {to} {source} {destination}\r\n").into_bytes()
        }),
        any::<([u16; 8], [u16; 8], u16, u16)>().prop_map(|(from, to, source, destination)| {
            let (from, to) = (std::net::Ipv6Addr::from(from), std::net::Ipv6Addr::from(to));
            format!("PROXY TCP6 {from} {to} {source} {destination}\r\n").into_bytes()
        }),
        "[ -~]{0,91}".prop_map(|rest| format!("PROXY UNKNOWN {rest}\r\n").into_bytes()),
    ];
    let tlvs = vec((0x30_u8.., vec(any::<u8>(), 0..20)), 0..5);
    let binary = (any::<[u8; 12]>(), tlvs, any::<bool>()).prop_map(|(addresses, tlvs, ssl_too)| {
        let mut block = addresses.to_vec();
        tlvs.iter().for_each(|(kind, value)| block.extend(tlv(*kind, value)));
        if ssl_too {
            block.extend(ssl(1, &[tlv(0x21, b"TLSv1.3")]));
        }
        binary(PROXY, TCP4, &block)
    });
    prop_oneof![line, binary]
}

proptest! {
    /// What a reader that takes all of a partial header, and no byte after a complete one, relies on.
    #[test]
    fn a_header_is_partial_until_it_is_complete_whatever_follows(header in any_header(), following: Vec<u8>) {
        for end in 0..header.len() {
            prop_assert_eq!(parse(&header[..end]), Ok(Reading::Partial), "{} of {:02x?}", end, header);
        }
        let alone = parse(&header);
        let is_whole = matches!(alone, Ok(Reading::Complete { length, .. }) if length == header.len());
        prop_assert!(is_whole, "{:?} of {:02x?}", alone, header);
        prop_assert_eq!(parse(&[header, following].concat()), alone);
    }

    #[test]
    fn no_bytes_are_too_much(begin in prop_oneof![Just(&b""[..]), Just(&b"PROXY "[..]), Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20"[..])], rest: Vec<u8>) {
        let bytes = [begin, &rest].concat();
        match parse(&bytes) {
            Ok(Reading::Complete { length, .. }) => prop_assert!(length <= bytes.len() && length <= MAX_LENGTH),
            Ok(Reading::Partial) => prop_assert!(bytes.len() < MAX_LENGTH),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
