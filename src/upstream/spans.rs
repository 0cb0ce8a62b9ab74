//! What is told of the exchange with the store, where traces are made, and how the store is told of the trace.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use percent_encoding::percent_decode_str;

use super::dispatch::Answer;
use crate::layer::Findings;
use crate::s3::forward::Resign;
use crate::spans::{Kind, Span, Value, method_name};

/// The headers that say which trace a request is a part of (W3C Trace Context).
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// Begins the span of sending `request` to the store; none where no traces are made.
pub(super) fn begin<B>(request: &Request<B>) -> Option<Span> {
    if !cfg!(feature = "otlp") {
        return None;
    }
    let method = method_name(request.method());
    let span = request.extensions().get::<Findings>()?.span()?.child(method, Kind::Client);
    span.set("http.request.method", Value::Word(method));
    Some(span)
}

/// A request on its way to the store that has a span, whether anything is kept of it or not.
pub(super) struct Traced {
    span: Span,
    /// Without the query, where links are signed.
    path: String,
}

impl Traced {
    /// Tells the store which trace `request` is a part of, but where the caller's signature covers what they say of that
    /// themselves, and goes on with it: that is theirs alone to change. A signature of ours covers neither.
    pub(super) fn begin<B>(span: Span, request: &mut Request<B>, resign: Option<&Resign>) -> Self {
        let path = match resign {
            _ if !span.is_recorded() => String::new(),
            Some(resign) => resign.path.clone(),
            None => request.uri().path().to_owned(),
        };
        if resign.is_some() || !signs_trace(request.headers(), request.uri().query()) {
            span.carry(request.headers_mut());
        }
        Self { span, path }
    }

    /// Says how the store answered. The span ends with the answer's body.
    pub(super) fn answered(self, answer: &Answer) -> Span {
        let Self { span, path } = self;
        if !span.is_recorded() {
            return span;
        }
        let endpoint = answer.load.endpoint();
        let (host, port) = endpoint.connect_to();
        span.set("server.address", Value::Text(host));
        span.set("server.port", Value::Number(port.into()));
        span.set("url.full", Value::Text(&format!("{endpoint}{path}")));
        let status = answer.head.status;
        span.set("http.response.status_code", Value::Number(status.as_u16().into()));
        if status.is_server_error() {
            span.failed(Value::Text(status.as_str()));
        }
        span
    }

    /// Says why it did not.
    pub(super) fn failed(self, reason: &'static str) {
        self.span.failed(Value::Word(reason));
    }
}

/// Whether a signature says that it covers one of the headers of a trace.
fn signs_trace(headers: &HeaderMap, query: Option<&str>) -> bool {
    let in_header = headers.get_all(AUTHORIZATION).iter().any(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let fields = text.split([',', ' ', '\t']);
        fields
            .filter_map(|field| field.split_once('='))
            .any(|(name, signed)| name.eq_ignore_ascii_case("SignedHeaders") && name_trace(signed))
    });
    let parameters = query.into_iter().flat_map(|query| query.split('&'));
    in_header
        || parameters.filter_map(|parameter| parameter.split_once('=')).any(|(name, signed)| {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
            decoded(name).eq_ignore_ascii_case("X-Amz-SignedHeaders") && name_trace(&decoded(signed))
        })
}

/// Whether a trace's headers are among these.
fn name_trace(signed: &str) -> bool {
    signed.split(';').any(|header| TRACE.iter().any(|name| header.trim().eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_signature_that_covers_the_trace_is_known() {
        let v4 = |signed: &str| {
            Some(format!(
                "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature=ab"
            ))
        };
        for (authorization, query, expected) in [
            (None, None, false),
            (v4("host;x-amz-date"), Some("prefix=traceparent"), false),
            (v4("host;traceparent;x-amz-date"), None, true),
            (v4("host;x-amz-date;tracestate").map(|text| text.replace(',', ", ")), None, true),
            (v4("host;x-amz-meta-traceparent"), None, false),
            (Some("AWS AK:c2lnbmF0dXJl".to_owned()), None, false),
            (None, Some("X-Amz-SignedHeaders=host&X-Amz-Signature=ab"), false),
            (None, Some("x=1&X-Amz-SignedHeaders=host%3Btraceparent&X-Amz-Signature=ab"), true),
            (None, Some("x%2Damz-signedheaders=TraceState;host"), true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(text) = &authorization {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(text).unwrap());
            }
            assert_eq!(signs_trace(&headers, query), expected, "{authorization:?} {query:?}");
        }
    }
}
