//! Signature V4 against another implementation: what the `aws-sigv4` crate signs, ours verifies, and nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: what is not there fails it")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis::auth::AuthError;
use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::auth::sigv4::{Kind, PayloadMode, Presented, SigningKeys, Verified};
use proptest::prelude::*;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "AQoDYXdz//EPT+=/session&token%20";
const REGION: &str = "eu-central-1";

/// RFC 3986's unreserved characters stay, as SDKs have it.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What browsers and older clients leave in a path.
const LOOSE: &AsciiSet = &STRICT.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*').remove(b'+');

#[derive(Clone, Debug)]
struct Sample {
    method: &'static str,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Body,
    token: bool,
    kind: Kind,
    /// Seconds since the epoch.
    signed_at: u64,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes(Vec<u8>),
    Unsigned,
    StreamingUnsignedTrailer,
    StreamingSignedTrailer,
}

impl Body {
    fn signable(&self) -> SignableBody<'_> {
        match self {
            Self::Bytes(bytes) => SignableBody::Bytes(bytes),
            Self::Unsigned => SignableBody::UnsignedPayload,
            Self::StreamingUnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
            Self::StreamingSignedTrailer => SignableBody::StreamingSignedPayloadTrailer,
        }
    }
}

fn settings(kind: Kind) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.session_token_mode = SessionTokenMode::Include;
    match kind {
        Kind::Header => settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256,
        Kind::Presigned => {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(3600));
        }
    }
    settings
}

impl Sample {
    fn signed_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.signed_at)
    }

    /// The request as the other implementation signs it.
    fn signed(&self) -> Parts {
        let query = self.query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
        let uri = format!("http://s3.example.com:9000{}{query}", self.path);
        let token = self.token.then(|| TOKEN.to_owned());
        let identity = Credentials::new(KEY, SECRET, token, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("s3")
            .time(self.signed_at())
            .settings(settings(self.kind))
            .build()
            .unwrap()
            .into();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = match self.kind {
            Kind::Header => self.body.signable(),
            Kind::Presigned => SignableBody::UnsignedPayload,
        };
        let signable = SignableRequest::new(self.method, uri.clone(), headers, body).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();

        let mut request = Request::builder().method(self.method).uri(&uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(()).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        let (mut parts, ()) = request.into_parts();
        // On the wire of HTTP/1.1 there is a path and a Host header.
        parts.headers.insert("host", HeaderValue::from_static("s3.example.com:9000"));
        parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
        parts
    }

    fn credential(&self) -> Credential {
        Credential {
            access_key_id: AccessKeyId::new(KEY),
            secret: SecretKey::new(SECRET),
            session_token: self.token.then(|| SecretKey::new(TOKEN)),
            identity: Arc::new(Identity::anonymous()),
        }
    }

    fn verify(&self, parts: &Parts) -> Result<Verified, AuthError> {
        let presented = Presented::parse(parts)?.ok_or(AuthError::Components)?;
        presented.verify(parts, &self.credential(), self.signed_at(), REGION, &SigningKeys::new())
    }
}

/// Text with what breaks signers in it: spaces, pluses, percents, dots, slashes, letters of other alphabets.
fn awkward_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9._~-]{1,6}",
        Just(" ".to_owned()),
        Just("+".to_owned()),
        Just("%".to_owned()),
        Just("%2F".to_owned()),
        Just("..".to_owned()),
        Just("=".to_owned()),
        Just("&".to_owned()),
        Just("ü".to_owned()),
        Just("日本".to_owned()),
        "[!'()*,;:@$?#\\[\\]\"<>|^`{}\\\\]",
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = String> {
    (prop::collection::vec(awkward_text(), 1..5), any::<bool>()).prop_map(|(segments, loose)| {
        let set = if loose { LOOSE } else { STRICT };
        segments.iter().map(|s| format!("/{}", utf8_percent_encode(s, set))).collect()
    })
}

fn query() -> impl Strategy<Value = Option<String>> {
    let name = prop_oneof![
        Just("policy".to_owned()),
        Just("prefix".to_owned()),
        Just("versionId".to_owned()),
        "[a-z]{1,3}-[A-Z]{1,2}",
        "[a-z]ü[ +]x",
    ];
    let pair = (name, prop::option::of(awkward_text())).prop_map(|(name, value)| {
        let encode = |text: &str| utf8_percent_encode(text, STRICT).to_string();
        value.map_or_else(|| encode(&name), |value| format!("{}={}", encode(&name), encode(&value)))
    });
    prop::option::of(prop::collection::vec(pair, 1..5).prop_map(|pairs| pairs.join("&")))
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name =
        prop_oneof!["x-amz-meta-[a-z]{1,4}", Just("x-amz-acl".to_owned()), Just("range".to_owned()), "x-[a-z]{2}"];
    let value = "[!-~]( {0,3}[!-~]){0,8}";
    prop::collection::vec((name, value), 0..4)
}

fn sample() -> impl Strategy<Value = Sample> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Body::Bytes),
        Just(Body::Unsigned),
        Just(Body::StreamingUnsignedTrailer),
        Just(Body::StreamingSignedTrailer),
    ];
    let method = prop_oneof![Just("GET"), Just("PUT"), Just("HEAD"), Just("DELETE"), Just("POST")];
    let kind = prop_oneof![Just(Kind::Header), Just(Kind::Presigned)];
    let signed_at = 0..4_000_000_000_u64;
    (method, path(), query(), headers(), body, any::<bool>(), kind, signed_at).prop_map(
        |(method, path, query, headers, body, token, kind, signed_at)| Sample {
            method,
            path,
            query,
            headers,
            body,
            token,
            kind,
            signed_at,
        },
    )
}

/// Replaces one byte of a text by another one that may stand in its place.
fn flip(text: &str, at: prop::sample::Index) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len());
    bytes[at] = if bytes[at] == b'q' { b'z' } else { b'q' };
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn what_aws_sigv4_signs_verifies(sample in sample()) {
        let verified = sample.verify(&sample.signed());
        let verified = verified.map_err(|e| TestCaseError::fail(format!("{e:?}: {e}")))?;
        let payload = match (&sample.body, sample.kind) {
            (Body::Unsigned, _) | (_, Kind::Presigned) => PayloadMode::Unsigned,
            (Body::StreamingUnsignedTrailer, _) => PayloadMode::StreamingUnsignedTrailer,
            (Body::StreamingSignedTrailer, _) => PayloadMode::StreamingSigned { trailer: true },
            (Body::Bytes(bytes), _) => {
                PayloadMode::Sha256(<sha2::Sha256 as sha2::Digest>::digest(bytes).into())
            }
        };
        prop_assert_eq!(verified.payload(), payload);
        prop_assert_eq!(verified.scope().region(), REGION);
    }

    #[test]
    fn a_changed_path_or_query_is_refused(sample in sample(), at in any::<prop::sample::Index>()) {
        let mut parts = sample.signed();
        let target = parts.uri.to_string();
        // The first slash has to stay for it to be a request at all.
        let changed = format!("/{}", flip(target.get(1..).filter(|t| !t.is_empty()).unwrap_or("x"), at));
        let Ok(uri) = changed.parse::<Uri>() else { return Ok(()) };
        parts.uri = uri;
        prop_assert!(sample.verify(&parts).is_err(), "{} passed for {}", changed, target);
    }

    #[test]
    fn a_changed_signed_header_is_refused(
        sample in sample(),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut parts = sample.signed();
        let names: Vec<HeaderName> = parts.headers.keys().cloned().collect();
        let name = &names[which.index(names.len())];
        let value = parts.headers[name].to_str().unwrap().to_owned();
        if value.is_empty() {
            return Ok(());
        }
        let changed = flip(&value, at);
        parts.headers.get_mut(name).unwrap().clone_from(&HeaderValue::from_str(&changed).unwrap());
        prop_assert!(sample.verify(&parts).is_err(), "{}: {:?} passed for {:?}", name, changed, value);
    }

    #[test]
    fn a_changed_method_is_refused(sample in sample()) {
        let mut parts = sample.signed();
        parts.method = http::Method::from_bytes(format!("{}X", sample.method).as_bytes()).unwrap();
        prop_assert!(sample.verify(&parts).is_err());
    }

    #[test]
    fn an_added_header_or_parameter_is_refused(sample in sample(), value in "[a-z]{1,5}") {
        let mut with_header = sample.signed();
        with_header.headers.append("x-amz-added", value.parse().unwrap());
        prop_assert!(sample.verify(&with_header).is_err());
        let mut with_parameter = sample.signed();
        let joint = if with_parameter.uri.query().is_some() { '&' } else { '?' };
        with_parameter.uri = format!("{}{joint}added={value}", with_parameter.uri).parse().unwrap();
        prop_assert!(sample.verify(&with_parameter).is_err());
    }

    #[test]
    fn another_secret_or_token_is_refused(sample in sample()) {
        let parts = sample.signed();
        let presented = Presented::parse(&parts).unwrap().unwrap();
        let verify = |credential: &Credential| {
            presented.verify(&parts, credential, sample.signed_at(), REGION, &SigningKeys::new()).map(drop)
        };
        let right = sample.credential();
        let secret = Credential { secret: SecretKey::new("other"), ..right.clone() };
        prop_assert!(matches!(verify(&secret), Err(AuthError::SignatureDoesNotMatch(_))));
        let session = |token| verify(&Credential { session_token: Some(SecretKey::new(token)), ..right.clone() });
        if sample.token {
            prop_assert_eq!(session("other"), Err(AuthError::Token));
            prop_assert_eq!(verify(&Credential { session_token: None, ..right.clone() }), Err(AuthError::Token));
        } else {
            // A session's key without its token is a key that nobody has.
            let unknown = AuthError::UnknownAccessKey(AccessKeyId::new(KEY));
            prop_assert_eq!(session(TOKEN), Err(unknown));
        }
    }

    #[test]
    fn no_request_makes_the_reader_panic(
        authorization in prop::option::of("(AWS4-HMAC-SHA256 )?[ -~]{0,80}"),
        query in "[!-\"$-~]{0,80}",
    ) {
        let Ok(uri) = format!("/?{query}").parse::<Uri>() else { return Ok(()) };
        let mut request = Request::get(uri).header("x-amz-date", "20130524T000000Z");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        if let Err(error) = Presented::parse(&parts) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
