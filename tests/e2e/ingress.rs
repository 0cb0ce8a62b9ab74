//! nginx and Envoy carry the bytes between clients and Garage, and ask Portcullis about each request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::front::{Asking, Front};
use crate::support::process::{eventually, http_status};
use crate::support::script::check_through;
use crate::support::{Auth, Backend, Stack};

/// What the script sends and gets of objects is more than this by far; policies, questions and refusals are less.
const FEW: u64 = 256 << 10;

#[test]
fn nginx_asks_with_auth_request() {
    let (mut stack, front) = start(Asking::Nginx);
    check_through(("nginx", front.address), "ingress", &stack);
    no_object_came_through(&stack);
    nothing_passes_without_an_answer(&mut stack, &front);
}

#[test]
fn envoy_asks_with_ext_authz() {
    let (mut stack, front) = start(Asking::Envoy);
    check_through(("envoy", front.address), "ingress", &stack);
    no_object_came_through(&stack);
    nothing_passes_without_an_answer(&mut stack, &front);
}

/// Every way to an object, tried by users who are confined to their homes.
#[test]
fn nobody_leaves_their_home_through_nginx() {
    let (stack, front) = start(Asking::Nginx);
    check_through(("nginx", front.address), "home", &stack);
}

#[test]
fn nobody_leaves_their_home_through_envoy() {
    let (stack, front) = start(Asking::Envoy);
    check_through(("envoy", front.address), "home", &stack);
}

#[test]
fn nobody_but_the_proxies_may_ask() {
    let stack = Stack::start_with(Backend::Embedded, Auth::Preserve, |settings| settings.authz = true);
    let authz = stack.proxy.authz.unwrap();
    let question = "HEAD /ext_authz/nowhere/k HTTP/1.1\r\nHost: s3.localhost\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n";
    for (source, answered) in [("127.0.0.1", true), ("127.0.0.3", false)] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
            socket.connect(authz).await.unwrap().into_std().unwrap()
        });
        let answer = ask(stream, question);
        assert_eq!(answer.starts_with("HTTP/1.1 404 "), answered, "{source}: {answer:?}");
        assert_eq!(answer.is_empty(), !answered, "{source}: {answer:?}");
    }
}

fn ask(mut stream: TcpStream, question: &str) -> String {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A connection that is closed at once may be so before this is sent, or reset before it is read.
    let _ = stream.write_all(question.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn start(asking: Asking) -> (Stack, Front) {
    let stack = Stack::start_with(Backend::Garage, Auth::Preserve, |settings| settings.authz = true);
    let front =
        Front::start(asking, stack.directory(), stack.store_address(), stack.proxy.address, stack.proxy.authz.unwrap());
    (stack, front)
}

/// By what the access log says of either listener.
fn no_object_came_through(stack: &Stack) {
    let soon = Duration::from_secs(20);
    assert!(eventually(soon, || stack.proxy.access_lines().iter().any(|line| line["path"] == "/ingress/the-last")));
    let lines = stack.proxy.access_lines();
    let (questions, carried): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["asked_by"].is_string());
    let bytes = |line: &&serde_json::Value| line["bytes_in"].as_u64().unwrap() + line["bytes_out"].as_u64().unwrap();
    let allowed = questions.iter().filter(|line| line["status"] == 200).map(bytes).sum::<u64>();
    assert_eq!(allowed, 0, "a question has no body, and yes is no body either");
    assert!(!questions.is_empty() && !carried.is_empty());
    let all: u64 = lines.iter().map(|line| bytes(&line)).sum();
    assert!(all < FEW, "{all} bytes");
    let moves = |line: &&&serde_json::Value| {
        matches!(line["method"].as_str(), Some("GET" | "PUT")) && line["path"].as_str().unwrap().contains("/large")
    };
    let moved = carried.iter().find(moves);
    assert!(moved.is_none(), "{moved:?}");
}

/// With Portcullis gone there is nobody to say yes.
fn nothing_passes_without_an_answer(stack: &mut Stack, front: &Front) {
    stack.proxy.server.kill();
    let status = http_status(front.address, "/ingress/open/a");
    assert!(matches!(status, Some(500 | 503)), "{status:?}");
}
