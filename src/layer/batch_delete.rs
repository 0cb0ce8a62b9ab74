//! `POST ?delete`: each key is decided by itself, and those that may be deleted are.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::body::{RequestBody, ResponseBody};
use super::held::{Bound, Held, read};
use super::ruling::Ruling;
use super::service::{Call, Outcomes, Passage, Refused};
use super::target::Target;
use crate::s3::delete_objects::{DeleteObjects, ObjectToDelete};
use crate::s3::delete_result::{MAX_DELETE_RESULT_BYTES, denials, with_denials};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::rewritten::{describe_request, undescribe};

impl<S> Call<S> {
    /// Sends on what was granted, and answers for the rest.
    pub(super) async fn delete_objects<B, R>(
        &mut self,
        target: &Target,
        passage: &Passage,
        ruling: Ruling,
        held: Held,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
    {
        let (allowed, denied): (Vec<_>, Vec<_>) = ruling.entries.into_iter().partition(|(_, denial)| denial.is_none());
        let objects = |entries: Vec<(ObjectToDelete, _)>| entries.into_iter().map(|(object, _)| object).collect();
        let (allowed, denied): (Vec<ObjectToDelete>, Vec<ObjectToDelete>) = (objects(allowed), objects(denied));
        let Passage::Resigned { account, .. } = passage else {
            // The body is the caller's, signature and all: it goes as it is or not at all.
            if !denied.is_empty() {
                return Err(S3Error::new(ErrorCode::AccessDenied).into());
            }
            let body = self.exchange.place(target, passage, held)?;
            return self.send(RequestBody::held(body)).await;
        };
        if allowed.is_empty() {
            return Ok(self.exchange.responder.xml(denials(&denied)));
        }
        let quiet = DeleteObjects::parse(&held.content).map_err(S3Error::from)?.quiet;
        // Written anew even where nothing is denied: there is no other reading of what is written here.
        let body = DeleteObjects { objects: allowed, quiet }.to_xml();
        describe_request(&mut self.exchange.parts.headers, &body);
        // What is not compressed can be added to.
        self.exchange.parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let body = self.exchange.fit_and_sign(target, account.clone(), body)?;
        let response = self.ask(RequestBody::held(body)).await?;
        if response.status().is_success() && !denied.is_empty() {
            merged(response, &denied).await
        } else {
            Ok(response.map(ResponseBody::inner))
        }
    }
}

/// The store's answer and the denials, in one.
async fn merged<R, E>(response: Response<R>, denied: &[ObjectToDelete]) -> Outcomes<R, E>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let (mut parts, body) = response.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        tracing::warn!("the store compressed what it was not asked to, so the denied keys cannot be told beside it");
        return Err(Refused::Here(ErrorCode::BadGateway.into()));
    }
    let bound = Bound { bytes: MAX_DELETE_RESULT_BYTES, too_long: || ErrorCode::BadGateway.into() };
    // The store has deleted them, which must be told whatever is held.
    let answer = read(body, None, bound, None).await.map_err(|error| {
        tracing::warn!(%error, "the store's answer to a batch delete was not read whole");
        S3Error::new(ErrorCode::BadGateway)
    })?;
    let answer = with_denials(&answer, denied).map_err(S3Error::from)?;
    undescribe(&mut parts.headers);
    Ok(Response::from_parts(parts, ResponseBody::own(answer)))
}
