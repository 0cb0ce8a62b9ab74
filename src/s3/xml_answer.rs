//! What does the store say: which tags has it, are there annotations, is ABAC enabled?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectAnnotations.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAbac.html>. Elements beside those it looks for are passed
//! over: a store may say more than was asked. What it was asked for must be there, whole and once.

use super::xml_body::{Piece, walk};

/// The root of the answer to `GET ?tagging`.
pub(crate) const TAGGING: Root = Root("Tagging");
/// The root of the answer to `GET ?annotation`. Amazon's page and those who follow it end its name differently.
pub(crate) const ANNOTATIONS: Root = Root("ListObjectAnnotations*");
/// The root of the answer to `GET ?abac`.
pub(crate) const ABAC: Root = Root("AbacStatus");

/// The name of a document's root element; `*` at its end stands for any characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root(&'static str);

impl Root {
    /// Whether a document that begins like this has the root. `None`: its root is yet to come.
    pub(crate) fn begins(self, start: &[u8]) -> Option<bool> {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        if start.len() < BOM.len() && BOM.starts_with(start) {
            return None;
        }
        let mut rest = start.strip_prefix(BOM).unwrap_or(start);
        loop {
            rest = rest.trim_ascii_start();
            let end = match rest {
                [] | b"<" | b"<!" | b"<!-" => return None,
                [b'<', b'?', ..] => &b"?>"[..],
                [b'<', b'!', b'-', b'-', ..] => b"-->",
                [b'<', name @ ..] => return self.begins_name(name),
                _ => return Some(false),
            };
            let at = rest.windows(end.len()).position(|window| window == end)?;
            rest = rest.get(at + end.len()..)?;
        }
    }

    fn begins_name(self, rest: &[u8]) -> Option<bool> {
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
        match rest.iter().position(is_end).and_then(|end| rest.get(..end)) {
            // A name with a prefix is the right one too, and refused only where the document is read.
            Some(name) => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                Some(self.is(name.rsplit_once(':').map_or(name, |(_, local)| local)))
            }
            // No name that is asked for is longer.
            None => (rest.len() > 64).then_some(false),
        }
    }

    fn is(self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.0,
        }
    }
}

/// Reads the `Tagging` of an object or a bucket: keys and values as they are, in the store's order.
///
/// # Errors
/// Why it is none: tags that cannot be read whole must not pass for fewer.
pub(crate) fn tags(document: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut tags: Vec<(String, String)> = Vec::new();
    let (mut key, mut value, mut text) = (None, None, String::new());
    let mut tag_sets = 0;
    each(document, TAGGING, |path, step| {
        match (path, step) {
            ([_, "TagSet"], Step::Open) => tag_sets += 1,
            ([_, "TagSet", "Tag"], Step::Open) => (key, value) = (None, None),
            ([_, "TagSet", "Tag", "Key" | "Value"], Step::Open) => text.clear(),
            ([_, "TagSet", "Tag", "Key" | "Value"], Step::Text(piece)) => text.push_str(piece),
            ([_, "TagSet", "Tag", name @ ("Key" | "Value")], Step::Close) => {
                let field = if *name == "Key" { &mut key } else { &mut value };
                if field.replace(std::mem::take(&mut text)).is_some() {
                    return Err(format!("a tag with more than one `{name}`"));
                }
            }
            ([_, "TagSet", "Tag"], Step::Close) => {
                let (Some(key), Some(value)) = (key.take(), value.take()) else {
                    return Err("a tag without key or value".to_owned());
                };
                if tags.iter().any(|(other, _)| *other == key) {
                    return Err(format!("two tags with the key {key:?}"));
                }
                tags.push((key, value));
            }
            _ => {}
        }
        Ok(())
    })?;
    if tag_sets == 1 { Ok(tags) } else { Err(format!("{tag_sets} elements `TagSet`")) }
}

/// Whether a list of annotations names any.
///
/// # Errors
/// Why it is no such list.
pub(crate) fn names_annotations(document: &[u8]) -> Result<bool, String> {
    let mut any = false;
    each(document, ANNOTATIONS, |path, step| {
        any |= step == Step::Open && path.last() == Some(&"AnnotationName");
        Ok(())
    })?;
    Ok(any)
}

/// Whether an `AbacStatus` says `Enabled`.
///
/// # Errors
/// Why it says neither that nor `Disabled`.
pub(crate) fn abac_enabled(document: &[u8]) -> Result<bool, String> {
    let mut status: Option<String> = None;
    each(document, ABAC, |path, step| {
        match (path, step) {
            ([_, "Status"], Step::Open) if status.replace(String::new()).is_some() => {
                return Err("more than one `Status`".to_owned());
            }
            ([_, "Status"], Step::Text(text)) => status.get_or_insert_default().push_str(text),
            _ => {}
        }
        Ok(())
    })?;
    match status.as_deref().map(str::trim) {
        Some("Enabled") => Ok(true),
        // Amazon leaves the status out where nobody has ever set it.
        Some("Disabled" | "") | None => Ok(false),
        Some(other) => Err(format!("`Status` is {other:?}")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step<'x> {
    Open,
    Text(&'x str),
    Close,
}

/// Walks the document and tells of each step with the names of all elements around it, the innermost last.
fn each(
    document: &[u8],
    root: Root,
    mut take: impl FnMut(&[&str], Step<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut open: Vec<String> = Vec::new();
    walk(document, |piece| {
        if let Piece::Open(name) = piece {
            if open.is_empty() && !root.is(name) {
                return Err(format!("root element `{name}` instead of `{}`", root.0));
            }
            open.push(name.to_owned());
        }
        let path: Vec<&str> = open.iter().map(String::as_str).collect();
        match piece {
            Piece::Open(_) => take(&path, Step::Open),
            Piece::Text(text) => take(&path, Step::Text(&text)),
            Piece::Aside => Ok(()),
            Piece::Close => {
                take(&path, Step::Close)?;
                open.pop();
                Ok(())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_are() {
        let one = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for (document, expected) in [
            ("<Tagging><TagSet/></Tagging>", vec![]),
            (
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <TagSet> <Tag><Key>a&amp;b</Key><Value> x </Value></Tag>\n<Tag><Value/><Key>ü</Key></Tag></TagSet></Tagging>",
                vec![one("a&b", " x "), one("ü", "")],
            ),
            (
                "<Tagging><More><Tag><Key>no</Key></Tag></More><TagSet><Tag><Key>k<x>no</x></Key><Value>v</Value><Id>1</Id>\
                 </Tag></TagSet></Tagging>",
                vec![one("k", "v")],
            ),
        ] {
            assert_eq!(tags(document.as_bytes()), Ok(expected), "{document}");
        }
    }

    #[test]
    fn half_read_tags_are_no_tags() {
        let tag = "<Tag><Key>k</Key><Value>v</Value></Tag>";
        for document in [
            String::new(),
            "hello".to_owned(),
            "<Tagging/>".to_owned(),
            "<Error/>".to_owned(),
            format!("<Tagging><TagSet>{tag}</TagSet>"),
            format!("<Tagging><TagSet>{tag}{tag}</TagSet></Tagging>"),
            format!("<Tagging><TagSet>{tag}</TagSet><TagSet/></Tagging>"),
            "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>".to_owned(),
            "<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>".to_owned(),
            "<Tagging><TagSet><Tag><Key>k</Key><Key>l</Key><Value>v</Value></Tag></TagSet></Tagging>".to_owned(),
        ] {
            assert!(tags(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn annotations_are_there_where_one_is_named() {
        let entry = "<Annotations><AnnotationEntry><AnnotationName>a</AnnotationName></AnnotationEntry></Annotations>";
        for (inner, any) in [("", false), ("<Annotations/><AnnotationCount>0</AnnotationCount>", false), (entry, true)]
        {
            for root in ["ListObjectAnnotationsResult", "ListObjectAnnotationsOutput"] {
                let document = format!("<{root}>{inner}</{root}>");
                assert_eq!(names_annotations(document.as_bytes()), Ok(any), "{document}");
            }
        }
        assert!(names_annotations(b"<Error/>").is_err());
        assert!(names_annotations(b"<ListObjectAnnotationsResult>").is_err());
    }

    #[test]
    fn abac_is_enabled_where_its_status_says_so() {
        for (inner, enabled) in [
            ("<Status>Enabled</Status>", Some(true)),
            ("<Status>Disabled</Status>", Some(false)),
            ("<Status/>", Some(false)),
            ("", Some(false)),
            ("<x><Status>Enabled</Status></x>", Some(false)),
            ("<Status>On</Status>", None),
            ("<Status>Enabled</Status><Status>Disabled</Status>", None),
        ] {
            let document = format!("<AbacStatus>{inner}</AbacStatus>");
            assert_eq!(abac_enabled(document.as_bytes()).ok(), enabled, "{document}");
        }
    }

    #[test]
    fn a_root_is_known_as_soon_as_it_has_come() {
        for (start, expected) in [
            ("", None),
            (" \n", None),
            ("<", None),
            ("<?xml version=\"1.0\"?", None),
            ("<?xml version=\"1.0\"?><!-- <Tagging> --", None),
            ("<?xml version=\"1.0\"?><!-- x --> <Tagging", None),
            ("<?xml version=\"1.0\"?>\r\n<!-- x --> <Tagging ", Some(true)),
            ("\u{feff}<Tagging/>", Some(true)),
            ("<Taggings>", Some(false)),
            ("<ns:Tagging>", Some(true)),
            ("<Tagging:x>", Some(false)),
            ("<!DOCTYPE x><Tagging>", Some(false)),
            ("hello", Some(false)),
            ("\u{feff}hello <Tagging>", Some(false)),
        ] {
            assert_eq!(TAGGING.begins(start.as_bytes()), expected, "{start:?}");
        }
        assert_eq!(TAGGING.begins(b"\xef\xbb"), None);
        assert_eq!(TAGGING.begins(&[b"<", "x".repeat(65).as_bytes()].concat()), Some(false));
        assert_eq!(ANNOTATIONS.begins(b"<ListObjectAnnotationsResult>"), Some(true));
        assert_eq!(ANNOTATIONS.begins(b"<ListBucketResult>"), Some(false));
    }
}
