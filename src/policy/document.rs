//! What did the author of a policy write?
//!
//! A [`PolicyDocument`] is JSON and no more: nothing in it has been checked against the policy language yet.

use super::error::{Fault, InvalidPolicy, Quoted};
use super::json::{self, JsonError, Member, Node, Value};
use super::principal::AccountId;

/// A policy as its author wrote it: a JSON object with every part in its place.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    root: Vec<Member>,
    /// The offset of the first byte of each line.
    lines: Vec<usize>,
}

impl PolicyDocument {
    /// Reads the bytes of a document, strictly: UTF-8, `{` as the first byte, RFC 8259 JSON without a name given twice
    /// in one object, nesting bounded. The size is the caller's to bound.
    ///
    /// # Errors
    /// [`InvalidPolicy`] with the one problem found.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidPolicy> {
        if bytes.is_empty() {
            return Err(InvalidPolicy::one(Fault::FirstByte, "The document is empty"));
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (line, column) = position(&line_starts(bytes), error.valid_up_to());
                let detail = format!("Not UTF-8 (line {line}, column {column})");
                return Err(InvalidPolicy::one(Fault::InvalidJson, detail));
            }
        };
        if !text.starts_with('{') {
            let found = match text.chars().next() {
                Some('\u{feff}') => "a byte order mark".to_owned(),
                Some(c) if c.is_whitespace() => "white space".to_owned(),
                first => Quoted(&first.map(String::from).unwrap_or_default()).to_string(),
            };
            return Err(InvalidPolicy::one(Fault::FirstByte, format!("The document begins with {found}")));
        }
        let lines = line_starts(bytes);
        let root = json::parse(text).map_err(|JsonError { at, reason }| {
            let (line, column) = position(&lines, at);
            InvalidPolicy::one(Fault::InvalidJson, format!("{reason} (line {line}, column {column})"))
        })?;
        let Value::Object(root) = root.value else {
            return Err(InvalidPolicy::one(Fault::FirstByte, "The document is not an object"));
        };
        Ok(Self { root, lines })
    }

    /// The normalised form, whose length is what Amazon limits: no white space; elements in the order of the grammar and
    /// unknown ones after them; a list of one string, number or boolean as that value; a single statement as a list;
    /// escapes decoded; a bare account id as the ARN of its root.
    pub fn normalized(&self) -> String {
        let mut out = String::new();
        json::write_object(in_order(&self.root, &DOCUMENT_ELEMENTS), &mut out, |member, out| {
            match (member.name.as_str(), &member.value.value) {
                (STATEMENT, Value::Object(statement)) => {
                    out.push('[');
                    write_statement(statement, out);
                    out.push(']');
                }
                (STATEMENT, Value::List(statements)) => {
                    json::write_list(statements, out, |statement, out| match &statement.value {
                        Value::Object(members) => write_statement(members, out),
                        _ => statement.write_compact(out),
                    });
                }
                _ => member.value.write_compact(out),
            }
        });
        out
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.root
    }

    /// The line and column of a byte offset, both counted from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        position(&self.lines, at)
    }
}

const STATEMENT: &str = "Statement";

/// The elements that a document may have, in the order of the normalised form.
pub(super) const DOCUMENT_ELEMENTS: [&str; 3] = ["Version", "Id", STATEMENT];

/// The elements that a statement may have, in the order of the normalised form.
pub(super) const STATEMENT_ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let after_breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after_breaks).collect()
}

fn position(lines: &[usize], at: usize) -> (usize, usize) {
    let line = lines.partition_point(|start| *start <= at);
    let start = line.checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or(0);
    (line, at - start + 1)
}

/// The members named in `order`, in that order, then the others in the author's.
fn in_order<'m>(members: &'m [Member], order: &'static [&str]) -> impl Iterator<Item = &'m Member> {
    let known = order.iter().filter_map(move |name| members.iter().find(|member| member.name == *name));
    known.chain(members.iter().filter(move |member| !order.contains(&member.name.as_str())))
}

fn write_statement(members: &[Member], out: &mut String) {
    json::write_object(in_order(members, &STATEMENT_ELEMENTS), out, |member, out| {
        match (member.name.as_str(), &member.value.value) {
            ("Principal" | "NotPrincipal", Value::Object(kinds)) => json::write_object(kinds, out, |kind, out| {
                let write = if kind.name == "AWS" { write_account } else { Node::write_compact };
                write_unlisted(&kind.value, out, write);
            }),
            ("Action" | "NotAction" | "Resource" | "NotResource", _) => {
                write_unlisted(&member.value, out, Node::write_compact);
            }
            ("Condition", Value::Object(operators)) => {
                json::write_object(operators, out, |operator, out| match &operator.value.value {
                    Value::Object(keys) => json::write_object(keys, out, |key, out| {
                        write_unlisted(&key.value, out, Node::write_compact);
                    }),
                    _ => operator.value.write_compact(out),
                })
            }
            _ => member.value.write_compact(out),
        }
    });
}

/// Writes a list of one scalar as that scalar, each value by `write`.
fn write_unlisted(node: &Node, out: &mut String, write: fn(&Node, &mut String)) {
    match &node.value {
        Value::List(items) => match items.as_slice() {
            [one @ Node { value: Value::String(_) | Value::Number(_) | Value::Bool(_), .. }] => write(one, out),
            _ => json::write_list(items, out, write),
        },
        _ => write(node, out),
    }
}

fn write_account(node: &Node, out: &mut String) {
    match &node.value {
        Value::String(text) if AccountId::parse(text).is_ok() => {
            json::write_string(&format!("arn:aws:iam::{text}:root"), out);
        }
        _ => node.write_compact(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_follows_amazons_form() {
        for (written, normal) in [
            ("{ }", "{}"),
            (
                r#"{"Statement" : {"Effect":"Deny","Sid":"a b"}, "Id":"x","Version":"2012-10-17"}"#,
                r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a b","Effect":"Deny"}]}"#,
            ),
            (
                r#"{"Statement":[{"Resource":["r"],"Action":["a","b"],"Principal":{"AWS":["111122223333"],"Service":["s"]}}]}"#,
                r#"{"Statement":[{"Principal":{"AWS":"arn:aws:iam::111122223333:root","Service":"s"},"Action":["a","b"],"Resource":"r"}]}"#,
            ),
            (
                r#"{"Statement":[{"Principal":{"AWS":["111122223333","*"],"CanonicalUser":"111122223333"}}]}"#,
                r#"{"Statement":[{"Principal":{"AWS":["arn:aws:iam::111122223333:root","*"],"CanonicalUser":"111122223333"}}]}"#,
            ),
            (
                r#"{"Statement":[{"Condition":{"Bool":{"aws:SecureTransport":[false]},"NumericLessThan":{"k":[1.50]},"Null":{}}}]}"#,
                r#"{"Statement":[{"Condition":{"Bool":{"aws:SecureTransport":false},"NumericLessThan":{"k":1.50},"Null":{}}}]}"#,
            ),
            (r#"{"Id":"\u0073\/\u00fc\u0001\"\\"}"#, "{\"Id\":\"s/ü\\u0001\\\"\\\\\"}"),
            (
                r#"{"Statement":[{"Action":[["x"]],"X":["y"]}],"Y":[1]}"#,
                r#"{"Statement":[{"Action":[["x"]],"X":["y"]}],"Y":[1]}"#,
            ),
        ] {
            let form = PolicyDocument::parse(written.as_bytes()).unwrap().normalized();
            assert_eq!(form, normal, "{written}");
            assert_eq!(PolicyDocument::parse(normal.as_bytes()).unwrap().normalized(), normal, "again: {written}");
        }
    }

    #[test]
    fn positions_count_from_one() {
        let lines = line_starts(b"ab\nc\n");
        for (at, place) in [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (2, 2)), (5, (3, 1)), (9, (3, 5))] {
            assert_eq!(position(&lines, at), place, "{at}");
        }
    }
}
