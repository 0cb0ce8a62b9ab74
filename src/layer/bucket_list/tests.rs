use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use proptest::prelude::*;

use super::*;
use crate::policy::CanonicalUserId;

const OURS: &str = "111122223333";
const THEIRS: &str = "444455556666";
const SHOWN: &str = "abababababababababababababababababababababababababababababababab";

fn account() -> Account {
    Account { id: AccountId::parse(OURS).unwrap(), canonical_id: CanonicalUserId::from_bytes([0xab; 32]) }
}

/// Names the owner by the name's beginning, and lets itself be asked again as often as the name is long, to come late and
/// out of turn.
#[derive(Default)]
struct ByName {
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    is_slow: bool,
}

impl ByName {
    fn slow() -> Self {
        Self { is_slow: true, ..Self::default() }
    }
}

impl BucketOwners for ByName {
    fn owner<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        Box::pin(async { panic!("a listed bucket's existence is not asked for") })
    }

    fn owner_of_listed<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_at_once.fetch_max(now, Ordering::Relaxed);
            if self.is_slow {
                let last = bucket.as_str().bytes().last().unwrap();
                for _ in 0..(usize::from(last) * 7) % 5 {
                    tokio::task::yield_now().await;
                }
            }
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            match bucket.as_str().get(..3) {
                Some("our") => Ok(Ownership::Account(AccountId::parse(OURS).unwrap())),
                Some("the") => Ok(Ownership::Account(AccountId::parse(THEIRS).unwrap())),
                Some("bad") => Err(OwnershipError { bucket: bucket.clone(), reason: "the store is down".to_owned() }),
                Some("non") => Ok(Ownership::NoSuchBucket),
                _ => Ok(Ownership::Unknown),
            }
        })
    }

    fn exists<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(async { panic!("not asked") })
    }

    fn created<'a>(&'a self, _: &'a BucketName, _: Option<&'a AccountId>) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(async { panic!("not asked") })
    }

    fn deleted<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(async { panic!("not asked") })
    }
}

/// A body of these pieces, which keeps its reader waiting before each.
struct Pieces {
    left: VecDeque<Bytes>,
    is_waiting: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.is_waiting = !self.is_waiting;
        if self.is_waiting {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

fn pieces(text: &str, cuts: &[usize]) -> Pieces {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([text.len()]).collect();
    ends.sort_unstable();
    let mut from = 0;
    let left =
        ends.into_iter().map(|end| Bytes::copy_from_slice(&text.as_bytes()[std::mem::replace(&mut from, end)..end]));
    Pieces { left: left.collect(), is_waiting: false }
}

fn bucket(name: &str) -> String {
    format!("<Bucket><Name>{name}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>")
}

fn list(names: &[&str], owner: &str) -> String {
    let buckets: String = names.iter().map(|name| bucket(name)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult><Owner>{owner}</Owner><Buckets>{buckets}</Buckets>\
         <ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>"
    )
}

const NAMES: [&str; 9] =
    ["ours-1", "theirs-1", "unknown", "ours-22", "none-there", "theirs-333", "a b", "ours-4444", "ours-5"];

fn expected() -> String {
    list(&["ours-1", "ours-22", "ours-4444", "ours-5"], &format!("<ID>{SHOWN}</ID><DisplayName>acme</DisplayName>"))
}

async fn filter<R>(owners: Arc<ByName>, body: R) -> Result<String, String>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let response = filtered(Response::new(body), owners, &account(), Some("acme"), None).unwrap();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn only_the_callers_buckets_are_shown_in_the_stores_order() {
    let sent = list(&NAMES, "<ID>0000</ID>");
    for owners in [ByName::default(), ByName::slow()] {
        let owners = Arc::new(owners);
        assert_eq!(filter(Arc::clone(&owners), Full::new(Bytes::from(sent.clone()))).await, Ok(expected()));
        assert_eq!(owners.asked.load(Ordering::Relaxed), 8, "once of each that can be asked for");
    }
}

#[tokio::test]
async fn ten_thousand_buckets_are_asked_for_a_few_at_a_time() {
    let names: Vec<String> =
        (0..10_000).map(|n| format!("{}-{n}", if n % 3 == 0 { "ours" } else { "theirs" })).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let kept: Vec<&str> = names.iter().copied().filter(|name| name.starts_with("ours")).collect();
    for owners in [ByName::default(), ByName::slow()] {
        let owners = Arc::new(owners);
        let found = filter(Arc::clone(&owners), pieces(&list(&names, ""), &[])).await.unwrap();
        assert!(found == list(&kept, &format!("<ID>{SHOWN}</ID><DisplayName>acme</DisplayName>")));
        assert_eq!(owners.asked.load(Ordering::Relaxed), 10_000);
        let most = owners.most_at_once.load(Ordering::Relaxed);
        assert!(if owners.is_slow { (2..=LOOKUPS).contains(&most) } else { most == 1 }, "{most} at once");
    }
}

#[tokio::test]
async fn what_goes_wrong_breaks_the_answer_off() {
    for (sent, names) in [
        (list(&["ours-1", "bad-1", "ours-2"], ""), "the store is down"),
        (list(&["ours-1"], "").replace("</Buckets>", ""), "malformed"),
        (list(&["ours-1"], "").replace("</ListAllMyBucketsResult>", ""), "ends early"),
        ("{\"Buckets\": []}".to_owned(), "malformed"),
    ] {
        for owners in [ByName::default(), ByName::slow()] {
            let error = filter(Arc::new(owners), pieces(&sent, &[])).await.expect_err(&sent);
            assert!(error.contains(names), "{sent}: {error}");
        }
    }
}

#[tokio::test]
async fn after_an_error_there_is_nothing_more() {
    let sent = list(&["bad-1", "ours-2"], "");
    let response =
        filtered(Response::new(pieces(&sent, &[])), Arc::new(ByName::default()), &account(), None, None).unwrap();
    let mut body = response.into_body();
    let mut seen = Vec::new();
    loop {
        match body.frame().await {
            Some(Ok(frame)) => seen.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(_)) => break,
            None => panic!("the body ended as if it were right"),
        }
    }
    assert!(body.is_end_stream() && body.frame().await.is_none());
    assert!(!String::from_utf8(seen).unwrap().contains("ours-2"));
}

/// Fails after its pieces.
struct Broken(Mutex<Option<Bytes>>);

impl Body for Broken {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(match self.0.lock().unwrap().take() {
            Some(bytes) => Ok(Frame::data(bytes)),
            None => Err("connection reset".into()),
        }))
    }
}

#[tokio::test]
async fn a_store_that_breaks_off_is_not_a_list_that_ended() {
    let sent = list(&["ours-1"], "");
    let error = filter(Arc::new(ByName::slow()), Broken(Mutex::new(Some(Bytes::from(sent))))).await.unwrap_err();
    assert!(error.contains("connection reset"), "{error}");
}

fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

#[tokio::test]
async fn what_lists_nothing_passes_as_it_is() {
    for status in [301, 304, 403, 500] {
        let sent = answer(status, &[("content-length", "8"), ("content-encoding", "gzip"), ("etag", "x")], "<Error/>");
        let headers = sent.headers().clone();
        let passed = filtered(sent, Arc::new(ByName::default()), &account(), None, None).unwrap();
        assert_eq!((passed.status().as_u16(), passed.headers()), (status, &headers));
        assert_eq!(passed.into_body().collect().await.unwrap().to_bytes(), "<Error/>");
    }
}

#[tokio::test]
async fn headers_of_the_whole_list_do_not_go_with_a_part_of_it() {
    let body = "<ListAllMyBucketsResult/>";
    let sent = [
        ("content-length", "25"),
        ("content-md5", "x"),
        ("etag", "x"),
        ("x-amz-checksum-crc32", "x"),
        ("content-type", "application/xml"),
        ("content-encoding", "Identity"),
        ("x-amz-request-id", "1"),
    ];
    let kept: HashMap<&str, &str> = sent.into_iter().skip(4).collect();
    let passed = filtered(answer(200, &sent, body), Arc::new(ByName::default()), &account(), None, None).unwrap();
    let found = passed.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    assert_eq!(found.collect::<HashMap<_, _>>(), kept);
    assert_eq!(passed.body().size_hint().upper(), None);

    for coding in ["gzip", "identity, br", "zstd"] {
        let sent = answer(200, &[("content-encoding", coding)], body);
        let error = filtered(sent, Arc::new(ByName::default()), &account(), None, None).expect_err(coding);
        assert_eq!(error.code(), ErrorCode::BadGateway, "{coding}");
    }
}

#[test]
fn a_request_asks_for_what_can_be_filtered() {
    let mut headers = HeaderMap::new();
    for name in ["range", "if-none-match", "accept-encoding", "te", "x-amz-date"] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    ask_plainly(&mut headers);
    let mut left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    left.sort_unstable();
    assert_eq!(left, [("accept-encoding", "identity"), ("x-amz-date", "x")]);
}

proptest! {
    #[test]
    fn any_pieces_give_the_same(cuts in proptest::collection::vec(any::<usize>(), 0..60), is_slow in any::<bool>()) {
        let owners = Arc::new(if is_slow { ByName::slow() } else { ByName::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sent = pieces(&list(&NAMES, "<ID>0000</ID>"), &cuts);
        prop_assert_eq!(runtime.block_on(filter(owners, sent)), Ok(expected()));
    }
}
