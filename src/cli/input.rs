//! The lines of a file of requests, one at a time: what is kept is one line and a buffer, however long the file is.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, stdin};
use std::path::Path;

use super::terminal::{self, Shown};

const BUFFER: usize = 64 * 1024;

/// Of how many unknown fields is told.
const UNKNOWN: usize = 50;

/// The file, and what to call it; `-` is the standard input.
pub(super) fn open(file: &Path) -> io::Result<(String, Box<dyn Read>)> {
    if file == Path::new("-") {
        Ok(("standard input".to_owned(), Box::new(stdin().lock())))
    } else {
        Ok((file.display().to_string(), Box::new(File::open(file)?)))
    }
}

/// Why not all lines were answered.
pub(super) enum Stopped {
    Input(io::Error),
    Output(io::Error),
}

/// Fields without a meaning, each of which is told of once.
#[derive(Debug, Default)]
pub(super) struct UnknownFields(HashSet<String>);

impl UnknownFields {
    /// Tells of a field, after `before`, where that is due.
    pub(super) fn tell(&mut self, source: &str, number: u64, field: String, before: impl FnOnce()) {
        if self.0.len() >= UNKNOWN || self.0.contains(&field) {
            return;
        }
        before();
        terminal::warning(format_args!("{source}: line {number}: unknown field `{}` (told once)", Shown(&field)));
        self.0.insert(field);
        if self.0.len() == UNKNOWN {
            terminal::warning(format_args!("{source}: line {number}: further unknown fields are not told of"));
        }
    }
}

/// The lines of a reader.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    max: usize,
    number: u64,
}

/// A line and its number, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'l> {
    pub(super) number: u64,
    /// None where the line is longer than any that is read.
    pub(super) bytes: Option<&'l [u8]>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, max: usize) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER, reader), line: Vec::new(), max, number: 0 }
    }

    /// Whether the next line has to be waited for, or the end.
    pub(super) fn waits(&self) -> bool {
        !self.reader.buffer().contains(&b'\n')
    }

    /// The next line, without its break; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let limit = u64::try_from(self.max).unwrap_or(u64::MAX).saturating_add(1);
        if self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let ended = self.line.pop_if(|last| *last == b'\n').is_some();
        let fits = self.line.len() <= self.max;
        if !ended && !fits {
            self.reader.skip_until(b'\n')?;
        }
        Ok(Some(Line { number: self.number, bytes: fits.then_some(self.line.as_slice()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, max: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(text.as_bytes(), max);
        let mut all = Vec::new();
        while let Some(Line { number, bytes }) = lines.next().unwrap() {
            all.push((number, bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())));
        }
        all
    }

    #[test]
    fn lines_are_numbered_and_long_ones_skipped() {
        let line = |number, text: &str| (number, Some(text.to_owned()));
        for (text, max, expected) in [
            ("", 3, vec![]),
            ("a", 3, vec![line(1, "a")]),
            ("a\n", 3, vec![line(1, "a")]),
            ("a\n\nb\r\n", 3, vec![line(1, "a"), line(2, ""), line(3, "b\r")]),
            ("abc\nabcd\nab", 3, vec![line(1, "abc"), (2, None), line(3, "ab")]),
            ("abcdefghij\nabc", 3, vec![(1, None), line(2, "abc")]),
            ("abc\nabcd", 3, vec![line(1, "abc"), (2, None)]),
        ] {
            assert_eq!(all(text, max), expected, "{text:?}");
        }
        let long = "x".repeat(3 * BUFFER);
        assert_eq!(all(&format!("{long}\n{long}y\nz"), 3 * BUFFER), [line(1, &long), (2, None), line(3, "z")]);
    }

    #[test]
    fn what_is_read_already_is_not_waited_for() {
        let mut lines = Lines::new("a\nb\nc".as_bytes(), 10);
        assert!(lines.waits());
        for waits_next in [false, true, true] {
            lines.next().unwrap().unwrap();
            assert_eq!(lines.waits(), waits_next);
        }
    }
}
