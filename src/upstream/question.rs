//! How the store is asked: one request, signed with our own key, and an answer of which no more is read than is needed.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response, Url};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::balance::Load;
use super::connect::Chain;
use super::control::ControlSettings;
use super::endpoint::Endpoint;
use super::pool::{MAX_IDLE, POOL_IDLE};
use super::sign::Signer;
use super::tls::TlsError;
use crate::s3::address::Address;
use crate::s3::checksum::{EMPTY_SHA256, hex};
use crate::s3::forward::SignedPayload;
use crate::s3::xml;
use crate::s3::xml_answer::Root;

/// What is read of an answer, at most, in bytes. A policy has 20 KiB; an ACL of a hundred grants has 40, and the fifty tags
/// of a bucket, escaped, have less than 100.
const MAX_ANSWER: usize = 128 * 1024;

/// Puts [`Question`]s.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    client: reqwest::Client,
    pub(super) settings: ControlSettings,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    method: Method,
    /// Path and query as they are sent. Nothing changes a byte of them on the way: a key such as `a//b` means another object
    /// than `a/b`. What a URL cannot hold unchanged, which is a segment of dots, is not asked.
    target: String,
    headers: HeaderMap,
    body: Bytes,
    is_signed: bool,
}

/// What came of a question.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The store gave no usable answer.
#[derive(Debug)]
pub struct ControlError {
    /// What was asked: method and target.
    question: String,
    reason: Reason,
}

#[derive(Debug)]
pub(super) enum Reason {
    Http(reqwest::Error),
    TimedOut(Duration),
    /// With the error's code, where its body told one.
    Status(StatusCode, Option<String>),
    /// Than so many bytes.
    TooLong(usize),
    Unsigned(String),
    Acl(xml::XmlError),
    Document(String),
    Unreachable(String),
}

impl Asker {
    /// With a small pool of its own, so that questions are answered even while uploads take up the other.
    pub(super) fn new(settings: ControlSettings) -> Result<Self, TlsError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(settings.endpoints.client_config()?)
            // What is asked of the store is not for whatever proxy the environment names, nor for another host.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.endpoints.connect_timeout())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build()
            .map_err(TlsError::new)?;
        Ok(Self { client, settings })
    }

    /// The answer's status and its whole body.
    pub(super) async fn ask(&self, question: &Question) -> Result<(StatusCode, Bytes), ControlError> {
        let Answer { status, body, .. } = self.ask_whole(question, MAX_ANSWER).await?;
        Ok((status, body))
    }

    /// The whole answer, of which the body has `limit` bytes at most.
    pub(super) async fn ask_whole(&self, question: &Question, limit: usize) -> Result<Answer, ControlError> {
        self.in_time(question, async {
            let (response, _load) = self.send(question).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            match read(question, response, limit, |_| true).await? {
                Some(body) => Ok(Answer { status, headers, body }),
                None => Err(question.failed(Reason::TooLong(limit))),
            }
        })
        .await
    }

    /// The answer's status, and its body unless that is a `200` with another root element. Of what is none of ours, an
    /// object that a store sends because it does not know the subresource, no more is read than its first bytes.
    pub(super) async fn ask_for(
        &self,
        question: &Question,
        root: Root,
    ) -> Result<(StatusCode, Option<Bytes>), ControlError> {
        self.in_time(question, async {
            let (response, _load) = self.send(question).await?;
            let status = response.status();
            let is_wanted = |start: &[u8]| status != StatusCode::OK || root.begins(start) != Some(false);
            let body = read(question, response, MAX_ANSWER, is_wanted).await?;
            // A document that ends before its root is no document.
            let body = body.filter(|body| status != StatusCode::OK || root.begins(body).is_some());
            Ok((status, body))
        })
        .await
    }

    /// The answer's head.
    pub(super) async fn ask_for_head(&self, question: &Question) -> Result<(StatusCode, HeaderMap), ControlError> {
        let (response, _load) = self.in_time(question, self.send(question)).await?;
        Ok((response.status(), response.headers().clone()))
    }

    async fn in_time<T>(
        &self,
        question: &Question,
        answer: impl Future<Output = Result<T, ControlError>>,
    ) -> Result<T, ControlError> {
        let limit = self.settings.timeout;
        timeout(limit, answer).await.unwrap_or_else(|_| Err(question.failed(Reason::TimedOut(limit))))
    }

    /// Asks one endpoint after the other until one of them accepts the connection.
    async fn send(&self, question: &Question) -> Result<(Response, Load), ControlError> {
        let endpoints = &self.settings.endpoints;
        let mut last = Reason::Unreachable("there is no endpoint".to_owned());
        for load in endpoints.attempts() {
            let request = self.request(question, load.endpoint())?;
            match self.client.execute(request).await.map_err(reqwest::Error::without_url) {
                Ok(response) => {
                    endpoints.reached(&load);
                    return Ok((response, load));
                }
                Err(error) if error.is_connect() => {
                    endpoints.unreachable(&load, &Chain(&error));
                    last = Reason::Http(error);
                }
                Err(error) => return Err(question.failed(Reason::Http(error))),
            }
        }
        Err(question.failed(last))
    }

    /// The question as it is put to `endpoint`.
    fn request(&self, question: &Question, endpoint: &Endpoint) -> Result<Request, ControlError> {
        let unsigned = |reason: String| question.failed(Reason::Unsigned(reason));
        let target: PathAndQuery =
            question.target.parse().map_err(|e: http::uri::InvalidUri| unsigned(e.to_string()))?;
        let mut headers = question.headers.clone();
        headers.insert(HOST, endpoint.host().clone());
        let keys = &self.settings.credentials;
        if let Some(credentials) = keys.of(None).filter(|_| question.is_signed) {
            let payload = match question.body.is_empty() {
                true => EMPTY_SHA256.to_owned(),
                false => hex(&Sha256::digest(&question.body)),
            };
            let signing_keys = keys.signing_keys();
            Signer { credentials, signing_keys, region: &self.settings.region, endpoint, now: SystemTime::now() }
                .sign(&question.method, &target, &mut headers, &SignedPayload::Sha256(payload))
                .map_err(|error| unsigned(error.to_string()))?;
        }
        let mut request = Request::new(question.method.clone(), question.url(endpoint)?);
        *request.headers_mut() = headers;
        if !question.body.is_empty() {
            *request.body_mut() = Some(question.body.clone().into());
        }
        Ok(request)
    }
}

/// Reads a body for as long as `is_wanted` says so of what has come; `None` where it does not. What is not read is not
/// fetched either: the connection is closed.
async fn read(
    question: &Question,
    mut response: Response,
    limit: usize,
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Result<Option<Bytes>, ControlError> {
    let mut bytes = BytesMut::new();
    let failed = |error: reqwest::Error| question.failed(Reason::Http(error.without_url()));
    while let Some(data) = response.chunk().await.map_err(failed)? {
        if data.len() > limit.saturating_sub(bytes.len()) {
            return Err(question.failed(Reason::TooLong(limit)));
        }
        bytes.extend_from_slice(&data);
        if !is_wanted(&bytes) {
            return Ok(None);
        }
    }
    Ok(Some(bytes.freeze()))
}

impl Question {
    /// Asks with our own key, where we have one. `query` begins with `?` or is empty.
    pub(super) fn signed(method: Method, address: &Address, query: &str) -> Self {
        let target = format!("{address}{query}");
        Self { method, target, headers: HeaderMap::new(), body: Bytes::new(), is_signed: true }
    }

    /// Asks as anybody.
    pub(super) fn unsigned(method: Method, address: &Address, headers: HeaderMap) -> Self {
        Self { method, target: address.to_string(), headers, body: Bytes::new(), is_signed: false }
    }

    /// The same with a header more.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a body.
    pub(super) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// The URL library takes away segments of dots, and would ask for another object.
    fn url(&self, endpoint: &Endpoint) -> Result<Url, ControlError> {
        let url: Url = format!("{endpoint}{}", self.target)
            .parse()
            .map_err(|error| self.failed(Reason::Unsigned(format!("{error}"))))?;
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        if format!("{}{query}", url.path()) == self.target {
            Ok(url)
        } else {
            Err(self.failed(Reason::Unsigned("it cannot be sent unchanged".to_owned())))
        }
    }

    /// The status leaves the question open.
    pub(super) fn refused(&self, status: StatusCode, body: &[u8]) -> ControlError {
        self.failed(Reason::Status(status, xml::error_code(body).map(str::to_owned)))
    }

    /// There is no usable answer.
    pub(super) fn failed(&self, reason: Reason) -> ControlError {
        ControlError::new(format!("{} {}", self.method, self.target), reason)
    }
}

impl ControlError {
    pub(super) fn new(question: String, reason: Reason) -> Self {
        Self { question, reason }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: ", self.question)?;
        match &self.reason {
            Reason::Http(error) => Chain(error).fmt(f),
            Reason::TimedOut(limit) => write!(f, "no answer in {limit:?}"),
            Reason::Status(status, None) => write!(f, "the object store answered {status}"),
            Reason::Status(status, Some(code)) => write!(f, "the object store answered {status}, {code:?}"),
            Reason::TooLong(limit) => write!(f, "the object store's answer is longer than {limit} bytes"),
            Reason::Unsigned(reason) => write!(f, "the question cannot be put: {reason}"),
            Reason::Acl(error) => write!(f, "the object store's answer is not an ACL: {error}"),
            Reason::Document(error) => write!(f, "the object store's answer is not what was asked for: {error}"),
            Reason::Unreachable(reason) => write!(f, "the object store is unreachable: {reason}"),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Http(error) => Some(error),
            Reason::Acl(error) => Some(error),
            Reason::TimedOut(_)
            | Reason::Status(..)
            | Reason::TooLong(_)
            | Reason::Unsigned(_)
            | Reason::Document(_)
            | Reason::Unreachable(_) => None,
        }
    }
}
