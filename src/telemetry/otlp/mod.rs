//! Traces for an OpenTelemetry collector, by OTLP over HTTP: [`Exporter`].
//!
//! Requests make spans (`span`) and never wait for what becomes of them: they go into a queue of bounded length, out of which a
//! thread of OpenTelemetry's own takes batches and sends them (`export`). What finds the queue full, or cannot be sent, is
//! dropped and counted.

mod export;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use rustls::ClientConfig;
use tokio::runtime::Handle;

use self::export::{Bounded, Collector, Counted, Queue};
use self::span::SpanTracer;
use crate::spans::Tracer;

/// How many spans may wait to be sent. With the longest of texts in each that is some forty megabytes.
const WAITING: usize = 8192;

/// How long what waits may take to be sent when the process ends. Whoever stops it waits for that too.
const LAST: Duration = Duration::from_secs(3);

/// Which collector is told, and of what.
#[derive(Debug)]
pub struct ExporterSettings {
    /// Where it takes spans.
    pub endpoint: Uri,
    /// How the way there is secured, where that is `https`.
    pub tls: ClientConfig,
    /// What is sent with each batch.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What it is told that we are.
    pub service_name: String,
    /// The share of the traces that begin here which are recorded, 0 to 1.
    pub sample_ratio: f64,
    /// How long a batch may take to be sent.
    pub timeout: Duration,
}

/// Sends spans away as long as it lives.
pub struct Exporter {
    provider: SdkTracerProvider,
    queue: Arc<Queue>,
}

/// Spans cannot be sent.
#[derive(Debug)]
pub struct ExporterError(Box<dyn std::error::Error + Send + Sync>);

impl Exporter {
    /// Begins to send, from the runtime that this is called in. Nobody is asked whether the collector is there.
    ///
    /// # Errors
    /// [`ExporterError`] where nothing could ever be sent.
    pub fn start(settings: ExporterSettings) -> Result<Self, ExporterError> {
        let ExporterSettings { endpoint, tls, headers, service_name, sample_ratio, timeout } = settings;
        let address = endpoint.to_string();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // What is told is for the collector: for no proxy that the environment names, and no other host.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers.into_iter().collect::<HeaderMap>())
            .timeout(timeout)
            .build()
            .map_err(|error| ExporterError(error.into()))?;
        let collector = Collector::new(client, Handle::current());
        let why = collector.last_error();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(&address)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(timeout)
            .build()
            .map_err(|error| ExporterError(error.into()))?;
        let queue = Arc::new(Queue::new(WAITING));
        let exporter = Counted::new(exporter, address, why, Arc::clone(&queue));
        let batches = BatchConfigBuilder::default().with_max_queue_size(WAITING).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample_ratio)));
        let resource = Resource::builder()
            .with_service_name(service_name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(processor, Arc::clone(&queue)))
            .with_sampler(sampler)
            .with_resource(resource.build())
            .build();
        Ok(Self { provider, queue })
    }

    /// Begins spans, until the exporter [finishes](Self::finish).
    pub fn tracer(&self) -> Tracer {
        Tracer::new(Arc::new(SpanTracer::new(self.provider.tracer("portcullis"))))
    }

    /// Sends what waits, and no more than that; for a short while only, whether the collector is there or not.
    pub async fn finish(self) {
        let Self { provider, queue } = self;
        // It waits for its thread, which waits for this runtime.
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::warn!(spans = queue.waiting(), "the last spans were not sent in time");
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl fmt::Display for ExporterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no way to the collector: {}", self.0)
    }
}

impl std::error::Error for ExporterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}
