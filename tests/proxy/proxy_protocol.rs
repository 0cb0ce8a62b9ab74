//! PROXY headers in front of connections, and what is known of the client with them and with the headers of requests.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::server::body::Inbound;
use portcullis::server::client_address::TrustedProxies;
use portcullis::server::shutdown::Drained;
use portcullis::{ClientTls, PeerAddress};
use tokio::io::AsyncWriteExt;
use tower::service_fn;

use crate::policies::{ALICE, head, head_by, keeper};
use crate::support::{End, OK, Options, Proxy, Wire, first_line, pair_with, soon};

const SHORT: Duration = Duration::from_millis(50);
const GET: &str = "GET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n";
pub(crate) const V1: &[u8] = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 9000\r\n";

/// Listens for connections with a header, of which the balancer's and 10.0.0.0/8's are believed.
pub(crate) fn behind_a_balancer() -> Options {
    let trusted = ["127.0.0.0/8", "10.0.0.0/8"].map(|network| network.parse().unwrap());
    Options { proxy_protocol: true, trusted_proxies: TrustedProxies::new(trusted), ..Options::default() }
}

/// A server that answers who the client is: `203.0.113.9`, `203.0.113.9 tls` or `203.0.113.9 tls 1.3`.
pub(crate) async fn who_is_it(options: Options) -> Proxy {
    let service = service_fn(|request: Request<Inbound>| async move {
        let PeerAddress(address) = *request.extensions().get().unwrap();
        let tls = match request.extensions().get::<ClientTls>() {
            Some(ClientTls { version: Some(version) }) => format!(" tls {version}"),
            Some(ClientTls { version: None }) => " tls".to_owned(),
            None => String::new(),
        };
        // A byte that was lost before or within the body would show.
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let told = [format!("{address}{tls}").as_bytes(), &body].concat();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(told))))
    });
    Proxy::start_service(service, options).await
}

fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, family][..], &length, block].concat()
}

/// A proxied TCP connection over IPv4, with these bytes after the addresses.
pub(crate) fn tcp4(source: &str, tlvs: &[u8]) -> Vec<u8> {
    let source: Ipv4Addr = source.parse().unwrap();
    binary(1, 0x11, &[&source.octets()[..], &[127, 0, 0, 1, 0x12, 0x67, 0x23, 0x28], tlvs].concat())
}

/// `PP2_TYPE_SSL`: by TLS 1.3 if `client` is odd.
pub(crate) fn ssl(client: u8) -> Vec<u8> {
    [&[0x20, 0, 15, client, 0, 0, 0, 0, 0x21, 0, 7][..], b"TLSv1.3"].concat()
}

/// What HAProxy 2.6.12 sent with `send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id`, called by curl from
/// 127.0.0.1.
const HAPROXY: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00U\x7f\x00\x00\x01\x7f\x00\x00\x01\xd5pD#\x03\x00\x04\xe29\xf97\
    \x01\x00\x02h2\x02\x00\x0cs3.localhost\x05\x00\x00 \x00(\x01\x00\x00\x00\x00!\x00\x07TLSv1.3\
    #\x00\x16TLS_AES_256_GCM_SHA384";

async fn answer(proxy: &Proxy, bytes: impl AsRef<[u8]>) -> String {
    let mut client = proxy.connect().await;
    client.send(bytes).await;
    let (head, body) = client.answer().await;
    assert_eq!(first_line(&head), "HTTP/1.1 200 OK", "{body}");
    body
}

#[tokio::test]
async fn a_header_and_its_request_may_come_together_or_byte_by_byte() {
    let proxy = who_is_it(behind_a_balancer()).await;
    let tcp6 = [&[0; 10][..], &[0xff, 0xff, 203, 0, 113, 9], &[0; 20]].concat();
    for (header, expected) in [
        (V1.to_vec(), "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::9 ::1 4711 9000\r\n".to_vec(), "2001:db8::9"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN 203.0.113.9 127.0.0.1 4711 9000\r\n".to_vec(), "127.0.0.1"),
        (tcp4("203.0.113.9", b""), "203.0.113.9"),
        (tcp4("203.0.113.9", b"\x04\0\x03\0\0\0\xea\0\x01x"), "203.0.113.9"),
        (tcp4("203.0.113.9", &[0x04, 0x0f, 0xe1].into_iter().chain([0; 4_065]).collect::<Vec<_>>()), "203.0.113.9"),
        (binary(1, 0x21, &tcp6), "203.0.113.9"),
        (binary(0, 0x00, b""), "127.0.0.1"),
        (binary(0, 0x11, &[9; 12]), "127.0.0.1"),
        (binary(1, 0x00, b""), "127.0.0.1"),
        (binary(1, 0x31, &[b'/'; 216]), "127.0.0.1"),
    ] {
        let request = "PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 5\r\n\r\n-body";
        let expected = format!("{expected}-body");
        let together = [&header, request.as_bytes()].concat();
        assert_eq!(answer(&proxy, &together).await, expected, "{header:02x?}");

        let mut client = proxy.connect().await;
        // Nagle is off, so each byte is a segment, and the proxy has its turn after each.
        for byte in &together {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.answer().await.1, expected, "{header:02x?} byte by byte");
    }
}

#[tokio::test]
async fn one_header_is_enough_for_a_connection() {
    let proxy = who_is_it(behind_a_balancer()).await;
    let mut client = proxy.connect().await;
    client.send([V1, GET.as_bytes(), GET.as_bytes()].concat()).await;
    assert_eq!(client.answer().await.1, "203.0.113.9");
    assert_eq!(client.answer().await.1, "203.0.113.9", "pipelined");
    client.send(GET).await;
    assert_eq!(client.answer().await.1, "203.0.113.9", "kept alive");
    // A second one is no request.
    client.send([V1, GET.as_bytes()].concat()).await;
    let (rest, _) = client.rest().await;
    assert!(rest.starts_with(b"HTTP/1.1 400 Bad Request\r\n"), "{}", rest.escape_ascii());
}

#[tokio::test]
async fn a_client_behind_a_header_may_close_its_half() {
    let proxy = who_is_it(behind_a_balancer()).await;
    let mut client = proxy.connect().await;
    client.send([V1, GET.as_bytes()].concat()).await;
    client.half_close().await;
    assert_eq!(client.answer().await.1, "203.0.113.9");
    assert_eq!(client.rest().await, (Vec::new(), End::Closed));
}

#[tokio::test]
async fn http2_follows_a_header_too() {
    let proxy = who_is_it(behind_a_balancer()).await;
    for (header, expected) in [(V1, "203.0.113.9"), (&tcp4("203.0.113.9", &ssl(1)), "203.0.113.9 tls 1.3")] {
        let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(header).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..2 {
            let request = http::Request::get("http://s3/b/k").body(Full::new(Bytes::new())).unwrap();
            let response = soon("answer", client.send_request(request)).await.unwrap();
            assert_eq!(response.version(), http::Version::HTTP_2);
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), expected);
        }
    }
}

#[tokio::test]
async fn what_does_not_begin_with_a_header_is_closed_without_an_answer() {
    let (store, proxy) = pair_with(behind_a_balancer()).await;
    let longest = [&[0x04, 0x0f, 0xe2][..], &[0; 4_066]].concat();
    for begun in [
        GET.as_bytes(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0",
        b"PROXY\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4711\r\n",
        b"PROXY TCP4 203.0.113.09 127.0.0.1 4711 9000\r\n",
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 9000\nGET /b/k HTTP/1.1\r\nHost: s3\r\n\r\n",
        &[b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(),
        b"\r\n\r\n\0\r\nQUIT\r",
        &binary(2, 0x11, &[9; 12]),
        &binary(1, 0x11, &[9; 11]),
        &tcp4("203.0.113.9", b"\x04\0\x09"),
        &tcp4("203.0.113.9", b"\x03\0\x04\xde\xad\xbe\xef"),
        &tcp4("203.0.113.9", &longest),
        &binary(0, 0x00, &[0; 0xffff])[..16],
    ] {
        let mut client = proxy.connect().await;
        client.send([begun, GET.as_bytes()].concat()).await;
        assert_eq!(client.rest().await.0, b"", "{}", begun.escape_ascii());
    }
    // The first that the store hears of is the first that had one.
    let mut client = proxy.connect().await;
    client.send([V1, b"GET /b/first HTTP/1.1\r\nHost: s3\r\n\r\n"].concat()).await;
    let mut upstream = store.accept().await;
    assert_eq!(first_line(&upstream.head().await), "GET /b/first HTTP/1.1");
    upstream.send(OK).await;
    assert_eq!(client.answer().await.1, "ok");
}

#[tokio::test]
async fn a_header_is_not_waited_for_for_ever() {
    let proxy = who_is_it(Options { request_header_timeout: SHORT, ..behind_a_balancer() }).await;
    let v2 = tcp4("203.0.113.9", &ssl(1));
    // The last two have a header, but their requests have none.
    for begun in [&b""[..], b"PROX", &V1[..V1.len() - 1], &v2[..7], &v2[..16], &v2[..v2.len() - 1], V1, &v2] {
        let mut client = proxy.connect().await;
        client.send(begun).await;
        assert_eq!(client.rest().await.0, b"", "{}", begun.escape_ascii());
    }
}

#[tokio::test]
async fn a_client_that_goes_away_within_its_header_is_not_waited_for() {
    let proxy = who_is_it(behind_a_balancer()).await;
    let mut gone = proxy.connect().await;
    gone.send("PROXY TCP4").await;
    gone.half_close().await;
    assert_eq!(gone.rest().await, (Vec::new(), End::Closed));
}

#[tokio::test]
async fn between_requests_such_a_connection_may_idle() {
    let proxy = who_is_it(Options { idle_timeout: SHORT, ..behind_a_balancer() }).await;
    let mut client = proxy.connect().await;
    client.send([V1, GET.as_bytes()].concat()).await;
    assert_eq!(client.answer().await.1, "203.0.113.9");
    assert_eq!(client.rest().await, (Vec::new(), End::Closed));
}

#[tokio::test]
async fn a_drain_does_not_wait_for_headers() {
    let mut proxy = who_is_it(behind_a_balancer()).await;
    let mut without = proxy.connect().await;
    without.send("PROXY TCP4 ").await;
    // Accepted after it, and so proof that it was accepted too.
    let mut idle = proxy.connect().await;
    idle.send([V1, GET.as_bytes()].concat()).await;
    assert_eq!(idle.answer().await.1, "203.0.113.9");
    proxy.stop();
    assert_eq!(without.rest().await.0, b"");
    assert_eq!(idle.rest().await, (Vec::new(), End::Closed));
    assert_eq!(proxy.stopped().await, Drained::Clean);
}

#[tokio::test]
async fn probes_come_without_a_header() {
    let proxy = who_is_it(behind_a_balancer()).await;
    let mut probe = Wire::connect(proxy.admin).await;
    probe.send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    assert_eq!(probe.answer().await.1, "ok\n");
    let mut balancer = Wire::connect(proxy.admin).await;
    balancer.send([V1, b"GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n"].concat()).await;
    assert!(balancer.rest().await.0.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
}

#[tokio::test]
async fn only_trusted_proxies_are_believed() {
    let strangers = Options { trusted_proxies: TrustedProxies::default(), ..behind_a_balancer() };
    let without = Options { proxy_protocol: false, ..behind_a_balancer() };
    let forwarded = "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n";
    let plain = "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https, http\r\n";
    for (options, header, fields, expected) in [
        // Nobody is trusted: neither the header nor the request is believed.
        (strangers.clone(), V1.to_vec(), forwarded, "127.0.0.1"),
        (strangers.clone(), tcp4("203.0.113.9", &ssl(1)), forwarded, "127.0.0.1"),
        // The balancer is, and names the client, who says no more.
        (behind_a_balancer(), V1.to_vec(), forwarded, "203.0.113.9"),
        (behind_a_balancer(), tcp4("203.0.113.9", b""), forwarded, "203.0.113.9"),
        (behind_a_balancer(), tcp4("203.0.113.9", &ssl(0)), forwarded, "203.0.113.9"),
        (behind_a_balancer(), tcp4("203.0.113.9", &ssl(1)), "", "203.0.113.9 tls 1.3"),
        (behind_a_balancer(), tcp4("203.0.113.9", &ssl(1)), plain, "203.0.113.9 tls 1.3"),
        // It names a trusted proxy, who names the client.
        (behind_a_balancer(), tcp4("10.0.0.2", b""), forwarded, "198.51.100.7 tls"),
        (behind_a_balancer(), tcp4("10.0.0.2", &ssl(1)), forwarded, "198.51.100.7 tls"),
        (behind_a_balancer(), tcp4("10.0.0.2", &ssl(1)), plain, "198.51.100.7"),
        (behind_a_balancer(), tcp4("10.0.0.2", &ssl(1)), "", "10.0.0.2"),
        (behind_a_balancer(), HAPROXY.to_vec(), forwarded, "198.51.100.7 tls"),
        // It speaks for itself.
        (behind_a_balancer(), binary(0, 0x11, &[9; 12]), "", "127.0.0.1"),
        (behind_a_balancer(), binary(0, 0x00, b""), forwarded, "198.51.100.7 tls"),
        // It speaks for somebody it does not name, and whose request is not believed.
        (behind_a_balancer(), b"PROXY UNKNOWN\r\n".to_vec(), forwarded, "127.0.0.1"),
        (behind_a_balancer(), binary(1, 0x00, b""), forwarded, "127.0.0.1"),
        (behind_a_balancer(), binary(1, 0x31, &[&[b'/'; 216], &ssl(1)[..]].concat()), forwarded, "127.0.0.1 tls 1.3"),
        // Without the protocol, a trusted proxy has its requests to speak with.
        (without.clone(), Vec::new(), forwarded, "198.51.100.7 tls"),
        (without.clone(), Vec::new(), plain, "198.51.100.7"),
        (without, Vec::new(), "", "127.0.0.1"),
        (Options::default(), Vec::new(), forwarded, "127.0.0.1"),
    ] {
        let proxy = who_is_it(options).await;
        let request = format!("GET /b/k HTTP/1.1\r\nHost: s3\r\n{fields}\r\n");
        let told = answer(&proxy, [&header, request.as_bytes()].concat()).await;
        assert_eq!(told, expected, "{} {fields:?}", header.escape_ascii());
    }
}

#[tokio::test]
async fn a_policy_is_held_against_the_address_that_the_header_names() {
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},
        "Action":"s3:GetBucketPolicy","Resource":"arn:aws:s3:::demo","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}}"#;
    let (_, proxy) = keeper(behind_a_balancer()).await;
    let mut root = proxy.connect().await;
    let put = format!("{}Content-Length: {}\r\n\r\n{policy}", head("PUT", "/demo?policy"), policy.len());
    root.send([b"PROXY UNKNOWN\r\n", put.as_bytes()].concat()).await;
    assert_eq!(first_line(&root.head().await), "HTTP/1.1 204 No Content");

    for (header, forwarded, status) in [
        (V1.to_vec(), "192.0.2.1", "200 OK"),
        (tcp4("203.0.113.77", b""), "192.0.2.1", "200 OK"),
        (tcp4("10.0.0.2", b""), "203.0.113.9", "200 OK"),
        (tcp4("192.0.2.1", b""), "203.0.113.9", "403 Forbidden"),
        (tcp4("10.0.0.2", b""), "203.0.113.9, 192.0.2.1", "403 Forbidden"),
        (b"PROXY TCP4 192.0.2.1 203.0.113.9 4711 9000\r\n".to_vec(), "203.0.113.9", "403 Forbidden"),
        (b"PROXY UNKNOWN 203.0.113.9 203.0.113.9 1 1\r\n".to_vec(), "192.0.2.1", "403 Forbidden"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "203.0.113.9", "403 Forbidden"),
    ] {
        let mut alice = proxy.connect().await;
        let get = format!("{}X-Forwarded-For: {forwarded}\r\n\r\n", head_by(ALICE, "GET", "/demo?policy"));
        alice.send([&header, get.as_bytes()].concat()).await;
        let (head, body) = alice.answer().await;
        assert_eq!(first_line(&head), format!("HTTP/1.1 {status}"), "{} {forwarded}: {body}", header.escape_ascii());
    }
}
