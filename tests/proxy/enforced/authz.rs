//! Questions of proxies that carry the bytes themselves, and the answers as they can read them.

use std::sync::Arc;

use portcullis::PassThrough;
use portcullis::server::authz::decisions;
use portcullis::server::client_address::TrustedProxies;
use portcullis::server::in_flight::InFlightLayer;
use portcullis::store::memory::MemoryStore;

use super::{OPEN, ROOT, enforcing, put_policy, with_credentials};
use crate::policies::head_with;
use crate::support::{Options, Proxy, Wire, first_line, header};

/// A proxy and, with the same policies, a listener for questions.
async fn listeners() -> (Proxy, Proxy) {
    let options = || {
        let trusted = TrustedProxies::new(["127.0.0.0/8".parse().unwrap()]);
        with_credentials(Options { trusted_proxies: trusted, ..Options::default() })
    };
    let layer = enforcing(PassThrough::AsSent, Arc::new(MemoryStore::default()));
    let questions = Proxy::start_service(decisions(InFlightLayer::new(100), layer.authorizer(), None), options()).await;
    let data = Proxy::start_policies("127.0.0.1:1".parse().unwrap(), options(), layer).await;
    put_policy(&mut data.connect().await, OPEN).await;
    (data, questions)
}

/// nginx's question.
fn by_headers(method: &str, target: &str, more: &str) -> String {
    format!(
        "GET /auth_request HTTP/1.1\r\nHost: s3.localhost\r\nX-Forwarded-For: 203.0.113.9\r\nX-Original-Method: {method}\r\n\
         X-Original-URI: {target}\r\n{more}\r\n"
    )
}

/// Envoy's.
fn by_path(method: &str, target: &str, more: &str) -> String {
    format!(
        "{method} /ext_authz{target} HTTP/1.1\r\nHost: s3.localhost\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: 0\r\n{more}\r\n"
    )
}

async fn asked(client: &mut Wire, question: &str) -> (String, String) {
    client.send(question).await;
    client.answer().await
}

#[tokio::test]
async fn nginx_reads_the_answer_in_the_status_and_two_headers() {
    let (_data, questions) = listeners().await;
    let mut client = questions.connect().await;
    for (method, target, more, status, s3_status, code) in [
        ("GET", "/photos/open/a", "", "200 OK", None, ""),
        ("PUT", "/photos/open/a%2F//b", "", "200 OK", None, ""),
        ("GET", "/photos/net/a", "", "200 OK", None, ""),
        ("GET", "/photos/tls/a", "X-Forwarded-Proto: https\r\n", "200 OK", None, ""),
        ("GET", "/photos/tls/a", "", "403 Forbidden", Some("403"), "AccessDenied"),
        ("GET", "/photos/secret", "", "403 Forbidden", Some("403"), "AccessDenied"),
        ("GET", "/photos/open/a/../b", "", "403 Forbidden", Some("400"), "InvalidURI"),
        ("GET", "/photos/open/a#b", "", "403 Forbidden", Some("400"), "InvalidURI"),
        ("GET", "/photos/open/a?acl&cors", "", "403 Forbidden", Some("400"), "InvalidArgument"),
        ("PUT", "/photos?policy", "", "401 Unauthorized", None, ""),
        ("POST", "/photos?delete", "", "401 Unauthorized", None, ""),
        ("PUT", "/photos", "", "401 Unauthorized", None, ""),
        ("GET", "/photos/open/a", "X-HTTP-Method-Override: DELETE\r\n", "401 Unauthorized", None, ""),
    ] {
        let (head, body) = asked(&mut client, &by_headers(method, target, more)).await;
        assert_eq!(first_line(&head), format!("HTTP/1.1 {status}"), "{method} {target}: {head}");
        assert_eq!((header(&head, "x-portcullis-status"), body.as_str()), (s3_status, ""), "{method} {target}: {head}");
        assert!(status.starts_with("401") || header(&head, "x-amz-request-id").is_some(), "{head}");
        let error = header(&head, "x-portcullis-error").unwrap_or_default();
        assert!(error.contains(&format!("<Code>{code}</Code>")) || code.is_empty(), "{method} {target}: {head}");
    }
}

#[tokio::test]
async fn envoy_hands_on_the_very_answer() {
    let (_data, questions) = listeners().await;
    let mut client = questions.connect().await;
    for (method, target, more, status, code) in [
        ("GET", "/photos/open/a", "", "200 OK", ""),
        ("PUT", "/photos/open/a%2F//b", "X-Original-Content-Length: 7\r\n", "200 OK", ""),
        ("GET", "/photos/secret", "", "403 Forbidden", "AccessDenied"),
        ("GET", "/photos/open/a/../b", "", "400 Bad Request", "InvalidURI"),
        ("PUT", "/photos?policy", "", "403 Forbidden", "AccessDenied"),
        ("PUT", "/photos/open/a", "x-amz-storage-class: A,B\r\n", "403 Forbidden", "AccessDenied"),
        // What its client says of nginx's headers is a client's word.
        (
            "GET",
            "/photos/secret",
            "X-Original-URI: /photos/open/a\r\nX-Original-Method: GET\r\n",
            "403 Forbidden",
            "AccessDenied",
        ),
        ("GET", "/photos/open/a", "X-Original-URI: /photos/open/a\r\n", "403 Forbidden", "AccessDenied"),
    ] {
        let (head, body) = asked(&mut client, &by_path(method, target, more)).await;
        assert_eq!(first_line(&head), format!("HTTP/1.1 {status}"), "{method} {target}: {head}");
        assert!(header(&head, "x-amz-request-id").is_some(), "{head}");
        assert!(header(&head, "x-portcullis-status").is_none(), "{head}");
        assert!(body.contains(&format!("<Code>{code}</Code>")) || code.is_empty(), "{method} {target}: {body}");
    }
}

#[tokio::test]
async fn a_signature_is_verified_though_the_question_is_another_request() {
    let (_data, questions) = listeners().await;
    let mut client = questions.connect().await;
    for (asked_target, status) in
        [("/photos/any//k?x-id=GetObject", "200 OK"), ("/photos/any/k?x-id=GetObject", "403 Forbidden")]
    {
        let signed = head_with(ROOT, "GET", "/photos/any//k?x-id=GetObject", &[]);
        let headers = signed.split_once("\r\n").unwrap().1;
        let question = by_headers("GET", asked_target, headers).replacen("Host: s3.localhost\r\n", "", 1);
        let (head, _) = asked(&mut client, &question).await;
        assert_eq!(first_line(&head), format!("HTTP/1.1 {status}"), "{question}\n{head}");
    }
}

#[tokio::test]
async fn what_is_no_question_is_an_error_of_the_proxys() {
    let (_data, questions) = listeners().await;
    for question in [
        "GET /photos/open/a HTTP/1.1\r\nHost: s3\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n".to_owned(),
        "GET /ext_authz/photos/open/a HTTP/1.1\r\nHost: s3\r\n\r\n".to_owned(),
        by_headers("GET", "/photos/open/a", "X-Original-URI: /photos/open/b\r\n"),
        by_headers("", "/photos/open/a", ""),
        by_path("GET", "/photos/open/a", "X-Original-Content-Length: -\r\n"),
    ] {
        let (head, _) = asked(&mut questions.connect().await, &question).await;
        assert_eq!(first_line(&head), "HTTP/1.1 500 Internal Server Error", "{question}");
    }
    // An error too long for a proxy's buffers is not told, and is one all the same.
    let question = by_headers("GET", &format!("/photos/{}", "%20".repeat(4_000)), "");
    let (head, _) = asked(&mut questions.connect().await, &question).await;
    assert_eq!(first_line(&head), "HTTP/1.1 403 Forbidden");
    assert_eq!((header(&head, "x-portcullis-status"), header(&head, "x-portcullis-error")), (Some("400"), None));
}
