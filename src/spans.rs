//! What happens to a request when, told to whoever collects traces.
//!
//! Each part of a request's way that is worth a look is a [`Span`], within the one that was under way when it began. What is
//! said of them follows OpenTelemetry's [semantic conventions] for HTTP servers and clients; what those do not know begins with
//! `portcullis.`. Nothing is said that could be used: no query, since links are signed there, and of headers the client's
//! name for itself, the host, the trace's own, and the id that an answer has.
//!
//! Who records spans implements `Record` (`telemetry/otlp`, in builds that have it). Where nobody does there are none, which
//! costs a look at an `Option`.
//!
//! [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method};

/// Begins spans for requests that arrive.
#[derive(Clone, Debug)]
pub struct Tracer(Arc<dyn Begin>);

/// A part of a request's way. It ends when it is told to, or the last of its clones is dropped.
#[derive(Clone, Debug)]
pub struct Span(Arc<dyn Record>);

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that is done here.
    Internal,
    /// A request to somebody else.
    Client,
}

/// What a span says of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// A text, of which no more than the beginning is kept where it is long.
    Text(&'a str),
    /// A text that is known beforehand.
    Word(&'static str),
    /// A number.
    Number(i64),
    /// Whether it is so.
    Flag(bool),
}

/// Whoever begins spans.
pub(crate) trait Begin: fmt::Debug + Send + Sync {
    /// Begins the span of a request that arrived with these headers, within the one that they name.
    fn begin(&self, headers: &HeaderMap) -> Span;
}

/// Whoever records a span.
pub(crate) trait Record: fmt::Debug + Send + Sync {
    /// Whether anything that is said of it is kept. Not so for a trace of which no sample is taken.
    fn is_recorded(&self) -> bool;
    /// Begins one within it.
    fn child(&self, name: &'static str, kind: Kind) -> Span;
    /// Names it, once that is known.
    fn rename(&self, name: &'static str);
    /// Says something of it.
    fn set(&self, key: &'static str, value: Value<'_>);
    /// It is one that failed.
    fn failed(&self);
    /// Leaves word in a request's headers of which trace it is a part, in the place of any other such word.
    fn carry(&self, headers: &mut HeaderMap);
    /// The trace it is a part of, in hexadecimal.
    fn trace_id(&self) -> String;
    /// It ends now, whoever has it still.
    fn end(&self);
}

/// A method by its name, or `_OTHER` for one that is none of HTTP's: whoever asks may write anything there.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}

impl Tracer {
    pub(crate) fn new(begins: Arc<dyn Begin>) -> Self {
        Self(begins)
    }

    /// Begins the span of a request that arrived with these headers.
    pub(crate) fn begin(&self, headers: &HeaderMap) -> Span {
        self.0.begin(headers)
    }
}

impl Span {
    pub(crate) fn new(recorded: Arc<dyn Record>) -> Self {
        Self(recorded)
    }

    /// Begins one within it.
    pub(crate) fn child(&self, name: &'static str, kind: Kind) -> Self {
        self.0.child(name, kind)
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.0.is_recorded()
    }

    pub(crate) fn rename(&self, name: &'static str) {
        self.0.rename(name);
    }

    pub(crate) fn set(&self, key: &'static str, value: Value<'_>) {
        self.0.set(key, value);
    }

    /// It failed, and this is why: a word out of few, or a status.
    pub(crate) fn failed(&self, why: Value<'_>) {
        self.0.set("error.type", why);
        self.0.failed();
    }

    pub(crate) fn carry(&self, headers: &mut HeaderMap) {
        self.0.carry(headers);
    }

    pub(crate) fn trace_id(&self) -> String {
        self.0.trace_id()
    }

    pub(crate) fn end(&self) {
        self.0.end();
    }
}
