mod archive;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Mutex;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::admin::health::{Admin, Health};
use crate::identity::StaticCredentials;
use crate::layer::{BucketPolicyLayer, ChangeKind, Handler, Outcome, PolicyChange};
use crate::ownership::{BucketOwners, Ownership, OwnershipError};
use crate::policy::AccountId;
use crate::s3::address::BucketName;
use crate::store::{BoxFuture, MemoryRegistry, MemoryStore, OwnerRegistry, PolicyStore};

const TOKEN: &str = "a-token-of-the-tests";
const ACCOUNT: &str = "111122223333";

/// A policy for `bucket`, told apart from others by its key.
fn policy(bucket: &str, principal: &str, key: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"One","Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/{key}"}}]}}"#
    )
}

fn private(bucket: &str, key: &str) -> String {
    policy(bucket, &format!(r#"{{"AWS":"{ACCOUNT}"}}"#), key)
}

/// Every bucket is there and the account's, but those that begin with `no-`.
struct Owners(MemoryRegistry);

impl BucketOwners for Owners {
    fn owner<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Ownership, OwnershipError>> {
        Box::pin(async { Ok(Ownership::Account(AccountId::parse(ACCOUNT).unwrap())) })
    }

    fn exists<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, OwnershipError>> {
        Box::pin(async move { Ok(!bucket.as_str().starts_with("no-")) })
    }

    fn created<'a>(
        &'a self,
        bucket: &'a BucketName,
        creator: Option<&'a AccountId>,
    ) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(async move {
            self.0.set(bucket, creator.unwrap()).await.unwrap();
            Ok(())
        })
    }

    fn deleted<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>> {
        Box::pin(async { Ok(()) })
    }
}

struct OwnersRegistry(Arc<Owners>);

impl OwnerRegistry for OwnersRegistry {
    fn get<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, crate::store::StoreError>> {
        self.0.0.get(bucket)
    }

    fn set<'a>(
        &'a self,
        bucket: &'a BucketName,
        account: &'a AccountId,
    ) -> BoxFuture<'a, Result<(), crate::store::StoreError>> {
        self.0.0.set(bucket, account)
    }

    fn remove<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<bool, crate::store::StoreError>> {
        self.0.0.remove(bucket)
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a BucketName>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<BucketName>, crate::store::StoreError>> {
        self.0.0.list(after, limit)
    }
}

/// The API around a store that the test can look into.
struct Desk {
    directory: tempfile::TempDir,
    store: Arc<MemoryStore>,
    layer: BucketPolicyLayer,
    admin: Admin,
    changes: Arc<Mutex<Vec<PolicyChange>>>,
}

struct Said {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn etag(&self) -> &str {
        self.headers[http::header::ETAG].to_str().unwrap()
    }
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let (store, owners) = (Arc::new(MemoryStore::new()), Arc::new(Owners(MemoryRegistry::new())));
        let changes: Arc<Mutex<Vec<PolicyChange>>> = Arc::default();
        let heard = Arc::clone(&changes);
        let credentials = Arc::new(StaticCredentials::from_iter([]));
        let layer =
            BucketPolicyLayer::builder(credentials, Arc::clone(&owners) as _, Handler::Store(Arc::clone(&store) as _))
                .with_auditor(move |change| heard.lock().unwrap().push(change.clone()))
                .build();
        let administration = layer.administration(Arc::new(OwnersRegistry(owners)));
        let api = AdminApi::new(directory.path().join("token"), administration, Freeze::default());
        let admin = Admin::new(Health::new([]), String::new).with_api(Some(api));
        Self { directory, store, layer, admin, changes }
    }

    fn token_file(&self) -> std::path::PathBuf {
        Path::new(self.directory.path()).join("token")
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Said {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        request.extensions_mut().insert(PeerAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let response = self.admin.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Said { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Said {
        self.send(method, path, &[("authorization", &format!("Bearer {TOKEN}"))], body).await
    }

    async fn ask_if(&self, method: &str, path: &str, condition: (&str, &str), body: &str) -> Said {
        self.send(method, path, &[("authorization", &format!("Bearer {TOKEN}")), condition], body).await
    }

    async fn put(&self, bucket: &str, key: &str) -> u64 {
        let said = self.ask("PUT", &format!("/v1/buckets/{bucket}/policy"), &private(bucket, key)).await;
        assert_eq!(said.status, 200, "{}", said.text);
        said.json()["revision"].as_u64().unwrap()
    }

    async fn present(&self, bucket: &str) -> Option<String> {
        let record = self.store.get(&BucketName::parse(bucket).unwrap()).await.unwrap()?;
        Some(String::from_utf8(record.document.to_vec()).unwrap())
    }

    fn heard(&self) -> Vec<PolicyChange> {
        std::mem::take(&mut *self.changes.lock().unwrap())
    }
}

#[tokio::test]
async fn nothing_is_said_without_the_token() {
    let desk = Desk::new();
    desk.put("photos", "a").await;
    let right = format!("Bearer {TOKEN}");
    let tokens: [(&[(&str, &str)], u16); 9] = [
        (&[("authorization", &right)], 200),
        (&[("authorization", &format!("bearer {TOKEN}"))], 200),
        (&[], 401),
        (&[("authorization", "Bearer ")], 401),
        (&[("authorization", TOKEN)], 401),
        (&[("authorization", &format!("Basic {TOKEN}"))], 401),
        (&[("authorization", &format!("Bearer {TOKEN}x"))], 401),
        (&[("authorization", right.strip_suffix("s").unwrap())], 401),
        (&[("authorization", &right), ("authorization", &right)], 401),
    ];
    for (headers, status) in tokens {
        let said = desk.send("GET", "/v1/buckets/photos/policy", headers, "").await;
        assert_eq!(said.status, status, "{headers:?}");
    }
    // Nor what there is, and what there is not.
    for (method, path) in [
        ("GET", "/v1/"),
        ("GET", "/v1/nothing"),
        ("PATCH", "/v1/buckets"),
        ("PUT", "/v1/buckets/photos/policy"),
        ("POST", "/v1/archive"),
    ] {
        let said = desk.send(method, path, &[], &private("photos", "b")).await;
        assert_eq!((said.status, said.code().as_str()), (401, "Unauthorized"), "{method} {path}");
        assert!(said.headers[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
        assert!(!said.text.contains(TOKEN));
    }
    assert_eq!(desk.present("photos").await, Some(private("photos", "a")));
    // Probes stay open.
    assert_eq!(desk.send("GET", "/livez", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_token_counts_from_when_it_is_written_and_until_it_is_taken_away() {
    let desk = Desk::new();
    let said = async |token: &'static str| {
        desk.send("GET", "/v1/buckets", &[("authorization", &format!("Bearer {token}"))], "").await.status
    };
    assert_eq!(said(TOKEN).await, 200);
    std::fs::write(desk.token_file(), "another-token-of-the-tests").unwrap();
    assert_eq!((said(TOKEN).await, said("another-token-of-the-tests").await), (401, 200));
    std::fs::write(desk.token_file(), "short").unwrap();
    assert_eq!((said("short").await, said("another-token-of-the-tests").await), (503, 503));
    std::fs::remove_file(desk.token_file()).unwrap();
    assert_eq!(said("another-token-of-the-tests").await, 503);
}

#[tokio::test]
async fn without_a_token_file_there_is_no_api_and_without_policies_here_no_use_for_it() {
    let desk = Desk::new();
    let request = || {
        let authorization = format!("Bearer {TOKEN}");
        Request::builder()
            .uri("/v1/buckets")
            .header("authorization", authorization)
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let bare = Admin::new(Health::new([]), String::new);
    assert_eq!(bare.oneshot(request()).await.unwrap().status(), 404);
    let elsewhere = AdminApi::new(desk.token_file(), None, Freeze::default());
    let admin = Admin::new(Health::new([]), String::new).with_api(Some(elsewhere));
    assert_eq!(admin.oneshot(request()).await.unwrap().status(), 501);
}

#[tokio::test]
async fn a_policy_is_put_read_and_deleted_and_every_change_is_told() {
    let desk = Desk::new();
    let path = "/v1/buckets/photos/policy";
    assert_eq!(desk.ask("GET", path, "").await.code(), "NoSuchBucketPolicy");
    let document = format!("{}\r\n\n ", private("photos", "a"));
    let put = desk.ask("PUT", path, &document).await;
    assert_eq!(put.json(), json!({"bucket": "photos", "revision": 1, "warnings": []}));
    assert_eq!(put.etag(), "\"1\"");
    let got = desk.ask("GET", path, "").await;
    assert_eq!((got.text.as_str(), got.etag()), (document.as_str(), "\"1\""));

    assert_eq!(desk.ask("DELETE", path, "").await.json(), json!({"bucket": "photos", "deleted": true}));
    assert_eq!(desk.ask("DELETE", path, "").await.json(), json!({"bucket": "photos", "deleted": false}));
    assert_eq!(desk.ask("GET", path, "").await.status, 404);

    let [put_told, delete_told] = <[PolicyChange; 2]>::try_from(desk.heard()).unwrap();
    assert_eq!((put_told.kind, put_told.by.as_deref()), (ChangeKind::Put, Some("admin")));
    assert_eq!(put_told.outcome, Outcome::Stored { revision: Some(1) });
    assert_eq!(put_told.peer, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert_eq!(put_told.request_id, put.headers["x-amz-request-id"].to_str().unwrap());
    assert_eq!(put_told.sha256.map(|sha256| sha256.len()), Some(64));
    assert_eq!(delete_told.kind, ChangeKind::Delete);
}

#[tokio::test]
async fn what_is_no_policy_is_refused_in_the_words_of_the_api() {
    let desk = Desk::new();
    let path = "/v1/buckets/photos/policy";
    let long = " ".repeat(crate::policy::MAX_BODY + 1);
    for (body, message) in [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        ("{}", "Missing required field Statement"),
        (&private("other", "a"), "Policy has invalid resource"),
        (&long, "Normalized policy document exceeds the maximum allowed size of 20480 bytes"),
    ] {
        let said = desk.ask("PUT", path, body).await;
        let error = &said.json()["error"];
        assert_eq!((said.status, said.code().as_str()), (400, "MalformedPolicy"), "{message}");
        assert_eq!((&error["message"], &error["problems"][0]["message"]), (&json!(message), &json!(message)));
    }
    let said = desk.ask("PUT", "/v1/buckets/no-such/policy", &private("no-such", "a")).await;
    assert_eq!((said.status, said.code().as_str()), (404, "NoSuchBucket"));
    assert_eq!(desk.heard(), []);
    assert_eq!(desk.store.list(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_change_is_made_only_where_what_it_rests_on_still_is() {
    let desk = Desk::new();
    let path = "/v1/buckets/photos/policy";
    let body = private("photos", "z");
    assert_eq!(desk.ask_if("PUT", path, ("if-match", "*"), &body).await.status, 412);
    assert_eq!(desk.ask_if("DELETE", path, ("if-match", "\"1\""), "").await.status, 412);
    assert_eq!(desk.ask_if("PUT", path, ("if-none-match", "*"), &body).await.status, 200);
    let revision = desk.put("photos", "b").await;
    for (condition, status) in [
        (("if-none-match", "*".to_owned()), 412),
        (("if-match", "\"1\"".to_owned()), 412),
        (("if-match", "\"99\", \"98\"".to_owned()), 412),
        (("if-match", format!("{revision}")), 400),
        (("if-match", format!("W/\"{revision}\"")), 400),
        (("if-none-match", "\"1\"".to_owned()), 400),
    ] {
        let said = desk.ask_if("PUT", path, (condition.0, &condition.1), &body).await;
        assert_eq!(said.status, status, "{condition:?}");
        let rollback = format!("{path}/revisions/1/rollback");
        assert_eq!(desk.ask_if("POST", &rollback, (condition.0, &condition.1), "").await.status, status);
        assert_eq!(desk.ask_if("DELETE", path, (condition.0, &condition.1), "").await.status, status);
        assert_eq!(desk.present("photos").await, Some(private("photos", "b")), "{condition:?}");
    }
    let said = desk.ask_if("PUT", path, ("if-match", "\"1\""), &body).await;
    assert_eq!(said.json()["error"]["detail"], "the policy in force is revision 2");
    let both = [("authorization", &*format!("Bearer {TOKEN}")), ("if-match", "\"2\""), ("if-none-match", "*")];
    assert_eq!(desk.send("PUT", path, &both, &body).await.status, 400);
    assert_eq!(desk.ask_if("PUT", path, ("if-match", "\"1\", \"2\""), &body).await.status, 200);
    assert_eq!(desk.present("photos").await, Some(body));
}

/// Many at once that all saw the same revision: one of them is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_changes_that_rest_on_the_same_revision_one_is_made() {
    let desk = Arc::new(Desk::new());
    let mut revision = desk.put("photos", "a").await;
    for _ in 0..5 {
        let tag = format!("\"{revision}\"");
        let calls: Vec<_> = (0..8)
            .map(|n| {
                let (desk, tag) = (Arc::clone(&desk), tag.clone());
                tokio::spawn(async move {
                    let body = private("photos", &n.to_string());
                    desk.ask_if("PUT", "/v1/buckets/photos/policy", ("if-match", &tag), &body).await.status
                })
            })
            .collect();
        let mut statuses = HashMap::new();
        for call in calls {
            *statuses.entry(call.await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(statuses, HashMap::from([(200, 1), (412, 7)]));
        revision += 1;
    }
}

#[tokio::test]
async fn a_change_waits_for_the_turn_of_a_request_through_s3() {
    let desk = Arc::new(Desk::new());
    let bucket = BucketName::parse("photos").unwrap();
    let turn = desk.layer.shared.locks.lock(&bucket).await;
    let other = Arc::clone(&desk);
    let change = tokio::spawn(async move { other.put("photos", "a").await });
    while desk.layer.shared.locks.held_or_awaited(&bucket) < 2 {
        tokio::task::yield_now().await;
    }
    desk.put("videos", "a").await;
    assert!(!change.is_finished());
    assert_eq!(desk.present("photos").await, None);
    drop(turn);
    change.await.unwrap();
    assert_eq!(desk.present("photos").await, Some(private("photos", "a")));
}

#[tokio::test]
async fn a_public_policy_is_blocked_for_the_operator_too() {
    let desk = Desk::new();
    let (path, block) = ("/v1/buckets/photos/policy", "/v1/buckets/photos/public-access-block");
    let open = policy("photos", "\"*\"", "a");
    assert_eq!(desk.ask("PUT", path, &open).await.status, 200);
    assert_eq!(desk.ask("GET", block, "").await.code(), "NoSuchPublicAccessBlockConfiguration");
    assert_eq!(desk.ask("PUT", block, r#"{"BlockPublicPolicy":true}"#).await.status, 200);
    assert_eq!(
        desk.ask("GET", block, "").await.json(),
        json!({"BlockPublicAcls": false, "IgnorePublicAcls": false, "BlockPublicPolicy": true, "RestrictPublicBuckets": false})
    );
    let said = desk.ask("PUT", path, &policy("photos", "\"*\"", "b")).await;
    assert_eq!((said.status, said.code().as_str()), (403, "AccessDenied"));
    assert_eq!(desk.ask("POST", &format!("{path}/revisions/1/rollback"), "").await.status, 403);
    assert_eq!(desk.present("photos").await.as_deref(), Some(&*open), "what was in force stays so");
    desk.put("photos", "c").await;
    assert_eq!(desk.ask("DELETE", block, "").await.json()["deleted"], true);
    assert_eq!(desk.ask("DELETE", block, "").await.json()["deleted"], false);
    assert_eq!(desk.ask("PUT", path, &open).await.status, 200);
    let kinds: Vec<_> = desk.heard().iter().map(|change| change.kind).collect();
    let (put, put_block) = (ChangeKind::Put, ChangeKind::PutPublicAccessBlock);
    assert_eq!(kinds, [put, put_block, put, ChangeKind::DeletePublicAccessBlock, put]);

    for (body, code) in [
        ("", "InvalidArgument"),
        ("{}", "InvalidRequest"),
        (r#"{"blockPublicPolicy":true}"#, "InvalidArgument"),
        (r#"{"BlockPublicPolicy":1}"#, "InvalidArgument"),
    ] {
        let said = desk.ask("PUT", block, body).await;
        assert_eq!((said.status, said.code().as_str()), (400, code), "{body}");
    }
    assert_eq!(desk.ask_if("PUT", block, ("if-match", "*"), r#"{"BlockPublicAcls":true}"#).await.status, 400);
    let nowhere = "/v1/buckets/no-such/public-access-block";
    assert_eq!(desk.ask("PUT", nowhere, r#"{"BlockPublicAcls":true}"#).await.code(), "NoSuchBucket");
}

#[tokio::test]
async fn a_policy_that_locks_users_out_is_put_with_a_warning() {
    let desk = Desk::new();
    let deny = |principal: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Shut","Effect":"Deny","Principal":{principal},"Action":"s3:PutBucketPolicy","Resource":"arn:aws:s3:::photos"}}]}}"#
        )
    };
    let said = desk.ask("PUT", "/v1/buckets/photos/policy", &deny("\"*\"")).await;
    assert_eq!(said.status, 200, "{}", said.text);
    let warning = &said.json()["warnings"][0];
    assert!(warning["message"].as_str().unwrap().contains("s3:PutBucketPolicy"), "{warning}");
    assert_eq!(warning["detail"], "Statement 0 (Sid \"Shut\")");
    let alice = deny(&format!(r#"{{"AWS":"arn:aws:iam::{ACCOUNT}:user/alice"}}"#));
    let said = desk.ask("PUT", "/v1/buckets/photos/policy", &alice).await;
    assert_eq!(said.json()["warnings"], json!([]));
}

#[tokio::test]
async fn the_history_is_told_and_gone_back_in() {
    let desk = Desk::new();
    let path = "/v1/buckets/photos/policy";
    assert_eq!(desk.ask("GET", &format!("{path}/revisions"), "").await.json()["revisions"], json!([]));
    let first = desk.put("photos", "a").await;
    desk.ask("DELETE", path, "").await;
    desk.put("photos", "b").await;
    let history = desk.ask("GET", &format!("{path}/revisions"), "").await.json();
    let told: Vec<_> = history["revisions"].as_array().unwrap().iter().collect();
    let column = |name: &str| told.iter().map(|revision| revision[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("revision"), [3, 2, 1]);
    assert_eq!(column("action"), ["put", "delete", "put"]);
    assert_eq!(column("in_force"), [true, false, false]);
    assert_eq!(column("by"), ["admin", "admin", "admin"]);
    let size = private("photos", "a").len();
    assert_eq!(column("size"), [json!(size), Value::Null, json!(size)]);

    let old = desk.ask("GET", &format!("{path}/revisions/{first}"), "").await;
    assert_eq!((old.text.as_str(), old.etag()), (private("photos", "a").as_str(), "\"1\""));
    for (revision, status, code) in [
        ("2", 409, "RevisionIsDeletion"),
        ("4", 404, "NoSuchRevision"),
        ("+1", 400, "InvalidArgument"),
        ("99999999999999999999", 400, "InvalidArgument"),
    ] {
        for (method, end) in [("GET", ""), ("POST", "/rollback")] {
            let said = desk.ask(method, &format!("{path}/revisions/{revision}{end}"), "").await;
            assert_eq!((said.status, said.code().as_str()), (status, code), "{method} {revision}");
        }
    }
    let back = desk.ask("POST", &format!("{path}/revisions/{first}/rollback"), "").await;
    assert_eq!(back.json()["revision"], 4);
    assert_eq!(desk.present("photos").await, Some(private("photos", "a")));
    let kinds: Vec<_> = desk.heard().iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Put, ChangeKind::Delete, ChangeKind::Put, ChangeKind::Put]);
}

#[tokio::test]
async fn buckets_are_listed_page_by_page() {
    let desk = Desk::new();
    for bucket in ["ccc", "aaa", "bbb", "ddd"] {
        desk.put(bucket, "a").await;
    }
    desk.ask("DELETE", "/v1/buckets/bbb/policy", "").await;
    desk.ask("PUT", "/v1/buckets/eee/public-access-block", r#"{"RestrictPublicBuckets":true}"#).await;
    desk.ask("PUT", "/v1/buckets/ddd/policy", &policy("ddd", "\"*\"", "a")).await;
    for (query, expected) in [
        ("", vec!["aaa", "ccc", "ddd"]),
        ("&all=false", vec!["aaa", "ccc", "ddd"]),
        ("&all=true", vec!["aaa", "bbb", "ccc", "ddd", "eee"]),
    ] {
        for limit in 1..=6 {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let said = desk.ask("GET", &format!("/v1/buckets?limit={limit}{query}{after}"), "").await.json();
                let names: Vec<_> = said["buckets"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|b| b["bucket"].as_str().unwrap().to_owned())
                    .collect();
                assert!(names.len() <= limit, "{said}");
                found.extend(names);
                match said["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{query} by {limit}");
        }
    }
    let said = desk.ask("GET", "/v1/buckets?after=ccc&all=true", "").await.json();
    assert_eq!(said["buckets"][0]["policy"]["public"], true);
    assert_eq!(said["buckets"][0]["policy"]["by"], "admin");
    assert_eq!(said["buckets"][1]["policy"], Value::Null);
    assert_eq!(said["buckets"][1]["public_access_block"]["RestrictPublicBuckets"], true);
    for query in ["limit=0", "limit=1001", "limit=x", "all=yes", "after=a/b", "limit=1&limit=2", "prefix=a"] {
        assert_eq!(desk.ask("GET", &format!("/v1/buckets?{query}"), "").await.status, 400, "{query}");
    }
}

/// A page may end before it is full, where most of what is kept is not to be shown.
#[tokio::test]
async fn a_page_is_bounded_by_what_is_looked_at() {
    let desk = Desk::new();
    for n in 10..22 {
        let path = format!("/v1/buckets/block-{n}/public-access-block");
        assert_eq!(desk.ask("PUT", &path, r#"{"BlockPublicAcls":true}"#).await.status, 200);
    }
    desk.put("shown", "a").await;
    let first = desk.ask("GET", "/v1/buckets?limit=1", "").await.json();
    assert_eq!(first, json!({"buckets": [], "next": "block-19"}));
    let second = desk.ask("GET", "/v1/buckets?limit=1&after=block-19", "").await.json();
    assert_eq!((&second["buckets"][0]["bucket"], second["buckets"].as_array().unwrap().len()), (&json!("shown"), 1));
}

#[tokio::test]
async fn paths_and_methods_are_those_there_are() {
    let desk = Desk::new();
    for (method, path, status) in [
        ("GET", "/v1/", 404),
        ("GET", "/v1/buckets/", 404),
        ("GET", "/v1/buckets/photos", 404),
        ("GET", "/v1/buckets/photos/policy/", 404),
        ("GET", "/v1/buckets//policy", 400),
        ("GET", "/v1/buckets/a%62c/policy", 400),
        ("GET", "/v1/buckets/photos/policy?x", 400),
        ("GET", "/v2/buckets", 404),
        ("POST", "/v1/buckets/photos/policy", 405),
        ("DELETE", "/v1/buckets", 405),
        ("GET", "/v1/buckets/photos/policy/revisions/1/rollback", 405),
        ("HEAD", "/v1/buckets", 200),
    ] {
        let said = desk.ask(method, path, "").await;
        assert_eq!(said.status, status, "{method} {path}");
        assert_eq!(said.headers.contains_key(ALLOW), status == 405, "{method} {path}");
    }
}
