//! `debug classify`, run as a user would: lines of requests in, a line of answer for each.
#![cfg(feature = "proxy")]
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod line_commands;

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use self::line_commands::{Said, assert_streams_in_little_memory};

fn command(arguments: &[&str]) -> Command {
    line_commands::command(["debug", "classify"], arguments)
}

fn classify(arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
    line_commands::run(command(arguments), input)
}

const DOMAINS: [&str; 6] = ["--requests", "-", "--domain", "s3.example.com", "--domain", "EU.s3.example.com"];

/// The answers to requests, each without its id.
fn answers(requests: &[Value]) -> Vec<Value> {
    let input: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let said = classify(&DOMAINS, input);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    said.objects()
}

fn access(all: &[(&str, &str)]) -> Value {
    all.iter().map(|(action, resource)| json!({"action": action, "resource": resource})).collect()
}

#[test]
fn an_answer_has_all_that_was_promised() {
    let input = [
        json!({"id": {"n": 1}, "method": "GET", "target": "/photos/a%2Fb?versionId=1", "host": "s3.example.com", "headers": {}}),
        json!({"id": "2", "method": "GET", "target": "/", "host": null}),
        json!({"method": "PUT", "target": "/photos?acl&cors"}),
    ];
    let input: String = input.iter().map(|request| format!("{request}\r\n\n")).collect();
    let expected = r#"{"id":{"n":1},"operation":"GetObject","bucket":"photos","key":"a/b","actions":[{"action":"s3:GetObjectVersion","resource":"arn:aws:s3:::photos/a/b"}]}
{"id":"2","operation":"GetServiceRoot","bucket":null,"key":null,"actions":[]}
{"id":null,"operation":null,"error":{"status":400,"code":"InvalidArgument"}}
"#;
    let said = classify(&DOMAINS, &input);
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), (expected, "", Some(0)));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("requests.jsonl");
    fs::write(&file, &input).unwrap();
    let said = classify(&["-r", file.to_str().unwrap(), "-d", "s3.example.com"], "");
    assert_eq!(said.out, expected, "from a file as from a pipe");
}

#[test]
fn what_is_asked_of_the_store_stands_apart() {
    let copy = json!({"method": "PUT", "target": "/k", "host": "photos.eu.s3.example.com:9000",
        "headers": {"X-Amz-Copy-Source": "src/a?versionId=v", "x-amz-object-annotation-directive": ["EXCLUDE"]}});
    let answer = &answers(&[copy])[0];
    let (k, a) = ("arn:aws:s3:::photos/k", "arn:aws:s3:::src/a");
    assert_eq!(answer["actions"], access(&[("s3:PutObject", k), ("s3:GetObjectVersion", a)]));
    let when = "source object has tags";
    assert_eq!(
        answer["lookups"],
        json!([{"when": when, "action": "s3:GetObjectVersionTagging", "resource": a},
               {"when": when, "action": "s3:PutObjectTagging", "resource": k}])
    );
}

/// Spellings by which a request could pass for another, as the wire has them.
#[test]
fn no_spelling_passes_for_something_else() {
    let host = |host: &str| json!({"host": host});
    let headers = |headers: Value| json!({"headers": headers});
    let ok = |operation, bucket, key| (Some(operation), bucket, key);
    let photos = Some("photos");
    let refused = |code| (None, None, Some(code));
    let rows = [
        // The target, absolute or not, and the host.
        ("GET", "http://photos.s3.example.com/k", json!({}), ok("GetObject", photos, Some("k"))),
        ("GET", "http://photos.s3.example.com/k", host("photos.s3.example.com"), ok("GetObject", photos, Some("k"))),
        ("GET", "http://photos.s3.example.com/k", host("other.s3.example.com"), refused("InvalidRequest")),
        ("GET", "http://u@photos.s3.example.com/k", json!({}), refused("InvalidRequest")),
        ("GET", "/k", host("photos.s3.example.com."), ok("GetObject", photos, Some("k"))),
        ("GET", "/photos/k", host("photos.s3.example.com.."), ok("GetObject", photos, Some("k"))),
        ("GET", "/photos/k", host("evils3.example.com"), ok("GetObject", photos, Some("k"))),
        ("GET", "/k", host("PHOTOS.S3.example.COM:443"), ok("GetObject", photos, Some("k"))),
        (
            "GET",
            "/k",
            json!({"host": "photos.s3.example.com", "headers": {"host": "photos.s3.example.com"}}),
            ok("GetObject", photos, Some("k")),
        ),
        (
            "GET",
            "/k",
            json!({"host": "photos.s3.example.com", "headers": {"Host": "other.s3.example.com"}}),
            refused("InvalidRequest"),
        ),
        (
            "GET",
            "/k",
            headers(json!({"host": ["photos.s3.example.com", "photos.s3.example.com"]})),
            refused("InvalidRequest"),
        ),
        (
            "GET",
            "/photos/k",
            headers(json!({"x-forwarded-host": "other.s3.example.com", "forwarded": "host=x"})),
            ok("GetObject", photos, Some("k")),
        ),
        ("OPTIONS", "*", host("s3.example.com"), refused("InvalidURI")),
        ("CONNECT", "photos.s3.example.com:443", json!({}), refused("InvalidURI")),
        ("GET", "photos/k", json!({}), refused("InvalidURI")),
        ("GET", "", json!({}), refused("InvalidURI")),
        // The path.
        ("GET", "/photos/%2e%2e/other", json!({}), refused("InvalidURI")),
        ("GET", "/photos/x/%2e%2e/y", json!({}), ok("GetObject", photos, Some("x/../y"))),
        ("GET", "/photos/%252e%252e/x", json!({}), ok("GetObject", photos, Some("%2e%2e/x"))),
        ("GET", "/%2e%2e/photos", json!({}), refused("InvalidBucketName")),
        ("GET", "//photos/k", json!({}), refused("InvalidBucketName")),
        ("GET", "/photos//k", json!({}), ok("GetObject", photos, Some("/k"))),
        ("DELETE", "/photos/", json!({}), ok("DeleteBucket", photos, None)),
        ("DELETE", "/photos//", json!({}), ok("DeleteObject", photos, Some("/"))),
        ("GET", "/photos%2Fk", json!({}), refused("InvalidBucketName")),
        ("GET", "/photos/%zz", json!({}), refused("InvalidURI")),
        ("GET", "/photos/%ff", json!({}), refused("InvalidURI")),
        ("GET", "/photos/a b", json!({}), refused("InvalidURI")),
        ("GET", "/photos/k#policy", json!({}), ok("GetObject", photos, Some("k"))),
        // The query.
        ("GET", "/photos?policy=", json!({}), ok("GetBucketPolicy", photos, None)),
        ("GET", "/photos?p%6Flicy", json!({}), ok("GetBucketPolicy", photos, None)),
        ("GET", "/photos?POLICY", json!({}), ok("ListObjects", photos, None)),
        ("PUT", "/photos?policy&acl", json!({}), refused("InvalidArgument")),
        ("PUT", "/photos?policy=a&policy=b", json!({}), refused("InvalidArgument")),
        ("DELETE", "/photos?acl", json!({}), (None, None, Some("MethodNotAllowed"))),
        ("DELETE", "/photos?%", json!({}), refused("InvalidURI")),
        ("GET", "/photos/k?versionId=1&versionId=2", json!({}), refused("InvalidArgument")),
        ("GET", "/photos/k%3FversionId=1", json!({}), ok("GetObject", photos, Some("k?versionId=1"))),
        ("GET", "/policy?acl", json!({}), ok("GetBucketAcl", Some("policy"), None)),
        // Headers.
        (
            "POST",
            "/photos/k?restore",
            headers(json!({"x-http-method-override": "GET", "x-method-override": "GET"})),
            ok("RestoreObject", photos, Some("k")),
        ),
        ("PUT", "/photos/k", headers(json!({"X-AMZ-Copy-Source": "src/a"})), ok("CopyObject", photos, Some("k"))),
        ("PUT", "/photos/k", headers(json!({"x-amz-copy-source ": "src/a"})), refused("InvalidRequest")),
        (
            "PUT",
            "/photos/k",
            headers(json!({"x-amz-acl": "private\r\nx-amz-copy-source: src/a"})),
            refused("InvalidRequest"),
        ),
        ("PUT", "/photos/k", headers(json!({"x-amz-copy-source": ["src/a", "src/b"]})), refused("InvalidArgument")),
        (
            "PUT",
            "/photos/k",
            headers(json!({"x-amz-copy-source": "src/a", "X-Amz-Copy-Source": "src/b"})),
            refused("InvalidArgument"),
        ),
        ("PUT", "/photos/k?X-Amz-Copy-Source=src/a&X-Amz-Signature=x", json!({}), ok("CopyObject", photos, Some("k"))),
        (
            "PUT",
            "/photos/k?x-amz-copy-source=src/a&X-Amz-Signature=x",
            headers(json!({"x-amz-copy-source": "src/b"})),
            refused("InvalidArgument"),
        ),
        // The method.
        ("G ET", "/photos/k", json!({}), refused("InvalidRequest")),
        ("get", "/photos/k", json!({}), refused("MethodNotAllowed")),
    ];
    let request = |(method, target, more, _): &(&str, &str, Value, _)| {
        let mut request = json!({"method": method, "target": target});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let answers = answers(&rows.iter().map(request).collect::<Vec<_>>());
    assert_eq!(answers.len(), rows.len());
    for (answer, row) in answers.iter().zip(&rows) {
        let text = |name: &str| answer[name].as_str();
        let found = match text("operation") {
            Some(operation) => (Some(operation), text("bucket"), text("key")),
            None => (None, None, answer["error"]["code"].as_str()),
        };
        assert_eq!(found, row.3, "{row:?}");
        let status = answer["error"]["status"].as_u64();
        assert!(status.is_none_or(|status| status == if found.2 == Some("MethodNotAllowed") { 405 } else { 400 }));
    }
}

#[test]
fn a_line_that_is_no_request_is_told_of_and_the_others_go_on() {
    let good = json!({"id": "good", "method": "GET", "target": "/photos/k"}).to_string();
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(16 * 1024 * 1024));
    let rows: [(&[u8], &str); 9] = [
        (b"{\"id\":\"open\"", "2: not a JSON object: EOF while parsing an object (column 12)"),
        (b"{\"id\":\"\xff\"}", "3: not UTF-8 (column 8)"),
        (b"[]", "4: not a JSON object: invalid type: sequence, expected an object"),
        (long.as_bytes(), "5: the line is longer than 16 MiB, and is not read"),
        (br#"{"id":6,"target":"/"}"#, "6 (id 6): there is no `method`"),
        (br#"{"id":"\u001b[2J","method":"GET"}"#, "7 (id \"\\u001b[2J\"): there is no `target`"),
        (br#"{"method":"GET","target":"/","headers":["a"]}"#, "8: `headers`: an object is expected, not [\"a\"]"),
        (br#"{"method":"GET","target":"/","headers":{"a":[1]}}"#, "9: `headers`: `a`: a string is expected, not 1"),
        (br#"{"method":"GET","target":"/","method":"PUT"}"#, "10: `method` is given twice"),
    ];
    let mut input = good.clone().into_bytes();
    for (line, _) in &rows {
        input.push(b'\n');
        input.extend(*line);
    }
    input.extend(format!("\n{}", good.replace('}', ",\"boby\":\"\",\"boby2\":1}")).bytes());
    let said = classify(&["--requests", "-"], input);
    let expected: String = rows.iter().map(|(_, told)| format!("error: standard input: line {told}\n")).collect();
    let warned = "warning: standard input: line 11: unknown field `boby` (told once)\n\
                  warning: standard input: line 11: unknown field `boby2` (told once)\n";
    assert_eq!((said.err.as_str(), said.code), (format!("{expected}{warned}").as_str(), Some(1)));
    assert_eq!(said.out.lines().count(), 2, "the others are answered");
}

#[test]
fn exit_codes_tell_a_wrong_command_line_from_a_wrong_file() {
    for (arguments, code, words) in [
        (&["--help"][..], 0, "Exit code 1"),
        (&[], 2, "--requests <FILE>"),
        (&["--requests", "-", "--domain", "10.0.0.1"], 2, "`10.0.0.1` is not a host name"),
        (&["--requests", "none.jsonl"], 1, "none.jsonl: cannot be read: No such file"),
        (&["--requests", "-"], 0, "warning: standard input: there are no requests in it"),
    ] {
        let said = classify(arguments, "\n");
        assert_eq!(said.code, Some(code), "{arguments:?} {said:?}");
        assert!(format!("{}{}", said.out, said.err).contains(words), "{arguments:?} {said:?}");
    }
}

#[test]
fn a_hundred_thousand_requests_stream_in_little_memory() {
    let agent = "a".repeat(1000);
    let request =
        move |n| json!({"id": n, "method": "GET", "target": format!("/photos/{n}"), "headers": {"user-agent": agent}});
    assert_streams_in_little_memory(command(&DOMAINS), request, |n, answer| {
        assert_eq!((&answer["id"], answer["key"].as_str()), (&json!(n), Some(n.to_string().as_str())));
    });
}
