//! `PUT`, `GET` and `DELETE ?policy`, step by step.
//!
//! The order is part of the contract: who asks, whose bucket it is, whether they may, from which account, and only
//! then the body. Each failure is answered at once, so a client that waits for `100 Continue` never sends a body that
//! nobody will read. See Amazon's "PutBucketPolicy", "GetBucketPolicy" and "DeleteBucketPolicy".

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use sha2::{Digest, Sha256};
use tower_service::Service;

use super::BoxError;
use super::body::RequestBody;
use super::change::{BegunChange, ChangeKind, Outcome};
use super::denied::{DenialReason, PolicyDenial};
use super::findings::Conclusion;
use super::held::{Bound, Held};
use super::layer::{Handler, PassThrough};
use super::locks::BucketGuard;
use super::service::{Call, Exchange, Outcomes, Signed};
use super::strict;
use super::target::{Route, Target};
use crate::auth::authorize::{Denial, Permit, authorize_policy_call, would_lock_out};
use crate::ownership::{Ownership, OwnershipError};
use crate::policy::{
    AccessRequest, AccountId, Action, Context, InvalidPolicy, KeySet, MAX_BODY, Policies, Policy, Problem, explain,
};
use crate::s3::action_map::Head;
use crate::s3::address::{Address, AddressStyle, BucketName};
use crate::s3::aws_chunked::unframe;
use crate::s3::checksum::hex;
use crate::s3::context::{AccessFacts, RequestDetails, RequestFacts, Subject, check_headers};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::forward::SignedPayload;
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::Operation;
use crate::store::{Change, PolicyStore, StoreError};

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyCall {
    Put,
    Get,
    Delete,
}

impl PolicyCall {
    fn action(self) -> Action {
        match self {
            Self::Put => Action::PutBucketPolicy,
            Self::Get => Action::GetBucketPolicy,
            Self::Delete => Action::DeleteBucketPolicy,
        }
    }

    fn operation(self) -> Operation {
        match self {
            Self::Put => Operation::PutBucketPolicy,
            Self::Get => Operation::GetBucketPolicy,
            Self::Delete => Operation::DeleteBucketPolicy,
        }
    }
}

/// A policy that was read whole and found right.
struct ReceivedPolicy {
    held: Held,
    policy: Arc<Policy>,
}

impl<S> Call<S> {
    /// Answers a `?policy` call, or sends it on where the inner service keeps the policies.
    pub(crate) async fn policy<B, R>(
        &mut self,
        call: PolicyCall,
        bucket: BucketName,
        style: AddressStyle,
        body: RequestBody<B>,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let caller = self.exchange.authenticate().await?;
        let headers = effective_headers(&self.exchange.parts.headers, &self.exchange.query()?)?;
        let owner = self.exchange.owner(&bucket, &headers).await?;
        let (signed, permit) = self.exchange.permit(call, &bucket, caller, &owner, &headers).await?;
        self.exchange.concluded(Some(call.operation()), Conclusion::Allowed);
        match call {
            PolicyCall::Put => {
                let received = self.exchange.receive(&permit, &signed, &bucket, &headers, body).await?;
                self.exchange.guard(&signed, &received.policy, &bucket, &owner, &headers)?;
                match self.exchange.shared.handler.clone() {
                    Handler::Store(store) => {
                        let (_turn, signed, permit) = self.exchange.in_turn(call, &bucket, signed, &headers).await?;
                        self.exchange.store(permit, &*store, &bucket, &signed, received).await
                    }
                    Handler::Forward { .. } => {
                        let (signed, permit) = self.exchange.permit_anew(call, &bucket, signed, &headers).await?;
                        self.forward_put(permit, bucket, style, &signed, received).await
                    }
                }
            }
            PolicyCall::Get => match self.exchange.shared.handler.clone() {
                Handler::Store(store) => self.exchange.read(permit, &*store, &bucket).await,
                Handler::Forward { .. } => self.forward_get(permit, bucket, style, &signed).await,
            },
            PolicyCall::Delete => match self.exchange.shared.handler.clone() {
                Handler::Store(store) => {
                    let (_turn, signed, permit) = self.exchange.in_turn(call, &bucket, signed, &headers).await?;
                    self.exchange.remove(permit, &*store, &bucket, &signed).await
                }
                Handler::Forward { .. } => self.forward_delete(permit, bucket, style, &signed).await,
            },
        }
    }

    /// Step 7, kept by the inner service: the same bytes go on.
    async fn forward_put<B, R>(
        &mut self,
        _permit: Permit,
        bucket: BucketName,
        style: AddressStyle,
        signed: &Signed,
        received: ReceivedPolicy,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
    {
        let held = received.held;
        let sha256 = hex(&Sha256::digest(&held.content));
        let body = match self.exchange.shared.pass_through {
            PassThrough::AsSent => held.raw,
            // Signed anew as a plain payload, which needs no chunk signatures.
            PassThrough::Verified => {
                unframe(&mut self.exchange.parts.headers, held.trailers);
                held.content
            }
        };
        self.exchange.prepare(PolicyCall::Put, bucket.clone(), style, signed, &body)?;
        let begun = self.exchange.begin(ChangeKind::Put, &bucket, Some(&signed.identity), Some(sha256));
        let answer = self.send(RequestBody::held(body)).await;
        begun.ended(forwarded(&answer));
        answer
    }

    async fn forward_get<B, R>(
        &mut self,
        _permit: Permit,
        bucket: BucketName,
        style: AddressStyle,
        signed: &Signed,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
    {
        self.exchange.prepare(PolicyCall::Get, bucket, style, signed, b"")?;
        self.send(RequestBody::held(Bytes::new())).await
    }

    async fn forward_delete<B, R>(
        &mut self,
        _permit: Permit,
        bucket: BucketName,
        style: AddressStyle,
        signed: &Signed,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
    {
        self.exchange.prepare(PolicyCall::Delete, bucket.clone(), style, signed, b"")?;
        let begun = self.exchange.begin(ChangeKind::Delete, &bucket, Some(&signed.identity), None);
        let answer = self.send(RequestBody::held(Bytes::new())).await;
        begun.ended(forwarded(&answer));
        answer
    }
}

impl Exchange {
    /// Step 2: the account that owns the bucket.
    async fn owner(&self, bucket: &BucketName, headers: &HeaderMap) -> Result<AccountId, S3Error> {
        let expected = expected_owner(headers, EXPECTED_OWNER)?;
        let owner = match self.shared.owners.owner(bucket).await.map_err(unresolved)? {
            Ownership::Account(owner) => owner,
            Ownership::NoSuchBucket => return Err(no_such_bucket(bucket)),
            Ownership::Unknown => {
                tracing::warn!(%bucket, "no source names the owner of this bucket, so nobody may touch its policy");
                return Err(ErrorCode::AccessDenied.into());
            }
        };
        match expected {
            Some(expected) if expected != owner => Err(ErrorCode::AccessDenied.into()),
            Some(_) | None => Ok(owner),
        }
    }

    /// Steps 3 and 4: the permission, then the account.
    async fn permit(
        &self,
        call: PolicyCall,
        bucket: &BucketName,
        caller: Option<Signed>,
        owner: &AccountId,
        headers: &HeaderMap,
    ) -> Result<(Signed, Permit), S3Error> {
        let operation = call.operation();
        let arn = bucket.arn();
        let Some(signed) = caller else {
            let denial = PolicyDenial::of(call.action().name(), &arn, DenialReason::Anonymous);
            self.tell_denial(operation, None, &denial);
            return Err(ErrorCode::AccessDenied.into());
        };
        check_headers(headers)?;
        // No policy can stop the owner's root, so an unreadable one can't either: root is who repairs it.
        let present = if signed.identity.principal.is_root_of(owner) { None } else { self.present(bucket).await? };
        let policies = Policies { identity: &signed.identity.policies, bucket: present.as_deref(), owner };
        let query = self.query()?;
        let address = Address::Bucket(bucket.clone());
        let head = Head { address: &address, query: &query, headers };
        let keys = policies.condition_keys(&signed.identity.principal);
        let details = RequestDetails::default();
        let context = self.context(call, head, &details, &signed, owner, keys);
        let request = request(call, &signed, &arn, &context);
        match authorize_policy_call(&request, &policies) {
            Ok(permit) => Ok((signed, permit)),
            Err(denial) => {
                self.tell_denial(operation, Some(&signed.identity), &told(denial, &request, &policies));
                Err(match denial {
                    Denial::Anonymous | Denial::ExplicitDeny(_) | Denial::ImplicitDeny => denial.into(),
                    Denial::OtherAccount(_) => S3Error::from(denial)
                        .with_field("Method", self.parts.method.as_str())
                        .with_field("ResourceType", "BUCKETPOLICY"),
                })
            }
        }
    }

    /// The circumstances that conditions may ask about.
    fn context<'a>(
        &self,
        call: PolicyCall,
        head: Head<'a>,
        details: &'a RequestDetails,
        signed: &'a Signed,
        owner: &'a AccountId,
        keys: KeySet,
    ) -> Context<'a> {
        let facts = RequestFacts {
            operation: call.operation(),
            head,
            details,
            source_ip: self.peer,
            secure_transport: self.tls.is_some(),
            tls_version: self.tls.and_then(|tls| tls.version).map(|version| version.as_str()),
            now: self.responder.now,
            region: signed.verified.scope().region(),
            signature: Some(signed.facts()),
        };
        let access = AccessFacts {
            action: call.action(),
            owner: Some(owner),
            subject: Subject::Bucket,
            object_tags: &[],
            bucket_tags: &[],
        };
        facts.context(&access, keys)
    }

    /// The bucket's present policy.
    async fn present(&self, bucket: &BucketName) -> Result<Option<Arc<Policy>>, S3Error> {
        let policy = match &self.shared.handler {
            Handler::Store(store) => store.get(bucket).await.map(|r| r.map(|record| Arc::clone(&record.policy))),
            Handler::Forward { present: Some(source) } => source.policy(bucket).await,
            Handler::Forward { present: None } => Ok(None),
        };
        policy.map_err(|error| unavailable(&error))
    }

    /// Step 5: the body, whole and right.
    async fn receive<B>(
        &self,
        _permit: &Permit,
        signed: &Signed,
        bucket: &BucketName,
        headers: &HeaderMap,
        body: B,
    ) -> Result<ReceivedPolicy, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let bound = Bound { bytes: MAX_BODY, too_long };
        let verified = &signed.verified;
        let held = Held::read(body, bound, &self.shared.held, headers, verified.payload(), Some(verified)).await?;
        let validated = Policy::parse(&held.content, bucket.as_str()).map_err(|invalid| malformed(&invalid))?;
        for warning in &validated.warnings {
            tracing::info!(request_id = %self.responder.id, %bucket, %warning, "a policy is valid, and may not mean what it says");
        }
        Ok(ReceivedPolicy { held, policy: Arc::new(validated.policy) })
    }

    /// Step 6: nobody locks themselves out unawares.
    fn guard(
        &self,
        signed: &Signed,
        new: &Policy,
        bucket: &BucketName,
        owner: &AccountId,
        headers: &HeaderMap,
    ) -> Result<(), S3Error> {
        let confirmed = headers
            .get("x-amz-confirm-remove-self-bucket-access")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        if !self.shared.lockout_guard || confirmed {
            return Ok(());
        }
        let arn = bucket.arn();
        let policies = Policies { identity: &signed.identity.policies, bucket: None, owner };
        let query = self.query()?;
        let address = Address::Bucket(bucket.clone());
        let head = Head { address: &address, query: &query, headers };
        let keys = policies.condition_keys(&signed.identity.principal).union(new.condition_keys());
        let details = RequestDetails::default();
        let context = self.context(PolicyCall::Put, head, &details, signed, owner, keys);
        let request = request(PolicyCall::Put, signed, &arn, &context);
        if would_lock_out(&request, &policies, new) {
            return Err(S3Error::new(ErrorCode::AccessDenied).with_message(
                "The policy would take away your own permission to change the bucket policy (s3:PutBucketPolicy). To put \
                 it nevertheless, send x-amz-confirm-remove-self-bucket-access: true",
            ));
        }
        Ok(())
    }

    /// Step 7, kept here: durable, then acknowledged.
    async fn store<R, E>(
        &self,
        _permit: Permit,
        store: &dyn PolicyStore,
        bucket: &BucketName,
        signed: &Signed,
        received: ReceivedPolicy,
    ) -> Outcomes<R, E> {
        let ReceivedPolicy { held, policy } = received;
        let in_force = store.in_force(bucket).await.map_err(|error| unavailable(&error))?;
        if policy.is_public() && in_force.public_access_block.is_some_and(|block| block.block_public_policy) {
            let denial = PolicyDenial::of("s3:PutBucketPolicy", &bucket.arn(), DenialReason::BlockPublicPolicy);
            self.tell_denial(Operation::PutBucketPolicy, Some(&signed.identity), &denial);
            return Err(S3Error::new(ErrorCode::AccessDenied)
                .with_message("Public policies are blocked by the BlockPublicPolicy setting of the bucket.")
                .into());
        }
        let sha256 = hex(&Sha256::digest(&held.content));
        let begun = self.begin(ChangeKind::Put, bucket, Some(&signed.identity), Some(sha256));
        let stored = store.put(bucket, held.content, policy, self.change(Some(signed))).await;
        self.answer_change(begun, stored.map(Some))
    }

    async fn remove<R, E>(
        &self,
        _permit: Permit,
        store: &dyn PolicyStore,
        bucket: &BucketName,
        signed: &Signed,
    ) -> Outcomes<R, E> {
        let begun = self.begin(ChangeKind::Delete, bucket, Some(&signed.identity), None);
        let deleted = store.delete(bucket, self.change(Some(signed))).await;
        if matches!(deleted, Ok(false)) {
            begun.changed_nothing();
            return Ok(self.responder.empty(StatusCode::NO_CONTENT));
        }
        self.answer_change(begun, deleted.map(|_| None))
    }

    async fn read<R, E>(&self, _permit: Permit, store: &dyn PolicyStore, bucket: &BucketName) -> Outcomes<R, E> {
        match store.get(bucket).await.map_err(|error| unavailable(&error))? {
            Some(record) => Ok(self.responder.document(record.document.clone())),
            None => Err(S3Error::new(ErrorCode::NoSuchBucketPolicy).with_field("BucketName", bucket.as_str()).into()),
        }
    }

    /// The bucket's turn, and a permit given in it.
    async fn in_turn(
        &self,
        call: PolicyCall,
        bucket: &BucketName,
        signed: Signed,
        headers: &HeaderMap,
    ) -> Result<(BucketGuard, Signed, Permit), S3Error> {
        let turn = self.shared.locks.lock(bucket).await;
        let (signed, permit) = self.permit_anew(call, bucket, signed, headers).await?;
        Ok((turn, signed, permit))
    }

    /// Steps 2 to 4 once more. The body may have been long on its way, and meanwhile the bucket deleted, made anew by
    /// somebody else, or the permission taken away.
    async fn permit_anew(
        &self,
        call: PolicyCall,
        bucket: &BucketName,
        signed: Signed,
        headers: &HeaderMap,
    ) -> Result<(Signed, Permit), S3Error> {
        let owner = self.owner(bucket, headers).await?;
        self.permit(call, bucket, Some(signed), &owner, headers).await
    }

    pub(super) fn change(&self, signed: Option<&Signed>) -> Change {
        let by = signed.and_then(|signed| signed.identity.principal.arn());
        Change {
            at: self.responder.now,
            by: by.unwrap_or("anonymous").to_owned(),
            request_id: self.responder.id.as_str().to_owned(),
        }
    }

    fn answer_change<R, E>(&self, begun: BegunChange, stored: Result<Option<u64>, StoreError>) -> Outcomes<R, E> {
        let (outcome, answer) = match stored {
            Ok(revision) => (Outcome::Stored { revision }, Ok(self.responder.empty(StatusCode::NO_CONTENT))),
            Err(error) => (Outcome::Failed { reason: error.to_string() }, Err(unavailable(&error).into())),
        };
        begun.ended(outcome);
        answer
    }

    /// Makes the head fit a body that is held whole, or none, and leaves word how to sign it.
    fn prepare(
        &mut self,
        call: PolicyCall,
        bucket: BucketName,
        style: AddressStyle,
        signed: &Signed,
        body: &[u8],
    ) -> Result<(), S3Error> {
        strict::strip(&mut self.parts.headers);
        // What was read already needs no leave to be sent; a body that was not asked for does not go on.
        for name in [EXPECT, TRANSFER_ENCODING] {
            self.parts.headers.remove(name);
        }
        // Where one was sent it may be signed, so that one stays: `0` for a body that does not go on is right too.
        if call == PolicyCall::Put || self.parts.headers.contains_key(CONTENT_LENGTH) {
            self.parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        match self.shared.pass_through {
            PassThrough::AsSent => Ok(()),
            PassThrough::Verified => {
                let address = Address::Bucket(bucket);
                let (route, operation) = (Route::Policy(call), Some(call.operation()));
                let target = Target { address, style, route, operation, is_decided: true };
                let payload = SignedPayload::Sha256(hex(&Sha256::digest(body)));
                self.mark_for_signing(&target, signed.account(), payload)
            }
        }
    }
}

fn forwarded<R, E>(answer: &Outcomes<R, E>) -> Outcome {
    match answer {
        Ok(response) => Outcome::Forwarded { status: response.status().as_u16() },
        Err(_) => Outcome::Failed { reason: "the store did not answer".to_owned() },
    }
}

fn request<'a>(
    call: PolicyCall,
    signed: &'a Signed,
    bucket_arn: &'a str,
    context: &'a Context<'a>,
) -> AccessRequest<'a> {
    AccessRequest { principal: &signed.identity.principal, action: call.action(), resource: bucket_arn, context }
}

/// A denial as an auditor hears of it.
fn told(denial: Denial, request: &AccessRequest<'_>, policies: &Policies<'_>) -> PolicyDenial {
    // Permission and account were asked apart, so the permission is explained as within the caller's account.
    let owner = request.principal.account().map_or(policies.owner, |account| &account.id);
    let policies = Policies { owner, ..*policies };
    match denial {
        Denial::Anonymous => PolicyDenial::of(request.action.name(), request.resource, DenialReason::Anonymous),
        Denial::OtherAccount(_) => {
            PolicyDenial::of(request.action.name(), request.resource, DenialReason::OtherAccount)
        }
        Denial::ExplicitDeny(_) | Denial::ImplicitDeny => {
            PolicyDenial::explained(request, &policies, &explain(request, &policies))
        }
    }
}

pub(super) const EXPECTED_OWNER: HeaderName = HeaderName::from_static("x-amz-expected-bucket-owner");
pub(super) const SOURCE_EXPECTED_OWNER: HeaderName = HeaderName::from_static("x-amz-source-expected-bucket-owner");

/// The account id that one of these headers holds.
pub(super) fn expected_owner(headers: &HeaderMap, name: HeaderName) -> Result<Option<AccountId>, S3Error> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    AccountId::parse(&text)
        .map(Some)
        .map_err(|_| S3Error::new(ErrorCode::InvalidBucketOwnerAWSAccountID).with_detail(text))
}

fn too_long() -> S3Error {
    malformed(&InvalidPolicy::too_long())
}

fn malformed(invalid: &InvalidPolicy) -> S3Error {
    let error = S3Error::new(ErrorCode::MalformedPolicy);
    let Some(Problem { message, detail }) = invalid.first() else { return error };
    let error = error.with_message(message.clone());
    match detail {
        Some(detail) => error.with_detail(detail.clone()),
        None => error,
    }
}

pub(super) fn no_such_bucket(bucket: &BucketName) -> S3Error {
    S3Error::new(ErrorCode::NoSuchBucket).with_field("BucketName", bucket.as_str())
}

pub(super) fn unresolved(error: OwnershipError) -> S3Error {
    tracing::error!(%error, "a bucket's owner is not known");
    ErrorCode::ServiceUnavailable.into()
}

pub(super) fn unavailable(error: &StoreError) -> S3Error {
    tracing::error!(%error, "a bucket's policy is not known");
    ErrorCode::ServiceUnavailable.into()
}
