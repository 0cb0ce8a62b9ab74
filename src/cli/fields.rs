//! A JSON object, its members not read yet: what is wrong with one of them does not hide the others.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::terminal::Shown;

/// The members of an object, in order.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// Why the text is none.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason);
            match error.column() {
                0 => Shown(reason).to_string(),
                column => format!("{} (column {column})", Shown(reason)),
            }
        })
    }

    /// The value of that name; none where there is none, or it is `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(present, _)| present == name).map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    /// The text of that name.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        self.get(name).map(|raw| text(raw).map_err(|problem| format!("`{name}`: {problem}"))).transpose()
    }

    /// The object of that name.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, String> {
        let parse = |raw: &'a RawValue| {
            let fields = Self::parse(raw.get()).map_err(|_| format!("`{name}`: {}", expected("an object", raw)))?;
            fields.distinct().map_err(|problem| format!("`{name}`: {problem}"))?;
            Ok(fields)
        };
        self.get(name).map(parse).transpose()
    }

    /// # Errors
    /// A name that is given twice.
    pub(super) fn distinct(&self) -> Result<(), String> {
        let mut seen = HashSet::with_capacity(self.0.len());
        match self.0.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(format!("`{}` is given twice", Shown(name))),
            None => Ok(()),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, raw)| (name.as_ref(), *raw))
    }
}

/// The text that a value is.
///
/// # Errors
/// It is something else.
pub(super) fn text(raw: &RawValue) -> Result<Cow<'_, str>, String> {
    serde_json::from_str(raw.get()).map(|Text(text)| text).map_err(|_| expected("a string", raw))
}

/// The text that a value is or, of a number or boolean, its own.
///
/// # Errors
/// It is something else.
pub(super) fn scalar(raw: &RawValue) -> Result<Cow<'_, str>, String> {
    match raw.get().as_bytes() {
        [b'{' | b'[', ..] | b"null" => Err(expected("a string, a number or a boolean", raw)),
        [b'"', ..] => text(raw),
        _ => Ok(Cow::Borrowed(raw.get())),
    }
}

/// The values of a list.
///
/// # Errors
/// It is something else.
pub(super) fn list(raw: &RawValue) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(raw.get()).map_err(|_| expected("a list", raw))
}

pub(super) fn expected(what: &str, found: &RawValue) -> String {
    format!("{what} is expected, not {}", Shown(found.get()))
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_name_and_null_is_none() {
        let fields = Fields::parse(r#"{"a":"x","\u0062":1e400,"c":null,"d":{"e":[]}}"#).unwrap();
        assert_eq!(fields.text("a").unwrap().as_deref(), Some("x"));
        assert_eq!(fields.get("b").map(RawValue::get), Some("1e400"));
        assert!(fields.get("c").is_none() && fields.get("nothing").is_none());
        let inner = fields.object("d").unwrap().unwrap();
        assert!(list(inner.get("e").unwrap()).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, problem) in [
            ("", "EOF while parsing a value"),
            ("{\"a\":1,}", "trailing comma (column 8)"),
            ("{\"a\":1} x", "trailing characters (column 9)"),
            ("[1]", "invalid type: sequence, expected an object"),
            ("\"\u{7f}\"", "invalid type: string \"\\u{7f}\", expected an object (column 3)"),
        ] {
            assert_eq!(Fields::parse(text).unwrap_err(), problem, "{text:?}");
        }
        let fields = Fields::parse(r#"{"a":1,"b":[{"a":1}],"c":{"x":1,"\u0078":2},"a":2}"#).unwrap();
        assert_eq!(fields.text("a").unwrap_err(), "`a`: a string is expected, not 1");
        assert_eq!(fields.object("b").unwrap_err(), "`b`: an object is expected, not [{\"a\":1}]");
        assert_eq!(fields.object("c").unwrap_err(), "`c`: `x` is given twice");
        assert_eq!(fields.distinct().unwrap_err(), "`a` is given twice");
    }

    #[test]
    fn scalars_are_their_json_text() {
        for (json, expected) in
            [("\"a\\n\"", Some("a\n")), ("1.50", Some("1.50")), ("true", Some("true")), ("null", None), ("[]", None)]
        {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(scalar(raw).ok().as_deref(), expected, "{json}");
        }
        let lone: &RawValue = serde_json::from_str("\"\\ud800\"").unwrap();
        assert!(scalar(lone).is_err());
    }
}
