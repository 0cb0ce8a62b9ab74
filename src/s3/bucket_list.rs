//! Where in the answer to `ListBuckets` does each bucket stand?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>. The answer is split as it comes, in memory
//! that does not grow with it: into each `Bucket` whole, and the bytes between them as they are but for the content of
//! `Owner`. What could hold a bucket in a place that is not looked at ends the reading.

use std::fmt;

use bytes::{Bytes, BytesMut};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::address::BucketName;
use super::xml::{exact_element, is_representable, referenced, utf8_declared};
use crate::policy::Account;

/// The longest `Bucket`, and the longest tag, in bytes.
pub(crate) const MAX_ELEMENT: usize = 64 * 1024;

const ROOT: &str = "ListAllMyBucketsResult";

/// A piece of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Goes on as it is.
    Passing(Bytes),
    /// A `Bucket`, and its name unless no bucket here can have it.
    Bucket(Bytes, Option<BucketName>),
}

/// Splits an answer.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// Who is shown as the owner: id and name.
    shown: (String, Option<String>),
    /// What has come and is not split yet.
    input: BytesMut,
    /// The names of the elements around, as they are written.
    open: Vec<String>,
    /// The `Bucket` whose end has not come.
    bucket: BytesMut,
    has_begun: bool,
    has_ended: bool,
}

/// What a markup is.
enum Markup {
    Start(String),
    Empty(String),
    End(String),
    CData,
    Declaration,
    /// A comment or processing instruction.
    Aside,
}

/// Which element it is whose content is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    Root,
    Buckets,
    /// In a `Bucket`, so deep.
    Bucket,
    Owner,
    /// Another child of the root, which holds text alone.
    Other,
}

impl Splitter {
    /// Starts before the first byte. `account` is shown as the owner, under `name` where it has one.
    pub(crate) fn new(account: &Account, name: Option<&str>) -> Self {
        let name = name.filter(|name| name.chars().all(is_representable));
        Self {
            shown: (account.canonical_id.as_str().to_owned(), name.map(str::to_owned)),
            input: BytesMut::new(),
            open: Vec::new(),
            bucket: BytesMut::new(),
            has_begun: false,
            has_ended: false,
        }
    }

    /// Takes what comes next.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.input.extend_from_slice(data);
    }

    /// The next piece; `None` until more has come.
    ///
    /// # Errors
    /// [`BucketListError`]; nothing more may be read then.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, BucketListError> {
        loop {
            let Some(length) = self.next_length()? else { return Ok(None) };
            let bytes = self.input.split_to(length).freeze();
            let piece = if bytes.starts_with(b"<") { self.markup(bytes)? } else { self.text(bytes)? };
            if piece.is_some() {
                return Ok(piece);
            }
        }
    }

    /// The answer has ended.
    ///
    /// # Errors
    /// [`BucketListError::Truncated`] where it had not come to its end. An answer without a byte names no bucket.
    pub(crate) fn finish(&self) -> Result<(), BucketListError> {
        let is_whole = self.input.is_empty() && (self.has_ended || !self.has_begun);
        if is_whole { Ok(()) } else { Err(BucketListError::Truncated) }
    }

    /// How long the text or markup is that comes next; `None` where that is not known yet.
    fn next_length(&self) -> Result<Option<usize>, BucketListError> {
        let input = &self.input[..];
        let length = match input {
            [] | b"<" | b"<!" | b"<!-" => None,
            [b'<', b'!', b'-', b'-', ..] => end_of(input, 4, b"-->"),
            [b'<', b'!', b'[', ..] => end_of(input, 9, b"]]>"),
            [b'<', b'!', ..] => return Err(malformed("a document type")),
            [b'<', b'?', ..] => end_of(input, 2, b"?>"),
            [b'<', ..] => end_of_tag(input),
            _ => Some(input.iter().position(|byte| *byte == b'<').unwrap_or(input.len())),
        };
        if length.is_none() && input.len() > MAX_ELEMENT { Err(BucketListError::TooLong) } else { Ok(length) }
    }

    fn text(&mut self, text: Bytes) -> Result<Option<Piece>, BucketListError> {
        let is_blank = text.trim_ascii().is_empty();
        match self.place() {
            Place::Bucket => self.hold(&text),
            Place::Owner => Ok(None),
            Place::Other => Ok(Some(Piece::Passing(text))),
            Place::Outside | Place::Root | Place::Buckets if is_blank => Ok(Some(Piece::Passing(text))),
            // A byte order mark, of which each byte may come alone.
            Place::Outside if !self.has_begun && text.iter().all(|byte| b"\xef\xbb\xbf \r\n\t".contains(byte)) => {
                Ok(Some(Piece::Passing(text)))
            }
            Place::Outside | Place::Root | Place::Buckets => Err(malformed("text between elements")),
        }
    }

    fn markup(&mut self, bytes: Bytes) -> Result<Option<Piece>, BucketListError> {
        let place = self.place();
        match Markup::of(&bytes)? {
            Markup::Start(name) => {
                self.has_begun = true;
                let inner = self.enter(place, name)?;
                match (place, inner) {
                    (Place::Owner, _) => Ok(None),
                    (_, Place::Owner) => Ok(Some(Piece::Passing(self.with_shown_owner(&bytes)))),
                    (_, Place::Bucket) => self.hold(&bytes),
                    _ => Ok(Some(Piece::Passing(bytes))),
                }
            }
            Markup::Empty(name) => {
                self.has_begun = true;
                let inner = self.enter(place, name)?;
                let piece = match (place, inner) {
                    (Place::Owner, _) => None,
                    (_, Place::Owner) => Some(Piece::Passing(self.whole_shown_owner(&bytes))),
                    (_, Place::Bucket) => self.hold(&bytes)?,
                    _ => Some(Piece::Passing(bytes)),
                };
                self.leave();
                if place != Place::Bucket && inner == Place::Bucket { self.whole_bucket().map(Some) } else { Ok(piece) }
            }
            Markup::End(name) => {
                if self.open.last() != Some(&name) {
                    return Err(malformed(format!("the end of `{name}`, which is not open")));
                }
                self.leave();
                match (place, self.place()) {
                    (Place::Owner, Place::Owner) => Ok(None),
                    (Place::Bucket, outer) => {
                        let held = self.hold(&bytes)?;
                        if outer == Place::Bucket { Ok(held) } else { self.whole_bucket().map(Some) }
                    }
                    _ => Ok(Some(Piece::Passing(bytes))),
                }
            }
            Markup::CData => match place {
                Place::Bucket => self.hold(&bytes),
                Place::Owner => Ok(None),
                Place::Other => Ok(Some(Piece::Passing(bytes))),
                Place::Outside | Place::Root | Place::Buckets => Err(malformed("text between elements")),
            },
            Markup::Declaration if self.has_begun => Err(malformed("a declaration that is not at the beginning")),
            Markup::Declaration | Markup::Aside => match place {
                Place::Bucket => self.hold(&bytes),
                Place::Owner => Ok(None),
                Place::Outside | Place::Root | Place::Buckets | Place::Other => Ok(Some(Piece::Passing(bytes))),
            },
        }
    }

    fn place(&self) -> Place {
        let mut open = self.open.iter().map(|name| local(name));
        match (open.next(), open.next(), open.next()) {
            (None, _, _) => Place::Outside,
            (Some(_), None, _) => Place::Root,
            (Some(_), Some("Buckets"), None) => Place::Buckets,
            (Some(_), Some("Buckets"), Some(_)) => Place::Bucket,
            (Some(_), Some("Owner"), _) => Place::Owner,
            (Some(_), Some(_), _) => Place::Other,
        }
    }

    /// Goes into the element `name`, which stands in `place`.
    fn enter(&mut self, place: Place, name: String) -> Result<Place, BucketListError> {
        match (place, local(&name)) {
            (Place::Outside, _) if self.has_ended => return Err(malformed("a second root element")),
            (Place::Outside, ROOT) | (Place::Buckets, "Bucket") | (Place::Bucket | Place::Owner, _) => {}
            (Place::Root, name) if name != "Bucket" => {}
            (Place::Outside | Place::Root | Place::Buckets | Place::Other, other) => {
                return Err(malformed(format!("element `{other}` where none is expected")));
            }
        }
        self.open.push(name);
        // What a tag is part of is bounded; how deep it goes is too.
        if self.open.len() > 32 { Err(BucketListError::TooLong) } else { Ok(self.place()) }
    }

    fn leave(&mut self) {
        self.open.pop();
        self.has_ended |= self.open.is_empty();
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<Option<Piece>, BucketListError> {
        if bytes.len() > MAX_ELEMENT.saturating_sub(self.bucket.len()) {
            return Err(BucketListError::TooLong);
        }
        self.bucket.extend_from_slice(bytes);
        Ok(None)
    }

    fn whole_bucket(&mut self) -> Result<Piece, BucketListError> {
        let element = self.bucket.split().freeze();
        let name = name_of(&element)?;
        Ok(Piece::Bucket(element, BucketName::parse(name.trim()).ok()))
    }

    /// The tag that begins `Owner`, and what it is to hold.
    fn with_shown_owner(&self, tag: &[u8]) -> Bytes {
        let name = self.open.last().map_or("", String::as_str);
        let prefix = name.strip_suffix("Owner").unwrap_or_default();
        let mut content = String::new();
        exact_element(&mut content, prefix, "ID", &self.shown.0);
        if let Some(name) = &self.shown.1 {
            exact_element(&mut content, prefix, "DisplayName", name);
        }
        Bytes::from([tag, content.as_bytes()].concat())
    }

    /// An `Owner` that was empty.
    fn whole_shown_owner(&self, tag: &[u8]) -> Bytes {
        let name = self.open.last().map_or("", String::as_str);
        let start = [tag.strip_suffix(b"/>").unwrap_or(tag), b">"].concat();
        let end = format!("</{name}>");
        Bytes::from([&self.with_shown_owner(&start), end.as_bytes()].concat())
    }
}

impl Markup {
    fn of(bytes: &[u8]) -> Result<Self, BucketListError> {
        let text = std::str::from_utf8(bytes).map_err(malformed)?;
        // What a markup is, and what its name, quick-xml says, so that it cannot be read in one way here and in another there.
        // An end tag alone is no document, so its name is taken from a start tag.
        if let Some(rest) = text.strip_prefix("</") {
            return match Self::of(["<", rest].concat().as_bytes())? {
                Self::Start(name) if !rest.contains('=') => Ok(Self::End(name)),
                _ => Err(malformed(format!("`{text}` is no end tag"))),
            };
        }
        match Reader::from_str(text).read_event().map_err(malformed)? {
            Event::Start(start) => Ok(Self::Start(start.name().into_inner().to_owned())),
            Event::Empty(empty) => Ok(Self::Empty(empty.name().into_inner().to_owned())),
            Event::CData(_) => Ok(Self::CData),
            Event::Decl(declaration) => utf8_declared(&declaration).map(|()| Self::Declaration).map_err(malformed),
            Event::PI(_) | Event::Comment(_) => Ok(Self::Aside),
            Event::End(_) | Event::Text(_) | Event::GeneralRef(_) | Event::DocType(_) | Event::Eof => {
                Err(malformed(format!("`{text}` is no tag")))
            }
        }
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Where the markup ends whose `skipped` first bytes are its beginning.
fn end_of(input: &[u8], skipped: usize, end: &[u8]) -> Option<usize> {
    let at = input.get(skipped..)?.windows(end.len()).position(|window| window == end)?;
    Some(skipped + at + end.len())
}

/// Where a tag ends: at the first `>` that is in no attribute's value.
fn end_of_tag(input: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in input.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The text of a `Bucket`'s `Name`.
fn name_of(element: &[u8]) -> Result<String, BucketListError> {
    let text = std::str::from_utf8(element).map_err(malformed)?;
    let mut reader = Reader::from_str(text);
    let mut depth: usize = 0;
    let mut is_within = false;
    let mut name: Option<String> = None;
    loop {
        let text = match reader.read_event().map_err(malformed)? {
            Event::Start(start) => {
                depth += 1;
                let is_name = depth == 2 && start.local_name().into_inner() == "Name";
                if is_name && name.replace(String::new()).is_some() {
                    return Err(malformed("a `Bucket` with more than one `Name`"));
                }
                is_within |= is_name;
                continue;
            }
            Event::End(_) => {
                is_within &= depth != 2;
                depth = depth.saturating_sub(1);
                continue;
            }
            Event::Empty(_) if is_within => return Err(malformed("an element within a `Name`")),
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(reference) => referenced(&reference).map_err(malformed)?.to_string(),
            Event::Eof => return name.ok_or_else(|| malformed("a `Bucket` without a `Name`")),
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => continue,
        };
        if is_within && depth != 2 {
            return Err(malformed("an element within a `Name`"));
        }
        if let Some(name) = name.as_mut().filter(|_| is_within) {
            name.push_str(&text);
        }
    }
}

fn malformed(cause: impl fmt::Display) -> BucketListError {
    BucketListError::Malformed(cause.to_string())
}

/// Why an answer to `ListBuckets` cannot be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BucketListError {
    /// It is not the XML that S3 sends; the text says how.
    Malformed(String),
    /// An element or a tag is longer than [`MAX_ELEMENT`], or too deep.
    TooLong,
    /// It ends early.
    Truncated,
}

impl fmt::Display for BucketListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(cause) => write!(f, "malformed list of buckets: {cause}"),
            Self::TooLong => write!(f, "a list of buckets with an element of more than {MAX_ELEMENT} bytes"),
            Self::Truncated => f.write_str("a list of buckets that ends early"),
        }
    }
}

impl std::error::Error for BucketListError {}

#[cfg(test)]
mod tests;
