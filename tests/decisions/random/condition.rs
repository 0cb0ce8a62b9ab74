//! Random conditions and contexts: for each key, values that requests and policies share, and some that only policies
//! write.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::one_or_list;

/// A key, the operators that suit it, what requests say of it (and policies too), and what policies say beside that.
struct Key {
    name: &'static str,
    suits: &'static [&'static str],
    given: &'static [&'static str],
    written: &'static [&'static str],
}

const STRING: &[&str] = &[
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
];
const NUMERIC: &[&str] = &[
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
];
const DATE: &[&str] =
    &["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"];
const BOOL: &[&str] = &["Bool"];
const BINARY: &[&str] = &["BinaryEquals"];
const IP: &[&str] = &["IpAddress", "NotIpAddress"];
const ARN: &[&str] = &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"];
const NULL: &[&str] = &["Null"];

const FAMILIES: [&[&str]; 8] = [STRING, NUMERIC, DATE, BOOL, BINARY, IP, ARN, NULL];

const MOMENTS: &[&str] = &[
    "2026-01-31T10:00:00Z",
    "2026-01-31T10:00Z",
    "2026-01-31T12:00:00+02:00",
    "2026-01-31T10:00:00.5Z",
    "2026-01-31T10:00:00.50Z",
    "2026",
    "2026-01",
    "2026-01-01",
    "1767225600",
    "1767225600.0",
    "1767225600.25",
    "1769853600",
    "1969-12-31T23:59:59Z",
    "-1",
    "20260",
    "2026-02-30",
    "2026-1-1",
    "2026-01-31T24:00Z",
    "yesterday",
    "",
];
const NETWORKS: &[&str] = &[
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.7/24",
    "10.0.0.1/32",
    "10.0.0.0/31",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1",
    "2001:db8::2/127",
    "::ffff:10.0.0.0/104",
    "::ffff:10.0.0.1",
];
const BASE64: &[&str] = &["QUJD", "QQ==", "", "QUI="];

const SOURCE_IP: &str = "aws:SourceIp";

const KEYS: &[Key] = &[
    Key {
        name: SOURCE_IP,
        suits: IP,
        given: &[
            "10.0.0.1",
            "10.0.0.2",
            "10.0.1.0",
            "11.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2001:DB8:0:0::3",
            "home",
            "",
        ],
        written: NETWORKS,
    },
    Key {
        name: "aws:VpcSourceIp",
        suits: IP,
        given: &["10.0.0.1", "::1", "10.0.0.1/8", "10.0.0.1 "],
        written: NETWORKS,
    },
    Key {
        name: "aws:username",
        suits: STRING,
        given: &["alice", "mallory"],
        written: &[
            "bob",
            "ALICE",
            "al*",
            "?ob",
            "*",
            "",
            "${aws:username}",
            "${aws:username, 'x'}",
            "${AWS:USERID}",
            "${aws:Nonsense, 'alice'}",
            "${aws:Nonsense}",
            "${*}",
        ],
    },
    Key {
        name: "aws:PrincipalTag/team",
        suits: STRING,
        given: &["blue", "b*"],
        written: &[
            "b*",
            "BLUE",
            "blue",
            "red",
            "b${*}",
            "${aws:PrincipalTag/Team}",
            "${aws:PrincipalTag/Team, 'blue'}",
            "????",
        ],
    },
    Key {
        name: "aws:PrincipalTag/Team",
        suits: STRING,
        given: &["red"],
        written: &["red", "r*", "${aws:PrincipalTag/team}"],
    },
    Key {
        name: "aws:UserAgent",
        suits: STRING,
        given: &["curl/8.0", "Curl/8.0", "cli*", "ÄÖ", "äö", "${aws:username}", "${}", "alice", "", "a:b"],
        written: &[
            "curl*",
            "CURL/*",
            "cli${*}",
            "${$}{aws:username}",
            "${aws:username}",
            "${aws:username",
            "${}",
            "${aws:username}*",
            "curl/8.?",
            "??",
            "?*",
            "*",
            "${aws:Referer}",
            "${aws:TagKeys}",
            "${aws:TagKeys, 'alice'}",
        ],
    },
    Key {
        name: "aws:Referer",
        suits: BINARY,
        given: &["QUJD", "QQ==", "QQ", "QR==", "%%%", "ABC", ""],
        written: BASE64,
    },
    Key { name: "aws:CurrentTime", suits: DATE, given: MOMENTS, written: MOMENTS },
    Key { name: "aws:EpochTime", suits: DATE, given: MOMENTS, written: MOMENTS },
    Key {
        name: "aws:MultiFactorAuthAge",
        suits: NUMERIC,
        given: &[
            "0",
            "-0",
            "10",
            "10.0",
            "1e1",
            "9.99",
            "-10",
            "+10",
            "10.01",
            "many",
            "",
            "0x10",
            "9007199254740993",
            "18446744073709551615",
        ],
        written: &[
            "9007199254740992",
            "18446744073709551616",
            "10.00",
            "1E+1",
            "100e-1",
            "-1",
            "11",
            "1e30",
            "-1e30",
            ".5",
            "10.",
            "1e",
        ],
    },
    Key { name: "s3:TlsVersion", suits: NUMERIC, given: &["1.2", "1.3", "1.20"], written: &["1.2", "1.30", "2"] },
    Key {
        name: "aws:SecureTransport",
        suits: BOOL,
        given: &["true", "false", "TRUE", "yes", "1", ""],
        written: &["true", "false", "False", "0"],
    },
    Key {
        name: "aws:PrincipalArn",
        suits: ARN,
        given: &["arn:aws:iam::111122223333:user/alice"],
        written: &[
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::*:user/*",
            "arn:aws:iam::111122223333:role/*ci",
            "arn:aws:iam::4*:*",
            "arn:*:*:*:*:*",
            "arn:aws:iam::????????????:root",
            "*",
            "arn:aws:iam:*",
            "arn:aws:*:user/alice",
            "${aws:PrincipalArn}",
            "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}",
            "arn:aws:iam::111122223333:user/${aws:username, 'alice'}",
            "${*}",
            "alice",
            "",
        ],
    },
    Key {
        name: "aws:SourceArn",
        suits: ARN,
        given: &[
            "arn:aws:s3:::b",
            "arn:aws:sns:r:1:t:x",
            "arn:aws:s3:::a:b:c",
            "arn:aws:s3",
            "ARN:aws:s3:::b",
            "arn:::::",
            "b",
            "",
        ],
        written: &[
            "arn:aws:s3:::*",
            "arn:aws:s3:::?",
            "arn:aws:sns:*:*:t:*",
            "arn:aws:sns:r:1:*",
            "arn:aws:sns:*:t:x",
            "arn:aws:*:*:*:*x",
            "arn:aws:s3:::${aws:SourceArn}",
            "${aws:SourceArn}",
            "*:*:*:*:*:b",
            "*",
            "arn:*",
            "arn:::::*",
        ],
    },
    Key {
        name: "aws:TagKeys",
        suits: STRING,
        given: &["a", "b", "A", "a*", "c", ""],
        written: &["a", "b", "c", "?", "a*", "*", "${aws:TagKeys, 'a'}", "${aws:TagKeys}", "a${*}"],
    },
    Key {
        name: "aws:RequestTag/Team",
        suits: STRING,
        given: &["a", "alice"],
        written: &["a", "al*", "${aws:username}"],
    },
    Key {
        name: "aws:ResourceTag/Team",
        suits: STRING,
        given: &["blue", "b*"],
        written: &["${aws:PrincipalTag/team}", "*"],
    },
    Key {
        name: "aws:PrincipalType",
        suits: STRING,
        given: &["User"],
        written: &["User", "Account", "A*", "AssumedRole"],
    },
    Key {
        name: "aws:userid",
        suits: STRING,
        given: &["AIDAX"],
        written: &["AIDAALICE", "AROACI:*", "anonymous", "111122223333", "${aws:userid}"],
    },
    Key {
        name: "aws:PrincipalAccount",
        suits: STRING,
        given: &["111122223333"],
        written: &["111122223333", "4*", "${aws:PrincipalAccount}"],
    },
    Key { name: "aws:Nonsense", suits: STRING, given: &["x", ""], written: &["x", "*"] },
    Key {
        name: "s3:prefix",
        suits: STRING,
        given: &["home/alice/", "", "home/"],
        written: &["home/${aws:username}/", "home/*", "", "*"],
    },
    Key { name: "s3:max-keys", suits: NUMERIC, given: &["10", "1000", "ten"], written: &["10", "11", "-1", "1e3"] },
    Key { name: "s3:x-amz-acl", suits: STRING, given: &["private", "public-read"], written: &["public-*", "PRIVATE"] },
];

/// A key under an operator, with the values that it is compared with.
#[derive(Clone, Debug)]
pub(super) struct Test {
    operator: String,
    key: String,
    values: Value,
}

impl Test {
    /// Of the keys here, three are not those of every action (in lower case).
    pub(super) fn is_supported_by(&self, action: &str) -> bool {
        match self.key.to_lowercase().as_str() {
            "s3:prefix" | "s3:max-keys" => ["s3:listbucket", "s3:listbucketversions"].contains(&action),
            "s3:x-amz-acl" => ["s3:putobject", "s3:putobjectacl"].contains(&action),
            _ => true,
        }
    }
}

/// Mostly with an operator that suits the key.
pub(super) fn test() -> impl Strategy<Value = Test> {
    let operator = (any::<Index>(), any::<Index>(), 0..8);
    let qualifier = select(vec!["", "", "", "ForAllValues:", "ForAnyValue:"]);
    let values = prop::collection::vec((any::<Index>(), any::<bool>()), 1..4);
    (any::<Index>(), spelling(), operator, qualifier, prop::bool::weighted(0.25), values, any::<bool>()).prop_map(
        |(key, spelling, (family, operator, suit), qualifier, if_exists, values, listed)| {
            let key = key.get(KEYS);
            let (operators, unsuited) = match suit {
                0 => (*family.get(FAMILIES.as_slice()), true),
                1 => (NULL, true),
                _ => (key.suits, false),
            };
            let operator = match *operator.get(operators) {
                // Nothing is both an address and base64.
                "BinaryEquals" if key.name == SOURCE_IP => "IpAddress",
                operator => operator,
            };
            let pool = valid_values(key, operator, unsuited);
            let values = values.into_iter().map(|(value, bare)| scalar(pool[value.index(pool.len())], bare)).collect();
            let if_exists = if if_exists && operator != "Null" { "IfExists" } else { "" };
            Test {
                operator: format!("{qualifier}{operator}{if_exists}"),
                key: spell(key.name, spelling),
                values: one_or_list::<Value>(values, listed),
            }
        },
    )
}

/// Only addresses stand under an operator for addresses and, but for `Null`, under the key of the address; only base64
/// stands under the operator for it.
fn valid_values(key: &Key, operator: &str, unsuited: bool) -> Vec<&'static str> {
    if operator == "Null" {
        return vec!["true", "false", "TRUE", "yes"];
    }
    if IP.contains(&operator) || key.name == SOURCE_IP {
        return NETWORKS.to_vec();
    }
    if BINARY.contains(&operator) {
        return BASE64.to_vec();
    }
    let beside: &[&str] = if unsuited { &["10", "true", "2026", "*", "arn:aws:s3:::b"] } else { &[] };
    [key.given, key.written, beside].concat()
}

/// A number or a boolean may stand without quotes.
fn scalar(text: &str, bare: bool) -> Value {
    let unquoted: Option<Value> = serde_json::from_str(text).ok().filter(|_| bare);
    match unquoted {
        Some(value @ (Value::Number(_) | Value::Bool(_))) => {
            // Written again it must be the same text, or the policy would say another number.
            let written = value.to_string();
            if written == text { value } else { json!(text) }
        }
        _ => json!(text),
    }
}

/// The element that these tests make. A key stands once under each operator, whatever its case.
pub(super) fn written(tests: Vec<Test>) -> Value {
    let (mut condition, mut seen) = (Map::new(), BTreeSet::new());
    for Test { operator, key, values } in tests {
        if seen.insert((operator.clone(), key.to_lowercase())) {
            let keys = condition.entry(operator).or_insert_with(|| json!({}));
            keys.as_object_mut().unwrap().insert(key, values);
        }
    }
    Value::Object(condition)
}

/// Two in three keys, mostly with one value; one number says all of a key, since a tree of choices for each takes long.
pub(super) fn context() -> impl Strategy<Value = Value> {
    prop::collection::vec(any::<u64>(), KEYS.len()).prop_map(|numbers| {
        let chosen = KEYS.iter().zip(numbers).filter(|(_, number)| number % 3 != 0);
        let members = chosen.map(|(key, number)| {
            let mut rest = number / 3;
            let mut digit = |base: usize| {
                let digit = rest % base as u64;
                rest /= base as u64;
                digit as usize
            };
            let count = [1, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2, 3][digit(12)];
            let spelling =
                [Spelling::Usual, Spelling::Usual, Spelling::Usual, Spelling::Lower, Spelling::Upper][digit(5)];
            let values: Vec<&str> = (0..count).map(|_| key.given[digit(key.given.len())]).collect();
            (spell(key.name, spelling), json!(values))
        });
        Value::Object(members.collect())
    })
}

#[derive(Clone, Copy, Debug)]
enum Spelling {
    Usual,
    Lower,
    Upper,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    prop_oneof![6 => Just(Spelling::Usual), 1 => Just(Spelling::Lower), 1 => Just(Spelling::Upper)]
}

/// A key in another case: its tag too, where that does not count.
fn spell(key: &str, spelling: Spelling) -> String {
    let respell = |text: &str| match spelling {
        Spelling::Usual => text.to_owned(),
        Spelling::Lower => text.to_lowercase(),
        Spelling::Upper => text.to_uppercase(),
    };
    match key.split_once('/') {
        Some((name @ "aws:PrincipalTag", tag)) => format!("{}/{tag}", respell(name)),
        _ => respell(key),
    }
}
