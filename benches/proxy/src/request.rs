//! Requests as bytes, signed once and sent many times: the load must cost less than what it measures.

use std::io;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;

use crate::world::{HOST, REGION};

/// Who signs, and for which region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: &'static str,
    pub secret: &'static str,
    pub region: &'static str,
}

/// The bucket's owner.
pub const OWNER: Key = Key { id: "OWNERKEY", secret: "the-owners-secret", region: REGION };
/// The user whom the bucket's policy lets read and write.
pub const ALICE: Key = Key { id: "ALICEKEY", secret: "alices-secret", region: REGION };

/// A request and what its answer must be.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request line and the headers, ending with an empty line.
    pub head: Vec<u8>,
    pub body: Body,
    /// The length that the answer's body must have, in bytes.
    pub answer: u64,
}

/// What is sent after the headers.
#[derive(Clone, Debug)]
pub enum Body {
    Whole(Vec<u8>),
    /// That many bytes, whose hash nobody is told.
    Zeros(u64),
}

impl Body {
    /// In bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Zeros(length) => *length,
        }
    }

    /// Whether nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Request {
    /// Asks for an object of that size, as alice.
    ///
    /// # Errors
    /// As [`Request::signed`].
    pub fn get(target: &str, size: u64) -> io::Result<Self> {
        Self::get_as(ALICE, target, size)
    }

    /// Stores an object of that size, as alice.
    ///
    /// # Errors
    /// As [`Request::signed`].
    pub fn put(target: &str, size: u64) -> io::Result<Self> {
        Self::put_as(ALICE, target, size)
    }

    /// Asks for an object of that size.
    ///
    /// # Errors
    /// As [`Request::signed`].
    pub fn get_as(key: Key, target: &str, size: u64) -> io::Result<Self> {
        Self::signed("GET", target, key, Body::Whole(Vec::new()), size)
    }

    /// Stores an object of that size.
    ///
    /// # Errors
    /// As [`Request::signed`].
    pub fn put_as(key: Key, target: &str, size: u64) -> io::Result<Self> {
        Self::signed("PUT", target, key, Body::Zeros(size), 0)
    }

    /// Stores a policy, as the owner.
    ///
    /// # Errors
    /// As [`Request::signed`].
    pub fn put_policy(bucket: &str, policy: &str) -> io::Result<Self> {
        Self::put_policy_as(OWNER, bucket, policy)
    }

    /// Stores a policy.
    ///
    /// # Errors
    /// As [`Request::signed`].
    pub fn put_policy_as(key: Key, bucket: &str, policy: &str) -> io::Result<Self> {
        Self::signed("PUT", &format!("/{bucket}?policy"), key, Body::Whole(policy.as_bytes().to_vec()), 0)
    }

    /// A request signed now, by Signature Version 4 with an `Authorization` header: good for a quarter of an hour.
    ///
    /// # Errors
    /// Where the signer does not take it.
    pub fn signed(method: &str, target: &str, key: Key, body: Body, answer: u64) -> io::Result<Self> {
        let identity = Credentials::from_keys(key.id, key.secret, None).into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(key.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(io::Error::other)?
            .into();
        let payload = match &body {
            Body::Whole(bytes) => SignableBody::Bytes(bytes),
            Body::Zeros(_) => SignableBody::UnsignedPayload,
        };
        let uri = format!("http://{HOST}{target}");
        let headers = [("host", HOST)];
        let signable = SignableRequest::new(method, uri, headers.into_iter(), payload).map_err(io::Error::other)?;
        let (instructions, _) = sign(signable, &parameters).map_err(io::Error::other)?.into_parts();

        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
        head.push_str("User-Agent: portcullis-proxy-bench\r\nAccept-Encoding: identity\r\n");
        for (name, value) in instructions.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "PUT" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        Ok(Self { head: head.into_bytes(), body, answer })
    }
}
