//! Policies enforced on real sockets: whatever bytes come, the store gets what was decided or nothing.
//!
//! - `framing`: where a request ends, and what hides behind it
//! - `headers`: headers and trailers that would not reach the store as they were decided on
//! - `targets`: targets and hosts
//! - `http2`: the same by frames
//! - `authz`: questions of proxies that carry the bytes themselves
//! - `callers`: who asks, from where and how
//! - `changes`: policies that change under load
//! - `hygiene`: places and connections of requests that are denied

mod authz;
mod callers;
mod changes;
mod facts;
mod framing;
mod headers;
mod http2;
mod hygiene;
mod recorder;
mod targets;

use std::sync::Arc;

use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::ownership::fixed::OneOwner;
use portcullis::policy::{Account, AccountId, CanonicalUserId, Principal};
use portcullis::s3::address::Domains;
use portcullis::store::PolicyStore;
use portcullis::store::memory::MemoryStore;
use portcullis::upstream::UpstreamCredentials;
use portcullis::{BucketPolicyLayer, Enforcement, Handler, PassThrough};

use self::recorder::{Asked, Recorder};
use crate::policies::head_with;
use crate::stores::key;
use crate::support::{Options, Proxy, Wire, first_line};

/// The owner's root.
const ROOT: (&str, &str) = ("ROOT", "root-secret");
const ACCOUNT: &str = "111122223333";
/// As the caller signed it, and signed anew.
const BOTH: [PassThrough; 2] = [PassThrough::AsSent, PassThrough::Verified];

/// Everybody may read and write below `open/`; elsewhere only under a condition, which the folder is called after.
const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::photos/open/*"},
    {"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/open/secret*"},
    {"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos",
        "Condition":{"StringLike":{"s3:prefix":"open/*"}}},
    {"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::photos/acl/*",
        "Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}},
    {"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/sse/*",
        "Condition":{"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}}},
    {"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/new/*",
        "Condition":{"StringEquals":{"s3:if-none-match":"*"}}},
    {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/net/*",
        "Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}},
    {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/tls/*",
        "Condition":{"Bool":{"aws:SecureTransport":"true"}}},
    {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/page/*",
        "Condition":{"StringEquals":{"aws:Referer":"https://example.com/"}}}
    ]}"#;

/// A layer that enforces, with its policies in `store`.
fn enforcing(pass_through: PassThrough, store: Arc<dyn PolicyStore>) -> BucketPolicyLayer {
    let id = AccountId::parse(ACCOUNT).unwrap();
    let account = Account { id: id.clone(), canonical_id: CanonicalUserId::parse(&"ab".repeat(32)).unwrap() };
    let root = Credential {
        access_key_id: AccessKeyId::new(ROOT.0),
        secret: SecretKey::new(ROOT.1),
        session_token: None,
        identity: Arc::new(Identity { principal: Principal::root(account), policies: Vec::new() }),
    };
    let credentials: StaticCredentials = [root].into_iter().collect();
    BucketPolicyLayer::builder(Arc::new(credentials), Arc::new(OneOwner::new(id)), Handler::Store(store))
        .with_domains(Domains::parse(["s3.localhost"]).unwrap())
        .with_pass_through(pass_through)
        .with_enforcement(Enforcement::Enforce)
        .with_store_facts(Arc::new(facts::Plain))
        .build()
}

fn with_credentials(options: Options) -> Options {
    Options { credentials: UpstreamCredentials::new(Some(&key("STORE")), []), ..options }
}

/// A proxy that enforces [`OPEN`] on `photos`, before a store that notes what it is asked.
struct Gate {
    proxy: Proxy,
    recorder: Recorder,
}

impl Gate {
    async fn start(pass_through: PassThrough) -> Self {
        Self::start_with(pass_through, Options::default()).await
    }

    async fn start_with(pass_through: PassThrough, options: Options) -> Self {
        let recorder = Recorder::start().await;
        let layer = enforcing(pass_through, Arc::new(MemoryStore::default()));
        let proxy = Proxy::start_policies(recorder.address(), with_credentials(options), layer).await;
        put_policy(&mut proxy.connect().await, OPEN).await;
        Self { proxy, recorder }
    }

    /// Stops all, and answers what the store was asked.
    async fn end(mut self) -> Vec<Asked> {
        self.proxy.stop();
        self.proxy.stopped().await;
        self.recorder.end().await
    }
}

/// Puts a policy in force for `photos`, as root.
async fn put_policy(client: &mut Wire, policy: &str) {
    let head = signed("PUT", "/photos?policy", &[]);
    client.send(format!("{head}Content-Length: {}\r\n\r\n{policy}", policy.len())).await;
    let head = client.head().await;
    assert_eq!(first_line(&head), "HTTP/1.1 204 No Content", "{policy}: {head}");
}

/// What a proxy of its own answers to `sent`, and what its store is asked meanwhile.
async fn exchange(pass_through: PassThrough, sent: &[u8]) -> (Vec<String>, Vec<Asked>) {
    let gate = Gate::start(pass_through).await;
    let mut client = gate.proxy.connect().await;
    // A request may be refused, and the connection closed, before all of it is sent.
    let _ = client.try_send(sent).await;
    let _ = client.try_half_close().await;
    let answers = verdicts(&client.rest().await.0);
    drop(client);
    (answers, gate.end().await)
}

/// The statuses of all answers in `bytes`, each with its S3 code where it has one.
fn verdicts(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let answers = text.split("HTTP/1.1 ").skip(1).map(|answer| {
        let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let status = answer.get(..3).unwrap_or_default();
        code.map_or_else(|| status.to_owned(), |(code, _)| format!("{status} {code}"))
    });
    let old = text.split("HTTP/1.0 ").skip(1).map(|answer| answer.get(..3).unwrap_or_default().to_owned());
    answers.chain(old).collect()
}

/// The first lines of what the store was asked, each with its body where there is one.
fn lines(asked: &[Asked]) -> Vec<String> {
    asked.iter().map(Asked::to_string).collect()
}

/// The head of a request signed by root with these headers, without the empty line.
fn signed(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    head_with(ROOT, method, target, headers)
}
