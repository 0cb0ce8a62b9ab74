//! Questions of our own to the store, in our own name: is a bucket there, whose is it, which policy has it?

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::credentials::UpstreamCredentials;
use super::endpoint::Endpoint;
use super::sign::Signer;
use super::tls::{TlsError, client_config};
use crate::ownership::{BucketProbe, ProbeError};
use crate::policy::Policy;
use crate::s3::address::BucketName;
use crate::s3::checksum::EMPTY_SHA256;
use crate::s3::forward::SignedPayload;
use crate::s3::xml;
use crate::store::{BoxFuture, PolicySource, StoreError};

/// What is read of an answer, at most. A policy has 20 KiB; an ACL of a hundred grants has 40.
const MAX_ANSWER: usize = 128 * 1024;

/// The errors by which a store says that it does not take our signature, whatever it is asked.
const OUR_FAULT: [&str; 4] =
    ["AuthorizationHeaderMalformed", "InvalidAccessKeyId", "RequestTimeTooSkewed", "SignatureDoesNotMatch"];

/// What a [`ControlClient`] needs to know.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The store.
    pub endpoint: Endpoint,
    /// The region that signatures name.
    pub region: String,
    /// The keys; only the default pair is used, and without one the questions go unsigned.
    pub credentials: UpstreamCredentials,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one question may take in all.
    pub timeout: Duration,
}

/// Asks the store.
#[derive(Clone, Debug)]
pub struct ControlClient {
    http: reqwest::Client,
    settings: ControlSettings,
}

/// The store gave no usable answer.
#[derive(Debug)]
pub struct ControlError {
    /// What was asked: method and target.
    question: String,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Http(reqwest::Error),
    /// With the error's code, where its body told one.
    Status(StatusCode, Option<String>),
    TooLong,
    Unsigned(String),
    Xml(xml::XmlError),
    Unreachable(String),
}

impl ControlClient {
    /// A client with a small pool of its own, so that questions are answered even while uploads take up the other.
    ///
    /// # Errors
    /// [`TlsError`] when the endpoint is `https` and TLS cannot be set up.
    pub fn new(settings: ControlSettings) -> Result<Self, TlsError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(&settings.endpoint)?)
            // What is asked of the store is not for whatever proxy the environment names, nor for another host.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(Duration::from_secs(4))
            .build()
            .map_err(TlsError::new)?;
        Ok(Self { http, settings })
    }

    /// Whether `bucket` is there: only `404` says that it is not. `403`, a redirect to another region and `400` (a
    /// signature that a `HEAD` cannot explain) all come from a bucket that exists.
    ///
    /// # Errors
    /// [`ControlError`] when the answer, or its absence, leaves it open.
    pub async fn head_bucket(&self, bucket: &BucketName) -> Result<bool, ControlError> {
        let question = Question { method: Method::HEAD, bucket, subresource: "" };
        let (status, _) = self.ask(&question).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
                // A bucket may be closed to our key; one that is wrong is closed out of all of them, missing ones too.
                if self.settings.credentials.of(None).is_some() {
                    tracing::warn!(%bucket, %status, "the store refuses the upstream credentials this bucket; are they right?");
                }
                Ok(true)
            }
            status if status.is_success() || status.is_redirection() => Ok(true),
            status => Err(question.refused(status, &[])),
        }
    }

    /// `Owner/ID` of `bucket`'s ACL; `None` where the store shows none (`403`, `404`, `405`, `501`).
    ///
    /// # Errors
    /// [`ControlError`] for any other answer, for one that is not an ACL, and where it is our key that the store does not
    /// know: then the owner is unknown, not nobody.
    pub async fn acl_owner(&self, bucket: &BucketName) -> Result<Option<String>, ControlError> {
        let question = Question { method: Method::GET, bucket, subresource: "?acl" };
        let (status, body) = self.ask(&question).await?;
        match status {
            StatusCode::OK => xml::acl_owner_id(&body).map_err(|error| question.failed(Reason::Xml(error))),
            StatusCode::FORBIDDEN if xml::error_code(&body).is_some_and(|code| OUR_FAULT.contains(&code)) => {
                Err(question.refused(status, &body))
            }
            StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => Ok(None),
            status => Err(question.refused(status, &body)),
        }
    }

    /// The policy the store itself has for `bucket`; `None` where there is none, or no such thing (`404`, `405`,
    /// `501`).
    ///
    /// # Errors
    /// [`ControlError`] for any other answer: a policy that cannot be read must not pass for none.
    pub async fn get_policy(&self, bucket: &BucketName) -> Result<Option<Bytes>, ControlError> {
        let question = Question { method: Method::GET, bucket, subresource: "?policy" };
        let (status, body) = self.ask(&question).await?;
        match status {
            StatusCode::OK => Ok(Some(body)),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(None),
            status => Err(question.refused(status, &body)),
        }
    }

    /// Whether the store accepts connections.
    ///
    /// # Errors
    /// [`ControlError`] with what connecting said.
    pub async fn reachable(&self) -> Result<(), ControlError> {
        let (host, port) = self.settings.endpoint.connect_to();
        let unreachable = |reason: String| ControlError {
            question: format!("connect to {host}:{port}"),
            reason: Reason::Unreachable(reason),
        };
        match timeout(self.settings.connect_timeout, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable(format!("no answer in {:?}", self.settings.connect_timeout))),
        }
    }

    async fn ask(&self, question: &Question<'_>) -> Result<(StatusCode, Bytes), ControlError> {
        let target = question.target();
        let mut headers = HeaderMap::new();
        if let Some(credentials) = self.settings.credentials.of(None) {
            let unsigned = |reason: String| question.failed(Reason::Unsigned(reason));
            let path: PathAndQuery = target.parse().map_err(|e: http::uri::InvalidUri| unsigned(e.to_string()))?;
            Signer {
                credentials,
                region: &self.settings.region,
                endpoint: &self.settings.endpoint,
                now: SystemTime::now(),
            }
            .sign(&question.method, &path, &mut headers, &SignedPayload::Sha256(EMPTY_SHA256.to_owned()))
            .map_err(|error| unsigned(error.to_string()))?;
        }
        let http_failed = |error: reqwest::Error| question.failed(Reason::Http(error.without_url()));
        // A bucket's name has no character that a URL library would change.
        let url = format!("{}{target}", self.settings.endpoint);
        let mut response =
            self.http.request(question.method.clone(), url).headers(headers).send().await.map_err(http_failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(http_failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(question.failed(Reason::TooLong));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body.freeze()))
    }
}

impl PolicySource for ControlClient {
    fn policy<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<Policy>>, StoreError>> {
        Box::pin(async move {
            let document = match self.get_policy(bucket).await {
                Ok(Some(document)) => document,
                Ok(None) => return Ok(None),
                Err(error) => return Err(StoreError::Unavailable { reason: error.to_string() }),
            };
            // Stores take documents that Amazon refuses. What one of those means cannot be known.
            match Policy::parse(&document, bucket.as_str()) {
                Ok(validated) => Ok(Some(Arc::new(validated.policy))),
                Err(invalid) => Err(StoreError::Unreadable {
                    bucket: bucket.clone(),
                    reason: format!("the store's own policy is not one by Amazon's rules: {invalid}"),
                }),
            }
        })
    }
}

impl BucketProbe for ControlClient {
    fn head<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, ProbeError>> {
        Box::pin(async move { self.head_bucket(bucket).await.map_err(probe_error) })
    }

    fn acl_owner<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<String>, ProbeError>> {
        Box::pin(async move { ControlClient::acl_owner(self, bucket).await.map_err(probe_error) })
    }
}

fn probe_error(error: ControlError) -> ProbeError {
    ProbeError { reason: error.to_string() }
}

struct Question<'a> {
    method: Method,
    bucket: &'a BucketName,
    subresource: &'static str,
}

impl Question<'_> {
    fn target(&self) -> String {
        format!("/{}{}", self.bucket, self.subresource)
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ControlError {
        self.failed(Reason::Status(status, xml::error_code(body).map(str::to_owned)))
    }

    fn failed(&self, reason: Reason) -> ControlError {
        ControlError { question: format!("{} {}", self.method, self.target()), reason }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: ", self.question)?;
        match &self.reason {
            Reason::Http(error) => {
                write!(f, "{error}")?;
                let mut source = std::error::Error::source(error);
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Reason::Status(status, None) => write!(f, "the object store answered {status}"),
            Reason::Status(status, Some(code)) => write!(f, "the object store answered {status}, {code:?}"),
            Reason::TooLong => write!(f, "the object store's answer is longer than {MAX_ANSWER} bytes"),
            Reason::Unsigned(reason) => write!(f, "the question cannot be signed: {reason}"),
            Reason::Xml(error) => write!(f, "the object store's answer is not an ACL: {error}"),
            Reason::Unreachable(reason) => write!(f, "the object store is unreachable: {reason}"),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Http(error) => Some(error),
            Reason::Xml(error) => Some(error),
            Reason::Status(..) | Reason::TooLong | Reason::Unsigned(_) | Reason::Unreachable(_) => None,
        }
    }
}
