//! The bodies that pass the layer: a request's, streamed, held or verified on its way; a response's, the inner
//! service's or our own.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::BoxError;
use super::bucket_list::FilteredBuckets;
use super::form_body::{FormBody, PeekedForm};
use crate::s3::checksum::PayloadHash;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::form::SizeRange;

pin_project! {
    /// The request body the inner service gets.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: RequestKind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = RequestProj]
    enum RequestKind<B> {
        Streaming { #[pin] body: B },
        Held { #[pin] body: Full<Bytes> },
        Hashed { #[pin] body: B, check: PayloadCheck },
        Form { body: FormBody<B> },
    }
}

impl<B: Body<Data = Bytes>> RequestBody<B> {
    /// The client's body as it comes.
    pub(crate) fn streaming(body: B) -> Self {
        Self { kind: RequestKind::Streaming { body } }
    }

    /// Bytes that were read and checked already.
    pub(crate) fn held(bytes: Bytes) -> Self {
        Self { kind: RequestKind::Held { body: Full::new(bytes) } }
    }

    /// The client's body, which must have this SHA-256: its last bytes are kept back until the digest is known to be
    /// right, so that a wrong body can never be complete upstream. What was wrong is left in the returned [`Fault`].
    ///
    /// # Errors
    /// `XAmzContentSHA256Mismatch` at once for an empty body whose digest is another.
    pub(crate) fn hashed(body: B, expected: [u8; 32]) -> Result<(Self, Fault), S3Error> {
        let fault = Fault::default();
        let hash = PayloadHash::new(expected);
        if body.is_end_stream() {
            hash.verify()?;
            return Ok((Self::streaming(body), fault));
        }
        let check = PayloadCheck { hash, kept: None, fault: fault.clone(), done: false };
        Ok((Self { kind: RequestKind::Hashed { body, check } }, fault))
    }

    /// A form, with `head` before its file, which must have a size within `range` and end the form: its end is kept back
    /// until that is known, so that a wrong form can never be complete upstream. What was wrong is left in the returned
    /// [`Fault`].
    #[cfg_attr(not(test), expect(dead_code, reason = "the enforcing path is not built yet"))]
    pub(crate) fn form(peeked: PeekedForm<B>, head: Bytes, range: SizeRange) -> (Self, Fault) {
        let (body, fault) = FormBody::new(peeked, head, range);
        (Self { kind: RequestKind::Form { body } }, fault)
    }
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
struct PayloadCheck {
    hash: PayloadHash,
    kept: Option<Bytes>,
    fault: Fault,
    done: bool,
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            RequestProj::Streaming { body } => body.poll_frame(cx).map_err(Into::into),
            RequestProj::Held { body } => body.poll_frame(cx).map_err(|never| match never {}),
            RequestProj::Form { body } => body.poll_frame(cx),
            RequestProj::Hashed { mut body, check } => loop {
                if check.done {
                    return Poll::Ready(None);
                }
                let next = match ready!(body.as_mut().poll_frame(cx)) {
                    Some(Err(error)) => {
                        check.done = true;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    Some(Ok(frame)) => match frame.into_data() {
                        // An empty piece, as ends many an HTTP/2 body, must not push the last bytes out.
                        Ok(data) if data.is_empty() => continue,
                        Ok(data) => {
                            check.hash.update(&data);
                            check.kept.replace(data)
                        }
                        // Trailers are not covered by the payload's digest, and only chunk-signed bodies have any.
                        Err(_) => continue,
                    },
                    None => {
                        check.done = true;
                        if let Err(error) = check.hash.verify() {
                            check.fault.set(error.clone());
                            return Poll::Ready(Some(Err(error.into())));
                        }
                        check.kept.take()
                    }
                };
                if let Some(data) = next {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            RequestKind::Streaming { body } => body.is_end_stream(),
            RequestKind::Held { body } => body.is_end_stream(),
            RequestKind::Hashed { check, .. } => check.done,
            RequestKind::Form { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            RequestKind::Streaming { body } => body.size_hint(),
            RequestKind::Held { body } => body.size_hint(),
            RequestKind::Form { body } => body.size_hint(),
            RequestKind::Hashed { body, check } => {
                let kept = check.kept.as_ref().map_or(0, |bytes| bytes.len() as u64);
                let rest = body.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(kept));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(kept));
                }
                hint
            }
        }
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

    use http_body_util::BodyExt;
    use sha2::{Digest, Sha256};

    use super::*;

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

    fn sha256(text: &str) -> [u8; 32] {
        Sha256::digest(text.as_bytes()).into()
    }

    #[tokio::test]
    async fn a_right_digest_lets_every_byte_through() {
        for parts in [vec!["one"], vec!["one", "", "two"], vec!["", "x"], vec!["one", ""], vec!["", ""]] {
            let whole = parts.concat();
            let (body, fault) = RequestBody::hashed(chunks(parts.clone()), sha256(&whole)).unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), whole, "{parts:?}");
            assert!(fault.get().is_none());
        }
    }

    #[tokio::test]
    async fn a_wrong_digest_keeps_the_last_bytes_back() {
        for parts in [vec!["one", "two", "three"], vec!["one", "two", "three", "", ""]] {
            let (mut body, fault) = RequestBody::hashed(chunks(parts.clone()), sha256("onetwothreE")).unwrap();
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
        assert!(RequestBody::hashed(Full::new(Bytes::new()), sha256("")).is_ok());
        let error = RequestBody::hashed(Full::new(Bytes::new()), sha256("x")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::XAmzContentSHA256Mismatch);
    }
}
