//! Version 1, section 2.1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and CRLF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{Header, InvalidHeader, Leg, Reading, Source};

/// What a line begins with.
pub(super) const PREFIX: &[u8] = b"PROXY ";

/// The longest line that the protocol has, with its end, in bytes.
pub(super) const MAX_LINE: usize = 107;

/// Reads a line that begins with the prefix, as far as it is there.
pub(super) fn parse(bytes: &[u8]) -> Result<Reading, InvalidHeader> {
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let end = window.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    match end.and_then(|end| window.split_at_checked(end)) {
        Some((line, [b'\r', b'\n', ..])) => {
            let header = read_line(&String::from_utf8_lossy(line))?;
            Ok(Reading::Complete { header, length: line.len() + 2 })
        }
        Some((_, [b'\r'])) | None if bytes.len() < MAX_LINE => Ok(Reading::Partial),
        Some((_, [b'\r'])) | None => Err(InvalidHeader::LineTooLong),
        Some(_) => Err(InvalidHeader::LineEnding),
    }
}

fn read_line(line: &str) -> Result<Header, InvalidHeader> {
    let fields: Vec<&str> = line.split(' ').collect();
    let source = match fields.as_slice() {
        // Whatever follows is to be ignored.
        ["PROXY", "UNKNOWN", ..] => Source::Unknown,
        ["PROXY", "TCP4", addresses @ ..] => Source::Address(source::<Ipv4Addr>(line, addresses)?),
        ["PROXY", "TCP6", addresses @ ..] => Source::Address(source::<Ipv6Addr>(line, addresses)?),
        _ => return Err(InvalidHeader::Line(line.to_owned())),
    };
    Ok(Header { source, leg: Leg::Unsaid })
}

/// The source's address. What is said of the destination is of no use here, and still must be right.
fn source<A: FromStr + Into<IpAddr>>(line: &str, fields: &[&str]) -> Result<IpAddr, InvalidHeader> {
    let [source, destination, ports @ ..] = fields else { return Err(InvalidHeader::Line(line.to_owned())) };
    let [source_port, destination_port] = ports else { return Err(InvalidHeader::Line(line.to_owned())) };
    let source = address::<A>(source)?;
    address::<A>(destination)?;
    port(source_port)?;
    port(destination_port)?;
    Ok(source)
}

fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, InvalidHeader> {
    let address: A = text.parse().map_err(|_| InvalidHeader::Address(text.to_owned()))?;
    Ok(address.into().to_canonical())
}

fn port(text: &str) -> Result<u16, InvalidHeader> {
    // Rust's own would take `+80` and `080`.
    let decimal = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    let port = if decimal { text.parse().ok() } else { None };
    port.ok_or_else(|| InvalidHeader::Port(text.to_owned()))
}
