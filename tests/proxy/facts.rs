//! What a decision asks the store, and what its answers mean.

use http::{HeaderMap, HeaderValue, Method};
use portcullis::layer::{StoreFacts, StoreFactsError};
use portcullis::s3::address::{BucketName, ObjectKey};
use portcullis::upstream::{ControlClient, UpstreamCredentials};

use crate::stores::{control, key};
use crate::support::{End, Store, first_line, header};

/// Which question.
#[derive(Clone, Copy, Debug)]
enum Asked {
    ObjectTags,
    Annotations,
    BucketTags,
}

const KEY: &str = "k";
const REFUSED: &str = "<Error><Code>AccessDenied</Code></Error>";
const TAGS: &str = "<Tagging><TagSet><Tag><Key>class</Key><Value>secret</Value></Tag></TagSet></Tagging>";

fn bucket() -> BucketName {
    BucketName::parse("demo").unwrap()
}

fn object(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

fn client(store: &Store) -> ControlClient {
    control(store.address(), UpstreamCredentials::new(Some(&key("OURS")), []))
}

/// What is found, in words.
async fn ask(
    client: &ControlClient,
    asked: Asked,
    key: &str,
    version: Option<&str>,
) -> Result<String, StoreFactsError> {
    let (bucket, key) = (bucket(), object(key));
    let in_words = |tags: Vec<(String, String)>| tags.iter().map(|(key, value)| format!("{key}={value};")).collect();
    match asked {
        Asked::ObjectTags => client.object_tags(&bucket, &key, version).await.map(in_words),
        Asked::Annotations => client.has_annotations(&bucket, &key, version).await.map(|any| any.to_string()),
        Asked::BucketTags => client.bucket_tags(&bucket).await.map(in_words),
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_question_names_the_object_byte_for_byte() {
    for (asked, key, version, line) in [
        (Asked::ObjectTags, "k", None, "/demo/k?tagging"),
        (Asked::ObjectTags, "a//b", Some("null"), "/demo/a//b?tagging&versionId=null"),
        (Asked::ObjectTags, "/k/", Some("a+b/c=&d"), "/demo//k/?tagging&versionId=a%2Bb%2Fc%3D%26d"),
        (Asked::ObjectTags, "a%2Fb", None, "/demo/a%252Fb?tagging"),
        (Asked::ObjectTags, "ü ?#+\n", None, "/demo/%C3%BC%20%3F%23%2B%0A?tagging"),
        (Asked::Annotations, "a//b", None, "/demo/a//b?annotation&max-annotation-results=1"),
        (Asked::Annotations, "k", Some("v 1"), "/demo/k?annotation&max-annotation-results=1&versionId=v%201"),
        (Asked::BucketTags, "k", None, "/demo?abac"),
    ] {
        let store = Store::start().await;
        let client = client(&store);
        let question = tokio::spawn(async move { ask(&client, asked, key, version).await });
        let mut wire = store.accept().await;
        let head = wire.head().await;
        assert_eq!(first_line(&head), format!("GET {line} HTTP/1.1"), "{key:?}");
        assert!(header(&head, "authorization").is_some_and(|text| text.contains("Credential=OURS/")), "{head}");
        wire.send(answer("404 Not Found", "")).await;
        question.await.unwrap().unwrap();
    }
}

/// What would be sent as another path is not sent at all: the answer would be that of another object.
#[tokio::test]
async fn a_question_that_could_not_be_sent_unchanged_is_not_asked() {
    for key in ["a/../b/./c", "..", "./k"] {
        let store = Store::start().await;
        let client = client(&store);
        assert!(ask(&client, Asked::ObjectTags, key, None).await.is_err(), "{key}");
        let question = tokio::spawn(async move { ask(&client, Asked::ObjectTags, "k", None).await });
        let mut wire = store.accept().await;
        assert_eq!(first_line(&wire.head().await), "GET /demo/k?tagging HTTP/1.1", "{key}: the first to arrive");
        wire.send(answer("404 Not Found", "")).await;
        question.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_leaves_a_question_open_is_an_error() {
    use Asked::{Annotations, BucketTags, ObjectTags};
    let annotated = "<ListObjectAnnotationsResult><Annotations><AnnotationEntry><AnnotationName>a</AnnotationName>\
                     </AnnotationEntry></Annotations></ListObjectAnnotationsResult>";
    let none = "<ListObjectAnnotationsResult><AnnotationCount>0</AnnotationCount></ListObjectAnnotationsResult>";
    let rows: [(Asked, &str, &str, Option<&str>); 28] = [
        (ObjectTags, "200 OK", TAGS, Some("class=secret;")),
        (ObjectTags, "200 OK", "<Tagging><TagSet/></Tagging>", Some("")),
        (ObjectTags, "404 Not Found", "", Some("")),
        (ObjectTags, "405 Method Not Allowed", "", Some("")),
        (ObjectTags, "501 Not Implemented", "", Some("")),
        (ObjectTags, "200 OK", "", None),
        (ObjectTags, "200 OK", "the object itself", None),
        (ObjectTags, "206 Partial Content", TAGS, None),
        (ObjectTags, "307 Temporary Redirect", "", None),
        (ObjectTags, "400 Bad Request", REFUSED, None),
        (ObjectTags, "403 Forbidden", REFUSED, None),
        (ObjectTags, "500 Internal Server Error", "", None),
        (ObjectTags, "503 Slow Down", "", None),
        (Annotations, "200 OK", annotated, Some("true")),
        (Annotations, "200 OK", none, Some("false")),
        (Annotations, "200 OK", "", Some("false")),
        (Annotations, "200 OK", "the object itself", Some("false")),
        (Annotations, "200 OK", "<html>the object itself", Some("false")),
        (Annotations, "501 Not Implemented", "", Some("false")),
        (Annotations, "200 OK", "<ListObjectAnnotationsResult>", None),
        (Annotations, "403 Forbidden", REFUSED, None),
        (Annotations, "503 Slow Down", "", None),
        (BucketTags, "200 OK", "<ListBucketResult><Name>demo</Name></ListBucketResult>", Some("")),
        (BucketTags, "200 OK", "<AbacStatus><Status>Disabled</Status></AbacStatus>", Some("")),
        (BucketTags, "404 Not Found", "", Some("")),
        (BucketTags, "200 OK", "<AbacStatus><Status>Perhaps</Status></AbacStatus>", None),
        (BucketTags, "403 Forbidden", REFUSED, None),
        (BucketTags, "500 Internal Server Error", "", None),
    ];
    for (asked, status, body, expected) in rows {
        let store = Store::start().await;
        let client = client(&store);
        let question = tokio::spawn(async move { ask(&client, asked, KEY, None).await });
        let mut wire = store.accept().await;
        wire.head().await;
        wire.send(answer(status, body)).await;
        let found = question.await.unwrap();
        assert_eq!(found.as_deref().ok(), expected, "{asked:?} {status} {body}: {found:?}");
        if let Err(error) = found {
            assert!(error.to_string().contains("/demo"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_comes_is_an_error() {
    for asked in [Asked::ObjectTags, Asked::Annotations, Asked::BucketTags] {
        let store = Store::start().await;
        let client = client(&store);
        let question = tokio::spawn(async move { ask(&client, asked, KEY, None).await });
        let mut wire = store.accept().await;
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<?xml version=\"1.0\"?>").await;
        drop(wire);
        assert!(question.await.unwrap().is_err(), "{asked:?}");
    }
    let store = Store::start().await;
    let client = client(&store);
    drop(store);
    assert!(ask(&client, Asked::ObjectTags, KEY, None).await.is_err());
}

#[tokio::test]
async fn a_buckets_tags_count_once_abac_is_enabled() {
    let store = Store::start().await;
    let client = client(&store);
    let question = tokio::spawn(async move { ask(&client, Asked::BucketTags, KEY, None).await });
    let mut wire = store.accept().await;
    wire.head().await;
    wire.send(answer("200 OK", "<AbacStatus><Status>Enabled</Status></AbacStatus>")).await;
    assert_eq!(first_line(&wire.head().await), "GET /demo?tagging HTTP/1.1");
    wire.send(answer("200 OK", TAGS)).await;
    assert_eq!(question.await.unwrap().unwrap(), "class=secret;");
}

#[tokio::test]
async fn an_object_in_place_of_an_answer_is_not_downloaded() {
    for asked in [Asked::Annotations, Asked::BucketTags] {
        let store = Store::start().await;
        let client = client(&store);
        let question = tokio::spawn(async move { ask(&client, asked, KEY, None).await });
        let mut wire = store.accept().await;
        wire.head().await;
        // Far from all of it, and the answer is known.
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nthe object itself").await;
        question.await.unwrap().unwrap();
        let (rest, end) = wire.rest().await;
        assert!(rest.is_empty() && matches!(end, End::Closed | End::Reset), "{asked:?}");
    }
    // What begins right and does not end is no answer.
    for (asked, root) in [(Asked::ObjectTags, "<Tagging>"), (Asked::Annotations, "<ListObjectAnnotationsResult>")] {
        let store = Store::start().await;
        let client = client(&store);
        let question = tokio::spawn(async move { ask(&client, asked, KEY, None).await });
        let mut wire = store.accept().await;
        wire.head().await;
        wire.send(answer("200 OK", &format!("{root}{}", " ".repeat(128 * 1024)))).await;
        assert!(question.await.unwrap().unwrap_err().to_string().contains("longer than"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_browser_gets_what_the_preflight_tells_and_no_more() {
    let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    };
    let everything = "Access-Control-Allow-Origin: https://app.example\r\nAccess-Control-Allow-Credentials: true\r\n\
                      Access-Control-Expose-Headers: etag\r\naccess-control-expose-headers: x-amz-request-id\r\n\
                      Access-Control-Allow-Methods: GET\r\nAccess-Control-Max-Age: 60\r\nx-amz-id-2: x\r\n\
                      Set-Cookie: a\r\nVary: Origin\r\nVary: Accept\r\n";
    for (status, sent, expected) in [
        (
            "200 OK",
            everything,
            headers(&[
                ("access-control-allow-origin", "https://app.example"),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "etag, x-amz-request-id"),
                ("vary", "Origin, Accept"),
            ]),
        ),
        ("204 No Content", "access-control-allow-origin: *\r\n", headers(&[("access-control-allow-origin", "*")])),
        ("200 OK", "Vary: Origin\r\nAccess-Control-Allow-Credentials: true\r\n", headers(&[])),
        ("200 OK", "Access-Control-Allow-Origin: \u{fc}\r\n", headers(&[])),
        ("403 Forbidden", everything, headers(&[])),
        ("500 Internal Server Error", everything, headers(&[])),
    ] {
        for (name, line) in [(Some("a//b"), "/demo/a//b"), (None, "/demo")] {
            let store = Store::start().await;
            let client = client(&store);
            let question = tokio::spawn(async move {
                let (bucket, key) = (bucket(), name.map(object));
                let origin = HeaderValue::from_static("https://app.example");
                client.cors(&bucket, key.as_ref(), &origin, &Method::PUT).await
            });
            let mut wire = store.accept().await;
            let head = wire.head().await;
            assert_eq!(first_line(&head), format!("OPTIONS {line} HTTP/1.1"));
            assert_eq!(header(&head, "origin"), Some("https://app.example"));
            assert_eq!(header(&head, "access-control-request-method"), Some("PUT"));
            assert_eq!(header(&head, "authorization"), None, "a preflight has no credentials");
            wire.send(format!("HTTP/1.1 {status}\r\n{sent}Content-Length: 0\r\n\r\n")).await;
            assert_eq!(question.await.unwrap(), expected, "{status} {sent}");
        }
    }
}
