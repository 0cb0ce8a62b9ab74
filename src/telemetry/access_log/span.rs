//! What the span of a request tells of it, by OpenTelemetry's conventions for HTTP servers.

use http::uri::Authority;
use http::{Request, Version};

use super::{Entry, Line};
use crate::layer::{ClientTls, Conclusion};
use crate::s3::operation::Operation;
use crate::spans::{Span, Tracer, Value, method_name};

/// Begins the span of a request, within the one that its sender names.
pub(super) fn begin<B>(tracer: &Tracer, request: &Request<B>) -> Span {
    let span = tracer.begin(request.headers());
    let is_tls = request.extensions().get::<ClientTls>().is_some();
    span.set("url.scheme", Value::Word(if is_tls { "https" } else { "http" }));
    span
}

impl Entry {
    /// Tells what became of the request, and ends its span.
    pub(super) fn end(&self, line: &Line, span: &Span) {
        if span.is_recorded() {
            self.describe(line, span);
        }
        span.end();
    }

    fn describe(&self, line: &Line, span: &Span) {
        let method = method_name(&line.method);
        let unnamed = if method == "_OTHER" { "HTTP" } else { method };
        span.rename(self.findings.operation().map_or(unnamed, Operation::name));
        span.set("http.request.method", Value::Word(method));
        // Never the query: links are signed there.
        span.set("url.path", Value::Text(line.uri.path()));
        span.set("network.protocol.version", Value::Word(version(line.version)));
        let host = line.host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
        if let Some(authority) = line.uri.authority().or(host.as_ref()) {
            span.set("server.address", Value::Text(authority.host()));
            if let Some(port) = authority.port_u16() {
                span.set("server.port", Value::Number(port.into()));
            }
        }
        if let Some(remote) = line.remote {
            span.set("client.address", Value::Text(&remote.to_string()));
        }
        for (key, value) in [("user_agent.original", &line.user_agent), ("aws.request_id", &line.request_id)] {
            if let Some(value) = value {
                span.set(key, Value::Text(&super::text(value)));
            }
        }
        for (key, bytes) in
            [("http.request.body.size", self.findings.received()), ("http.response.body.size", self.bytes_out)]
        {
            span.set(key, Value::Number(i64::try_from(bytes).unwrap_or(i64::MAX)));
        }
        if let Some(asked_by) = line.asked_by {
            span.set("portcullis.asked_by", Value::Word(asked_by));
        }
        span.set("portcullis.decision", Value::Word(self.findings.verdict().map_or("none", Conclusion::as_str)));
        if !self.whole {
            span.set("portcullis.aborted", Value::Flag(true));
        }
        if let Some(status) = self.status {
            span.set("http.response.status_code", Value::Number(status.as_u16().into()));
            // What the client did wrong is no error of ours.
            if status.is_server_error() {
                span.failed(Value::Text(status.as_str()));
            }
        }
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
