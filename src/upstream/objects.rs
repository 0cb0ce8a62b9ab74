//! Objects of our own in the store: [`ObjectStorage`], from its own mouth.
//!
//! An object is only absent where the store says that there is no such key. That there is no such bucket, or that nobody
//! may know, says nothing of it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::control::ControlSettings;
use super::question::{Answer, Asker, ControlError, Question, Reason};
use super::tls::TlsError;
use crate::s3::address::{Address, BucketName, ObjectKey};
use crate::s3::object_list::ObjectList;
use crate::s3::xml;
use crate::store::BoxFuture;
use crate::store::s3::MAX_RECORD;
use crate::store::s3::objects::{Condition, ETag, Fetched, Listed, ObjectError, ObjectStorage, Page, Written};

/// What stays as it is in a parameter's value, as Signature V4 has it.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most objects that a store lists at once.
const MAX_KEYS: usize = 1000;

/// A list of [`MAX_KEYS`] objects is shorter than this, in bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// The objects of one bucket, asked for in our own name.
#[derive(Clone, Debug)]
pub struct BucketObjects {
    asker: Asker,
    bucket: BucketName,
}

impl BucketObjects {
    /// A client with a small pool of its own, as the [`ControlClient`](super::ControlClient) has one.
    ///
    /// # Errors
    /// [`TlsError`] when the endpoint is `https` and TLS cannot be set up.
    pub fn new(settings: ControlSettings, bucket: BucketName) -> Result<Self, TlsError> {
        Ok(Self { asker: Asker::new(settings)?, bucket })
    }

    /// Makes the bucket where there is none.
    ///
    /// # Errors
    /// [`ObjectError`] where it neither was there nor could be made.
    pub async fn make(&self) -> Result<(), ObjectError> {
        let address = Address::Bucket(self.bucket.clone());
        let head = Question::signed(Method::HEAD, &address, "");
        if self.asker.ask_for_head(&head).await.map_err(failed)?.0.is_success() {
            return Ok(());
        }
        let make = Question::signed(Method::PUT, &address, "");
        let (status, body) = self.asker.ask(&make).await.map_err(failed)?;
        if status.is_success() { Ok(()) } else { Err(failed(make.refused(status, &body))) }
    }

    fn object(&self, key: &str) -> Result<Address, ObjectError> {
        let key = ObjectKey::parse(key).map_err(|error| ObjectError { reason: error.to_string() })?;
        Ok(Address::Object { bucket: self.bucket.clone(), key })
    }

    async fn fetch(&self, key: &str, unless: Option<&ETag>) -> Result<Fetched, ObjectError> {
        let mut question = Question::signed(Method::GET, &self.object(key)?, "");
        if let Some(etag) = unless {
            question = question.with(IF_NONE_MATCH, value(etag.as_str())?);
        }
        let Answer { status, headers, body } = self.asker.ask_whole(&question, MAX_RECORD).await.map_err(failed)?;
        match status {
            StatusCode::OK => Ok(Fetched::Found { content: body, etag: etag_of(&headers) }),
            StatusCode::NOT_MODIFIED if unless.is_some() => Ok(Fetched::Unchanged),
            StatusCode::NOT_FOUND if xml::error_code(&body) == Some("NoSuchKey") => Ok(Fetched::Absent),
            status => Err(failed(question.refused(status, &body))),
        }
    }

    async fn write(&self, key: &str, content: Bytes, condition: &Condition) -> Result<Written, ObjectError> {
        let mut question = Question::signed(Method::PUT, &self.object(key)?, "")
            .with(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match condition {
            Condition::None => {}
            Condition::Absent => question = question.with(IF_NONE_MATCH, HeaderValue::from_static("*")),
            Condition::Unchanged(etag) => question = question.with(IF_MATCH, value(etag.as_str())?),
        }
        let question = question.with_body(content);
        let answer = self.asker.ask_whole(&question, MAX_LIST).await.map_err(failed)?;
        match answer.status {
            status if status.is_success() => Ok(Written::Done(etag_of(&answer.headers))),
            _ if *condition == Condition::None => Err(failed(question.refused(answer.status, &answer.body))),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(Written::Refused),
            // The object that it should still be is gone.
            StatusCode::NOT_FOUND if xml::error_code(&answer.body) == Some("NoSuchKey") => Ok(Written::Refused),
            StatusCode::NOT_IMPLEMENTED => Ok(Written::NotSupported),
            status => Err(failed(question.refused(status, &answer.body))),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        let question = Question::signed(Method::DELETE, &self.object(key)?, "");
        let (status, body) = self.asker.ask(&question).await.map_err(failed)?;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND if xml::error_code(&body) == Some("NoSuchKey") => Ok(()),
            status => Err(failed(question.refused(status, &body))),
        }
    }

    async fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, ObjectError> {
        let encoded = |text| utf8_percent_encode(text, KEPT);
        let mut query = format!("?list-type=2&max-keys={}&prefix={}", limit.clamp(1, MAX_KEYS), encoded(prefix));
        if let Some(after) = after {
            query.push_str(&format!("&start-after={}", encoded(after)));
        }
        let question = Question::signed(Method::GET, &Address::Bucket(self.bucket.clone()), &query);
        let Answer { status, body, .. } = self.asker.ask_whole(&question, MAX_LIST).await.map_err(failed)?;
        if status != StatusCode::OK {
            return Err(failed(question.refused(status, &body)));
        }
        let malformed = |cause| failed(question.failed(Reason::Document(cause)));
        let ObjectList { objects, is_truncated } = ObjectList::parse(&body).map_err(malformed)?;
        let objects: Vec<_> = objects.into_iter().map(|(key, size)| Listed { key, size }).collect();
        // What does not know the parameters would begin anew each time.
        let is_ours =
            |listed: &Listed| listed.key.starts_with(prefix) && after.is_none_or(|after| *listed.key > *after);
        if !objects.iter().all(is_ours) || !objects.is_sorted_by(|a, b| a.key < b.key) {
            return Err(malformed("it has objects that nobody asked for, or in another order".to_owned()));
        }
        Ok(Page { is_last: !is_truncated, objects })
    }
}

fn etag_of(headers: &HeaderMap) -> Option<ETag> {
    headers.get(ETAG).and_then(|value| value.to_str().ok()).and_then(ETag::parse)
}

fn value(text: &str) -> Result<HeaderValue, ObjectError> {
    HeaderValue::from_str(text).map_err(|error| ObjectError { reason: format!("{text:?} is no header: {error}") })
}

fn failed(error: ControlError) -> ObjectError {
    ObjectError { reason: error.to_string() }
}

impl ObjectStorage for BucketObjects {
    fn get<'a>(&'a self, key: &'a str, unless: Option<&'a ETag>) -> BoxFuture<'a, Result<Fetched, ObjectError>> {
        Box::pin(self.fetch(key, unless))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        condition: &'a Condition,
    ) -> BoxFuture<'a, Result<Written, ObjectError>> {
        Box::pin(self.write(key, content, condition))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>> {
        Box::pin(self.remove(key))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, ObjectError>> {
        Box::pin(self.page(prefix, after, limit))
    }
}
