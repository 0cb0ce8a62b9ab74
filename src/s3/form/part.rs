//! What does a part's head say of it?
//!
//! Follows RFC 7578 and what browsers send (WHATWG HTML, "multipart/form-data encoding algorithm"): parameters are always
//! quoted, and a quotation mark within one is `%22`. What another reader could take for something else is refused.

use super::FormError;

/// The head of a part.
pub(super) struct PartHead {
    /// In lower case.
    pub(super) name: String,
    /// As sent.
    pub(super) filename: Option<String>,
    /// The part claims a character set other than UTF-8. Of no account in the file; a field's value would be another to
    /// whoever believes it.
    pub(super) is_recoded: bool,
}

impl PartHead {
    pub(super) fn parse(head: &[u8]) -> Result<Self, FormError> {
        let head = std::str::from_utf8(head).map_err(|_| FormError::Malformed("a head that is not UTF-8"))?;
        let mut disposition = None;
        let mut is_recoded = false;
        for line in head.split("\r\n") {
            let (name, value) = header(line)?;
            if name.eq_ignore_ascii_case("content-disposition") {
                if disposition.replace(value).is_some() {
                    return Err(FormError::Malformed("a part with two `Content-Disposition`"));
                }
            } else if name.eq_ignore_ascii_case("content-type") {
                let value = value.trim().to_ascii_lowercase();
                if value.starts_with("multipart/") {
                    return Err(FormError::Malformed("a part made of parts"));
                }
                is_recoded |= names_another_charset(&value);
            } else if name.eq_ignore_ascii_case("content-transfer-encoding")
                && !["binary", "8bit", "7bit"].iter().any(|known| value.trim().eq_ignore_ascii_case(known))
            {
                return Err(FormError::Malformed("a part in a transfer encoding"));
            }
        }
        let disposition = disposition.ok_or(FormError::Malformed("a part without `Content-Disposition`"))?;
        let (name, filename) = parameters(disposition)?;
        Ok(Self { name, filename, is_recoded })
    }
}

/// What is no header in this form, readers of others may take for one, or for the rest of the one before it.
fn header(line: &str) -> Result<(&str, &str), FormError> {
    let is_token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    line.split_once(':')
        .filter(|(name, _)| is_token(name) && !line.contains(['\r', '\n', '\0']))
        .ok_or(FormError::Malformed("a head with a line that is no header"))
}

/// `value` is in lower case.
fn names_another_charset(value: &str) -> bool {
    let parameters: Vec<&str> = value.split(';').skip(1).collect();
    let stray = parameters.iter().any(|parameter| parameter.contains("charset") && charset(parameter).is_none());
    stray || parameters.iter().filter_map(|parameter| charset(parameter)).any(|charset| charset != "utf-8")
}

fn charset(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=')?;
    (name.trim() == "charset").then(|| value.trim().trim_matches('"'))
}

/// The name, in lower case, and the file's name.
fn parameters(disposition: &str) -> Result<(String, Option<String>), FormError> {
    let malformed = FormError::Malformed;
    let (kind, mut rest) = disposition.split_once(';').ok_or(malformed("a part without a name"))?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(malformed("a part that is no `form-data`"));
    }
    let (mut name, mut filename) = (None, None);
    while !rest.trim().is_empty() {
        let (parameter, behind) = rest.split_once("=\"").ok_or(malformed("a parameter that is not quoted"))?;
        let (value, behind) = behind.split_once('"').ok_or(malformed("a parameter without an end"))?;
        // To browsers a backslash is a character like any other, to readers of RFC 822 it quotes what follows it. Here
        // they would disagree on where the parameter ends.
        if value.ends_with('\\') {
            return Err(malformed("a parameter that ends in a backslash"));
        }
        let repeated = match parameter.trim().to_ascii_lowercase().as_str() {
            // Trimmed, or without case beyond ASCII, it would be another.
            "name" if value.contains('\\') || !value.bytes().all(|b| b.is_ascii_graphic()) => {
                return Err(malformed("a name that is not plain"));
            }
            "name" => name.replace(value.to_ascii_lowercase()).is_some(),
            "filename" => filename.replace(value.to_owned()).is_some(),
            _ => return Err(malformed("a parameter other than `name` and `filename`")),
        };
        if repeated {
            return Err(malformed("a parameter that is there twice"));
        }
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(';') {
            Some(rest) => rest,
            None if behind.is_empty() => behind,
            None => return Err(malformed("text behind a parameter")),
        };
    }
    Ok((name.ok_or(malformed("a part without a name"))?, filename))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_the_part_or_is_refused() {
        for (head, found) in [
            ("Content-Disposition: form-data; name=\"Key\"", Some(("key", None, false))),
            (
                "content-disposition:FORM-DATA;name=\"file\";filename=\"a b.txt\"",
                Some(("file", Some("a b.txt"), false)),
            ),
            (
                "Content-Type: image/png\r\nContent-Disposition: form-data; filename=\"C:\\d\\a.png\"; name=\"file\"",
                Some(("file", Some("C:\\d\\a.png"), false)),
            ),
            (
                "Content-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain; charset=\"UTF-8\"",
                Some(("key", None, false)),
            ),
            (
                "Content-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain;charset=utf-16le",
                Some(("key", None, true)),
            ),
            (
                "Content-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain; charset*=utf-16le",
                Some(("key", None, true)),
            ),
            (
                "Content-Disposition: form-data; name=\"key\"\r\nContent-Type: a/b; charset=utf-8; charset=latin1",
                Some(("key", None, true)),
            ),
            ("Content-Disposition: form-data; name=\"k\"\r\nContent-Transfer-Encoding: 8BIT", Some(("k", None, false))),
            ("Content-Disposition: form-data; name=\"k\"\r\nContent-Transfer-Encoding: base64", None),
            ("Content-Disposition: form-data; name=\"k\"\r\nContent-Type: Multipart/Mixed; boundary=y", None),
            ("Content-Disposition: form-data; name=key", None),
            ("Content-Disposition: form-data; name=\"key\"; name=\"acl\"", None),
            ("Content-Disposition: form-data; name=\"file\"; filename*=\"UTF-8''x\"", None),
            ("Content-Disposition: form-data; name=\"k\"\r\nContent-Disposition: form-data; name=\"x\"", None),
            ("Content-Disposition: form-data; name=\"k\"\nContent-Disposition: form-data; name=\"x\"", None),
            ("Content-Disposition: form-data; name=\"k\";\r\n name2=\"x\"", None),
            ("Content-Disposition: form-data; name=\"k\"\r\nX : y", None),
            ("Content-Disposition: form-data; name=\"k\\ey\"", None),
            ("Content-Disposition: form-data; name=\"key \"", None),
            ("Content-Disposition: form-data; name=\"\u{212a}ey\"", None),
            ("Content-Disposition: form-data; name=\"file\"; filename=\"a\\\"; name=\"key\"", None),
            ("Content-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\"", None),
            ("Content-Disposition: file; name=\"file\"", None),
            ("Content-Disposition: form-data", None),
            ("Content-Disposition: form-data; filename=\"x\"", None),
            ("Content-Type: text/plain", None),
            ("", None),
        ] {
            let parsed = PartHead::parse(head.as_bytes()).ok();
            let parsed = parsed.as_ref().map(|p| (p.name.as_str(), p.filename.as_deref(), p.is_recoded));
            assert_eq!(parsed, found, "{head}");
        }
    }
}
