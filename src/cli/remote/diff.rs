//! `policy diff`: what changed between two revisions.

use std::io::stdout;

use clap::Args;
use portcullis::admin::wire::{History, RevisionAction, RevisionSummary};
use similar::{ChangeTag, TextDiff};

use super::changes::document;
use super::{Client, Connection, path_of};
use crate::cli::Failure;
use crate::cli::terminal::{self, Colour, Coloured};

/// How many unchanged lines stand around a change.
const CONTEXT: usize = 3;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The bucket
    bucket: String,
    /// The older revision [default: the one before what is in force]
    #[arg(value_name = "REV")]
    from: Option<u64>,
    /// The newer revision [default: what is in force]
    #[arg(value_name = "REV")]
    to: Option<u64>,
    /// Exit code 1 where they differ
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    server: Connection,
}

/// A side: what to call it, and its text.
struct Side {
    name: String,
    text: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bucket = &arguments.bucket;
    let client = arguments.server.client()?;
    let history: History = client.ask(&path_of(bucket, "/policy/revisions")?)?;
    let mut revisions = history.revisions.iter();
    let newest = revisions.next().ok_or_else(|| Failure::Failed(format!("{bucket}: no policy was ever kept")))?;
    let known = |number: u64| {
        let found = history.revisions.iter().find(|revision| revision.revision == number);
        found.ok_or_else(|| Failure::Failed(format!("{bucket}: revision {number} is not in its history")))
    };
    let (from, to) = match (arguments.from, arguments.to) {
        (None, _) => (revisions.next(), newest),
        (Some(from), None) => (Some(known(from)?), newest),
        (Some(from), Some(to)) => (Some(known(from)?), known(to)?),
    };
    let (from, to) = (side(&client, bucket, from)?, side(&client, bucket, Some(to))?);
    let text = unified(&from, &to, terminal::takes_colours(&stdout()));
    if text.is_empty() {
        return Ok(());
    }
    terminal::print(text);
    if arguments.exit_code { Err(Failure::Reported) } else { Ok(()) }
}

/// Nothing, as diff(1) names it, where there is no document.
fn side(client: &Client, bucket: &str, revision: Option<&RevisionSummary>) -> Result<Side, Failure> {
    match revision {
        Some(RevisionSummary { revision, action: RevisionAction::Put, .. }) => {
            let bytes = document(client, bucket, *revision)?;
            let text = String::from_utf8_lossy(&bytes);
            Ok(Side { name: format!("{bucket}, revision {revision}"), text: pretty(&text) })
        }
        Some(RevisionSummary { revision, action: RevisionAction::Delete, .. }) => {
            Ok(Side { name: format!("{bucket}, revision {revision} (deleted)"), text: String::new() })
        }
        None => Ok(Side { name: "/dev/null".to_owned(), text: String::new() }),
    }
}

/// The changes as `diff -u` writes them; nothing where there are none.
fn unified(from: &Side, to: &Side, colours: bool) -> String {
    let diff = TextDiff::from_lines(from.text.as_str(), to.text.as_str());
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        if lines.is_empty() {
            lines.push(format!("--- {}", from.name));
            lines.push(format!("+++ {}", to.name));
        }
        lines.push(hunk.header().to_string());
        for change in hunk.iter_changes() {
            let (sign, colour) = match change.tag() {
                ChangeTag::Equal => (' ', None),
                ChangeTag::Delete => ('-', Some(Colour::Red)),
                ChangeTag::Insert => ('+', Some(Colour::Green)),
            };
            let line = change.value().trim_end_matches('\n');
            let line = format!("{sign}{}", terminal::Escaped(line));
            lines.push(Coloured(line, colour.filter(|_| colours)).to_string());
        }
    }
    lines.join("\n")
}

/// JSON with a value a line, indented. Nothing but white space is changed: names stay in their order, numbers and
/// strings as they are written. What is not JSON comes out with other line breaks, and whole.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().filter(|c| !c.is_control() || *c == ' ').peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_is_changed() {
        let written = "{\"b\":1.50 ,\r\n\t\"a\" : [ ] ,\"a, {b}: \\\" \\\\\":{},\"c\":[{\"x\":true},[1,2]]}\n\n";
        assert_eq!(
            pretty(written),
            "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"a, {b}: \\\" \\\\\": {},\n  \"c\": [\n    {\n      \"x\": true\n    },\n    [\n      1,\n      2\n    ]\n  ]\n}\n"
        );
        let compact = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(compact(&pretty(written)), compact(written));
        assert_eq!(pretty(&pretty(written)), pretty(written));
    }

    #[test]
    fn changes_are_told_as_diff_does() {
        let side = |name: &str, text: &str| Side { name: name.to_owned(), text: pretty(text) };
        let (old, new) =
            (side("b, revision 1", r#"{"a":1,"b":2}"#), side("b, revision 2", r#"{ "a":1, "b":"\u001b" }"#));
        assert_eq!(
            unified(&old, &new, false),
            "--- b, revision 1\n+++ b, revision 2\n@@ -1,4 +1,4 @@\n {\n   \"a\": 1,\n-  \"b\": 2\n+  \"b\": \"\\u001b\"\n }"
        );
        assert!(unified(&old, &new, true).contains("\u{1b}[1;31m-  \"b\": 2\u{1b}[0m"));
        assert_eq!(unified(&old, &side("x", "{\"a\" : 1,\n\"b\" : 2}"), false), "", "white space is no change");
        let nothing = Side { name: "/dev/null".to_owned(), text: String::new() };
        assert!(unified(&nothing, &new, false).starts_with("--- /dev/null\n+++ b, revision 2\n@@ -0,0 +1,4 @@\n+{"));
    }
}
