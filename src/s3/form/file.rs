//! Where does the file of a form end, and what comes behind it?
//!
//! Follows RFC 2046, section 5.1.1. The end of the form is given out last of all, when the size of the file and what
//! stands behind it have been judged: whoever reads what comes out sees a whole form only where all of it is right.
//!
//! Behind the file S3 ignores every field, where another server might read one. So nothing may be there but what says
//! nothing to anybody: Amazon's own example has a button called `submit` there.

use std::fmt;

use bytes::Bytes;
use memchr::memmem::Finder;

use super::FormError;
use super::part::PartHead;
use crate::s3::error::{ErrorCode, S3Error};

/// The most bytes a file may have that is uploaded at once: five GiB, as everywhere in S3.
pub const MAX_FILE_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The most bytes that may come behind the file: the last delimiter, white space, a button.
pub const MAX_TAIL_BYTES: usize = 4096;

/// How many bytes a file may have, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

impl SizeRange {
    /// What S3 takes where no policy says less.
    pub const ANY: Self = Self { min: 0, max: MAX_FILE_BYTES };

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { min: self.min.max(other.min), max: self.max.min(other.max) }
    }
}

/// Reads a form's file and all that follows, in pieces of any size, and gives it out again unchanged.
pub struct FileScanner {
    /// `--BOUNDARY`. It may stand nowhere but at the beginning of a line: within the file another reader could take it
    /// for its end.
    opening: Finder<'static>,
    /// The longest beginning of an end that is kept back: `CRLF--BOUNDARY` less a byte.
    keep: usize,
    range: SizeRange,
    /// Bytes of the file that were given out.
    size: u64,
    /// The last bytes, which may belong to the end.
    kept: Bytes,
    /// From the line end before the last delimiter on.
    tail: Option<Vec<u8>>,
}

impl FileScanner {
    /// For a file that begins with the next byte.
    pub fn new(boundary: &str, range: SizeRange) -> Self {
        let opening = format!("--{boundary}");
        Self {
            keep: opening.len() + 1,
            opening: Finder::new(&opening).into_owned(),
            range,
            size: 0,
            kept: Bytes::new(),
            tail: None,
        }
    }

    /// Takes the next piece and hands what is certainly the file's to `out`.
    ///
    /// # Errors
    /// [`FileFault`] as soon as there is one; nothing more may be pushed then.
    pub fn push(&mut self, data: Bytes, mut out: impl FnMut(Bytes)) -> Result<(), FileFault> {
        if let Some(tail) = &mut self.tail {
            return extend_tail(tail, &data);
        }
        // An end that began with what was kept back ends within as much of this piece.
        let seam = data.len().min(self.keep + 1);
        let mut joined = Vec::with_capacity(self.kept.len() + seam);
        joined.extend_from_slice(&self.kept);
        joined.extend_from_slice(data.get(..seam).unwrap_or_default());
        if let Some(at) = self.opening.find(&joined) {
            let tail = self.end_at(at, &Bytes::from(joined), &mut out)?;
            return extend_tail(tail, data.get(seam..).unwrap_or_default());
        }
        if seam == data.len() {
            let mut joined = Bytes::from(joined);
            let certain = joined.split_to(joined.len().saturating_sub(self.keep));
            self.kept = joined;
            return self.give(certain, &mut out);
        }
        let kept = std::mem::take(&mut self.kept);
        self.give(kept, &mut out)?;
        if let Some(at) = self.opening.find(&data) {
            return self.end_at(at, &data, &mut out).map(drop);
        }
        let mut data = data;
        let certain = data.split_to(data.len().saturating_sub(self.keep));
        self.kept = data;
        self.give(certain, &mut out)
    }

    /// The body is over: what remains of the form, if it is whole.
    ///
    /// # Errors
    /// [`FileFault`].
    pub fn finish(&mut self) -> Result<Bytes, FileFault> {
        let tail = self.tail.take().ok_or(FileFault::Malformed("no end of the file"))?;
        let opening = self.opening.needle();
        let delimiter = [b"\r\n", opening].concat();
        check_tail(tail.get(delimiter.len()..).unwrap_or_default(), &delimiter)?;
        if self.size < self.range.min {
            return Err(FileFault::TooSmall { size: self.size, min: self.range.min });
        }
        Ok(Bytes::from(tail))
    }

    /// How many bytes are kept back.
    pub fn kept(&self) -> usize {
        self.kept.len() + self.tail.as_ref().map_or(0, Vec::len)
    }

    /// `--BOUNDARY` begins at `at` of `data`, which follows what was given out.
    fn end_at(&mut self, at: usize, data: &Bytes, out: &mut impl FnMut(Bytes)) -> Result<&mut Vec<u8>, FileFault> {
        let line_end = at.checked_sub(2).filter(|&before| data.get(before..at) == Some(b"\r\n".as_slice()));
        let line_end = line_end.ok_or(FileFault::Malformed("a boundary within the file"))?;
        self.kept = Bytes::new();
        self.give(data.slice(..line_end), out)?;
        let tail = self.tail.insert(Vec::new());
        extend_tail(tail, data.get(line_end..).unwrap_or_default())?;
        Ok(tail)
    }

    fn give(&mut self, data: Bytes, out: &mut impl FnMut(Bytes)) -> Result<(), FileFault> {
        self.size = self.size.saturating_add(data.len() as u64);
        if self.size > self.range.max {
            return Err(FileFault::TooLarge { size: self.size, max: self.range.max });
        }
        if !data.is_empty() {
            out(data);
        }
        Ok(())
    }
}

impl fmt::Debug for FileScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileScanner").field("range", &self.range).field("size", &self.size).finish_non_exhaustive()
    }
}

fn extend_tail(tail: &mut Vec<u8>, data: &[u8]) -> Result<(), FileFault> {
    if data.len() > MAX_TAIL_BYTES.saturating_sub(tail.len()) {
        return Err(FileFault::Malformed("too much behind the file"));
    }
    tail.extend_from_slice(data);
    Ok(())
}

/// Judges what comes behind the delimiter that ends the file.
fn check_tail(mut rest: &[u8], delimiter: &[u8]) -> Result<(), FileFault> {
    let opening = delimiter.get(2..).unwrap_or_default();
    loop {
        if let Some(epilogue) = rest.strip_prefix(b"--") {
            let is_blank = epilogue.iter().all(|b| b" \t\r\n".contains(b));
            return if is_blank { Ok(()) } else { Err(FileFault::Malformed("text behind the form")) };
        }
        let part = rest.strip_prefix(b"\r\n").ok_or(FileFault::Malformed("text behind a boundary"))?;
        let (head, behind) = split(part, b"\r\n\r\n").ok_or(FileFault::Malformed("no end of a head"))?;
        let name = PartHead::parse(head).map_err(FileFault::Part)?.name;
        if name != "submit" && !name.starts_with("x-ignore-") {
            return Err(FileFault::FieldBehind(name));
        }
        let (value, behind) = split(behind, delimiter).ok_or(FileFault::Malformed("no end of the form"))?;
        if memchr::memmem::find(value, opening).is_some() {
            return Err(FileFault::Malformed("a boundary within a field"));
        }
        rest = behind;
    }
}

fn split<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = memchr::memmem::find(bytes, separator)?;
    Some((bytes.get(..at)?, bytes.get(at + separator.len()..)?))
}

/// Why a file, or what follows it, is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFault {
    /// It is not `multipart/form-data`; the text says how.
    Malformed(&'static str),
    /// A part behind the file is none.
    Part(FormError),
    /// This field comes behind the file, where S3 ignores it and others may not.
    FieldBehind(String),
    /// More bytes than the policy, or S3, takes.
    TooLarge {
        /// How many there are at least.
        size: u64,
        /// How many there may be.
        max: u64,
    },
    /// Fewer bytes than the policy demands.
    TooSmall {
        /// How many there are.
        size: u64,
        /// How many there must be.
        min: u64,
    },
}

impl From<FileFault> for S3Error {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Malformed(_) => Self::new(ErrorCode::MalformedPOSTRequest),
            FileFault::Part(error) => error.into(),
            FileFault::FieldBehind(name) if name == "file" => FormError::NoFile.into(),
            FileFault::FieldBehind(name) => Self::new(ErrorCode::InvalidArgument)
                .with_message("The file must be the last field of the form.")
                .with_field("ArgumentName", name),
            FileFault::TooLarge { size, max } => Self::new(ErrorCode::EntityTooLarge)
                .with_field("ProposedSize", size.to_string())
                .with_field("MaxSizeAllowed", max.to_string()),
            FileFault::TooSmall { size, min } => Self::new(ErrorCode::EntityTooSmall)
                .with_field("ProposedSize", size.to_string())
                .with_field("MinSizeAllowed", min.to_string()),
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed form: {what}"),
            Self::Part(error) => error.fmt(f),
            Self::FieldBehind(name) => write!(f, "form field `{name}` behind the file"),
            Self::TooLarge { size, max } => write!(f, "a file of at least {size} bytes where {max} are allowed"),
            Self::TooSmall { size, min } => write!(f, "a file of {size} bytes where {min} are demanded"),
        }
    }
}

impl std::error::Error for FileFault {}
