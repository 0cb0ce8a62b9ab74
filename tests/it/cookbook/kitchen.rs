//! Sends a recipe's requests through the Layer.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test ends at its first surprise")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::policy::{Account, AccountId, CanonicalUserId, Policy, Principal};
use portcullis::s3::address::Domains;
use portcullis::store::memory::MemoryStore;
use portcullis::{
    BucketPolicyLayer, ClientTls, Enforcement, Handler, PassThrough, PeerAddress, RequestBody, TlsVersion,
};
use time::macros::{datetime, format_description};
use time::{Date, OffsetDateTime};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::super::support::stack::Facts;
use super::super::support::{Answer, Caller, Owners, presigned_target, request, signed_with};
use super::document::{Cookbook, Person, Recipe, Row};

/// The account of the buckets whose names do not say otherwise, and that of those named `partner-…`.
const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
/// When a request is made that does not say.
const NOON: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

thread_local! {
    /// The time of the Layer, which takes a plain function for its clock.
    static NOW: Cell<SystemTime> = const { Cell::new(SystemTime::UNIX_EPOCH) };
}

/// What becomes of each row's request: `allowed`, `denied`, or another answer as it is.
pub(crate) async fn answers(cookbook: &Cookbook, recipe: &Recipe) -> Vec<String> {
    let mut answers = Vec::new();
    for row in &recipe.rows {
        answers.push(answer(cookbook, recipe, row).await);
    }
    answers
}

async fn answer(cookbook: &Cookbook, recipe: &Recipe, row: &Row) -> String {
    let order = Order::of(row);
    NOW.set(order.at);
    let facts = Arc::new(Facts::default());
    *facts.tags.lock().unwrap() = order.object_tags.clone();
    let layer = layer(cookbook, recipe, Arc::clone(&facts));
    for (bucket, policy) in recipe.policies.iter().filter(|(whose, _)| cookbook.person(whose).is_none()) {
        let put = request("PUT", &format!("/{bucket}?policy"), &[], policy.clone());
        let put = sign(Caller("owner"), put, order.at).await;
        let answer = send(&layer, put).await;
        assert_eq!(answer.verdict(), "204", "{}: the policy of {bucket}: {answer:?}", recipe.title);
    }
    match send(&layer, order.request(recipe, row).await).await.verdict().as_str() {
        "200" | "204" => "allowed".to_owned(),
        "403 AccessDenied" => "denied".to_owned(),
        other => other.to_owned(),
    }
}

/// What a row's third column says.
struct Order {
    headers: Vec<(String, String)>,
    object_tags: Vec<(String, String)>,
    peer: IpAddr,
    tls: Option<TlsVersion>,
    at: SystemTime,
    signed: SystemTime,
    is_presigned: bool,
}

impl Order {
    fn of(row: &Row) -> Self {
        let mut at = NOON;
        let mut age = Duration::ZERO;
        let mut order = Self {
            headers: Vec::new(),
            object_tags: Vec::new(),
            peer: IpAddr::from([203, 0, 113, 9]),
            tls: Some(TlsVersion::V1_3),
            at: SystemTime::UNIX_EPOCH,
            signed: SystemTime::UNIX_EPOCH,
            is_presigned: false,
        };
        for item in &row.with {
            let minutes = |text: &str| {
                let minutes = text.strip_suffix(" minutes ago").and_then(|minutes| minutes.parse::<u64>().ok());
                Duration::from_secs(60 * minutes.unwrap_or_else(|| panic!("line {}: `{item}`", row.line)))
            };
            let pair = |text: &str, separator| {
                let (name, value) = text.split_once(separator).unwrap();
                (name.to_owned(), value.to_owned())
            };
            match item.split_once(' ').unwrap_or((item, "")) {
                ("from", address) => order.peer = address.parse().unwrap(),
                ("without", "TLS") => order.tls = None,
                ("TLS", "1.2") => order.tls = Some(TlsVersion::V1_2),
                ("on", date) => {
                    let date = Date::parse(date, format_description!("[year]-[month]-[day]")).unwrap();
                    at = date.with_hms(12, 0, 0).unwrap().assume_utc();
                }
                ("signed", ago) => age = minutes(ago),
                ("presigned", ago) => {
                    order.is_presigned = true;
                    age = minutes(ago);
                }
                ("object", tagged) => order.object_tags.push(pair(tagged.strip_prefix("tagged ").unwrap(), "=")),
                (name, _) if name.ends_with(':') => order.headers.push(pair(item, ": ")),
                _ => panic!("line {}: `{item}`", row.line),
            }
        }
        order.at = at.into();
        order.signed = order.at - age;
        order
    }

    async fn request(&self, recipe: &Recipe, row: &Row) -> Request<Full<Bytes>> {
        let (method, target) = row.request.split_once(' ').unwrap();
        let target = format!("/{}", target.trim_start_matches('/'));
        let body = match target.strip_suffix("?policy") {
            // Whoever puts a policy puts the recipe's.
            Some(bucket) if method == "PUT" => {
                recipe.policies.iter().find(|(whose, _)| bucket.trim_start_matches('/') == whose).unwrap().1.clone()
            }
            _ => String::new(),
        };
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let caller = (row.who != "anonymous").then(|| caller(&row.who));
        let mut request = match caller {
            Some(caller) if self.is_presigned => {
                let week = Duration::from_secs(7 * 24 * 60 * 60);
                request(method, &presigned_target(caller, method, &target, self.signed, week), &headers, body)
            }
            Some(caller) => sign(caller, request(method, &target, &headers, body), self.signed).await,
            None => request(method, &target, &headers, body),
        };
        request.extensions_mut().insert(PeerAddress(self.peer));
        if let Some(version) = self.tls {
            request.extensions_mut().insert(ClientTls { version: Some(version) });
        }
        request
    }
}

fn layer(cookbook: &Cookbook, recipe: &Recipe, facts: Arc<Facts>) -> BucketPolicyLayer {
    let people = cookbook.people.iter().map(|person| {
        let own = recipe.policies.iter().filter(|(whose, _)| *whose == person.name);
        let own = own.map(|(_, text)| match Policy::parse_identity(text.as_bytes()) {
            Ok(valid) => Arc::new(valid.policy),
            Err(error) => panic!("{}: {}'s policy: {error}", recipe.title, person.name),
        });
        let caller = caller(&person.name);
        Credential {
            access_key_id: AccessKeyId::new(caller.key()),
            secret: SecretKey::new(caller.secret()),
            session_token: None,
            identity: Arc::new(Identity { principal: person.principal(), policies: own.collect() }),
        }
    });
    let people: StaticCredentials = people.collect();
    let of_tables = recipe.rows.iter().map(|row| row.request.split_once(' ').unwrap().1);
    let sources = recipe.rows.iter().flat_map(|row| &row.with);
    let sources = sources.filter_map(|item| item.strip_prefix("x-amz-copy-source: /"));
    let bucket = |path: &str| path.split(['/', '?']).next().map(str::to_owned).filter(|name| !name.is_empty());
    let mut buckets: Vec<String> = of_tables.chain(sources).filter_map(bucket).collect();
    buckets.extend(recipe.policies.iter().map(|(whose, _)| whose.clone()));
    let owners: Vec<_> =
        buckets.iter().map(|bucket| (bucket.as_str(), ACCOUNTS[usize::from(bucket.starts_with("partner-"))])).collect();
    BucketPolicyLayer::builder(
        Arc::new(people),
        Arc::new(Owners::of(&owners)),
        Handler::Store(Arc::new(MemoryStore::default())),
    )
    .with_domains(Domains::parse(["s3.localhost"]).unwrap())
    .with_pass_through(PassThrough::Verified)
    .with_enforcement(Enforcement::Enforce)
    .with_store_facts(facts)
    .with_clock(|| NOW.get())
    .build()
}

async fn send(layer: &BucketPolicyLayer, request: Request<Full<Bytes>>) -> Answer {
    let inner = service_fn(|_: Request<RequestBody<Full<Bytes>>>| async {
        // What a store answers that has no buckets; nobody reads it but who asks for its buckets.
        Ok::<_, Infallible>(Response::new(Full::from("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>")))
    });
    Answer::of(layer.layer(inner).oneshot(request).await.unwrap()).await
}

async fn sign(caller: Caller, request: Request<Full<Bytes>>, at: SystemTime) -> Request<Full<Bytes>> {
    signed_with(&caller.key(), &caller.secret(), request, at).await
}

/// Callers have names that live as long as the test.
fn caller(name: &str) -> Caller {
    Caller(name.to_owned().leak())
}

impl Cookbook {
    fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }
}

impl Person {
    fn principal(&self) -> Principal {
        let parts: Vec<_> = self.arn.splitn(6, ':').collect();
        let account = AccountId::parse(parts[4]).unwrap();
        let canonical_id = CanonicalUserId::parse(&format!("{:0>64}", parts[4])).unwrap();
        let account = Account { id: account, canonical_id };
        let tags: BTreeMap<_, _> = self.tags.iter().cloned().collect();
        match parts[5].split('/').collect::<Vec<_>>().as_slice() {
            ["root"] => Principal::root(account),
            ["user", name] => Principal::user(account, "/", *name, format!("AIDA{name}"), tags),
            ["assumed-role", role, session] => {
                Principal::assumed_role(account, "/", *role, *session, format!("AROA{role}:{session}"), tags)
            }
            _ => panic!("{}", self.arn),
        }
    }
}
