//! What does a `POST ?delete` ask to delete, and how is it written?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>. Each entry is decided by itself, so
//! nothing that two parsers could read differently is taken: elements that S3 does not know, one that is there twice,
//! a comment within a key.
//!
//! ```
//! use portcullis::s3::delete_objects::DeleteObjects;
//!
//! let body = b"<Delete><Object><Key>a&amp;b</Key></Object><Quiet>true</Quiet></Delete>";
//! let delete = DeleteObjects::parse(body)?;
//! assert_eq!((delete.objects[0].key.as_str(), delete.quiet), ("a&b", true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use bytes::Bytes;

use super::address::{AddressError, ObjectKey};
use super::error::{ErrorCode, S3Error};
use super::operation::leaves_its_bucket;
use super::xml::{exact_element, is_representable};
use super::xml_body::{Piece, walk};

/// The most bytes such a body may have.
pub const MAX_DELETE_BYTES: usize = 2 * 1024 * 1024;
/// The most objects it may name.
pub const MAX_DELETE_OBJECTS: usize = 1000;

/// The body of a `POST ?delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteObjects {
    /// What is to be deleted, in order; at least one.
    pub objects: Vec<ObjectToDelete>,
    /// Whether only failures are to be told.
    pub quiet: bool,
}

/// An entry of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectToDelete {
    /// The key, as it is: not percent-encoded, white space kept.
    pub key: ObjectKey,
    /// The version, where one is named; `null` is one.
    pub version_id: Option<String>,
    /// The ETag the object must have, where one is named.
    pub etag: Option<String>,
    /// The time of its last change that the object must have, as it was sent, where one is named.
    pub last_modified_time: Option<String>,
    /// The size the object must have, as it was sent, where one is named.
    pub size: Option<String>,
}

impl DeleteObjects {
    /// Reads the whole body.
    ///
    /// # Errors
    /// [`DeleteObjectsError`]; its [`S3Error`] is what S3 answers.
    pub fn parse(document: &[u8]) -> Result<Self, DeleteObjectsError> {
        match document.len() {
            0 => return Err(DeleteObjectsError::Empty),
            1..=MAX_DELETE_BYTES => {}
            bytes => return Err(DeleteObjectsError::TooLong(bytes)),
        }
        let mut reading = Reading::default();
        let mut refused = None;
        let walked = walk(document, |piece| {
            reading.take(piece).map_err(|error| {
                let said = error.to_string();
                refused = Some(error);
                said
            })
        });
        match (walked, refused) {
            (_, Some(error)) => Err(error),
            (Err(cause), None) => Err(DeleteObjectsError::Malformed(cause)),
            (Ok(()), None) if reading.objects.is_empty() => {
                Err(DeleteObjectsError::Malformed("no `Object`".to_owned()))
            }
            (Ok(()), None) => Ok(Self { objects: reading.objects, quiet: reading.quiet.unwrap_or(false) }),
        }
    }

    /// Writes a body that says this and nothing else, whatever that one looked like from which it was read. Reading it
    /// again gives the same.
    pub fn to_xml(&self) -> Bytes {
        let mut body = String::with_capacity(128 + 64 * self.objects.len());
        body.push_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        for object in &self.objects {
            body.push_str("<Object>");
            exact_element(&mut body, "", "Key", object.key.as_str());
            for (name, value) in [
                ("VersionId", &object.version_id),
                ("ETag", &object.etag),
                ("LastModifiedTime", &object.last_modified_time),
                ("Size", &object.size),
            ] {
                if let Some(value) = value {
                    exact_element(&mut body, "", name, value);
                }
            }
            body.push_str("</Object>");
        }
        if self.quiet {
            exact_element(&mut body, "", "Quiet", "true");
        }
        body.push_str("</Delete>");
        Bytes::from(body)
    }
}

/// How far the document has been read.
#[derive(Default)]
struct Reading {
    place: Place,
    text: String,
    entry: Entry,
    objects: Vec<ObjectToDelete>,
    quiet: Option<bool>,
}

/// An `Object` whose end has not come.
#[derive(Default)]
struct Entry {
    key: Option<ObjectKey>,
    version_id: Option<String>,
    etag: Option<String>,
    last_modified_time: Option<String>,
    size: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Delete,
    Quiet,
    Object,
    Field(Field),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Key,
    VersionId,
    ETag,
    LastModifiedTime,
    Size,
}

impl Reading {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), DeleteObjectsError> {
        let malformed = |cause: String| Err(DeleteObjectsError::Malformed(cause));
        match piece {
            Piece::Open(name) => {
                self.text.clear();
                self.place = match (self.place, name) {
                    (Place::Outside, "Delete") => Place::Delete,
                    (Place::Delete, "Quiet") => Place::Quiet,
                    (Place::Delete, "Object") => Place::Object,
                    (Place::Object, "Key") => Place::Field(Field::Key),
                    (Place::Object, "VersionId") => Place::Field(Field::VersionId),
                    (Place::Object, "ETag") => Place::Field(Field::ETag),
                    (Place::Object, "Size") => Place::Field(Field::Size),
                    (Place::Object, "LastModifiedTime") => Place::Field(Field::LastModifiedTime),
                    (_, name) => return malformed(format!("element `{name}` where none is expected")),
                };
                Ok(())
            }
            Piece::Text(text) => match self.place {
                Place::Quiet | Place::Field(_) => {
                    self.text.push_str(&text);
                    Ok(())
                }
                Place::Outside | Place::Delete | Place::Object if text.trim().is_empty() => Ok(()),
                Place::Outside | Place::Delete | Place::Object => malformed("text between elements".to_owned()),
            },
            Piece::Aside => match self.place {
                Place::Quiet | Place::Field(_) => malformed("a comment within a value".to_owned()),
                Place::Outside | Place::Delete | Place::Object => Ok(()),
            },
            Piece::Close => self.close(),
        }
    }

    fn close(&mut self) -> Result<(), DeleteObjectsError> {
        let text = std::mem::take(&mut self.text);
        let twice = match self.place {
            Place::Outside | Place::Delete => {
                self.place = Place::Outside;
                return Ok(());
            }
            Place::Object => {
                self.place = Place::Delete;
                return self.finish_entry();
            }
            Place::Quiet => {
                self.place = Place::Delete;
                let quiet = match text.trim() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    other => return Err(DeleteObjectsError::Malformed(format!("`Quiet` is `{other}`"))),
                };
                self.quiet.replace(quiet).is_some()
            }
            Place::Field(field) => {
                self.place = Place::Object;
                // Not XML, and one parser takes it where another doesn't.
                if !text.chars().all(is_representable) {
                    return Err(DeleteObjectsError::Malformed("a character that XML 1.0 cannot hold".to_owned()));
                }
                match field {
                    Field::Key => self.entry.key.replace(key(&text)?).is_some(),
                    Field::VersionId if text.trim().is_empty() => {
                        return Err(DeleteObjectsError::Malformed("an empty `VersionId`".to_owned()));
                    }
                    Field::VersionId => self.entry.version_id.replace(text).is_some(),
                    Field::ETag => self.entry.etag.replace(text).is_some(),
                    Field::LastModifiedTime => self.entry.last_modified_time.replace(text).is_some(),
                    Field::Size => self.entry.size.replace(text).is_some(),
                }
            }
        };
        if twice { Err(DeleteObjectsError::Malformed("an element is there twice".to_owned())) } else { Ok(()) }
    }

    fn finish_entry(&mut self) -> Result<(), DeleteObjectsError> {
        let Entry { key, version_id, etag, last_modified_time, size } = std::mem::take(&mut self.entry);
        let key = key.ok_or_else(|| DeleteObjectsError::Malformed("an `Object` without a `Key`".to_owned()))?;
        if self.objects.len() == MAX_DELETE_OBJECTS {
            return Err(DeleteObjectsError::TooManyObjects);
        }
        self.objects.push(ObjectToDelete { key, version_id, etag, last_modified_time, size });
        Ok(())
    }
}

fn key(text: &str) -> Result<ObjectKey, DeleteObjectsError> {
    if text.is_empty() {
        return Err(DeleteObjectsError::Malformed("an empty `Key`".to_owned()));
    }
    let key = ObjectKey::parse(text).map_err(DeleteObjectsError::Key)?;
    if leaves_its_bucket(&key) {
        Err(DeleteObjectsError::Key(AddressError::InvalidUri(text.to_owned())))
    } else {
        Ok(key)
    }
}

/// Why a body asks nothing that can be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteObjectsError {
    /// There is none.
    Empty,
    /// It has this many bytes, more than [`MAX_DELETE_BYTES`].
    TooLong(usize),
    /// It names more than [`MAX_DELETE_OBJECTS`].
    TooManyObjects,
    /// It is not the XML that S3 expects; the text says how.
    Malformed(String),
    /// A key that no object can have.
    Key(AddressError),
}

impl From<DeleteObjectsError> for S3Error {
    fn from(error: DeleteObjectsError) -> Self {
        match error {
            DeleteObjectsError::Empty => Self::new(ErrorCode::MissingRequestBodyError),
            DeleteObjectsError::TooLong(_) => Self::new(ErrorCode::MaxMessageLengthExceeded),
            DeleteObjectsError::TooManyObjects | DeleteObjectsError::Malformed(_) => Self::new(ErrorCode::MalformedXML),
            DeleteObjectsError::Key(error) => error.into(),
        }
    }
}

impl fmt::Display for DeleteObjectsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no body"),
            Self::TooLong(bytes) => write!(f, "body of {bytes} bytes, more than {MAX_DELETE_BYTES}"),
            Self::TooManyObjects => write!(f, "more than {MAX_DELETE_OBJECTS} objects"),
            Self::Malformed(cause) => write!(f, "malformed body: {cause}"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DeleteObjectsError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entry = (String, Option<String>, Option<String>);

    fn read(body: &str) -> Result<Vec<Entry>, String> {
        let parsed = DeleteObjects::parse(body.as_bytes()).map_err(|error| S3Error::from(error).code().to_string())?;
        Ok(parsed.objects.into_iter().map(|o| (o.key.as_str().to_owned(), o.version_id, o.etag)).collect())
    }

    #[test]
    fn keys_are_taken_as_they_are() {
        let wrapped = |key: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <Object>\n<Key>{key}</Key> </Object></Delete>\n"
            )
        };
        for (written, key) in [
            ("a", "a"),
            (" a ", " a "),
            ("a&amp;b&lt;&#x2F;&#47;&quot;", "a&b<//\""),
            ("<![CDATA[a&amp;]]>b", "a&amp;b"),
            ("a%2Fb+c", "a%2Fb+c"),
            ("x/../y", "x/../y"),
            ("ünï", "ünï"),
        ] {
            assert_eq!(read(&wrapped(written)), Ok(vec![(key.to_owned(), None, None)]), "{written}");
        }
        let both = "<Delete><Quiet>true</Quiet><!-- x --><Object><VersionId>null</VersionId><Key>k</Key></Object>\
                    <Object><Key>k</Key><ETag>*</ETag><Size>1</Size><LastModifiedTime>x</LastModifiedTime></Object></Delete>";
        let (k, null, star) = ("k".to_owned(), Some("null".to_owned()), Some("*".to_owned()));
        assert_eq!(read(both), Ok(vec![(k.clone(), null, None), (k, None, star)]));
        assert!(DeleteObjects::parse(both.as_bytes()).unwrap().quiet);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (body, code) in [
            ("", "MissingRequestBodyError"),
            (" ", "MalformedXML"),
            ("<Delete/>", "MalformedXML"),
            ("<Delete><Quiet>true</Quiet></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key></Object>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key></Object></Delete><Delete/>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key></Object></Delete>x", "MalformedXML"),
            ("<Delete><Object><Key>a</Key></Object></Deleted>", "MalformedXML"),
            ("<Remove><Object><Key>a</Key></Object></Remove>", "MalformedXML"),
            ("<x:Delete><x:Object><x:Key>a</x:Key></x:Object></x:Delete>", "MalformedXML"),
            ("<!DOCTYPE d [<!ENTITY e \"b\">]><Delete><Object><Key>&e;</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>&e;</Key></Object></Delete>", "MalformedXML"),
            (
                "<?xml version=\"1.0\" encoding=\"latin1\"?><Delete><Object><Key>a</Key></Object></Delete>",
                "MalformedXML",
            ),
            ("<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a<!-- -->b</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a<b/></Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key><Other/></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key>x</Object></Delete>", "MalformedXML"),
            ("<Delete><Object><VersionId>1</VersionId></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key/></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key><VersionId/></Object></Delete>", "MalformedXML"),
            ("<Delete><Quiet>yes</Quiet><Object><Key>a</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Quiet>1</Quiet><Quiet>1</Quiet><Object><Key>a</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a\u{1}</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a&#1;</Key></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>a</Key><ETag>\u{ffff}</ETag></Object></Delete>", "MalformedXML"),
            ("<Delete><Object><Key>../x</Key></Object></Delete>", "InvalidURI"),
        ] {
            assert_eq!(read(body), Err(code.to_owned()), "{body}");
        }
        assert!(DeleteObjects::parse(b"<Delete><Object><Key>\xff</Key></Object></Delete>").is_err());
        let long = format!("<Delete><Object><Key>{}</Key></Object></Delete>", "k".repeat(1025));
        assert_eq!(read(&long), Err("KeyTooLongError".to_owned()));
    }

    #[test]
    fn what_is_written_says_what_was_read() {
        let sent = "<Delete>\r\n<Quiet> 1 </Quiet><Object><Size>5</Size><Key> a&amp;b\u{9}&#13;c&#xa;d&lt;]]&gt;  </Key></Object>\
                    <Object><ETag>\"x\"</ETag><Key>ü%2F+//..</Key><LastModifiedTime>Wed, 21 Oct</LastModifiedTime>\
                    <VersionId>null</VersionId></Object></Delete>";
        let written = DeleteObjects::parse(sent.as_bytes()).unwrap().to_xml();
        assert_eq!(
            std::str::from_utf8(&written).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Object><Key>&#32;a&amp;b&#9;&#13;c&#10;d&lt;]]&gt;&#32;&#32;</Key><Size>5</Size></Object>\
             <Object><Key>ü%2F+//..</Key><VersionId>null</VersionId><ETag>\"x\"</ETag>\
             <LastModifiedTime>Wed, 21 Oct</LastModifiedTime></Object><Quiet>true</Quiet></Delete>"
        );
    }

    fn text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            Just(' '),
            Just('\t'),
            Just('\n'),
            Just('\r'),
            Just('&'),
            Just('<'),
            Just('>'),
            Just('"'),
            Just(']'),
            Just('/'),
            Just('.'),
            any::<char>(),
        ];
        proptest::collection::vec(character.prop_filter("XML", |c| is_representable(*c)), 1..40)
            .prop_map(String::from_iter)
    }

    fn object() -> impl Strategy<Value = ObjectToDelete> {
        let key = text().prop_map(|text| key(&text)).prop_filter_map("a key", Result::ok);
        let version = text().prop_filter("a version", |text| !text.trim().is_empty());
        let optional = || proptest::option::of(text());
        (key, proptest::option::of(version), optional(), optional(), optional()).prop_map(
            |(key, version_id, etag, last_modified_time, size)| ObjectToDelete {
                key,
                version_id,
                etag,
                last_modified_time,
                size,
            },
        )
    }

    proptest! {
        #[test]
        fn writing_and_reading_changes_nothing(
            objects in proptest::collection::vec(object(), 1..8),
            quiet in any::<bool>(),
        ) {
            let delete = DeleteObjects { objects, quiet };
            prop_assert_eq!(DeleteObjects::parse(&delete.to_xml()), Ok(delete));
        }
    }

    #[test]
    fn there_is_a_bound_on_everything() {
        let objects = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(n));
        assert_eq!(read(&objects(MAX_DELETE_OBJECTS)).map(|all| all.len()), Ok(1000));
        assert_eq!(read(&objects(1001)), Err("MalformedXML".to_owned()));
        let padded = |n: usize| format!("{}{}", objects(1), " ".repeat(n - objects(1).len()));
        assert!(read(&padded(MAX_DELETE_BYTES)).is_ok());
        assert_eq!(read(&padded(MAX_DELETE_BYTES + 1)), Err("MaxMessageLengthExceeded".to_owned()));
    }
}
