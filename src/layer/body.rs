//! The bodies that pass the layer: a request's, streamed, held or verified on its way; a response's, the inner
//! service's or our own.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use pin_project_lite::pin_project;

use super::BoxError;
use super::body_check::BodyCheck;
use super::bucket_list::FilteredBuckets;
use super::form_body::{FormBody, PeekedForm};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::form::SizeRange;
use crate::s3::held_bytes::{HeldBytes, NoRoom};

pin_project! {
    /// The request body the inner service gets.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        source: Source<B>,
        check: Option<Box<Checking>>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = SourceProj]
    enum Source<B> {
        Streaming { #[pin] body: B },
        Held { body: Full<Bytes> },
        // What was read already, and the rest.
        Peeked { begun: Option<Bytes>, rest: Rest<B> },
        // A form on its way, judged as it goes.
        Form { body: Box<FormBody<B>> },
    }
}

/// What follows the beginning of a body that was read.
#[derive(Debug)]
enum Rest<B> {
    Body(Pin<Box<B>>),
    Failed(BoxError),
    Nothing,
}

impl<B: Body<Data = Bytes>> RequestBody<B> {
    /// The client's body as it comes.
    pub(crate) fn streaming(body: B) -> Self {
        Self { source: Source::Streaming { body }, check: None }
    }

    /// Bytes that were read and checked already.
    pub(crate) fn held(bytes: Bytes) -> Self {
        Self { source: Source::Held { body: Full::new(bytes) }, check: None }
    }

    /// This body, whose end is kept back until `check` knows it to be right, so that a wrong body can never be complete
    /// upstream. What was wrong is left in the returned [`Fault`].
    ///
    /// # Errors
    /// What is wrong with a body that is known to be empty.
    pub(crate) fn checked(self, mut check: BodyCheck) -> Result<(Self, Fault), S3Error>
    where
        B::Error: Into<BoxError>,
    {
        let fault = Fault::default();
        if self.is_end_stream() {
            check.finish()?;
            return Ok((self, fault));
        }
        let check = Checking { check, fault: fault.clone(), done: false };
        Ok((Self { source: self.source, check: Some(Box::new(check)) }, fault))
    }

    /// A form, with `head` before its file, which must have a size within `range` and end the form: its end is kept back
    /// until that is known, so that a wrong form can never be complete upstream. What was wrong is left in the returned
    /// [`Fault`].
    pub(crate) fn form(peeked: PeekedForm<B>, head: Bytes, range: SizeRange) -> (Self, Fault) {
        let (body, fault) = FormBody::new(peeked, head, range);
        (Self { source: Source::Form { body: Box::new(body) }, check: None }, fault)
    }

    /// The client's body, where nobody has touched it.
    pub(crate) fn into_untouched(self) -> Option<B> {
        match self.source {
            Source::Streaming { body } => Some(body),
            Source::Held { .. } | Source::Peeked { .. } | Source::Form { .. } => None,
        }
    }

    /// Reads the beginning of a body that was not touched yet, until `enough` says so of all that was read so far, there is
    /// no more, or no room in `room` to hold it; answers it, and the body as it was before.
    pub(crate) async fn peek(self, room: &HeldBytes, mut enough: impl FnMut(&[u8]) -> bool) -> (Peeked, Self)
    where
        B::Error: Into<BoxError>,
    {
        let Self { source, check } = self;
        let mut body = match source {
            Source::Streaming { body } => Box::pin(body),
            source => return (Peeked::default(), Self { source, check }),
        };
        let mut begun = BytesMut::new();
        let mut share = room.share();
        let mut no_room = None;
        let rest = loop {
            // Twice: memory is taken in doubles.
            if let Err(error) = share.grow_to(2 * begun.len()) {
                no_room = Some(error);
                break Rest::Body(body);
            }
            if enough(&begun) {
                break Rest::Body(body);
            }
            match body.frame().await {
                // Trailers mean nothing before a body was read whole, and none is announced to those that are peeked at.
                Some(Ok(frame)) => begun.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => break Rest::Failed(error.into()),
                None => break Rest::Nothing,
            }
        };
        let bytes = Arc::new(share).with(begun.freeze());
        let peeked = Peeked { bytes, ended: matches!(rest, Rest::Nothing), no_room };
        let source = Source::Peeked { begun: Some(peeked.bytes.clone()), rest };
        (peeked, Self { source, check })
    }
}

/// What a look at the beginning of a body found.
#[derive(Debug, Default)]
pub(crate) struct Peeked {
    pub(crate) bytes: Bytes,
    /// Whether that is all of it.
    pub(crate) ended: bool,
    /// Why no more was read, where that is why.
    pub(crate) no_room: Option<NoRoom>,
}

impl<B> Source<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            SourceProj::Streaming { body } => body.poll_frame(cx).map_err(Into::into),
            SourceProj::Held { body } => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            SourceProj::Form { body } => body.poll_frame(cx),
            SourceProj::Peeked { begun, rest } => {
                if let Some(bytes) = begun.take().filter(|bytes| !bytes.is_empty()) {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                match rest {
                    Rest::Body(body) => body.as_mut().poll_frame(cx).map_err(Into::into),
                    Rest::Nothing => Poll::Ready(None),
                    Rest::Failed(_) => match std::mem::replace(rest, Rest::Nothing) {
                        Rest::Failed(error) => Poll::Ready(Some(Err(error))),
                        Rest::Body(_) | Rest::Nothing => Poll::Ready(None),
                    },
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming { body } => body.is_end_stream(),
            Self::Held { body } => body.is_end_stream(),
            Self::Form { body } => body.is_end_stream(),
            Self::Peeked { begun, rest } => {
                begun.as_ref().is_none_or(Bytes::is_empty)
                    && match rest {
                        Rest::Body(body) => body.is_end_stream(),
                        Rest::Failed(_) => false,
                        Rest::Nothing => true,
                    }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming { body } => body.size_hint(),
            Self::Held { body } => body.size_hint(),
            Self::Form { body } => body.size_hint(),
            Self::Peeked { begun, rest } => {
                let begun = begun.as_ref().map_or(0, Bytes::len);
                match rest {
                    Rest::Body(body) => longer(&body.size_hint(), begun),
                    Rest::Failed(_) => SizeHint::default(),
                    Rest::Nothing => SizeHint::with_exact(begun as u64),
                }
            }
        }
    }
}

/// The hint for a body with so many more bytes.
fn longer(hint: &SizeHint, bytes: usize) -> SizeHint {
    let bytes = bytes as u64;
    let mut longer = SizeHint::new();
    longer.set_lower(hint.lower().saturating_add(bytes));
    if let Some(upper) = hint.upper() {
        longer.set_upper(upper.saturating_add(bytes));
    }
    longer
}

/// What a client is told whose body failed: one that stopped moving, or one that was cut off.
pub(super) fn interrupted(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut) {
            return ErrorCode::RequestTimeout.into();
        }
        cause = error.source();
    }
    ErrorCode::IncompleteBody.into()
}

/// Where a body leaves the S3 error that made it fail, since what comes back through an HTTP client may have lost it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(Arc<OnceLock<S3Error>>);

impl Fault {
    /// The error, if the body failed.
    pub(crate) fn get(&self) -> Option<&S3Error> {
        self.0.get()
    }

    pub(super) fn set(&self, error: S3Error) {
        // The first fault is the cause; one that follows is its echo.
        let _ = self.0.set(error);
    }
}

#[derive(Debug)]
struct Checking {
    check: BodyCheck,
    fault: Fault,
    done: bool,
}

impl Checking {
    fn fail(&mut self, error: S3Error) -> BoxError {
        self.done = true;
        self.fault.set(error.clone());
        error.into()
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(check) = this.check else { return this.source.poll(cx) };
        loop {
            if check.done {
                return Poll::Ready(None);
            }
            let judged = match ready!(this.source.as_mut().poll(cx)) {
                Some(Err(error)) => {
                    check.done = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    // An empty piece, as ends many an HTTP/2 body, must not push the last bytes out.
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => check.check.push(data),
                    // HTTP's trailers are not covered by what was promised of the body, and S3 has none.
                    Err(_) => continue,
                },
                None => {
                    check.done = true;
                    check.check.finish()
                }
            };
            let next = match judged {
                Ok(next) => next,
                Err(error) => return Poll::Ready(Some(Err(check.fail(error)))),
            };
            if let Some(data) = next {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.check.as_ref().map_or_else(|| self.source.is_end_stream(), |check| check.done)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.check.as_ref().map_or(0, |check| check.check.held());
        longer(&self.source.size_hint(), held)
    }
}

pin_project! {
    /// The response body a caller gets: the inner service's, or one of ours.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: ResponseKind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = ResponseProj]
    enum ResponseKind<B> {
        Inner { #[pin] body: B },
        Own { #[pin] body: Full<Bytes> },
        // Rare and large, so the others need not be as large.
        Filtered { body: Pin<Box<FilteredBuckets<B>>> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: ResponseKind::Inner { body } }
    }

    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { kind: ResponseKind::Own { body: Full::new(bytes) } }
    }

    pub(crate) fn filtered(body: FilteredBuckets<B>) -> Self {
        Self { kind: ResponseKind::Filtered { body: Box::pin(body) } }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            ResponseProj::Inner { body } => body.poll_frame(cx).map_err(Into::into),
            ResponseProj::Own { body } => body.poll_frame(cx).map_err(|never| match never {}),
            ResponseProj::Filtered { body } => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            ResponseKind::Inner { body } => body.is_end_stream(),
            ResponseKind::Own { body } => body.is_end_stream(),
            ResponseKind::Filtered { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            ResponseKind::Inner { body } => body.size_hint(),
            ResponseKind::Own { body } => body.size_hint(),
            ResponseKind::Filtered { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::s3::checksum::DigestChecks;

    /// A body of these pieces, each a frame.
    struct Pieces(std::vec::IntoIter<&'static str>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    fn chunks(pieces: Vec<&'static str>) -> Pieces {
        Pieces(pieces.into_iter())
    }

    fn sha256(text: &str) -> BodyCheck {
        BodyCheck::plain(Some(Sha256::digest(text.as_bytes()).into()), DigestChecks::default())
    }

    #[tokio::test]
    async fn a_right_digest_lets_every_byte_through() {
        for parts in [vec!["one"], vec!["one", "", "two"], vec!["", "x"], vec!["one", ""], vec!["", ""]] {
            let whole = parts.concat();
            let (body, fault) = RequestBody::streaming(chunks(parts.clone())).checked(sha256(&whole)).unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), whole, "{parts:?}");
            assert!(fault.get().is_none());
        }
    }

    #[tokio::test]
    async fn a_wrong_digest_keeps_the_last_bytes_back() {
        for parts in [vec!["one", "two", "three"], vec!["one", "two", "three", "", ""]] {
            let (mut body, fault) =
                RequestBody::streaming(chunks(parts.clone())).checked(sha256("onetwothreE")).unwrap();
            let mut seen = Vec::new();
            let error = loop {
                match body.frame().await {
                    Some(Ok(frame)) => seen.extend_from_slice(&frame.into_data().unwrap()),
                    Some(Err(error)) => break error,
                    None => panic!("the body ended as if it were right"),
                }
            };
            assert_eq!(seen, b"onetwo", "{parts:?}");
            assert!(error.downcast_ref::<S3Error>().is_some());
            assert_eq!(fault.get().map(S3Error::code), Some(ErrorCode::XAmzContentSHA256Mismatch));
            assert!(body.frame().await.is_none());
        }
    }

    #[test]
    fn an_empty_body_is_judged_before_anything_is_sent() {
        assert!(RequestBody::<Full<Bytes>>::held(Bytes::new()).checked(sha256("")).is_ok());
        let error = RequestBody::<Full<Bytes>>::held(Bytes::new()).checked(sha256("x")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::XAmzContentSHA256Mismatch);
    }
}
