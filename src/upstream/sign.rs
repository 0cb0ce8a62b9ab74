//! Taking the caller's signature off a request and putting ours on.
//!
//! Follows "Signature Calculations for the Authorization Header" of the S3 API reference: the path is signed as S3 reads
//! it, decoded and encoded once, never normalised, whatever the spelling it is sent in.

use std::fmt;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::credentials::KeyPair;
use super::endpoint::Endpoint;
use crate::auth::sigv4::{RequestChunkSigner, RequestToSign, Scope, SigningKeys, Timestamp};
use crate::s3::forward::SignedPayload;

static X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
static X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
static X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// A request could not be signed.
#[derive(Debug)]
pub(crate) enum SignError {
    /// A header that must be signed is not text.
    Header(HeaderName),
    /// The path or query is not one.
    Target(http::uri::InvalidUri),
    /// What we write into a header cannot stand there.
    Written(http::header::InvalidHeaderValue),
    /// The clock shows a time that cannot be written.
    Clock(SystemTime),
}

/// With whose keys, where and when.
pub(crate) struct Signer<'a> {
    pub(crate) credentials: &'a KeyPair,
    pub(crate) signing_keys: &'a SigningKeys,
    pub(crate) region: &'a str,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) now: SystemTime,
}

impl Signer<'_> {
    /// Signs what `method`, `target` and `headers` say, and leaves the signature in `headers`.
    ///
    /// # Errors
    /// [`SignError`] names what cannot be signed.
    pub(crate) fn sign(
        &self,
        method: &Method,
        target: &PathAndQuery,
        headers: &mut HeaderMap,
        payload: &SignedPayload,
    ) -> Result<(), SignError> {
        let timestamp = Timestamp::at(self.now).ok_or(SignError::Clock(self.now))?;
        let scope = Scope::of(&self.credentials.access_key_id, &timestamp, self.region);
        let key = self.signing_keys.own(&scope, &self.credentials.secret);
        let content = match payload {
            SignedPayload::Sha256(hex) => hex,
            SignedPayload::Unsigned => "UNSIGNED-PAYLOAD",
            SignedPayload::Streaming(framing, _) => framing.content_sha256(),
        };
        headers.insert(HOST, self.endpoint.host().clone());
        headers.insert(&X_AMZ_DATE, HeaderValue::from_str(timestamp.as_str()).map_err(SignError::Written)?);
        headers.insert(&X_AMZ_CONTENT_SHA256, HeaderValue::from_str(content).map_err(SignError::Written)?);
        let mut signed = Vec::with_capacity(headers.len());
        for (name, value) in headers.iter().filter(|(name, _)| is_signed(name)) {
            // What S3 makes of other bytes is not told, and a signature that may not match helps nobody.
            std::str::from_utf8(value.as_bytes()).map_err(|_| SignError::Header(name.clone()))?;
            signed.push((name.as_str(), value.as_bytes()));
        }
        let request = RequestToSign {
            method: method.as_str(),
            path: target.path(),
            query: target.query().unwrap_or_default(),
            headers: signed,
            payload: content,
        };
        let signature = request.sign(&key, &scope, &timestamp);
        let mut authorization = HeaderValue::try_from(signature.authorization).map_err(SignError::Written)?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        if let SignedPayload::Streaming(framing, slot) = payload
            && framing.is_signed()
        {
            slot.put(Box::new(RequestChunkSigner::following(key, timestamp, &scope, signature.signature)));
        }
        Ok(())
    }
}

/// What S3 demands to be signed, and what says how to read the body. Nothing that a proxy further on may touch.
fn is_signed(name: &HeaderName) -> bool {
    name == HOST || name == CONTENT_TYPE || name == CONTENT_MD5 || name.as_str().starts_with("x-amz-")
}

/// Takes the caller's signature off the headers.
pub(crate) fn unsign_headers(headers: &mut HeaderMap) {
    for name in [&AUTHORIZATION, &X_AMZ_CONTENT_SHA256, &X_AMZ_DATE, &X_AMZ_SECURITY_TOKEN] {
        headers.remove(name);
    }
}

/// Takes off what the client said of the bytes of the body, which are others by now.
pub(crate) fn unsign_body(headers: &mut HeaderMap) {
    headers.remove(&CONTENT_MD5);
}

/// `path` with the query, less what a presigned URL puts there: its signature, and the `x-amz-*` headers it carries as
/// parameters, which are headers again by now. What is left keeps its bytes and its order.
///
/// # Errors
/// When `path` cannot stand in a request line.
pub(crate) fn unsigned_target(path: &str, query: Option<&str>) -> Result<PathAndQuery, SignError> {
    let Some(query) = query else { return path.parse().map_err(SignError::Target) };
    let presigned = query.split('&').any(|parameter| name_of(parameter) == "x-amz-signature");
    let mut target = String::with_capacity(path.len() + 1 + query.len());
    target.push_str(path);
    let mut separator = '?';
    for parameter in query.split('&').filter(|parameter| !(presigned && name_of(parameter).starts_with("x-amz-"))) {
        target.push(separator);
        target.push_str(parameter);
        separator = '&';
    }
    PathAndQuery::try_from(target).map_err(SignError::Target)
}

/// `path` with the query, less all that says who asks, signature or not: what [`unsigned_target`] takes away, and what
/// would be credentials to a store that reads more than we do.
///
/// # Errors
/// When `path` cannot stand in a request line.
pub(crate) fn anonymous_target(path: &str, query: Option<&str>) -> Result<PathAndQuery, SignError> {
    let target = unsigned_target(path, query)?;
    let Some(query) = target.query() else { return Ok(target) };
    let kept: Vec<&str> = query.split('&').filter(|parameter| !names_the_caller(&name_of(parameter))).collect();
    match kept.as_slice() {
        [] => path.parse().map_err(SignError::Target),
        kept => PathAndQuery::try_from(format!("{path}?{}", kept.join("&"))).map_err(SignError::Target),
    }
}

fn names_the_caller(parameter: &str) -> bool {
    const V2: [&str; 2] = ["awsaccesskeyid", "signature"];
    let of_v4 = |name: &str| {
        matches!(
            name,
            "algorithm"
                | "content-sha256"
                | "credential"
                | "date"
                | "expires"
                | "security-token"
                | "signature"
                | "signedheaders"
        )
    };
    V2.contains(&parameter) || parameter.strip_prefix("x-amz-").is_some_and(of_v4)
}

/// The parameter's name, in lower case.
fn name_of(parameter: &str) -> String {
    let name = parameter.split('=').next().unwrap_or_default();
    percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase()
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}` is not UTF-8 and cannot be signed"),
            Self::Target(error) => write!(f, "the path or query cannot be sent: {error}"),
            Self::Written(error) => write!(f, "the signature cannot be sent: {error}"),
            Self::Clock(now) => write!(f, "the clock shows a time that cannot be signed: {now:?}"),
        }
    }
}

impl std::error::Error for SignError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header(_) | Self::Clock(_) => None,
            Self::Target(error) => Some(error),
            Self::Written(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::identity::{AccessKeyId, SecretKey};

    #[test]
    fn what_presigning_put_there_leaves_the_query() {
        for (query, left) in [
            (None, "/b/k"),
            (Some(""), "/b/k?"),
            (Some("policy"), "/b/k?policy"),
            (Some("X-Amz-Algorithm=a&x=1&X-Amz-Signature=s&&y=%zz&x-id=GetObject"), "/b/k?x=1&&y=%zz&x-id=GetObject"),
            (
                Some("X-Amz-Signature=s&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Credential=c"),
                "/b/k",
            ),
            (Some("X-Amz-Acl=private&X-Amz-Signature=s&versionId=1"), "/b/k?versionId=1"),
            (Some("x-amz-acl=private&x=1"), "/b/k?x-amz-acl=private&x=1"),
            (Some("x%2Damz%2Dsignature=s&X-Amz-Security-Token=t&prefix=a+b%2Fc"), "/b/k?prefix=a+b%2Fc"),
            (Some("x-amz-signature-like=s"), "/b/k?x-amz-signature-like=s"),
        ] {
            assert_eq!(unsigned_target("/b/k", query).unwrap().as_str(), left, "{query:?}");
        }
    }

    #[test]
    fn who_asks_leaves_the_query() {
        for (query, left) in [
            (None, "/b"),
            (Some(""), "/b?"),
            (Some("location"), "/b?location"),
            (Some("X-Amz-Credential=c&X-Amz-Date=d&x-amz-expires=1&X-Amz-SignedHeaders=h"), "/b"),
            (Some("AWSAccessKeyId=a&Signature=s&Expires=1&x=%zz"), "/b?Expires=1&x=%zz"),
            (Some("X-Amz-Signature=s&X-Amz-Acl=private&&uploads"), "/b?&uploads"),
            (Some("x%2Damz-algorithm=s&x-amz-acl=private"), "/b?x-amz-acl=private"),
        ] {
            assert_eq!(anonymous_target("/b", query).unwrap().as_str(), left, "{query:?}");
        }
    }

    fn pair(id: &str, secret: &str) -> KeyPair {
        KeyPair { access_key_id: AccessKeyId::new(id), secret: SecretKey::new(secret) }
    }

    /// "Example: GET Object" of Amazon's page on the `Authorization` header, less the host, which is ours to choose.
    #[test]
    fn amazons_own_example_comes_out_the_same() {
        let credentials = pair("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let endpoint = Endpoint::parse("https://examplebucket.s3.amazonaws.com").unwrap();
        let signer = Signer {
            credentials: &credentials,
            signing_keys: &SigningKeys::new(),
            region: "us-east-1",
            endpoint: &endpoint,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600),
        };
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("the caller's"));
        headers.insert("x-amz-date", HeaderValue::from_static("the caller's"));
        headers.insert("user-agent", HeaderValue::from_static("not signed"));
        unsign_headers(&mut headers);
        let target = unsigned_target("/", Some("max-keys=2&prefix=J")).unwrap();
        signer.sign(&Method::GET, &target, &mut headers, &SignedPayload::Sha256(empty.to_owned())).unwrap();
        assert_eq!(
            headers["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        assert_eq!(headers["x-amz-content-sha256"], empty);
    }

    /// What Amazon's own signer makes of the same request.
    fn amazons(method: &str, url: &str, headers: &HeaderMap, payload: &str, pair: &KeyPair, now: SystemTime) -> String {
        use aws_sigv4::http_request as amazon;
        let mut settings = amazon::SigningSettings::default();
        settings.percent_encoding_mode = amazon::PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = amazon::UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = amazon::PayloadChecksumKind::XAmzSha256;
        let (id, secret) = (pair.access_key_id.as_str(), pair.secret.expose());
        let identity = aws_credential_types::Credentials::new(id, secret, None, None, "test").into();
        let parameters = aws_sigv4::sign::v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(now)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let signed = headers.iter().filter(|(name, _)| is_signed(name));
        let signed = signed.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let body = amazon::SignableBody::Precomputed(payload.to_owned());
        let request = amazon::SignableRequest::new(method, url, signed, body).unwrap();
        let (instructions, _) = amazon::sign(request, &parameters).unwrap().into_parts();
        let added: Vec<_> = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        added.into_iter().find(|(name, _)| name == "authorization").unwrap().1
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_signed_amazons_signer_signs_alike(
            path in "(/[a-zA-Z0-9._~-]{0,6}(%[0-9A-F][0-9A-F])?){1,4}",
            query in proptest::option::of("([a-zA-Z-]{1,5}(=[a-zA-Z0-9._~%2F-]{0,3})?)(&[a-z-]{1,5}=[a-z0-9]{0,4}){0,3}"),
            values in proptest::collection::vec(("(content-type|content-md5|range|x-amz-meta-[a-c]|x-amz-acl)", "[ -~]{0,12}"), 0..6),
            seconds in 0_u64..4_000_000_000,
        ) {
            // A `%` that begins no escape is told apart by no two signers alike.
            proptest::prop_assume!(query.as_ref().is_none_or(|query| !query.contains('%')));
            let credentials = pair("AKID", "secret");
            let endpoint = Endpoint::parse("http://store:3900").unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let signing_keys = SigningKeys::new();
            let signer =
                Signer { credentials: &credentials, signing_keys: &signing_keys, region: "us-east-1", endpoint: &endpoint, now };
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
            }
            let target = unsigned_target(&path, query.as_deref()).unwrap();
            let mut ours = headers.clone();
            signer.sign(&Method::PUT, &target, &mut ours, &SignedPayload::Unsigned).unwrap();
            headers.insert(HOST, endpoint.host().clone());
            // Their signer takes the path as it is to be signed.
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(&path).collect();
            const RECODED: &percent_encoding::AsciiSet =
                &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
            let recoded = percent_encoding::percent_encode(&decoded, RECODED);
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            let url = format!("{endpoint}{recoded}{query}");
            let theirs = amazons("PUT", &url, &headers, "UNSIGNED-PAYLOAD", &credentials, now);
            proptest::prop_assert_eq!(ours["authorization"].to_str().unwrap(), theirs);
        }
    }

    #[test]
    fn a_header_that_is_not_text_is_named() {
        let credentials = pair("a", "s");
        let endpoint = Endpoint::parse("http://store").unwrap();
        let signer = Signer {
            credentials: &credentials,
            signing_keys: &SigningKeys::new(),
            region: "r",
            endpoint: &endpoint,
            now: SystemTime::UNIX_EPOCH,
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-name", HeaderValue::from_bytes(b"\xff").unwrap());
        let target = PathAndQuery::from_static("/b/k");
        let error = signer.sign(&Method::PUT, &target, &mut headers, &SignedPayload::Unsigned).unwrap_err();
        assert!(error.to_string().contains("x-amz-meta-name"), "{error}");
    }
}
