//! One line a request, written when its answer has been sent or will never be, and its share of what is counted and of what
//! traces tell: [`AccessLogLayer`].

mod span;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::header::{HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use percent_encoding::percent_decode_str;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Level;

use super::requests::RequestMeters;
use crate::layer::{Asking, Findings, PeerAddress};
use crate::spans::{Span, Tracer};

/// The target of these lines, for filters.
pub const TARGET: &str = "portcullis::access";

static REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Query parameters whose values let their reader sign, stand in for a signature, or decrypt: SDKs move headers into the
/// URLs they presign, a customer's encryption key among them.
const SECRETS: [&str; 7] = [
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Server-Side-Encryption-Customer-Key",
    "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",
    "Signature",
    "AWSAccessKeyId",
];

/// Writes the access log, counts, and begins traces.
#[derive(Clone, Debug, Default)]
pub struct AccessLogLayer {
    meters: Arc<RequestMeters>,
    tracer: Option<Tracer>,
}

impl AccessLogLayer {
    /// With what begins the span of each request; none for no traces.
    pub fn new(tracer: Option<Tracer>) -> Self {
        Self { tracer, ..Self::default() }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { inner, meters: Arc::clone(&self.meters), tracer: self.tracer.clone() }
    }
}

/// What [`AccessLogLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct AccessLog<S> {
    inner: S,
    meters: Arc<RequestMeters>,
    tracer: Option<Tracer>,
}

impl<S, B, ResB> Service<Request<B>> for AccessLog<S>
where
    S: Service<Request<Counted<B>>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<Logged<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let span = self.tracer.as_ref().map(|tracer| span::begin(tracer, &request));
        let findings = Findings::recorded_by(span);
        let entry = Entry::new(&request, findings.clone(), Arc::clone(&self.meters));
        request.extensions_mut().insert(findings.clone());
        let inner = self.inner.call(request.map(|body| Counted { body, findings }));
        ResponseFuture { inner, entry: Some(entry) }
    }
}

pin_project! {
    /// The future of [`AccessLog`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        entry: Option<Entry>,
    }
}

impl<F, ResB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    ResB: Body<Data = Bytes>,
{
    type Output = Result<Response<Logged<ResB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let mut entry = this.entry.take();
        if let Some(entry) = &mut entry {
            entry.status = Some(response.status());
            entry.whole = response.body().is_end_stream();
            if let Some(line) = &mut entry.line {
                line.request_id = response.headers().get(&REQUEST_ID).cloned();
            }
        }
        Poll::Ready(Ok(response.map(|body| Logged { body, entry })))
    }
}

/// What is counted of a request, and what its line and its span will say, when this is dropped.
#[derive(Debug)]
struct Entry {
    started: Instant,
    status: Option<StatusCode>,
    findings: Findings,
    bytes_out: u64,
    whole: bool,
    meters: Arc<RequestMeters>,
    /// None where there will be neither a line nor a span.
    line: Option<Box<Line>>,
}

/// What only a line or a span tells.
#[derive(Debug)]
struct Line {
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    remote: Option<IpAddr>,
    /// How a proxy asked about the request, which it carries itself.
    asked_by: Option<&'static str>,
    request_id: Option<HeaderValue>,
}

impl Entry {
    fn new<B>(request: &Request<B>, findings: Findings, meters: Arc<RequestMeters>) -> Self {
        let is_told = findings.span().is_some() || tracing::enabled!(target: TARGET, Level::INFO);
        let line = is_told.then(|| Box::new(Line::new(request)));
        Self { started: Instant::now(), status: None, findings, bytes_out: 0, whole: false, meters, line }
    }
}

impl Line {
    fn new<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: request.headers().get(HOST).cloned(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            remote: request.extensions().get::<PeerAddress>().map(|remote| remote.0),
            asked_by: request.extensions().get::<Asking>().map(|asking| asking.as_str()),
            request_id: None,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.meters.ended(&self.findings, self.status, took, self.bytes_out);
        let Some(line) = &self.line else { return };
        let span = self.findings.span();
        tracing::info!(
            target: TARGET,
            method = %line.method,
            path = %Target(&line.uri),
            host = line.host.as_ref().map(text).as_deref(),
            version = ?line.version,
            status = self.status.map(|status| status.as_u16()),
            bytes_in = self.findings.received(),
            bytes_out = self.bytes_out,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            remote = line.remote.map(tracing::field::display),
            asked_by = line.asked_by,
            request_id = line.request_id.as_ref().map(text).as_deref(),
            user_agent = line.user_agent.as_ref().map(text).as_deref(),
            trace_id = span.map(Span::trace_id),
            aborted = !self.whole,
            "request"
        );
        if let Some(span) = span {
            self.end(line, span);
        }
    }
}

/// A header's value. As text and not as something to display, a log puts it in quotes: what a client writes there must
/// not look like fields of ours.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// Path and query as sent, less the secrets in the query.
struct Target<'a>(&'a Uri);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.path())?;
        let Some(query) = self.0.query() else { return Ok(()) };
        let mut separator = '?';
        for parameter in query.split('&') {
            write!(f, "{separator}")?;
            separator = '&';
            match parameter.split_once('=') {
                Some((name, _)) if is_secret(name) => write!(f, "{name}=REDACTED")?,
                _ => f.write_str(parameter)?,
            }
        }
        Ok(())
    }
}

fn is_secret(name: &str) -> bool {
    let name = percent_decode_str(name).decode_utf8_lossy();
    SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(&name))
}

pin_project! {
    /// A request's body whose bytes are counted.
    #[derive(Debug)]
    pub struct Counted<B> {
        #[pin]
        body: B,
        findings: Findings,
    }
}

impl<B: Body> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            this.findings.add_received(length(frame));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// An answer's body, with the line that is written at its end.
    #[derive(Debug)]
    pub struct Logged<B> {
        #[pin]
        body: B,
        entry: Option<Entry>,
    }
}

impl<B: Body> Body for Logged<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if let Some(entry) = this.entry {
            match &frame {
                Some(Ok(frame)) => {
                    entry.bytes_out += length(frame);
                    entry.whole = this.body.is_end_stream();
                }
                Some(Err(_)) => {}
                None => entry.whole = true,
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn length<D: Buf>(frame: &Frame<D>) -> u64 {
    frame.data_ref().map_or(0, |data| data.remaining() as u64)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full};
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn a_target_is_told_as_sent_without_its_secrets() {
        for (uri, told) in [
            ("/b/a%2Fb//c?policy", "/b/a%2Fb//c?policy"),
            (
                "/b/k?X-Amz-Signature=abc&x-id=GetObject&X-Amz-Credential=AK%2F2026&x-amz-security-token=t",
                "/b/k?X-Amz-Signature=REDACTED&x-id=GetObject&X-Amz-Credential=REDACTED&x-amz-security-token=REDACTED",
            ),
            (
                "/b/k?x-amz-server-side-encryption-customer-key=c2VjcmV0&x-amz-server-side-encryption-customer-algorithm=AES256",
                "/b/k?x-amz-server-side-encryption-customer-key=REDACTED&x-amz-server-side-encryption-customer-algorithm=AES256",
            ),
            ("/b/k?X%2DAmz%2DSignature=abc&&=", "/b/k?X%2DAmz%2DSignature=REDACTED&&="),
            (
                "/b/k?AWSAccessKeyId=a&Signature=s&Expires=1",
                "/b/k?AWSAccessKeyId=REDACTED&Signature=REDACTED&Expires=1",
            ),
        ] {
            assert_eq!(Target(&uri.parse().unwrap()).to_string(), told, "{uri}");
        }
    }

    #[test]
    fn a_header_cannot_forge_a_field() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let agent = HeaderValue::from_bytes(b"curl\" status=500\t\xff").unwrap();
            let request = Request::get("/b/k").header("host", "s3 status=500").header("user-agent", agent);
            drop(Entry::new(&request.body(()).unwrap(), Findings::default(), Arc::default()));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains(r#" host="s3 status=500" "#), "{text}");
        assert!(text.contains("user_agent=\"curl\\\" status=500\\t\u{fffd}\" "), "{text}");
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn one_line_tells_how_a_request_ended() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        let _log = tracing::subscriber::set_default(subscriber);
        for taken in [true, false] {
            let service =
                AccessLogLayer::default().layer(tower::service_fn(async |request: Request<Counted<Full<Bytes>>>| {
                    request.into_body().collect().await?;
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"answer"))))
                }));
            let request = Request::put("/b/k?X-Amz-Signature=s")
                .extension(PeerAddress("192.0.2.1".parse().unwrap()))
                .body(Full::new(Bytes::from_static(b"body")))
                .unwrap();
            let response = service.oneshot(request).await.unwrap();
            if taken {
                response.into_body().collect().await.unwrap();
            }
        }
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let told: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.len(), 2, "{text}");
        for (line, bytes_out, aborted) in [(&told[0], 6, false), (&told[1], 0, true)] {
            assert_eq!(line["target"], TARGET);
            assert_eq!(line["method"], "PUT");
            assert_eq!(line["path"], "/b/k?X-Amz-Signature=REDACTED");
            assert_eq!(line["status"], 200);
            assert_eq!(line["remote"], "192.0.2.1");
            assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&4.into(), &bytes_out.into()), "{line}");
            assert_eq!(line["aborted"], aborted, "{line}");
        }
    }
}
