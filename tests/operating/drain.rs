//! How it stops: nothing that runs is lost, and nothing that was acknowledged.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::store::Store;
use crate::support::process::{accepts, eventually, http_status};
use crate::support::{ACCOUNT, Client, PUBLIC, Proxy, SOON, signed};

const GET: &str = "GET /photos/public/hello HTTP/1.1\r\nHost: s3.localhost\r\n\r\n";

fn upstream(store: &Store, drain_timeout: &str) -> String {
    format!(
        "[upstream]\nendpoint = \"{}\"\nauth = \"resign\"\naccess_key_id = \"OURS\"\nsecret_access_key = \"ours\"\n\
         [limits]\ndrain_timeout = \"{drain_timeout}\"\n",
        store.url()
    )
}

#[test]
fn a_running_request_ends_and_probes_hear_that_it_is_the_last() {
    let store = Store::start("store");
    let proxy = Proxy::start("", &upstream(&store, "60s"));
    proxy.put_policy(PUBLIC);
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.ask(GET).body, "store");
    store.hold();
    let mut busy = Client::connect(proxy.address);
    busy.send(&GET.replace("/hello", "/last"));
    store.until_asked("get /photos/public/last");
    proxy.server.signal("TERM");
    assert!(eventually(SOON, || http_status(proxy.admin, "/readyz") == Some(503)));
    assert!(idle.try_answer().is_err(), "an idle connection goes at once");
    assert!(eventually(SOON, || !accepts(proxy.address)), "nobody new is let in");
    assert_eq!(http_status(proxy.admin, "/livez"), Some(200), "it lives, or it would be killed");
    assert_eq!(proxy.metric("portcullis_requests_in_flight"), Some(1.0));
    store.let_go();
    assert_eq!(busy.answer().body, "store");
    let mut server = proxy.server;
    assert!(server.wait(SOON).success());
}

#[test]
fn who_takes_too_long_is_cut_off_and_that_is_a_failure() {
    let store = Store::start("store");
    let proxy = Proxy::start("", &upstream(&store, "100ms"));
    proxy.put_policy(PUBLIC);
    store.hold();
    let mut busy = Client::connect(proxy.address);
    busy.send(GET);
    store.until_asked("get /photos/public/hello");
    proxy.server.signal("TERM");
    assert!(busy.try_answer().is_err());
    let Proxy { mut server, .. } = proxy;
    assert_eq!(server.wait(SOON).code(), Some(1));
    assert!(server.stderr().contains("limits.drain_timeout"), "{}", server.stderr());
}

#[test]
fn a_policy_write_under_way_is_acknowledged_or_not_stored() {
    let buckets = ["one", "two", "three", "four"];
    let directory = tempfile::tempdir().unwrap();
    for bucket in buckets {
        fs::create_dir_all(directory.path().join("data").join(bucket)).unwrap();
    }
    let proxy = Proxy::start_in(directory, "", "");
    let address = proxy.address;
    let acknowledged = AtomicUsize::new(0);
    let (directory, last) = thread::scope(|scope| {
        let acknowledged = &acknowledged;
        let write = move |bucket: &str| {
            let mut last = 0;
            let mut client = Client::connect(address);
            loop {
                let document = policy(bucket, last + 1);
                // The connection goes between two requests, and then the second has not begun.
                let request = signed("PUT", &format!("/{bucket}?policy"), "ROOT", &document);
                match client.try_ask(&request) {
                    Ok(answer) => assert_eq!(answer.status, 204, "{answer:?}"),
                    Err(_) => return last,
                }
                last += 1;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        };
        let writers = buckets.map(|bucket| scope.spawn(move || write(bucket)));
        assert!(eventually(SOON, || acknowledged.load(Ordering::Relaxed) > 40));
        let directory = proxy.stop();
        (directory, writers.map(|writer| writer.join().unwrap()))
    });
    let proxy = Proxy::start_in(directory, "", "");
    for (bucket, last) in buckets.into_iter().zip(last) {
        let get = signed("GET", &format!("/{bucket}?policy"), "ROOT", "");
        assert_eq!(Client::connect(proxy.address).ask(&get).body, policy(bucket, last), "{bucket}");
    }
    proxy.stop();
}

fn policy(bucket: &str, number: usize) -> String {
    format!(
        "{{\"Statement\":[{{\"Sid\":\"N{number}\",\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"{ACCOUNT}\"}},\
         \"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::{bucket}/*\"}}]}}"
    )
}
