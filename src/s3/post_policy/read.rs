//! From base64 to conditions.
//!
//! The JSON is read strictly: no name twice, no number but a whole one. Of what the page itself shows and JSON does not
//! have, three things are taken: a comma behind the last of a list, and the escapes `\$` and `\v`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Condition, MAX_POLICY_BYTES, PostPolicy, Test};
use crate::policy::json::{self, Member, Node, Value, write_string};
use crate::s3::form::SizeRange;

const INVALID_JSON: &str = "Invalid JSON.";

/// # Errors
/// What is wrong with it, in S3's words.
pub(super) fn policy(base64: &str) -> Result<PostPolicy, String> {
    if base64.len() > MAX_POLICY_BYTES {
        return Err(format!("it has more than {MAX_POLICY_BYTES} bytes."));
    }
    let document = STANDARD.decode(base64).map_err(|_| "invalid Base64 encoding.".to_owned())?;
    let document = std::str::from_utf8(&document).map_err(|_| INVALID_JSON.to_owned())?;
    let root = json::parse(&plain_json(document)).map_err(|_| INVALID_JSON.to_owned())?;
    let Value::Object(members) = root.value else { return Err(INVALID_JSON.to_owned()) };
    let (mut until, mut conditions) = (None, None);
    for Member { name, value, .. } in members {
        match name.as_str() {
            "expiration" => until = Some(expiration(value)?),
            "conditions" => {
                let Value::List(items) = value.value else {
                    return Err("Invalid 'conditions' value: must be a List.".to_owned());
                };
                conditions = Some(items.into_iter().map(condition).collect::<Result<Vec<_>, _>>()?);
            }
            other => return Err(format!("Unexpected: '{}'", other.to_lowercase())),
        }
    }
    Ok(PostPolicy {
        expiration: until.ok_or("Policy missing expiration.")?,
        conditions: conditions.ok_or("Policy missing conditions.")?,
    })
}

/// `2007-12-01T12:00:00.000Z`; S3 takes no other zone and no other separator.
fn expiration(node: Node) -> Result<OffsetDateTime, String> {
    let Value::String(text) = node.value else {
        return Err("Invalid 'expiration' value: must be a string.".to_owned());
    };
    let is_utc = text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    let moment = is_utc.then(|| OffsetDateTime::parse(&text, &Rfc3339).ok()).flatten();
    moment.ok_or_else(|| format!("Invalid 'expiration' value: '{text}'"))
}

fn condition(node: Node) -> Result<Condition, String> {
    match node.value {
        Value::Object(members) => simple(members),
        Value::List(items) => list(&items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let mut shown = String::new();
            node.write_compact(&mut shown);
            Err(format!("Invalid condition {shown}: must be a List or Object."))
        }
    }
}

/// `{"acl": "public-read"}`.
fn simple(members: Vec<Member>) -> Result<Condition, String> {
    let mut members = members.into_iter();
    let (Some(member), None) = (members.next(), members.next()) else {
        return Err("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.".to_owned());
    };
    let Value::String(value) = member.value.value else {
        return Err("Invalid Simple-Condition: value must be a string.".to_owned());
    };
    let shown = shown(["eq", &format!("${}", member.name), &value].map(quoted));
    Ok(condition_of(shown, Test::Is { field: member.name.to_ascii_lowercase(), value }))
}

/// `["eq", "$acl", "public-read"]`, `["starts-with", "$key", "user/"]` or `["content-length-range", 1, 10]`.
fn list(items: &[Node]) -> Result<Condition, String> {
    let Some(Node { value: Value::String(operation), .. }) = items.first() else {
        return Err("Invalid Condition: missing operation identifier.".to_owned());
    };
    let name = operation.to_ascii_lowercase();
    if !matches!(name.as_str(), "eq" | "starts-with" | "content-length-range") {
        return Err(format!("Invalid Condition: unknown operation '{operation}'."));
    }
    let [_, left, right] = items else { return Err(format!("Invalid {name}: wrong number of arguments.")) };
    let test = match (name.as_str(), &left.value, &right.value) {
        ("content-length-range", left, right) => match (length(left)?, length(right)?) {
            (Some(min), Some(max)) => Test::Length(SizeRange { min, max }),
            (None, _) | (_, None) => Test::Never,
        },
        (operation, Value::String(variable), Value::String(value)) => match variable.strip_prefix('$') {
            Some(field) if operation == "eq" => Test::Is { field: field.to_ascii_lowercase(), value: value.clone() },
            Some(field) => Test::StartsWith { field: field.to_ascii_lowercase(), prefix: value.clone() },
            None => Test::Never,
        },
        _ => return Err(INVALID_JSON.to_owned()),
    };
    let texts = items.iter().map(|item| {
        let mut text = String::new();
        item.write_compact(&mut text);
        text
    });
    Ok(condition_of(shown(texts), test))
}

fn condition_of(shown: String, test: Test) -> Condition {
    let shown = match &test {
        Test::Is { field, .. } | Test::StartsWith { field, .. } if field == "x-amz-security-token" => {
            "[\"eq\", \"$x-amz-security-token\", ...]".to_owned()
        }
        Test::Is { .. } | Test::StartsWith { .. } | Test::Length(_) | Test::Never => shown,
    };
    Condition { shown, test }
}

/// A whole number, written as one or as a string of digits. `None`: a string that is none, which S3 reads and no file
/// meets.
fn length(value: &Value) -> Result<Option<u64>, String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match value {
        Value::Number(text) if digits(text) => text.parse().map(Some).map_err(|_| INVALID_JSON.to_owned()),
        Value::String(text) if digits(text) => Ok(text.parse().ok()),
        Value::String(_) => Ok(None),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => {
            Err(INVALID_JSON.to_owned())
        }
    }
}

fn shown(texts: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", texts.into_iter().collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

/// The same document without what the page shows and JSON does not have.
fn plain_json(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut in_string = false;
    let mut last = b' ';
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let mut replace = |length: usize, by: &str| {
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(by);
            copied = at + length;
        };
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => match bytes.next() {
                Some((_, b'$')) => replace(2, "$"),
                Some((_, b'v')) => replace(2, "\\u000b"),
                _ => {}
            },
            b',' if !in_string && !b"[{,: ".contains(&last) => {
                let behind = text.get(at + 1..).unwrap_or_default().trim_start_matches([' ', '\t', '\r', '\n']);
                if behind.starts_with([']', '}']) {
                    replace(1, "");
                }
            }
            _ => {}
        }
        if in_string || !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_shows_becomes_json() {
        for (text, plain) in [
            ("[1, 2]", "[1, 2]"),
            ("[1,\r\n ]", "[1\r\n ]"),
            ("{\"a\":1 , }", "{\"a\":1  }"),
            ("[1,,]", "[1,,]"),
            ("[,]", "[,]"),
            ("[ , ]", "[ , ]"),
            ("[[1,],]", "[[1]]"),
            ("[\",]\",\"a,}\"]", "[\",]\",\"a,}\"]"),
            ("[\"\\$a\\\\$\\v\\\"\",]", "[\"$a\\\\$\\u000b\\\"\"]"),
            ("[\"a\\", "[\"a\\"),
            ("\\$", "\\$"),
        ] {
            assert_eq!(plain_json(text), plain, "{text}");
        }
    }
}
