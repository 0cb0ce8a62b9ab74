//! Signed requests, a caller's keys, and what an answer says.

pub(crate) mod stack;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::ownership::{BucketOwners, Ownership, OwnershipError};
use portcullis::policy::{Account, AccountId, CanonicalUserId, Policy, Principal};
use portcullis::s3::address::BucketName;
use portcullis::store::BoxFuture;
use sha2::{Digest, Sha256};

/// The account that owns the buckets of these tests.
pub(crate) const OWNER: &str = "111122223333";
/// Another one.
pub(crate) const OTHER: &str = "444455556666";

/// A caller of these tests, by name: the key's id is the name in upper case, its secret the name and `-secret`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) &'static str);

impl Caller {
    pub(crate) fn key(self) -> String {
        self.0.to_uppercase()
    }

    pub(crate) fn secret(self) -> String {
        format!("{}-secret", self.0)
    }
}

/// Everybody: the owner account's `root`, `alice` (may do anything with bucket policies), `bob` (nothing), `dan` (may,
/// but is denied by his own policy); the other account's `stranger` (its root), `carol` (may) and `mallory` (nothing).
pub(crate) fn credentials() -> StaticCredentials {
    let policies =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*BucketPolicy","Resource":"*"}]}"#;
    let denied = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:*","Resource":"*"},
        {"Effect":"Deny","Action":"s3:PutBucketPolicy","Resource":"*"}]}"#;
    [
        credential(Caller("root"), root(OWNER), &[]),
        credential(Caller("alice"), user(OWNER, "alice"), &[policies]),
        credential(Caller("bob"), user(OWNER, "bob"), &[]),
        credential(Caller("dan"), user(OWNER, "dan"), &[denied]),
        credential(Caller("stranger"), root(OTHER), &[]),
        credential(Caller("carol"), user(OTHER, "carol"), &[policies]),
        credential(Caller("mallory"), user(OTHER, "mallory"), &[]),
    ]
    .into_iter()
    .collect()
}

fn account(id: &str) -> Account {
    Account { id: AccountId::parse(id).unwrap(), canonical_id: CanonicalUserId::parse(&format!("{id:0>64}")).unwrap() }
}

fn root(id: &str) -> Principal {
    Principal::root(account(id))
}

fn user(id: &str, name: &str) -> Principal {
    Principal::user(account(id), "/", name, format!("AIDA{name}"), Default::default())
}

fn credential(caller: Caller, principal: Principal, policies: &[&str]) -> Credential {
    let policies =
        policies.iter().map(|text| Arc::new(Policy::parse_identity(text.as_bytes()).unwrap().policy)).collect();
    Credential {
        access_key_id: AccessKeyId::new(caller.key()),
        secret: SecretKey::new(caller.secret()),
        session_token: None,
        identity: Arc::new(Identity { principal, policies }),
    }
}

/// The store's buckets and their owners, held in memory, which a test can change; and whether the store means something
/// else by making and deleting buckets.
#[derive(Debug, Default)]
pub(crate) struct Owners(pub(crate) Mutex<HashMap<String, Ownership>>, pub(crate) AtomicBool);

impl Owners {
    pub(crate) fn of(buckets: &[(&str, &str)]) -> Self {
        let owned = |id: &str| Ownership::Account(AccountId::parse(id).unwrap());
        let owners = buckets.iter().map(|(bucket, id)| ((*bucket).to_owned(), owned(id))).collect();
        Self(Mutex::new(owners), AtomicBool::default())
    }

    /// What a request that reached the store has made or deleted there.
    pub(crate) fn store_did(&self, parts: &http::request::Parts) {
        let name = parts.uri.path().strip_prefix('/').filter(|name| !name.is_empty() && !name.contains('/'));
        let Some(bucket) = name.filter(|_| parts.uri.query().is_none()) else { return };
        let mut buckets = self.0.lock().unwrap();
        match parts.method.as_str() {
            _ if self.1.load(Ordering::Relaxed) => {}
            "PUT" => drop(buckets.entry(bucket.to_owned()).or_insert(Ownership::Unknown)),
            "DELETE" => drop(buckets.remove(bucket)),
            _ => {}
        }
    }
}

impl BucketOwners for Owners {
    fn owner<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        let known = self.0.lock().unwrap().get(bucket.as_str()).cloned();
        Box::pin(async move { Ok(known.unwrap_or(Ownership::NoSuchBucket)) })
    }

    fn exists<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        let known = self.0.lock().unwrap().contains_key(bucket.as_str());
        Box::pin(async move { Ok(known) })
    }

    fn created<'a>(
        &'a self,
        bucket: &'a BucketName,
        creator: Option<&'a AccountId>,
    ) -> BoxFuture<'a, Result<(), OwnershipError>> {
        let ownership = creator.map_or(Ownership::Unknown, |id| Ownership::Account(id.clone()));
        self.0.lock().unwrap().insert(bucket.as_str().to_owned(), ownership);
        Box::pin(async { Ok(()) })
    }

    fn deleted<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>> {
        self.0.lock().unwrap().remove(bucket.as_str());
        Box::pin(async { Ok(()) })
    }
}

/// A request before it is signed.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let body = body.into();
    let mut request = Request::builder().method(method).uri(target).header("host", "s3.localhost");
    if !body.is_empty() {
        request = request.header("content-length", body.len());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body)).unwrap()
}

/// Signs a request as the AWS SDKs do.
pub(crate) async fn signed(caller: Caller, request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    signed_with(&caller.key(), &caller.secret(), request, SystemTime::now()).await
}

/// Signs a request with any key at any time.
pub(crate) async fn signed_with(
    key: &str,
    secret: &str,
    request: Request<Full<Bytes>>,
    at: SystemTime,
) -> Request<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let identity = Credentials::new(key, secret, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(at)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let payload = parts.headers.get("x-amz-content-sha256").map(|v| v.to_str().unwrap().to_owned());
    let headers = parts
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-amz-content-sha256")
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let uri = parts.uri.to_string();
    let signable_body = match payload {
        Some(text) => SignableBody::Precomputed(text),
        None => SignableBody::Bytes(&body),
    };
    let signable = SignableRequest::new(parts.method.as_str(), uri, headers, signable_body).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let mut request = Request::from_parts(parts, Full::new(body));
    request.headers_mut().remove("x-amz-content-sha256");
    instructions.apply_to_request_http1x(&mut request);
    request
}

/// A request with a presigned URL that carries `hoisted` as parameters, as some SDKs do it.
pub(crate) fn presigned(
    caller: Caller,
    method: &str,
    target: &str,
    hoisted: &[(&str, &str)],
    body: &'static str,
) -> Request<Full<Bytes>> {
    let mut target = target.to_owned();
    for (name, value) in hoisted {
        target.push_str(&format!("&{name}={value}"));
    }
    let target = presigned_target(caller, method, &target, SystemTime::now(), Duration::from_secs(60));
    request(method, &target, &[], body)
}

/// The target of a presigned URL that was made at some time and is good for some.
pub(crate) fn presigned_target(
    caller: Caller,
    method: &str,
    target: &str,
    at: SystemTime,
    expires_in: Duration,
) -> String {
    let identity = Credentials::new(caller.key(), caller.secret(), None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(expires_in);
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(at)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("http://s3.localhost{target}");
    let signable = SignableRequest::new(method, &url, std::iter::empty(), SignableBody::UnsignedPayload).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let mut target = target.to_owned();
    for (name, value) in instructions.params() {
        let separator = if target.contains('?') { '&' } else { '?' };
        let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        target.push_str(&format!("{separator}{name}={value}"));
    }
    target
}

/// The pieces in aws-chunked framing, each signed after the one before it, the first after `request`'s own signature.
/// See Amazon's "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
pub(crate) fn frame_signed(caller: Caller, request: &Request<Full<Bytes>>, pieces: &[&str]) -> String {
    frame_signed_with(caller, request, pieces, None)
}

/// The same with a trailer, `name:value`, and its signature, where there is one. The last, empty piece comes with both.
pub(crate) fn frame_signed_with(
    caller: Caller,
    request: &Request<Full<Bytes>>,
    pieces: &[&str],
    trailer: Option<&str>,
) -> String {
    let authorization = request.headers()["authorization"].to_str().unwrap();
    let (_, mut previous) = authorization.rsplit_once("Signature=").map(|(a, b)| (a, b.to_owned())).unwrap();
    let scope = authorization.split_once('/').unwrap().1.split_once(',').unwrap().0;
    let time = request.headers()["x-amz-date"].to_str().unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sha256 = |text: &str| hex(&Sha256::digest(text.as_bytes()));
    let hmac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{}", caller.secret()).into_bytes(), |key, part| hmac(&key, part));
    let mut framed = String::new();
    for piece in pieces {
        let to_sign =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{previous}\n{}\n{}", sha256(""), sha256(piece));
        previous = hex(&hmac(&key, &to_sign));
        framed.push_str(&format!("{:x};chunk-signature={previous}\r\n", piece.len()));
        framed.push_str(&match trailer.filter(|_| piece.is_empty()) {
            None => format!("{piece}\r\n"),
            Some(trailer) => {
                let to_sign = format!(
                    "AWS4-HMAC-SHA256-TRAILER\n{time}\n{scope}\n{previous}\n{}",
                    sha256(&format!("{trailer}\n"))
                );
                format!("{trailer}\r\nx-amz-trailer-signature:{}\r\n\r\n", hex(&hmac(&key, &to_sign)))
            }
        });
    }
    framed
}

/// What an answer says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of<B>(response: Response<B>) -> Self
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The text of an element of the error's XML.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = String::from_utf8(self.body.to_vec()).ok()?;
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        let end = text.find(&format!("</{name}>"))?;
        text.get(start..end).map(str::to_owned)
    }

    /// Status and S3 code: `204`, or `403 AccessDenied`.
    pub(crate) fn verdict(&self) -> String {
        match self.element("Code") {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}
