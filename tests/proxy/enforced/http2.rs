//! HTTP/2 frame by frame: no field makes the store read another request than was decided.

use super::{BOTH, Gate, lines};
use crate::support::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header fields as RFC 7541 writes those that are in no table (section 6.2.2), names of any form among them.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        assert!(text.len() < 127, "a length of one byte");
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// How the first stream was answered: its status, or `refused` where the stream or the connection was broken off.
async fn outcome(wire: &mut Wire) -> &'static str {
    loop {
        let Some(head) = wire.try_bytes(9).await else { return "refused" };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let Some(payload) = wire.try_bytes(usize::try_from(length).unwrap()).await else { return "refused" };
        match head[3] {
            1 => return status(&payload),
            3 | 7 => return "refused",
            _ => {}
        }
    }
}

/// The status at the begin of a block of fields: from the static table, or its digits in Huffman's code (RFC 7541,
/// appendices A and B).
fn status(block: &[u8]) -> &'static str {
    let update = block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count();
    match &block[update..] {
        [0x88, ..] => "200",
        [0x8c, ..] => "400",
        [0x8d, ..] => "404",
        [0x48, 0x83, 0x68, 0x0c, 0xff, ..] => "403",
        other => panic!("a status that is not known here: {}", other.escape_ascii()),
    }
}

#[tokio::test]
async fn no_field_makes_it_another_request() {
    const M: (&str, &str) = (":method", "GET");
    const S: (&str, &str) = (":scheme", "http");
    const A: (&str, &str) = (":authority", "s3.localhost");
    const P: (&str, &str) = (":path", "/photos/open/a");
    let granted = &["GET /photos/open/a"][..];
    let mut wrong = Vec::new();
    for (name, sent, verdict, expected) in [
        ("as it should be", &[M, S, A, P][..], "200", granted),
        ("the host again", &[M, S, A, P, ("host", "s3.localhost")], "200", granted),
        ("the host alone", &[M, S, P, ("host", "s3.localhost")], "200", granted),
        ("denied", &[M, S, A, (":path", "/photos/shut/a")], "403", &[]),
        ("another host", &[M, S, A, P, ("host", "photos.s3.localhost")], "400", &[]),
        ("another host, twice", &[M, S, A, P, ("host", "s3.localhost"), ("host", "theirs.s3.localhost")], "400", &[]),
        ("another bucket's host", &[M, S, (":authority", "theirs.s3.localhost"), (":path", "/open/a")], "403", &[]),
        ("somebody at the host", &[M, S, (":authority", "theirs@s3.localhost"), P], "400", &[]),
        ("two paths", &[M, S, A, P, (":path", "/photos/shut/a")], "refused", &[]),
        ("two methods", &[M, (":method", "DELETE"), S, A, P], "refused", &[]),
        ("two authorities", &[M, S, A, (":authority", "photos.s3.localhost"), P], "refused", &[]),
        ("no path", &[M, S, A], "refused", &[]),
        ("no method", &[S, A, P], "refused", &[]),
        ("an empty path", &[M, S, A, (":path", "")], "refused", &[]),
        ("an absolute path", &[M, S, A, (":path", "http://photos.s3.localhost/open/a")], "refused", &[]),
        ("a path of two slashes", &[M, S, A, (":path", "//photos/open/a")], "400", &[]),
        ("a relative path", &[M, S, A, (":path", "photos/open/a")], "refused", &[]),
        ("an asterisk", &[M, S, A, (":path", "*")], "*", &[]),
        ("a path with a line of its own", &[M, S, A, (":path", "/photos/open/a HTTP/1.1\r\nx: y")], "refused", &[]),
        ("a path with a null", &[M, S, A, (":path", "/photos/open/a\0")], "refused", &[]),
        ("a path with a fragment", &[M, S, A, (":path", "/photos/open/a#/../b")], "200", granted),
        ("a method with a line of its own", &[(":method", "GET / HTTP/1.1\r\nx:"), S, A, P], "refused", &[]),
        ("a value with a line of its own", &[M, S, A, P, ("x-a", "b\r\nx-amz-acl: private")], "refused", &[]),
        ("a value with a line feed", &[M, S, A, P, ("x-a", "b\nc")], "refused", &[]),
        ("a value with a null", &[M, S, A, P, ("x-a", "b\0c")], "refused", &[]),
        ("a name in capitals", &[M, S, A, P, ("X-Amz-Acl", "private")], "refused", &[]),
        ("a name with a colon", &[M, S, A, P, ("x-a:b", "c")], "refused", &[]),
        ("a name with a line of its own", &[M, S, A, P, ("x-a: b\r\nx-b", "c")], "refused", &[]),
        ("an empty name", &[M, S, A, P, ("", "c")], "refused", &[]),
        ("chunks", &[M, S, A, P, ("transfer-encoding", "chunked")], "refused", &[]),
        ("a connection", &[M, S, A, P, ("connection", "x-amz-acl"), ("x-amz-acl", "private")], "refused", &[]),
        ("an upgrade", &[M, S, A, P, ("upgrade", "h2c")], "refused", &[]),
        ("te", &[M, S, A, P, ("te", "gzip")], "refused", &[]),
        ("two lengths", &[M, S, A, P, ("content-length", "0"), ("content-length", "5")], "refused", &[]),
        ("a length without a body", &[M, S, A, P, ("content-length", "5")], "refused", &[]),
        ("a method behind the headers", &[S, A, P, ("x-a", "b"), M], "refused", &[]),
        ("a path behind the headers", &[M, S, A, ("x-a", "b"), P], "refused", &[]),
        ("a pseudo header that is none", &[M, S, A, P, (":x", "y")], "refused", &[]),
        ("one of an answer", &[M, S, A, P, (":status", "200")], "refused", &[]),
        ("a protocol", &[(":method", "CONNECT"), (":protocol", "websocket"), S, A, P], "refused", &[]),
        ("a tunnel", &[(":method", "CONNECT"), A], "400", &[]),
        // How a client came is what the connection says.
        ("a scheme", &[M, (":scheme", "https"), A, (":path", "/photos/tls/a")], "403", &[]),
        ("a scheme that is none", &[M, (":scheme", "gopher"), A, P], "*", granted),
    ] {
        for mode in BOTH {
            let gate = Gate::start(mode).await;
            let mut client = gate.proxy.connect().await;
            let headers = frame(1, END_STREAM | END_HEADERS, 1, &fields(sent));
            client.send([PREFACE, &frame(4, 0, 0, &[]), &headers].concat()).await;
            let found = outcome(&mut client).await;
            drop(client);
            let asked = lines(&gate.end().await);
            // Whether a `*` is refused or not, it is no other request.
            let is_right = match verdict {
                "*" => asked.is_empty() || asked == expected,
                verdict => found == verdict && asked == expected,
            };
            if !is_right {
                wrong.push(format!("{name}, {mode:?}: {found} {asked:?}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn trailers_of_http2_are_no_headers() {
    let head =
        fields(&[(":method", "PUT"), (":scheme", "http"), (":authority", "s3.localhost"), (":path", "/photos/open/a")]);
    let announced = fields(&[("trailer", "x-amz-acl")]);
    let trailer = fields(&[("x-amz-acl", "private")]);
    for mode in BOTH {
        for (announces, verdict, expected) in [(false, "200", &["PUT /photos/open/a: hi"][..]), (true, "400", &[])] {
            let gate = Gate::start(mode).await;
            let mut client = gate.proxy.connect().await;
            let head = if announces { [&head[..], &announced].concat() } else { head.clone() };
            let frames = [
                PREFACE.to_vec(),
                frame(4, 0, 0, &[]),
                frame(1, END_HEADERS, 1, &head),
                frame(0, 0, 1, b"hi"),
                frame(1, END_STREAM | END_HEADERS, 1, &trailer),
            ];
            client.send(frames.concat()).await;
            let found = outcome(&mut client).await;
            drop(client);
            let asked = gate.end().await;
            assert_eq!((found, lines(&asked)), (verdict, lines_of(expected)), "{mode:?}");
            assert!(asked.iter().all(|asked| asked.trailers.is_empty()), "{mode:?}: {asked:?}");
        }
    }
}

fn lines_of(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
