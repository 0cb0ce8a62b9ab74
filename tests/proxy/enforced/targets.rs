//! Targets and hosts: what was decided is what the store reads.

use portcullis::PassThrough;

use super::{BOTH, exchange, lines};

#[tokio::test]
async fn no_form_of_a_target_leads_elsewhere() {
    let long = format!("/photos/open/{}", "a".repeat(70_000));
    let long_key = format!("/photos/open/{}", "a".repeat(1_025));
    let mut wrong = Vec::new();
    for (target, host, verdict, as_sent, anew) in [
        ("/photos/open/a", "s3.localhost", "200", "/photos/open/a", "/photos/open/a"),
        // Absolute, and as a proxy would be asked.
        ("http://s3.localhost/photos/open/a", "s3.localhost", "200", "/photos/open/a", "/photos/open/a"),
        ("HTTP://S3.LOCALHOST/photos/open/a", "s3.localhost", "200", "/photos/open/a", "/photos/open/a"),
        ("http://photos.s3.localhost/open/a", "photos.s3.localhost", "200", "/open/a", "/photos/open/a"),
        ("http://photos.s3.localhost/open/a", "s3.localhost", "400 InvalidRequest", "", ""),
        ("http://s3.localhost/photos/open/a", "photos.s3.localhost", "400 InvalidRequest", "", ""),
        ("http://s3.localhost:80/photos/open/a", "s3.localhost", "400 InvalidRequest", "", ""),
        ("http://x@s3.localhost/photos/open/a", "s3.localhost", "400 InvalidRequest", "", ""),
        ("http://s3.localhost/photos/shut/a", "s3.localhost", "403 AccessDenied", "", ""),
        ("//photos/open/a", "s3.localhost", "400 InvalidBucketName", "", ""),
        ("http:///photos/open/a", "s3.localhost", "400", "", ""),
        ("http:/photos/open/a", "s3.localhost", "400", "", ""),
        ("photos/open/a", "s3.localhost", "400", "", ""),
        ("s3.localhost", "s3.localhost", "400 InvalidURI", "", ""),
        ("photos.s3.localhost", "photos.s3.localhost", "400 InvalidURI", "", ""),
        ("photos.s3.localhost:80", "s3.localhost", "400 InvalidRequest", "", ""),
        ("*", "s3.localhost", "400 InvalidURI", "", ""),
        // Virtual-hosted.
        ("/open/a", "photos.s3.localhost", "200", "/open/a", "/photos/open/a"),
        ("/open/a", "PHOTOS.s3.localhost:9000", "200", "/open/a", "/photos/open/a"),
        ("/open/a", "photos.s3.localhost\r\nHost: theirs.s3.localhost", "400 InvalidRequest", "", ""),
        ("/open/a", "photos.s3.localhost\r\nHost: photos.s3.localhost", "400 InvalidRequest", "", ""),
        ("/open/a", "photos.s3.localhost, theirs.s3.localhost", "*", "", ""),
        ("/open/a", "photos.s3.localhost/x", "*", "", ""),
        ("/open/a", "theirs/@photos.s3.localhost", "400 InvalidRequest", "", ""),
        ("/open/a", "photos.s3.localhost\u{a0}", "400 InvalidRequest", "", ""),
        // Escapes are decoded once.
        ("/photos/open%2Fa", "s3.localhost", "200", "/photos/open%2Fa", "/photos/open/a"),
        ("/photos/open%2fa", "s3.localhost", "200", "/photos/open%2fa", "/photos/open/a"),
        ("/photos/%6Fpen/%61", "s3.localhost", "200", "/photos/%6Fpen/%61", "/photos/open/a"),
        ("/photos/open%252Fa", "s3.localhost", "403 AccessDenied", "", ""),
        ("/photos/open/%2573ecret", "s3.localhost", "200", "/photos/open/%2573ecret", "/photos/open/%2573ecret"),
        ("/photos/open/%73ecret", "s3.localhost", "403 AccessDenied", "", ""),
        ("/photos/open/%2e%2e/shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%2E./shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/../shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/..%2Fshut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/./a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/..", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%c0%ae%c0%ae/shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%c0%afa", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%e0%80%af", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%ed%a0%80", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%u002e", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%2", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos%2Fopen/a", "s3.localhost", "400 InvalidBucketName", "", ""),
        // Parameters of a segment, as servlets have them, and the other slash.
        ("/photos/open/..;/shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/..;x=y/shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/.;/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/..%3B/shut/a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/..\\shut\\a", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/..%5Cshut%5Ca", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open\\a", "s3.localhost", "403 AccessDenied", "", ""),
        ("/photos;x/open/a", "s3.localhost", "400 InvalidBucketName", "", ""),
        // A null ends a name in C.
        ("/photos/open/a%00.png", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos/open/%00", "s3.localhost", "400 InvalidURI", "", ""),
        ("/photos%00/open/a", "s3.localhost", "400 InvalidBucketName", "", ""),
        // What follows `#` never leaves a client, and never reaches the store.
        ("/photos/open/a#/../../shut/a", "s3.localhost", "200", "/photos/open/a", "/photos/open/a"),
        ("/photos/open/a?x=y#&acl", "s3.localhost", "200", "/photos/open/a?x=y", "/photos/open/a"),
        ("/photos#/open/a", "s3.localhost", "403 AccessDenied", "", ""),
        ("/photos/open/a%23/b", "s3.localhost", "200", "/photos/open/a%23/b", "/photos/open/a%23/b"),
        // Queries.
        ("/photos?prefix=open/", "s3.localhost", "200", "/photos?prefix=open/", "/photos?prefix=open%2F"),
        ("/photos?prefix=open/&prefix=shut/", "s3.localhost", "400 InvalidArgument", "", ""),
        ("/photos?prefix=open/;prefix=shut/", "s3.localhost", "400 InvalidURI", "", ""),
        (
            "/photos?prefix=open/%26prefix=shut/",
            "s3.localhost",
            "200",
            "/photos?prefix=open/%26prefix=shut/",
            "/photos?prefix=open%2F%26prefix%3Dshut%2F",
        ),
        (
            "/photos?prefix=open/?prefix=shut/",
            "s3.localhost",
            "200",
            "/photos?prefix=open/?prefix=shut/",
            "/photos?prefix=open%2F%3Fprefix%3Dshut%2F",
        ),
        ("/photos/open/a?%61cl", "s3.localhost", "403 AccessDenied", "", ""),
        ("/photos/open/a?acl%00", "s3.localhost", "400 InvalidArgument", "", ""),
        ("/photos/open/a?x=%00", "s3.localhost", "200", "/photos/open/a?x=%00", "/photos/open/a"),
        (&long_key, "s3.localhost", "400 KeyTooLongError", "", ""),
        (&long, "s3.localhost", "414", "", ""),
    ] {
        for mode in BOTH {
            let sent = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let (answers, asked) = exchange(mode, sent.as_bytes()).await;
            let name: String = target.chars().take(80).collect();
            let expected = if mode == PassThrough::AsSent { as_sent } else { anew };
            // Whatever is said of a `*`, nothing passes.
            let is_answered = match verdict {
                "*" => answers.iter().all(|answer| answer.starts_with('4')),
                verdict => answers == [verdict],
            };
            let is_asked = match expected {
                "" => asked.is_empty(),
                expected => lines(&asked) == [format!("GET {expected}")],
            };
            if !is_answered || !is_asked {
                wrong.push(format!("{name} {host}, {mode:?}: {answers:?} {:?}", lines(&asked)));
            }
            if let (PassThrough::AsSent, [one]) = (mode, asked.as_slice()) {
                assert!(one.header("host").unwrap().eq_ignore_ascii_case(host), "{name}: {one:?}");
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn a_request_without_a_host_is_of_path_style() {
    for mode in BOTH {
        for (sent, verdict, expected) in [
            ("GET /photos/open/a HTTP/1.0\r\n\r\n", "200", &["GET /photos/open/a"][..]),
            ("GET /photos/shut/a HTTP/1.0\r\n\r\n", "403", &[]),
            ("GET /photos/open/a HTTP/1.1\r\n\r\n", "200", &["GET /photos/open/a"]),
            ("GET /photos/open/a HTTP/1.1\r\nHost:\r\n\r\n", "200", &["GET /photos/open/a"]),
            ("GET /open/a HTTP/1.1\r\nHost:\r\n\r\n", "403", &[]),
        ] {
            let (answers, asked) = exchange(mode, sent.as_bytes()).await;
            let answers: Vec<&str> = answers.iter().filter_map(|answer| answer.get(..3)).collect();
            assert_eq!(answers, [verdict], "{sent} {mode:?}");
            assert_eq!(lines(&asked), expected, "{sent} {mode:?}");
        }
    }
}

#[tokio::test]
async fn no_method_asks_for_what_is_no_object() {
    for mode in BOTH {
        for sent in [
            "CONNECT s3.localhost:80 HTTP/1.1\r\nHost: s3.localhost:80\r\n\r\n",
            "CONNECT /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: s3.localhost\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: photos.s3.localhost\r\nOrigin: https://a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
            "OPTIONS /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n",
            "TRACE /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n",
            "get /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        ] {
            let (answers, asked) = exchange(mode, sent.as_bytes()).await;
            assert!(answers.iter().all(|answer| answer.starts_with('4')), "{sent} {mode:?}: {answers:?}");
            assert_eq!(lines(&asked), [""; 0], "{sent} {mode:?}");
        }
    }
}
