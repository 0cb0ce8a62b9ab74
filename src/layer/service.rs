//! The way of one request: address, operation, then `?policy` here or on to the inner service.
//!
//! Here is what happens whatever is enforced; `enforce` decides what all other requests may.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::body::{Fault, RequestBody, ResponseBody};
use super::change::{BegunChange, ChangeKind, Outcome, PeerAddress, PolicyChange};
use super::connection::ClientTls;
use super::cross_origin::CrossOrigin;
use super::findings::{Conclusion, Findings};
use super::future::ResponseFuture;
use super::held::{Bound, Held};
use super::layer::{Enforcement, Handler, PassThrough, Shared};
use super::promised::{Fate, Judged};
use super::reserved;
use super::respond::{RequestId, Responder};
use super::target::{Route, Target};
use crate::auth::identity::{AccessKeyId, Credential, Identity};
use crate::auth::sigv4::{PayloadMode, Presented, Verified};
use crate::policy::AccountId;
use crate::s3::action_map::MAX_BUCKET_BODY;
use crate::s3::address::BucketName;
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
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let body = RequestBody::streaming(body);
        if self.shared.enforcement == Enforcement::Off
            && self.shared.pass_through == PassThrough::AsSent
            && let Ok(Target { route: Route::Onward, operation, address, .. }) = Target::of(&parts, &self.shared)
        {
            if let Some(findings) = parts.extensions.get::<Findings>() {
                findings.set_operation(operation);
                findings.set_bucket(address.bucket());
            }
            return ResponseFuture::passing(self.inner.call(Request::from_parts(parts, body)));
        }
        // `poll_ready` was answered by this very service; its clone stays behind for the next call.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let call = Call { exchange: Exchange::new(Arc::clone(&self.shared), parts), inner };
        ResponseFuture::checked(Box::pin(call.run(body)))
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
    pub(crate) tls: Option<ClientTls>,
    /// What becomes known here, also to outer layers where they asked for it.
    pub(super) findings: Findings,
    /// The web page that asks, where one does and its request is decided.
    pub(super) asked_by: Option<CrossOrigin>,
}

/// A caller whose signature was verified.
pub(crate) struct Signed {
    pub(crate) identity: Arc<Identity>,
    pub(crate) verified: Verified,
}

/// As whom a request goes on.
#[derive(Clone, Debug)]
pub(crate) enum Passage {
    /// As it was sent, with the caller's own signature or none.
    AsSent,
    /// Signed anew.
    Resigned {
        /// With the credentials of this account, where it has some.
        account: Option<AccountId>,
        /// What is known of the payload.
        payload: PayloadMode,
    },
}

impl Signed {
    /// The caller's account.
    pub(super) fn account(&self) -> Option<AccountId> {
        self.identity.principal.account().map(|account| account.id.clone())
    }
}

// What is seldom asked for, and takes much room while it is answered, is boxed here and in `enforce`: every request's future
// would be as large otherwise, and is moved more than once.
impl<S> Call<S> {
    async fn run<B, R>(mut self, body: RequestBody<B>) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
    {
        let error = match self.outcome(body).await {
            Ok(response) => return Ok(response),
            Err(Refused::Inner(error)) => return Err(error),
            Err(Refused::Here(error)) => error,
        };
        tracing::debug!(request_id = %self.exchange.responder.id, code = error.code().name(), "refused");
        if error.code() == ErrorCode::SlowDown {
            // There was no room to hold its body.
            self.exchange.shared.tally.no_room();
        }
        if self.exchange.findings.verdict().is_none() {
            self.exchange.concluded(self.exchange.findings.operation(), Conclusion::Refused);
        }
        let mut response = self.exchange.responder.error(&error);
        response.headers_mut().extend(self.exchange.what_a_browser_may_read().await);
        Ok(response)
    }

    async fn outcome<B, R>(&mut self, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
    {
        match self.exchange.shared.enforcement {
            Enforcement::Off => self.unenforced(body).await,
            Enforcement::Audit => self.audited(body).await,
            Enforcement::Enforce => self.enforced(body).await,
        }
    }

    /// Answers what is ours, and sends on all the rest: as it was sent, or verified and signed anew.
    pub(super) async fn unenforced<B, R>(&mut self, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let target = Target::of(&self.exchange.parts, &self.exchange.shared)?;
        self.exchange.findings.set_operation(target.operation);
        self.exchange.findings.set_bucket(target.address.bucket());
        match (target.route, target.address.bucket().cloned()) {
            (Route::Policy(call), Some(bucket)) => Box::pin(self.policy(call, bucket, target.style, body)).await,
            (Route::PublicAccess(call), Some(bucket)) => Box::pin(self.public_access(call, &bucket, body)).await,
            (Route::CreateBucket, Some(bucket)) => {
                let (passage, signed) = self.exchange.admit().await?;
                // Sent on as it is, the store judges the signature; only one that we can verify names a creator.
                let signed = match signed {
                    None => self.exchange.authenticate().await.ok().flatten(),
                    signed => signed,
                };
                let creator = signed.as_ref().and_then(Signed::account);
                let held = self.exchange.hold(&passage, signed.as_ref(), body).await?;
                self.create_bucket(bucket, target, &passage, creator, held).await
            }
            (Route::DeleteBucket, Some(bucket)) => {
                let (passage, signed) = self.exchange.admit().await?;
                let held = self.exchange.hold(&passage, signed.as_ref(), body).await?;
                self.delete_bucket(bucket, target, &passage, signed.as_ref(), held).await
            }
            (Route::Onward, _) => {
                let (passage, signed) = self.exchange.admit().await?;
                // Signed by us the store would write wherever the body says.
                if let (Some(reserved), Passage::Resigned { .. }) = (self.exchange.shared.reserved.clone(), &passage)
                    && reserved::may_be_such(self.exchange.parts.uri.query())
                {
                    let held = self.exchange.hold(&passage, signed.as_ref(), body).await?;
                    reserved::check_body(&held.content, &reserved)?;
                    let body = self.exchange.place(&target, &passage, held)?;
                    return self.send(RequestBody::held(body)).await;
                }
                self.forward(&target, &passage, signed.as_ref(), body).await
            }
            // INVARIANT: these are operations on buckets alone. Were that ever wrong, nothing passes.
            (Route::Policy(_) | Route::PublicAccess(_) | Route::CreateBucket | Route::DeleteBucket, None) => {
                Err(S3Error::new(ErrorCode::MethodNotAllowed).into())
            }
        }
    }

    /// Sends the request on, streaming. Where it was decided or is signed anew, its body is held against all that was
    /// promised of it.
    pub(super) async fn forward<B, R>(
        &mut self,
        target: &Target,
        passage: &Passage,
        signed: Option<&Signed>,
        body: RequestBody<B>,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (fate, payload) = match passage {
            // Nothing was decided, so the store is the only judge.
            Passage::AsSent if self.exchange.shared.enforcement != Enforcement::Enforce => {
                return self.send(body).await;
            }
            Passage::AsSent => (Fate::Kept, self.exchange.payload(signed)?),
            Passage::Resigned { payload, .. } => (Fate::SignedAnew, *payload),
        };
        let Judged { body, fault, payload } = self.exchange.judged(body, payload, signed, fate)?;
        if let Passage::Resigned { account, .. } = passage {
            self.exchange.mark_for_signing(target, account.clone(), payload)?;
        }
        self.send_checked(body, fault.as_ref()).await
    }

    /// Sends a body that may turn out wrong on its way: then that is the answer, whatever became of the aborted request.
    pub(super) async fn send_checked<B, R>(
        &mut self,
        body: RequestBody<B>,
        fault: Option<&Fault>,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    {
        let answer = self.send(body).await;
        match fault.and_then(Fault::get) {
            Some(error) => Err(error.clone().into()),
            None => answer,
        }
    }

    /// Calls the inner service with the request as it stands now.
    pub(crate) async fn send<B, R>(&mut self, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    {
        self.ask(body).await.map(|response| response.map(ResponseBody::inner))
    }

    /// The same, with the answer as the inner service made it.
    pub(super) async fn ask<B, R>(&mut self, body: RequestBody<B>) -> Result<Response<R>, Refused<S::Error>>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    {
        // A request is sent once, so its head can go with it.
        let parts = std::mem::replace(&mut self.exchange.parts, Request::new(()).into_parts().0);
        self.inner.call(Request::from_parts(parts, body)).await.map_err(Refused::Inner)
    }

    /// A new bucket starts clean and belongs to who made it.
    pub(super) async fn create_bucket<B, R>(
        &mut self,
        bucket: BucketName,
        target: Target,
        passage: &Passage,
        creator: Option<AccountId>,
        held: Held,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
    {
        let body = self.exchange.place(&target, passage, held)?;
        let shared = Arc::clone(&self.exchange.shared);
        let _turn = shared.locks.lock(&bucket).await;
        if target.is_decided {
            // Since it was decided, somebody else may have made it.
            self.exchange.refuse_others_bucket(&bucket, creator.as_ref()).await?;
        }
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
                    shared.owners.created(&bucket, creator.as_ref()).await.map_err(|error| {
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
    pub(super) async fn delete_bucket<B, R>(
        &mut self,
        bucket: BucketName,
        target: Target,
        passage: &Passage,
        by: Option<&Signed>,
        held: Held,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
    {
        let body = self.exchange.place(&target, passage, held)?;
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
                    self.exchange.purge(&bucket, by).await?;
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
    pub(super) fn new(shared: Arc<Shared>, parts: Parts) -> Self {
        let id = parts.extensions.get::<RequestId>().cloned().unwrap_or_else(RequestId::random);
        let responder = Responder { id, resource: parts.uri.path().to_owned(), now: (shared.clock)() };
        let peer = parts.extensions.get::<PeerAddress>().map(|peer| peer.0);
        let tls = parts.extensions.get::<ClientTls>().copied();
        let findings = parts.extensions.get::<Findings>().cloned().unwrap_or_default();
        Self { shared, parts, responder, peer, tls, findings, asked_by: None }
    }

    pub(crate) fn query(&self) -> Result<Query<'_>, S3Error> {
        Ok(Query::parse(self.parts.uri.query())?)
    }

    /// Who signed the request; `None` for nobody.
    pub(crate) async fn authenticate(&self) -> Result<Option<Signed>, S3Error> {
        let Some(presented) = Presented::parse(&self.parts)? else { return Ok(None) };
        let credential = self.credential(presented.access_key_id()).await?;
        let now = self.responder.now;
        let verified =
            presented.verify(&self.parts, &credential, now, &self.shared.region, &self.shared.signing_keys)?;
        Ok(Some(Signed { identity: Arc::clone(&credential.identity), verified }))
    }

    /// Whose key it is.
    pub(super) async fn credential(&self, id: &AccessKeyId) -> Result<Arc<Credential>, S3Error> {
        match self.shared.credentials.credential(id).await {
            Ok(Some(credential)) => Ok(credential),
            Ok(None) => Err(S3Error::new(ErrorCode::InvalidAccessKeyId).with_field("AWSAccessKeyId", id.as_str())),
            Err(error) => {
                tracing::error!(%error, "nobody can be authenticated");
                Err(ErrorCode::ServiceUnavailable.into())
            }
        }
    }

    /// As whom a request goes on where nothing is enforced. Those that are verified before they pass must be signed:
    /// nobody is not admitted, or the store would take what was never signed for signed by us.
    async fn admit(&self) -> Result<(Passage, Option<Signed>), S3Error> {
        match self.shared.pass_through {
            PassThrough::AsSent => Ok((Passage::AsSent, None)),
            PassThrough::Verified => match self.authenticate().await? {
                Some(signed) => {
                    let (account, payload) = (signed.account(), signed.verified.payload());
                    Ok((Passage::Resigned { account, payload }, Some(signed)))
                }
                None => Err(ErrorCode::AccessDenied.into()),
            },
        }
    }

    /// Reads the body of a request that has to wait for its bucket's turn. Before that, or a client that sends it
    /// slowly could keep all others waiting.
    async fn hold<B>(&self, passage: &Passage, signed: Option<&Signed>, body: B) -> Result<Held, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let bound = Bound::bytes(MAX_BUCKET_BODY);
        match passage {
            // The store holds it against what was said of it.
            Passage::AsSent => Held::as_sent(body, bound, &self.shared.held, &self.parts.headers).await,
            Passage::Resigned { payload, .. } => {
                let headers = effective_headers(&self.parts.headers, &self.query()?)?;
                Held::read(body, bound, &self.shared.held, &headers, *payload, signed.map(|signed| &signed.verified))
                    .await
            }
        }
    }

    /// Leaves word for the inner service how to sign the request.
    ///
    /// What a presigned URL carries as parameters goes on as headers: beside a signature in the header, a store would
    /// not look for an ACL or an encryption among the parameters.
    pub(crate) fn mark_for_signing(
        &mut self,
        target: &Target,
        account: Option<AccountId>,
        payload: SignedPayload,
    ) -> Result<(), S3Error> {
        let hoisted = match effective_headers(&self.parts.headers, &self.query()?)? {
            Cow::Owned(headers) => Some(headers),
            Cow::Borrowed(_) => None,
        };
        if let Some(headers) = hoisted {
            self.parts.headers = headers;
        }
        let path = target.path(&self.parts);
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
            owner: None,
            outcome: Outcome::unknown(),
        };
        BegunChange::new(self.shared.auditor.clone(), change)
    }
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
