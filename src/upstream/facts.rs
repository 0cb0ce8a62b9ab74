//! What a decision asks the store: [`StoreFacts`], from its own mouth.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::control::ControlClient;
use super::question::{ControlError, Question, Reason};
use crate::layer::{StoreFacts, StoreFactsError};
use crate::s3::address::{Address, BucketName, ObjectKey};
use crate::s3::xml_answer::{ABAC, ANNOTATIONS, abac_enabled, names_annotations, tags};
use crate::store::BoxFuture;

/// What stays as it is in a parameter's value, as Signature V4 has it.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long the store may take to say what a browser may read.
const CORS_PATIENCE: Duration = Duration::from_secs(2);

impl ControlClient {
    async fn tags_of(&self, address: &Address, query: &str) -> Result<Vec<(String, String)>, ControlError> {
        let question = Question::signed(Method::GET, address, query);
        let (status, body) = self.asker.ask(&question).await?;
        match status {
            StatusCode::OK => tags(&body).map_err(|cause| question.failed(Reason::Document(cause))),
            status if is_absent(status) => Ok(Vec::new()),
            status => Err(question.refused(status, &body)),
        }
    }

    async fn has_annotations(&self, address: &Address, query: &str) -> Result<bool, ControlError> {
        let question = Question::signed(Method::GET, address, query);
        let (status, body) = self.asker.ask_for(&question, ANNOTATIONS).await?;
        match (status, body) {
            (StatusCode::OK, Some(body)) => {
                names_annotations(&body).map_err(|cause| question.failed(Reason::Document(cause)))
            }
            (StatusCode::OK, None) => Ok(false),
            (status, _) if is_absent(status) => Ok(false),
            (status, body) => Err(question.refused(status, &body.unwrap_or_default())),
        }
    }

    async fn abac_tags(&self, bucket: &Address) -> Result<Vec<(String, String)>, ControlError> {
        let question = Question::signed(Method::GET, bucket, "?abac");
        let (status, body) = self.asker.ask_for(&question, ABAC).await?;
        let enabled = match (status, body) {
            (StatusCode::OK, Some(body)) => {
                abac_enabled(&body).map_err(|cause| question.failed(Reason::Document(cause)))?
            }
            (StatusCode::OK, None) => false,
            (status, _) if is_absent(status) => false,
            (status, body) => return Err(question.refused(status, &body.unwrap_or_default())),
        };
        if enabled { self.tags_of(bucket, "?tagging").await } else { Ok(Vec::new()) }
    }

    async fn preflight(
        &self,
        address: &Address,
        origin: &HeaderValue,
        method: &Method,
    ) -> Result<HeaderMap, ControlError> {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.clone());
        // INVARIANT: a method is a token, which a header can hold.
        if let Ok(method) = HeaderValue::from_str(method.as_str()) {
            headers.insert(ACCESS_CONTROL_REQUEST_METHOD, method);
        }
        // A browser's preflight carries no credentials, and stores that see a signature may read it as another operation.
        let question = Question::unsigned(Method::OPTIONS, address, headers);
        let (status, answer) = self.asker.ask_for_head(&question).await?;
        if status.is_success() { Ok(allowed(&answer)) } else { Err(question.refused(status, &[])) }
    }
}

/// Whether a store says that there is no such thing, or that it knows none.
fn is_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}

/// What of a preflight's answer belongs on the answer to the request itself.
fn allowed(answer: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    // Without it a browser heeds none of the others.
    if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS, VARY]
        {
            if let Some(value) = joined(answer, &name) {
                kept.insert(name, value);
            }
        }
    }
    kept
}

/// All values of a header in one, as RFC 9110, section 5.3, joins them; none where one is not text.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let values = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>().ok()?;
    if values.is_empty() { None } else { HeaderValue::from_str(&values.join(", ")).ok() }
}

fn object(bucket: &BucketName, key: &ObjectKey) -> Address {
    Address::Object { bucket: bucket.clone(), key: key.clone() }
}

fn with_version(query: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{query}&versionId={}", utf8_percent_encode(version, KEPT)),
        None => query.to_owned(),
    }
}

fn open(error: ControlError) -> StoreFactsError {
    StoreFactsError { reason: error.to_string() }
}

impl StoreFacts for ControlClient {
    fn object_tags<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>> {
        Box::pin(
            async move { self.tags_of(&object(bucket, key), &with_version("?tagging", version)).await.map_err(open) },
        )
    }

    fn has_annotations<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreFactsError>> {
        // One is enough to know.
        let query = with_version("?annotation&max-annotation-results=1", version);
        Box::pin(async move { ControlClient::has_annotations(self, &object(bucket, key), &query).await.map_err(open) })
    }

    fn bucket_tags<'a>(
        &'a self,
        bucket: &'a BucketName,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>> {
        Box::pin(async move { self.abac_tags(&Address::Bucket(bucket.clone())).await.map_err(open) })
    }

    fn cors<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: Option<&'a ObjectKey>,
        origin: &'a HeaderValue,
        method: &'a Method,
    ) -> BoxFuture<'a, HeaderMap> {
        Box::pin(async move {
            let address = match key {
                Some(key) => object(bucket, key),
                None => Address::Bucket(bucket.clone()),
            };
            // A client waits for its denial meanwhile.
            let asked = tokio::time::timeout(CORS_PATIENCE, self.preflight(&address, origin, method));
            let answer = asked.await.unwrap_or_else(|_| Ok(HeaderMap::new()));
            match answer {
                Ok(headers) => headers,
                Err(error) => {
                    tracing::debug!(%error, "the store tells no browser how to read an answer");
                    HeaderMap::new()
                }
            }
        })
    }
}
