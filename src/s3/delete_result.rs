//! How is a `POST ?delete` answered of which not every key may be deleted?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>: what was not deleted stands as an `Error`
//! of its own in the `DeleteResult`, in quiet mode too. What the store said keeps its bytes; ours is put in before the end.
//!
//! ```
//! use portcullis::s3::delete_objects::DeleteObjects;
//! use portcullis::s3::delete_result::with_denials;
//!
//! let asked = DeleteObjects::parse(b"<Delete><Object><Key>secret</Key></Object></Delete>")?;
//! let answer = with_denials(b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>", &asked.objects)?;
//! assert_eq!(
//!     answer,
//!     "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>secret</Key><Code>AccessDenied</Code>\
//!      <Message>Access Denied</Message></Error></DeleteResult>"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::delete_objects::ObjectToDelete;
use super::error::{ErrorCode, S3Error};
use super::xml::{exact_element, utf8_declared};

/// The most bytes of a store's answer that are read: a thousand keys of 1,024 bytes, each byte escaped, with a version and a
/// message.
pub const MAX_DELETE_RESULT_BYTES: usize = 8 * 1024 * 1024;

/// The whole answer where nothing was to be sent to the store: an `Error` for each denied entry.
pub fn denials(denied: &[ObjectToDelete]) -> Bytes {
    let mut body = String::with_capacity(128 + 160 * denied.len());
    body.push_str(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
    );
    push_denials(&mut body, "", denied);
    body.push_str("</DeleteResult>");
    Bytes::from(body)
}

/// The store's answer, of a status 2xx and not compressed, with an `Error` for each denied entry.
///
/// Two answers hold no `DeleteResult` and are none the less what they should be. An `Error`, which S3 may send after the
/// status: it stays as it is, since it tells that the request as a whole has failed, and so promises of no key, denied or
/// not, that it was deleted. And nothing at all, with which some stores answer a quiet request that went well: that becomes
/// [`denials`] alone.
///
/// # Errors
/// [`DeleteResultError`] for anything else. It must not reach the client, who might read from it that all went well.
pub fn with_denials(answer: &[u8], denied: &[ObjectToDelete]) -> Result<Bytes, DeleteResultError> {
    if denied.is_empty() {
        return Ok(Bytes::copy_from_slice(answer));
    }
    if answer.trim_ascii().is_empty() {
        return Ok(denials(denied));
    }
    let text = std::str::from_utf8(answer).map_err(|error| malformed(&error))?;
    let end = match end_of_result(text)? {
        Answer::Failed => return Ok(Bytes::copy_from_slice(answer)),
        Answer::Result(end) => end,
    };
    let (before, after) = (text.get(..end.range.start), text.get(end.range.end..));
    let (Some(before), Some(after)) = (before, after) else {
        return Err(DeleteResultError::Malformed("its end is within a character".to_owned()));
    };
    let mut body = String::with_capacity(text.len() + 160 * denied.len());
    body.extend([before, &end.opening]);
    push_denials(&mut body, &end.prefix, denied);
    body.extend([&end.closing, after]);
    Ok(Bytes::from(body))
}

fn push_denials(body: &mut String, prefix: &str, denied: &[ObjectToDelete]) {
    for object in denied {
        body.extend(["<", prefix, "Error>"]);
        exact_element(body, prefix, "Key", object.key.as_str());
        if let Some(version) = &object.version_id {
            exact_element(body, prefix, "VersionId", version);
        }
        exact_element(body, prefix, "Code", ErrorCode::AccessDenied.name());
        exact_element(body, prefix, "Message", ErrorCode::AccessDenied.message());
        body.extend(["</", prefix, "Error>"]);
    }
}

/// What a store answered.
enum Answer {
    /// An `Error`.
    Failed,
    /// A `DeleteResult`, which ends here.
    Result(End),
}

/// The tag that ends the root element, and what stands in its place with something before it.
struct End {
    range: Range<usize>,
    /// The tag that begins the root, where the same one ended it.
    opening: String,
    closing: String,
    /// That of the root's name, with its colon.
    prefix: String,
}

fn end_of_result(text: &str) -> Result<Answer, DeleteResultError> {
    let start = text.strip_prefix('\u{feff}').unwrap_or(text);
    let skipped = text.len() - start.len();
    let mut reader = Reader::from_str(start);
    let position = |reader: &Reader<&[u8]>| usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
    let mut depth: usize = 0;
    let mut root: Option<Answer> = None;
    let mut prefix = String::new();
    loop {
        let from = position(&reader);
        let event = reader.read_event().map_err(|error| malformed(&error))?;
        let range = skipped + from..skipped + position(&reader);
        match event {
            Event::Start(_) | Event::Empty(_) if depth == 0 && root.is_some() => {
                return Err(DeleteResultError::Malformed("a second root element".to_owned()));
            }
            Event::Start(start) => {
                if depth == 0 {
                    prefix = prefix_of(&start)?.unwrap_or_default();
                }
                depth += 1;
            }
            Event::Empty(empty) if depth == 0 => {
                root = Some(match prefix_of(&empty)? {
                    Some(prefix) => Answer::Result(End {
                        range,
                        opening: format!("<{}>", &*empty),
                        closing: format!("</{}>", empty.name().into_inner()),
                        prefix,
                    }),
                    None => Answer::Failed,
                });
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    let closing = text.get(range.clone()).unwrap_or_default().to_owned();
                    let is_result = end.local_name().into_inner() == RESULT;
                    let end = End { range, opening: String::new(), closing, prefix: std::mem::take(&mut prefix) };
                    root = Some(if is_result { Answer::Result(end) } else { Answer::Failed });
                }
            }
            Event::Text(text) if depth == 0 && !text.xml10_content().trim().is_empty() => {
                return Err(DeleteResultError::Malformed("text outside the root element".to_owned()));
            }
            Event::DocType(_) => return Err(DeleteResultError::Malformed("a document type".to_owned())),
            Event::Decl(declaration) => utf8_declared(&declaration).map_err(DeleteResultError::Malformed)?,
            Event::Eof if depth > 0 => return Err(DeleteResultError::Malformed("it ends early".to_owned())),
            Event::Eof => return root.ok_or_else(|| DeleteResultError::Malformed("no root element".to_owned())),
            Event::Empty(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::PI(_)
            | Event::Comment(_) => {}
        }
    }
}

const RESULT: &str = "DeleteResult";

/// The prefix, with its colon, of a root that is a `DeleteResult`; none of one that is an `Error`.
fn prefix_of(root: &BytesStart<'_>) -> Result<Option<String>, DeleteResultError> {
    match root.local_name().into_inner() {
        RESULT => {
            let name = root.name().into_inner();
            Ok(Some(name.strip_suffix(RESULT).unwrap_or_default().to_owned()))
        }
        "Error" => Ok(None),
        other => Err(DeleteResultError::NotAResult(other.to_owned())),
    }
}

fn malformed(error: &dyn fmt::Display) -> DeleteResultError {
    DeleteResultError::Malformed(error.to_string())
}

/// A store's answer into which nothing can be put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteResultError {
    /// The root element has this name.
    NotAResult(String),
    /// It is not one whole XML document in UTF-8; the text says why.
    Malformed(String),
}

/// `502`: some of what was asked may have been done, and nobody here knows what.
impl From<DeleteResultError> for S3Error {
    fn from(_: DeleteResultError) -> Self {
        Self::new(ErrorCode::BadGateway)
            .with_message("The object store behind this endpoint gave an answer that cannot be read.")
    }
}

impl fmt::Display for DeleteResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAResult(name) => write!(f, "root element `{name}` instead of `{RESULT}`"),
            Self::Malformed(cause) => write!(f, "malformed `{RESULT}`: {cause}"),
        }
    }
}

impl std::error::Error for DeleteResultError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::delete_objects::DeleteObjects;

    const NS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
    const DENIED: &str = "<Error><Key>a&amp;b</Key><VersionId>v</VersionId><Code>AccessDenied</Code><Message>Access Denied</Message></Error>\
         <Error><Key>&#32;&#10;</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";

    fn denied() -> Vec<ObjectToDelete> {
        let sent = "<Delete><Object><Key>a&amp;b</Key><VersionId>v</VersionId><ETag>x</ETag></Object>\
                    <Object><Key> &#10;</Key></Object></Delete>";
        DeleteObjects::parse(sent.as_bytes()).unwrap().objects
    }

    fn merged(answer: &str) -> Result<String, DeleteResultError> {
        with_denials(answer.as_bytes(), &denied()).map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn denials_come_before_the_end_and_nothing_else_changes() {
        let inner =
            "<Deleted><Key>x</Key></Deleted>\r\n <Error><Key>y</Key><Code>InternalError</Code></Error><!-- é -->";
        for (before, inside, after) in [
            ("<DeleteResult>", "", "</DeleteResult>"),
            ("<DeleteResult>", inner, "</DeleteResult>"),
            (
                "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<DeleteResult xmlns=\"x\" >",
                inner,
                "</DeleteResult >\n<!-- x -->\n",
            ),
            ("  <DeleteResult>", "<DeleteResult/><x><DeleteResult></DeleteResult></x>", "</DeleteResult>"),
            ("<DeleteResult>", "<![CDATA[</DeleteResult>]]>", "</DeleteResult>"),
        ] {
            let answer = [before, inside, after].concat();
            assert_eq!(merged(&answer), Ok([before, inside, DENIED, after].concat()), "{answer}");
            assert_eq!(with_denials(answer.as_bytes(), &[]), Ok(Bytes::from(answer.clone())));
        }
    }

    #[test]
    fn a_result_without_content_gets_some() {
        for (answer, before, after) in [
            ("<DeleteResult/>", "<DeleteResult>", "</DeleteResult>"),
            (
                "<?xml version=\"1.0\"?>\n<DeleteResult xmlns=\"é\" />\n",
                "<?xml version=\"1.0\"?>\n<DeleteResult xmlns=\"é\" >",
                "</DeleteResult>\n",
            ),
        ] {
            assert_eq!(merged(answer), Ok([before, DENIED, after].concat()), "{answer}");
        }
        let own =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult xmlns=\"{NS}\">{DENIED}</DeleteResult>");
        for answer in ["", " \r\n"] {
            assert_eq!(merged(answer), Ok(own.clone()), "{answer:?}");
        }
        assert_eq!(denials(&denied()), own);
    }

    #[test]
    fn a_prefix_is_ours_too() {
        let prefixed = DENIED.replace("</", "</s:").replace('<', "<s:").replace("<s:/s:", "</s:");
        for (answer, before, after) in [
            ("<s:DeleteResult xmlns:s=\"x\"/>", "<s:DeleteResult xmlns:s=\"x\">", "</s:DeleteResult>"),
            ("<s:DeleteResult xmlns:s=\"x\"></s:DeleteResult>", "<s:DeleteResult xmlns:s=\"x\">", "</s:DeleteResult>"),
        ] {
            assert_eq!(merged(answer), Ok([before, &prefixed, after].concat()), "{answer}");
        }
    }

    #[test]
    fn a_failure_of_the_whole_stays_one() {
        for answer in [
            "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>x</Message></Error>",
            "<Error/>",
            "<s:Error xmlns:s=\"x\"></s:Error>",
        ] {
            assert_eq!(merged(answer), Ok(answer.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_read_hides_no_denial() {
        for answer in [
            "ok",
            "{}",
            "<html></html>",
            "<ListBucketResult/>",
            "<DeleteResult>",
            "<DeleteResult></Deleted>",
            "<DeleteResult/><DeleteResult/>",
            "<DeleteResult></DeleteResult>x",
            "<!DOCTYPE x><DeleteResult/>",
            "<?xml version=\"1.0\" encoding=\"latin1\"?><DeleteResult/>",
            "<!-- nothing -->",
        ] {
            let error = merged(answer).expect_err(answer);
            assert_eq!(S3Error::from(error).code(), ErrorCode::BadGateway, "{answer}");
        }
        assert!(with_denials(b"<DeleteResult>\xff</DeleteResult>", &denied()).is_err());
    }

    proptest! {
        /// Whatever is answered: it is refused, a failure that stays as it was, or holds every byte and every denial.
        #[test]
        fn nothing_is_lost(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("<DeleteResult>"), Just("</DeleteResult>"), Just("<DeleteResult/>"), Just("<Deleted>"),
                    Just("</Deleted>"), Just("<Error>"), Just("</Error>"), Just("<!-- x -->"), Just("\n"), Just("é"), Just(">"),
                ],
                0..8,
            ),
        ) {
            let answer = parts.concat();
            if let Ok(body) = merged(&answer) {
                let is_failure = body == answer && answer.trim_start().trim_start_matches("<!-- x -->").contains("<Error>");
                prop_assert!(is_failure || body.contains(DENIED), "{}", body);
                let rest = body.replacen(DENIED, "", 1).replace("<DeleteResult></DeleteResult>", "<DeleteResult/>");
                let answer = answer.replace("<DeleteResult></DeleteResult>", "<DeleteResult/>");
                prop_assert!(is_failure || answer.trim().is_empty() || rest == answer, "{}", body);
            }
        }
    }
}
