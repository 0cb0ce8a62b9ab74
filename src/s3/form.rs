//! What does a browser's upload say before its file?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html>: a `multipart/form-data` body whose
//! fields count up to the one named `file`, which is the object. Their names are without case.
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

use std::fmt;

use super::address::{AddressError, ObjectKey};
use super::error::{ErrorCode, S3Error};
use super::operation::leaves_its_bucket;

/// The most bytes of a form that are read for its fields; S3 itself takes 20,000.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

/// The fields before the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    key: ObjectKey,
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads the beginning of a body, at least up to the head of its file.
    ///
    /// # Errors
    /// [`FormError`]; its [`S3Error`] is what S3 answers.
    pub fn parse(content_type: &str, body: &[u8]) -> Result<Self, FormError> {
        let boundary = boundary(content_type).ok_or(FormError::NoBoundary)?;
        let mut rest = body.get(..MAX_FORM_BYTES).unwrap_or(body);
        let delimiter = format!("\r\n--{boundary}");
        // The first delimiter needs no line before it.
        let opening = delimiter.trim_start();
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        rest = rest.strip_prefix(opening.as_bytes()).ok_or(FormError::Malformed("no boundary at its beginning"))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        loop {
            rest = match rest.strip_prefix(b"\r\n") {
                Some(part) => part,
                None if rest.starts_with(b"--") => return Err(FormError::NoFile),
                None => return Err(FormError::Malformed("text behind a boundary")),
            };
            let (head, behind) = split(rest, b"\r\n\r\n").ok_or(too_long_or(body, FormError::NoFile))?;
            let disposition = Disposition::of(head)?;
            if disposition.name == "file" {
                let key = key(&fields, disposition.filename.as_deref().unwrap_or_default())?;
                return Ok(Self { key, fields });
            }
            let (value, behind) = split(behind, delimiter.as_bytes()).ok_or(too_long_or(body, FormError::NoFile))?;
            let value = std::str::from_utf8(value).map_err(|_| FormError::Malformed("a field that is not UTF-8"))?;
            // Another reader of lines could find a part in there.
            if value.contains(opening) {
                return Err(FormError::Malformed("a boundary within a field"));
            }
            if fields.iter().any(|(name, _)| *name == disposition.name) {
                return Err(FormError::RepeatedField(disposition.name));
            }
            fields.push((disposition.name, value.to_owned()));
            rest = behind;
        }
    }

    /// The key of the object, the name of the file filled in.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The value of a field; `name` in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All fields, names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn too_long_or(body: &[u8], error: FormError) -> FormError {
    if body.len() > MAX_FORM_BYTES { FormError::TooLong } else { error }
}

fn key(fields: &[(String, String)], filename: &str) -> Result<ObjectKey, FormError> {
    let (_, written) = fields.iter().find(|(name, _)| name == "key").ok_or(FormError::NoKey)?;
    // Some browsers send the whole path.
    let file = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let key = ObjectKey::parse(&written.replace("${filename}", file)).map_err(FormError::Key)?;
    if leaves_its_bucket(&key) {
        return Err(FormError::Key(AddressError::InvalidUri(key.as_str().to_owned())));
    }
    Ok(key)
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

fn split<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + separator.len()..)?))
}

/// What a part's head says of it.
struct Disposition {
    name: String,
    filename: Option<String>,
}

impl Disposition {
    fn of(head: &[u8]) -> Result<Self, FormError> {
        let malformed = |what| FormError::Malformed(what);
        let head = std::str::from_utf8(head).map_err(|_| malformed("a head that is not UTF-8"))?;
        // What is no header in this form, readers of others may take for one, or for the rest of the one before it.
        let is_token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_header = |line: &str| line.split_once(':').is_some_and(|(name, _)| is_token(name));
        if head.split("\r\n").any(|line| line.contains(['\r', '\n']) || !is_header(line)) {
            return Err(malformed("a head with a line that is no header"));
        }
        let mut found = head.split("\r\n").filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let value = found.next().ok_or(malformed("a part without `Content-Disposition`"))?;
        if found.next().is_some() {
            return Err(malformed("a part with two `Content-Disposition`"));
        }
        let (kind, mut rest) = value.split_once(';').ok_or(malformed("a part without a name"))?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return Err(malformed("a part that is no `form-data`"));
        }
        let (mut name, mut filename) = (None, None);
        // Always quoted, as every browser writes them; a backslash is one.
        while !rest.trim().is_empty() {
            let (parameter, behind) = rest.split_once("=\"").ok_or(malformed("a parameter that is not quoted"))?;
            let (value, behind) = behind.split_once('"').ok_or(malformed("a parameter without an end"))?;
            let repeated = match parameter.trim().to_ascii_lowercase().as_str() {
                "name" => name.replace(value.to_ascii_lowercase()).is_some(),
                "filename" => filename.replace(value.to_owned()).is_some(),
                _ => return Err(malformed("a parameter other than `name` and `filename`")),
            };
            if repeated {
                return Err(malformed("a parameter that is there twice"));
            }
            let behind = behind.trim_start();
            rest = if behind.is_empty() {
                behind
            } else {
                behind.strip_prefix(';').ok_or(malformed("text behind a parameter"))?
            };
        }
        Ok(Self { name: name.ok_or(malformed("a part without a name"))?, filename })
    }
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
    /// The key is none.
    Key(AddressError),
}

impl From<FormError> for S3Error {
    fn from(error: FormError) -> Self {
        let argument = |name: &str| Self::new(ErrorCode::InvalidArgument).with_field("ArgumentName", name);
        match error {
            FormError::NoBoundary | FormError::Malformed(_) => Self::new(ErrorCode::InvalidRequest)
                .with_message("The body of your POST request is not well-formed multipart/form-data."),
            FormError::TooLong => Self::new(ErrorCode::MaxMessageLengthExceeded),
            FormError::NoFile => argument("file").with_message("POST requires exactly one file upload per request."),
            FormError::NoKey => argument("key").with_message(
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            ),
            FormError::RepeatedField(name) => argument(&name).with_message("A form field is given more than once."),
            FormError::Key(error) => error.into(),
        }
    }
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
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FormError {}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"a b\"";

    fn body(parts: &[(&str, &str)]) -> String {
        let part = |(parameters, value): &(&str, &str)| {
            format!("--x\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{value}\r\n")
        };
        parts.iter().map(part).chain(["--x--\r\n".to_owned()]).collect()
    }

    fn key_of(parts: &[(&str, &str)]) -> Result<String, String> {
        Form::parse("Multipart/Form-Data; charset=utf-8; Boundary=x", body(parts).as_bytes())
            .map(|form| form.key().as_str().to_owned())
            .map_err(|error| S3Error::from(error).code().to_string())
    }

    #[test]
    fn the_key_has_the_files_name_filled_in() {
        for (key, file, found) in [
            ("a/b", "name=\"file\"", "a/b"),
            ("home/${filename}", "name=\"file\"; filename=\"cat.jpg\"", "home/cat.jpg"),
            ("${filename}/${filename}", "name=\"File\"; filename=\"C:\\dir\\a.txt\"", "a.txt/a.txt"),
            ("k${filename}", "filename=\"/x/y\" ; name=\"file\"", "ky"),
            ("a%2Fb+c", "name=\"file\"", "a%2Fb+c"),
        ] {
            assert_eq!(key_of(&[("name=\"Key\"", key), (file, "data")]).as_deref(), Ok(found), "{key} {file}");
        }
    }

    #[test]
    fn fields_count_up_to_the_file() {
        let parts = [
            ("name=\"key\"", "k"),
            ("name=\"ACL\"", "public-read"),
            ("name=\"file\"; filename=\"f\"", "--y\r\n"),
            ("name=\"tagging\"", "x"),
        ];
        let form = Form::parse("multipart/form-data; boundary=x", body(&parts).as_bytes()).unwrap();
        assert_eq!(form.iter().collect::<Vec<_>>(), [("key", "k"), ("acl", "public-read")]);
        assert_eq!((form.get("acl"), form.get("tagging")), (Some("public-read"), None));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let file = ("name=\"file\"", "data");
        for (parts, code) in [
            (vec![file], "InvalidArgument"),
            (vec![file, ("name=\"key\"", "k")], "InvalidArgument"),
            (vec![("name=\"key\"", "k")], "InvalidArgument"),
            (vec![("name=\"key\"", "k"), ("name=\"KEY\"", "k"), file], "InvalidArgument"),
            (vec![("name=key", "k"), file], "InvalidRequest"),
            (vec![("name=\"key\"; name=\"acl\"", "k"), file], "InvalidRequest"),
            (vec![("name=\"key\"", "k"), ("name=\"file\"; filename*=\"UTF-8''x\"", "")], "InvalidRequest"),
            (vec![("name=\"key\"\r\nContent-Disposition: form-data; name=\"x\"", "k"), file], "InvalidRequest"),
            (vec![("name=\"key\"\nContent-Disposition: form-data; name=\"x\"", "k"), file], "InvalidRequest"),
            (vec![("name=\"key\";\r\n name2=\"x\"", "k"), file], "InvalidRequest"),
            (vec![("name=\"key\"\r\nX : y", "k"), file], "InvalidRequest"),
            (vec![("name=\"key\"", "k\n--x\r\n"), file], "InvalidRequest"),
            (vec![("name=\"key\"", ""), file], "InvalidURI"),
            (vec![("name=\"key\"", "../k"), file], "InvalidURI"),
            (vec![("name=\"key\"", "${filename}"), ("name=\"file\"; filename=\"..\"", "")], "InvalidURI"),
        ] {
            assert_eq!(key_of(&parts), Err(code.to_owned()), "{parts:?}");
        }
        for (content_type, text) in [
            (TYPE, "--a b\r\n"),
            ("multipart/form-data", "--x\r\n"),
            ("multipart/form-data; boundary=x; boundary=y", ""),
            ("multipart/form-data; boundary=x; boundary*=utf-8''y", ""),
            ("multipart/form-data; boundary=x; boundary*0=y", ""),
            ("multipart/form-datax; boundary=x", ""),
        ] {
            assert_eq!(Form::parse(content_type, text.as_bytes()), Err(FormError::NoBoundary), "{content_type}");
        }
        let long = body(&[("name=\"key\"", &"k".repeat(MAX_FORM_BYTES)), file]);
        assert_eq!(Form::parse("multipart/form-data; boundary=x", long.as_bytes()), Err(FormError::TooLong));
        for text in ["", "x--x\r\n", "--xy\r\n"] {
            assert!(Form::parse("multipart/form-data; boundary=x", text.as_bytes()).is_err(), "{text}");
        }
    }
}
