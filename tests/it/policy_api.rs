//! The contract of `?policy`, through the Layer alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::ownership::Ownership;
use portcullis::policy::{AccountId, Policy};
use portcullis::s3::address::BucketName;
use portcullis::s3::forward::Resign;
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::store::{BoxFuture, Change, Contents, InForce, PolicyRecord, PolicyStore, Revision, StoreError};
use portcullis::{ChangeKind, Handler, Outcome, PassThrough, RequestBody};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::support::stack::{OPEN, OPEN_TO_ALL, SHUT, Stack};
use super::support::{Answer, Caller, OTHER, OWNER, frame_signed, presigned, request, signed, signed_with};

#[tokio::test]
async fn who_may_put_a_policy() {
    for (present, caller, verdict) in [
        (None, "root", "204"),
        (Some(SHUT), "root", "204"),
        (None, "alice", "204"),
        (Some(SHUT), "alice", "403 AccessDenied"),
        (None, "bob", "403 AccessDenied"),
        (Some(OPEN), "bob", "204"),
        (None, "dan", "403 AccessDenied"),
        // Any root user holds every permission on the identity side; what it lacks is the account.
        (None, "stranger", "405 MethodNotAllowed"),
        (Some(OPEN), "stranger", "405 MethodNotAllowed"),
        (Some(SHUT), "stranger", "403 AccessDenied"),
        (None, "carol", "405 MethodNotAllowed"),
        (Some(OPEN), "carol", "405 MethodNotAllowed"),
        (None, "mallory", "403 AccessDenied"),
        // The policy grants to mallory's account, which has not passed it on.
        (Some(OPEN), "mallory", "403 AccessDenied"),
        (Some(OPEN_TO_ALL), "mallory", "405 MethodNotAllowed"),
    ] {
        let stack = Stack::storing();
        if let Some(policy) = present {
            assert_eq!(stack.put(Caller("root"), policy).await.verdict(), "204", "{present:?}");
        }
        let answer = stack.put(Caller(caller), OPEN).await;
        assert_eq!(answer.verdict(), verdict, "{caller} with {present:?}");
        assert_eq!(stack.seen(), 0, "{caller}: a policy call reached the store");
    }
}

#[tokio::test]
async fn nobody_without_a_signature_touches_a_policy() {
    for method in ["PUT", "GET", "DELETE"] {
        let answer = Stack::storing().send(request(method, "/photos?policy", &[], "")).await;
        assert_eq!(answer.verdict(), "403 AccessDenied", "{method}");
    }
}

#[tokio::test]
async fn get_and_delete_ask_the_same_questions() {
    for (caller, get, delete) in [
        ("root", "200", "204"),
        ("alice", "200", "204"),
        ("bob", "403 AccessDenied", "403 AccessDenied"),
        ("dan", "200", "204"),
        ("stranger", "405 MethodNotAllowed", "405 MethodNotAllowed"),
        ("carol", "405 MethodNotAllowed", "405 MethodNotAllowed"),
        ("mallory", "403 AccessDenied", "403 AccessDenied"),
    ] {
        let stack = Stack::storing();
        let harmless = OPEN.replace("s3:*", "s3:ListBucket").replace(r#","arn:aws:s3:::photos/*""#, "");
        assert_eq!(stack.put(Caller("root"), &harmless).await.verdict(), "204");
        assert_eq!(stack.get(Caller(caller)).await.verdict(), get, "{caller}");
        assert_eq!(stack.delete(Caller(caller)).await.verdict(), delete, "{caller}");
        let left = if delete == "204" { "404 NoSuchBucketPolicy" } else { "200" };
        assert_eq!(stack.get(Caller("root")).await.verdict(), left, "after {caller}");
    }
}

#[tokio::test]
async fn a_policy_comes_back_as_it_was_sent() {
    let stack = Stack::storing();
    let sent = OPEN.replace(',', " ,\r\n\t");
    assert_eq!(stack.put(Caller("alice"), &sent).await.verdict(), "204");
    let answer = stack.get(Caller("alice")).await;
    assert_eq!(answer.body, sent);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(stack.delete(Caller("alice")).await.verdict(), "204");
    assert_eq!(stack.delete(Caller("alice")).await.verdict(), "204", "there is nothing to delete, and that is fine");
    assert_eq!(stack.get(Caller("alice")).await.element("Message").unwrap(), "The bucket policy does not exist");
}

#[tokio::test]
async fn every_answer_says_which_request_it_answers() {
    let stack = Stack::storing();
    for answer in [
        stack.put(Caller("root"), OPEN).await,
        stack.get(Caller("root")).await,
        stack.get(Caller("mallory")).await,
        stack.put(Caller("root"), "{").await,
    ] {
        for name in ["x-amz-request-id", "x-amz-id-2", "date"] {
            assert!(answer.headers.contains_key(name), "{name} of {answer:?}");
        }
        assert_eq!(answer.headers["server"], "portcullis");
        if answer.status >= 400 {
            let id = answer.headers["x-amz-request-id"].to_str().unwrap();
            assert_eq!(answer.element("RequestId").unwrap(), id);
            assert_eq!(answer.element("HostId").unwrap(), answer.headers["x-amz-id-2"].to_str().unwrap());
            assert_eq!(answer.element("Resource").unwrap(), "/photos");
        }
    }
}

#[tokio::test]
async fn whose_bucket_it_is_comes_before_the_permission() {
    let stack = Stack::storing();
    let missing = |caller| signed(caller, request("PUT", "/nothing-here?policy", &[], OPEN));
    assert_eq!(stack.send(missing(Caller("root")).await).await.verdict(), "404 NoSuchBucket");
    assert_eq!(stack.send(missing(Caller("mallory")).await).await.verdict(), "404 NoSuchBucket");
    for (expected, verdict) in [
        (OWNER, "204"),
        (OTHER, "403 AccessDenied"),
        ("11112222333", "400 InvalidBucketOwnerAWSAccountID"),
        ("acme", "400 InvalidBucketOwnerAWSAccountID"),
    ] {
        let put = request("PUT", "/photos?policy", &[("x-amz-expected-bucket-owner", expected)], OPEN);
        assert_eq!(stack.send(signed(Caller("root"), put).await).await.verdict(), verdict, "{expected}");
    }
    stack.owners.0.lock().unwrap().insert("photos".to_owned(), Ownership::Unknown);
    assert_eq!(stack.put(Caller("root"), OPEN).await.verdict(), "403 AccessDenied", "nobody's bucket");
}

#[tokio::test]
async fn who_signed_comes_before_the_bucket() {
    let stack = Stack::storing();
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    for (key, secret, at, verdict) in [
        ("NOBODY", "x", now, "403 InvalidAccessKeyId"),
        ("ROOT", "wrong", now, "403 SignatureDoesNotMatch"),
        ("ROOT", "root-secret", now - hour, "403 RequestTimeTooSkewed"),
        ("ROOT", "root-secret", now + hour, "403 RequestTimeTooSkewed"),
    ] {
        let put = request("PUT", "/nothing-here?policy", &[], OPEN);
        assert_eq!(stack.send(signed_with(key, secret, put, at).await).await.verdict(), verdict, "{key} {secret}");
    }
    for (authorization, verdict) in [
        ("AWS AKIDEXAMPLE:c2ln", "400 InvalidRequest"),
        ("AWS4-HMAC-SHA256 nonsense", "400 AuthorizationHeaderMalformed"),
        ("AWS4-ECDSA-P256-SHA256 Credential=x", "501 NotImplemented"),
    ] {
        let put = request("PUT", "/photos?policy", &[("authorization", authorization)], OPEN);
        assert_eq!(stack.send(put).await.verdict(), verdict, "{authorization}");
    }
}

#[tokio::test]
async fn virtual_hosted_and_path_style_are_the_same_bucket() {
    let stack = Stack::storing();
    let mut put = request("PUT", "/?policy", &[], OPEN);
    put.headers_mut().insert("host", "photos.s3.localhost:9000".parse().unwrap());
    assert_eq!(stack.send(signed(Caller("root"), put).await).await.verdict(), "204");
    assert_eq!(stack.get(Caller("root")).await.body, OPEN);
}

#[tokio::test]
async fn a_contradictory_or_misplaced_policy_call_is_refused() {
    for (method, target, verdict) in [
        ("PUT", "/photos?policy&acl", "400 InvalidArgument"),
        ("GET", "/photos?policy=&tagging", "400 InvalidArgument"),
        ("PUT", "/photos/key?policy", "405 MethodNotAllowed"),
        ("POST", "/photos?policy", "405 MethodNotAllowed"),
        ("PUT", "/?policy", "405 MethodNotAllowed"),
        ("PUT", "/a%zz?policy", "400 InvalidURI"),
        ("PUT", "/photos?x=%zz&policy", "400 InvalidURI"),
        ("PUT", "/photos?x=%zz&%70olicy=1", "400 InvalidURI"),
        ("PUT", "/photos?x;policy", "400 InvalidURI"),
        ("GET", "/photos?prefix=a;%70olicy=", "400 InvalidURI"),
    ] {
        let stack = Stack::storing();
        let answer = stack.send(signed(Caller("root"), request(method, target, &[], OPEN)).await).await;
        assert_eq!(answer.verdict(), verdict, "{method} {target}");
        assert_eq!(stack.seen(), 0, "{method} {target}");
    }
}

#[tokio::test]
async fn digests_are_checked_where_they_are_given() {
    let md5 = "1B2M2Y8AsgTpgAmY7PhCfg=="; // of nothing
    for (name, value, verdict) in [
        ("content-md5", md5, "400 BadDigest"),
        ("content-md5", "nonsense", "400 InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "400 BadDigest"),
        ("x-amz-checksum-crc32c", "AAAAAA==", "400 BadDigest"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "400 BadDigest"),
        ("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "400 BadDigest"),
        ("x-amz-checksum-sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "400 BadDigest"),
        ("x-amz-checksum-crc32", "nonsense", "400 InvalidRequest"),
        ("x-amz-content-sha256", &"0".repeat(64), "400 XAmzContentSHA256Mismatch"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "204"),
        ("content-length", "700", "400 IncompleteBody"),
    ] {
        let stack = Stack::storing();
        let mut put = request("PUT", "/photos?policy", &[], OPEN);
        put.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        assert_eq!(stack.send(signed(Caller("root"), put).await).await.verdict(), verdict, "{name}: {value}");
        let stored = if verdict == "204" { "200" } else { "404 NoSuchBucketPolicy" };
        assert_eq!(stack.get(Caller("root")).await.verdict(), stored, "{name}: {value}");
    }
    let crc32 = base64::engine::general_purpose::STANDARD
        .encode((crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, OPEN.as_bytes()) as u32).to_be_bytes());
    let put = request("PUT", "/photos?policy", &[("x-amz-checksum-crc32", &crc32)], OPEN);
    assert_eq!(Stack::storing().send(signed(Caller("root"), put).await).await.verdict(), "204");
}

#[tokio::test]
async fn an_aws_chunked_body_is_taken_apart() {
    let length = OPEN.len();
    let framed = format!("{length:x}\r\n{OPEN}\r\n0\r\nx-amz-checksum-crc32:{{}}\r\n\r\n");
    let crc32 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, OPEN.as_bytes()) as u32;
    for (crc32, verdict) in [(crc32, "204"), (crc32 ^ 1, "400 BadDigest")] {
        let value = base64::engine::general_purpose::STANDARD.encode(crc32.to_be_bytes());
        let headers = [
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", &length.to_string()),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ];
        let stack = Stack::storing();
        let put = request("PUT", "/photos?policy", &headers, framed.replace("{}", &value));
        let answer = stack.send(signed(Caller("root"), put).await).await;
        assert_eq!(answer.verdict(), verdict, "{}", String::from_utf8_lossy(&answer.body));
        if verdict == "204" {
            assert_eq!(stack.get(Caller("root")).await.body, OPEN);
        }
    }
}

#[tokio::test]
async fn signed_chunks_are_held_against_their_signatures() {
    let (first, second) = OPEN.split_at(100);
    // What is done to the framed body, and what comes of it.
    for (forge, verdict) in [
        (None, "204"),
        (Some(("bob", "b0b")), "403 SignatureDoesNotMatch"),
        (Some((";chunk-signature=", ";chunk-signaturX=")), "400 InvalidRequest"),
        (Some(("\r\n0;", "\r\n1;")), "400 IncompleteBody"),
    ] {
        let pieces = [first, second, ""];
        let framed_length: usize = pieces.iter().map(|p| format!("{:x}", p.len()).len() + 17 + 64 + 4 + p.len()).sum();
        let headers = [
            ("content-encoding", "aws-chunked"),
            ("content-length", &framed_length.to_string()),
            ("x-amz-decoded-content-length", &OPEN.len().to_string()),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ];
        let request = signed(Caller("root"), request("PUT", "/photos?policy", &headers, "")).await;
        let mut framed = frame_signed(Caller("root"), &request, &pieces);
        assert_eq!(framed.len(), framed_length);
        if let Some((from, to)) = forge {
            framed = framed.replacen(from, to, 1);
        }
        let stack = Stack::storing();
        let answer = stack.send(request.map(|_| Full::from(framed))).await;
        assert_eq!(answer.verdict(), verdict, "{forge:?}: {}", String::from_utf8_lossy(&answer.body));
        let stored = if verdict == "204" { "200" } else { "404 NoSuchBucketPolicy" };
        assert_eq!(stack.get(Caller("root")).await.verdict(), stored, "{forge:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_what_is_only_wide_is_not() {
    let stack = Stack::storing();
    let wide = OPEN.replacen(',', &format!(",{}", " ".repeat(40_000)), 1);
    assert_eq!(stack.put(Caller("root"), &wide).await.verdict(), "204");
    for length in [30_000, 66_000, 1_000_000] {
        let long = OPEN.replace("Open", &"x".repeat(length));
        let answer = stack.put(Caller("root"), &long).await;
        assert_eq!(answer.verdict(), "400 MalformedPolicy", "{length}");
        assert_eq!(
            answer.element("Message").unwrap(),
            "Normalized policy document exceeds the maximum allowed size of 20480 bytes"
        );
    }
}

#[tokio::test]
async fn nobody_locks_themselves_out_unawares() {
    let stack = Stack::storing();
    let answer = stack.put(Caller("alice"), SHUT).await;
    assert_eq!(answer.verdict(), "403 AccessDenied");
    assert!(answer.element("Message").unwrap().contains("x-amz-confirm-remove-self-bucket-access"));
    let confirm = [("x-amz-confirm-remove-self-bucket-access", "true")];
    let put = request("PUT", "/photos?policy", &confirm, SHUT);
    assert_eq!(stack.send(signed(Caller("alice"), put).await).await.verdict(), "204");
    assert_eq!(stack.put(Caller("alice"), OPEN).await.verdict(), "403 AccessDenied", "now she is out");
    assert_eq!(stack.put(Caller("root"), SHUT).await.verdict(), "204", "the owner's root never is");
}

#[tokio::test]
async fn a_change_is_told_to_the_auditor() {
    let stack = Stack::storing();
    stack.put(Caller("alice"), OPEN).await;
    stack.put(Caller("bob"), "not a policy").await;
    stack.delete(Caller("alice")).await;
    let changes = stack.changes.lock().unwrap().clone();
    let [put, delete] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((put.kind, put.by.as_deref()), (ChangeKind::Put, Some("arn:aws:iam::111122223333:user/alice")));
    assert_eq!(put.account, Some(AccountId::parse(OWNER).unwrap()));
    assert!(matches!(put.outcome, Outcome::Stored { revision: Some(_) }), "{put:?}");
    assert_eq!(put.sha256.as_deref().map(str::len), Some(64));
    assert_eq!(delete.kind, ChangeKind::Delete);
    assert_eq!(stack.store.history(&BucketName::parse("photos").unwrap()).await.unwrap().len(), 2);
}

/// A store that takes a change, and never says what became of it.
#[derive(Debug)]
struct Silent;

impl PolicyStore for Silent {
    fn get<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<PolicyRecord>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn in_force<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<InForce, StoreError>> {
        Box::pin(async { Ok(InForce::default()) })
    }

    fn put<'a>(
        &'a self,
        _: &'a BucketName,
        _: Bytes,
        _: Arc<Policy>,
        _: Change,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn delete<'a>(&'a self, _: &'a BucketName, _: Change) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn put_public_access_block<'a>(
        &'a self,
        _: &'a BucketName,
        _: PublicAccessBlock,
        _: Change,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }

    fn delete_public_access_block<'a>(
        &'a self,
        _: &'a BucketName,
        _: Change,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn purge<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn history<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn list<'a>(&'a self, _: Option<&'a BucketName>, _: usize) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn restore<'a>(&'a self, _: &'a BucketName, _: Contents) -> BoxFuture<'a, Result<Option<u64>, StoreError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_is_told_to_the_auditor_all_the_same() {
    let stack = Stack::with(Arc::default(), Handler::Store(Arc::new(Silent)), PassThrough::AsSent);
    for (method, body, kind) in [("PUT", OPEN, ChangeKind::Put), ("DELETE", "", ChangeKind::Delete)] {
        let call = signed(Caller("alice"), request(method, "/photos?policy", &[], body)).await;
        let mut call = Box::pin(stack.send(call));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
        drop(call);
        let told = stack.changes.lock().unwrap().pop().expect(method);
        assert_eq!((told.kind, told.by.as_deref()), (kind, Some("arn:aws:iam::111122223333:user/alice")));
        assert!(matches!(told.outcome, Outcome::Failed { .. }), "{told:?}");
    }
}

/// A body that comes only after something else has happened.
struct Late<F>(Option<F>, Full<Bytes>);

impl<F: FnOnce() + Unpin> http_body::Body for Late<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if let Some(happen) = self.0.take() {
            happen();
        }
        std::pin::Pin::new(&mut self.1).poll_frame(cx)
    }
}

#[tokio::test]
async fn what_changes_while_the_body_is_on_its_way_counts() {
    let photos = || BucketName::parse("photos").unwrap();
    for (caller, event, verdict) in [
        ("root", "nothing", "204"),
        ("root", "sold", "405 MethodNotAllowed"),
        ("root", "deleted", "404 NoSuchBucket"),
        ("bob", "nothing", "204"),
        ("bob", "shut", "403 AccessDenied"),
    ] {
        let stack = Stack::storing();
        stack.put(Caller("root"), OPEN).await;
        let (owners, store) = (Arc::clone(&stack.owners), Arc::clone(&stack.store));
        let happen = move || {
            let mut owners = owners.0.lock().unwrap();
            match event {
                "sold" => {
                    let other = AccountId::parse(OTHER).unwrap();
                    drop(owners.insert("photos".to_owned(), Ownership::Account(other)));
                }
                "deleted" => owners.clear(),
                "shut" => {
                    let policy = Policy::parse(SHUT.as_bytes(), "photos").unwrap().policy;
                    let change = Change { at: SystemTime::now(), by: String::new(), request_id: String::new() };
                    let bucket = photos();
                    let mut put = store.put(&bucket, Bytes::from_static(SHUT.as_bytes()), Arc::new(policy), change);
                    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                    assert!(put.as_mut().poll(&mut context).is_ready());
                }
                _ => {}
            }
        };
        let put = signed(Caller(caller), request("PUT", "/photos?policy", &[], OPEN)).await;
        let put = put.map(|body| Late(Some(happen), body));
        let inner = service_fn(|_: Request<RequestBody<Late<_>>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let answer = Answer::of(stack.layer.layer(inner).oneshot(put).await.unwrap()).await;
        assert_eq!(answer.verdict(), verdict, "{caller}, {event}");
    }
}

#[tokio::test]
async fn forwarded_calls_carry_the_same_bytes_and_bring_back_the_stores_answer() {
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        let stack = Stack::forwarding(pass_through, None);
        let answer = stack.put(Caller("alice"), OPEN).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"from the store"[..]));
        assert_eq!(stack.get(Caller("alice")).await.body, "from the store");
        assert_eq!(stack.delete(Caller("alice")).await.body, "from the store");
        let seen = stack.seen.lock().unwrap();
        let methods: Vec<_> = seen.iter().map(|(request, _)| request.method().as_str()).collect();
        assert_eq!(methods, ["PUT", "GET", "DELETE"]);
        assert_eq!(seen[0].1, OPEN);
        assert_eq!(seen[0].0.headers()["content-length"], OPEN.len().to_string());
        for (request, _) in seen.iter() {
            assert_eq!(request.uri(), "/photos?policy");
            let resign = request.extensions().get::<Resign>();
            assert_eq!(resign.is_some(), pass_through == PassThrough::Verified);
        }
    }
}

#[tokio::test]
async fn a_forwarded_call_is_held_against_the_stores_own_policy() {
    for (present, caller, verdict) in [
        (SHUT, "root", "200"),
        (SHUT, "alice", "403 AccessDenied"),
        (OPEN, "bob", "200"),
        (OPEN, "carol", "405 MethodNotAllowed"),
    ] {
        let stack = Stack::forwarding(PassThrough::AsSent, Some(present));
        assert_eq!(stack.put(Caller(caller), OPEN).await.verdict(), verdict, "{caller} with {present}");
        assert_eq!(stack.seen(), usize::from(verdict == "200"));
    }
}

#[tokio::test]
async fn what_is_malformed_is_never_forwarded() {
    let stack = Stack::forwarding(PassThrough::AsSent, None);
    assert_eq!(stack.put(Caller("alice"), "{}x").await.verdict(), "400 MalformedPolicy");
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn a_presigned_policy_call_is_judged_like_any_other() {
    for (caller, expected_owner, verdict) in
        [("alice", OWNER, "204"), ("alice", OTHER, "403 AccessDenied"), ("bob", OWNER, "403 AccessDenied")]
    {
        let parameters = [("x-amz-expected-bucket-owner", expected_owner)];
        let put = presigned(Caller(caller), "PUT", "/photos?policy", &parameters, OPEN);
        assert_eq!(Stack::storing().send(put).await.verdict(), verdict, "{caller} {expected_owner}");
    }
}
