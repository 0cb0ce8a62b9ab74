//! What does a JSON text say, exactly, and where does each part of it stand?
//!
//! The grammar is `serde_json`'s; on top of it nothing is lost or mended (RFC 8259 leaves both open): a name given
//! twice is an error, a lone surrogate is an error, a number keeps its text, every part keeps its offset.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Quoted;

/// How deep lists and objects may nest. A policy's grammar needs 6; a little more lets the checks speak of what stands
/// in the wrong place instead of calling it bad JSON.
const MAX_DEPTH: usize = 16;

/// A value and the byte offset of its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// The number's own text.
    Number(String),
    /// Decoded: no escapes left.
    String(String),
    List(Vec<Node>),
    /// In the author's order; no two names are equal.
    Object(Vec<Member>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) value: Node,
}

/// Why a text is not taken, and the byte offset of the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub(crate) at: usize,
    pub(crate) reason: String,
}

/// Reads one value with nothing but white space around it.
pub(crate) fn parse(text: &str) -> Result<Node, JsonError> {
    // The whole text is checked against the grammar here, without recursion, so what follows cannot be made to
    // recurse by a text that is not closed.
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| syntax(text, 0, &error))?;
    Reader { text }.node(whole, 0)
}

impl Node {
    /// Writes the value without white space.
    pub(crate) fn write_compact(&self, out: &mut String) {
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Number(text) => out.push_str(text),
            Value::String(text) => write_string(text, out),
            Value::List(items) => write_list(items, out, |item, out| item.write_compact(out)),
            Value::Object(members) => write_object(members, out, |member, out| member.value.write_compact(out)),
        }
    }
}

/// Writes a list, each item by `item`.
pub(crate) fn write_list(items: &[Node], out: &mut String, mut item: impl FnMut(&Node, &mut String)) {
    out.push('[');
    for (index, node) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item(node, out);
    }
    out.push(']');
}

/// Writes an object, each value by `value`.
pub(crate) fn write_object<'m>(
    members: impl IntoIterator<Item = &'m Member>,
    out: &mut String,
    mut value: impl FnMut(&'m Member, &mut String),
) {
    out.push('{');
    for (index, member) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(&member.name, out);
        out.push(':');
        value(member, out);
    }
    out.push('}');
}

/// Writes a string with the escapes that JSON demands and no others.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control @ '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<Node, JsonError> {
        let at = self.offset(raw);
        let text = raw.get();
        let value = match text.as_bytes().first() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => {
                return Err(JsonError { at, reason: format!("nested deeper than {MAX_DEPTH} levels") });
            }
            Some(b'{') => Value::Object(self.members(raw, depth + 1)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(raw)?;
                Value::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::String(self.read(raw)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(text.to_owned()),
        };
        Ok(Node { at, value })
    }

    fn members(&self, raw: &'a RawValue, depth: usize) -> Result<Vec<Member>, JsonError> {
        let Entries(entries) = self.read(raw)?;
        let mut members = Vec::with_capacity(entries.len());
        let mut seen = HashSet::with_capacity(entries.len());
        for (name, value) in entries {
            let at = self.offset(name);
            // Compared decoded: `"\u0041ction"` is `"Action"` given again.
            let name: String = self.read(name)?;
            if !seen.insert(name.clone()) {
                return Err(JsonError { at, reason: format!("duplicate element {}", Quoted(&name)) });
            }
            members.push(Member { at, name, value: self.node(value, depth)? });
        }
        Ok(members)
    }

    fn read<T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, JsonError> {
        serde_json::from_str(raw.get()).map_err(|error| syntax(raw.get(), self.offset(raw), &error))
    }

    /// Where `raw`, which was borrowed from the text, stands in it.
    fn offset(&self, raw: &RawValue) -> usize {
        raw.get().as_ptr().addr().wrapping_sub(self.text.as_ptr().addr())
    }
}

/// The error of reading `part`, which stands at `offset` of the whole text.
fn syntax(part: &str, offset: usize, error: &serde_json::Error) -> JsonError {
    let line_start: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let said = error.to_string();
    let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason).to_owned();
    JsonError { at: offset + line_start + error.column().saturating_sub(1), reason }
}

/// The members of an object, none of them read yet.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_text_and_place() {
        let text = "{\"a\" : [1.50, -0, 1e400,\n \"\\u0073\"], \"b\\\"\":null}";
        let root = parse(text).unwrap();
        let Value::Object(members) = &root.value else { panic!("{root:?}") };
        let Value::List(items) = &members[0].value.value else { panic!("{members:?}") };
        let numbers: Vec<&Value> = items.iter().map(|item| &item.value).collect();
        assert_eq!(
            numbers,
            [
                &Value::Number("1.50".into()),
                &Value::Number("-0".into()),
                &Value::Number("1e400".into()),
                &Value::String("s".into())
            ]
        );
        for (node, starts) in items.iter().zip(["1.50", "-0", "1e400", "\"\\u0073\""]) {
            assert!(text.split_at(node.at).1.starts_with(starts), "{node:?}");
        }
        assert!(text.split_at(members[1].at).1.starts_with("\"b"), "{members:?}");
        assert_eq!(members[1].name, "b\"");
    }

    #[test]
    fn what_json_leaves_open_is_refused_at_its_place() {
        let deep_open = "[".repeat(60_000);
        let deep_closed = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
        for (text, at, reason) in [
            ("", 0, "EOF while parsing a value"),
            ("{\"a\":1,}", 7, "key must be a string"),
            ("{\"a\":1}\n x", 9, "trailing characters"),
            ("{\"a\":1,\"b\":2,\"a\":3}", 13, "duplicate element \"a\""),
            ("{\"a\":1,\"\\u0061\":3}", 7, "duplicate element \"a\""),
            ("[{\"x\":{\"y\":1,\"y\":2}}]", 13, "duplicate element \"y\""),
            ("[\"\\ud800\"]", 8, "unexpected end of hex escape"),
            ("[\"\\udc00\"]", 7, "lone leading surrogate in hex escape"),
            ("{\"\\ud800\":1}", 8, "unexpected end of hex escape"),
            ("[\"a\nb\"]", 2, "control character (\\u0000-\\u001F) found while parsing a string"),
            ("[01]", 2, "invalid number"),
            ("[+1]", 1, "expected value"),
            ("[NaN]", 1, "expected value"),
            (&deep_open, 59_999, "EOF while parsing a list"),
            (&deep_closed, 16, "nested deeper than 16 levels"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.at, error.reason.as_str()), (at, reason), "{text:.40}");
        }
    }
}
