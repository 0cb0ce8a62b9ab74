//! Signing anew, and the questions we ask in our own name, against the embedded store, which checks signatures.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use portcullis::auth::identity::{AccessKeyId, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::policy::AccountId;
use portcullis::s3::address::{BucketName, Domains};
use portcullis::s3::forward::{Resign, SignedPayload, Unsigned};
use portcullis::upstream::embedded::EmbeddedStore;
use portcullis::upstream::{ControlClient, ControlSettings, KeyPair, UpstreamClient, UpstreamCredentials};
use tower::ServiceExt;

use crate::support::{Options, Store, client_settings, endpoints, first_line, header};

pub(crate) fn key(name: &str) -> KeyPair {
    KeyPair { access_key_id: AccessKeyId::new(name), secret: SecretKey::new(format!("{name}-secret")) }
}

fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

pub(crate) fn control(address: std::net::SocketAddr, credentials: UpstreamCredentials) -> ControlClient {
    ControlClient::new(ControlSettings {
        endpoints: endpoints([address], Duration::from_secs(3)),
        region: "us-east-1".to_owned(),
        credentials,
        timeout: Duration::from_secs(10),
    })
    .unwrap()
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

#[tokio::test]
async fn the_embedded_store_takes_what_was_signed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = Arc::new(StaticCredentials::default());
    let domains = Domains::parse(["s3.example.com"]).unwrap();
    let store = EmbeddedStore::start(&directory.path().join("data"), key("STORE"), nobody, domains).await.unwrap();
    let credentials = UpstreamCredentials::new(Some(&key("STORE")), []);
    let settings =
        client_settings(store.address(), &Options { credentials: credentials.clone(), ..Options::default() });
    let client = UpstreamClient::<Full<Bytes>>::new(settings);
    let send = async |method: Method, uri: &str, path: &str, body: &'static str| {
        let resign = Resign { account: None, payload: SignedPayload::Unsigned, path: path.to_owned() };
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "demo.s3.example.com")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=CALLER/…")
            .header("x-amz-date", "20260101T000000Z")
            .header("x-amz-security-token", "the caller's")
            .extension(resign)
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(send(Method::PUT, "/", "/demo", "").await.0, 200);
    assert_eq!(send(Method::PUT, "/a%20b", "/demo/a%20b", "hello").await.0, 200);
    let presigned = "/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&X-Amz-Credential=c&X-Amz-Date=d\
                     &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t";
    assert_eq!(send(Method::GET, presigned, "/demo/a%20b", "").await, (200, Bytes::from_static(b"hello")));
    let (status, list) = send(Method::GET, "/?list-type=2&prefix=a+b", "/demo", "").await;
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&list).contains("<Key>a b</Key>"), "{list:?}");
    assert_eq!(send(Method::PUT, "/?policy", "/demo", "{}").await.0, 501, "like so many stores");

    let control_client = control(store.address(), credentials);
    assert!(control_client.head_bucket(&bucket("demo")).await.unwrap());
    assert!(!control_client.head_bucket(&bucket("other")).await.unwrap());
    assert_eq!(control_client.get_policy(&bucket("demo")).await.unwrap(), None);
    control_client.acl_owner(&bucket("demo")).await.unwrap();
    control_client.reachable().await.unwrap();
    let stranger = control(store.address(), UpstreamCredentials::new(Some(&key("STRANGER")), []));
    assert!(stranger.head_bucket(&bucket("demo")).await.unwrap(), "a refusal is not an absence");

    let address = store.address();
    drop(store);
    let gone = control(address, UpstreamCredentials::default());
    assert!(gone.head_bucket(&bucket("demo")).await.is_err());
    assert!(gone.reachable().await.is_err());
}

#[tokio::test]
async fn each_account_has_its_own_key_and_the_payloads_hash_is_kept() {
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    for (account, expected) in
        [(Some(account()), "ACCOUNT"), (None, "DEFAULT"), (AccountId::parse("999999999999").ok(), "DEFAULT")]
    {
        let store = Store::start().await;
        let credentials = UpstreamCredentials::new(Some(&key("DEFAULT")), [(self::account(), key("ACCOUNT"))]);
        let options = Options { credentials, ..Options::default() };
        let client = UpstreamClient::<Full<Bytes>>::new(client_settings(store.address(), &options));
        let resign = Resign {
            account: account.clone(),
            payload: SignedPayload::Sha256(hash.to_owned()),
            path: "/demo/a//b%2Fc".to_owned(),
        };
        let request = Request::put("/a//b%2Fc?x-id=PutObject&X-Amz-Signature=00")
            .header("host", "demo.s3.example.com")
            .header("x-amz-meta-a", "b  c")
            .extension(resign)
            .body(Full::new(Bytes::from_static(b"hello")))
            .unwrap();
        let answer = tokio::spawn(client.oneshot(request));
        let mut wire = store.accept().await;
        let head = wire.head().await;
        assert_eq!(first_line(&head), "PUT /demo/a//b%2Fc?x-id=PutObject HTTP/1.1");
        assert_eq!(header(&head, "host"), Some(store.address().to_string().as_str()));
        assert_eq!(header(&head, "x-amz-content-sha256"), Some(hash));
        let authorization = header(&head, "authorization").unwrap();
        assert!(authorization.contains(&format!("Credential={expected}/")), "{account:?}: {authorization}");
        assert!(authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a,"));
        wire.bytes(5).await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn what_goes_on_without_a_signature_says_nothing_of_the_caller() {
    for (method, target, announced, body, expected) in [
        ("OPTIONS", "/k?X-Amz-Signature=s&X-Amz-Credential=c&x=1", None, "", ("OPTIONS /demo?x=1 HTTP/1.1", None)),
        ("POST", "/", Some("99"), "hello", ("POST /demo HTTP/1.1", Some("5"))),
        ("POST", "/?x-amz-security-token=t", None, "hello", ("POST /demo HTTP/1.1", Some("5"))),
    ] {
        let store = Store::start().await;
        let credentials = UpstreamCredentials::new(Some(&key("DEFAULT")), []);
        let options = Options { credentials, ..Options::default() };
        let client = UpstreamClient::<Full<Bytes>>::new(client_settings(store.address(), &options));
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "demo.s3.example.com")
            .header("origin", "https://www.example.com")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=CALLER/…")
            .header("x-amz-date", "20260101T000000Z")
            .header("x-amz-security-token", "the caller's")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
            .extension(Unsigned { path: "/demo".to_owned() });
        if let Some(length) = announced {
            request = request.header("content-length", length);
        }
        let request = request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
        let answer = tokio::spawn(client.oneshot(request));
        let mut wire = store.accept().await;
        let head = wire.head().await;
        assert_eq!((first_line(&head), header(&head, "content-length")), expected);
        assert_eq!(header(&head, "host"), Some(store.address().to_string().as_str()));
        assert_eq!(header(&head, "origin"), Some("https://www.example.com"));
        for name in ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "content-md5"] {
            assert_eq!(header(&head, name), None, "{name}");
        }
        assert_eq!(wire.bytes(body.len()).await, body.as_bytes());
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn answers_that_leave_a_question_open_are_errors() {
    for (status, exists) in [
        ("200 OK", Some(true)),
        ("301 Moved Permanently", Some(true)),
        ("307 Temporary Redirect", Some(true)),
        ("400 Bad Request", Some(true)),
        ("403 Forbidden", Some(true)),
        ("404 Not Found", Some(false)),
        ("500 Internal Server Error", None),
        ("503 Service Unavailable", None),
    ] {
        let store = Store::start().await;
        let client = control(store.address(), UpstreamCredentials::default());
        let answer = tokio::spawn(async move { client.head_bucket(&bucket("demo")).await });
        let mut wire = store.accept().await;
        let head = wire.head().await;
        assert_eq!(first_line(&head), "HEAD /demo HTTP/1.1");
        assert_eq!(header(&head, "authorization"), None, "unsigned without credentials");
        wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(answer.await.unwrap().ok(), exists, "{status}");
    }
    for (answer, policy) in [
        ("200 OK\r\nContent-Length: 2\r\n\r\n{}", Some(Some(Bytes::from_static(b"{}")))),
        ("404 Not Found\r\nContent-Length: 0\r\n\r\n", Some(None)),
        ("501 Not Implemented\r\nContent-Length: 0\r\n\r\n", Some(None)),
        ("403 Forbidden\r\nContent-Length: 0\r\n\r\n", None),
        ("200 OK\r\nContent-Length: 9\r\n\r\n{}", None),
    ] {
        let store = Store::start().await;
        let client = control(store.address(), UpstreamCredentials::default());
        let asked = tokio::spawn(async move { client.get_policy(&bucket("demo")).await });
        let mut wire = store.accept().await;
        wire.head().await;
        wire.send(format!("HTTP/1.1 {answer}")).await;
        drop(wire);
        assert_eq!(asked.await.unwrap().ok(), policy, "{answer:?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_know_our_key_has_not_said_that_nobody_owns_the_bucket() {
    for (code, known) in [
        ("AccessDenied", true),
        ("SignatureDoesNotMatch", false),
        ("InvalidAccessKeyId", false),
        ("RequestTimeTooSkewed", false),
    ] {
        let store = Store::start().await;
        let client = control(store.address(), UpstreamCredentials::new(Some(&key("OURS")), []));
        let asked = tokio::spawn(async move { client.acl_owner(&bucket("demo")).await });
        let mut wire = store.accept().await;
        assert_eq!(first_line(&wire.head().await), "GET /demo?acl HTTP/1.1");
        let body = format!("<Error><Code>{code}</Code></Error>");
        wire.send(format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        match asked.await.unwrap() {
            Ok(owner) => assert!(known && owner.is_none(), "{code}"),
            Err(error) => assert!(!known && error.to_string().contains(code), "{code}: {error}"),
        }
    }
}
