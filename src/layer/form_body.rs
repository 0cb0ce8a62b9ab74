//! The body of a browser's upload: read up to its file, then on its way to the store.
//!
//! What is decided on stands before the file, and whether the form is whole is known only behind it. So the body is read
//! in two steps: [`peek_form`] takes what comes before the file and no more than comes with it, and the body that goes on
//! keeps its end back until the file has been judged.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::BoxError;
use super::body::{Fault, interrupted};
use crate::s3::error::S3Error;
use crate::s3::form::{FileFault, FileScanner, Form, FormError, FormReader, SizeRange};

/// A form of which all is read that comes before its file.
pub(crate) struct PeekedForm<B> {
    /// The fields.
    pub(crate) form: Form,
    /// The bytes before the file's first: the fields, and the head of the file.
    pub(crate) head: Bytes,
    /// What came of the file with them.
    pub(crate) begun: Bytes,
    /// The rest of the body.
    pub(crate) rest: Pin<Box<B>>,
}

/// Reads a body up to the head of its file.
///
/// # Errors
/// What S3 answers to a body that is no form, has no file or too much before it, or is cut off.
pub(crate) async fn peek_form<B>(content_type: &str, body: B) -> Result<PeekedForm<B>, S3Error>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut reader = FormReader::new(content_type)?;
    let mut rest = Box::pin(body);
    let mut read = BytesMut::new();
    loop {
        let frame = poll_fn(|cx| rest.as_mut().poll_frame(cx)).await.ok_or(FormError::NoFile)?;
        let Ok(data) = frame.map_err(|error| interrupted(&*error.into()))?.into_data() else { continue };
        read.extend_from_slice(&data);
        if let Some(form) = reader.read(&read)? {
            let head = read.split_to(form.file_offset()).freeze();
            return Ok(PeekedForm { form, head, begun: read.freeze(), rest });
        }
    }
}

/// A form on its way: the head, then the file as it comes, and last its end.
pub(crate) struct FormBody<B> {
    rest: Pin<Box<B>>,
    scanner: FileScanner,
    /// What may be given out, in order.
    ready: VecDeque<Bytes>,
    /// Found before the body was first polled.
    begun_wrong: Option<FileFault>,
    fault: Fault,
    done: bool,
}

impl<B> FormBody<B> {
    /// `head` stands in the place of the one that was read, which may be the same.
    pub(crate) fn new(peeked: PeekedForm<B>, head: Bytes, range: SizeRange) -> (Self, Fault) {
        let fault = Fault::default();
        let mut scanner = FileScanner::new(peeked.form.boundary(), range);
        let mut ready = VecDeque::from([head]);
        let begun_wrong = scanner.push(peeked.begun, |data| ready.push_back(data)).err();
        let body = Self { rest: peeked.rest, scanner, ready, begun_wrong, fault: fault.clone(), done: false };
        (body, fault)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.done && self.ready.is_empty()
    }

    fn fail(&mut self, fault: FileFault) -> BoxError {
        tracing::debug!(%fault, "a form is not taken");
        let error = S3Error::from(fault);
        self.fault.set(error.clone());
        self.end();
        error.into()
    }

    fn end(&mut self) {
        self.done = true;
        self.ready.clear();
    }
}

impl<B: Body<Data = Bytes>> FormBody<B> {
    /// Nothing is added and nothing taken away, so that the length is known where the client said it.
    pub(crate) fn size_hint(&self) -> SizeHint {
        let held = self.ready.iter().map(Bytes::len).sum::<usize>() + self.scanner.kept();
        let rest = if self.done { SizeHint::with_exact(0) } else { self.rest.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held as u64));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held as u64));
        }
        hint
    }
}

impl<B> FormBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(fault) = self.begun_wrong.take() {
                return Poll::Ready(Some(Err(self.fail(fault))));
            }
            if let Some(data) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if self.done {
                return Poll::Ready(None);
            }
            let judged = match ready!(self.rest.as_mut().poll_frame(cx)) {
                Some(Err(error)) => {
                    self.end();
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.scanner.push(data, |data| self.ready.push_back(data)),
                    // A form has no trailers that anybody would read.
                    Err(_) => continue,
                },
                None => self.scanner.finish().map(|end| {
                    self.done = true;
                    self.ready.push_back(end);
                }),
            };
            if let Err(fault) = judged {
                return Poll::Ready(Some(Err(self.fail(fault))));
            }
        }
    }
}

impl<B> fmt::Debug for FormBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormBody").field("scanner", &self.scanner).field("done", &self.done).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for PeekedForm<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekedForm").field("form", &self.form).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::layer::RequestBody;
    use crate::s3::error::ErrorCode;

    const TYPE: &str = "multipart/form-data; boundary=x";

    fn head() -> String {
        "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: image/png\r\n\r\n"
            .to_owned()
    }

    fn whole(file: &str) -> String {
        format!("{}{file}\r\n--x--\r\n", head())
    }

    /// A body that comes in these pieces, and then fails or ends.
    struct Pieces {
        pieces: VecDeque<Bytes>,
        failure: Option<io::ErrorKind>,
        announced: Option<u64>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            let piece = self.pieces.pop_front();
            if let (Some(left), Some(piece)) = (&mut self.announced, &piece) {
                *left -= piece.len() as u64;
            }
            Poll::Ready(match piece {
                Some(piece) => Some(Ok(Frame::data(piece))),
                None => self.failure.take().map(|kind| Err(kind.into())),
            })
        }

        fn size_hint(&self) -> SizeHint {
            self.announced.map_or_else(SizeHint::new, SizeHint::with_exact)
        }
    }

    fn pieces(text: &str, size: usize) -> Pieces {
        let pieces = text.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        Pieces { pieces, failure: None, announced: Some(text.len() as u64) }
    }

    #[tokio::test]
    async fn a_right_form_goes_on_as_it_came_and_with_its_length() {
        let text = whole(&"data\r\n--".repeat(9));
        for size in [1, 2, 3, 7, 64, text.len()] {
            let peeked = peek_form(TYPE, pieces(&text, size)).await.unwrap();
            assert_eq!((peeked.form.key().as_str(), peeked.head.as_ref()), ("k", head().as_bytes()), "{size}");
            // Not more than the piece that the head ended in.
            assert!(peeked.begun.len() < size, "{size}");
            let head = peeked.head.clone();
            let (mut body, fault) = RequestBody::form(peeked, head, SizeRange::ANY);
            let mut seen = Vec::new();
            while let Some(frame) = {
                assert_eq!(body.size_hint().exact(), Some((text.len() - seen.len()) as u64), "{size}");
                body.frame().await
            } {
                assert!(!body.is_end_stream() || body.size_hint().exact() == Some(0));
                seen.extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            assert_eq!(seen, text.as_bytes(), "{size}");
            assert!(fault.get().is_none() && body.is_end_stream());
        }
    }

    #[tokio::test]
    async fn another_head_takes_the_place_of_the_first() {
        let peeked = peek_form(TYPE, Full::new(Bytes::from(whole("data")))).await.unwrap();
        let (body, _) = RequestBody::form(peeked, Bytes::from_static(b"HEAD"), SizeRange::ANY);
        assert_eq!(body.size_hint().exact(), Some("HEADdata\r\n--x--\r\n".len() as u64));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "HEADdata\r\n--x--\r\n");
    }

    #[tokio::test]
    async fn a_wrong_form_never_ends() {
        let range = SizeRange { min: 2, max: 20 };
        let button = "\r\n--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nother";
        for (text, code) in [
            (whole("d"), ErrorCode::EntityTooSmall),
            (whole(&"d".repeat(21)), ErrorCode::EntityTooLarge),
            (whole(&format!("data{button}")), ErrorCode::InvalidArgument),
            (whole("data\n--x"), ErrorCode::MalformedPOSTRequest),
            (format!("{} text", whole("data")), ErrorCode::MalformedPOSTRequest),
            (format!("{}data", head()), ErrorCode::MalformedPOSTRequest),
            (format!("{}data\r\n--x", head()), ErrorCode::MalformedPOSTRequest),
        ] {
            for size in [1, 5, text.len()] {
                let peeked = peek_form(TYPE, pieces(&text, size)).await.unwrap();
                let head = peeked.head.clone();
                let (mut body, fault) = RequestBody::form(peeked, head, range);
                let mut seen = Vec::new();
                let error = loop {
                    match body.frame().await {
                        Some(Ok(frame)) => seen.extend_from_slice(&frame.into_data().unwrap()),
                        Some(Err(error)) => break error,
                        None => panic!("the body ended as if it were right: {text:?}"),
                    }
                };
                assert_eq!(fault.get().map(S3Error::code), Some(code), "{text:?} by {size}");
                assert!(error.downcast_ref::<S3Error>().is_some());
                let file = String::from_utf8(seen.split_off(head_length(&seen))).unwrap();
                assert!(!file.contains("--x") && file.len() as u64 <= range.max, "{text:?} by {size}");
                assert!(body.frame().await.is_none());
            }
        }
    }

    /// Nothing at all may be out where the very first bytes are wrong.
    fn head_length(seen: &[u8]) -> usize {
        seen.len().min(head().len())
    }

    #[tokio::test]
    async fn a_body_that_is_cut_off_is_an_error_of_its_own() {
        let cut = |text: String, kind| Pieces {
            pieces: VecDeque::from([Bytes::from(text)]),
            failure: Some(kind),
            announced: None,
        };
        for (kind, code) in [
            (io::ErrorKind::TimedOut, ErrorCode::RequestTimeout),
            (io::ErrorKind::ConnectionReset, ErrorCode::IncompleteBody),
        ] {
            let error = peek_form(TYPE, cut("--x\r\nContent-".to_owned(), kind)).await.unwrap_err();
            assert_eq!(error.code(), code);
        }
        let peeked = peek_form(TYPE, cut(format!("{}data", head()), io::ErrorKind::ConnectionReset)).await.unwrap();
        let head = peeked.head.clone();
        let (body, fault) = RequestBody::form(peeked, head, SizeRange::ANY);
        assert_eq!(body.size_hint().upper(), None);
        assert!(body.collect().await.unwrap_err().downcast_ref::<io::Error>().is_some());
        assert!(fault.get().is_none());
    }

    #[tokio::test]
    async fn what_is_no_form_is_told_early() {
        for (text, code) in [
            ("", ErrorCode::InvalidArgument),
            ("--x--\r\n", ErrorCode::InvalidArgument),
            ("--y", ErrorCode::MalformedPOSTRequest),
            ("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n", ErrorCode::InvalidArgument),
        ] {
            let body = Pieces { pieces: VecDeque::from([Bytes::from(text)]), failure: None, announced: None };
            assert_eq!(peek_form(TYPE, body).await.unwrap_err().code(), code, "{text:?}");
        }
        // The head is not waited for where it cannot come in time any more.
        let endless = "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n".to_owned() + &"k".repeat(1 << 17);
        let error = peek_form(TYPE, pieces(&endless, 1000)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::MaxPostPreDataLengthExceeded);
    }
}
