//! What does a browser's upload say before its file?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html>: a `multipart/form-data` body whose
//! fields count up to the one named `file`, which is the object. Their names are without case, and `${filename}` stands
//! in all of them for the name of the file.
//!
//! ```
//! use portcullis::s3::form::Form;
//!
//! let body = "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nhome/${filename}\r\n\
//!             --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.jpg\"\r\n\r\n…";
//! let form = Form::parse("multipart/form-data; boundary=x", body.as_bytes())?;
//! assert_eq!(form.key().as_str(), "home/cat.jpg");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file;
mod part;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

pub use file::{FileFault, FileScanner, MAX_FILE_BYTES, MAX_TAIL_BYTES, SizeRange};

use self::reader::{Beginning, Reader};
use super::address::{AddressError, ObjectKey};
use super::error::{ErrorCode, S3Error};
use super::operation::leaves_its_bucket;

/// The most bytes of a form that are read for its fields; S3 itself takes 20,480.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

/// What stands for the name of the file.
const FILENAME: &str = "${filename}";

/// The fields before the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    boundary: String,
    key: ObjectKey,
    fields: Vec<Field>,
    filename: Option<String>,
    file_head: Range<usize>,
}

/// A field, and where it lies in the body.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// In lower case.
    pub(crate) name: String,
    /// As sent.
    pub(crate) written: String,
    /// With the name of the file filled in.
    pub(crate) value: String,
    /// The whole part: its delimiter, head and value, and the line end behind it.
    pub(crate) span: Range<usize>,
}

impl Form {
    /// Reads the beginning of a body, at least up to the head of its file.
    ///
    /// # Errors
    /// [`FormError`]; its [`S3Error`] is what S3 answers.
    pub fn parse(content_type: &str, body: &[u8]) -> Result<Self, FormError> {
        let mut reader = FormReader::new(content_type)?;
        reader.read(body)?.ok_or(FormError::NoFile)
    }

    fn new(boundary: String, beginning: Beginning) -> Result<Self, FormError> {
        let Beginning { fields, filename, file_head } = beginning;
        if let Some(field) = fields.iter().find(|field| is_header_not_field(&field.name, &field.value)) {
            return Err(FormError::NotAField(field.name.clone()));
        }
        let base = base_name(filename.as_deref().unwrap_or_default());
        let filled_in = |field: reader::RawField| Field {
            value: field.value.replace(FILENAME, base),
            name: field.name,
            written: field.value,
            span: field.span,
        };
        let fields: Vec<Field> = fields.into_iter().map(filled_in).collect();
        let key = fields.iter().find(|field| field.name == "key").ok_or(FormError::NoKey)?;
        let key = ObjectKey::parse(&key.value).map_err(FormError::Key)?;
        if leaves_its_bucket(&key) {
            return Err(FormError::Key(AddressError::InvalidUri(key.as_str().to_owned())));
        }
        Ok(Self { boundary, key, fields, filename, file_head })
    }

    /// The key of the object, the name of the file filled in.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The value of a field, the name of the file filled in; `name` in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// All fields, names in lower case, the name of the file filled in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.value.as_str()))
    }

    /// What stands between the parts, less its two dashes.
    pub fn boundary(&self) -> &str {
        &self.boundary
    }

    /// Where in the body the file begins, in bytes.
    pub fn file_offset(&self) -> usize {
        self.file_head.end
    }

    /// Whether every store fills in the same name of the file, for a form that goes on as it was sent. They agree on
    /// `${filename}` in the key, and on metadata and redirects it decides nothing; but not on whether other fields hold
    /// it, on what it is without a name, or on what becomes of a name that is a path, as those of old browsers are, or
    /// that holds what browsers escape.
    ///
    /// # Errors
    /// [`FormError::Filename`] for a form that could be stored otherwise than it was decided.
    pub fn check_sent_as_it_is(&self) -> Result<(), FormError> {
        let is_certain = |name: &&str| {
            let escapes = ["%22", "%0d", "%0D", "%0a", "%0A", FILENAME];
            !name.is_empty() && !name.contains(['/', '\\']) && !escapes.iter().any(|escape| name.contains(escape))
        };
        let certain = self.filename.as_deref().filter(is_certain);
        let decides_nothing =
            |name: &str| name.starts_with("x-amz-meta-") || matches!(name, "success_action_redirect" | "redirect");
        let doubtful = |field: &Field| {
            field.written.contains(FILENAME)
                && !decides_nothing(&field.name)
                && (field.name != "key" || certain.is_none())
        };
        match self.fields.iter().find(|field| doubtful(field)) {
            Some(field) => Err(FormError::Filename(field.name.clone())),
            None => Ok(()),
        }
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The head of the file in the body, its delimiter included.
    #[cfg(feature = "proxy")]
    pub(crate) fn file_head(&self) -> Range<usize> {
        self.file_head.clone()
    }
}

impl fmt::Debug for Form {
    // Names alone: among the values are a signature and perhaps a session token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        f.debug_struct("Form").field("key", &self.key).field("fields", &names).finish_non_exhaustive()
    }
}

/// Reads a form from a body that comes in pieces.
pub struct FormReader {
    boundary: String,
    reader: Reader,
}

impl FormReader {
    /// Starts with the request's `Content-Type`.
    ///
    /// # Errors
    /// [`FormError::NoBoundary`].
    pub fn new(content_type: &str) -> Result<Self, FormError> {
        let boundary = boundary(content_type).ok_or(FormError::NoBoundary)?.to_owned();
        Ok(Self { reader: Reader::new(&boundary), boundary })
    }

    /// Reads on in `body`, which begins with all that was given before. `None` where the head of the file is not
    /// complete yet.
    ///
    /// # Errors
    /// [`FormError`], [`FormError::TooLong`] past [`MAX_FORM_BYTES`].
    pub fn read(&mut self, body: &[u8]) -> Result<Option<Form>, FormError> {
        let within = body.get(..MAX_FORM_BYTES).unwrap_or(body);
        match self.reader.advance(within)? {
            Some(beginning) => Form::new(self.boundary.clone(), beginning).map(Some),
            None if body.len() > MAX_FORM_BYTES => Err(FormError::TooLong),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for FormReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormReader").finish_non_exhaustive()
    }
}

/// What is a header of an upload and no field of a form, and which some stores take for the header all the same: an ACL
/// is `acl` here, tags are `tagging`. `_charset_` (RFC 7578, section 4.6) says how the values are to be read.
fn is_header_not_field(name: &str, value: &str) -> bool {
    match name {
        "x-amz-acl" | "x-amz-tagging" => true,
        "_charset_" => !value.eq_ignore_ascii_case("utf-8"),
        _ => name.starts_with("x-amz-grant-") || name.starts_with("x-amz-copy-source"),
    }
}

/// Some browsers send the whole path.
fn base_name(filename: &str) -> &str {
    filename.rsplit(['/', '\\']).next().unwrap_or_default()
}

fn boundary(content_type: &str) -> Option<&str> {
    let (media_type, parameters) = content_type.split_once(';')?;
    // `boundary*` and `boundary*0` (RFC 2231) are another boundary to whoever reads them.
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") || parameters.contains('*') {
        return None;
    }
    let mut found = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    });
    let boundary = found.next().filter(|_| found.next().is_none())?;
    let boundary = boundary.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(boundary);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    ((1..=70).contains(&boundary.len()) && boundary.bytes().all(allowed)).then_some(boundary)
}

/// Why a body is no form that can be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// `Content-Type` has no boundary, or more than one.
    NoBoundary,
    /// It is not `multipart/form-data`; the text says how.
    Malformed(&'static str),
    /// The file does not begin within [`MAX_FORM_BYTES`].
    TooLong,
    /// No `file`.
    NoFile,
    /// No `key` before the file.
    NoKey,
    /// This field is there more than once.
    RepeatedField(String),
    /// This is a header's name and no field's.
    NotAField(String),
    /// Stores differ on what `${filename}` is in this field.
    Filename(String),
    /// The key is none.
    Key(AddressError),
}

impl From<FormError> for S3Error {
    fn from(error: FormError) -> Self {
        let argument = |name: &str, value: &str| {
            Self::new(ErrorCode::InvalidArgument).with_field("ArgumentName", name).with_field("ArgumentValue", value)
        };
        match error {
            FormError::NoBoundary | FormError::Malformed(_) => Self::new(ErrorCode::MalformedPOSTRequest),
            FormError::TooLong => Self::new(ErrorCode::MaxPostPreDataLengthExceeded)
                .with_field("MaxPostPreDataLengthBytes", MAX_FORM_BYTES.to_string()),
            FormError::NoFile => {
                argument("file", "0").with_message("POST requires exactly one file upload per request.")
            }
            FormError::NoKey => argument("key", "").with_message(missing_field("key")),
            FormError::RepeatedField(name) => argument(&name, "").with_message("A form field is given more than once."),
            FormError::NotAField(name) => argument(&name, "").with_message("This form field is not supported."),
            FormError::Filename(name) => argument(&name, FILENAME)
                .with_message("${filename} needs a file name that is no path, and is supported in the key alone."),
            FormError::Key(error) => error.into(),
        }
    }
}

/// S3's words for a field that is not there, or behind the file.
pub(crate) fn missing_field(name: &str) -> String {
    format!(
        "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBoundary => f.write_str("a form without one boundary"),
            Self::Malformed(what) => write!(f, "malformed form: {what}"),
            Self::TooLong => write!(f, "a form of more than {MAX_FORM_BYTES} bytes before its file"),
            Self::NoFile => f.write_str("a form without a file"),
            Self::NoKey => f.write_str("a form without a key before its file"),
            Self::RepeatedField(name) => write!(f, "form field `{name}` more than once"),
            Self::NotAField(name) => write!(f, "form field `{name}`, which is a header's name"),
            Self::Filename(name) => write!(f, "`{FILENAME}` in form field `{name}`, where stores differ on it"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FormError {}
