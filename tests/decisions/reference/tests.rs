//! The reference itself, held against what Amazon's pages say by hand.

use std::cmp::Ordering::{Equal, Greater, Less};

use serde_json::{Value, json};

use super::condition::{Facts, folded};
use super::scalar::{Number, date, is_in_network};
use super::text::{expand, is_like, literally, plain};
use super::{canonical_id, decide};

#[test]
fn wildcards() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("*", "", true),
        ("*", "a/b:c", true),
        ("a?", "aü", true),
        ("a?", "a", false),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        ("A", "a", false),
    ] {
        assert_eq!(is_like(&plain(pattern), text), expected, "{pattern} ~ {text}");
    }
}

#[test]
fn numbers() {
    for (left, order, right) in [
        ("1", Equal, "1.0"),
        ("1", Equal, "+001"),
        ("0", Equal, "-0"),
        ("1e2", Equal, "100"),
        ("1.5E-1", Equal, ".15"),
        ("10", Greater, "9"),
        ("-10", Less, "-9"),
        ("-1", Less, "0"),
        ("0.1", Greater, "0.09"),
        ("9007199254740993", Greater, "9007199254740992"),
        ("18446744073709551616", Greater, "18446744073709551615"),
    ] {
        let compared = Number::parse(left).unwrap().compare(&Number::parse(right).unwrap());
        assert_eq!(compared, order, "{left} and {right}");
    }
    for text in ["", "-", ".", "many", "1,5", "0x10", "NaN", "inf", "1e", "1 ", "--1", "1.2.3"] {
        assert!(Number::parse(text).is_none(), "{text}");
    }
}

#[test]
fn dates() {
    for (left, order, right) in [
        ("1970", Equal, "0"),
        ("1970-01-01T00:00Z", Equal, "0.0"),
        ("1969-12-31T23:59:59Z", Equal, "-1"),
        ("2000-03-01", Equal, "951868800"),
        ("2024-02-29T12:00:00Z", Equal, "1709208000"),
        ("2026", Equal, "2026-01"),
        ("2026", Equal, "2026-01-01T00:00Z"),
        ("2026", Greater, "20260"),
        ("2026-01-31T10:00Z", Equal, "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T10:00:00.5+02:00", Equal, "2026-01-31T08:00:00.50Z"),
        ("2026-01-31T23:30-01:00", Equal, "2026-02-01T00:30Z"),
        ("2026-01-31T10:00:00.000000001Z", Greater, "2026-01-31T10:00:00Z"),
        ("1767225600.5", Greater, "2026"),
        ("1969-12-31T23:59:59.25Z", Equal, "-0.75"),
        ("2100-02-28", Less, "2100-03-01"),
    ] {
        assert_eq!(date(left).unwrap().compare(&date(right).unwrap()), order, "{left} and {right}");
    }
    for text in [
        "",
        "yesterday",
        "2026-13",
        "2026-00",
        "2026-1-1",
        "2026-02-30",
        "2100-02-29",
        "2026-01T10:00Z",
        "2026T10:00Z",
        "2026-01-31T10:00",
        "2026-01-31T10Z",
        "2026-01-31T24:00Z",
        "2026-01-31T10:60Z",
        "2026-01-31T10:00:60Z",
        "2026-01-31T10:00:00.Z",
        "2026-01-31t10:00Z",
        "2026-01-31 10:00Z",
        "2026-01-31T10:00+2",
        "2026-01-31T10:00Z+02:00",
        "2026-01-31-01",
    ] {
        assert!(date(text).is_none(), "{text}");
    }
}

#[test]
fn addresses() {
    for (address, network, expected) in [
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.9.9.9/8", true),
        ("11.0.0.1", "10.0.0.0/8", false),
        ("10.0.0.1", "0.0.0.0/0", true),
        ("2001:db8::1", "2001:db8::/32", true),
        ("2001:DB8:0::1", "2001:db8::1", true),
        ("2001:db9::1", "2001:db8::/32", false),
        ("::ffff:10.0.0.1", "10.0.0.0/8", true),
        ("10.0.0.1", "::ffff:10.0.0.0/104", true),
        ("11.0.0.1", "::ffff:10.0.0.0/104", false),
        ("10.0.0.1", "::/0", false),
        ("::ffff:10.0.0.1", "::/0", false),
        ("2001:db8::1", "0.0.0.0/0", false),
        ("10.0.0.1/8", "10.0.0.0/8", false),
        ("home", "0.0.0.0/0", false),
    ] {
        assert_eq!(is_in_network(address, network), expected, "{address} in {network}");
    }
}

#[test]
fn keys() {
    for (left, right, same) in [
        ("aws:SourceIp", "AWS:SOURCEIP", true),
        ("aws:PrincipalTag/Team", "aws:principaltag/Team", true),
        ("aws:PrincipalTag/Team", "aws:PrincipalTag/team", false),
        ("aws:RequestTag/Team", "aws:requesttag/team", true),
        ("aws:ResourceTag/Team", "aws:ResourceTag/TEAM", true),
        ("s3:ExistingObjectTag/a", "s3:ExistingObjectTag/A", false),
    ] {
        assert_eq!(folded(left) == folded(right), same, "{left} and {right}");
    }
}

#[test]
fn variables() {
    let request = json!({
        "principal": {
            "type": "user", "account": "111122223333", "arn": "arn:aws:iam::111122223333:user/a*", "name": "a*",
        },
        "context": {"aws:UserAgent": ["curl"], "aws:TagKeys": ["x", "y"], "aws:Referer": []},
    });
    for (text, expected) in [
        ("${aws:username}!", Some("a*!")),
        ("${AWS:UserName}", Some("a*")),
        ("${aws:username, 'anon'}", Some("a*")),
        ("${aws:Referer, 'anon'}", Some("anon")),
        ("${aws:Referer, ''}", Some("")),
        ("${aws:Referer, 'a}b, c'}d", Some("a}b, cd")),
        ("${aws:Referer}", None),
        ("a${aws:Nothing}b", None),
        ("${aws:TagKeys}", None),
        ("${aws:TagKeys, 'tags'}", Some("tags")),
        ("${*}${?}${$}{x}", Some("*?${x}")),
        ("${}", Some("${}")),
        ("a${aws:username", Some("a${aws:username")),
        ("$a$", Some("$a$")),
    ] {
        let found = expand(text, &Facts::of(&request, true)).map(|pieces| literally(&pieces));
        assert_eq!(found.as_deref(), expected, "{text}");
        assert_eq!(literally(&expand(text, &Facts::of(&request, false)).unwrap()), text);
    }
    let value = expand("${aws:username}", &Facts::of(&request, true)).unwrap();
    assert!(is_like(&value, "a*") && !is_like(&value, "ab"));
}

/// Whether a condition holds, for a user `alice` of the tag `team`, with the agent `curl`, two tag keys, and an empty
/// referer.
fn holds(condition: Value) -> bool {
    let request = json!({
        "principal": {
            "type": "user", "account": "111122223333", "name": "alice", "user_id": "AIDA1",
            "arn": "arn:aws:iam::111122223333:user/team/alice", "tags": {"team": "blue"},
        },
        "context": {
            "aws:UserAgent": ["Curl"], "aws:TagKeys": ["a", "b"], "aws:Referer": [""], "aws:SourceVpc": [],
            "aws:MultiFactorAuthAge": ["10"], "aws:SecureTransport": ["true"], "aws:username": ["mallory"],
        },
    });
    super::holds(&condition, &Facts::of(&request, true))
}

#[test]
fn conditions() {
    for (expected, condition) in [
        (true, json!({})),
        (true, json!({"StringEquals": {}})),
        (true, json!({"StringEquals": {"aws:username": "alice", "aws:UserAgent": ["x", "Curl"]}})),
        (false, json!({"StringEquals": {"aws:username": "mallory"}})),
        (false, json!({"StringEquals": {"aws:username": "alice", "aws:UserAgent": "x"}})),
        (false, json!({"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": false}})),
        (false, json!({"StringEquals": {"aws:UserAgent": "curl"}})),
        (true, json!({"StringEqualsIgnoreCase": {"aws:UserAgent": "cURL"}})),
        (false, json!({"StringEquals": {"aws:UserAgent": "C*"}})),
        (true, json!({"StringLike": {"aws:UserAgent": "C*"}})),
        (false, json!({"StringLike": {"aws:SourceVpc": "*"}})),
        (true, json!({"StringNotLike": {"aws:SourceVpc": "*"}})),
        (true, json!({"StringLikeIfExists": {"aws:SourceVpc": "x"}})),
        (false, json!({"StringLikeIfExists": {"aws:UserAgent": "x"}})),
        (false, json!({"StringNotEquals": {"aws:UserAgent": ["x", "Curl"]}})),
        (true, json!({"StringNotEquals": {"aws:UserAgent": ["x", "y"]}})),
        (true, json!({"StringEquals": {"aws:TagKeys": "b"}})),
        (false, json!({"StringNotEquals": {"aws:TagKeys": "b"}})),
        (true, json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]}})),
        (false, json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "c"]}})),
        (false, json!({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a", "c"]}})),
        (true, json!({"ForAllValues:StringNotEquals": {"aws:TagKeys": "c"}})),
        (true, json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["b", "c"]}})),
        (true, json!({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["b", "c"]}})),
        (false, json!({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a", "b"]}})),
        (true, json!({"ForAllValues:StringEquals": {"aws:SourceVpc": "x"}})),
        (false, json!({"ForAnyValue:StringEquals": {"aws:SourceVpc": "x"}})),
        (false, json!({"ForAnyValue:StringNotEquals": {"aws:SourceVpc": "x"}})),
        (true, json!({"ForAnyValue:StringEqualsIfExists": {"aws:SourceVpc": "x"}})),
        (true, json!({"ForAllValues:StringEquals": {"aws:Referer": "x"}})),
        (false, json!({"ForAnyValue:StringEquals": {"aws:Referer": ""}})),
        (true, json!({"StringEquals": {"aws:Referer": ""}})),
        (true, json!({"Null": {"aws:SourceVpc": true}})),
        (true, json!({"Null": {"aws:UserAgent": "False"}})),
        (false, json!({"Null": {"aws:Referer": "False"}})),
        (false, json!({"Null": {"aws:UserAgent": "no"}})),
        (true, json!({"ForAllValues:Null": {"aws:Referer": ["true", "false"]}})),
        (true, json!({"NumericLessThan": {"aws:MultiFactorAuthAge": 10.5}})),
        (false, json!({"NumericLessThan": {"aws:MultiFactorAuthAge": "10"}})),
        (true, json!({"NumericLessThanEquals": {"aws:MultiFactorAuthAge": "10"}})),
        (true, json!({"NumericGreaterThan": {"aws:MultiFactorAuthAge": 9}})),
        (true, json!({"NumericNotEquals": {"aws:MultiFactorAuthAge": "many"}})),
        (false, json!({"NumericEquals": {"aws:UserAgent": "Curl"}})),
        (true, json!({"DateGreaterThan": {"aws:MultiFactorAuthAge": "1970"}})),
        (false, json!({"DateGreaterThanEquals": {"aws:MultiFactorAuthAge": "1971"}})),
        (true, json!({"Bool": {"aws:SecureTransport": "TRUE"}})),
        (false, json!({"Bool": {"aws:UserAgent": "Curl"}})),
        (true, json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}})),
        (true, json!({"ArnLike": {"aws:PrincipalArn": "*"}})),
        (true, json!({"ArnLike": {"aws:PrincipalArn": "${aws:PrincipalArn}"}})),
        (false, json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:user/team/alice"}})),
        (false, json!({"ArnLike": {"aws:PrincipalArn": "${*}"}})),
        (false, json!({"ArnLike": {"aws:UserAgent": "*"}})),
        (true, json!({"ArnNotLike": {"aws:UserAgent": "*"}})),
        (true, json!({"StringNotEquals": {"aws:UserAgent": "${aws:Nothing}"}})),
        (true, json!({"StringEquals": {"aws:PrincipalTag/team": "blue", "AWS:USERID": "AIDA1"}})),
        (true, json!({"Null": {"aws:PrincipalTag/Team": true}})),
        (true, json!({"StringEquals": {"aws:PrincipalType": "User", "aws:PrincipalAccount": "111122223333"}})),
    ] {
        assert_eq!(holds(condition.clone()), expected, "{condition}");
    }
}

#[test]
fn the_algorithm() {
    let (owner, other) = ("111122223333", "444455556666");
    let root = |account: &str| json!({"type": "root", "account": account});
    let user = |account: &str| {
        let arn = format!("arn:aws:iam::{account}:user/u");
        json!({"type": "user", "account": account, "arn": arn, "name": "u", "user_id": "AIDA1", "tags": {}})
    };
    let anonymous = json!({"type": "anonymous"});
    let (owners_user, others_user) = (user(owner), user(other));
    let (arn, others_arn) = (owners_user["arn"].clone(), others_user["arn"].clone());
    let aws = |name: &Value| json!({"AWS": name});
    let named = |ids: Value| json!({"AWS": ids});
    let canonical = json!({"CanonicalUser": canonical_id(owner)});
    for (caller, identity, bucket, expected) in [
        (&owners_user, &[][..], vec![], "implicit_deny []"),
        (&owners_user, &["Allow"], vec![], "allow [identity:0/0]"),
        (&owners_user, &["Allow", "Deny"], vec![], "explicit_deny [identity:0/1]"),
        (&owners_user, &["Allow"], vec![("Deny", named(json!(owner)))], "explicit_deny [bucket/0]"),
        (&owners_user, &["Deny"], vec![("Deny", json!("*"))], "explicit_deny [bucket/0, identity:0/0]"),
        (&owners_user, &[], vec![("Allow", named(json!(owner)))], "implicit_deny []"),
        (&owners_user, &[], vec![("Allow", canonical.clone())], "implicit_deny []"),
        (&owners_user, &[], vec![("Allow", aws(&arn))], "allow [bucket/0]"),
        (
            &owners_user,
            &["Allow"],
            vec![("Allow", named(json!(owner))), ("Allow", json!("*"))],
            "allow [bucket/1, identity:0/0]",
        ),
        (&owners_user, &["Allow"], vec![("Allow", named(json!(owner)))], "allow [identity:0/0]"),
        (&owners_user, &["Allow"], vec![("Deny", named(json!([other])))], "allow [identity:0/0]"),
        (&root(owner), &["Deny"], vec![], "allow []"),
        (&root(owner), &[], vec![("Allow", canonical.clone())], "allow [bucket/0]"),
        (&root(owner), &[], vec![("Allow", canonical), ("Allow", json!("*"))], "allow [bucket/1]"),
        (&root(owner), &[], vec![("Deny", json!("*"))], "explicit_deny [bucket/0]"),
        (&root(other), &[], vec![], "implicit_deny []"),
        (&root(other), &[], vec![("Allow", named(json!(other)))], "allow [bucket/0]"),
        (&others_user, &["Allow"], vec![], "implicit_deny []"),
        (&others_user, &[], vec![("Allow", aws(&others_arn))], "implicit_deny []"),
        (&others_user, &["Allow"], vec![("Allow", named(json!(other)))], "allow [bucket/0, identity:0/0]"),
        (&others_user, &["Allow"], vec![("Allow", named(json!(owner)))], "implicit_deny []"),
        (&anonymous, &[], vec![("Allow", json!("*"))], "allow [bucket/0]"),
        (&anonymous, &[], vec![("Allow", aws(&arn))], "implicit_deny []"),
        (&anonymous, &[], vec![("Deny", named(json!(owner)))], "implicit_deny []"),
    ] {
        let (action, resource) = ("s3:GetObject", "arn:aws:s3:::b/k");
        let attached = |effect: &&str| json!({"Effect": effect, "Action": action, "Resource": "*"});
        let listed = |(effect, principal): &(&str, Value)| {
            json!({
                "Effect": effect, "Principal": principal, "Action": action, "Resource": resource,
            })
        };
        let identity: Vec<Value> = identity.iter().map(attached).collect();
        let bucket: Vec<Value> = bucket.iter().map(listed).collect();
        let request = json!({
            "principal": caller, "bucket_owner": owner, "action": action, "resource": resource, "context": {},
            "identity_policies": [{"Statement": identity}], "bucket_policy": {"Statement": bucket},
        });
        let found = decide(&request);
        let places: Vec<String> = found.decided_by.iter().map(|(policy, index)| format!("{policy}/{index}")).collect();
        assert_eq!(format!("{} [{}]", found.decision, places.join(", ")), expected, "{request:#}");
    }
}

#[test]
fn what_statements_miss() {
    let session = json!({
        "type": "assumed-role", "account": "111122223333", "arn": "arn:aws:sts::111122223333:assumed-role/r/s",
        "user_id": "AROA1:s", "tags": {},
    });
    let [account, role, itself] =
        ["111122223333", "arn:aws:iam::111122223333:role/r", "arn:aws:sts::111122223333:assumed-role/r/s"];
    for (element, value, missed) in [
        ("Principal", json!({"AWS": role}), None),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:role/p/r"}), Some("Principal")),
        ("Principal", json!({"AWS": itself}), None),
        ("Principal", json!({"AWS": account}), None),
        ("Principal", json!({"Service": "logging.s3.amazonaws.com"}), Some("Principal")),
        ("NotPrincipal", json!({"AWS": [account, role, itself]}), Some("NotPrincipal")),
        ("NotPrincipal", json!({"AWS": [account, role]}), None),
        ("NotPrincipal", json!({"AWS": [role, itself]}), None),
        ("NotPrincipal", json!("*"), Some("NotPrincipal")),
        ("Action", json!(["S3:get*"]), None),
        ("Action", json!("*"), None),
        ("Action", json!("s3:PutObject"), Some("Action")),
        ("NotAction", json!("s3:getobject"), Some("NotAction")),
        ("NotAction", json!("s3:PutObject"), None),
        ("Resource", json!("arn:aws:s3:::b/K"), Some("Resource")),
        ("Resource", json!(["arn:aws:s3:::b", "arn:aws:s3:::b/?"]), None),
        ("Resource", json!("arn:aws:s3"), None),
        ("Resource", json!("arn:aws:s3:::b/${aws:username, 'k'}"), None),
        ("NotResource", json!("arn:aws:s3:::b/*"), Some("NotResource")),
        ("NotResource", json!("arn:aws:s3:::b/${aws:username}"), None),
        ("Condition", json!({"StringEquals": {"aws:PrincipalArn": role, "aws:userid": "AROA1:s"}}), None),
        ("Condition", json!({"Null": {"aws:username": false}}), Some("Condition")),
    ] {
        let mut statement =
            json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"});
        let members = statement.as_object_mut().unwrap();
        members.remove(element.trim_start_matches("Not"));
        members.insert(element.to_owned(), value);
        let request = json!({
            "principal": session, "bucket_owner": "111122223333", "action": "s3:GetObject", "context": {},
            "resource": "arn:aws:s3:::b/k", "bucket_policy": {"Version": "2012-10-17", "Statement": statement},
        });
        assert_eq!(decide(&request).missed[&("bucket".to_owned(), 0)], missed, "{statement}");
    }
}
