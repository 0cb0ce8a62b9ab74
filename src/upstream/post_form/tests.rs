//! Forms signed anew, read again by our own reader and taken by the embedded store.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;

use super::*;
use crate::auth::identity::SecretKey;
use crate::auth::identity::{AccessKeyId, Credential, Identity};
use crate::auth::sigv4::{PresentedForm, SigningKeys};
use crate::identity::StaticCredentials;
use crate::layer::RequestBody;
use crate::layer::peek_form;
use crate::s3::address::{BucketName, Domains};
use crate::s3::form::{Form, SizeRange};
use crate::s3::forward::{Resign, SignedPayload, Unsigned};
use crate::s3::post_policy::PostPolicy;
use crate::upstream::{ClientSettings, EmbeddedStore, Endpoint, Endpoints, KeyPair, Trust, UpstreamClient};

const TYPE: &str = "multipart/form-data; boundary=x";
const FILE: &str = "--x\r\nContent-Type: image/png\r\n\
                    Content-Disposition: form-data; filename=\"a ${x}.png\"; name=\"File\"\r\n\r\n";

fn part(name: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn signer() -> UpstreamFormSigner {
    let pair = |id: &str, secret: &str| KeyPair { access_key_id: AccessKeyId::new(id), secret: SecretKey::new(secret) };
    let acme = AccountId::parse("111122223333").unwrap();
    UpstreamFormSigner::new(
        UpstreamCredentials::new(Some(&pair("STORE", "store-secret")), [(acme, pair("ACME", "acme-secret"))]),
        "garage",
    )
}

const NOW: u64 = 1_700_000_000;
const SIZE: SizeRange = SizeRange { min: 3, max: 9 };

fn sign(head: &str, account: Option<&str>) -> Result<String, S3Error> {
    let form = Form::parse(TYPE, head.as_bytes()).unwrap();
    let sent = FormToSign {
        form: &form,
        head: head.as_bytes(),
        bucket: &BucketName::parse("photos").unwrap(),
        size: SIZE,
        now: UNIX_EPOCH + Duration::from_secs(NOW),
    };
    let account = account.map(|id| AccountId::parse(id).unwrap());
    signer().sign(account.as_ref(), &sent).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn credential(id: &str, secret: &str) -> Credential {
    Credential {
        access_key_id: AccessKeyId::new(id),
        secret: SecretKey::new(secret),
        session_token: None,
        identity: Arc::new(Identity::anonymous()),
    }
}

#[test]
fn what_comes_out_is_a_form_that_we_signed() {
    let odd_head = "--x\r\ncontent-disposition:form-data;name=\"ACL\"\r\nContent-Type: text/plain\r\n\r\nprivate\r\n";
    for (signed_by_caller, bucket_field) in [(true, false), (false, true)] {
        let claim: String = CREDENTIALS.iter().map(|name| part(name, "the caller's")).collect();
        let head = [
            odd_head.to_owned(),
            if signed_by_caller { claim } else { String::new() },
            part("key", "home/\"${filename}\""),
            part("x-ignore-this", "${filename}"),
            part("x-amz-meta-tag", "a,b \u{e9}"),
            if bucket_field { part("bucket", "photos") } else { String::new() },
            FILE.to_owned(),
        ]
        .concat();
        for (account, id, secret) in [
            (None, "STORE", "store-secret"),
            (Some("444455556666"), "STORE", "store-secret"),
            (Some("111122223333"), "ACME", "acme-secret"),
        ] {
            let out = sign(&head, account).unwrap();
            assert!(out.starts_with(odd_head) && out.ends_with(FILE), "{out}");
            assert!(!out.contains("the caller's") && !out.contains("${filename}"), "{out}");
            let form = Form::parse(TYPE, out.as_bytes()).unwrap();
            assert_eq!(form.key().as_str(), "home/\"a ${x}.png\"");
            assert_eq!((form.file_offset(), form.check_sent_as_it_is()), (out.len(), Ok(())));
            let (parts, ()) = http::Request::post("/photos").body(()).unwrap().into_parts();
            let presented = PresentedForm::parse(&parts, &form).unwrap().unwrap();
            presented.verify(&credential(id, secret), "garage", &SigningKeys::new()).unwrap();
            let policy = PostPolicy::parse(presented.policy()).unwrap();
            assert_eq!(policy.expiration().unix_timestamp(), 1_700_000_900);
            let bucket = BucketName::parse("photos").unwrap();
            let now = UNIX_EPOCH + Duration::from_secs(NOW);
            assert_eq!(policy.check(&form, &bucket, now), Ok(SIZE));
            // It allows this form and no other.
            for changed in [
                out.replace("private", "public-read"),
                out.replace("home/", "root/"),
                out.replace("a,b", "a,c"),
                out.replacen("--x", &format!("{}--x", part("tagging", "t")), 1),
            ] {
                let form = Form::parse(TYPE, changed.as_bytes()).unwrap();
                assert!(policy.check(&form, &bucket, now).is_err(), "{changed}");
            }
            assert!(policy.check(&form, &BucketName::parse("other").unwrap(), now).is_err());
        }
    }
}

#[test]
fn a_name_that_cannot_be_written_out_is_refused() {
    for (key, filename, code) in [
        ("a-${filename}", "x.png", None),
        ("k", "${filename}", None),
        ("${filename}", "${filename}", Some("InvalidArgument")),
        ("${${filename}}", "filename", Some("InvalidArgument")),
        ("${FileName}", "a", Some("InvalidArgument")),
        ("--${filename}", "x", Some("InvalidArgument")),
        ("${filename}", "a--xb", Some("InvalidArgument")),
    ] {
        let file = format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\n");
        let signed = sign(&format!("{}{file}", part("key", key)), None);
        assert_eq!(signed.err().map(|error| error.code().name()), code, "{key} {filename}");
    }
}

#[test]
fn without_keys_nothing_is_signed() {
    let keyless = UpstreamFormSigner::new(UpstreamCredentials::default(), "garage");
    let head = format!("{}{FILE}", part("key", "k"));
    let form = Form::parse(TYPE, head.as_bytes()).unwrap();
    let bucket = BucketName::parse("photos").unwrap();
    let sent = FormToSign { form: &form, head: head.as_bytes(), bucket: &bucket, size: SIZE, now: UNIX_EPOCH };
    assert_eq!(keyless.sign(None, &sent).unwrap_err().code(), ErrorCode::InternalError);
    assert!(!format!("{:?}", signer()).contains("store-secret"));
}

type Client = UpstreamClient<RequestBody<Full<Bytes>>>;

fn client(endpoint: &str, region: &str, pair: &KeyPair) -> Client {
    let endpoint = Endpoint::parse(endpoint).unwrap();
    let settings = ClientSettings {
        endpoints: Endpoints::new([endpoint], Trust::System, Duration::from_secs(3)).unwrap(),
        region: region.to_owned(),
        credentials: UpstreamCredentials::new(Some(pair), []),
        max_connections: None,
        response_header_timeout: Duration::from_secs(10),
    };
    UpstreamClient::new(settings)
}

/// Sends a form that came virtual-hosted, as the layer does. What the store answered, or what the body left.
async fn upload(client: &Client, signer: &UpstreamFormSigner, body: String) -> Result<u16, ErrorCode> {
    let length = body.len();
    let peeked = peek_form(TYPE, Full::new(Bytes::from(body))).await.map_err(|error| error.code())?;
    let bucket = BucketName::parse("photos").unwrap();
    let size = SizeRange { min: 1, max: 1 << 20 };
    let sent = FormToSign { form: &peeked.form, head: &peeked.head, bucket: &bucket, size, now: SystemTime::now() };
    let head = signer.sign(None, &sent).map_err(|error| error.code())?;
    let (body, fault) = RequestBody::form(peeked, head, size);
    let request = Request::post("/?X-Amz-Security-Token=the-callers")
        .header("host", "photos.s3.example.com")
        .header("content-type", TYPE)
        .header("content-length", length)
        .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .header("x-amz-security-token", "the caller's")
        .extension(Unsigned { path: "/photos".to_owned() })
        .body(body)
        .unwrap();
    let answer = client.clone().oneshot(request).await;
    match (fault.get(), answer) {
        (Some(error), _) => Err(error.code()),
        (None, answer) => Ok(answer.unwrap().status().as_u16()),
    }
}

async fn signed_request(client: &Client, method: Method, path: &str) -> (u16, Bytes) {
    let resign = Resign { account: None, payload: SignedPayload::Unsigned, path: path.to_owned() };
    let request = Request::builder().method(method).uri(path).extension(resign);
    let request = request.body(RequestBody::held(Bytes::new())).unwrap();
    let response = client.clone().oneshot(request).await.unwrap();
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
}

async fn the_store_takes_forms(client: &Client, signer: &UpstreamFormSigner) {
    let form = |key: &str, file: &str| {
        let fields = [
            part("key", key),
            part("policy", "the caller's"),
            part("x-amz-signature", "the caller's"),
            part("Content-Type", "image/png"),
            part("x-amz-meta-Tag", "a,b"),
            part("x-ignore-this", "x"),
        ];
        // As browsers write it, since the embedded store reads it so and no other way.
        let head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a ${x}.png\"\r\n\
                    Content-Type: image/png\r\n\r\n";
        format!("{}{head}{file}\r\n--x--\r\n", fields.concat())
    };
    let large = format!("{0}\r\n--y--\r\n{0}", "data".repeat(100_000));
    for (key, file, stored_at) in
        [("home/${filename}", "data", "/photos/home/a%20%24%7Bx%7D.png"), ("large", &large, "/photos/large")]
    {
        let status = upload(client, signer, form(key, file)).await.unwrap();
        assert!(matches!(status, 200 | 204), "{key}: {status}");
        let (status, stored) = signed_request(client, Method::GET, stored_at).await;
        assert_eq!((status, stored.len()), (200, file.len()), "{key}");
        assert!(stored == file, "{key}");
    }
    for (key, file, code) in [
        ("empty", String::new(), ErrorCode::EntityTooSmall),
        ("too-large", "d".repeat((1 << 20) + 1), ErrorCode::EntityTooLarge),
        ("torn", "data\n--x".to_owned(), ErrorCode::MalformedPOSTRequest),
    ] {
        assert_eq!(upload(client, signer, form(key, &file)).await, Err(code), "{key}");
        assert_eq!(signed_request(client, Method::GET, &format!("/photos/{key}")).await.0, 404, "{key}");
    }
    let stranger = KeyPair { access_key_id: AccessKeyId::new("STORE"), secret: SecretKey::new("wrong") };
    let stranger = UpstreamFormSigner::new(UpstreamCredentials::new(Some(&stranger), []), "us-east-1");
    assert_eq!(upload(client, &stranger, form("foreign", "data")).await, Ok(403));
}

#[tokio::test]
async fn the_embedded_store_takes_what_was_signed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let pair = KeyPair { access_key_id: AccessKeyId::new("STORE"), secret: SecretKey::new("store-secret") };
    let nobody = Arc::new(StaticCredentials::default());
    let store = EmbeddedStore::start(directory.path(), pair.clone(), nobody, Domains::default()).await.unwrap();
    let client = client(&format!("http://{}", store.address()), "us-east-1", &pair);
    let signer = UpstreamFormSigner::new(UpstreamCredentials::new(Some(&pair), []), "us-east-1");
    assert_eq!(signed_request(&client, Method::PUT, "/photos").await.0, 200);
    the_store_takes_forms(&client, &signer).await;
}
