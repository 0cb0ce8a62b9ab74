//! The document as a whole: J the bytes and JSON, Z its size, D its elements.

use super::*;

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
        broken("Z4", format!("{at_cap} "), TOO_LARGE, "The document has more than 65536 bytes, and no more are read"),
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
