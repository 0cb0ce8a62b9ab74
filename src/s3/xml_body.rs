//! The XML of request bodies, as pieces: one whole document without anything that parsers read differently.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::xml::{referenced, utf8_declared};

/// What a document consists of.
pub(super) enum Piece<'x> {
    Open(&'x str),
    Text(Cow<'x, str>),
    /// A comment or processing instruction.
    Aside,
    Close,
}

/// Hands out the pieces of a document in order; why it is refused otherwise.
///
/// No document type and no entities but XML's own; UTF-8 and no other encoding declared; no prefixed names, which some
/// parsers take for others: what is decided on must be what the store reads.
pub(super) fn walk(document: &[u8], mut take: impl FnMut(Piece<'_>) -> Result<(), String>) -> Result<(), String> {
    let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut depth: usize = 0;
    let mut ended = false;
    loop {
        let inside = depth > 0;
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(_) | Event::Empty(_) if ended => return Err("a second root element".to_owned()),
            Event::Start(start) => {
                depth += 1;
                take(Piece::Open(name(&start)?))?;
            }
            Event::Empty(empty) => {
                take(Piece::Open(name(&empty)?))?;
                take(Piece::Close)?;
                ended = depth == 0;
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                ended = depth == 0;
                take(Piece::Close)?;
            }
            Event::Text(text) if inside => take(Piece::Text(text.xml10_content()))?,
            Event::Text(text) => {
                if !text.xml10_content().trim().is_empty() {
                    return Err("text outside the root element".to_owned());
                }
            }
            Event::CData(text) if inside => take(Piece::Text(text.xml10_content()))?,
            Event::GeneralRef(reference) if inside => {
                let character = referenced(&reference).map_err(|error| error.to_string())?;
                take(Piece::Text(Cow::Owned(character.to_string())))?;
            }
            Event::CData(_) | Event::GeneralRef(_) => return Err("text outside the root element".to_owned()),
            Event::DocType(_) => return Err("a document type".to_owned()),
            Event::Decl(declaration) => utf8_declared(&declaration)?,
            Event::PI(_) | Event::Comment(_) => {
                if inside {
                    take(Piece::Aside)?;
                }
            }
            Event::Eof if ended => return Ok(()),
            Event::Eof => return Err("the document ends early".to_owned()),
        }
    }
}

fn name<'x>(start: &'x BytesStart<'_>) -> Result<&'x str, String> {
    let name = start.name().into_inner();
    if name.contains(':') { Err(format!("element `{name}` with a prefix")) } else { Ok(name) }
}
