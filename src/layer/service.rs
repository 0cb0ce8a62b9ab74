//! The way of one request: address, operation, then `?policy` here or on to the inner service.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::body::{RequestBody, ResponseBody};
use super::change::{BegunChange, ChangeKind, Outcome, PeerAddress, PolicyChange};
use super::future::ResponseFuture;
use super::layer::{Handler, PassThrough, Shared};
use super::policy_api::{content_length, read};
use super::respond::{RequestId, Responder};
use super::target::{Route, Target};
use crate::auth::identity::Identity;
use crate::auth::sigv4::{PayloadMode, Presented, Verified};
use crate::s3::action_map::MAX_BUCKET_BODY;
use crate::s3::address::{BucketName, path_style_target};
use crate::s3::checksum::{PayloadHash, hex};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::forward::{Resign, SignedPayload};
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::Query;

/// The service a [`BucketPolicyLayer`](super::BucketPolicyLayer) makes of an S3 service.
#[derive(Clone, Debug)]
pub struct BucketPolicy<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> BucketPolicy<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B, R> Service<Request<B>> for BucketPolicy<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let target = Target::of(&parts, &self.shared);
        if let (Ok(Target { route: Route::Onward, .. }), PassThrough::AsSent) = (&target, self.shared.pass_through) {
            return ResponseFuture::passing(self.inner.call(Request::from_parts(parts, RequestBody::streaming(body))));
        }
        // `poll_ready` was answered by this very service; its clone stays behind for the next call.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let call = Call { exchange: Exchange::new(Arc::clone(&self.shared), parts), inner };
        ResponseFuture::checked(Box::pin(call.run(target, body)))
    }
}

/// One request on its way, and the service it may go on to.
pub(crate) struct Call<S> {
    pub(crate) exchange: Exchange,
    inner: S,
}

/// The head of a request and all that is needed to judge and answer it.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) parts: Parts,
    pub(crate) responder: Responder,
    pub(crate) peer: Option<IpAddr>,
}

/// A caller whose signature was verified.
pub(crate) struct Signed {
    pub(crate) identity: Arc<Identity>,
    pub(crate) verified: Verified,
}

impl<S> Call<S> {
    async fn run<B, R>(
        mut self,
        target: Result<Target, S3Error>,
        body: B,
    ) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let outcome = match target {
            Ok(target) => self.dispatch(target, body).await,
            Err(error) => Err(Refused::Here(error)),
        };
        match outcome {
            Ok(response) => Ok(response),
            Err(Refused::Here(error)) => {
                tracing::debug!(request_id = %self.exchange.responder.id, code = error.code().name(), "refused");
                Ok(self.exchange.responder.error(&error))
            }
            Err(Refused::Inner(error)) => Err(error),
        }
    }

    async fn dispatch<B, R>(&mut self, target: Target, body: B) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        match (target.route, target.address.bucket().cloned()) {
            (Route::Policy(call), Some(bucket)) => self.policy(call, bucket, target.style, body).await,
            (Route::CreateBucket, Some(bucket)) => self.create_bucket(bucket, target, body).await,
            (Route::DeleteBucket, Some(bucket)) => self.delete_bucket(bucket, target, body).await,
            (Route::Onward, _) => {
                let signed = self.exchange.admit().await?;
                self.forward(&target, signed.as_ref(), body).await
            }
            // INVARIANT: these are operations on buckets alone. Were that ever wrong, nothing passes.
            (Route::Policy(_) | Route::CreateBucket | Route::DeleteBucket, None) => {
                Err(S3Error::new(ErrorCode::MethodNotAllowed).into())
            }
        }
    }

    /// Sends the request on, streaming.
    async fn forward<B, R>(&mut self, target: &Target, signed: Option<&Signed>, body: B) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
    {
        let Some(signed) = signed else { return self.send(RequestBody::streaming(body)).await };
        let (body, fault, payload) = match signed.verified.payload() {
            PayloadMode::Sha256(expected) => {
                let (body, fault) = RequestBody::hashed(body, expected)?;
                (body, Some(fault), SignedPayload::Sha256(hex(&expected)))
            }
            PayloadMode::Unsigned => (RequestBody::streaming(body), None, SignedPayload::Unsigned),
            PayloadMode::StreamingSigned { .. } | PayloadMode::StreamingUnsignedTrailer => {
                return Err(streaming_not_signed_anew().into());
            }
        };
        self.exchange.mark_for_signing(target, signed, payload)?;
        let answer = self.send(body).await;
        // The client's payload was wrong: that is the answer, whatever became of the aborted request.
        match fault.as_ref().and_then(super::body::Fault::get) {
            Some(error) => Err(error.clone().into()),
            None => answer,
        }
    }

    /// Calls the inner service with the request as it stands now.
    pub(crate) async fn send<B, R>(&mut self, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    {
        // A request is sent once, so its head can go with it.
        let parts = std::mem::replace(&mut self.exchange.parts, Request::new(()).into_parts().0);
        let request = Request::from_parts(parts, body);
        match self.inner.call(request).await {
            Ok(response) => Ok(response.map(ResponseBody::inner)),
            Err(error) => Err(Refused::Inner(error)),
        }
    }

    /// A new bucket starts clean and belongs to who made it.
    async fn create_bucket<B, R>(&mut self, bucket: BucketName, target: Target, body: B) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let admitted = self.exchange.admit().await?;
        // Sent on as it is, the store judges the signature; only one that we can verify names a creator.
        let creator = match &admitted {
            Some(signed) => signed.identity.principal.account().cloned(),
            None => {
                self.exchange.authenticate().await.ok().flatten().and_then(|s| s.identity.principal.account().cloned())
            }
        };
        let body = self.exchange.hold(&target, admitted.as_ref(), body).await?;
        let shared = Arc::clone(&self.exchange.shared);
        let _turn = shared.locks.lock(&bucket).await;
        let existed = match shared.owners.exists(&bucket).await {
            Ok(existed) => existed,
            Err(error) => {
                // As if it were there: then nothing of it is taken away.
                tracing::warn!(%error, "cannot tell whether the bucket is new; its creator is not recorded");
                true
            }
        };
        // Before the store is asked, so that neither a crash nor a caller who goes away can leave a new bucket with the
        // policy or the owner of one that was deleted behind our back. Of a caller we don't know the store judges first:
        // nobody unknown takes anything away.
        if !existed && creator.is_some() {
            self.exchange.forget_the_old(&bucket).await?;
        }
        let response = self.send(RequestBody::held(body)).await?;
        // Only now, and only if it is there: else anybody could claim the names of buckets that are yet to be made.
        if !existed && response.status().is_success() {
            match shared.owners.exists(&bucket).await {
                Ok(true) => {
                    if creator.is_none() {
                        self.exchange.forget_the_old(&bucket).await?;
                    }
                    let creator = creator.as_ref().map(|account| &account.id);
                    shared.owners.created(&bucket, creator).await.map_err(|error| {
                        tracing::error!(%error, "the creator of a bucket was not recorded");
                        S3Error::new(ErrorCode::InternalError)
                    })?;
                }
                Ok(false) => tracing::warn!(%bucket, "the store made something else; no creator is recorded"),
                Err(error) => tracing::warn!(%error, "cannot tell whether the bucket was made; no creator is recorded"),
            }
        }
        Ok(response)
    }

    /// What was stored for a bucket goes with it.
    async fn delete_bucket<B, R>(&mut self, bucket: BucketName, target: Target, body: B) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let admitted = self.exchange.admit().await?;
        let body = self.exchange.hold(&target, admitted.as_ref(), body).await?;
        let shared = Arc::clone(&self.exchange.shared);
        let _turn = shared.locks.lock(&bucket).await;
        let response = self.send(RequestBody::held(body)).await?;
        if response.status().is_success() {
            // The store may know base domains or subresources that we don't, and have deleted something else.
            match shared.owners.gone(&bucket).await {
                Ok(true) => {
                    let forgotten = shared.owners.deleted(&bucket).await.map_err(|error| {
                        tracing::error!(%error, "a deleted bucket's owner was not forgotten");
                        S3Error::new(ErrorCode::InternalError)
                    });
                    self.exchange.purge(&bucket, admitted.as_ref()).await?;
                    forgotten?;
                }
                Ok(false) => tracing::warn!(%bucket, "the bucket is still there; what is stored for it stays"),
                Err(error) => {
                    tracing::warn!(%error, "cannot tell whether the bucket is gone; what is stored for it stays");
                }
            }
        }
        Ok(response)
    }
}

impl Exchange {
    fn new(shared: Arc<Shared>, parts: Parts) -> Self {
        let id = parts.extensions.get::<RequestId>().cloned().unwrap_or_else(RequestId::random);
        let responder = Responder { id, resource: parts.uri.path().to_owned(), now: (shared.clock)() };
        let peer = parts.extensions.get::<PeerAddress>().map(|peer| peer.0);
        Self { shared, parts, responder, peer }
    }

    pub(crate) fn query(&self) -> Result<Query<'_>, S3Error> {
        Ok(Query::parse(self.parts.uri.query())?)
    }

    /// Who signed the request; `None` for nobody.
    pub(crate) async fn authenticate(&self) -> Result<Option<Signed>, S3Error> {
        let Some(presented) = Presented::parse(&self.parts)? else { return Ok(None) };
        let id = presented.access_key_id();
        let credential = match self.shared.credentials.credential(id).await {
            Ok(Some(credential)) => credential,
            Ok(None) => {
                return Err(S3Error::new(ErrorCode::InvalidAccessKeyId).with_field("AWSAccessKeyId", id.as_str()));
            }
            Err(error) => {
                tracing::error!(%error, "nobody can be authenticated");
                return Err(ErrorCode::ServiceUnavailable.into());
            }
        };
        let now = self.responder.now;
        let verified =
            presented.verify(&self.parts, &credential, now, &self.shared.region, &self.shared.signing_keys)?;
        Ok(Some(Signed { identity: Arc::clone(&credential.identity), verified }))
    }

    /// Who signed, where requests are verified before they pass: nobody is not admitted, or the store would take what
    /// was never signed for signed by us.
    async fn admit(&self) -> Result<Option<Signed>, S3Error> {
        match self.shared.pass_through {
            PassThrough::AsSent => Ok(None),
            PassThrough::Verified => match self.authenticate().await? {
                Some(signed) => Ok(Some(signed)),
                None => Err(ErrorCode::AccessDenied.into()),
            },
        }
    }

    /// Reads the body of a request that has to wait for its bucket's turn. Before that, or a client that sends it
    /// slowly could keep all others waiting.
    async fn hold<B>(&mut self, target: &Target, signed: Option<&Signed>, body: B) -> Result<Bytes, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let announced = content_length(&self.parts.headers);
        let too_large = || ErrorCode::MaxMessageLengthExceeded.into();
        let body = read(body, announced, MAX_BUCKET_BODY, too_large).await?;
        // What was read already needs no leave to be sent.
        self.parts.headers.remove(EXPECT);
        let Some(signed) = signed else { return Ok(body) };
        let payload = match signed.verified.payload() {
            PayloadMode::Sha256(expected) => {
                let mut hash = PayloadHash::new(expected);
                hash.update(&body);
                hash.verify()?;
                SignedPayload::Sha256(hex(&expected))
            }
            PayloadMode::Unsigned => SignedPayload::Unsigned,
            PayloadMode::StreamingSigned { .. } | PayloadMode::StreamingUnsignedTrailer => {
                return Err(streaming_not_signed_anew());
            }
        };
        self.mark_for_signing(target, signed, payload)?;
        Ok(body)
    }

    /// Leaves word for the inner service how to sign the request.
    ///
    /// What a presigned URL carries as parameters goes on as headers: beside a signature in the header, a store would
    /// not look for an ACL or an encryption among the parameters.
    pub(crate) fn mark_for_signing(
        &mut self,
        target: &Target,
        signed: &Signed,
        payload: SignedPayload,
    ) -> Result<(), S3Error> {
        let hoisted = match effective_headers(&self.parts.headers, &self.query()?)? {
            Cow::Owned(headers) => Some(headers),
            Cow::Borrowed(_) => None,
        };
        if let Some(headers) = hoisted {
            self.parts.headers = headers;
        }
        let path = match target.address.bucket() {
            Some(bucket) => path_style_target(target.style, bucket, self.parts.uri.path()).into_owned(),
            None => self.parts.uri.path().to_owned(),
        };
        let account = signed.identity.principal.account().map(|account| account.id.clone());
        self.parts.extensions.insert(Resign { account, payload, path });
        Ok(())
    }

    /// Takes away what is left of an earlier bucket of this name.
    async fn forget_the_old(&self, bucket: &BucketName) -> Result<(), S3Error> {
        self.purge(bucket, None).await?;
        self.shared.owners.deleted(bucket).await.map_err(|error| {
            tracing::error!(%error, "the owner of a bucket that is gone was not forgotten");
            ErrorCode::ServiceUnavailable.into()
        })
    }

    async fn purge(&self, bucket: &BucketName, by: Option<&Signed>) -> Result<(), S3Error> {
        let Handler::Store(store) = &self.shared.handler else { return Ok(()) };
        let begun = self.begin(ChangeKind::Purge, bucket, by.map(|signed| &*signed.identity), None);
        match store.purge(bucket).await {
            Ok(false) => {
                begun.changed_nothing();
                Ok(())
            }
            Ok(true) => {
                begun.ended(Outcome::Stored { revision: None });
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, %bucket, "the policy of a deleted bucket was not taken away");
                begun.ended(Outcome::Failed { reason: error.to_string() });
                Err(ErrorCode::InternalError.into())
            }
        }
    }

    /// A change of which the auditor is told when it has ended.
    pub(crate) fn begin(
        &self,
        kind: ChangeKind,
        bucket: &BucketName,
        by: Option<&Identity>,
        sha256: Option<String>,
    ) -> BegunChange {
        let change = PolicyChange {
            at: self.responder.now,
            request_id: self.responder.id.as_str().to_owned(),
            kind,
            bucket: bucket.clone(),
            by: by.and_then(|identity| identity.principal.arn().map(str::to_owned)),
            account: by.and_then(|identity| identity.principal.account()).map(|account| account.id.clone()),
            peer: self.peer,
            sha256,
            outcome: Outcome::Failed {
                reason: "the caller went away before it was known; the change may have been made".to_owned(),
            },
        };
        BegunChange::new(self.shared.auditor.clone(), change)
    }
}

/// Verifying and replacing each chunk's signature is the data path's work; until it is here, what cannot be sent on right
/// is not sent on.
fn streaming_not_signed_anew() -> S3Error {
    S3Error::new(ErrorCode::NotImplemented)
        .with_message(
            "A streaming payload (aws-chunked) cannot be signed anew yet. Send a payload with its SHA-256 or \
             UNSIGNED-PAYLOAD.",
        )
        .with_field("Header", "x-amz-content-sha256")
}

/// Why there is no answer of the inner service.
pub(crate) enum Refused<E> {
    /// We answer, with this error.
    Here(S3Error),
    /// The inner service failed.
    Inner(E),
}

/// What a call comes to.
pub(crate) type Outcomes<R, E> = Result<Response<ResponseBody<R>>, Refused<E>>;

impl<E> From<S3Error> for Refused<E> {
    fn from(error: S3Error) -> Self {
        Self::Here(error)
    }
}
