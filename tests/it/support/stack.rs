//! A layer in surroundings that a test can look into.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::layer::{Builder, StoreFacts, StoreFactsError};
use portcullis::policy::Policy;
use portcullis::s3::address::{BucketName, Domains, ObjectKey};
use portcullis::s3::aws_chunked::ChunkSigner;
use portcullis::s3::forward::{Resign, SignedPayload};
use portcullis::s3::held_bytes::HeldBytes;
use portcullis::store::memory::MemoryStore;
use portcullis::store::{BoxFuture, PolicySource, StoreError};
use portcullis::{BucketPolicyLayer, Denied, Enforcement, Handler, KeyRule, PassThrough, PolicyChange, RequestBody};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::{Answer, Caller, OTHER, OWNER, Owners, credentials, request, signed};

/// A policy that lets everybody of the owner's account, and `carol` of the other, do anything.
pub(crate) const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Open","Effect":"Allow",
    "Principal":{"AWS":["arn:aws:iam::111122223333:user/bob","arn:aws:iam::444455556666:user/carol","arn:aws:iam::444455556666:root"]},
    "Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}"#;
/// One that denies everybody, root included, to change it.
pub(crate) const SHUT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
    "Action":"s3:*BucketPolicy","Resource":"arn:aws:s3:::photos"}]}"#;

/// One that lets everybody do anything.
pub(crate) const OPEN_TO_ALL: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos"}}"#;

pub(crate) type Seen = Arc<Mutex<Vec<(Request<()>, Bytes)>>>;

/// A layer with its surroundings, and an inner service that records what reaches it and answers `answers`.
pub(crate) struct Stack {
    pub(crate) layer: BucketPolicyLayer,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) owners: Arc<Owners>,
    pub(crate) changes: Arc<Mutex<Vec<PolicyChange>>>,
    pub(crate) denials: Arc<Mutex<Vec<Denied>>>,
    pub(crate) facts: Arc<Facts>,
    /// For all bodies that are held.
    pub(crate) room: HeldBytes,
    pub(crate) seen: Seen,
    pub(crate) inner_status: u16,
    pub(crate) inner_answer: &'static str,
}

impl Stack {
    /// Keeps policies, and lets all other requests pass.
    pub(crate) fn storing() -> Self {
        let store = Arc::new(MemoryStore::default());
        Self::with(store.clone(), Handler::Store(store), PassThrough::AsSent)
    }

    /// Keeps policies, and does with all other requests what `enforcement` says.
    pub(crate) fn deciding(enforcement: Enforcement, pass_through: PassThrough) -> Self {
        let store = Arc::new(MemoryStore::default());
        Self::build(store.clone(), Handler::Store(store), pass_through, enforcement, KeyRule::NoDots)
    }

    pub(crate) fn forwarding(pass_through: PassThrough, present: Option<&str>) -> Self {
        let present = present.map(|text| Arc::new(Fixed(text.to_owned())) as Arc<dyn PolicySource>);
        Self::with(Arc::default(), Handler::Forward { present }, pass_through)
    }

    pub(crate) fn with(store: Arc<MemoryStore>, handler: Handler, pass_through: PassThrough) -> Self {
        Self::build(store, handler, pass_through, Enforcement::Off, KeyRule::NoDots)
    }

    /// The same, where `our-policies`, a bucket of the owner's account, is where the policies are.
    pub(crate) fn reserving(enforcement: Enforcement, pass_through: PassThrough) -> Self {
        let store = Arc::new(MemoryStore::default());
        let handler = Handler::Store(store.clone());
        Self::build_with(store, handler, pass_through, enforcement, KeyRule::NoDots, |layer| {
            layer.with_reserved_bucket(BucketName::parse("our-policies").unwrap())
        })
    }

    pub(crate) fn build(
        store: Arc<MemoryStore>,
        handler: Handler,
        pass_through: PassThrough,
        enforcement: Enforcement,
        key_rule: KeyRule,
    ) -> Self {
        Self::build_with(store, handler, pass_through, enforcement, key_rule, |layer| layer)
    }

    fn build_with(
        store: Arc<MemoryStore>,
        handler: Handler,
        pass_through: PassThrough,
        enforcement: Enforcement,
        key_rule: KeyRule,
        adjust: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let owners = Arc::new(Owners::of(&[("photos", OWNER), ("theirs", OTHER), ("our-policies", OWNER)]));
        let changes = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&changes);
        let denials = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&denials);
        let facts = Arc::new(Facts::default());
        let room = HeldBytes::default();
        let layer = BucketPolicyLayer::builder(Arc::new(credentials()), Arc::clone(&owners) as _, handler)
            .with_domains(Domains::parse(["s3.localhost"]).unwrap())
            .with_pass_through(pass_through)
            .with_enforcement(enforcement)
            .with_key_rule(key_rule)
            .with_store_facts(Arc::clone(&facts) as _)
            .with_held_bytes(room.clone())
            .with_auditor(move |change| log.lock().unwrap().push(change.clone()))
            .with_denial_auditor(move |denied| told.lock().unwrap().push(denied.clone()));
        let layer = adjust(layer).build();
        let (seen, inner_answer) = (Seen::default(), "from the store");
        Self { layer, store, owners, changes, denials, facts, room, seen, inner_status: 200, inner_answer }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (seen, status, owners) = (Arc::clone(&self.seen), self.inner_status, Arc::clone(&self.owners));
        let answer = self.inner_answer;
        let inner = service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
            let (seen, owners) = (Arc::clone(&seen), Arc::clone(&owners));
            async move {
                let (parts, body) = request.into_parts();
                leave_signer(&parts.extensions);
                let Ok(body) = body.collect().await else { return Ok(Response::new(Full::default())) };
                if status < 300 {
                    owners.store_did(&parts);
                }
                seen.lock().unwrap().push((Request::from_parts(parts, ()), body.to_bytes()));
                Ok::<_, Infallible>(Response::builder().status(status).body(Full::from(answer)).unwrap())
            }
        });
        Answer::of(self.layer.layer(inner).oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn put(&self, caller: Caller, policy: &str) -> Answer {
        self.send(signed(caller, request("PUT", "/photos?policy", &[], policy.to_owned())).await).await
    }

    pub(crate) async fn get(&self, caller: Caller) -> Answer {
        self.send(signed(caller, request("GET", "/photos?policy", &[], "")).await).await
    }

    pub(crate) async fn delete(&self, caller: Caller) -> Answer {
        self.send(signed(caller, request("DELETE", "/photos?policy", &[], "")).await).await
    }

    pub(crate) fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// What a service that signs anew does about signed chunks: it leaves a signer, here one that numbers them.
fn leave_signer(extensions: &Extensions) {
    struct Numbers(u64);
    impl ChunkSigner for Numbers {
        fn chunk(&mut self, _: [u8; 32]) -> String {
            self.0 += 1;
            number(self.0)
        }

        fn trailer(&mut self, _: &[u8]) -> String {
            self.chunk([0; 32])
        }
    }
    if let Some(Resign { payload: SignedPayload::Streaming(_, slot), .. }) = extensions.get() {
        slot.put(Box::new(Numbers(0)));
    }
}

/// What stands where the signature of the `n`th chunk stood, from 1 on.
pub(crate) fn number(n: u64) -> String {
    format!("{n:064}")
}

/// What the store would say of its objects and buckets.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The tags of every object and bucket.
    pub(crate) tags: Mutex<Vec<(String, String)>>,
    /// Whether it does not answer.
    pub(crate) is_silent: AtomicBool,
    /// What it was asked.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Facts {
    fn answer(&self, question: String) -> Result<Vec<(String, String)>, StoreFactsError> {
        self.asked.lock().unwrap().push(question);
        match self.is_silent.load(Ordering::Relaxed) {
            true => Err(StoreFactsError { reason: "silent".to_owned() }),
            false => Ok(self.tags.lock().unwrap().clone()),
        }
    }
}

impl StoreFacts for Facts {
    fn object_tags<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>> {
        let answer = self.answer(format!("tags of {bucket}/{key} {}", version.unwrap_or("now")));
        Box::pin(async move { answer })
    }

    fn has_annotations<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
        _version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreFactsError>> {
        let answer = self.answer(format!("annotations of {bucket}/{key}"));
        Box::pin(async move { answer.map(|_| false) })
    }

    fn bucket_tags<'a>(
        &'a self,
        bucket: &'a BucketName,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, StoreFactsError>> {
        let answer = self.answer(format!("tags of {bucket}"));
        Box::pin(async move { answer })
    }

    fn cors<'a>(
        &'a self,
        _bucket: &'a BucketName,
        _key: Option<&'a ObjectKey>,
        origin: &'a HeaderValue,
        method: &'a Method,
    ) -> BoxFuture<'a, HeaderMap> {
        let allowed = origin == "https://app.example" && method == Method::GET;
        let headers = allowed.then(|| (http::header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        Box::pin(async move { headers.into_iter().collect() })
    }
}

struct Fixed(String);

impl PolicySource for Fixed {
    fn policy<'a>(&'a self, bucket: &'a BucketName) -> BoxFuture<'a, Result<Option<Arc<Policy>>, StoreError>> {
        let policy = Policy::parse(self.0.as_bytes(), bucket.as_str()).unwrap().policy;
        Box::pin(async move { Ok(Some(Arc::new(policy))) })
    }
}
