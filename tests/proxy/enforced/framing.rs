//! Where a request ends: no second one is found in it, neither by us nor by the store.

use super::{BOTH, exchange, lines};

const GET: &str = "GET /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n";
const PUT: &str = "PUT /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n";
const SHUT: &str = "PUT /photos/shut/a HTTP/1.1\r\nHost: s3.localhost\r\n";
/// What somebody would like the store to take for a request of its own.
const HIDDEN: &str = "DELETE /photos/shut/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n";

/// A body that ends before it should.
const BROKEN: &str = "PUT /photos/open/a (broken off)";

/// What is wrong with the answers to `sent`, or with what the store read, in either mode.
async fn check(name: &str, sent: &[u8], answers: &[&str], asked: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for mode in BOTH {
        let (found, read) = exchange(mode, sent).await;
        // How much of a body that is never whole the store sees is a matter of time.
        let is_never_whole = asked == [BROKEN] && read.iter().all(|asked| !asked.whole && asked.fault.is_none());
        if found != answers || (lines(&read) != asked && !is_never_whole) {
            wrong.push(format!("{name}, {mode:?}: {found:?} {:?}", lines(&read)));
        }
    }
    wrong
}

#[tokio::test]
async fn a_body_has_one_end() {
    let length = HIDDEN.len();
    let mut wrong = Vec::new();
    for (name, framing, body, answers, asked) in [
        // The framing of chunks decides, and the length is gone.
        (
            "length beside chunks",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            "2\r\nhi\r\n0\r\n\r\n".to_owned(),
            &["200"][..],
            &["PUT /photos/open/a: hi"][..],
        ),
        (
            "chunks beside length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n".to_owned(),
            "0\r\n\r\n".to_owned(),
            &["200"],
            &["PUT /photos/open/a"],
        ),
        (
            "what is behind the last chunk, and within the length, is not read at all",
            "Content-Length: 200\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            format!("0\r\n\r\n{HIDDEN}"),
            &["200"],
            &["PUT /photos/open/a"],
        ),
        (
            "a request in a chunk is none",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("4\r\n{HIDDEN}"),
            &["400 IncompleteBody"],
            &[BROKEN],
        ),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        (
            "one length twice",
            "Content-Length: 5\r\nContent-Length: 5\r\n".to_owned(),
            "hello".to_owned(),
            &["200"],
            &["PUT /photos/open/a: hello"],
        ),
        ("a list of lengths", "Content-Length: 5, 5\r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        ("a length with a sign", "Content-Length: +5\r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        ("a negative length", "Content-Length: -1\r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        ("a length in hexadecimal", "Content-Length: 0x5\r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        ("an empty length", "Content-Length: \r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        (
            "a length beyond numbers",
            "Content-Length: 18446744073709551621\r\n".to_owned(),
            "hello".to_owned(),
            &["400"],
            &[],
        ),
        ("a coding like chunked", "Transfer-Encoding: xchunked\r\n".to_owned(), "0\r\n\r\n".to_owned(), &["400"], &[]),
        (
            "chunked, and then another",
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
            "0\r\n\r\n".to_owned(),
            &["400"],
            &[],
        ),
        (
            "chunked, and then another in a header of its own",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
            "0\r\n\r\n".to_owned(),
            &["400"],
            &[],
        ),
        ("identity", "Transfer-Encoding: identity\r\n".to_owned(), String::new(), &["400"], &[]),
        (
            "identity beside a length",
            "Transfer-Encoding: identity\r\nContent-Length: 5\r\n".to_owned(),
            "hello".to_owned(),
            &["400"],
            &[],
        ),
        (
            "chunked after a vertical tab",
            "Transfer-Encoding: \x0bchunked\r\n".to_owned(),
            "0\r\n\r\n".to_owned(),
            &["400"],
            &[],
        ),
        (
            "chunked in capitals",
            "Transfer-Encoding: CHUNKED\r\n".to_owned(),
            "2\r\nhi\r\n0\r\n\r\n".to_owned(),
            &["200"],
            &["PUT /photos/open/a: hi"],
        ),
        ("space before the colon", "Transfer-Encoding : chunked\r\n".to_owned(), String::new(), &["400"], &[]),
        ("a length folded", "Content-Length:\r\n 5\r\n".to_owned(), "hello".to_owned(), &["400"], &[]),
        (
            "chunked folded",
            "X-A: b\r\n Transfer-Encoding: chunked\r\n".to_owned(),
            "0\r\n\r\n".to_owned(),
            &["400"],
            &[],
        ),
        (
            "a chunk's size with a sign",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            "+2\r\nhi\r\n0\r\n\r\n".to_owned(),
            &["400 IncompleteBody"],
            &[BROKEN],
        ),
        (
            "a chunk's size beyond numbers",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            "10000000000000002\r\nhi\r\n0\r\n\r\n".to_owned(),
            &["400 IncompleteBody"],
            &[BROKEN],
        ),
        (
            "an extension of a chunk stays here",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            "2;a=\"b\"\r\nhi\r\n0;c\r\n\r\n".to_owned(),
            &["200"],
            &["PUT /photos/open/a: hi"],
        ),
        (
            "an extension with a bare line feed",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("2;\nhi\r\n0\r\n\r\n{HIDDEN}"),
            &["400 IncompleteBody"],
            &[BROKEN],
        ),
    ] {
        wrong.extend(check(name, format!("{PUT}{framing}\r\n{body}").as_bytes(), answers, asked).await);
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn the_body_of_a_denied_request_is_never_a_request() {
    let chunks = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let open = HIDDEN.replace("/shut/", "/open/");
    let length = open.len();
    let mut wrong = Vec::new();
    for (name, sent, answers, asked) in [
        ("of a length", format!("{SHUT}Content-Length: {length}\r\n\r\n{open}"), &["403 AccessDenied"][..], &[][..]),
        ("in chunks", format!("{SHUT}Transfer-Encoding: chunked\r\n\r\n{}", chunks(&open)), &["403 AccessDenied"], &[]),
        (
            "of a length, before a granted one",
            format!("{SHUT}Content-Length: {length}\r\n\r\n{open}{GET}\r\n"),
            &["403 AccessDenied", "200"],
            &["GET /photos/open/a"],
        ),
        (
            "in chunks, before a granted one",
            format!("{SHUT}Transfer-Encoding: chunked\r\n\r\n{}{GET}\r\n", chunks(&open)),
            &["403 AccessDenied", "200"],
            &["GET /photos/open/a"],
        ),
        (
            "of a GET",
            format!("{}Content-Length: {length}\r\n\r\n{open}", GET.replace("/open/", "/shut/")),
            &["403 AccessDenied"],
            &[],
        ),
        // The client waits to be told, so what follows could be either. Nothing is read of it.
        (
            "that was to be waited for",
            format!("{SHUT}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{open}"),
            &["403 AccessDenied"],
            &[],
        ),
        (
            "of no operation",
            format!("PATCH /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: {length}\r\n\r\n{open}"),
            &["405 MethodNotAllowed"],
            &[],
        ),
        (
            "of a granted one, which is its body and nothing else",
            format!("{GET}Content-Length: {length}\r\n\r\n{open}"),
            &["200"],
            &[&format!("GET /photos/open/a: {}", open.as_bytes().escape_ascii())],
        ),
    ] {
        wrong.extend(check(name, sent.as_bytes(), answers, asked).await);
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn requests_one_after_the_other_are_decided_one_by_one() {
    let other = GET.replace("/open/", "/shut/");
    let mut wrong = check(
        "three in one piece",
        format!("{GET}\r\n{other}\r\n{GET}\r\n").as_bytes(),
        &["200", "403 AccessDenied", "200"],
        &["GET /photos/open/a", "GET /photos/open/a"],
    )
    .await;
    wrong.extend(
        check(
            "behind a connection that was to be closed",
            format!("{GET}Connection: close\r\n\r\n{GET}\r\n").as_bytes(),
            &["200"],
            &["GET /photos/open/a"],
        )
        .await,
    );
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn lines_end_where_we_say() {
    let mut wrong = Vec::new();
    for (name, sent, answers, asked) in [
        // Bare line feeds are lines' ends to us, and what goes on has others.
        (
            "bare line feeds",
            b"GET /photos/open/a HTTP/1.1\nHost: s3.localhost\n\n".to_vec(),
            &["200"][..],
            &["GET /photos/open/a"][..],
        ),
        (
            "a bare line feed in a value begins a header",
            format!("{GET}X-A: b\nRange: bytes=0-1\r\n\r\n").into_bytes(),
            &["200"],
            &["GET /photos/open/a"],
        ),
        ("a bare carriage return", format!("{GET}X-A: b\rX-B: c\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a null", format!("{GET}X-A: b\0c\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a bell", format!("{GET}X-A: b\x07c\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a delete", format!("{GET}X-A: b\x7fc\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a null in a name", format!("{GET}X\0A: b\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a name with a space", format!("{GET}X A: b\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a name with a space at its end", format!("{GET}Range : b\r\n\r\n").into_bytes(), &["400"], &[]),
        ("no name", format!("{GET}: b\r\n\r\n").into_bytes(), &["400"], &[]),
        ("no colon", format!("{GET}X-A\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a folded line", format!("{GET}X-A: b\r\n c\r\n\r\n").into_bytes(), &["400"], &[]),
        ("a folded line with a tab", format!("{GET}X-A: b\r\n\tX-Amz-Acl: c\r\n\r\n").into_bytes(), &["400"], &[]),
        (
            "a space before the first header",
            b"GET /photos/open/a HTTP/1.1\r\n Host: s3.localhost\r\n\r\n".to_vec(),
            &["400"],
            &[],
        ),
        (
            "a null in the target",
            b"GET /photos/open/a\0 HTTP/1.1\r\nHost: s3.localhost\r\n\r\n".to_vec(),
            &["400"],
            &[],
        ),
        (
            "a space in the target",
            b"GET /photos/open/a b HTTP/1.1\r\nHost: s3.localhost\r\n\r\n".to_vec(),
            &["400"],
            &[],
        ),
        ("a version with more", b"GET /photos/open/a HTTP/1.1x\r\nHost: s3.localhost\r\n\r\n".to_vec(), &["400"], &[]),
        ("HTTP/0.9", b"GET /photos/open/a\r\n\r\n".to_vec(), &["400"], &[]),
        ("HTTP/1.2", b"GET /photos/open/a HTTP/1.2\r\nHost: s3.localhost\r\n\r\n".to_vec(), &["400"], &[]),
        ("HTTP/2.0", b"GET /photos/open/a HTTP/2.0\r\nHost: s3.localhost\r\n\r\n".to_vec(), &["400"], &[]),
        (
            "a method with more",
            b"GET\tDELETE /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n".to_vec(),
            &["400"],
            &[],
        ),
        (
            "empty lines before it",
            b"\r\n\r\nGET /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n".to_vec(),
            &["200"],
            &["GET /photos/open/a"],
        ),
        (
            "chunks in HTTP/1.0",
            b"PUT /photos/open/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            &["400"],
            &[],
        ),
    ] {
        wrong.extend(check(name, &sent, answers, asked).await);
    }
    assert_eq!(wrong, [""; 0]);
}
