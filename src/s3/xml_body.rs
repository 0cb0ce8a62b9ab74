//! The XML of request bodies, as pieces: one whole document without anything that parsers read differently.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::xml::{is_representable, referenced, utf8_declared};

const BYTE_ORDER_MARK: char = '\u{feff}';

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
/// No document type and no entities but XML's own; XML 1.0 in UTF-8, and nothing else declared, nor declared anywhere but
/// at the very start; none of the characters that XML 1.0 forbids, however written; no prefixed names, which some parsers
/// take for others: what is decided on must be what the store reads.
pub(super) fn walk(document: &[u8], mut take: impl FnMut(Piece<'_>) -> Result<(), String>) -> Result<(), String> {
    let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    if let Some(forbidden) = text.chars().find(|c| !is_representable(*c)) {
        return Err(no_character(forbidden));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    // The reader would take one off again.
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err("text outside the root element".to_owned());
    }
    let mut reader = Reader::from_str(text);
    let mut depth: usize = 0;
    let mut ended = false;
    loop {
        let inside = depth > 0;
        let at_start = reader.buffer_position() == 0;
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
                if !is_representable(character) {
                    return Err(no_character(character));
                }
                take(Piece::Text(Cow::Owned(character.to_string())))?;
            }
            Event::CData(_) | Event::GeneralRef(_) => return Err("text outside the root element".to_owned()),
            Event::DocType(_) => return Err("a document type".to_owned()),
            Event::Decl(declaration) if at_start => xml10_in_utf8(&declaration)?,
            Event::Decl(_) => return Err("an XML declaration that is not at the start".to_owned()),
            Event::PI(instruction) if instruction.target().eq_ignore_ascii_case("xml") => {
                return Err("something like an XML declaration".to_owned());
            }
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

fn xml10_in_utf8(declaration: &BytesDecl<'_>) -> Result<(), String> {
    let version = declaration.version().map_err(|error| error.to_string())?;
    if version != "1.0" {
        return Err(format!("XML of version `{version}`"));
    }
    utf8_declared(declaration)
}

fn no_character(c: char) -> String {
    format!("the character U+{:04X}, which XML forbids", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a document's elements; whether it is refused.
    fn text(document: &str) -> Result<String, String> {
        let mut all = String::new();
        walk(document.as_bytes(), |piece| {
            if let Piece::Text(text) = piece {
                all.push_str(&text);
            }
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_whole_document_of_xml_1_0_is_read() {
        for (document, expected) in [
            ("<a>x</a>", "x"),
            ("<?xml version=\"1.0\"?><a>x</a>", "x"),
            ("\u{feff}<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n<a>x</a>\n", "x"),
            ("<a>\t&#9;&#xA;&#x1F980;\u{fffd}<![CDATA[<]]></a>", "\t\t\n\u{1f980}\u{fffd}<"),
            ("<!-- --><?pi x?><a>x<?pi?>y</a><!-- -->", "xy"),
            ("<a>x\r\ny\rz</a>", "x\ny\nz"),
        ] {
            assert_eq!(text(document).as_deref(), Ok(expected), "{document:?}");
        }
    }

    #[test]
    fn what_parsers_read_in_different_ways_is_refused() {
        for document in [
            "",
            "x",
            "<a>",
            "<a/><b/>",
            "<a/>x",
            "<a/>&#120;",
            "<x:a/>",
            "<!DOCTYPE a><a/>",
            "<a>&e;</a>",
            " <?xml version=\"1.0\"?><a/>",
            "\n<?xml version=\"1.0\"?><a/>",
            "<!-- --><?xml version=\"1.0\"?><a/>",
            "<a><?xml version=\"1.0\"?></a>",
            "<a/><?xml version=\"1.0\"?>",
            "<?xml version=\"1.0\"?><?xml version=\"1.0\"?><a/>",
            "<?XML version=\"1.0\"?><a/>",
            "<a><?Xml?></a>",
            "<?xml version=\"1.1\"?><a/>",
            "<?xml encoding=\"UTF-8\"?><a/>",
            "<?xml version=\"1.0\" encoding=\"latin1\"?><a/>",
            "\u{feff}\u{feff}<a/>",
            "<a>\u{1}</a>",
            "<a>\0</a>",
            "<a>\u{fffe}</a>",
            "<a b=\"\u{8}\"/>",
            "<!-- \u{1} --><a/>",
            "<a><![CDATA[\u{1f}]]></a>",
            "<a>&#1;</a>",
            "<a>&#0;</a>",
            "<a>&#x1f;</a>",
            "<a>&#xFFFE;</a>",
            "<a>&#xD800;</a>",
        ] {
            assert!(text(document).is_err(), "{document:?}: {:?}", text(document));
        }
    }
}
