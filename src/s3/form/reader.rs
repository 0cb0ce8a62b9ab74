//! Where do the fields before the file lie?
//!
//! The reader goes on where it stopped when more of the body is there, so that reading a form costs the same in however
//! many pieces it comes.

use std::ops::Range;

use memchr::memmem;

use super::FormError;
use super::part::PartHead;

/// Reads a growing body up to the head of its file.
pub(super) struct Reader {
    /// What ends a part: `CRLF--BOUNDARY`.
    delimiter: String,
    state: State,
    /// Up to where all is read.
    at: usize,
    /// Up to where what is looked for next is known not to begin.
    searched: usize,
    /// Where the present part begins, delimiter included.
    start: usize,
    fields: Vec<RawField>,
}

enum State {
    Opening,
    BehindBoundary,
    Head,
    Value(PartHead),
}

/// A field as it was sent.
pub(super) struct RawField {
    pub(super) name: String,
    pub(super) value: String,
    /// The whole part: its delimiter, head and value, and the line end behind it.
    pub(super) span: Range<usize>,
}

/// All that comes before the file's first byte.
pub(super) struct Beginning {
    pub(super) fields: Vec<RawField>,
    pub(super) filename: Option<String>,
    /// The head of the file, its delimiter included.
    pub(super) file_head: Range<usize>,
}

impl Reader {
    pub(super) fn new(boundary: &str) -> Self {
        Self {
            delimiter: format!("\r\n--{boundary}"),
            state: State::Opening,
            at: 0,
            searched: 0,
            start: 0,
            fields: Vec::new(),
        }
    }

    /// Reads on in `body`, which begins with all that was given before; `None` where more is needed.
    pub(super) fn advance(&mut self, body: &[u8]) -> Result<Option<Beginning>, FormError> {
        loop {
            let rest = body.get(self.at..).unwrap_or_default();
            match std::mem::replace(&mut self.state, State::Opening) {
                State::Opening => {
                    if !self.open(rest)? {
                        return Ok(None);
                    }
                    self.state = State::BehindBoundary;
                }
                State::BehindBoundary => {
                    self.state = match rest {
                        [b'\r', b'\n', ..] => State::Head,
                        [b'-', b'-', ..] => return Err(FormError::NoFile),
                        [] | [b'\r' | b'-'] => {
                            self.state = State::BehindBoundary;
                            return Ok(None);
                        }
                        _ => return Err(FormError::Malformed("text behind a boundary")),
                    };
                    self.moved_to(self.at + 2);
                }
                State::Head => {
                    let Some(end) = self.find(body, b"\r\n\r\n") else {
                        self.state = State::Head;
                        return Ok(None);
                    };
                    let head = PartHead::parse(body.get(self.at..end).unwrap_or_default())?;
                    self.moved_to(end + 4);
                    if head.name == "file" {
                        return Ok(Some(Beginning {
                            fields: std::mem::take(&mut self.fields),
                            filename: head.filename,
                            file_head: self.start..self.at,
                        }));
                    }
                    self.state = State::Value(head);
                }
                State::Value(head) => {
                    let delimiter = self.delimiter.clone();
                    let Some(end) = self.find(body, delimiter.as_bytes()) else {
                        self.state = State::Value(head);
                        return Ok(None);
                    };
                    let value = body.get(self.at..end).unwrap_or_default();
                    let value = self.field_value(&head, value)?;
                    self.fields.push(RawField { name: head.name, value, span: self.start..end + 2 });
                    self.start = end + 2;
                    self.moved_to(end + delimiter.len());
                    self.state = State::BehindBoundary;
                }
            }
        }
    }

    /// Goes past the first delimiter, which needs no line before it. `false` where more is needed.
    fn open(&mut self, body: &[u8]) -> Result<bool, FormError> {
        let opening = self.opening().as_bytes();
        let length = opening.len();
        let line = if body.starts_with(b"\r\n") { 2 } else { 0 };
        let rest = body.get(line..).unwrap_or_default();
        if rest.starts_with(opening) {
            self.start = line;
            self.moved_to(line + length);
            return Ok(true);
        }
        if opening.starts_with(rest) || body == b"\r" {
            return Ok(false);
        }
        Err(FormError::Malformed("no boundary at its beginning"))
    }

    fn field_value(&self, head: &PartHead, value: &[u8]) -> Result<String, FormError> {
        let value = std::str::from_utf8(value).map_err(|_| FormError::Malformed("a field that is not UTF-8"))?;
        // Another reader of lines could find a part in there.
        if value.contains(self.opening()) {
            return Err(FormError::Malformed("a boundary within a field"));
        }
        // Some decode by the part's character set, or by a byte order mark, which they take away.
        if head.is_recoded || value.starts_with('\u{feff}') {
            return Err(FormError::Malformed("a field in a character set other than UTF-8"));
        }
        if self.fields.iter().any(|field| field.name == head.name) {
            return Err(FormError::RepeatedField(head.name.clone()));
        }
        Ok(value.to_owned())
    }

    fn opening(&self) -> &str {
        self.delimiter.trim_start()
    }

    fn moved_to(&mut self, at: usize) {
        self.at = at;
        self.searched = at;
    }

    /// Where `wanted` begins, from where the last search for it ended.
    fn find(&mut self, body: &[u8], wanted: &[u8]) -> Option<usize> {
        let found = memmem::find(body.get(self.searched..)?, wanted).map(|at| self.searched + at);
        if found.is_none() {
            // Its beginning may be there already.
            self.searched = self.searched.max((body.len() + 1).saturating_sub(wanted.len()));
        }
        found
    }
}
