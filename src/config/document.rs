//! `docs/configuration.md`, made from `proxy.toml` and from what the code makes of wrong values.
//!
//! Which keys there are, the code that reads them tells; what they mean and their defaults, `proxy.toml`; what they may
//! hold, the problems that are found in a value of the wrong kind; what a change takes, what the server makes of two files
//! that differ in it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{Settings, file};
use crate::server::live::take_a_restart;
use crate::toml_reader::{Reader, Surroundings};

const SHIPPED: &str = include_str!("../../proxy.toml");

const OPENING: &str = "\
# Configuration

Every key of `proxy.toml`. Made from [`proxy.toml`](../proxy.toml) and from the code that reads it:
`UPDATE=1 cargo test --lib configuration_document` writes it anew.

- `portcullis check --config proxy.toml` tells every mistake at once, each with its line. A key that is not here is one.
- Relative paths are relative to the file's own directory.
- A *length of time* has a unit: `ms`, `s`, `m` or `h`. An *address* is `IP:PORT`; a *network* is written `10.0.0.0/8`.
- A key without a default may be left out, and then does nothing, unless it is *required*.
- The file is read at start, and again when it changes and at SIGHUP, as is what it names: the identity file and its files, and
  the certificates of `listen.tls` and `listen.client_ca`; `admin.token_file` is read at each call. What counts at once and what
  takes a restart: [reloading.md](reloading.md).
";

#[test]
fn configuration_document_is_made_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let made = document();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "docs/configuration.md is not what proxy.toml and the code say; UPDATE=1 writes it anew");
}

#[test]
fn the_shipped_file_shows_every_key_that_is_read_and_no_other() {
    let shown = entries();
    let is_shown = |path: &String| {
        // Keys of inline tables are shown where their table is.
        shown.iter().any(|entry| {
            entry.path == *path
                || path
                    .strip_prefix(&entry.path)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .is_some_and(|key| entry.value.contains(&format!("{key} =")))
        })
    };
    let asked = asked(&with_all_keys());
    let sections: BTreeSet<_> = asked.iter().filter_map(|path| Some(path.rsplit_once('.')?.0.to_owned())).collect();
    let missing: Vec<_> = asked.iter().filter(|path| !sections.contains(*path) && !is_shown(path)).collect();
    assert!(
        missing.is_empty(),
        "keys that are read and not shown in proxy.toml, each on a line of its own: {missing:?}"
    );
    let idle: Vec<_> = shown.iter().filter(|entry| !asked.contains(&entry.path)).map(|entry| &entry.path).collect();
    assert!(idle.is_empty(), "keys that proxy.toml shows and nobody reads: {idle:?}");
    let silent: Vec<_> = shown.iter().filter(|entry| entry.meaning.is_empty()).map(|entry| &entry.path).collect();
    assert!(silent.is_empty(), "keys that proxy.toml does not explain: {silent:?}");
}

/// A key as `proxy.toml` shows it.
struct Entry {
    /// `upstream`, or `upstream.account`.
    section: String,
    /// With the section in front.
    path: String,
    value: String,
    meaning: String,
    /// Whether it is commented out: then its value is an example.
    is_example: bool,
}

/// Every key of the file, in its order.
fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    // What stands before the first section is about the file.
    let lines = SHIPPED.lines().skip_while(|line| !line.starts_with('['));
    for line in lines {
        let (bare, is_example) = match line.strip_prefix("# ") {
            Some(rest) if is_code(rest) => (rest, true),
            _ => (line, false),
        };
        if let Some(name) = bare.strip_prefix('[') {
            let (name, _) = bare.split_once('#').map_or((name, ""), |_| (name.split('#').next().unwrap(), ""));
            section = name.trim().trim_matches(['[', ']']).to_owned();
        } else if let Some(text) = bare.trim_start().strip_prefix('#') {
            let entry = entries.last_mut().unwrap();
            let separator = if line.starts_with('#') { "<br>" } else { " " };
            // A remark of several lines at the margin is one.
            let separator = if entry.meaning.contains("<br>") { " " } else { separator };
            entry.meaning.push_str(separator);
            entry.meaning.push_str(text.trim());
        } else if let Some((key, rest)) = bare.split_once(" = ") {
            let (value, meaning) = rest.split_once(" #").unwrap_or((rest, ""));
            entries.push(Entry {
                section: section.clone(),
                path: format!("{section}.{key}"),
                value: value.trim().to_owned(),
                meaning: meaning.trim().to_owned(),
                is_example,
            });
        }
    }
    entries
}

/// Whether a comment is a key or a table that was commented out.
fn is_code(text: &str) -> bool {
    let key = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    text.starts_with('[') || text.split_once(" = ").is_some_and(|(name, _)| key(name))
}

/// The file with everything in it that is commented out.
fn with_all_keys() -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if is_code(rest) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    SHIPPED.lines().map(line).collect()
}

/// The keys that are looked for in a file, with the tables they are in.
fn asked(text: &str) -> BTreeSet<String> {
    let reader = reader(text);
    let _ = file::read(reader.document().unwrap());
    reader.asked()
}

/// The problems of a file, those about `path` alone, without its name.
fn problems(text: &str, path: &str) -> Vec<String> {
    let reader = reader(text);
    let _ = file::read(reader.document().unwrap());
    let name = format!("`{path}`: ");
    let problems = reader.findings().problems;
    problems.iter().filter_map(|problem| Some(problem.message.strip_prefix(&name)?.to_owned())).collect()
}

fn reader(text: &str) -> Reader<'_> {
    Reader::new("proxy.toml", text, Surroundings { base_dir: Path::new("/nowhere"), env: &|_| None })
}

fn document() -> String {
    let mut document = OPENING.to_owned();
    let mut section = String::new();
    for entry in entries() {
        if entry.section != section {
            section.clone_from(&entry.section);
            let several = SHIPPED.contains(&format!("[[{section}]]"));
            let title = if several { format!("[[{section}]]") } else { format!("[{section}]") };
            write!(
                document,
                "\n## `{title}`\n\n| key | value | default | a change | meaning |\n|---|---|---|---|---|\n"
            )
            .unwrap();
        }
        let key = entry.path.strip_prefix(&format!("{section}.")).unwrap();
        let Entry { meaning, .. } = &entry;
        writeln!(document, "| `{key}` | {} | {} | {} | {meaning} |", values(&entry), default(&entry), change(&entry))
            .unwrap();
    }
    document
}

/// What the key may hold, as the code says it of what it may not.
fn values(entry: &Entry) -> String {
    let with = |value: &str| problems(&alone(entry, value), &entry.path);
    let of_wrong_kind = with("1979-05-27");
    let expected = of_wrong_kind.iter().find_map(|text| text.strip_prefix("expected ")?.strip_suffix(", found a date"));
    match expected {
        Some("true or false") => "`true` or `false`".to_owned(),
        Some("a number") => "number from 0 to 1".to_owned(),
        Some("a whole number") => "whole number, 1 or more".to_owned(),
        Some("a list") => "list of texts".to_owned(),
        Some("a table") => "table, or list of them".to_owned(),
        Some("a string") => {
            let of_text = with("\"~\"");
            let words = of_text.iter().find_map(|text| text.strip_prefix("`~` is not one of "));
            let mut values = match words {
                Some(words) => words.replace("`, `", "` `").replace("` `", "`, `"),
                None if of_text.iter().any(|text| text.contains("is not a length of time")) => "length of time".into(),
                None if of_text.iter().any(|text| text.contains("is not an address")) => "address".into(),
                None => "text".into(),
            };
            // A list is then taken apart, and its entries are what is wrong.
            if with("[1979-05-27]").iter().any(|text| text.ends_with("found a date")) {
                values.push_str("; or a list");
            }
            values
        }
        other => panic!("{}: {other:?} of {of_wrong_kind:?}", entry.path),
    }
}

/// Keys whose values cannot be changed alone, or name files and variables that a test does not have, beside those that are
/// brought into force with them.
const TOGETHER: [(&str, &str); 19] = [
    ("admin.token_file", "admin.address"),
    ("upstream.endpoints", "upstream.endpoint"),
    ("upstream.ca_file", "upstream.endpoint"),
    ("upstream.secret_access_key_env", "upstream.secret_access_key"),
    ("upstream.secret_access_key_file", "upstream.secret_access_key"),
    ("upstream.account.secret_access_key_env", "upstream.account.secret_access_key"),
    ("upstream.account.secret_access_key_file", "upstream.account.secret_access_key"),
    ("listen.client_auth", "listen.client_ca"),
    ("store.tls", "store.url"),
    ("store.ca_file", "store.url"),
    ("store.client_cert", "store.url"),
    ("store.client_key", "store.url"),
    ("store.username", "store.url"),
    ("store.password_env", "store.url"),
    ("store.password_file", "store.url"),
    ("store.password", "store.url"),
    ("trace.ca_file", "trace.otlp_endpoint"),
    ("trace.headers_env", "trace.headers"),
    ("trace.headers_file", "trace.headers"),
];

/// What a change of the key takes.
fn change(entry: &Entry) -> &'static str {
    let together = TOGETHER.iter().find(|(path, _)| *path == entry.path);
    let path = match together {
        Some((_, with)) => with,
        // A place for policies is one thing, and some keys are for one kind of place alone.
        None if entry.section == "store" => "store.url",
        None => entry.path.as_str(),
    };
    let entries = entries();
    let entry = entries.iter().find(|entry| entry.path == path).unwrap();
    let before = with_all_keys();
    let key = entry.path.rsplit_once('.').unwrap().1;
    let mut section = String::new();
    let replaced = |line: &str| {
        if line.starts_with('[') {
            section = line.split('#').next().unwrap().trim().trim_matches(['[', ']']).to_owned();
        }
        match line.split_once(" = ") {
            Some((name, _)) if name == key && section == entry.section => format!("{key} = {}\n", other_value(entry)),
            _ => format!("{line}\n"),
        }
    };
    let after: String = before.lines().map(replaced).collect();
    let (before, after) = (settings(&before), settings(&after));
    assert_ne!(before, after, "`{path}` changes nothing: give it another value, or a place in TOGETHER");
    if take_a_restart(&before, &after).is_empty() { "next request" } else { "restart" }
}

/// A good value that is not the one that is shown.
fn other_value(entry: &Entry) -> String {
    let values = values(entry);
    let text = match entry.path.as_str() {
        "listen.tls" => return "{ cert = \"other.crt\", key = \"other.key\" }".to_owned(),
        "listen.domains" | "listen.trusted_proxies" => return "[\"192.0.2.1\"]".to_owned(),
        "upstream.endpoint" => "http://192.0.2.1",
        "upstream.account.id" | "ownership.default_account" | "ownership.bucket.account" => "777788889999",
        "store.url" => "redb:other.redb",
        "trace.otlp_endpoint" => "http://192.0.2.1:4318",
        "trace.headers" => "x-scope=other",
        _ if values.starts_with("address") => "192.0.2.1:1",
        _ if values.starts_with("length of time") => "7s",
        _ if values.starts_with("number") => return "0.25".to_owned(),
        _ if values.starts_with("whole number") => return "7".to_owned(),
        _ if values == "`true` or `false`" => return (entry.value != "true").to_string(),
        _ if values.starts_with('`') => {
            let words = values.split('`').skip(1).step_by(2);
            return words.map(|word| format!("\"{word}\"")).find(|word| !entry.value.contains(word)).unwrap_or_else(
                || {
                    // A list of all of them: the first alone is another.
                    format!("[\"{}\"]", values.split('`').nth(1).unwrap())
                },
            );
        }
        _ => "other",
    };
    format!("\"{text}\"")
}

fn settings(text: &str) -> Settings {
    // One key of each kind: several places or one, one form of each secret.
    let is_kept =
        |line: &&str| !["endpoints = ", "secret_access_key_", "headers_"].iter().any(|other| line.starts_with(other));
    let text: String = text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
    // Without a key there is no secret either.
    let text = text.replace("access_key_id = \"\"", "access_key_id = \"AK\"");
    let reader = reader(&text);
    let settings = file::read(reader.document().unwrap()).settings;
    settings.unwrap()
}

/// A file with this key alone in its section.
fn alone(entry: &Entry, value: &str) -> String {
    let key = entry.path.rsplit_once('.').unwrap().1;
    let several = SHIPPED.contains(&format!("[[{}]]", entry.section));
    let (open, close) = if several { ("[[", "]]") } else { ("[", "]") };
    format!("{open}{}{close}\n{key} = {value}\n", entry.section)
}

fn default(entry: &Entry) -> String {
    let Entry { value, meaning, is_example, .. } = entry;
    let key = entry.path.rsplit_once('.').unwrap().1;
    let is_required = |path: &str| {
        let parent = alone(entry, "1").replace(&format!("{key} = 1\n"), "");
        !problems(&parent, path).is_empty()
    };
    let value = value.replace('|', "\\|");
    if is_required(&entry.path) {
        format!("required, such as `{value}`")
    } else if *is_example || meaning.to_lowercase().contains("no default") {
        format!("none; such as `{value}`")
    } else if value == "\"\"" {
        "empty".to_owned()
    } else {
        format!("`{value}`")
    }
}
