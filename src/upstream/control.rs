//! Questions of our own to the store, in our own name: is a bucket there, whose is it, which policy has it?
//!
//! How they are put is in `question.rs`, what a single decision asks in `facts.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::credentials::UpstreamCredentials;
use super::endpoints::Endpoints;
use super::question::{Asker, ControlError, Question, Reason};
use super::tls::TlsError;
use crate::ownership::{BucketProbe, ProbeError};
use crate::policy::Policy;
use crate::s3::address::{Address, BucketName};
use crate::s3::xml;
use crate::store::{BoxFuture, PolicySource, StoreError};

/// The errors by which a store says that it does not take our signature, whatever it is asked.
const OUR_FAULT: [&str; 4] =
    ["AuthorizationHeaderMalformed", "InvalidAccessKeyId", "RequestTimeTooSkewed", "SignatureDoesNotMatch"];

/// What a [`ControlClient`] needs to know.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The store.
    pub endpoints: Endpoints,
    /// The region that signatures name.
    pub region: String,
    /// The keys; only the default pair is used, and without one the questions go unsigned.
    pub credentials: UpstreamCredentials,
    /// How long one question may take in all.
    pub timeout: Duration,
}

/// Asks the store.
#[derive(Clone, Debug)]
pub struct ControlClient {
    pub(super) asker: Asker,
}

impl ControlClient {
    /// A client with a small pool of its own, so that questions are answered even while uploads take up the other.
    ///
    /// # Errors
    /// [`TlsError`] when the endpoint is `https` and TLS cannot be set up.
    pub fn new(settings: ControlSettings) -> Result<Self, TlsError> {
        Ok(Self { asker: Asker::new(settings)? })
    }

    /// Whether `bucket` is there: only `404` says that it is not. `403`, a redirect to another region and `400` (a
    /// signature that a `HEAD` cannot explain) all come from a bucket that exists.
    ///
    /// # Errors
    /// [`ControlError`] when the answer, or its absence, leaves it open.
    pub async fn head_bucket(&self, bucket: &BucketName) -> Result<bool, ControlError> {
        let question = Question::signed(Method::HEAD, &Address::Bucket(bucket.clone()), "");
        let (status, _) = self.asker.ask(&question).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
                // A bucket may be closed to our key; one that is wrong is closed out of all of them, missing ones too.
                if self.asker.settings.credentials.of(None).is_some() {
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
        let question = Question::signed(Method::GET, &Address::Bucket(bucket.clone()), "?acl");
        let (status, body) = self.asker.ask(&question).await?;
        match status {
            StatusCode::OK => xml::acl_owner_id(&body).map_err(|error| question.failed(Reason::Acl(error))),
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
        let question = Question::signed(Method::GET, &Address::Bucket(bucket.clone()), "?policy");
        let (status, body) = self.asker.ask(&question).await?;
        match status {
            StatusCode::OK => Ok(Some(body)),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(None),
            status => Err(question.refused(status, &body)),
        }
    }

    /// Whether the store accepts connections, at one endpoint at least.
    ///
    /// # Errors
    /// [`ControlError`] with what connecting to each of them said.
    pub async fn reachable(&self) -> Result<(), ControlError> {
        let reached = self.asker.settings.endpoints.reachable().await;
        reached.map_err(|reason| ControlError::new("connect".to_owned(), Reason::Unreachable(reason)))
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
