//! A row for each rule of bucket policies, valid and broken, with Amazon's message and the place.
//!
//! Rules: J the bytes and JSON, Z size, D document, S statement, P principal, A action, R resource, F how these fit, C condition,
//! V values and variables.

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
fn j_bytes_and_json() {
    let plain = policy(&[]);
    test_valid(&[
        valid("J5", format!("{plain} \r\n\t ")),
        valid(
            "J9",
            plain
                .replace(',', " ,\r\n\t ")
                .replace(':', " : ")
                .replace("s3 : GetObject", "s3:GetObject")
                .replace("arn : aws : s3 :  :  : b", "arn:aws:s3:::b"),
        ),
        valid("J10", plain.replace("s3:GetObject", r"s3\u003aGetObject").replace("Effect", r"\u0045ffect")),
    ]);
    let deep = format!("{{\"Statement\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let smuggled =
        policy(&[("Condition", r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8","aws:sourceip":"0.0.0.0/0"}}"#)]);
    let twice = policy(&[("Condition", r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8","aws:SourceIp":"0.0.0.0/0"}}"#)]);
    let mut rows = vec![
        broken("J1", "", FIRST_BYTE, "The document is empty"),
        broken("J2", format!("\n{plain}"), FIRST_BYTE, "The document begins with white space"),
        broken("J2", format!("\u{feff}{plain}"), FIRST_BYTE, "The document begins with a byte order mark"),
        broken("J3", "[]", FIRST_BYTE, "The document begins with \"[\""),
        broken("J3", "\"x\"", FIRST_BYTE, r#"The document begins with "\"""#),
        broken("J3", "null", FIRST_BYTE, "The document begins with \"n\""),
        broken("J3", "1", FIRST_BYTE, "The document begins with \"1\""),
        broken("J5", format!("{plain}{plain}"), JSON, "trailing characters"),
        broken("J5", format!("{plain}x"), JSON, "trailing characters"),
        broken("J6", r#"{"Version":"2012-10-17","Version":"2012-10-17"}"#, JSON, "duplicate element \"Version\""),
        broken(
            "J6",
            plain.replace("\"Effect\"", r#""\u0041ction":"s3:*","Effect""#),
            JSON,
            "duplicate element \"Action\"",
        ),
        broken("J6", twice, JSON, "duplicate element \"aws:SourceIp\""),
        broken(
            "J6",
            smuggled,
            JSON,
            "Statement NO_ID-0, Condition.IpAddress.aws:sourceip: the same key as before, but for the case of its letters",
        ),
        broken("J7", b"{\"Version\":\"\xff\"}", JSON, "Not UTF-8"),
        broken("J7", r#"{"Id":"\ud800"}"#, JSON, "unexpected end of hex escape"),
        broken("J8", deep, JSON, "nested deeper than 16 levels"),
        broken("J8", "{\"Statement\":[[[[[[[[[[[[", JSON, "EOF while parsing a list"),
    ];
    for (body, reason) in [
        (r#"{"Version":"2012-10-17",}"#, "key must be a string"),
        (r#"{"Statement":[1,]}"#, "expected value"),
        (r#"{/* */"Version":"2012-10-17"}"#, "key must be a string"),
        (r#"{'Version':1}"#, "key must be a string"),
        (r#"{Version:1}"#, "key must be a string"),
        (r#"{"Id":NaN}"#, "expected value"),
        (r#"{"Id":0x1}"#, "expected `,` or `}`"),
        (r#"{"Id":+1}"#, "expected value"),
        (r#"{"Id":01}"#, "invalid number"),
        ("{\"Id\":\"a\tb\"}", "control character (\\u0000-\\u001F) found while parsing a string"),
        (r#"{"Id":"\x"}"#, "invalid escape"),
        (r#"{"Id":"x""#, "EOF while parsing an object"),
        ("{", "EOF while parsing an object"),
    ] {
        rows.push(broken("J4", body, JSON, reason));
    }
    test_broken(&rows);
}

#[test]
fn z_size() {
    let with_sid = |text: &str| policy(&[("Sid", &format!("\"{text}\""))]);
    let sized = |length: usize| with_sid(&"x".repeat(length - with_sid("").len()));
    // Written as 15 bytes each, and normalised to 33.
    let accounts = |count: usize| aws(&format!("[{}]", vec!["\"111122223333\""; count].join(",")));
    let (plain, grown) = (policy(&[]), accounts(700));
    let at_cap = format!("{plain}{}", " ".repeat(MAX_BODY - plain.len()));
    assert!(sized(20_480).len() == MAX_NORMALIZED && grown.len() < MAX_NORMALIZED);
    test_valid(&[
        valid("Z1", sized(20_480)),
        valid("Z2", format!("{}{}", sized(20_480), " ".repeat(40_000))),
        valid("Z2", with_sid(&r"\u0078".repeat(10_000))),
        valid("Z4", at_cap.clone()),
    ]);
    let length = PolicyDocument::parse(grown.as_bytes()).unwrap().normalized().len();
    test_broken(&[
        broken("Z1", sized(20_481), TOO_LARGE, "The normalised document has 20481 bytes"),
        broken("Z1", grown, TOO_LARGE, &format!("The normalised document has {length} bytes")),
        broken("Z4", format!("{at_cap} "), TOO_LARGE, "The document has 65537 bytes; no more than 65536 are read"),
    ]);
}

#[test]
fn d_document() {
    let plain = statement(&[]);
    test_valid(&[
        valid("D3", format!(r#"{{"Statement":[{plain}]}}"#)),
        valid("D4", format!(r#"{{"Version":"2008-10-17","Statement":[{plain}]}}"#)),
        valid("D5", format!(r#"{{"Id":"any text, {{}} — ü","Statement":[{plain}]}}"#)),
        valid("D5", format!(r#"{{"Id":"","Statement":[{plain}]}}"#)),
        valid("D7", format!(r#"{{"Statement":{plain}}}"#)),
        valid("D7", format!(r#"{{"Statement":[{plain},{plain}]}}"#)),
    ]);
    let version = |value: &str| format!(r#"{{"Version":{value},"Statement":[{plain}]}}"#);
    let statements = |value: &str| format!(r#"{{"Version":"2012-10-17","Statement":{value}}}"#);
    test_broken(&[
        broken(
            "D1",
            r#"{"statement":[]}"#,
            "Unknown field statement",
            "statement: the elements here are Version, Id, Statement",
        ),
        broken(
            "D1",
            policy(&[("condition", "{}")]),
            "Unknown field condition",
            "Statement NO_ID-0, condition: the elements here are Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition",
        ),
        broken(
            "D2",
            format!(r#"{{"Comment":"x","Statement":[{plain}]}}"#),
            "Unknown field Comment",
            "Comment: the elements here are Version, Id, Statement",
        ),
        broken("D4", version(r#""2012-10-18""#), VERSION, r#"Version: "2012-10-18""#),
        broken("D4", version(r#""""#), VERSION, r#"Version: """#),
        broken("D4", version("2012"), VERSION, "Version: 2012"),
        broken("D4", version("null"), VERSION, "Version: null"),
        broken("D5", format!(r#"{{"Id":7,"Statement":[{plain}]}}"#), SYNTAX, "Id: 7"),
        broken(
            "D6",
            r#"{"Version":"2012-10-17"}"#,
            "Missing required field Statement",
            "The document has no Statement",
        ),
        broken("D6", "{}", "Missing required field Statement", "The document has no Statement"),
        broken("D7", statements(r#""x""#), SYNTAX, r#"Statement: "x""#),
        broken("D7", statements("null"), SYNTAX, "Statement: null"),
        broken("D7", statements("[[]]"), SYNTAX, "Statement[0]: []"),
        broken("D7", statements(&format!(r#"[{plain},"x"]"#)), SYNTAX, r#"Statement[1]: "x""#),
        broken("D8", statements("[]"), "Could not parse the policy: Statement is empty!", "Statement: []"),
    ]);
}

#[test]
fn s_statement() {
    test_valid(&[
        valid("S2", policy(&[("Sid", r#""Read only, v1.0 - all""#)])),
        valid("S2", policy(&[("Sid", r#""""#)])),
        valid("S3", format!(r#"{{"Statement":[{0},{0}]}}"#, statement(&[("Sid", r#""a""#)]))),
        valid("S5", policy(&[("Effect", r#""Deny""#)])),
        valid("S7", policy(&[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", r#""*""#)])),
        valid("S7", policy(&[("Action", ""), ("NotAction", r#""s3:GetObject""#)])),
        valid("S7", policy(&[("Resource", ""), ("NotResource", r#""arn:aws:s3:::b/x""#)])),
        valid("S11", policy(&[])),
    ]);
    let elements = "Actions: the elements here are Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition";
    let named = |rest: &str| format!("Statement 0 (Sid \"ReadOnly\"), {rest}");
    test_broken(&[
        broken("S1", policy(&[("Actions", "[]"), ("Sid", r#""ReadOnly""#)]), "Unknown field Actions", &named(elements)),
        broken("S2", policy(&[("Sid", "1")]), SYNTAX, "Statement NO_ID-0, Sid: 1"),
        broken("S2", policy(&[("Sid", "null")]), SYNTAX, "Statement NO_ID-0, Sid: null"),
        broken("S2", policy(&[("Sid", "[]")]), SYNTAX, "Statement NO_ID-0, Sid: []"),
        broken(
            "S4",
            policy(&[("Effect", "")]),
            "Missing required field Effect",
            "Statement NO_ID-0: there is no Effect",
        ),
        broken(
            "S5",
            policy(&[("Effect", r#""allow""#)]),
            "Invalid effect: allow",
            r#"Statement NO_ID-0, Effect: "allow""#,
        ),
        broken(
            "S5",
            policy(&[("Effect", r#""ALLOW""#)]),
            "Invalid effect: ALLOW",
            r#"Statement NO_ID-0, Effect: "ALLOW""#,
        ),
        broken("S5", policy(&[("Effect", r#""""#)]), "Invalid effect: ", r#"Statement NO_ID-0, Effect: """#),
        broken("S6", policy(&[("Effect", r#"["Allow"]"#)]), SYNTAX, r#"Statement NO_ID-0, Effect: ["Allow"]"#),
        broken("S6", policy(&[("Effect", "true")]), SYNTAX, "Statement NO_ID-0, Effect: true"),
        broken("S6", policy(&[("Effect", "null")]), SYNTAX, "Statement NO_ID-0, Effect: null"),
        broken(
            "S7",
            policy(&[("NotPrincipal", r#""*""#)]),
            SYNTAX,
            "Statement NO_ID-0, NotPrincipal: there is Principal in the same statement",
        ),
        broken(
            "S7",
            policy(&[("NotAction", r#""s3:*""#)]),
            SYNTAX,
            "Statement NO_ID-0, NotAction: there is Action in the same statement",
        ),
        broken(
            "S7",
            policy(&[("NotResource", r#""arn:aws:s3:::b""#)]),
            SYNTAX,
            "Statement NO_ID-0, NotResource: there is Resource in the same statement",
        ),
        broken(
            "S8",
            policy(&[("Principal", "")]),
            "Missing required field Principal",
            "Statement NO_ID-0: there is neither Principal nor NotPrincipal",
        ),
        broken(
            "S9",
            policy(&[("Action", "")]),
            "Missing required field Action",
            "Statement NO_ID-0: there is neither Action nor NotAction",
        ),
        broken(
            "S10",
            policy(&[("Resource", "")]),
            "Missing required field Resource",
            "Statement NO_ID-0: there is neither Resource nor NotResource",
        ),
    ]);
}

#[test]
fn p_principal() {
    let canonical = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
    let of_kind = |kind: &str, value: &str| policy(&[("Principal", &format!(r#"{{"{kind}":{value}}}"#))]);
    let mut rows = vec![
        valid(
            "P5",
            policy(&[(
                "Principal",
                &format!(
                    r#"{{"AWS":["111122223333","*"],"CanonicalUser":"{canonical}","Service":["logging.s3.amazonaws.com"]}}"#
                ),
            )]),
        ),
        valid("P12", of_kind("CanonicalUser", &format!(r#"["{canonical}"]"#))),
        valid("P13", of_kind("Federated", r#""cognito-identity.amazonaws.com""#)),
        valid(
            "P14",
            of_kind("Service", r#"["cloudtrail.amazonaws.com","logs.eu-west-1.amazonaws.com","ec2.amazonaws.com.cn"]"#),
        ),
        valid("P16", aws(r#""*""#)),
        valid("P16", aws(r#"["*"]"#)),
        valid("P16", aws(r#"["*","arn:aws:iam::111122223333:root"]"#)),
        valid(
            "P17",
            policy(&[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", r#"{"AWS":"111122223333"}"#)]),
        ),
    ];
    for principal in [
        "*",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:user/team/blue/a+l=i,c.e@x_y-z",
        "arn:aws:iam::111122223333:role/ci",
        "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
        "arn:aws:sts::111122223333:assumed-role/ci/session@1",
        "arn:aws:sts::111122223333:federated-user/bob",
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity EH1HDMB1FH2TC",
    ] {
        rows.push(valid("P7", aws(&format!("\"{principal}\""))));
    }
    test_valid(&rows);

    let whole = |value: &str| policy(&[("Principal", value)]);
    let not = |value: &str| policy(&[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", value)]);
    let mut rows = vec![
        broken(
            "P1",
            whole(r#""arn:aws:iam::111122223333:root""#),
            SYNTAX,
            r#"Statement NO_ID-0, Principal: "arn:aws:iam::111122223333:root""#,
        ),
        broken("P1", whole(r#""111122223333""#), SYNTAX, r#"Statement NO_ID-0, Principal: "111122223333""#),
        broken("P1", whole("null"), SYNTAX, "Statement NO_ID-0, Principal: null"),
        broken("P2", whole(r#"["*"]"#), SYNTAX, r#"Statement NO_ID-0, Principal: ["*"]"#),
        broken("P3", whole(r#""""#), NO_PRINCIPAL, r#"Statement NO_ID-0, Principal: """#),
        broken("P3", whole("{}"), NO_PRINCIPAL, "Statement NO_ID-0, Principal: {}"),
        broken(
            "P4",
            whole(r#"{"aws":"*"}"#),
            PRINCIPAL,
            "Statement NO_ID-0, Principal.aws: the kinds are AWS, CanonicalUser, Federated, Service",
        ),
        broken(
            "P4",
            whole(r#"{"User":"*"}"#),
            PRINCIPAL,
            "Statement NO_ID-0, Principal.User: the kinds are AWS, CanonicalUser, Federated, Service",
        ),
        broken("P6", aws("[]"), PRINCIPAL, "Statement NO_ID-0, Principal.AWS: []"),
        broken("P6", aws("[1]"), PRINCIPAL, "Statement NO_ID-0, Principal.AWS[0]: 1"),
        broken("P6", aws("null"), PRINCIPAL, "Statement NO_ID-0, Principal.AWS: null"),
        broken("P6", aws(r#"["*",["*"]]"#), PRINCIPAL, r#"Statement NO_ID-0, Principal.AWS[1]: ["*"]"#),
        broken(
            "P12",
            of_kind("CanonicalUser", r#""*""#),
            PRINCIPAL,
            r#"Statement NO_ID-0, Principal.CanonicalUser: "*""#,
        ),
        broken(
            "P14",
            of_kind("Service", r#""cloudtrail""#),
            PRINCIPAL,
            r#"Statement NO_ID-0, Principal.Service: "cloudtrail""#,
        ),
        broken("P14", of_kind("Service", r#""*""#), PRINCIPAL, r#"Statement NO_ID-0, Principal.Service: "*""#),
        broken(
            "P14",
            of_kind("Service", r#"".amazonaws.com""#),
            PRINCIPAL,
            r#"Statement NO_ID-0, Principal.Service: ".amazonaws.com""#,
        ),
        broken(
            "P17",
            not(r#"{"AWS":"arn:aws:iam::111122223333:user/*"}"#),
            PRINCIPAL,
            r#"Statement NO_ID-0, NotPrincipal.AWS: "arn:aws:iam::111122223333:user/*""#,
        ),
        broken("P17", not("{}"), NO_PRINCIPAL, "Statement NO_ID-0, NotPrincipal: {}"),
        broken(
            "P18",
            policy(&[("Principal", ""), ("NotPrincipal", r#"{"AWS":"111122223333"}"#)]),
            "Allow with NotPrincipal is not allowed.",
            r#"Statement NO_ID-0, NotPrincipal: {"AWS":"111122223333"}"#,
        ),
    ];
    let (short, long) = (canonical.trim_start_matches('7'), format!("{canonical}0"));
    let refused: Vec<(&str, &str)> = [
        ("P8", "arn:aws:iam::111122223333:user/*"),
        ("P8", "arn:aws:iam::111122223333:role/dev*"),
        ("P8", "arn:aws:iam::*:root"),
        ("P8", "arn:aws:sts::111122223333:assumed-role/R/*"),
        ("P8", "1111*"),
        ("P8", "arn:aws:iam::111122223333:user/a?b"),
        ("P9", "11112222333"),
        ("P9", "1111222233334"),
        ("P9", "11112222333a"),
        ("P9", "arn:aws:iam::11112222333:root"),
        ("P10", "arn:aws:iam::111122223333:user/"),
        ("P10", "arn:aws:iam::111122223333:user"),
        ("P10", "arn:aws:iam::111122223333:group/admins"),
        ("P10", "arn:aws:iam::111122223333:instance-profile/x"),
        ("P10", "arn:aws:iam::111122223333:policy/x"),
        ("P10", "arn:aws:iam::111122223333:"),
        ("P10", "arn:aws:iam::111122223333:root/"),
        ("P10", "arn:aws:sts::111122223333:assumed-role/R"),
        ("P10", "arn:aws:sts::111122223333:user/alice"),
        ("P10", "arn:aws:iam::cloudfront:user/alice"),
        ("P11", "arn:aws:iam::111122223333:user/${aws:username}"),
        ("P7", "arn:aws-cn:iam::111122223333:root"),
        ("P7", "alice"),
        ("P7", ""),
    ]
    .to_vec();
    let details: Vec<String> =
        refused.iter().map(|(_, text)| format!("Statement NO_ID-0, Principal.AWS: \"{text}\"")).collect();
    for ((rule, text), detail) in refused.iter().zip(&details) {
        rows.push(broken(rule, aws(&format!("\"{text}\"")), PRINCIPAL, detail));
    }
    let details =
        [short, &long].map(|text| (text.to_owned(), format!("Statement NO_ID-0, Principal.CanonicalUser: \"{text}\"")));
    for (text, detail) in &details {
        rows.push(broken("P12", of_kind("CanonicalUser", &format!("\"{text}\"")), PRINCIPAL, detail));
    }
    test_broken(&rows);
}

#[test]
fn a_action() {
    let both = r#"["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#;
    let action = |value: &str| policy(&[("Action", value), ("Resource", both)]);
    test_valid(&[
        valid("A1", action(r#"["s3:GetObject","s3:ListBucket"]"#)),
        valid("A2", action(r#""*""#)),
        valid("A2", action(r#""S3:getobject""#)),
        valid("A5", action(r#""s3:Get*""#)),
        valid("A5", action(r#""s3:?etObject""#)),
        valid("A5", action(r#""s3:*Policy*""#)),
        valid("A7", action(r#"["s3:GetObject","s3:GetObject","s3:*"]"#)),
        valid("A8", policy(&[("Action", ""), ("NotAction", r#"["s3:DeleteBucket"]"#)])),
    ]);
    let mut rows = vec![
        broken("A1", action("[]"), ACTION, "Statement NO_ID-0, Action: []"),
        broken("A1", action("{}"), ACTION, "Statement NO_ID-0, Action: {}"),
        broken("A1", action("1"), ACTION, "Statement NO_ID-0, Action: 1"),
        broken("A1", action("null"), SYNTAX, "Statement NO_ID-0, Action: null"),
        broken("A1", action(r#"[["s3:GetObject"]]"#), ACTION, r#"Statement NO_ID-0, Action[0]: ["s3:GetObject"]"#),
        broken("A4", action(r#"["s3:GetObject","s3:Foo"]"#), ACTION, r#"Statement NO_ID-0, Action[1]: "s3:Foo""#),
        broken(
            "A8",
            policy(&[("Action", ""), ("NotAction", r#""s3:Nope""#)]),
            ACTION,
            r#"Statement NO_ID-0, NotAction: "s3:Nope""#,
        ),
    ];
    let refused = [
        ("A1", ""),
        ("A2", "GetObject"),
        ("A2", "s3"),
        ("A2", "s3:"),
        ("A2", "s3::GetObject"),
        ("A2", "s3:Put-Object"),
        ("A2", "s3*"),
        ("A2", "*:*"),
        ("A2", "s?:GetObject"),
        ("A2", " s3:GetObject"),
        ("A3", "ec2:RunInstances"),
        ("A3", "s3-object-lambda:GetObject"),
        ("A3", "s3express:*"),
        ("A4", "s3:HeadBucket"),
        ("A4", "s3:ListObjectsV2"),
        ("A4", "s3:PutObjectLockConfiguration"),
        ("A4", "s3:CopyObject"),
        ("A4", "s3:${aws:username}"),
        ("A5", "s3:Foo*"),
        ("A5", "s3:????"),
        ("A6", "s3:ListAllMyBuckets"),
        ("A6", "s3:CreateJob"),
        ("A6", "s3:*Job"),
    ];
    let details = refused.map(|(_, text)| format!("Statement NO_ID-0, Action: \"{text}\""));
    for ((rule, text), detail) in refused.iter().zip(&details) {
        rows.push(broken(rule, action(&format!("\"{text}\"")), ACTION, detail));
    }
    test_broken(&rows);
}

#[test]
fn r_resource() {
    let resource = |value: &str| policy(&[("Action", r#""s3:*""#), ("Resource", value)]);
    test_valid(&[
        valid("R1", resource(r#"["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#)),
        valid("R2", resource(r#""arn:aws:s3:::b""#)),
        valid("R2", resource(r#""arn:aws:s3:::b/""#)),
        valid("R6", resource(r#""arn:aws:s3:::b/a//ü*?/../${aws:username}/${*}""#)),
        valid("R8", resource(r#"["arn:aws:s3:::b","arn:aws:s3:::b"]"#)),
        valid("R9", policy(&[("Resource", ""), ("NotResource", r#""arn:aws:s3:::b/x""#)])),
    ]);
    let mut rows = vec![
        broken("R1", resource("[]"), RESOURCE, "Statement NO_ID-0, Resource: []"),
        broken("R1", resource("{}"), RESOURCE, "Statement NO_ID-0, Resource: {}"),
        broken("R1", resource("null"), SYNTAX, "Statement NO_ID-0, Resource: null"),
        broken("R7", resource(r#"["arn:aws:s3:::b/*","*"]"#), RESOURCE, r#"Statement NO_ID-0, Resource[1]: "*""#),
        broken(
            "R9",
            policy(&[("Resource", ""), ("NotResource", r#""*""#)]),
            RESOURCE,
            r#"Statement NO_ID-0, NotResource: "*""#,
        ),
    ];
    let refused = [
        ("R1", ""),
        ("R2", "arn:aws:s3:::other/*"),
        ("R2", "arn:aws:s3:::b2"),
        ("R2", "b/*"),
        ("R3", "*"),
        ("R3", "arn:aws:s3:::*"),
        ("R4", "arn:aws:s3:us-east-1::b/*"),
        ("R4", "arn:aws:s3::111122223333:b/*"),
        ("R4", "ARN:aws:s3:::b"),
        ("R4", "arn:aws:sqs:::b"),
        ("R5", "arn:aws:s3:::B/*"),
        ("R5", "arn:aws:s3:::b*"),
        ("R5", "arn:aws:s3:::?"),
        ("R5", "arn:aws:s3:::${x}"),
    ];
    let details = refused.map(|(_, text)| format!("Statement NO_ID-0, Resource: \"{text}\""));
    for ((rule, text), detail) in refused.iter().zip(&details) {
        rows.push(broken(rule, resource(&format!("\"{text}\"")), RESOURCE, detail));
    }
    test_broken(&rows);
}

#[test]
fn f_what_goes_together() {
    let fit = |action: &str, resource: &str| policy(&[("Action", action), ("Resource", resource)]);
    let (bucket, objects) = (r#""arn:aws:s3:::b""#, r#""arn:aws:s3:::b/*""#);
    let both = r#"["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#;
    let keyed =
        |action: &str, condition: &str| policy(&[("Action", action), ("Resource", both), ("Condition", condition)]);
    let prefix = r#"{"StringLike":{"s3:prefix":"home/*"}}"#;
    test_valid(&[
        valid("F1", fit(r#"["s3:GetObject","s3:ListBucket"]"#, both)),
        valid("F2", fit(r#""s3:*""#, bucket)),
        valid("F2", fit(r#""s3:*""#, objects)),
        valid("F2", fit(r#""*""#, objects)),
        valid("F2", fit(r#""s3:Get*""#, bucket)),
        valid("F2", fit(r#""s3:*Multipart*""#, bucket)),
        valid("F3", fit(r#""s3:GetObject""#, both)),
        valid("F4", policy(&[("Action", ""), ("NotAction", r#""s3:GetObject""#), ("Resource", bucket)])),
        valid("F4", policy(&[("Action", r#""s3:ListBucket""#), ("Resource", ""), ("NotResource", objects)])),
        valid("F4", policy(&[("Action", ""), ("NotAction", r#""s3:PutObject""#), ("Condition", prefix)])),
        valid("F5", keyed(r#""s3:ListBucket""#, prefix)),
        valid("F5", keyed(r#"["s3:ListBucket","s3:Get*"]"#, prefix)),
        valid("F5", keyed(r#""s3:*""#, prefix)),
        valid("F5", keyed(r#""s3:GetObject""#, r#"{"StringLike":{"aws:RequestTag/x":"y"}}"#)),
        valid(
            "F6",
            keyed(
                r#"["s3:GetObject","s3:PutBucketPolicy"]"#,
                r#"{"StringEquals":{"s3:authType":"POST","s3:signatureversion":"AWS4-HMAC-SHA256"},"NumericLessThan":{"s3:TlsVersion":"1.2","s3:signatureAge":600000}}"#,
            ),
        ),
    ]);
    let of_prefix =
        |action: &str| format!("Statement NO_ID-0, Condition.StringLike.s3:prefix: {action} does not have this key");
    test_broken(&[
        broken("F1", fit(r#""s3:ListBucket""#, objects), NO_FIT, r#"Statement NO_ID-0, Action: "s3:ListBucket""#),
        broken("F1", fit(r#""s3:GetObject""#, bucket), NO_FIT, r#"Statement NO_ID-0, Action: "s3:GetObject""#),
        broken(
            "F1",
            fit(r#"["s3:GetObject","s3:ListBucket"]"#, objects),
            NO_FIT,
            r#"Statement NO_ID-0, Action[1]: "s3:ListBucket""#,
        ),
        broken("F2", fit(r#""s3:GetObject*""#, bucket), NO_FIT, r#"Statement NO_ID-0, Action: "s3:GetObject*""#),
        broken("F2", fit(r#""s3:GetBucket*""#, objects), NO_FIT, r#"Statement NO_ID-0, Action: "s3:GetBucket*""#),
        broken("F5", keyed(r#""s3:GetObject""#, prefix), KEY_NO_FIT, &of_prefix("s3:GetObject")),
        broken(
            "F5",
            keyed(r#"["s3:ListBucket","s3:GetBucketLocation"]"#, prefix),
            KEY_NO_FIT,
            &of_prefix("s3:GetBucketLocation"),
        ),
        broken(
            "F5",
            keyed(r#"["s3:GetObject","s3:PutObject"]"#, r#"{"StringEquals":{"s3:ExistingObjectTag/x":"y"}}"#),
            KEY_NO_FIT,
            "Statement NO_ID-0, Condition.StringEquals.s3:ExistingObjectTag/x: s3:PutObject does not have this key",
        ),
        broken(
            "F6",
            keyed(r#""s3:ListBucketMultipartUploads""#, prefix),
            KEY_NO_FIT,
            &of_prefix("s3:ListBucketMultipartUploads"),
        ),
    ]);
}

#[test]
fn c_condition() {
    let mut rows = vec![
        valid("C1", condition("{}")),
        valid("C1", condition(r#"{"Bool":{}}"#)),
        valid(
            "C1",
            condition(
                r#"{"Bool":{"aws:SecureTransport":false},"NumericLessThan":{"aws:MultiFactorAuthAge":3600.5},"StringLike":{"aws:UserAgent":["a",1,true]}}"#,
            ),
        ),
        valid("C5", condition(r#"{"StringEquals":{"AWS:referer":"x","aws:NoSuchKey":"y"}}"#)),
        valid("C7", condition(r#"{"StringEquals":{"s3:ExistingObjectTag/Team":"x","s3:ExistingObjectTag/team":"y"}}"#)),
        valid("C9", condition(r#"{"StringEquals":{"saml:sub":"x","ec2:SourceInstanceArn":"y"}}"#)),
    ];
    for operator in
        ["StringEquals", "StringNotLikeIfExists", "ForAnyValue:StringLike", "ForAllValues:StringEqualsIfExists"]
    {
        rows.push(valid("C2-C4", condition(&format!(r#"{{"{operator}":{{"aws:UserAgent":"x"}}}}"#))));
    }
    test_valid(&rows);

    let keyed = |key: &str| condition(&format!(r#"{{"StringEquals":{{"aws:UserAgent":"x","{key}":"x"}}}}"#));
    let mut rows = vec![
        broken("C1", condition("[]"), SYNTAX, "Statement NO_ID-0, Condition: []"),
        broken("C1", condition(r#""x""#), SYNTAX, r#"Statement NO_ID-0, Condition: "x""#),
        broken("C1", condition("null"), SYNTAX, "Statement NO_ID-0, Condition: null"),
        broken("C1", condition(r#"{"Bool":true}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool: true"),
        broken("C1", condition(r#"{"Bool":{"aws:k":null}}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool.aws:k: null"),
        broken("C1", condition(r#"{"Bool":{"aws:k":{}}}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool.aws:k: {}"),
        broken("C1", condition(r#"{"Bool":{"aws:k":[]}}"#), SYNTAX, "Statement NO_ID-0, Condition.Bool.aws:k: []"),
        broken(
            "C1",
            condition(r#"{"Bool":{"aws:k":[["a"]]}}"#),
            SYNTAX,
            r#"Statement NO_ID-0, Condition.Bool.aws:k[0]: ["a"]"#,
        ),
        broken(
            "C8",
            keyed(""),
            KEY,
            "Statement NO_ID-0, Condition.StringEquals.: a key is a service's prefix and a name, and a tag's name where it speaks of a tag",
        ),
    ];
    let operators = [
        ("C2", "StringEqual"),
        ("C2", "stringequals"),
        ("C2", "Ipaddress"),
        ("C2", "BoolEquals"),
        ("C2", "StringMatch"),
        ("C3", "NullIfExists"),
        ("C3", "StringEqualsIfexists"),
        ("C4", "ForSomeValues:StringLike"),
        ("C4", "foranyvalue:StringLike"),
    ]
    .map(|(rule, name)| {
        let detail = format!("Statement NO_ID-0, Condition.{name}: no such operator");
        (rule, name, format!("Invalid Condition type : {name}"), detail)
    });
    for (rule, name, message, detail) in &operators {
        rows.push(broken(rule, condition(&format!(r#"{{"{name}":{{"aws:UserAgent":"x"}}}}"#)), message, detail));
    }
    let incomplete = "a key is a service's prefix and a name, and a tag's name where it speaks of a tag";
    let keys = [
        ("C6", "s3:VersionStatus", "no such key"),
        ("C6", "s3:x-acl", "no such key"),
        ("C6", "s3:Prefix2", "no such key"),
        ("C6", "s3:AccessGrantScope", "a key of batch jobs and access grants, which bucket policies cannot use"),
        ("C7", "s3:ExistingObjectTag", incomplete),
        ("C8", "prefix", incomplete),
        ("C9", "kms:ViaService", "no such key"),
    ]
    .map(|(rule, key, what)| (rule, key, format!("Statement NO_ID-0, Condition.StringEquals.{key}: {what}")));
    for (rule, key, detail) in &keys {
        // The second key of its operator: C10.
        rows.push(broken(rule, keyed(key), KEY, detail));
    }
    test_broken(&rows);
}

#[test]
fn v_values_and_variables() {
    let ip = |value: &str| condition(&format!(r#"{{"IpAddress":{{"aws:SourceIp":{value}}}}}"#));
    test_valid(&[
        valid("V1", ip(r#"["10.0.0.7/8","2001:db8::/32","::1"]"#)),
        valid("V1", condition(r#"{"NotIpAddressIfExists":{"aws:VpcSourceIp":"10.0.0.0/8"}}"#)),
        valid("V1", condition(r#"{"Null":{"aws:SourceIp":"true"}}"#)),
        valid("V3", condition(r#"{"BinaryEquals":{"aws:k":"QUJD"}}"#)),
        valid(
            "V4",
            condition(
                r#"{"NumericLessThan":{"aws:MultiFactorAuthAge":"many"},"Bool":{"aws:SecureTransport":"no"},"DateLessThan":{"aws:CurrentTime":"soon"},"ArnLike":{"aws:PrincipalArn":"me"},"Null":{"aws:userid":"maybe"}}"#,
            ),
        ),
        valid(
            "V5",
            condition(r#"{"DateLessThan":{"aws:CurrentTime":["2026","2026-01-31T10:00:00.5+02:00",1767225600]}}"#),
        ),
        valid("V6", policy(&[("Resource", r#""arn:aws:s3:::b/${aws:username, 'anonymous'}/*""#)])),
        valid("V7", policy(&[("Resource", r#"["arn:aws:s3:::b/${}","arn:aws:s3:::b/${aws:username"]"#)])),
    ]);
    let mut rows = vec![
        broken("V2", ip(r#"["10.0.0.0/8","x"]"#), IP, r#"Statement NO_ID-0, Condition.IpAddress.aws:SourceIp[1]: "x""#),
        broken(
            "V1",
            condition(r#"{"NotIpAddress":{"aws:VpcSourceIp":"home"}}"#),
            IP,
            r#"Statement NO_ID-0, Condition.NotIpAddress.aws:VpcSourceIp: "home""#,
        ),
        broken(
            "V1",
            condition(r#"{"StringEquals":{"aws:SourceIp":"home"}}"#),
            IP,
            r#"Statement NO_ID-0, Condition.StringEquals.aws:SourceIp: "home""#,
        ),
        broken(
            "V3",
            condition(r#"{"BinaryEquals":{"aws:k":"%%%"}}"#),
            "Invalid Base64 value for binary condition",
            r#"Statement NO_ID-0, Condition.BinaryEquals.aws:k: "%%%""#,
        ),
    ];
    let refused = ["192.168.100", "256.1.1.1", "10.0.0.0/33", "fe80::/129", "home", "10.0.0.1-9", "${aws:SourceIp}"];
    let details = refused.map(|text| format!("Statement NO_ID-0, Condition.IpAddress.aws:SourceIp: \"{text}\""));
    for (text, detail) in refused.iter().zip(&details) {
        rows.push(broken("V1", ip(&format!("\"{text}\"")), IP, detail));
    }
    test_broken(&rows);
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
            r#"Statement NO_ID-0, NotPrincipal: "*""#,
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
