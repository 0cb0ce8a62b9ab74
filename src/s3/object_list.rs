//! Which objects does a bucket have?
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>.

use super::xml_elements::{Element, read};

/// The answer to `GET ?list-type=2`.
static ROOT: Element = Element::of(
    "ListBucketResult",
    &[
        Element::text("IsTruncated"),
        Element::of("Contents", &[Element::text("Key"), Element::text("Size")]).many().among_others(),
    ],
)
.among_others();

/// Some of a bucket's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectList {
    /// Their keys and lengths, in the store's order.
    pub(crate) objects: Vec<(String, u64)>,
    /// Whether there are more.
    pub(crate) is_truncated: bool,
}

impl ObjectList {
    /// Reads the whole answer.
    ///
    /// # Errors
    /// Why it is none: a list that cannot be read whole must not pass for a shorter one.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        let root = read(document, &ROOT)?;
        let is_truncated = match root.text("IsTruncated") {
            Some("true") => true,
            Some("false") => false,
            other => return Err(format!("`IsTruncated` is {other:?}")),
        };
        let object = |contents: &super::xml_elements::Found| {
            let key = contents.text("Key").ok_or("an object without `Key`")?;
            let size = contents.text("Size").and_then(|size| size.parse().ok()).ok_or("an object without `Size`")?;
            Ok((key.to_owned(), size))
        };
        Ok(Self { objects: root.children("Contents").map(object).collect::<Result<_, String>>()?, is_truncated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let entry = |key: &str| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>x</LastModified><Size>7</Size><Owner><ID>o</ID></Owner></Contents>"
            )
        };
        let list = |inner: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Name>b</Name>{inner}<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes></ListBucketResult>"
            )
        };
        for (document, expected) in [
            (list("<IsTruncated>false</IsTruncated>"), Some((vec![], false))),
            (
                list(&format!("{}{}<IsTruncated>true</IsTruncated>", entry("p/a&amp;b"), entry("p/c"))),
                Some((vec![("p/a&b".to_owned(), 7), ("p/c".to_owned(), 7)], true)),
            ),
            (list(""), None),
            (list("<IsTruncated>maybe</IsTruncated>"), None),
            (list("<IsTruncated>false</IsTruncated><Contents><Key>k</Key></Contents>"), None),
            (list("<IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>-1</Size></Contents>"), None),
            (list("<IsTruncated>false</IsTruncated>").replace("</ListBucketResult>", ""), None),
            ("<Error><Code>NoSuchBucket</Code></Error>".to_owned(), None),
        ] {
            let found = ObjectList::parse(document.as_bytes()).ok();
            assert_eq!(found.map(|list| (list.objects, list.is_truncated)), expected, "{document}");
        }
    }
}
