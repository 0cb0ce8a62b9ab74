//! A collector that takes spans, as OTLP over HTTP has it, and keeps them.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;
pub(crate) use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpSocket;
use tokio::runtime;

use crate::store::read_head;
use crate::support::SOON;

/// A running collector. Its threads end with their connections, and the rest with the test.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    kept: Arc<Kept>,
}

/// A collector that is away. Its address refuses whoever comes, and nobody else can take it.
pub(crate) struct Away {
    pub(crate) address: SocketAddr,
    socket: TcpSocket,
}

#[derive(Default)]
struct Kept {
    calls: Mutex<Vec<Call>>,
    came: Condvar,
}

/// What it was called with.
pub(crate) struct Call {
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A span, as the tests ask about it.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for none.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) failed: bool,
    pub(crate) attributes: Vec<(String, String)>,
    /// What is said of the process that it is from.
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), None)
    }

    /// By TLS where there is a config for it.
    pub(crate) fn start_on(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, tls) = (Arc::clone(&shared), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &kept),
                    Some(config) => serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &kept),
                });
            }
        });
        Self { address, kept }
    }

    /// Everything it was called with.
    pub(crate) fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Call>> {
        self.kept.calls.lock().unwrap()
    }

    /// Waits until it is called.
    pub(crate) fn until_called(&self) {
        let wait = |calls: &mut Vec<Call>| calls.is_empty();
        let (_calls, timeout) = self.kept.came.wait_timeout_while(self.calls(), SOON, wait).unwrap();
        assert!(!timeout.timed_out(), "nobody told the collector anything");
    }

    /// All spans that it was told of.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let calls = self.calls();
        let requests = calls.iter().map(|call| ExportTraceServiceRequest::decode(&*call.body).unwrap());
        let mut spans = Vec::new();
        for resource in requests.flat_map(|request| request.resource_spans) {
            let of = texts(&resource.resource.unwrap().attributes);
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span::new(span, of.clone()));
            }
        }
        spans
    }
}

impl Away {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { address: socket.local_addr().unwrap(), socket }
    }

    /// It is back, at the same address.
    pub(crate) fn back(self) -> Collector {
        // Tokio can bind without listening, which the standard library cannot, but listens only within a runtime.
        let runtime = runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _within = runtime.enter();
        let listener = self.socket.listen(16).unwrap().into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        Collector::start_on(listener, None)
    }
}

impl Span {
    fn new(span: ProtoSpan, resource: Vec<(String, String)>) -> Self {
        assert_eq!(span.dropped_attributes_count, 0, "{span:?}");
        Self {
            name: span.name.clone(),
            kind: span.kind(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            state: span.trace_state,
            failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
            attributes: texts(&span.attributes),
            resource,
            begun: span.start_time_unix_nano,
            ended: span.end_time_unix_nano,
        }
    }

    /// The value of an attribute, as text; none where it is not there. Never there twice.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.attributes.iter().filter(|(name, _)| name == key);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{key} twice: {self:?}");
        value
    }
}

/// The one span of this kind.
#[track_caller]
pub(crate) fn only(spans: &[Span], kind: SpanKind) -> &Span {
    let of_kind: Vec<_> = spans.iter().filter(|span| span.kind == kind).collect();
    assert_eq!(of_kind.len(), 1, "of {kind:?}: {spans:#?}");
    of_kind[0]
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Option<AnyValue>| match value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::BoolValue(flag) => flag.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(&attribute.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serve(stream: impl Read + Write, kept: &Kept) {
    let mut reader = BufReader::new(stream);
    loop {
        let Some(head) = read_head(&mut reader) else { return };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        kept.calls.lock().unwrap().push(Call { head, body });
        kept.came.notify_all();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        let stream = reader.get_mut();
        if stream.write_all(answer).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}
