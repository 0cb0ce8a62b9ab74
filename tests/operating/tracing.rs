//! A trace that begins in front of us goes on behind us: `traceparent` and `tracestate` (W3C Trace Context) pass as they are,
//! and no signature of ours covers them, so that whoever stands further on may write their own.

use crate::store::Store;
use crate::support::{Client, Proxy, signed};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_trace_goes_on_behind_us() {
    for auth in ["preserve", "resign"] {
        let store = Store::start("store");
        let proxy = Proxy::start(
            "",
            &format!(
                "[upstream]\nendpoint = \"{}\"\nauth = \"{auth}\"\naccess_key_id = \"OURS\"\n\
                 secret_access_key = \"ours\"\n",
                store.url()
            ),
        );
        let request = signed("GET", "/photos/traced", "ROOT", "");
        let (line, rest) = request.split_once("\r\n").unwrap();
        let request = format!("{line}\r\ntraceparent: {PARENT}\r\ntracestate: vendor=1\r\n{rest}");
        assert_eq!(Client::connect(proxy.address).ask(&request).body, "store", "{auth}");
        let head = store.until_asked("get /photos/traced");
        assert!(head.contains(&format!("\r\ntraceparent: {PARENT}\r\n")), "{auth}: {head}");
        assert!(head.contains("\r\ntracestate: vendor=1\r\n"), "{auth}: {head}");
        let signature = head.lines().find(|line| line.starts_with("authorization: ")).unwrap();
        let key = if auth == "resign" { "credential=ours/" } else { "credential=root/" };
        assert!(signature.contains(key) && !signature.contains("trace"), "{auth}: {signature}");
        proxy.stop();
    }
}
