//! When is a policy public? The cases of `tests/data/policy_status.json`, after the page that the file names.

use std::collections::HashSet;

use portcullis::policy::Policy;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    page: String,
    cases: Vec<Case>,
}

/// A policy of one statement that allows, or of the statements given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    version: Option<String>,
    principal: Option<Value>,
    action: Option<String>,
    condition: Option<Value>,
    statements: Option<Value>,
    public: bool,
}

impl Case {
    fn document(&self) -> Value {
        let statement = json!([{
            "Effect": "Allow",
            "Principal": self.principal.clone().unwrap_or(json!("*")),
            "Action": self.action.as_deref().unwrap_or("s3:GetObject"),
            "Resource": "arn:aws:s3:::b/*",
            "Condition": self.condition.clone().unwrap_or(json!({})),
        }]);
        let version = self.version.as_deref().unwrap_or("2012-10-17");
        json!({ "Version": version, "Statement": self.statements.clone().unwrap_or(statement) })
    }
}

#[test]
fn a_policy_is_public_where_amazon_says_so() {
    let cases: Cases = serde_json::from_str(include_str!("../data/policy_status.json")).unwrap();
    assert!(cases.page.starts_with("https://docs.aws.amazon.com/AmazonS3/"));
    let names: HashSet<_> = cases.cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.cases.len(), "a name is given twice");
    for case in &cases.cases {
        let document = case.document().to_string();
        let policy = Policy::parse(document.as_bytes(), "b");
        let policy = policy.unwrap_or_else(|refused| panic!("{}: {refused}", case.name)).policy;
        assert_eq!(policy.is_public(), case.public, "{}: {document}", case.name);
    }
}

#[test]
fn an_identity_policy_is_never_public() {
    let document = br#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    assert!(!Policy::parse_identity(document).unwrap().policy.is_public());
}
