//! Policies kept as files, for the bucket `example-bucket`. Another implementation can be held against the same files.
//!
//! - `data/policies/valid`: a policy a file, each of a kind that Amazon's documentation shows ("Examples of Amazon S3
//!   bucket policies", "Examples of Amazon S3 condition keys", the pages on the services that write to buckets).
//! - `data/policies/invalid`: rows of the rule that is broken, Amazon's message, and what breaks it: the members that a
//!   plain statement has `with` or `without`, or a whole `document`, as a string where its very text matters.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::policy::{Policy, PolicyDocument};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const BUCKET: &str = "example-bucket";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    rule: String,
    message: String,
    #[serde(default)]
    with: Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    document: Option<Value>,
}

impl Broken {
    fn document(&self) -> String {
        match &self.document {
            Some(Value::String(text)) => text.clone(),
            Some(document) => document.to_string(),
            None => {
                let mut statement = Map::new();
                statement.insert("Effect".to_owned(), json!("Allow"));
                statement.insert("Principal".to_owned(), json!("*"));
                statement.insert("Action".to_owned(), json!("s3:GetObject"));
                statement.insert("Resource".to_owned(), json!(format!("arn:aws:s3:::{BUCKET}/*")));
                statement.retain(|name, _| !self.without.contains(name));
                statement.extend(self.with.clone());
                json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
            }
        }
    }
}

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/policies").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn policies_as_amazon_shows_them_are_valid_and_so_is_their_normalised_form() {
    let files = files("valid");
    assert!(files.len() >= 50, "{} policies", files.len());
    for (path, text) in files {
        let parse = |text: &str| {
            Policy::parse(text.as_bytes(), BUCKET).unwrap_or_else(|refused| panic!("{}: {refused}", path.display()))
        };
        let form = PolicyDocument::parse(text.as_bytes()).unwrap().normalized();
        assert_eq!(parse(&text).policy, parse(&form).policy, "{}", path.display());
    }
}

#[test]
fn what_breaks_a_rule_is_refused_in_amazons_words() {
    for (path, text) in files("invalid") {
        let rows: Vec<Broken> = serde_json::from_str(&text).unwrap();
        for row in rows {
            let document = row.document();
            let place = format!("{}, {}: {document}", path.display(), row.rule);
            match Policy::parse(document.as_bytes(), BUCKET) {
                Ok(_) => panic!("{place}\nwas taken"),
                Err(refused) => assert_eq!(refused.first().unwrap().message, row.message, "{place}"),
            }
        }
    }
}
