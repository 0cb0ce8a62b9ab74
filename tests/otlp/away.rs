//! A collector that is not there, or does not answer, is nobody's problem.

use std::net::TcpListener;

use crate::collector::{Away, Collector};
use crate::store::Store;
use crate::support::process::eventually;
use crate::support::{Client, Proxy, SOON, signed};
use crate::{proxy, proxy_at};

/// Makes so many requests, all of which must be answered.
#[track_caller]
fn ask(proxy: &Proxy, times: usize) {
    let mut client = Client::connect(proxy.address);
    let request = signed("GET", "/photos/k", "ROOT", "");
    for n in 0..times {
        assert_eq!(client.ask(&request).status, 200, "request {n}");
    }
}

/// More requests than one batch of spans holds: it is then sent at once.
const A_BATCH: usize = 200;

#[test]
fn spans_are_sent_while_requests_go_on() {
    let (store, collector) = (Store::start("store"), Collector::start());
    let proxy = proxy(&store, &collector, "resign", "");
    ask(&proxy, A_BATCH);
    collector.until_called();
    proxy.stop();
    assert_eq!(collector.spans().len(), 3 * A_BATCH, "none is lost, none told twice");
}

#[test]
fn a_collector_that_is_away_is_told_of_once_and_spans_are_sent_when_it_is_back() {
    let (store, away) = (Store::start("store"), Away::new());
    let proxy = proxy_at(&store.url(), &format!("http://{}", away.address), "resign", "");
    ask(&proxy, A_BATCH);
    proxy.until_said("spans cannot be sent");
    let failed = || proxy.metric("portcullis_trace_spans_total{outcome=\"failed\"}").unwrap();
    let before = failed();
    assert!(before > 0.0, "{before}");
    ask(&proxy, A_BATCH);
    assert!(eventually(SOON, || failed() > before), "{before}");
    assert_eq!(proxy.server.stderr().matches("spans cannot be sent").count(), 1);
    let log = proxy.server.stderr();
    assert!(log.contains("onnection refused"), "the log must say why: {log}");

    let collector = away.back();
    ask(&proxy, A_BATCH);
    proxy.until_said("spans are sent again");
    collector.until_called();
    assert!(proxy.metric("portcullis_trace_spans_total{outcome=\"sent\"}").unwrap() > 0.0);
    assert_eq!(proxy.metric("portcullis_trace_spans_total{outcome=\"dropped\"}"), Some(0.0));
    proxy.stop();
}

#[test]
fn a_collector_that_does_not_answer_delays_no_request_and_no_end() {
    let store = Store::start("store");
    // Connections are made, by the system, and nothing is ever read from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = format!("http://{}", silent.local_addr().unwrap());
    let proxy = proxy_at(&store.url(), &collector, "resign", "timeout = \"1h\"\n");
    // More than may wait.
    ask(&proxy, 3_000);
    let dropped = proxy.metric("portcullis_trace_spans_total{outcome=\"dropped\"}").unwrap();
    assert!(dropped > 0.0 && dropped < 2_000.0, "{dropped}");
    assert_eq!(proxy.metric("portcullis_trace_spans_total{outcome=\"failed\"}"), Some(0.0));
    let directory = proxy.stop();
    let log = std::fs::read_to_string(directory.path().join("portcullis.stderr")).unwrap();
    assert!(log.contains("the last spans were not sent in time"), "{log}");
}
