//! Which trace the store is told that a request belongs to.

use aws_sigv4::http_request::SignatureLocation;

use crate::collector::{Collector, SpanKind, only};
use crate::store::Store;
use crate::support::{Client, signed};
use crate::{TRACE, proxy, signed_get, traceparent, with};

/// The value of a header that the store got, in lower case; none where it got none. Never twice.
#[track_caller]
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut values = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let value = values.next();
    assert_eq!(values.next(), None, "{name} twice: {head}");
    value
}

#[test]
fn the_store_is_told_of_the_span_that_it_is_asked_in() {
    for auth in ["preserve", "resign"] {
        let (store, collector) = (Store::start("store"), Collector::start());
        let proxy = proxy(&store, &collector, auth, "");
        let states = [("tracestate", "vendor=1"), ("tracestate", "other=2")];
        let request = with(&signed("GET", "/photos/k", "ROOT", ""), &states);
        let request = with(&request, &[("traceparent", &traceparent())]);
        assert_eq!(Client::connect(proxy.address).ask(&request).status, 200, "{auth}");
        proxy.stop();
        let spans = collector.spans();
        let client = only(&spans, SpanKind::Client);
        let head = store.until_asked("get /photos/k");
        assert_eq!(header(&head, "traceparent"), Some(&*format!("00-{TRACE}-{}-01", client.id)), "{auth}");
        assert_eq!(header(&head, "tracestate"), Some("vendor=1,other=2"), "{auth}");
        let signature = header(&head, "authorization").unwrap();
        assert!(!signature.contains("trace"), "{auth}: {signature}");
    }
}

#[test]
fn a_state_that_is_too_long_is_as_good_as_none() {
    let (store, collector) = (Store::start("store"), Collector::start());
    let proxy = proxy(&store, &collector, "resign", "");
    for length in [512, 513] {
        // No value may have more than 256 bytes.
        let long = "x".repeat(200);
        let state = format!("a={long},b={long},c={}", "x".repeat(length - 408));
        assert_eq!(state.len(), length);
        let request =
            with(&signed("GET", &format!("/photos/{length}"), "ROOT", ""), &[("traceparent", &traceparent())]);
        assert_eq!(Client::connect(proxy.address).ask(&with(&request, &[("tracestate", &state)])).status, 200);
        let head = store.until_asked(&format!("get /photos/{length}"));
        assert_eq!(header(&head, "tracestate"), (length == 512).then_some(&*state), "{length}");
        assert!(
            header(&head, "traceparent").unwrap().contains(TRACE),
            "it is a part of the caller's trace all the same"
        );
    }
    proxy.stop();
    assert!(collector.spans().iter().all(|span| span.state.len() <= 512 && span.trace == TRACE));
}

#[test]
fn a_trace_begins_here_where_nobody_began_one() {
    let (store, collector) = (Store::start("store"), Collector::start());
    let proxy = proxy(&store, &collector, "preserve", "");
    let mut client = Client::connect(proxy.address);
    let plain = |name: &str| signed("GET", &format!("/photos/{name}"), "ROOT", "");
    client.ask(&plain("none"));
    // What is no trace is as good as none, and goes no further.
    client.ask(&with(&plain("broken"), &[("traceparent", "00-xyz-1-01"), ("tracestate", "vendor=1")]));
    client.ask(&with(&plain("two"), &[("traceparent", &traceparent()), ("traceparent", &traceparent())]));
    proxy.stop();
    let spans = collector.spans();
    for name in ["none", "broken", "two"] {
        let path = format!("/photos/{name}");
        let server = spans.iter().find(|span| span.get("url.path") == Some(&path)).unwrap();
        assert!(server.parent.is_empty() && server.trace != TRACE, "{name}: {server:#?}");
        let client = spans.iter().find(|span| span.kind == SpanKind::Client && span.trace == server.trace).unwrap();
        let head = store.until_asked(&format!("get {path} "));
        assert_eq!(header(&head, "traceparent"), Some(&*format!("00-{}-{}-01", server.trace, client.id)), "{name}");
        assert_eq!(header(&head, "tracestate"), None, "{name}");
    }
}

#[test]
fn a_trace_that_the_caller_signed_is_theirs_alone_to_change() {
    let parent = traceparent();
    let of_trace: &[(&str, &str)] = &[("traceparent", &parent), ("tracestate", "vendor=1")];
    for (auth, location) in [
        ("preserve", SignatureLocation::Headers),
        ("preserve", SignatureLocation::QueryParams),
        ("resign", SignatureLocation::Headers),
        ("resign", SignatureLocation::QueryParams),
    ] {
        let what = format!("{auth} {location:?}");
        let (store, collector) = (Store::start("store"), Collector::start());
        let proxy = proxy(&store, &collector, auth, "");
        let request = signed_get("/photos/k", location, of_trace);
        assert!(request.to_ascii_lowercase().contains("tracestate;") || request.contains("traceparent%3Btracestate"));
        let answer = Client::connect(proxy.address).ask(&request);
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        proxy.stop();
        let head = store.until_asked("get /photos/k");
        let spans = collector.spans();
        let client = only(&spans, SpanKind::Client);
        // Told of in any case, as a part of their trace.
        assert_eq!(client.trace, TRACE, "{what}");
        if auth == "preserve" {
            assert_eq!(header(&head, "traceparent"), Some(&*parent), "{what}");
        } else {
            assert_eq!(header(&head, "traceparent"), Some(&*format!("00-{TRACE}-{}-01", client.id)), "{what}");
            let signature = header(&head, "authorization").unwrap();
            assert!(signature.contains("credential=ours/") && !signature.contains("trace"), "{what}: {signature}");
        }
        assert_eq!(header(&head, "tracestate"), Some("vendor=1"), "{what}");
    }
}
