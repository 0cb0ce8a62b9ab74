//! What does the header say that a proxy put in front of a connection?
//!
//! The PROXY protocol, version 1 (one line of text) and 2 (binary), as
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt> defines it. [`parse`] does no IO; `read` takes a header,
//! and no byte more, from a socket. Whether what it says is believed is another question: see
//! [`caller`](super::caller).

mod read;
mod v1;
mod v2;

use std::fmt;
use std::net::IpAddr;

use crate::layer::ClientTls;

pub(crate) use read::read;

/// No header is longer, in bytes: a line's limit is the protocol's, and that of a binary header ours. It leaves room for
/// all that senders add, while the protocol would allow sixteen times as much.
pub const MAX_LENGTH: usize = 4_096;

/// What a header says of who called the proxy. All of it is that proxy's word, or whoever's who wrote the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// For whom the connection is.
    pub source: Source,
    /// How the caller came to the proxy.
    pub leg: Leg,
}

/// How whoever called a proxy came to it, as the proxy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leg {
    /// It does not say: no `PP2_TYPE_SSL`. What passes bytes on without looking at them cannot know.
    #[default]
    Unsaid,
    /// Without TLS: `PP2_TYPE_SSL` without `PP2_CLIENT_SSL`, or with SSL 2.0 or 3.0, which count for nothing.
    Plain,
    /// By TLS, which the proxy ended.
    Tls(ClientTls),
}

/// For whom a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// For the proxy itself (`LOCAL`); that is how a connection without header is, too.
    #[default]
    Proxy,
    /// For somebody whose address is unknown (`UNKNOWN`, `AF_UNSPEC`), or not of the network (`AF_UNIX`).
    Unknown,
    /// For whoever called from here. An IPv4 address in IPv6's clothes is the IPv4 address.
    Address(IpAddr),
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is all there.
    Complete {
        /// What it says.
        header: Header,
        /// How many bytes it has; what follows is not its.
        length: usize,
    },
    /// All that is there is the header's, and more is to come.
    Partial,
}

/// Reads the header that `bytes` begin with.
///
/// # Errors
/// [`InvalidHeader`], at the latest once all of a header, or as much as one may have, is there.
pub fn parse(bytes: &[u8]) -> Result<Reading, InvalidHeader> {
    if agree(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if agree(bytes, v1::PREFIX) {
        v1::parse(bytes)
    } else {
        Err(InvalidHeader::Absent)
    }
}

/// Whether one of the two begins with the other.
fn agree(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(byte, expected)| byte == expected)
}

/// What a connection begins with is no header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// It begins like neither version. The bytes are not kept: a client that sends none sends a request, with secrets.
    Absent,
    /// A line without end in its first 107 bytes.
    LineTooLong,
    /// A line with a carriage return or a line feed alone.
    LineEnding,
    /// A line of other fields than the protocol's, without its end.
    Line(String),
    /// Not an address of the line's family.
    Address(String),
    /// Not a port.
    Port(String),
    /// A binary header of so many bytes, which is more than [`MAX_LENGTH`].
    TooLong(usize),
    /// A version other than 2 in a binary header.
    Version(u8),
    /// A command that is neither `LOCAL` nor `PROXY`.
    Command(u8),
    /// An address family that there is not.
    Family(u8),
    /// A transport protocol that there is not.
    Transport(u8),
    /// The addresses of a family do not fit into a block of so many bytes.
    NoRoom {
        /// The family and the transport protocol, as in the header's 14th byte.
        family: u8,
        /// The block's length in bytes.
        length: usize,
    },
    /// A type, length and value that do not fit into what holds them. So many bytes are left there.
    Tlv(usize),
    /// A value that is too short, or too long, for its type.
    TlvLength {
        /// The type.
        kind: u8,
        /// The length in bytes.
        length: usize,
    },
    /// A type that counts once is there again.
    RepeatedTlv(u8),
    /// The checksum is of other bytes.
    Checksum {
        /// The one in the header.
        stated: u32,
        /// That of the bytes.
        computed: u32,
    },
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is none"),
            Self::LineTooLong => write!(f, "its line does not end within {} bytes", v1::MAX_LINE),
            Self::LineEnding => f.write_str("its line has a CR or LF that is not part of a CRLF"),
            Self::Line(line) => write!(f, "its line is {line:?}"),
            Self::Address(text) => write!(f, "{text:?} is not an address of its family"),
            Self::Port(text) => write!(f, "{text:?} is not a port"),
            Self::TooLong(length) => write!(f, "its {length} bytes are more than {MAX_LENGTH}"),
            Self::Version(version) => write!(f, "its version is {version}"),
            Self::Command(command) => write!(f, "its command is {command:#x}"),
            Self::Family(family) => write!(f, "its address family is {family:#x}"),
            Self::Transport(transport) => write!(f, "its transport protocol is {transport:#x}"),
            Self::NoRoom { family, length } => {
                write!(f, "the addresses of family {family:#04x} do not fit into {length} bytes")
            }
            Self::Tlv(left) => write!(f, "the last {left} bytes of a list are no type, length and value"),
            Self::TlvLength { kind, length } => write!(f, "a value of type {kind:#04x} has {length} bytes"),
            Self::RepeatedTlv(kind) => write!(f, "type {kind:#04x} is there twice"),
            Self::Checksum { stated, computed } => {
                write!(f, "its checksum is {stated:#010x}, that of its bytes {computed:#010x}")
            }
        }
    }
}

impl std::error::Error for InvalidHeader {}

#[cfg(test)]
mod tests;
