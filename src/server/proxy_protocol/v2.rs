//! Version 2, section 2.2: sixteen bytes, the addresses, and types, lengths and values (TLVs) of which two count here.

use std::net::IpAddr;

use super::{Header, InvalidHeader, Leg, MAX_LENGTH, Reading, Source};
use crate::layer::{ClientTls, TlsVersion};
use crate::s3::checksum::{ChecksumAlgorithm, Hasher};

/// What a header begins with. HTTP/2's preface does not, and no request line does.
pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, the version and command, the family and transport protocol, and the length of the rest.
const FIXED_LENGTH: usize = 16;

const UNIX_ADDRESSES: usize = 2 * 108;

const TYPE_CRC32C: u8 = 0x03;
const TYPE_SSL: u8 = 0x20;
const SUBTYPE_SSL_VERSION: u8 = 0x21;

/// In the first byte of `PP2_TYPE_SSL`: the client came by TLS. The four bytes after it are about its certificate.
const CLIENT_SSL: u8 = 0x01;

/// Reads a header that begins with the signature, as far as it is there.
pub(super) fn parse(bytes: &[u8]) -> Result<Reading, InvalidHeader> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LENGTH>() else { return Ok(Reading::Partial) };
    let [.., version_command, family, high, low] = *fixed;
    let block_length = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED_LENGTH + block_length;
    let local = match (version_command >> 4, version_command & 0x0f) {
        (2, 0x0) => true,
        (2, 0x1) => false,
        (2, command) => return Err(InvalidHeader::Command(command)),
        (version, _) => return Err(InvalidHeader::Version(version)),
    };
    if length > MAX_LENGTH {
        return Err(InvalidHeader::TooLong(length));
    }
    let (Some(whole), Some(block)) = (bytes.get(..length), rest.get(..block_length)) else {
        return Ok(Reading::Partial);
    };
    // Where the proxy speaks for itself, all the rest is to be ignored, its family too.
    let header = if local { Header::default() } else { proxied(family, whole, block)? };
    Ok(Reading::Complete { header, length })
}

fn proxied(family: u8, whole: &[u8], block: &[u8]) -> Result<Header, InvalidHeader> {
    let no_room = || InvalidHeader::NoRoom { family, length: block.len() };
    let (source, tlvs) = match (family >> 4, family & 0x0f) {
        (_, transport @ 0x3..) => return Err(InvalidHeader::Transport(transport)),
        (family @ 0x4.., _) => return Err(InvalidHeader::Family(family)),
        // The sender knows no addresses, or none that we would. Nobody says where TLVs would begin.
        (0x0, _) | (_, 0x0) => return Ok(Header { source: Source::Unknown, leg: Leg::Unsaid }),
        // By UDP a proxy is called with HTTP/3, and then says so.
        (0x1, 0x1..) => {
            let (source, tlvs) = source::<4>(block).ok_or_else(no_room)?;
            (Source::Address(source.into()), tlvs)
        }
        (0x2, 0x1..) => {
            let (source, tlvs) = source::<16>(block).ok_or_else(no_room)?;
            (Source::Address(IpAddr::from(source).to_canonical()), tlvs)
        }
        (0x3, 0x1..) => (Source::Unknown, block.get(UNIX_ADDRESSES..).ok_or_else(no_room)?),
    };
    let leg = read_tlvs(whole, tlvs)?;
    Ok(Header { source, leg })
}

/// The first of two addresses of so many bytes, and what follows them and their ports.
fn source<const N: usize>(block: &[u8]) -> Option<([u8; N], &[u8])> {
    let (source, _) = block.split_first_chunk::<N>()?;
    Some((*source, block.get(2 * N + 2 * 2..)?))
}

/// The last bytes of `whole` are `tlvs`.
fn read_tlvs(whole: &[u8], tlvs: &[u8]) -> Result<Leg, InvalidHeader> {
    let (mut leg, mut checked, mut rest) = (None, false, tlvs);
    while let Some(Tlv { kind, value, following }) = Tlv::first(rest)? {
        match kind {
            TYPE_CRC32C if checked => return Err(InvalidHeader::RepeatedTlv(kind)),
            TYPE_CRC32C => {
                check(whole, value, following.len())?;
                checked = true;
            }
            TYPE_SSL if leg.is_some() => return Err(InvalidHeader::RepeatedTlv(kind)),
            TYPE_SSL => leg = Some(read_ssl(value)?),
            // Of no interest here: ALPN, the server's name, padding, names for the connection, what senders add of their own.
            _ => {}
        }
        rest = following;
    }
    Ok(leg.unwrap_or_default())
}

/// The checksum is over the whole header with zeros in its own place, which `following` bytes come after.
fn check(whole: &[u8], value: &[u8], following: usize) -> Result<(), InvalidHeader> {
    let wrong_length = InvalidHeader::TlvLength { kind: TYPE_CRC32C, length: value.len() };
    let stated = u32::from_be_bytes(value.try_into().map_err(|_| wrong_length)?);
    let before = whole.len().saturating_sub(following + value.len());
    let mut hasher = Hasher::new(ChecksumAlgorithm::Crc32c);
    hasher.update(whole.get(..before).unwrap_or_default());
    hasher.update(&[0; 4]);
    hasher.update(whole.get(before + value.len()..).unwrap_or_default());
    let computed = hasher.finish().into_iter().fold(0, |sum, byte| sum << 8 | u32::from(byte));
    if stated == computed { Ok(()) } else { Err(InvalidHeader::Checksum { stated, computed }) }
}

fn read_ssl(value: &[u8]) -> Result<Leg, InvalidHeader> {
    let too_short = InvalidHeader::TlvLength { kind: TYPE_SSL, length: value.len() };
    let ([client, ..], mut rest) = value.split_first_chunk::<5>().ok_or(too_short)?;
    let mut name = None;
    while let Some(Tlv { kind, value, following }) = Tlv::first(rest)? {
        if kind == SUBTYPE_SSL_VERSION && name.replace(value).is_some() {
            return Err(InvalidHeader::RepeatedTlv(kind));
        }
        rest = following;
    }
    if client & CLIENT_SSL == 0 {
        return Ok(Leg::Plain);
    }
    Ok(match name {
        // They have been broken for long; who relies on a client that came by TLS does not mean these.
        Some(b"SSLv2" | b"SSLv3") => Leg::Plain,
        name => Leg::Tls(ClientTls { version: name.and_then(version) }),
    })
}

/// The names are those of OpenSSL's `SSL_get_version`.
fn version(name: &[u8]) -> Option<TlsVersion> {
    match name {
        b"TLSv1" | b"TLSv1.0" => Some(TlsVersion::V1_0),
        b"TLSv1.1" => Some(TlsVersion::V1_1),
        b"TLSv1.2" => Some(TlsVersion::V1_2),
        b"TLSv1.3" => Some(TlsVersion::V1_3),
        _ => None,
    }
}

/// A type and a value, whose length it has for itself.
struct Tlv<'a> {
    kind: u8,
    value: &'a [u8],
    /// What comes after it.
    following: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The first of a list; none where that is at its end.
    fn first(tlvs: &'a [u8]) -> Result<Option<Self>, InvalidHeader> {
        if tlvs.is_empty() {
            return Ok(None);
        }
        let whole = tlvs.split_first_chunk::<3>().and_then(|(&[kind, high, low], rest)| {
            let (value, following) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            Some(Self { kind, value, following })
        });
        whole.map(Some).ok_or(InvalidHeader::Tlv(tlvs.len()))
    }
}
