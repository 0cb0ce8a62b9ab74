//! `policy simulate`, run as a user would: lines of requests in, a line of answer for each that can be read.
#![cfg(feature = "proxy")]
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod line_commands;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use self::line_commands::{EVER, Said, assert_streams_in_little_memory};

fn decisions(said: &Said) -> Vec<Option<String>> {
    said.objects().iter().map(|object| object["decision"].as_str().map(str::to_owned)).collect()
}

fn command(arguments: &[&str]) -> Command {
    line_commands::command(["policy", "simulate"], arguments)
}

fn simulate(arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
    line_commands::run(command(arguments), input)
}

/// Everybody may read, but drafts from the office only.
fn policy() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "PublicRead", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/draft/*",
         "Condition": {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "198.51.100.7"]}}}
    ]})
}

/// A request of nobody for an object, with some fields replaced.
fn request(fields: Value) -> Value {
    let mut request = json!({
        "principal": {"type": "anonymous"}, "bucket_owner": "111122223333", "bucket_policy": policy(),
        "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"
    });
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    request
}

/// A request behind its first brace.
fn rest_of_request() -> String {
    request(json!({})).to_string().strip_prefix('{').unwrap().to_owned()
}

fn lines(requests: &[Value]) -> String {
    requests.iter().map(|request| format!("{request}\n")).collect()
}

#[test]
fn answers_come_in_order_and_name_who_decided() {
    let alice = json!({"type": "user", "account": "444455556666", "name": "alice"});
    let read = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::${aws:username}/*"},
        {"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    ]});
    let nothing = json!({"Statement": {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}});
    let input = lines(&[
        request(json!({"id": "everybody"})),
        request(json!({"id": 1.50, "resource": "arn:aws:s3:::b/draft/k"})),
        request(json!({"id": {"b": [1, null], "a": "é"}, "principal": alice})),
        request(json!({"id": null, "principal": alice, "identity_policies": [nothing, read]})),
        request(json!({"principal": {"type": "root", "account": "111122223333"}, "bucket_policy": null})),
        request(json!({"id": "elsewhere", "resource": "arn:aws:s3:::c/k"})),
    ]);
    let said = simulate(&["--requests", "-"], &input);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let by =
        |policy: &str, statement: u8, sid: Option<&str>| json!({"policy": policy, "statement": statement, "sid": sid});
    let public = by("bucket", 0, Some("PublicRead"));
    assert_eq!(
        said.objects(),
        [
            json!({"id": "everybody", "decision": "allow", "decided_by": [public]}),
            json!({"id": 1.50, "decision": "explicit_deny", "decided_by": [by("bucket", 1, None)]}),
            json!({"id": {"b": [1, null], "a": "é"}, "decision": "implicit_deny", "decided_by": []}),
            json!({"id": null, "decision": "allow", "decided_by": [by("identity:1", 1, Some("Read")), public]}),
            json!({"id": null, "decision": "allow", "decided_by": []}),
            json!({"id": "elsewhere", "decision": "implicit_deny", "decided_by": []}),
        ]
    );
    assert!(
        said.out.starts_with(r#"{"id":"everybody","decision":"allow","decided_by":[{"policy":"bucket","statement":0,"sid":"PublicRead"}]}"#),
        "the order of the keys: {}",
        said.out
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("requests.jsonl");
    fs::write(&file, &input).unwrap();
    assert_eq!(simulate(&["-r", file.to_str().unwrap()], "").out, said.out, "from a file as from a pipe");
}

#[test]
fn an_id_is_given_back_as_it_is_written() {
    let ids = ["7.10", "1e400", r#""\u0041\ud800""#, r#"{ "z" : 1, "a" : [ ] }"#, "-0", "true"];
    let input: String = ids.iter().map(|id| format!("{{\"id\": {id} ,{}\n", rest_of_request())).collect();
    let said = simulate(&["--requests", "-"], input);
    assert_eq!(said.code, Some(0), "{said:?}");
    for (line, id) in said.out.lines().zip(ids) {
        assert!(line.starts_with(&format!("{{\"id\":{id},\"decision\"")), "{line}");
    }
}

#[test]
fn explanations_name_what_each_statement_missed() {
    let condition = |found: Value| {
        json!({"element": "Condition", "operator": "NotIpAddress", "key": "aws:SourceIp",
               "wanted": ["192.0.2.0/24", "198.51.100.7"], "found": found})
    };
    let rows = [
        (json!({}), json!(null), json!({"element": "Resource"})),
        (json!({"resource": "arn:aws:s3:::b/draft/k"}), json!(null), json!(null)),
        (
            json!({"resource": "arn:aws:s3:::b/draft/k", "context": {"aws:SourceIp": "198.51.100.7"}}),
            json!(null),
            condition(json!(["198.51.100.7"])),
        ),
        (
            json!({"action": "s3:PutObject", "resource": "arn:aws:s3:::b/draft/k"}),
            json!({"element": "Action"}),
            json!(null),
        ),
    ];
    let requests: Vec<_> = rows.iter().map(|(fields, _, _)| request(fields.clone())).collect();
    let said = simulate(&["--requests", "-", "--explain"], lines(&requests));
    assert_eq!(said.code, Some(0), "{said:?}");
    for (answer, (fields, first, second)) in said.objects().iter().zip(&rows) {
        let statements = json!([
            {"policy": "bucket", "statement": 0, "sid": "PublicRead", "effect": "Allow", "missed": first},
            {"policy": "bucket", "statement": 1, "sid": null, "effect": "Deny", "missed": second}
        ]);
        assert_eq!(answer["statements"], statements, "{fields}");
    }
    let plain = simulate(&["--requests", "-"], lines(&requests));
    assert_eq!(decisions(&plain), decisions(&said));
    assert!(plain.objects().iter().all(|answer| answer.get("statements").is_none()), "{plain:?}");

    let key_absent = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
        "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": {"StringLike": {"s3:prefix": "home/*"}}}});
    let request =
        request(json!({"bucket_policy": key_absent, "action": "s3:ListBucket", "resource": "arn:aws:s3:::b"}));
    let said = simulate(&["--requests", "-", "--explain"], request.to_string());
    let missed =
        r#""missed":{"element":"Condition","operator":"StringLike","key":"s3:prefix","wanted":["home/*"],"found":[]}"#;
    assert!(said.out.contains(missed), "{said:?}");
}

#[test]
fn a_line_that_fails_is_told_of_and_the_others_go_on() {
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    let bad_policy = json!({"Statement": [{"Effect": "allow"}]});
    let root = json!({"type": "root", "account": "111122223333", "arn": "arn:aws:iam::444455556666:root"});
    let rows: Vec<(Vec<u8>, &str)> = vec![
        (b"{\"id\":\"open\"".to_vec(), "2: not a JSON object: EOF while parsing an object (column 12)"),
        (b"{\"id\":\"\xff\"}".to_vec(), "3: not UTF-8 (column 8)"),
        (b"[]".to_vec(), "4: not a JSON object: invalid type: sequence, expected an object"),
        (long.into_bytes(), "5: the line is longer than 4 MiB, and is not read"),
        (
            request(json!({"id": "six", "action": "s3:HeadObject"})).to_string().into_bytes(),
            "6 (id \"six\"): `action`: s3:HeadObject is no action of S3",
        ),
        (
            request(json!({"id": 7, "identity_policies": [{"Statement": []}]})).to_string().into_bytes(),
            "7 (id 7): `identity_policies[0]`: Could not parse the policy: Statement is empty!: Statement: [] (line 1, column 14)",
        ),
        (
            request(json!({"id": [8], "bucket_policy": bad_policy})).to_string().into_bytes(),
            "8 (id [8]): `bucket_policy`: Invalid effect: allow: Statement NO_ID-0, Effect: \"allow\" (line 1, column 25); and 3 more",
        ),
        (
            request(json!({"principal": root})).to_string().into_bytes(),
            "9: `principal`: `account` says 111122223333, and the `arn`'s is 444455556666",
        ),
        (
            request(json!({"id": "ten\u{1b}[2J\u{9b}", "context": {"aws:SourceIp": null}})).to_string().into_bytes(),
            "10 (id \"ten\\u001b[2J\\u009b\"): `context`: `aws:SourceIp`: a string, a number or a boolean is expected, not null",
        ),
        (b"{\"id\":\"eleven\"}".to_vec(), "11 (id \"eleven\"): there is no `principal`"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("requests.jsonl");
    let mut input = request(json!({"id": "first"})).to_string().into_bytes();
    for (line, _) in &rows {
        input.push(b'\n');
        input.extend(line);
    }
    input.extend(format!("\n\n  \r\n{}\r\n{}", request(json!({"id": "crlf"})), request(json!({"id": "last"}))).bytes());
    fs::write(&file, input).unwrap();

    let said = simulate(&["--requests", file.to_str().unwrap()], "");
    assert_eq!(said.code, Some(1), "{said:?}");
    let expected: String = rows.iter().map(|(_, told)| format!("error: {}: line {told}\n", file.display())).collect();
    assert_eq!(said.err, expected);

    let answers = said.objects();
    let told: Vec<_> = answers.iter().map(|answer| (answer["id"].as_str().unwrap(), &answer["decision"])).collect();
    let allow = json!("allow");
    assert_eq!(told, [("first", &allow), ("crlf", &allow), ("last", &allow)], "the others are answered");
}

#[test]
fn unknown_fields_are_warned_of_once() {
    let principal = json!({"type": "anonymous", "Account": 1});
    let input = lines(&[
        request(json!({"comment": "x"})),
        request(json!({"comment": "y", "principal": principal})),
        request(json!({"principal": principal})),
    ]);
    let said = simulate(&["--requests", "-"], input);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.err,
        "warning: standard input: line 1: unknown field `comment` (told once)\n\
         warning: standard input: line 2: unknown field `principal.Account` (told once)\n"
    );
    assert_eq!(decisions(&said), vec![Some("allow".to_owned()); 3]);

    let many: Vec<_> = (0..200).map(|n| request(json!({format!("field{n}"): n}))).collect();
    let said = simulate(&["--requests", "-"], lines(&many));
    assert_eq!(said.err.lines().count(), 51, "{said:?}");
}

#[test]
fn an_expectation_that_is_not_met_fails() {
    let allow = request(json!({"id": "a"}));
    let explicit = request(json!({"id": "e", "resource": "arn:aws:s3:::b/draft/k"}));
    let implicit = request(json!({"id": "i", "resource": "arn:aws:s3:::c/k"}));
    for (requests, expect, told) in [
        (vec![&allow], "allow", None),
        (vec![&explicit, &implicit], "deny", None),
        (vec![&explicit], "explicit_deny", None),
        (vec![&implicit], "implicit_deny", None),
        (vec![&allow, &explicit, &allow, &implicit], "allow", Some("2 of 4")),
        (vec![&allow], "deny", Some("1 of 1")),
        (vec![&implicit], "explicit_deny", Some("1 of 1")),
        (vec![&explicit], "implicit_deny", Some("1 of 1")),
    ] {
        let requests: Vec<_> = requests.into_iter().cloned().collect();
        let said = simulate(&["--requests", "-", "--expect", expect], lines(&requests));
        assert_eq!(said.code, Some(i32::from(told.is_some())), "{expect} {said:?}");
        match told {
            None => assert_eq!(said.err, "", "{expect}"),
            Some(count) => {
                let begins = format!("error: {count} decisions differ from what is expected:\n");
                assert!(said.err.starts_with(&begins), "{expect} {said:?}");
            }
        }
        assert_eq!(decisions(&said).len(), requests.len());
    }

    let mut own = [allow, explicit, implicit];
    own[1]["expect"] = json!("deny");
    own[2]["expect"] = json!("explicit_deny");
    let said = simulate(&["--requests", "-", "--expect", "allow"], lines(&own));
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        "error: 1 of 3 decisions differ from what is expected:\n  line 3 (id \"i\"): implicit_deny, expected explicit_deny\n"
    );
    let said = simulate(&["--requests", "-"], lines(&own[..2]));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "without the flag the lines' own alone count");
}

#[test]
fn exit_codes_tell_a_wrong_command_line_from_a_wrong_file() {
    for (arguments, code, words) in [
        (&["--help"][..], 0, "Exit code 1"),
        (&[], 2, "--requests <FILE>"),
        (&["--requests", "-", "--expect", "denied"], 2, "explicit_deny"),
        (&["--requests", "-", "--output", "xml"], 2, "table"),
        (&["--requests", "none.jsonl"], 1, "none.jsonl: cannot be read: No such file"),
        (&["--requests", "."], 1, "error: .: cannot be read: "),
        (&["--requests", "-"], 0, "warning: standard input: there are no requests in it"),
        (&["--requests", "-", "--expect", "allow"], 1, "warning: standard input: there are no requests in it"),
    ] {
        let said = simulate(arguments, "\n");
        assert_eq!(said.code, Some(code), "{arguments:?} {said:?}");
        assert!(format!("{}{}", said.out, said.err).contains(words), "{arguments:?} {said:?}");
    }
}

#[test]
fn a_table_is_aligned_and_plain() {
    let office = request(
        json!({"id": "office", "resource": "arn:aws:s3:::b/draft/k", "context": {"aws:SourceIp": "192.0.2.7"}}),
    );
    let input = lines(&[request(json!({"id": 1})), office, json!({"id": "bad"})]);
    let said = simulate(&["--requests", "-", "--explain", "--output", "table"], input);
    assert_eq!(
        said.out,
        r#"ID      DECISION       DECIDED BY
1       allow          bucket statement 0 "PublicRead"
    bucket statement 0 "PublicRead" (Allow): applies
    bucket statement 1 (Deny): Resource does not match
office  allow          bucket statement 0 "PublicRead"
    bucket statement 0 "PublicRead" (Allow): applies
    bucket statement 1 (Deny): Condition NotIpAddress aws:SourceIp: wanted not 192.0.2.0/24 nor 198.51.100.7, found 192.0.2.7
bad     error          line 3: there is no `principal`
"#
    );
    assert_eq!(said.err, "", "a row tells it");
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_reader_that_has_gone_is_not_complained_of() {
    // More than the pipe and every buffer hold.
    let input = lines(&vec![request(json!({"id": "x".repeat(1000)})); 2000]);
    for (expect, code) in [(&[][..], 0), (&["--expect", "allow"], 1)] {
        let mut child = command(&[&["--requests", "-"], expect].concat()).spawn().unwrap();
        drop(child.stdout.take());
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(code), b"".as_slice()), "{expect:?}");
    }
}

#[test]
fn a_hundred_thousand_requests_stream_in_little_memory() {
    let with_a_policy = |n| {
        // 100 policies again and again, and now and then one that is never seen again; each line more than 1 KiB.
        let sid = if n % 50 == 0 { n } else { n % 100 };
        let mut policy = policy();
        policy["Statement"][0]["Sid"] = json!(format!("S{sid}"));
        let agent = "a".repeat(700);
        request(json!({"id": n, "bucket_policy": policy, "context": {"aws:UserAgent": agent}}))
    };
    assert_streams_in_little_memory(command(&["--requests", "-"]), with_a_policy, |n, answer| {
        assert_eq!((&answer["id"], &answer["decision"]), (&json!(n), &json!("allow")), "{answer}");
    });
}

#[test]
fn each_answer_comes_before_the_next_question() {
    let mut child = command(&["--requests", "-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let (answer, next) = mpsc::channel();
    let reader = thread::spawn(move || answers.by_ref().for_each(|line| answer.send(line.unwrap()).unwrap()));
    for n in 0..3 {
        // Half of the next line is there already.
        let half = if n == 0 { "{\"id\":" } else { "" };
        let text = format!("{half}{n},{}\n{{\"id\":", rest_of_request());
        stdin.write_all(text.as_bytes()).unwrap();
        let Ok(line) = next.recv_timeout(EVER) else {
            child.kill().unwrap();
            panic!("no answer to {n}");
        };
        assert!(line.starts_with(&format!("{{\"id\":{n},")), "{line}");
    }
    drop(stdin);
    reader.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "the half line fails");
}
