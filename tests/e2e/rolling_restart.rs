//! Two replicas behind HAProxy, restarted one after the other while 64 clients keep asking.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

use crate::support::front::Balancer;
use crate::support::portcullis::Portcullis;
use crate::support::process::{eventually, http_status};
use crate::support::script::check;
use crate::support::{Auth, Backend, Stack};

const SOON: Duration = Duration::from_secs(60);
const CLIENTS: usize = 64;
/// Of each client, however soon both restarts are done.
const AT_LEAST: usize = 100;
/// Of each client, however long they take.
const AT_MOST: usize = 5_000;

#[test]
fn a_rolling_restart_under_load_fails_no_request() {
    let mut same = None;
    let mut stack = Stack::start_with(Backend::Garage, Auth::Resign, |settings| {
        settings.store = Some("s3://portcullis-policies/rolling");
        same = Some(settings.clone());
    });
    let directory = stack.directory().join("b");
    fs::create_dir(&directory).unwrap();
    let mut b = Portcullis::start(&directory, &same.unwrap());
    check("rolling", &stack);
    // They share their policies.
    assert!(eventually(SOON, || http_status(b.address, "/rolling/open/constant") == Some(200)));
    let front = Balancer::start(stack.directory(), (stack.proxy.address, stack.proxy.admin), (b.address, b.admin));
    assert!(eventually(SOON, || front.is_up("a") && front.is_up("b")));

    let load = Arc::new(Load::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| runtime.spawn(Arc::clone(&load).client(front.address, client))).collect();
    for (replica, name) in [(&mut stack.proxy, "a"), (&mut b, "b")] {
        // All connections are in use.
        let begun = load.answered.load(Ordering::Relaxed);
        assert!(eventually(SOON, || load.answered.load(Ordering::Relaxed) >= begun + 2 * CLIENTS), "{:?}", load.told());
        replica.server.signal("TERM");
        let status = replica.server.wait(SOON);
        assert!(status.success(), "{name}: {status}");
        assert!(eventually(SOON, || !front.is_up(name)), "HAProxy did not notice that {name} is gone");
        replica.restart();
        assert!(eventually(SOON, || front.is_up(name)), "HAProxy did not notice that {name} is back");
    }
    load.restarted.store(true, Ordering::Relaxed);
    for client in clients {
        runtime.block_on(client).unwrap();
    }
    let (answered, failures) = load.told();
    assert_eq!(failures, [""; 0], "of {answered} requests");
    assert!(answered >= CLIENTS * AT_LEAST, "{answered}");
    println!("{answered} requests on {CLIENTS} connections, none failed");
}

/// What the clients have done, and have yet to do.
#[derive(Default)]
struct Load {
    answered: AtomicUsize,
    failures: std::sync::Mutex<Vec<String>>,
    restarted: AtomicBool,
}

impl Load {
    fn told(&self) -> (usize, Vec<String>) {
        (self.answered.load(Ordering::Relaxed), self.failures.lock().unwrap().clone())
    }

    /// One connection for all requests: that it lasts is part of what is shown.
    async fn client(self: Arc<Self>, front: SocketAddr, client: usize) {
        let stream = tokio::net::TcpStream::connect(front).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        for n in 0..AT_MOST {
            if n >= AT_LEAST && self.restarted.load(Ordering::Relaxed) {
                break;
            }
            let body = format!("{client} {n} ").repeat(256);
            let put = n % 8 == 0;
            let request = Request::builder().header("host", front.to_string());
            let request = if put {
                request.method("PUT").uri(format!("/rolling/open/{client}")).body(Full::new(Bytes::from(body)))
            } else {
                request.uri("/rolling/open/constant").body(Full::default())
            };
            let outcome = async {
                sender.ready().await?;
                let (head, body) = sender.send_request(request.unwrap()).await?.into_parts();
                Ok::<_, hyper::Error>((head.status, body.collect().await?.to_bytes()))
            };
            let failure = match outcome.await {
                Ok((StatusCode::OK, body)) if put || body == "constant" => None,
                Ok((status, body)) => Some(format!("{status} {}", String::from_utf8_lossy(&body))),
                Err(error) => Some(error.to_string()),
            };
            if let Some(failure) = failure {
                self.failures.lock().unwrap().push(format!("client {client}, request {n}: {failure}"));
                break;
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        connection.abort();
    }
}
