//! A row for each rule of bucket policies, valid and broken, with Amazon's message and the place.
//!
//! A rule's letter says what it is about, and each child module takes some of the letters.

mod condition;
mod document;
mod statement;

use super::*;

const JSON: &str = "This policy contains invalid Json";
const FIRST_BYTE: &str = "Policies must be valid JSON and the first byte must be '{'";
const TOO_LARGE: &str = "Normalized policy document exceeds the maximum allowed size of 20480 bytes";
const VERSION: &str = "The policy must contain a valid version string";
const SYNTAX: &str = "Invalid policy syntax.";
const NO_PRINCIPAL: &str = "Missing required field Principal cannot be empty!";
const PRINCIPAL: &str = "Invalid principal in policy";
const ACTION: &str = "Policy has invalid action";
const RESOURCE: &str = "Policy has invalid resource";
const NO_FIT: &str = "Action does not apply to any resource(s) in statement";
const KEY_NO_FIT: &str = "Conditions do not apply to combination of actions and resources in statement";
const KEY: &str = "Policy has an invalid condition key";
const IP: &str = "Invalid IP address in Conditions";

/// A policy of bucket `b` with these members in place of those of a plain statement; an empty value takes one out.
fn policy(changes: &[(&str, &str)]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statement(changes))
}

fn statement(changes: &[(&str, &str)]) -> String {
    let plain = [
        ("Effect", r#""Allow""#),
        ("Principal", r#""*""#),
        ("Action", r#""s3:GetObject""#),
        ("Resource", r#""arn:aws:s3:::b/*""#),
    ];
    let kept = plain.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let members: Vec<String> = kept
        .chain(changes)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn aws(principal: &str) -> String {
    policy(&[("Principal", &format!(r#"{{"AWS":{principal}}}"#))])
}

fn condition(condition: &str) -> String {
    policy(&[("Condition", condition)])
}

fn test_valid(rows: &[(&str, Vec<u8>)]) {
    for (rule, body) in rows {
        let text = String::from_utf8_lossy(body);
        if let Err(refused) = Policy::parse(body, "b") {
            panic!("{rule}: {text}\nrefused: {refused:?}");
        }
    }
}

/// Each row: the rule, the body, the message, the detail without its line and column.
fn test_broken(rows: &[(&str, Vec<u8>, &str, &str)]) {
    for (rule, body, message, detail) in rows {
        let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
        let refused = match Policy::parse(body, "b") {
            Err(refused) => refused,
            Ok(_) => panic!("{rule}: {text}\nwas taken"),
        };
        let problem = refused.first().unwrap();
        let found = problem.detail.as_deref().unwrap();
        let found = found.rsplit_once(" (line ").map_or(found, |(detail, _)| detail);
        assert_eq!((problem.message.as_str(), found), (*message, *detail), "{rule}: {text}");
    }
}

fn valid(rule: &'static str, body: impl Into<Vec<u8>>) -> (&'static str, Vec<u8>) {
    (rule, body.into())
}

fn broken<'a>(
    rule: &'a str,
    body: impl Into<Vec<u8>>,
    message: &'a str,
    detail: &'a str,
) -> (&'a str, Vec<u8>, &'a str, &'a str) {
    (rule, body.into(), message, detail)
}

#[test]
fn what_is_surely_not_meant_is_warned_of() {
    let twice = format!(r#"{{"Statement":[{0},{0}]}}"#, statement(&[("Sid", r#""a""#)]));
    let deny = r#""Deny""#;
    for (rule, body, warning, detail) in [
        ("S3", twice, "an earlier statement has this Sid too", r#"Statement 1 (Sid "a"), Sid: "a""#),
        (
            "V4",
            condition(r#"{"Bool":{"aws:SecureTransport":"no"}}"#),
            "this value never matches: it is not true or false",
            r#"Statement NO_ID-0, Condition.Bool.aws:SecureTransport: "no""#,
        ),
        (
            "V4",
            policy(&[("Effect", deny), ("Condition", r#"{"NumericLessThan":{"s3:TlsVersion":["1.2","many"]}}"#)]),
            "this value never matches: it is not a number, so this Deny may not deny what it was written to deny",
            r#"Statement NO_ID-0, Condition.NumericLessThan.s3:TlsVersion[1]: "many""#,
        ),
        (
            "P13",
            policy(&[("Principal", r#"{"Federated":"x"}"#)]),
            "this principal never asks here, so the entry matches nobody",
            r#"Statement NO_ID-0, Principal.Federated: "x""#,
        ),
        (
            "P16",
            aws(r#"["*","111122223333"]"#),
            "\"*\" is among the principals, so the others change nothing",
            "Statement NO_ID-0, Principal",
        ),
        (
            "P17",
            policy(&[("Effect", deny), ("Principal", ""), ("NotPrincipal", r#""*""#)]),
            "this excepts everybody, so nobody is denied",
            "Statement NO_ID-0, NotPrincipal",
        ),
        (
            "P17",
            policy(&[
                ("Effect", deny),
                ("Principal", ""),
                ("NotPrincipal", r#"{"AWS":["111122223333","arn:aws:iam::444455556666:user/a"]}"#),
            ]),
            "a user, role or session that is listed without its account is denied with that account",
            "Statement NO_ID-0, NotPrincipal",
        ),
        (
            "A4",
            policy(&[("Action", r#""s3:CreateBucket""#), ("Resource", r#""arn:aws:s3:::b""#)]),
            "a bucket that has a policy cannot be created again, so the entry matches nothing",
            r#"Statement NO_ID-0, Action: "s3:CreateBucket""#,
        ),
        (
            "C5",
            condition(r#"{"StringEquals":{"aws:Nonsense":"x"}}"#),
            "no such key is known; it is never in a request",
            "Statement NO_ID-0, Condition.StringEquals.aws:Nonsense",
        ),
        (
            "V7",
            policy(&[("Resource", r#""arn:aws:s3:::b/${aws:username""#)]),
            "this \"${\" begins no policy variable and stands for itself",
            r#"Statement NO_ID-0, Resource: "arn:aws:s3:::b/${aws:username""#,
        ),
    ] {
        let warnings = Policy::parse(body.as_bytes(), "b").unwrap().warnings;
        let [found] = warnings.as_slice() else { panic!("{rule}: {warnings:?}") };
        let place = found.detail.as_deref().unwrap().rsplit_once(" (line ").unwrap().0;
        assert_eq!((found.message.as_str(), place), (warning, detail), "{rule}: {body}");
    }
    assert_eq!(Policy::parse(policy(&[]).as_bytes(), "b").unwrap().warnings, []);
}

#[test]
fn every_problem_is_found_and_they_come_in_the_order_of_s3() {
    let body = r#"{
  "Version": "2012",
  "Comment": "x",
  "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b/*"},
    {"Sid": "Two", "Effect": "allow", "Principal": {"AWS": "x"},
     "Action": ["s3:GetObject", "s3:Foo"], "Resource": "*",
     "Condition": {"Sometimes": {"x": "y"}}}
  ]
}"#;
    let refused = Policy::parse(body.as_bytes(), "b").unwrap_err();
    let found: Vec<String> = refused.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "Unknown field Comment: Comment: the elements here are Version, Id, Statement (line 3, column 3)",
            "The policy must contain a valid version string: Version: \"2012\" (line 2, column 14)",
            "Invalid effect: allow: Statement 1 (Sid \"Two\"), Effect: \"allow\" (line 6, column 30)",
            "Invalid principal in policy: Statement 1 (Sid \"Two\"), Principal.AWS: \"x\" (line 6, column 60)",
            "Policy has invalid action: Statement 1 (Sid \"Two\"), Action[1]: \"s3:Foo\" (line 7, column 33)",
            "Policy has invalid resource: Statement 1 (Sid \"Two\"), Resource: \"*\" (line 7, column 56)",
            "Invalid Condition type : Sometimes: Statement 1 (Sid \"Two\"), Condition.Sometimes: no such operator (line 8, column 20)",
            "Policy has an invalid condition key: Statement 1 (Sid \"Two\"), Condition.Sometimes.x: a key is a service's prefix and a name, and a tag's name where it speaks of a tag (line 8, column 34)",
            "Action does not apply to any resource(s) in statement: Statement NO_ID-0, Action: \"s3:ListBucket\" (line 5, column 53)",
        ]
    );
    assert_eq!(refused.to_string(), found[0]);
}

#[test]
fn a_flood_of_problems_is_listed_in_part() {
    let body = format!(r#"{{"Statement":[{}1]}}"#, "1,".repeat(30_000));
    assert_eq!(Policy::parse(body.as_bytes(), "b").unwrap_err().problems().len(), 100);
}

#[test]
fn long_texts_are_quoted_in_part() {
    let body = policy(&[("Sid", &format!("\"{}\"", "ü".repeat(500))), ("Action", &format!("\"{}\"", "x".repeat(500)))]);
    let refused = Policy::parse(body.as_bytes(), "b").unwrap_err();
    let detail = refused.first().unwrap().detail.clone().unwrap();
    assert!(detail.contains("üüü…), Action: \"xxx") && detail.chars().count() < 320, "{detail}");
}

/// Escaped as JSON escapes it, wherever it stands: the text goes to terminals and logs.
#[test]
fn no_control_character_of_a_document_reaches_its_description() {
    let escape = r"\u001b[31m\u0000\n\u009b";
    let raw = "\u{9b}31m\u{7f}";
    for body in [
        format!(r#"{{"{escape}":1,"Statement":[]}}"#),
        format!(r#"{{"{escape}":1,"{escape}":2}}"#),
        format!(r#"{{"{raw}":1,"{raw}":2}}"#),
        raw.to_owned(),
        policy(&[("Effect", &format!("\"{escape}\"")), ("Sid", &format!("\"{escape}\""))]),
        policy(&[("Action", &format!("[\"{escape}\",\"{raw}\"]"))]),
        policy(&[("Condition", &format!(r#"{{"{escape}":{{"{raw}":"{escape}"}}}}"#))]),
        aws(&format!("[\"{escape}\",\"{raw}\"]")),
        policy(&[("Principal", &format!(r#"{{"{escape}":1}}"#))]),
    ] {
        let refused = Policy::parse(body.as_bytes(), "b").unwrap_err();
        for problem in refused.problems() {
            assert!(!problem.to_string().contains(char::is_control), "{problem:?}");
        }
    }
    let refused = Policy::parse(policy(&[("Effect", r#""\u001b[2J""#)]).as_bytes(), "b").unwrap_err();
    assert_eq!(refused.first().unwrap().message, r"Invalid effect: \u001b[2J");
}

#[test]
fn identity_policies_speak_of_any_service_and_bucket() {
    let identity = |effect_and_rest: &str| {
        format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow",{effect_and_rest}}}}}"#)
    };
    for body in [
        identity(r#""Action":"s3:*BucketPolicy","Resource":"*""#),
        identity(
            r#""Action":["iam:*","s3:GetObject","*"],"Resource":["arn:aws:s3:::*","arn:aws:sqs:us-east-1:111122223333:q"]"#,
        ),
        identity(r#""NotAction":"iam:*","NotResource":"arn:aws:s3:::a/${aws:username}/*""#),
        identity(r#""Sid":"not alnum","Action":"s3:ListAllMyBuckets","Resource":"arn:aws:s3:::*""#),
        identity(r#""Action":"s3:NoSuchThing","Resource":"*","Condition":{"StringEquals":{"kms:x":"y","s3:x":"y"}}"#),
        identity(
            r#""Action":"s3:GetObject","Resource":"arn:aws:s3:::b","Condition":{"StringEquals":{"s3:prefix":"y"}}"#,
        ),
        identity(&format!(r#""Action":"s3:*","Resource":"arn:aws:s3:::b/{}""#, "x".repeat(70_000))),
    ] {
        assert!(
            Policy::parse_identity(body.as_bytes()).is_ok(),
            "{:.300}: {:?}",
            body,
            Policy::parse_identity(body.as_bytes())
        );
    }
    for (body, message) in [
        (String::from("\n{}"), FIRST_BYTE),
        (String::from("{}"), "Missing required field Statement"),
        (
            identity(r#""Principal":"*","Action":"s3:*","Resource":"*""#),
            "Policy document should not specify a principal.",
        ),
        (
            identity(r#""NotPrincipal":"*","Action":"s3:*","Resource":"*""#),
            "Policy document should not specify a principal.",
        ),
        (
            identity(r#""Action":"GetObject","Resource":"*""#),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            identity(r#""Action":[],"Resource":"*""#),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (identity(r#""Action":"s3:*","Resource":"b/*""#), "Resource b/* must be in ARN format or \"*\"."),
        (identity(r#""Action":"s3:*""#), "Missing required field Resource"),
        (identity(r#""Action":"s3:*","Resource":"*","Condition":{"NoSuch":{}}"#), "Invalid Condition type : NoSuch"),
    ] {
        let refused = Policy::parse_identity(body.as_bytes()).unwrap_err();
        assert_eq!(refused.first().unwrap().message, message, "{body}");
    }
}
