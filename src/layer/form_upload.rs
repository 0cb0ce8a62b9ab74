//! Browsers' uploads: a form that carries its own signature and its own policy, and is decided by the key it names.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html>.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::header::{CONTENT_TYPE, EXPECT};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::body::RequestBody;
use super::findings::Conclusion;
use super::form_body::peek_form;
use super::layer::PassThrough;
use super::ruling::{Case, Ruling};
use super::service::{Call, Exchange, Outcomes};
use super::strict;
use super::target::Target;
use crate::auth::identity::Identity;
use crate::auth::sigv4::{Presented, PresentedForm, VerifiedForm};
use crate::policy::Principal;
use crate::s3::action_map::Head;
use crate::s3::address::BucketName;
use crate::s3::context::{AuthType, SignatureFacts};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::form::{Form, FormReader, SizeRange};
use crate::s3::forward::{FormToSign, Unsigned};
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::{Operation, Query};
use crate::s3::post_policy::{PostPolicy, check_anonymous};

/// Who sent a form, and how long its file may be.
struct Sender {
    identity: Option<Arc<Identity>>,
    verified: Option<VerifiedForm>,
    size: SizeRange,
}

impl<S> Call<S> {
    /// Decides a form and sends it on, streaming its file.
    pub(super) async fn post_object<B, R>(&mut self, target: &Target, body: RequestBody<B>) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // INVARIANT: nobody has read of it yet, and forms are sent to buckets.
        let (Some(body), Some(bucket)) = (body.into_untouched(), target.address.bucket()) else {
            return Err(S3Error::new(ErrorCode::MethodNotAllowed).into());
        };
        let peeked = peek_form(self.exchange.content_type()?, body).await?;
        let sender = self.exchange.sender(bucket, &peeked.form).await?;
        let ruling = self.exchange.form_ruling(target, &sender, &peeked.form, &peeked.head).await?;
        if let Some(denial) = &ruling.denied {
            self.exchange.tell_denial(Operation::PostObject, sender.identity.as_deref(), denial);
            return Err(S3Error::new(ErrorCode::AccessDenied).into());
        }
        self.exchange.concluded(Some(Operation::PostObject), Conclusion::Allowed);
        let head = match self.exchange.shared.pass_through {
            PassThrough::AsSent => {
                // The store reads what was sent; what it could read otherwise was not what was decided.
                peeked.form.check_sent_as_it_is().map_err(S3Error::from)?;
                peeked.head.clone()
            }
            PassThrough::Verified => {
                let signer = self.exchange.shared.form_signer.as_ref().ok_or_else(|| {
                    S3Error::new(ErrorCode::NotImplemented).with_message("Browsers' forms are not taken here.")
                })?;
                let form = FormToSign {
                    form: &peeked.form,
                    head: &peeked.head,
                    bucket,
                    size: sender.size,
                    now: self.exchange.responder.now,
                };
                let head = signer.sign(ruling.account.as_ref(), &form)?;
                self.exchange.rebuild_query()?;
                self.exchange.mark_unsigned(target);
                head
            }
        };
        let headers = &mut self.exchange.parts.headers;
        strict::strip(headers);
        // Of a form its fields were decided, and no signature covers these.
        strict::strip_amazons(headers);
        // What was read already needs no leave to be sent.
        headers.remove(EXPECT);
        let (body, fault) = RequestBody::form(peeked, head, sender.size);
        self.send_checked(body, Some(&fault)).await
    }

    /// Decides a form without a consequence; gives the body back as it came.
    pub(super) async fn rehearse_form<B>(&mut self, target: &Target, body: RequestBody<B>) -> RequestBody<B>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let mut reader = self.exchange.content_type().and_then(|text| FormReader::new(text).map_err(S3Error::from));
        let mut read = None;
        let room = self.exchange.shared.held.clone();
        let (peeked, body) = body
            .peek(&room, |begun| match &mut reader {
                Ok(reader) => {
                    read = reader.read(begun).transpose();
                    read.is_some()
                }
                Err(_) => true,
            })
            .await;
        self.exchange.parts.headers.remove(EXPECT);
        let form = match (reader.map(|_| ()), read) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(form)) => form.map_err(S3Error::from),
            (Ok(()), None) if let Some(error) = peeked.no_room => Err(error.into()),
            (Ok(()), None) => Err(ErrorCode::IncompleteBody.into()),
        };
        if let Err(error) = self.exchange.rehearse_form(target, form, &peeked.bytes).await {
            self.exchange.tell_would_refuse(Some(Operation::PostObject), None, &error);
        }
        body
    }
}

impl Exchange {
    fn content_type(&self) -> Result<&str, S3Error> {
        let value = self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| S3Error::new(ErrorCode::MissingSecurityHeader))
    }

    /// Who signed the form's policy, and what the policy says of the form.
    async fn sender(&self, bucket: &BucketName, form: &Form) -> Result<Sender, S3Error> {
        let Some(presented) = PresentedForm::parse(&self.parts, form)? else {
            if Presented::parse(&self.parts)?.is_some() {
                return Err(S3Error::new(ErrorCode::InvalidRequest)
                    .with_message("A form is signed by its own fields, not by a header or the query string."));
            }
            return Ok(Sender { identity: None, verified: None, size: check_anonymous(form, bucket)? });
        };
        let credential = self.credential(presented.access_key_id()).await?;
        let verified = presented.verify(&credential, &self.shared.region, &self.shared.signing_keys)?;
        let size = PostPolicy::parse(presented.policy())?.check(form, bucket, self.responder.now)?;
        Ok(Sender { identity: Some(Arc::clone(&credential.identity)), verified: Some(verified), size })
    }

    async fn form_ruling(&self, target: &Target, sender: &Sender, form: &Form, head: &[u8]) -> Result<Ruling, S3Error> {
        let query = Query::parse(self.parts.uri.query())?;
        let headers = effective_headers(&self.parts.headers, &query)?;
        let temporary = |identity: &Arc<Identity>| matches!(identity.principal, Principal::AssumedRole(_));
        self.rule(&Case {
            operation: Operation::PostObject,
            head: Head { address: &target.address, query: &query, headers: &headers },
            identity: sender.identity.as_deref(),
            signature: sender.verified.as_ref().map(|verified| SignatureFacts {
                auth_type: AuthType::Post,
                signed_at: verified.timestamp().unix_seconds(),
                region: verified.scope().region(),
                temporary: sender.identity.as_ref().is_some_and(temporary),
            }),
            body: Some(head),
            form: Some(form),
        })
        .await
    }

    async fn rehearse_form(&self, target: &Target, form: Result<Form, S3Error>, read: &[u8]) -> Result<(), S3Error> {
        let form = form?;
        let bucket = target.address.bucket().ok_or(S3Error::new(ErrorCode::MethodNotAllowed))?;
        let sender = self.sender(bucket, &form).await?;
        match self.form_ruling(target, &sender, &form, read).await?.denied {
            Some(denial) => self.tell_would_deny(Operation::PostObject, sender.identity.as_deref(), &denial),
            None => self.concluded(Some(Operation::PostObject), Conclusion::Allowed),
        }
        Ok(())
    }

    /// Leaves word for the inner service to send the request without a signature.
    pub(super) fn mark_unsigned(&mut self, target: &Target) {
        let path = target.path(&self.parts);
        self.parts.extensions.insert(Unsigned { path });
    }
}
