//! Framed bodies through the whole proxy: what reaches the store is verified by `framing` and by the embedded store, and
//! what is wrong never gets there whole.

mod framing;

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::layer::Builder;
use portcullis::ownership::fixed::OneOwner;
use portcullis::policy::{Account, AccountId, CanonicalUserId, Principal};
use portcullis::s3::address::Domains;
use portcullis::s3::held_bytes::HeldBytes;
use portcullis::store::memory::MemoryStore;
use portcullis::upstream::embedded::EmbeddedStore;
use portcullis::upstream::{KeyPair, UpstreamCredentials};
use portcullis::{BucketPolicyLayer, Handler, PassThrough};

use self::framing::{CALLER, OURS, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, bytes, crc32_line, upload, verify};
use crate::support::{OK, Options, Proxy, Store, Wire, first_line, header, soon};

/// Owns all buckets.
const ACCOUNT: &str = "111122223333";

/// A proxy that decides and signs anew, for the owner of all buckets, whose key is [`CALLER`].
async fn proxy(store: SocketAddr) -> Proxy {
    proxy_passing(store, PassThrough::Verified).await
}

async fn proxy_passing(store: SocketAddr, pass_through: PassThrough) -> Proxy {
    Proxy::start_policies(store, options(), layer(pass_through).build()).await
}

fn layer(pass_through: PassThrough) -> Builder {
    let handler = Handler::Store(Arc::new(MemoryStore::default()));
    let owner = OneOwner::new(AccountId::parse(ACCOUNT).unwrap());
    BucketPolicyLayer::builder(Arc::new(callers()), Arc::new(owner), handler).with_pass_through(pass_through)
}

fn options() -> Options {
    Options { credentials: UpstreamCredentials::new(Some(&ours()), []), ..Options::default() }
}

fn callers() -> StaticCredentials {
    let id = AccountId::parse(ACCOUNT).unwrap();
    let account = Account { id, canonical_id: CanonicalUserId::parse(&"ab".repeat(32)).unwrap() };
    let caller = Credential {
        access_key_id: AccessKeyId::new(CALLER.0),
        secret: SecretKey::new(CALLER.1),
        session_token: None,
        identity: Arc::new(Identity { principal: Principal::root(account), policies: Vec::new() }),
    };
    [caller].into_iter().collect()
}

fn ours() -> KeyPair {
    KeyPair { access_key_id: AccessKeyId::new(OURS.0), secret: SecretKey::new(OURS.1) }
}

#[tokio::test]
async fn the_store_gets_chunks_with_right_signatures_and_the_same_length() {
    let data = bytes(200_000);
    let crc32 = crc32_line(&data);
    for (payload, trailer) in [(SIGNED, None), (SIGNED_TRAILER, Some(crc32.as_str()))] {
        for (sizes, piece) in [(&[65_536, 65_536, 65_536][..], 8_191), (&[199_999], 65_536), (&[1, 8_192], 333)] {
            let (mut chunks, mut rest) = (Vec::new(), &data[..]);
            for size in sizes {
                let (chunk, after) = rest.split_at(*size);
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            let store = Store::start().await;
            let proxy = proxy(store.address()).await;
            let (head, body) = upload(payload, &chunks, trailer);
            let mut client = proxy.connect().await;
            let sent = async {
                client.send(&head).await;
                for piece in body.chunks(piece) {
                    client.send(piece).await;
                }
            };
            let stored = async {
                let mut upstream = store.accept().await;
                let head = upstream.head().await;
                assert_eq!(header(&head, "content-length"), Some(body.len().to_string().as_str()));
                assert_eq!(header(&head, "transfer-encoding"), None);
                let found = upstream.bytes(body.len()).await;
                upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                verify(&head, &found)
            };
            let ((), stored) = tokio::join!(sent, stored);
            assert!(stored == data, "{payload} {sizes:?}");
            assert_eq!(first_line(&client.answer().await.0), "HTTP/1.1 200 OK");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_wrong_body_is_complete_at_the_store() {
    let data = bytes(40_000);
    let crc32 = crc32_line(&data);
    let chunks = [&data[..20_000], &data[20_000..]];
    let from_end = |body: &[u8], text: &str| {
        body.len() - body.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap()
    };
    for payload in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
        let trailer = (payload != SIGNED).then_some(crc32.as_str());
        let (_, body) = upload(payload, &chunks, trailer);
        let mut places = vec![("the first chunk's data", body.len() - 200), ("the last byte of data", 0)];
        let last_line = from_end(&body, "\r\n0");
        places[1].1 = last_line + 1;
        if payload != UNSIGNED_TRAILER {
            places.push(("the last chunk's signature", last_line - 30));
            places.push(("the first chunk's signature", body.len() - 30));
        }
        if trailer.is_some() {
            places.push(("the checksum", from_end(&body, "crc32:") - 7));
        }
        if payload == SIGNED_TRAILER {
            places.push(("the trailers' signature", 10));
        }
        for (place, from_end) in places {
            let store = Store::start().await;
            let proxy = proxy(store.address()).await;
            let (head, mut body) = upload(payload, &chunks, trailer);
            let at = body.len() - from_end;
            // Another digit, another letter, another byte.
            body[at] = if body[at] == b'0' { b'1' } else { b'0' };
            let mut client = proxy.connect().await;
            let answered = async {
                client.send(&head).await;
                client.send(&body).await;
                client.answer().await
            };
            let seen = async {
                let mut upstream = store.accept().await;
                upstream.head().await;
                upstream.rest().await.0.len()
            };
            let ((answer, error), seen) = tokio::join!(answered, seen);
            assert!(seen < body.len(), "{payload}, {place}: all {seen} bytes reached the store");
            let expected = if payload == UNSIGNED_TRAILER {
                ("HTTP/1.1 400 Bad Request", "<Code>BadDigest</Code>")
            } else {
                ("HTTP/1.1 403 Forbidden", "<Code>SignatureDoesNotMatch</Code>")
            };
            assert_eq!(first_line(&answer), expected.0, "{payload}, {place}: {error}");
            assert!(error.contains(expected.1), "{payload}, {place}: {error}");
        }
    }
}

#[tokio::test]
async fn the_embedded_store_takes_chunks_that_were_signed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = Arc::new(StaticCredentials::default());
    let root = directory.path().join("data");
    std::fs::create_dir_all(root.join("demo")).unwrap();
    let store = EmbeddedStore::start(&root, ours(), nobody, Domains::default()).await.unwrap();
    let proxy = proxy(store.address()).await;
    let object = root.join("demo/k");
    let data = bytes(150_000);
    let crc32 = crc32_line(&data);
    let put = async |head: &str, body: &[u8]| {
        let mut client: Wire = proxy.connect().await;
        client.send(head).await;
        client.send(body).await;
        client.answer().await
    };
    for payload in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
        let trailer = (payload != SIGNED).then_some(crc32.as_str());
        for chunks in [&[][..], &[&data[..1]], &[&data[..65_536], &data[65_536..]]] {
            let whole = chunks.concat();
            let line = crc32_line(&whole);
            let (head, body) = upload(payload, chunks, trailer.map(|_| line.as_str()));
            let (answer, error) = put(&head, &body).await;
            assert_eq!(first_line(&answer), "HTTP/1.1 200 OK", "{payload}: {error}");
            assert!(std::fs::read(&object).unwrap() == whole, "{payload} {}", whole.len());
            std::fs::remove_file(&object).unwrap();
        }
        let (head, mut body) = upload(payload, &[&data], trailer);
        body[100_000] ^= 1;
        let (answer, error) = put(&head, &body).await;
        assert!(first_line(&answer).contains(" 40"), "{payload}: {answer} {error}");
        assert!(!object.exists(), "{payload}: a wrong body was stored");
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_leaves_nothing_at_the_store() {
    let data = bytes(60);
    let line = crc32_line(&data);
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("data");
        std::fs::create_dir_all(root.join("demo")).unwrap();
        // With `AsSent` the store knows the caller, too, and judges as well: what it never gets whole it cannot judge.
        let store = EmbeddedStore::start(&root, ours(), Arc::new(callers()), Domains::default()).await.unwrap();
        let proxy = proxy_passing(store.address(), pass_through).await;
        let object = root.join("demo/k");
        let put = async |head: &str, body: &[u8]| {
            let mut client = proxy.connect().await;
            client.send(head).await;
            client.send(body).await;
            client.answer().await
        };
        for payload in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
            let (head, right) =
                upload(payload, &[&data[..20], &data[20..]], (payload != SIGNED).then_some(line.as_str()));
            let (answer, error) = put(&head, &right).await;
            assert_eq!(first_line(&answer), "HTTP/1.1 200 OK", "{pass_through:?} {payload}: {error}");
            assert!(std::fs::read(&object).unwrap() == data);
            std::fs::remove_file(&object).unwrap();
            for at in (0..right.len()).step_by(5) {
                let mut wrong = right.clone();
                wrong[at] ^= 1;
                let (answer, error) = put(&head, &wrong).await;
                let status = first_line(&answer);
                let what = format!("{pass_through:?} {payload}: byte {at}: {status} {error}");
                assert!(status.starts_with("HTTP/1.1 400") || status.starts_with("HTTP/1.1 403"), "{what}");
                assert!(!object.exists(), "{what}");
            }
        }
        let left: Vec<_> = std::fs::read_dir(root.join("demo")).unwrap().collect();
        assert!(left.is_empty(), "{pass_through:?}: {left:?}");
    }
}

#[tokio::test]
async fn chunks_that_find_no_room_are_told_to_slow_down_and_others_pass() {
    let store = Store::start().await;
    // For one chunk, also while it is moved as it grows, and not for two.
    let room = HeldBytes::new(2_010_000);
    let layer = layer(PassThrough::Verified).with_held_bytes(room.clone()).build();
    let proxy = Proxy::start_policies(store.address(), options(), layer).await;
    let data = bytes(1_000_000);
    // One chunk, of which the last byte is not sent yet: all of it is held.
    let (head, body) = upload(SIGNED, &[&data], None);
    let (begun, rest) = body.split_at(1_000_000);
    let mut first = proxy.connect().await;
    first.send(&head).await;
    first.send(begun).await;
    let mut upstream = store.accept().await;
    upstream.head().await;

    held(&room, |held| held > 1_000_000).await;

    let mut second = proxy.connect().await;
    let answered = async {
        second.send(&head).await;
        // It may be refused before it was read.
        let _ = second.try_send(begun).await;
        second.answer().await
    };
    let aborted = async {
        let mut upstream = store.accept().await;
        upstream.head().await;
        upstream.rest().await.0
    };
    let ((status, error), passed) = tokio::join!(answered, aborted);
    assert!(passed.is_empty(), "{} bytes of a chunk that was not judged", passed.len());
    assert_eq!(first_line(&status), "HTTP/1.1 503 Service Unavailable");
    assert!(error.contains("<Code>SlowDown</Code>"), "{error}");

    let small = &data[..60_000];
    let (head, body) = upload(SIGNED, &[small], None);
    let mut third = proxy.connect().await;
    third.send(&head).await;
    third.send(&body).await;
    let mut other = store.accept().await;
    let head = other.head().await;
    assert!(verify(&head, &other.bytes(body.len()).await) == small, "an ordinary chunk finds room");
    other.send(OK).await;
    assert_eq!(first_line(&third.answer().await.0), "HTTP/1.1 200 OK");

    first.send(rest).await;
    upstream.bytes(begun.len() + rest.len()).await;
    upstream.send(OK).await;
    assert_eq!(first_line(&first.answer().await.0), "HTTP/1.1 200 OK", "and so does who came first");
    held(&room, |held| held == 0).await;
}

#[tokio::test]
async fn a_client_that_vanishes_in_a_chunk_gives_back_what_was_held() {
    let store = Store::start().await;
    let room = HeldBytes::new(8 << 20);
    let layer = layer(PassThrough::Verified).with_held_bytes(room.clone()).build();
    let proxy = Proxy::start_policies(store.address(), options(), layer).await;
    let data = bytes(1_000_000);
    let (head, body) = upload(SIGNED, &[&data, &data], None);
    // Within the first chunk; and within the second, with the first on its way to a store that does not read.
    for sent in [900_000, 1_900_000] {
        let mut client = proxy.connect().await;
        client.send(&head).await;
        client.send(&body[..sent]).await;
        let mut upstream = store.accept().await;
        upstream.head().await;
        held(&room, |held| held > 800_000).await;
        client.reset();
        held(&room, |held| held == 0).await;
        let (passed, _) = upstream.rest().await;
        assert!(passed.len() < body.len() - data.len() + 1_000, "{}", passed.len());
    }
}

async fn held(room: &HeldBytes, state: impl Fn(usize) -> bool) {
    soon("other count of bytes held", async {
        while !state(room.held()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_chunk_that_keeps_its_signature_is_not_held_whatever_its_size() {
    let store = Store::start().await;
    let proxy = proxy_passing(store.address(), PassThrough::AsSent).await;
    let data = bytes(20 << 20);
    let (head, body) = upload(SIGNED, &[&data], None);
    let (begun, rest) = body.split_at(body.len() / 2);
    let mut client = proxy.connect().await;
    client.send(&head).await;
    let mut upstream = store.accept().await;
    upstream.head().await;
    // Half of a chunk that is longer than one that is held may be; the last piece of what came stays behind.
    let passed = begun.len() - (1 << 20);
    let ((), found) = tokio::join!(client.send(begun), upstream.bytes(passed));
    let ((), more) = tokio::join!(client.send(rest), upstream.bytes(body.len() - passed));
    assert!([found, more].concat() == body);
    upstream.send(OK).await;
    assert_eq!(first_line(&client.answer().await.0), "HTTP/1.1 200 OK");
}
