//! How spans get to the collector, and what becomes of those that do not.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use metrics::Counter;
use opentelemetry::Context;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use tokio::runtime::Handle;

use crate::meters;

/// How many spans wait to be sent, and how many may.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    waiting: AtomicUsize,
    /// Those for which there was no room.
    dropped: Counter,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, waiting: AtomicUsize::new(0), dropped: meters::SPANS.counter(&["dropped"]) }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn enter(&self) -> bool {
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < self.limit;
        if !has_room {
            self.leave(1);
            self.dropped.increment(1);
        }
        has_room
    }

    fn leave(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Hands on spans for which there is room, and counts the others. The processor would drop them as well, and tell nobody.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: BatchSpanProcessor,
    queue: Arc<Queue>,
}

impl Bounded {
    pub(super) fn new(inner: BatchSpanProcessor, queue: Arc<Queue>) -> Self {
        Self { inner, queue }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.queue.enter() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what is sent and what is not, and tells when the collector goes away and when it is back, once each.
#[derive(Debug)]
pub(super) struct Counted {
    inner: OtlpExporter,
    address: String,
    why: LastError,
    queue: Arc<Queue>,
    is_away: AtomicBool,
    sent: Counter,
    failed: Counter,
}

impl Counted {
    pub(super) fn new(inner: OtlpExporter, address: String, why: LastError, queue: Arc<Queue>) -> Self {
        let [sent, failed] = ["sent", "failed"].map(|outcome| meters::SPANS.counter(&[outcome]));
        Self { inner, address, why, queue, is_away: AtomicBool::new(false), sent, failed }
    }
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        self.queue.leave(spans);
        let count = u64::try_from(spans).unwrap_or(u64::MAX);
        match &result {
            Ok(()) => {
                self.sent.increment(count);
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!(collector = self.address, "spans are sent again");
                }
            }
            Err(error) => {
                self.failed.increment(count);
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    let error = self.why.take().unwrap_or_else(|| error.to_string());
                    tracing::warn!(
                        collector = self.address,
                        error,
                        "spans cannot be sent and are dropped; said once, until they are sent again"
                    );
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// What went wrong last on the way to the collector; whoever sends only tells that something did.
#[derive(Clone, Debug, Default)]
pub(super) struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    fn set(&self, error: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The way to the collector. It is asked from a thread without a runtime, and sends from the one it has.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    last_error: LastError,
}

impl Collector {
    pub(super) fn new(client: reqwest::Client, runtime: Handle) -> Self {
        Self { client, runtime, last_error: LastError::default() }
    }

    pub(super) fn last_error(&self) -> LastError {
        self.last_error.clone()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await });
        let answer = sent.await.map_err(HttpError::from).flatten();
        self.last_error.set(answer.as_ref().err().map(|error| with_causes(&**error)));
        answer
    }
}

fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| StdError::source(*error));
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
