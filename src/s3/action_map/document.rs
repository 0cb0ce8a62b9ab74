//! `docs/operations.md`, made from the tables.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::table::{Needed, On, Rule, When, rules};
use crate::s3::operation::{Operation, bindings_in_words};

const OPENING: &str = "\
# Operations and the actions they need

Every operation of Amazon S3, the request it is, and the actions that must all be granted for it. Made from the tables of
`src/s3/operation` and `src/s3/action_map`: `UPDATE=1 cargo test --lib operations_document` writes it anew.

- *bucket*: `arn:aws:s3:::BUCKET`. *object*: `arn:aws:s3:::BUCKET/KEY`. *source*: the object that `x-amz-copy-source`
  names. *each object*: of the body, each decided by itself. *form's object*: its key is the form's. `*`: neither bucket
  nor object.
- Actions of `s3express` and `s3-object-lambda` are those of directory buckets and Object Lambda. No store of ordinary
  buckets has these operations, and no policy here can grant them.
- What Amazon asks of other services besides (`iam:PassRole`, `kms:*`, `s3tables:*`) is not asked here.
- Whether a copy's source has tags or annotations only the store can tell.
- `GetBucketLifecycle`, `PutBucketLifecycle`, `GetBucketNotification` and `PutBucketNotification` are the same requests as
  their successors, whose names end in `Configuration`.

| operation | request | needs |
|---|---|---|
";

#[test]
fn operations_document_is_made_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let made = document();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "docs/operations.md is not what the code says; UPDATE=1 writes it anew");
}

fn document() -> String {
    let mut requests: BTreeMap<Operation, Vec<String>> = BTreeMap::new();
    for (operation, words) in bindings_in_words() {
        requests.entry(operation).or_default().push(words);
    }
    let mut document = OPENING.to_owned();
    for operation in Operation::ALL {
        let needs: Vec<String> = rules(*operation).iter().map(in_words).collect();
        let needs = if needs.is_empty() { "nothing".to_owned() } else { needs.join("<br>") };
        writeln!(document, "| {operation} | {} | {needs} |", requests[operation].join("<br>")).unwrap();
    }
    document
}

fn in_words(rule: &Rule) -> String {
    let action = match rule.action {
        Needed::Own(action) => action.name(),
        Needed::Foreign(action) => action.name(),
    };
    let on = match rule.on {
        On::Anything => "`*`",
        On::Bucket => "bucket",
        On::Object => "object",
        On::Source => "source",
        On::Entry => "each object",
        On::Form => "form's object",
    };
    let when = if rule.when == When::Always { String::new() } else { format!(": {}", rule.when) };
    format!("`{action}` on {on}{when}")
}
