//! Headers that would not reach the store as they were decided on, and trailers that would become headers there.

use portcullis::PassThrough;

use super::recorder::Asked;
use super::{BOTH, exchange, lines, signed};

/// A request that everybody may make with these headers, and none without.
fn anonymous(target: &str, headers: &str) -> Vec<u8> {
    format!("PUT {target} HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: 2\r\n{headers}\r\nhi").into_bytes()
}

fn one(asked: &[Asked]) -> &Asked {
    assert_eq!(asked.len(), 1, "{asked:?}");
    &asked[0]
}

#[tokio::test]
async fn connection_takes_nothing_away_that_was_decided_on() {
    let signed_acl = signed("PUT", "/photos/acl/a", &[("x-amz-acl", "private")]);
    for mode in BOTH {
        // Each is granted for the sake of its header.
        for (target, header, value) in [
            ("/photos/acl/a", "x-amz-acl", "private"),
            ("/photos/sse/a", "x-amz-server-side-encryption", "AES256"),
            ("/photos/new/a", "If-None-Match", "*"),
            ("/photos/open/b", "x-amz-copy-source", "/photos/open/a"),
            ("/photos/open/a", "Content-Type", "text/plain"),
            ("/photos/open/a", "Content-MD5", "SfaKXIST7CwL9ImCHCH8Ow=="),
            ("/photos/open/a", "x-amz-meta-a", "b"),
            ("/photos/open/a", "Cache-Control", "private"),
            ("/photos/open/a", "X-Of-Some-Store", "1"),
        ] {
            let name = header.to_ascii_lowercase();
            let (answers, asked) = exchange(mode, &anonymous(target, &format!("{header}: {value}\r\n"))).await;
            assert_eq!(answers, ["200"], "{header}, {mode:?}");
            assert_eq!(one(&asked).header(&name), Some(value), "{mode:?}");
            for connection in [
                format!("Connection: {header}\r\n"),
                format!("Connection: close, {}\r\n", header.to_ascii_uppercase()),
                format!("Connection: keep-alive\r\nConnection: te ,\t{name}\r\n"),
            ] {
                let sent = anonymous(target, &format!("{header}: {value}\r\n{connection}"));
                let (answers, asked) = exchange(mode, &sent).await;
                assert_eq!(
                    (answers, lines(&asked)),
                    (vec!["400 InvalidArgument".to_owned()], vec![]),
                    "{connection} {mode:?}"
                );
            }
        }
        for (name, sent) in [
            ("Authorization", format!("{}Connection: authorization\r\n\r\n", signed("GET", "/photos/shut/a", &[]))),
            ("Host", "GET /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\nConnection: host\r\n\r\n".to_owned()),
            ("what is signed", format!("{signed_acl}Content-Length: 2\r\nConnection: x-amz-acl\r\n\r\nhi")),
            ("the length", String::from_utf8(anonymous("/photos/open/a", "Connection: content-length\r\n")).unwrap()),
        ] {
            let (answers, asked) = exchange(mode, sent.as_bytes()).await;
            assert_eq!((answers, lines(&asked)), (vec!["400 InvalidArgument".to_owned()], vec![]), "{name}, {mode:?}");
        }
        // What speaks of the connection it may name; and what is not there, nobody takes away.
        let options = "Connection: Upgrade, HTTP2-Settings, keep-alive, TE, x-amz-acl\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\
             Keep-Alive: timeout=5\r\nTE: gzip\r\n";
        let (answers, asked) = exchange(mode, &anonymous("/photos/open/a", options)).await;
        assert_eq!(answers, ["200"], "{mode:?}");
        for name in ["connection", "upgrade", "http2-settings", "keep-alive", "te"] {
            assert_eq!(one(&asked).header(name), None, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn no_trailer_is_a_header_that_was_not_decided_on() {
    let head = "PUT /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\nTransfer-Encoding: chunked\r\n";
    for mode in BOTH {
        for name in [
            "x-amz-acl",
            "X-Amz-Copy-Source",
            "x_amz_acl",
            "x-amz-server-side-encryption",
            "x-amz-bypass-governance-retention",
            "If-None-Match",
            "X-HTTP-Method-Override",
            "X-Forwarded-Host",
        ] {
            for trailer in [format!("Trailer: {name}\r\n"), format!("Trailer: x-sum,\t{name}\r\nTrailer: y\r\n")] {
                let (answers, asked) =
                    exchange(mode, format!("{head}{trailer}\r\n2\r\nhi\r\n0\r\n{name}: private\r\n\r\n").as_bytes())
                        .await;
                let found = (answers, lines(&asked));
                assert_eq!(found, (vec!["400 InvalidArgument".to_owned()], vec![]), "{trailer}, {mode:?}");
            }
            // What was not announced stays behind.
            let (answers, asked) =
                exchange(mode, format!("{head}\r\n2\r\nhi\r\n0\r\n{name}: private\r\n\r\n").as_bytes()).await;
            assert_eq!((answers, lines(&asked)), (vec!["200".to_owned()], vec!["PUT /photos/open/a: hi".to_owned()]));
            assert_eq!(one(&asked).trailers, [], "{name}, {mode:?}");
        }
        for name in ["Authorization", "Host", "Content-Length", "Transfer-Encoding", "Content-Type"] {
            let sent = format!("{head}Trailer: {name}\r\n\r\n2\r\nhi\r\n0\r\n{name}: 1\r\n\r\n");
            let (_, asked) = exchange(mode, sent.as_bytes()).await;
            assert!(asked.iter().all(|asked| asked.trailers.is_empty()), "{name}, {mode:?}: {asked:?}");
        }
        let sent = format!(
            "{head}Trailer: x-amz-checksum-crc32\r\n\r\n2\r\nhi\r\n0\r\nx-amz-checksum-crc32: 2Ti+yA==\r\nx-amz-acl: private\r\n\r\n"
        );
        let (answers, asked) = exchange(mode, sent.as_bytes()).await;
        assert_eq!(answers, ["200"], "{mode:?}");
        let trailers = [("x-amz-checksum-crc32".to_owned(), "2Ti+yA==".to_owned())];
        assert_eq!(one(&asked).trailers, trailers, "a checksum decides nothing: {mode:?}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_header_is_another() {
    for mode in BOTH {
        for (headers, verdict) in [
            ("x_amz_acl: public-read\r\n", "400 InvalidArgument"),
            ("X-Amz_Acl: public-read\r\n", "400 InvalidArgument"),
            ("x_amz_copy_source: photos/shut/a\r\n", "400 InvalidArgument"),
            ("if_none_match: *\r\n", "400 InvalidArgument"),
            ("content_type: text/plain\r\n", "400 InvalidArgument"),
            ("content_length: 100\r\n", "400 InvalidArgument"),
            ("transfer_encoding: chunked\r\n", "400 InvalidArgument"),
            ("x-amz-acl : public-read\r\n", "400"),
            ("x-amz-acl: private\r\n\tpublic-read\r\n", "400"),
            ("x-amz-acl: private\r\nx-amz-acl: private\r\n", "400 InvalidArgument"),
            ("Content-Type: a/b\r\nContent-Type: c/d\r\n", "400 InvalidArgument"),
            ("x-amz-copy-source: photos/shut/a\r\n", "403 AccessDenied"),
            ("x-amz-copy-source:photos/shut/a\r\n", "403 AccessDenied"),
            ("x-amz-copy-source: photos/open/%00a\r\n", "400 InvalidURI"),
        ] {
            let (answers, asked) = exchange(mode, &anonymous("/photos/open/a", headers)).await;
            assert_eq!(answers.first().map(String::as_str), Some(verdict), "{headers}, {mode:?}: {:?}", lines(&asked));
            assert_eq!(asked.len(), 0, "{headers}, {mode:?}");
        }
        for headers in [
            "X-HTTP-Method-Override: DELETE\r\n",
            "X_HTTP_Method_Override: DELETE\r\n",
            "X-HTTP_Method: DELETE\r\n",
            "x_method_override: DELETE\r\n",
            "X_Original_URL: /photos/shut/a\r\n",
            "X-Rewrite-URL: /photos/shut/a\r\n",
            "X_Forwarded_Host: theirs.s3.localhost\r\n",
            "Forwarded: for=192.0.2.1;host=theirs.s3.localhost\r\n",
            "X-Host: theirs.s3.localhost\r\n",
            "X-Forwarded-Prefix: /photos/shut\r\n",
        ] {
            let (answers, asked) = exchange(mode, &anonymous("/photos/open/a", headers)).await;
            assert_eq!(answers, ["200"], "{headers}, {mode:?}");
            let (name, _) = headers.split_once(':').unwrap();
            assert_eq!(one(&asked).header(&name.to_ascii_lowercase()), None, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn who_asks_is_said_once() {
    // Signed once: a second later the signature would be another.
    let head = signed("GET", "/photos/shut/a", &[]);
    let by_header = |rest: &str| format!("{head}{rest}\r\n");
    let authorization = by_header("");
    let authorization =
        authorization.lines().find(|line| line.starts_with("authorization")).unwrap().to_owned() + "\r\n";
    let presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ROOT%2F20260101%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    for mode in BOTH {
        for (name, sent, verdict) in [
            ("once", by_header(""), "200"),
            ("twice", by_header(&authorization), "400"),
            ("and by nobody", by_header("Authorization: \r\n"), "400"),
            ("and in another way", by_header("Authorization: Basic eA==\r\n"), "400"),
            ("in the query too", by_header("").replace("/shut/a", &format!("/shut/a?{presigned}")), "400"),
            (
                "in the query of version 2 too",
                by_header("").replace("/shut/a", "/shut/a?AWSAccessKeyId=R&Signature=s&Expires=1"),
                "400",
            ),
            ("not at all", by_header("").replace(&authorization, ""), "403"),
            ("of another key", by_header("").replace("/shut/a", "/shut/b"), "403"),
            ("of another method", by_header("").replace("GET ", "HEAD "), "403"),
            ("with a header that is not signed", by_header("x-amz-acl: private\r\n"), "403"),
            ("of another host", by_header("").replace("Host: s3.localhost", "Host: photos.s3.localhost"), "403"),
        ] {
            let (answers, asked) = exchange(mode, sent.as_bytes()).await;
            let answers: Vec<&str> = answers.iter().filter_map(|answer| answer.get(..3)).collect();
            assert_eq!(answers, [verdict], "{name}, {mode:?}");
            assert_eq!(asked.len(), usize::from(verdict == "200"), "{name}, {mode:?}");
            if let [one] = asked.as_slice() {
                let key = if mode == PassThrough::AsSent { "Credential=ROOT/" } else { "Credential=STORE/" };
                assert!(one.header("authorization").unwrap().contains(key), "{one:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_long_head_is_decided_whole_or_not_at_all() {
    let padding = |count: usize, bytes: usize| -> String {
        (0..count).map(|n| format!("x-pad-{n}: {}\r\n", "x".repeat(bytes))).collect()
    };
    for mode in BOTH {
        for (name, headers, verdict, asked_of) in [
            ("7 KiB before it", padding(7, 1000) + "x-amz-acl: public-read\r\n", "403 AccessDenied", 0),
            ("7 KiB and a right one", padding(7, 1000) + "x-amz-acl: private\r\n", "200", 1),
            ("9 KiB before it", padding(9, 1024) + "x-amz-acl: public-read\r\n", "400 RequestHeaderSectionTooLarge", 0),
            (
                "9 KiB and a right one",
                padding(9, 1024) + "x-amz-acl: private\r\n",
                "400 RequestHeaderSectionTooLarge",
                0,
            ),
            ("more headers than we read", padding(200, 1) + "x-amz-acl: public-read\r\n", "431", 0),
            ("more bytes than we read", padding(90, 16 * 1024) + "x-amz-acl: public-read\r\n", "431", 0),
        ] {
            let (answers, asked) = exchange(mode, &anonymous("/photos/acl/a", &headers)).await;
            assert_eq!(answers.first().map(String::as_str), Some(verdict), "{name}, {mode:?}");
            assert_eq!(asked.len(), asked_of, "{name}, {mode:?}");
            if let [one] = asked.as_slice() {
                assert_eq!(one.header("x-amz-acl"), Some("private"), "{mode:?}");
            }
        }
    }
}
