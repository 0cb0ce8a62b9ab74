//! Denied requests keep neither a place nor a connection.

use super::{BOTH, Gate, lines, verdicts};
use crate::support::{Options, Wire, first_line, header};

const SHUT: &str = "PUT /photos/shut/a HTTP/1.1\r\nHost: s3.localhost\r\n";
const GET_SHUT: &str = "GET /photos/shut/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n";
const GET_OPEN: &str = "GET /photos/open/a HTTP/1.1\r\nHost: s3.localhost\r\n\r\n";
/// How many requests in a row are denied.
const MANY: usize = 1_000;

async fn is_denied(client: &mut Wire) -> String {
    let (head, body) = client.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 403 Forbidden", "{body}");
    assert!(body.contains("<Code>AccessDenied</Code>"), "{body}");
    head
}

/// The body is announced, and the answer does not wait for it. Whoever never sends it is not waited for without end.
#[tokio::test]
async fn a_denied_upload_is_answered_before_its_body() {
    for mode in BOTH {
        let gate = Gate::start(mode).await;
        let closed = async |framing: &str| {
            let mut client = gate.proxy.connect().await;
            client.send(format!("{SHUT}{framing}\r\n")).await;
            is_denied(&mut client).await;
            assert_eq!(client.rest().await.0, b"", "{framing}: closed without another word");
        };
        tokio::join!(
            closed("Content-Length: 1073741824\r\n"),
            closed("Transfer-Encoding: chunked\r\n"),
            closed("Transfer-Encoding: chunked\r\n\r\n40000000\r\nhello"),
            closed("Content-Length: 1073741824\r\nExpect: 100-continue\r\n"),
        );
        assert_eq!(lines(&gate.end().await), [""; 0], "{mode:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_told_and_nothing_else_is_read() {
    for mode in BOTH {
        let gate = Gate::start(mode).await;
        let mut client = gate.proxy.connect().await;
        client.send(format!("{SHUT}Content-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n")).await;
        let head = is_denied(&mut client).await;
        assert_eq!(header(&head, "connection"), Some("close"), "{mode:?}");
        assert_eq!(client.rest().await.0, b"", "{mode:?}");
        assert_eq!(lines(&gate.end().await), [""; 0], "{mode:?}");
    }
}

#[tokio::test]
async fn after_a_small_denied_body_the_connection_serves_on() {
    for mode in BOTH {
        let gate = Gate::start(mode).await;
        let mut client = gate.proxy.connect().await;
        for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
            client.send(format!("{SHUT}{body}")).await;
            is_denied(&mut client).await;
            client.send(GET_OPEN).await;
            assert_eq!(client.answer().await.1, "ok", "{mode:?}");
        }
        drop(client);
        assert_eq!(lines(&gate.end().await), ["GET /photos/open/a"; 2], "{mode:?}");
    }
}

#[tokio::test]
async fn a_denied_request_gives_its_place_back() {
    for mode in BOTH {
        let gate = Gate::start_with(mode, Options { max_in_flight: 1, ..Options::default() }).await;
        let mut client = gate.proxy.connect().await;
        for n in 0..MANY {
            match n % 3 {
                0 => client.send(GET_SHUT).await,
                1 => client.send(format!("{SHUT}Content-Length: 5\r\n\r\nhello")).await,
                _ => client.send(format!("{SHUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")).await,
            }
            is_denied(&mut client).await;
        }
        for _ in 0..MANY {
            let mut client = gate.proxy.connect().await;
            client.send(GET_SHUT).await;
            is_denied(&mut client).await;
        }
        // None of them is waited for: neither those whose bodies never come nor those whose answers nobody reads.
        for _ in 0..10 {
            let mut client = gate.proxy.connect().await;
            client.send(format!("{SHUT}Content-Length: 1073741824\r\n\r\n")).await;
            is_denied(&mut client).await;
            client.reset();
        }
        client.send(GET_OPEN).await;
        assert_eq!(client.answer().await.1, "ok", "{mode:?}");
        drop(client);
        assert_eq!(lines(&gate.end().await), ["GET /photos/open/a"], "{mode:?}");
    }
}

/// An answer without a body has been sent when its head has, and so the place must be free by then.
#[tokio::test]
async fn a_denied_head_request_gives_its_place_back() {
    for mode in BOTH {
        let gate = Gate::start_with(mode, Options { max_in_flight: 1, ..Options::default() }).await;
        let mut client = gate.proxy.connect().await;
        for _ in 0..MANY {
            client.send(GET_SHUT.replace("GET", "HEAD")).await;
            assert_eq!(first_line(&client.head().await), "HTTP/1.1 403 Forbidden", "{mode:?}");
        }
        drop(client);
        assert_eq!(lines(&gate.end().await), [""; 0], "{mode:?}");
    }
}

#[tokio::test]
async fn many_denied_in_one_piece_are_all_answered() {
    for mode in BOTH {
        let gate = Gate::start_with(mode, Options { max_in_flight: 1, ..Options::default() }).await;
        let mut client = gate.proxy.connect().await;
        client.send(GET_SHUT.repeat(100) + GET_OPEN).await;
        client.half_close().await;
        let answers = verdicts(&client.rest().await.0);
        assert_eq!(answers[..100], vec!["403 AccessDenied".to_owned(); 100], "{mode:?}");
        assert_eq!(answers[100..], ["200"], "{mode:?}");
        drop(client);
        assert_eq!(gate.end().await.len(), 1, "{mode:?}");
    }
}
