//! How is an error written, and what does an ACL say of its owner?
//!
//! Error bodies follow <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses>, the
//! ACL <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html>.
//!
//! ```
//! use portcullis::s3::error::{ErrorCode, S3Error};
//! use portcullis::s3::xml::error_body;
//!
//! let body = error_body(&S3Error::new(ErrorCode::NoSuchBucketPolicy), "/photos", "4442587FB7D0A2F9", "host");
//! assert!(body.starts_with(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucketPolicy</Code>"));
//! ```

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesDecl, BytesRef, Event};

use super::error::S3Error;

/// The longest ACL that is looked at, in bytes. S3 allows 100 grants, which is well under it.
pub const MAX_ACL_BYTES: usize = 64 * 1024;

/// Writes the body of an error answer (`Content-Type: application/xml`).
///
/// `resource` is the path as the client sent it, without the query; characters that XML 1.0 cannot hold become U+FFFD,
/// so the document is always well-formed.
pub fn error_body(error: &S3Error, resource: &str, request_id: &str, host_id: &str) -> Bytes {
    let mut body = String::with_capacity(320);
    body.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    element(&mut body, "Code", error.code().name());
    element(&mut body, "Message", error.message());
    if let Some(detail) = error.detail() {
        element(&mut body, "Detail", detail);
    }
    for (name, value) in error.fields() {
        element(&mut body, name, value);
    }
    element(&mut body, "Resource", resource);
    element(&mut body, "RequestId", request_id);
    element(&mut body, "HostId", host_id);
    body.push_str("</Error>");
    Bytes::from(body)
}

fn element(body: &mut String, name: &str, text: &str) {
    body.extend(["<", name, ">"]);
    body.push_str(&partial_escape(representable(text)));
    body.extend(["</", name, ">"]);
}

/// Writes an element that every parser reads as just this text: white space that some would take for a line's end, or for
/// nothing at all, is written as references. `prefix` is that of the name, with its colon. The text's characters are
/// [representable](is_representable).
pub(super) fn exact_element(body: &mut String, prefix: &str, name: &str, text: &str) {
    body.extend(["<", prefix, name, ">"]);
    let inner = text.trim();
    let (before, after) = text.split_once(inner).unwrap_or_default();
    let reference = |c: char| format!("&#{};", u32::from(c));
    body.extend(before.chars().map(reference));
    for c in inner.chars() {
        match c {
            '&' => body.push_str("&amp;"),
            '<' => body.push_str("&lt;"),
            '>' => body.push_str("&gt;"),
            ' ' => body.push(c),
            c if c.is_whitespace() => body.push_str(&reference(c)),
            c => body.push(c),
        }
    }
    body.extend(after.chars().map(reference));
    body.extend(["</", prefix, name, ">"]);
}

fn representable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_representable) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(|c| if is_representable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
    }
}

/// Whether XML 1.0 can hold the character: <https://www.w3.org/TR/xml/#charsets>. Surrogates cannot occur in a `char`.
pub(super) fn is_representable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{1_0000}'..)
}

/// Why an ACL document could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlError {
    /// The document has this many bytes, more than [`MAX_ACL_BYTES`].
    TooLong(usize),
    /// The document is not UTF-8, not well-formed, or ends early; the text says which.
    Malformed(String),
    /// The root element has this name instead of `AccessControlPolicy`.
    NotAnAcl(String),
    /// The document has a document type, or refers to an entity that only one could define.
    DocumentType,
    /// The owner has more than one `ID`.
    AmbiguousOwner,
}

/// The `Code` of a store's error body, for telling its errors apart; `None` where there is none.
#[cfg(feature = "proxy")]
pub(crate) fn error_code(document: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(document).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}

/// Reads `Owner/ID` from the answer to `GET ?acl`, in any namespace or none. `None`: the ACL names no owner.
///
/// # Errors
/// [`XmlError`] for anything but one whole, bounded `AccessControlPolicy`. Whose bucket it is decides who may set its
/// policy, so nothing is guessed from a broken document.
pub fn acl_owner_id(document: &[u8]) -> Result<Option<String>, XmlError> {
    if document.len() > MAX_ACL_BYTES {
        return Err(XmlError::TooLong(document.len()));
    }
    let text = std::str::from_utf8(document).map_err(|error| XmlError::Malformed(error.to_string()))?;
    let mut reader = Reader::from_str(text);
    let mut owner = OwnerId::default();
    loop {
        match reader.read_event().map_err(|error| XmlError::Malformed(error.to_string()))? {
            Event::Start(start) => owner.open(start.local_name().as_ref())?,
            Event::Empty(empty) => {
                owner.open(empty.local_name().as_ref())?;
                owner.close();
            }
            Event::End(_) => owner.close(),
            Event::Text(text) => owner.text(&text.xml10_content())?,
            Event::CData(text) => owner.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => owner.text(referenced(&reference)?.encode_utf8(&mut [0; 4]))?,
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return owner.finish(),
        }
    }
}

/// The one character of a numeric reference or of XML's five own entities.
pub(super) fn referenced(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    if let Some(c) = reference.resolve_char_ref().map_err(|error| XmlError::Malformed(error.to_string()))? {
        return Ok(c);
    }
    match reference.xml10_content().as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err(XmlError::DocumentType),
    }
}

/// Refuses a declaration of an encoding other than UTF-8.
pub(super) fn utf8_declared(declaration: &BytesDecl<'_>) -> Result<(), String> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(_) => Err("an encoding other than UTF-8".to_owned()),
    }
}

/// Where the reader stands, as far as it matters: the path matched so far and how deep it is inside other elements.
#[derive(Default)]
struct OwnerId {
    depth: usize,
    /// How many of [`Self::PATH`]'s elements are open around the reader.
    matched: usize,
    root_closed: bool,
    id: Option<String>,
}

impl OwnerId {
    const PATH: [&'static str; 3] = ["AccessControlPolicy", "Owner", "ID"];

    fn open(&mut self, name: &str) -> Result<(), XmlError> {
        if self.root_closed {
            return Err(XmlError::Malformed(format!("element `{name}` after the root element")));
        }
        let wanted = Self::PATH.get(self.depth).is_some_and(|wanted| *wanted == name);
        if self.depth == 0 && !wanted {
            return Err(XmlError::NotAnAcl(name.to_owned()));
        }
        if wanted && self.matched == self.depth {
            self.matched += 1;
            if self.matched == Self::PATH.len() && self.id.replace(String::new()).is_some() {
                return Err(XmlError::AmbiguousOwner);
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) {
        // INVARIANT: the reader has matched end tags to start tags, so depth is above 0.
        self.depth = self.depth.saturating_sub(1);
        self.matched = self.matched.min(self.depth);
        self.root_closed = self.depth == 0;
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        if self.depth == 0 && !text.trim().is_empty() {
            return Err(XmlError::Malformed("text outside the root element".to_owned()));
        }
        if self.matched == Self::PATH.len() && self.depth == Self::PATH.len() {
            self.id.get_or_insert_default().push_str(text);
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<String>, XmlError> {
        if !self.root_closed {
            return Err(XmlError::Malformed("the document ends early".to_owned()));
        }
        Ok(self.id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()))
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "ACL of {bytes} bytes, more than {MAX_ACL_BYTES}"),
            Self::Malformed(cause) => write!(f, "malformed ACL: {cause}"),
            Self::NotAnAcl(name) => write!(f, "root element `{name}` instead of `AccessControlPolicy`"),
            Self::DocumentType => f.write_str("ACL with a document type or an entity of its own"),
            Self::AmbiguousOwner => f.write_str("ACL whose owner has more than one `ID`"),
        }
    }
}

impl std::error::Error for XmlError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::error::ErrorCode;

    #[test]
    fn an_error_is_written_as_s3_writes_it() {
        let error = S3Error::new(ErrorCode::MalformedPolicy)
            .with_message("Invalid principal in policy")
            .with_detail("\"AWS\" : \"x\"")
            .with_field("ArgumentName", "a<b");
        assert_eq!(
            error_body(&error, "/photos/a&b", "RID", "HID"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>MalformedPolicy</Code>\
             <Message>Invalid principal in policy</Message><Detail>\"AWS\" : \"x\"</Detail>\
             <ArgumentName>a&lt;b</ArgumentName><Resource>/photos/a&amp;b</Resource><RequestId>RID</RequestId>\
             <HostId>HID</HostId></Error>"
        );
    }

    #[test]
    fn what_xml_cannot_hold_is_shown_and_not_dropped() {
        let rows = [
            ("nul \0 esc \u{1b}", "nul \u{fffd} esc \u{fffd}"),
            ("\u{fffe}\u{ffff}\u{fffd}", "\u{fffd}\u{fffd}\u{fffd}"),
            ("tab\tlf\ncr\r", "tab\tlf\ncr&#13;"),
            ("]]>", "]]&gt;"),
            ("ünï \u{1f980}", "ünï \u{1f980}"),
        ];
        for (text, written) in rows {
            let body = error_body(&S3Error::new(ErrorCode::InvalidURI), text, "", "");
            let body = std::str::from_utf8(&body).unwrap();
            assert!(body.contains(&format!("<Resource>{written}</Resource>")), "{text:?}: {body}");
        }
    }

    #[test]
    fn the_owner_of_an_acl_is_found_and_nothing_else_is() {
        let rows = [
            (
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AccessControlPolicy \
                 xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>75aa</ID><DisplayName>me</DisplayName>\
                 </Owner><AccessControlList><Grant><Grantee><ID>other</ID></Grantee></Grant></AccessControlList>\
                 </AccessControlPolicy>\n",
                Some("75aa"),
            ),
            (
                "<s:AccessControlPolicy xmlns:s=\"x\"><s:Owner><s:ID> 1 </s:ID></s:Owner></s:AccessControlPolicy>",
                Some("1"),
            ),
            (
                "<AccessControlPolicy><Owner><ID>a&amp;b&#x41;<![CDATA[<]]></ID></Owner></AccessControlPolicy>",
                Some("a&bA<"),
            ),
            ("<AccessControlPolicy><Owner><ID>a<b>x</b>c</ID></Owner></AccessControlPolicy>", Some("ac")),
            ("<AccessControlPolicy><Owner><ID/></Owner></AccessControlPolicy>", None),
            ("<AccessControlPolicy><Owner/></AccessControlPolicy>", None),
            ("<AccessControlPolicy><X><Owner><ID>no</ID></Owner></X></AccessControlPolicy>", None),
            ("<AccessControlPolicy><Owner><X><ID>no</ID></X></Owner></AccessControlPolicy>", None),
            ("<AccessControlPolicy><ID>no</ID></AccessControlPolicy>", None),
            ("<AccessControlPolicy><!-- <Owner><ID>no</ID></Owner> --></AccessControlPolicy>", None),
        ];
        for (document, owner) in rows {
            assert_eq!(acl_owner_id(document.as_bytes()), Ok(owner.map(str::to_owned)), "{document}");
        }
    }

    #[test]
    fn a_broken_acl_names_nobody() {
        let rows: [&[u8]; 12] = [
            b"",
            b"not xml",
            b"<AccessControlPolicy>",
            b"<AccessControlPolicy><Owner><ID>1</ID></Owner>",
            b"<AccessControlPolicy><Owner><ID>1</Owner></ID></AccessControlPolicy>",
            b"<Error><Code>AccessDenied</Code></Error>",
            b"<!DOCTYPE a [<!ENTITY e \"1\">]><AccessControlPolicy><Owner><ID>&e;</ID></Owner></AccessControlPolicy>",
            b"<AccessControlPolicy><Owner><ID>&e;</ID></Owner></AccessControlPolicy>",
            b"<AccessControlPolicy><Owner><ID>\xff</ID></Owner></AccessControlPolicy>",
            b"<AccessControlPolicy><Owner><ID>1</ID><ID>2</ID></Owner></AccessControlPolicy>",
            b"<AccessControlPolicy><Owner><ID>1</ID></Owner><Owner><ID>2</ID></Owner></AccessControlPolicy>",
            b"<AccessControlPolicy/><AccessControlPolicy><Owner><ID>1</ID></Owner></AccessControlPolicy>",
        ];
        for document in rows {
            assert!(acl_owner_id(document).is_err(), "{}", String::from_utf8_lossy(document));
        }
        let long = format!("<AccessControlPolicy>{}</AccessControlPolicy>", " ".repeat(MAX_ACL_BYTES));
        assert_eq!(acl_owner_id(long.as_bytes()), Err(XmlError::TooLong(long.len())));
    }
}
