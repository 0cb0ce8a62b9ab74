//! Spans as OpenTelemetry has them, and how they are told from one process to the next (W3C Trace Context).

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

use crate::spans::{Begin, Kind, Record, Span, Value};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// How much of a text is kept, in bytes. What clients write is as long as they like, and must not fill the memory.
const LONGEST: usize = 1024;

/// How long a caller's `tracestate` may be, in bytes: as much as W3C Trace Context asks everybody to pass on (section 3.3.1.5).
/// Each span has a copy of it, so one that is longer is as good as none.
const LONGEST_STATE: usize = 512;

/// Begins spans of requests.
#[derive(Debug)]
pub(super) struct SpanTracer {
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

impl SpanTracer {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self { tracer, propagator: TraceContextPropagator::new() }
    }
}

impl Begin for SpanTracer {
    fn begin(&self, headers: &HeaderMap) -> Span {
        let parent = self.propagator.extract_with_context(&Context::new(), &Incoming::new(headers));
        RecordedSpan::begin(&self.tracer, "HTTP", SpanKind::Server, &parent)
    }
}

/// A span, with the trace that it is a part of.
#[derive(Debug)]
struct RecordedSpan {
    tracer: SdkTracer,
    context: Context,
}

impl RecordedSpan {
    fn begin(tracer: &SdkTracer, name: &'static str, kind: SpanKind, parent: &Context) -> Span {
        let span = tracer.build_with_context(SpanBuilder::from_name(name).with_kind(kind), parent);
        Span::new(Arc::new(Self { tracer: tracer.clone(), context: parent.with_span(span) }))
    }
}

impl Record for RecordedSpan {
    fn is_recorded(&self) -> bool {
        self.context.span().is_recording()
    }

    fn child(&self, name: &'static str, kind: Kind) -> Span {
        let kind = match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
        };
        Self::begin(&self.tracer, name, kind, &self.context)
    }

    fn rename(&self, name: &'static str) {
        self.context.span().update_name(name);
    }

    fn set(&self, key: &'static str, value: Value<'_>) {
        if !self.is_recorded() {
            return;
        }
        let value = match value {
            Value::Text(text) => opentelemetry::Value::from(beginning(text).to_owned()),
            Value::Word(word) => word.into(),
            Value::Number(number) => number.into(),
            Value::Flag(flag) => flag.into(),
        };
        self.context.span().set_attribute(KeyValue::new(key, value));
    }

    fn failed(&self) {
        self.context.span().set_status(Status::error(""));
    }

    fn carry(&self, headers: &mut HeaderMap) {
        TraceContextPropagator::new().inject_context(&self.context, &mut Outgoing(headers));
    }

    fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    fn end(&self) {
        self.context.span().end();
    }
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// What a request says of the trace that it is a part of.
struct Incoming<'h> {
    parent: Option<&'h str>,
    state: Option<Cow<'h, str>>,
}

impl<'h> Incoming<'h> {
    fn new(headers: &'h HeaderMap) -> Self {
        let texts = |name| headers.get_all(name).iter().map(HeaderValue::to_str);
        let mut parents = texts(PARENT);
        // Of two, which one is meant nobody knows.
        let parent = parents.next().and_then(Result::ok).filter(|_| parents.next().is_none());
        let state = match texts(STATE).collect::<Result<Vec<_>, _>>().as_deref() {
            Ok([]) | Err(_) => None,
            Ok([one]) => Some(Cow::Borrowed(*one)),
            Ok(several) => Some(Cow::Owned(several.join(","))),
        };
        Self { parent, state: state.filter(|state| state.len() <= LONGEST_STATE) }
    }
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            PARENT => self.parent,
            STATE => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT, STATE]
    }
}

/// Where a request says it.
struct Outgoing<'h>(&'h mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        let Ok(name) = HeaderName::try_from(key) else { return };
        match HeaderValue::try_from(value) {
            Ok(value) if !value.is_empty() => self.0.insert(name, value),
            // No state is said by saying nothing.
            _ => self.0.remove(name),
        };
    }
}
