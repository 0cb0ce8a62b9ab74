//! Whose buckets does `ListBuckets` show, where one store is shared and its own list is of all?
//!
//! The store's answer is filtered as it comes: a bucket is passed on once its owner is known to be the caller's account, in
//! the order the store has them. Whatever goes wrong ends the body with an error, so the client sees an answer that breaks
//! off, and never a bucket too many. The store's own paging stays: a page may show fewer buckets than were asked for, or
//! none, and its `ContinuationToken` is passed on, since without it there would be no next one.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, RANGE, TE,
};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::BoxError;
use super::body::ResponseBody;
use crate::ownership::{BucketOwners, Ownership, OwnershipError};
use crate::policy::{Account, AccountId};
use crate::s3::address::BucketName;
use crate::s3::bucket_list::{BucketListError, Piece, Splitter};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::rewritten::undescribe;
use crate::store::BoxFuture;

/// How many owners are asked for at once. Each of these buckets is held, so it bounds memory too; and a store that is asked
/// for ACLs gets no more questions at a time.
const LOOKUPS: usize = 32;

/// How many bytes are gathered before they are passed on.
const FRAME: usize = 16 * 1024;

/// Makes a request ask for an answer that can be filtered: whole and not compressed.
pub(crate) fn ask_plainly(headers: &mut HeaderMap) {
    for name in [RANGE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, TE] {
        headers.remove(name);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// The answer with those buckets alone that `account` owns, and with it as the owner, under `name` where it has one; and
/// without `hidden`. An answer other than `2xx` lists nothing, and passes as it is.
///
/// # Errors
/// `BadGateway` for an answer that is compressed though nobody asked for that.
pub(crate) fn filtered<R>(
    response: Response<R>,
    owners: Arc<dyn BucketOwners>,
    account: &Account,
    name: Option<&str>,
    hidden: Option<BucketName>,
) -> Result<Response<ResponseBody<R>>, S3Error> {
    if !response.status().is_success() {
        return Ok(response.map(ResponseBody::inner));
    }
    let mut codings = response.headers().get_all(CONTENT_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        tracing::error!("the object store compressed its list of buckets, which can therefore not be filtered");
        return Err(ErrorCode::BadGateway.into());
    }
    let (mut parts, inner) = response.into_parts();
    undescribe(&mut parts.headers);
    let filter = Filter {
        splitter: Splitter::new(account, name),
        lookups: Lookups {
            owners,
            account: account.id.clone(),
            hidden,
            waiting: VecDeque::new(),
            out: BytesMut::new(),
        },
        state: State::Reading,
    };
    Ok(Response::from_parts(parts, ResponseBody::filtered(FilteredBuckets { inner, filter })))
}

pin_project! {
    /// The store's list of buckets, less those of others.
    pub(crate) struct FilteredBuckets<R> {
        #[pin]
        inner: R,
        filter: Filter,
    }
}

struct Filter {
    splitter: Splitter,
    lookups: Lookups,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store's answer goes on.
    Reading,
    /// It has ended; some owners may be yet to come.
    Read,
    /// All has been passed on, or an error was.
    Done,
}

/// What is to be passed on, in order, as far as that is known.
struct Lookups {
    owners: Arc<dyn BucketOwners>,
    account: AccountId,
    /// A bucket that is not shown, whoever owns it.
    hidden: Option<BucketName>,
    /// What waits for an owner, or stands behind what does.
    waiting: VecDeque<Waiting>,
    out: BytesMut,
}

enum Waiting {
    Bytes(Bytes),
    Bucket(Bytes, BoxFuture<'static, Result<bool, OwnershipError>>),
}

impl Lookups {
    /// Takes the next piece, and begins to ask for its owner.
    fn push(&mut self, piece: Piece, cx: &mut Context<'_>) -> Result<(), OwnershipError> {
        let (element, name) = match piece {
            Piece::Bucket(_, Some(name)) if self.hidden.as_ref() == Some(&name) => return Ok(()),
            Piece::Bucket(element, Some(name)) => (element, name),
            Piece::Bucket(_, None) => {
                tracing::debug!("a bucket with a name that nobody can ask for is not listed");
                return Ok(());
            }
            Piece::Passing(bytes) => {
                if self.waiting.is_empty() {
                    self.out.extend_from_slice(&bytes);
                } else {
                    self.waiting.push_back(Waiting::Bytes(bytes));
                }
                return Ok(());
            }
        };
        let mut is_ours: BoxFuture<'static, _> =
            Box::pin(is_owned(Arc::clone(&self.owners), name, self.account.clone()));
        match is_ours.as_mut().poll(cx) {
            Poll::Ready(verdict) => {
                if verdict? {
                    return self.push(Piece::Passing(element), cx);
                }
            }
            Poll::Pending => self.waiting.push_back(Waiting::Bucket(element, is_ours)),
        }
        Ok(())
    }

    /// Asks all that are waiting, and passes on what no longer is.
    fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), OwnershipError> {
        for waiting in &mut self.waiting {
            let Waiting::Bucket(element, is_ours) = waiting else { continue };
            if let Poll::Ready(verdict) = is_ours.as_mut().poll(cx) {
                *waiting = Waiting::Bytes(if verdict? { std::mem::take(element) } else { Bytes::new() });
            }
        }
        while let Some(Waiting::Bytes(bytes)) = self.waiting.front() {
            self.out.extend_from_slice(bytes);
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= LOOKUPS || self.out.len() >= FRAME
    }
}

/// Whether `account` owns the bucket.
async fn is_owned(
    owners: Arc<dyn BucketOwners>,
    bucket: BucketName,
    account: AccountId,
) -> Result<bool, OwnershipError> {
    Ok(match owners.owner_of_listed(&bucket).await? {
        Ownership::Account(owner) => owner == account,
        Ownership::NoSuchBucket | Ownership::Unknown => false,
    })
}

impl<R> FilteredBuckets<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    fn poll_filtered(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FilterError>>> {
        let mut this = self.project();
        let Filter { splitter, lookups, state } = this.filter;
        lookups.poll(cx)?;
        while *state == State::Reading && !lookups.is_full() {
            if let Some(piece) = splitter.next_piece()? {
                lookups.push(piece, cx)?;
                continue;
            }
            match this.inner.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers would speak of the body as it was.
                    if let Some(data) = frame.data_ref() {
                        splitter.push(data);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(FilterError::Store(error.into())))),
                Poll::Ready(None) => {
                    splitter.finish()?;
                    *state = State::Read;
                }
                Poll::Pending => break,
            }
        }
        if !lookups.out.is_empty() {
            return Poll::Ready(Some(Ok(lookups.out.split().freeze())));
        }
        if *state == State::Read && lookups.waiting.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }

    /// The next frame, as of a body.
    pub(crate) fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let polled = self.as_mut().poll_filtered(cx);
        let state = &mut self.project().filter.state;
        polled.map(|next| match next {
            Some(Ok(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Err(error)) => {
                *state = State::Done;
                if !matches!(error, FilterError::Store(_)) {
                    tracing::error!(%error, "the list of buckets is broken off");
                }
                Some(Err(error.into()))
            }
            None => {
                *state = State::Done;
                None
            }
        })
    }
}

impl<R> FilteredBuckets<R> {
    pub(crate) fn is_end_stream(&self) -> bool {
        self.filter.state == State::Done
    }
}

/// Why a list of buckets is broken off.
#[derive(Debug)]
enum FilterError {
    /// It cannot be read.
    List(BucketListError),
    /// A bucket's owner is not known.
    Owner(OwnershipError),
    /// The store's answer broke off.
    Store(BoxError),
}

impl From<BucketListError> for FilterError {
    fn from(error: BucketListError) -> Self {
        Self::List(error)
    }
}

impl From<OwnershipError> for FilterError {
    fn from(error: OwnershipError) -> Self {
        Self::Owner(error)
    }
}

impl From<FilterError> for BoxError {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::List(error) => error.into(),
            FilterError::Owner(error) => error.into(),
            FilterError::Store(error) => error,
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(error) => error.fmt(f),
            Self::Owner(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<R> fmt::Debug for FilteredBuckets<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilteredBuckets").field("state", &self.filter.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
