//! Every request decided before it reaches the store; or, in a dry run, decided and passed whatever comes of it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{EXPECT, HeaderMap};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::body::{Peeked, RequestBody};
use super::bucket_list::{ask_plainly, filtered};
use super::denied::{DenialCause, Denied, PolicyDenial};
use super::findings::Conclusion;
use super::held::{Bound, Held};
use super::layer::PassThrough;
use super::policy_api::{EXPECTED_OWNER, SOURCE_EXPECTED_OWNER};
use super::ruling::{Case, Ruling};
use super::service::{Call, Exchange, Outcomes, Passage, Signed};
use super::target::{Decidable, Route, Target};
use super::{reserved, strict};
use crate::auth::identity::Identity;
use crate::auth::sigv4::{Kind, PayloadMode};
use crate::policy::Principal;
use crate::s3::action_map::{Head, MAX_BUCKET_BODY, needs_body};
use crate::s3::address::Address;
use crate::s3::context::{AuthType, SignatureFacts, needs_details};
use crate::s3::copy_source::CopySource;
use crate::s3::delete_objects::MAX_DELETE_BYTES;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::{Operation, Query};

static COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
static CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

impl<S> Call<S> {
    /// Nothing reaches the store but what is granted.
    pub(super) async fn enforced<B, R>(&mut self, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
    {
        let Decidable { target, operation } = Decidable::of(&self.exchange.parts, &self.exchange.shared)?;
        self.exchange.findings.set_operation(Some(operation));
        self.exchange.findings.set_bucket(target.address.bucket());
        self.exchange.asked_by = self.exchange.cross_origin(&target.address);
        match (target.route, target.address.bucket().cloned()) {
            (Route::Policy(call), Some(bucket)) => {
                return Box::pin(self.policy(call, bucket, target.style, body)).await;
            }
            (Route::PublicAccess(call), Some(bucket)) => {
                return Box::pin(self.public_access(call, &bucket, body)).await;
            }
            _ => {}
        }
        match operation {
            Operation::CorsPreflight => self.preflight(&target, body).await,
            Operation::PostObject => Box::pin(self.post_object(&target, body)).await,
            _ => self.decided(target, operation, body).await,
        }
    }

    async fn decided<B, R>(
        &mut self,
        target: Target,
        operation: Operation,
        body: RequestBody<B>,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
    {
        let (signed, payload) = self.exchange.admit_to_decision().await?;
        self.exchange.keep_strangers_short(operation, &target, signed.as_ref()).await?;
        let taken = self.exchange.take(operation, payload, signed.as_ref(), body).await?;
        let ruling = self.exchange.ruling(&target, operation, signed.as_ref(), taken.content()).await?;
        self.exchange.follow(&ruling, operation, signed.as_ref().map(|signed| &*signed.identity))?;
        let passage = self.exchange.passage(&ruling, payload);
        self.exchange.leave_only_what_was_decided(&passage)?;
        match (operation, target.address.bucket().cloned(), taken) {
            (Operation::CreateBucket, Some(bucket), Taken::Held(held)) => {
                let creator = signed.as_ref().and_then(Signed::account);
                self.create_bucket(bucket, target, &passage, creator, held).await
            }
            (Operation::DeleteBucket, Some(bucket), Taken::Held(held)) => {
                self.delete_bucket(bucket, target, &passage, signed.as_ref(), held).await
            }
            (Operation::DeleteObjects, _, Taken::Held(held)) => {
                self.delete_objects(&target, &passage, ruling, held).await
            }
            (Operation::ListBuckets, _, Taken::Untouched(body)) => {
                self.list_buckets(&target, &passage, signed.as_ref(), body).await
            }
            (_, _, Taken::Held(held)) => {
                let body = self.exchange.place(&target, &passage, held)?;
                self.send(RequestBody::held(body)).await
            }
            (_, _, Taken::Untouched(body)) => {
                let response = self.forward(&target, &passage, signed.as_ref(), body).await?;
                if ruling.hides_absence && response.status() == StatusCode::NOT_FOUND {
                    return Err(S3Error::new(ErrorCode::AccessDenied).into());
                }
                Ok(response)
            }
        }
    }

    /// A store that knows us alone lists everybody's buckets; the caller sees those of their own account.
    async fn list_buckets<B, R>(
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
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
    {
        let caller = signed.and_then(|signed| signed.identity.principal.account());
        let (Passage::Resigned { account, .. }, Some(caller)) = (passage, caller) else {
            return self.forward(target, passage, signed, body).await;
        };
        ask_plainly(&mut self.exchange.parts.headers);
        let body = self.exchange.fit_and_sign(target, account.clone(), Bytes::new())?;
        let (owners, hidden) = (Arc::clone(&self.exchange.shared.owners), self.exchange.shared.reserved.clone());
        let response = self.ask(RequestBody::held(body)).await?;
        Ok(filtered(response, owners, caller, None, hidden)?)
    }

    /// Everything is decided as if it were enforced, and what comes of it told; then the request goes the way it goes
    /// where nothing is enforced.
    pub(super) async fn audited<B, R>(&mut self, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let body = Box::pin(self.rehearse(body)).await;
        self.unenforced(body).await
    }

    /// Decides without a consequence; gives the body back as it came.
    async fn rehearse<B>(&mut self, body: RequestBody<B>) -> RequestBody<B>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let decidable = match Decidable::of(&self.exchange.parts, &self.exchange.shared) {
            Ok(decidable) => decidable,
            Err(error) => {
                self.exchange.tell_would_refuse(None, None, &error);
                return body;
            }
        };
        let Decidable { target, operation } = decidable;
        // These are decided and told of in any case.
        if matches!(target.route, Route::Policy(_) | Route::PublicAccess(_)) || operation == Operation::CorsPreflight {
            return body;
        }
        if operation == Operation::PostObject {
            return self.rehearse_form(&target, body).await;
        }
        let (body, taken) = match self.exchange.bound(operation) {
            Some(bound) => {
                let payload = self.exchange.payload_as_sent();
                let limit = bound.framed(payload).bytes;
                let room = self.exchange.shared.held.clone();
                let (peeked, body) = body.peek(&room, |begun| begun.len() > limit).await;
                // What was read already needs no leave to be sent.
                self.exchange.parts.headers.remove(EXPECT);
                (body, Some((bound, peeked)))
            }
            None => (body, None),
        };
        if let Err((by, error)) = self.exchange.rehearse(&target, operation, taken).await {
            self.exchange.tell_would_refuse(Some(operation), by.as_deref(), &error);
        }
        body
    }

    /// A browser asks whether it may ask: the store's to answer, undecided and unsigned as on S3.
    async fn preflight<B, R>(&mut self, target: &Target, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    {
        strict::strip(&mut self.exchange.parts.headers);
        if self.exchange.shared.pass_through == PassThrough::Verified {
            self.exchange.mark_unsigned(target);
        }
        self.send(body).await
    }
}

/// A request's body, read where the decision depends on it.
enum Taken<B> {
    Held(Held),
    Untouched(RequestBody<B>),
}

impl<B> Taken<B> {
    fn content(&self) -> Option<&[u8]> {
        match self {
            Self::Held(held) => Some(&held.content),
            Self::Untouched(_) => None,
        }
    }
}

/// How much of a body is read before the decision; none for one that plays no part in it.
fn bound(operation: Operation) -> Option<Bound> {
    match operation {
        Operation::DeleteObjects => Some(Bound::bytes(MAX_DELETE_BYTES)),
        // Their turn must not wait for a slow body; and which ACL is public its body tells.
        Operation::DeleteBucket
        | Operation::PutBucketAcl
        | Operation::PutObjectAcl
        // It may say to write the result of a query to another bucket.
        | Operation::RestoreObject => Some(Bound::bytes(MAX_BUCKET_BODY)),
        operation if needs_body(operation) || needs_details(operation) => Some(Bound::bytes(MAX_BUCKET_BODY)),
        _ => None,
    }
}

impl Exchange {
    /// How much of a body is read before the decision; none for one that plays no part in it.
    pub(super) fn bound(&self, operation: Operation) -> Option<Bound> {
        let may_name_ours = || self.shared.reserved.is_some() && reserved::may_name_another(operation);
        bound(operation).or_else(|| may_name_ours().then(|| Bound::bytes(MAX_BUCKET_BODY)))
    }

    /// What is known of the payload.
    pub(super) fn payload(&self, signed: Option<&Signed>) -> Result<PayloadMode, S3Error> {
        match (signed, self.parts.headers.get(&CONTENT_SHA256)) {
            (Some(signed), _) => Ok(signed.verified.payload()),
            (None, None) => Ok(PayloadMode::Unsigned),
            (None, Some(value)) => {
                let mode = PayloadMode::parse(&String::from_utf8_lossy(value.as_bytes()))?;
                if matches!(mode, PayloadMode::StreamingSigned { .. }) {
                    return Err(S3Error::new(ErrorCode::InvalidRequest)
                        .with_message("Chunks cannot be signed in a request that is not."));
                }
                Ok(mode)
            }
        }
    }

    /// Refuses an anonymous request before its body is read, where nothing in it could make a difference.
    async fn keep_strangers_short(
        &self,
        operation: Operation,
        target: &Target,
        signed: Option<&Signed>,
    ) -> Result<(), S3Error> {
        let Some(bucket) = target.address.bucket().filter(|_| signed.is_none() && self.bound(operation).is_some())
        else {
            return Ok(());
        };
        match self.shuts_out_strangers(operation, bucket).await? {
            Some(denial) => {
                self.tell_denial(operation, None, &denial);
                Err(ErrorCode::AccessDenied.into())
            }
            None => Ok(()),
        }
    }

    async fn take<B>(
        &self,
        operation: Operation,
        payload: PayloadMode,
        signed: Option<&Signed>,
        body: RequestBody<B>,
    ) -> Result<Taken<B>, S3Error>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let Some(bound) = self.bound(operation) else { return Ok(Taken::Untouched(body)) };
        let headers = self.effective_headers()?;
        let verified = signed.map(|signed| &signed.verified);
        Held::read(body, bound, &self.shared.held, &headers, payload, verified).await.map(Taken::Held)
    }

    pub(super) fn effective_headers(&self) -> Result<Cow<'_, HeaderMap>, S3Error> {
        effective_headers(&self.parts.headers, &self.query()?)
    }

    /// What a dry run takes the payload for before it knows who signed.
    fn payload_as_sent(&self) -> PayloadMode {
        let value = self.parts.headers.get(&CONTENT_SHA256).and_then(|value| value.to_str().ok());
        value.and_then(|value| PayloadMode::parse(value).ok()).unwrap_or(PayloadMode::Unsigned)
    }

    /// Decides a request and tells what came of it.
    async fn rehearse(
        &self,
        target: &Target,
        operation: Operation,
        taken: Option<(Bound, Peeked)>,
    ) -> Result<(), (Option<Arc<Identity>>, S3Error)> {
        let signed = self.authenticate().await.map_err(|error| (None, error))?;
        let by = signed.as_ref().map(|signed| Arc::clone(&signed.identity));
        let ruling = self.rehearsal(target, operation, signed.as_ref(), taken).await;
        let ruling = ruling.map_err(|error| (by.clone(), error))?;
        let denials = ruling.denied.iter().chain(ruling.entries.iter().filter_map(|(_, denial)| denial.as_ref()));
        let mut denied = false;
        for denial in denials {
            self.tell_would_deny(operation, by.as_deref(), denial);
            denied = true;
        }
        if !denied {
            self.concluded(Some(operation), Conclusion::Allowed);
        }
        Ok(())
    }

    async fn rehearsal(
        &self,
        target: &Target,
        operation: Operation,
        signed: Option<&Signed>,
        taken: Option<(Bound, Peeked)>,
    ) -> Result<Ruling, S3Error> {
        let payload = self.payload(signed)?;
        let held = match taken {
            Some((_, Peeked { no_room: Some(error), .. })) => return Err(error.into()),
            Some((bound, peeked)) if !peeked.ended && peeked.bytes.len() > bound.framed(payload).bytes => {
                return Err((bound.too_long)());
            }
            Some((bound, peeked)) => {
                let headers = self.effective_headers()?;
                let verified = signed.map(|signed| &signed.verified);
                Some(Held::check(peeked.bytes, bound, &headers, payload, verified)?)
            }
            None => None,
        };
        self.ruling(target, operation, signed, held.as_ref().map(|held| &held.content[..])).await
    }

    /// Decides a request that somebody else sends on, without a consequence, and tells what came of it.
    pub(super) async fn rehearse_head(&self, target: &Target, operation: Operation) {
        self.findings.set_bucket(target.address.bucket());
        if let Err((by, error)) = self.rehearse(target, operation, None).await {
            self.tell_would_refuse(Some(operation), by.as_deref(), &error);
        }
    }

    /// Decides a request that somebody else sends on, and tells what came of it.
    ///
    /// # Errors
    /// Why it may not go on.
    pub(super) async fn decide_head(&self, target: &Target, operation: Operation) -> Result<(), S3Error> {
        self.findings.set_bucket(target.address.bucket());
        let (signed, _) = self.admit_to_decision().await?;
        let ruling = self.ruling(target, operation, signed.as_ref(), None).await?;
        self.follow(&ruling, operation, signed.as_ref().map(|signed| &*signed.identity))
    }

    /// Who asks, and what they say of the body.
    async fn admit_to_decision(&self) -> Result<(Option<Signed>, PayloadMode), S3Error> {
        let signed = self.authenticate().await?;
        if signed.is_none() && self.query()?.names().any(|name| name.starts_with("response-")) {
            // Signed anew the store would take it, and serve a public object as whatever a stranger's link says it is.
            return Err(S3Error::new(ErrorCode::InvalidRequest)
                .with_message("Request specific response headers cannot be used for anonymous GET requests."));
        }
        let payload = self.payload(signed.as_ref())?;
        Ok((signed, payload))
    }

    /// Decides a request that its own head speaks for.
    async fn ruling(
        &self,
        target: &Target,
        operation: Operation,
        signed: Option<&Signed>,
        body: Option<&[u8]>,
    ) -> Result<Ruling, S3Error> {
        if let (Some(reserved), Some(body)) = (&self.shared.reserved, body)
            && reserved::may_name_another(operation)
        {
            reserved::check_body(body, reserved)?;
        }
        let query = Query::parse(self.parts.uri.query())?;
        let headers = effective_headers(&self.parts.headers, &query)?;
        self.rule(&Case {
            operation,
            head: Head { address: &target.address, query: &query, headers: &headers },
            identity: signed.map(|signed| &*signed.identity),
            signature: signed.map(Signed::facts),
            body,
            form: None,
        })
        .await
    }

    /// Tells what was ruled.
    ///
    /// # Errors
    /// `AccessDenied`, where the request as a whole was denied.
    fn follow(&self, ruling: &Ruling, operation: Operation, by: Option<&Identity>) -> Result<(), S3Error> {
        let entries = ruling.entries.iter().filter_map(|(_, denial)| denial.as_ref());
        let mut denied = false;
        for denial in ruling.denied.iter().chain(entries) {
            self.tell_denial(operation, by, denial);
            denied = true;
        }
        if !denied {
            self.concluded(Some(operation), Conclusion::Allowed);
        }
        if ruling.denied.is_some() { Err(ErrorCode::AccessDenied.into()) } else { Ok(()) }
    }

    /// As whom a granted request goes on: in the name of whose bucket it is, since that it may was decided here.
    pub(super) fn passage(&self, ruling: &Ruling, payload: PayloadMode) -> Passage {
        match self.shared.pass_through {
            PassThrough::AsSent => Passage::AsSent,
            PassThrough::Verified => Passage::Resigned { account: ruling.account.clone(), payload },
        }
    }

    /// Takes off what the store could take for an order of its own.
    fn leave_only_what_was_decided(&mut self, passage: &Passage) -> Result<(), S3Error> {
        strict::strip(&mut self.parts.headers);
        if let Passage::Resigned { .. } = passage {
            self.rebuild_copy_source()?;
            // Whose account a bucket is expected to be was held against ours, which the store's need not be.
            for name in [EXPECTED_OWNER, SOURCE_EXPECTED_OWNER] {
                self.parts.headers.remove(name);
            }
            self.rebuild_query()?;
        }
        Ok(())
    }

    /// Writes the source of a copy anew. Servers differ on whether a `+` in it is a space.
    fn rebuild_copy_source(&mut self) -> Result<(), S3Error> {
        let hoisted = self.effective_headers()?;
        let Some(value) = hoisted.get(&COPY_SOURCE) else { return Ok(()) };
        // What names nothing belongs to an operation that does not copy, and goes on as it is.
        let text = String::from_utf8_lossy(value.as_bytes());
        let Ok(CopySource { bucket, key, version_id }) = CopySource::parse(text.trim()) else { return Ok(()) };
        let version = version_id.map_or_else(String::new, |version| format!("?versionId={version}"));
        let rebuilt = format!("{}{version}", Address::Object { bucket, key });
        let value = HeaderValue::from_str(&rebuilt).map_err(|_| S3Error::new(ErrorCode::InvalidArgument))?;
        // Of a presigned URL it becomes a header with this value when the others do: the parameter must not disagree.
        if self.parts.headers.contains_key(&COPY_SOURCE) {
            self.parts.headers.insert(COPY_SOURCE.clone(), value);
        }
        Ok(())
    }

    /// Writes the query anew from what was decided on; it is signed anew as well.
    pub(super) fn rebuild_query(&mut self) -> Result<(), S3Error> {
        let uri = &self.parts.uri;
        let Some(query) = uri.query() else { return Ok(()) };
        let rebuilt = Query::parse(Some(query))?.rebuilt();
        let path = uri.path();
        let target = if rebuilt.is_empty() { path.to_owned() } else { format!("{path}?{rebuilt}") };
        let malformed = || S3Error::new(ErrorCode::InvalidURI);
        let mut uri = uri.clone().into_parts();
        uri.path_and_query = Some(target.parse().map_err(|_| malformed())?);
        self.parts.uri = Uri::from_parts(uri).map_err(|_| malformed())?;
        Ok(())
    }

    /// Tells of a denial, and counts it.
    pub(super) fn tell_denial(&self, operation: Operation, by: Option<&Identity>, denial: &PolicyDenial) {
        self.concluded(Some(operation), Conclusion::Denied);
        self.tell(true, Some(operation), by, DenialCause::Policies(Box::new(denial.clone())));
    }

    /// Tells of what a dry run lets pass, and enforcing would deny.
    pub(super) fn tell_would_deny(&self, operation: Operation, by: Option<&Identity>, denial: &PolicyDenial) {
        self.concluded(Some(operation), Conclusion::Denied);
        self.tell(false, Some(operation), by, DenialCause::Policies(Box::new(denial.clone())));
    }

    /// Tells of what a dry run could not decide, and enforcing would refuse.
    pub(super) fn tell_would_refuse(&self, operation: Option<Operation>, by: Option<&Identity>, error: &S3Error) {
        self.concluded(operation, Conclusion::Refused);
        let cause = DenialCause::Refused { code: error.code().name(), status: error.status().as_u16() };
        self.tell(false, operation, by, cause);
    }

    fn tell(&self, enforced: bool, operation: Option<Operation>, by: Option<&Identity>, cause: DenialCause) {
        let Some(auditor) = &self.shared.denial_auditor else { return };
        (auditor.0)(&Denied {
            at: self.responder.now,
            request_id: self.responder.id.as_str().to_owned(),
            enforced,
            operation,
            by: by.and_then(|identity| identity.principal.arn().map(str::to_owned)),
            account: by.and_then(|identity| identity.principal.account()).map(|account| account.id.clone()),
            peer: self.peer,
            cause,
        });
    }

    /// What was decided, for outer layers and to be counted.
    pub(super) fn concluded(&self, operation: Option<Operation>, verdict: Conclusion) {
        self.shared.tally.decided(operation, verdict);
        self.findings.set_verdict(verdict);
    }
}

impl Signed {
    /// What conditions may ask about the signature.
    pub(super) fn facts(&self) -> SignatureFacts<'_> {
        let verified = &self.verified;
        SignatureFacts {
            auth_type: match verified.kind() {
                Kind::Header => AuthType::Header,
                Kind::Presigned => AuthType::QueryString,
            },
            signed_at: verified.timestamp().unix_seconds(),
            region: verified.scope().region(),
            temporary: matches!(self.identity.principal, Principal::AssumedRole(_)),
        }
    }
}
