use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use tokio::sync::Semaphore;

use super::*;
use crate::ownership::BucketPattern;
use crate::store::{MemoryRegistry, StoreError};

const FIXED: &str = "111111111111";
const CREATOR: &str = "222222222222";
const BY_ACL: &str = "333333333333";
const DEFAULT: &str = "444444444444";

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn canonical_id() -> String {
    "ab".repeat(32)
}

/// A store behind us that answers as it is told to, and counts what it is asked.
struct ScriptedProbe {
    there: Mutex<Result<bool, ProbeError>>,
    acl: Mutex<Result<Option<String>, ProbeError>>,
    heads: AtomicUsize,
    /// Where set, a `HEAD` has its answer at once, and takes a permit from here before it hands it over.
    gate: OnceLock<Semaphore>,
}

impl ScriptedProbe {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            there: Mutex::new(Ok(true)),
            acl: Mutex::new(Ok(None)),
            heads: AtomicUsize::new(0),
            gate: OnceLock::new(),
        })
    }

    fn heads(&self) -> usize {
        self.heads.load(Ordering::Relaxed)
    }
}

impl BucketProbe for ScriptedProbe {
    fn head<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<bool, ProbeError>> {
        Box::pin(async {
            self.heads.fetch_add(1, Ordering::Relaxed);
            let answer = self.there.lock().unwrap().clone();
            if let Some(gate) = self.gate.get() {
                gate.acquire().await.unwrap().forget();
            }
            answer
        })
    }

    fn acl_owner<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Option<String>, ProbeError>> {
        Box::pin(async { self.acl.lock().unwrap().clone() })
    }
}

/// A registry whose every call fails.
struct BrokenRegistry;

impl BrokenRegistry {
    fn error<T>() -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
    {
        Box::pin(std::future::ready(Err(StoreError::Unavailable { reason: "disk gone".to_owned() })))
    }
}

impl OwnerRegistry for BrokenRegistry {
    fn get<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<Option<AccountId>, StoreError>> {
        Self::error()
    }

    fn set<'a>(&'a self, _: &'a BucketName, _: &'a AccountId) -> BoxFuture<'a, Result<(), StoreError>> {
        Self::error()
    }

    fn remove<'a>(&'a self, _: &'a BucketName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Self::error()
    }

    fn list<'a>(&'a self, _: Option<&'a BucketName>, _: usize) -> BoxFuture<'a, Result<Vec<BucketName>, StoreError>> {
        Self::error()
    }
}

/// A clock that stands still until it is set.
#[derive(Clone)]
struct Clock(Instant, Arc<AtomicU64>);

impl Clock {
    fn new() -> Self {
        Self(Instant::now(), Arc::default())
    }

    fn set(&self, seconds: u64) {
        self.1.store(seconds, Ordering::Relaxed);
    }

    fn read(&self) -> Instant {
        self.0 + Duration::from_secs(self.1.load(Ordering::Relaxed))
    }
}

fn fixed(pattern: &str) -> Source {
    Source::Fixed([(BucketPattern::parse(pattern).unwrap(), account(FIXED))].into_iter().collect())
}

fn by_acl(probe: &Arc<ScriptedProbe>) -> Source {
    let accounts = |id: &str| id.eq_ignore_ascii_case(&canonical_id()).then(|| account(BY_ACL));
    Source::UpstreamAcl(AclOwners::new(Arc::clone(probe) as _, accounts))
}

fn registry(registry: &Arc<MemoryRegistry>) -> Source {
    Source::Registry(RegistryOwners::new(Arc::clone(registry) as _))
}

fn owned_by(id: &str) -> Ownership {
    Ownership::Account(account(id))
}

const TTL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn sources_are_asked_in_their_order_and_the_first_that_knows_decides() {
    struct Row {
        name: &'static str,
        order: &'static str,
        recorded: bool,
        acl: Option<String>,
        expected: Ownership,
    }
    let ours = Some(canonical_id());
    let rows = [
        Row { name: "fixed", order: "frad", recorded: true, acl: ours.clone(), expected: owned_by(FIXED) },
        Row { name: "photos", order: "frad", recorded: true, acl: ours.clone(), expected: owned_by(CREATOR) },
        Row { name: "photos", order: "frad", recorded: false, acl: ours.clone(), expected: owned_by(BY_ACL) },
        Row { name: "photos", order: "frad", recorded: false, acl: None, expected: owned_by(DEFAULT) },
        Row { name: "photos", order: "fra", recorded: false, acl: None, expected: Ownership::Unknown },
        Row { name: "photos", order: "f", recorded: true, acl: ours.clone(), expected: Ownership::Unknown },
        Row { name: "photos", order: "", recorded: true, acl: ours.clone(), expected: Ownership::Unknown },
        Row { name: "fixed", order: "ardf", recorded: true, acl: ours.clone(), expected: owned_by(BY_ACL) },
        Row { name: "fixed", order: "rf", recorded: true, acl: ours.clone(), expected: owned_by(CREATOR) },
        Row { name: "fixed", order: "df", recorded: true, acl: ours, expected: owned_by(DEFAULT) },
        Row { name: "photos", order: "ad", recorded: false, acl: Some("cd".repeat(32)), expected: owned_by(DEFAULT) },
        Row {
            name: "photos",
            order: "a",
            recorded: false,
            acl: Some("garage".to_owned()),
            expected: Ownership::Unknown,
        },
        Row {
            name: "photos",
            order: "a",
            recorded: false,
            acl: Some(canonical_id().to_uppercase()),
            expected: owned_by(BY_ACL),
        },
    ];
    for Row { name, order, recorded, acl, expected } in rows {
        let row = format!("{name}, order `{order}`, recorded {recorded}, acl {acl:?}");
        let probe = ScriptedProbe::new();
        *probe.acl.lock().unwrap() = Ok(acl);
        let records = Arc::new(MemoryRegistry::new());
        if recorded {
            records.set(&bucket(name), &account(CREATOR)).await.unwrap();
        }
        let sources = order
            .chars()
            .map(|source| match source {
                'f' => fixed("fix*"),
                'r' => registry(&records),
                'a' => by_acl(&probe),
                'd' => Source::Default(account(DEFAULT)),
                other => panic!("no source {other}"),
            })
            .collect();
        let owners = OwnerResolver::new(probe, sources, TTL);
        assert_eq!(owners.owner(&bucket(name)).await.unwrap(), expected, "{row}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_has_no_owner_whatever_the_sources_say() {
    let probe = ScriptedProbe::new();
    *probe.there.lock().unwrap() = Ok(false);
    let owners = OwnerResolver::new(probe, vec![fixed("*"), Source::Default(account(DEFAULT))], TTL);
    assert_eq!(owners.owner(&bucket("photos")).await.unwrap(), Ownership::NoSuchBucket);
    assert!(!owners.exists(&bucket("photos")).await.unwrap());
}

#[tokio::test]
async fn a_failing_source_ends_the_lookup_and_is_not_passed_over() {
    let down = || ProbeError { reason: "connection refused".to_owned() };
    let default = || Source::Default(account(DEFAULT));

    let no_head = ScriptedProbe::new();
    *no_head.there.lock().unwrap() = Err(down());
    let no_acl = ScriptedProbe::new();
    *no_acl.acl.lock().unwrap() = Err(down());
    let broken = || Source::Registry(RegistryOwners::new(Arc::new(BrokenRegistry)));

    for (row, probe, sources, names) in [
        ("HEAD", Arc::clone(&no_head), vec![fixed("*"), default()], "connection refused"),
        ("ACL", Arc::clone(&no_acl), vec![by_acl(&no_acl), default()], "connection refused"),
        ("registry", ScriptedProbe::new(), vec![broken(), default()], "disk gone"),
    ] {
        let owners = OwnerResolver::new(probe, sources, TTL);
        let error = owners.owner(&bucket("photos")).await.expect_err(row);
        assert_eq!(error.bucket, bucket("photos"), "{row}");
        assert!(error.reason.contains(names), "{row}: {error}");
    }
    let owners = OwnerResolver::new(no_head, vec![default()], TTL);
    owners.exists(&bucket("photos")).await.expect_err("exists");
}

#[tokio::test]
async fn a_deletion_is_believed_only_where_it_cannot_be_seen() {
    let probe = ScriptedProbe::new();
    for (there, gone) in [(true, false), (false, true)] {
        *probe.there.lock().unwrap() = Ok(there);
        let owners = || OwnerResolver::new(Arc::clone(&probe) as _, vec![], TTL);
        assert_eq!(owners().gone(&bucket("photos")).await.unwrap(), gone, "there: {there}");
        assert!(owners().with_blind_probe().gone(&bucket("photos")).await.unwrap(), "there: {there}");
    }
}

#[tokio::test]
async fn a_source_before_the_failing_one_still_answers() {
    let probe = ScriptedProbe::new();
    *probe.acl.lock().unwrap() = Err(ProbeError { reason: "time-out".to_owned() });
    let sources = vec![fixed("*"), by_acl(&probe)];
    let owners = OwnerResolver::new(probe, sources, TTL);
    assert_eq!(owners.owner(&bucket("photos")).await.unwrap(), owned_by(FIXED));
}

#[tokio::test]
async fn an_owner_is_kept_for_the_ttl_and_then_asked_for_again() {
    let (probe, clock) = (ScriptedProbe::new(), Clock::new());
    let read = clock.clone();
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, vec![Source::Default(account(DEFAULT))], TTL)
        .with_clock(move || read.read());
    for (second, heads) in [(0, 1), (1, 1), (29, 1), (30, 2), (31, 2), (59, 2), (60, 3)] {
        clock.set(second);
        assert_eq!(owners.owner(&bucket("photos")).await.unwrap(), owned_by(DEFAULT), "second {second}");
        assert_eq!(probe.heads(), heads, "second {second}");
    }
}

#[tokio::test]
async fn neither_a_missing_bucket_nor_an_unknown_owner_nor_an_error_is_kept() {
    let probe = ScriptedProbe::new();
    let records = Arc::new(MemoryRegistry::new());
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, vec![registry(&records)], TTL);
    let name = bucket("photos");

    *probe.there.lock().unwrap() = Ok(false);
    assert_eq!(owners.owner(&name).await.unwrap(), Ownership::NoSuchBucket);
    *probe.there.lock().unwrap() = Err(ProbeError { reason: "reset".to_owned() });
    owners.owner(&name).await.unwrap_err();
    *probe.there.lock().unwrap() = Ok(true);
    assert_eq!(owners.owner(&name).await.unwrap(), Ownership::Unknown);
    records.set(&name, &account(CREATOR)).await.unwrap();
    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(CREATOR));
    assert_eq!(probe.heads(), 4);
}

#[tokio::test]
async fn creating_and_deleting_are_recorded_and_seen_at_once() {
    let probe = ScriptedProbe::new();
    let records = Arc::new(MemoryRegistry::new());
    let sources = vec![registry(&records), Source::Default(account(DEFAULT))];
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, sources, TTL);
    let name = bucket("photos");

    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(DEFAULT));
    owners.created(&name, Some(&account(CREATOR))).await.unwrap();
    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(CREATOR));

    // A second CreateBucket of one's own bucket succeeds too, and gives no creator.
    owners.created(&name, None).await.unwrap();
    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(CREATOR));

    *probe.there.lock().unwrap() = Ok(false);
    owners.deleted(&name).await.unwrap();
    assert_eq!(owners.owner(&name).await.unwrap(), Ownership::NoSuchBucket);
    assert_eq!(records.get(&name).await.unwrap(), None);

    *probe.there.lock().unwrap() = Ok(true);
    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(DEFAULT));
}

#[tokio::test]
async fn a_registry_that_is_no_source_is_kept_true_but_not_asked() {
    let records = Arc::new(MemoryRegistry::new());
    let name = bucket("photos");
    let owners = OwnerResolver::new(ScriptedProbe::new(), vec![Source::Default(account(DEFAULT))], TTL)
        .with_record(Arc::clone(&records) as _);
    owners.created(&name, Some(&account(CREATOR))).await.unwrap();
    assert_eq!(records.get(&name).await.unwrap(), Some(account(CREATOR)));
    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(DEFAULT));
    owners.deleted(&name).await.unwrap();
    assert_eq!(records.get(&name).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_that_could_not_be_recorded_is_an_error_and_drops_the_cache_all_the_same() {
    let probe = ScriptedProbe::new();
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, vec![Source::Default(account(DEFAULT))], TTL)
        .with_record(Arc::new(BrokenRegistry));
    let name = bucket("photos");

    owners.owner(&name).await.unwrap();
    owners.created(&name, Some(&account(CREATOR))).await.unwrap_err();
    owners.owner(&name).await.unwrap();
    assert_eq!(probe.heads(), 2, "created");
    owners.deleted(&name).await.unwrap_err();
    owners.owner(&name).await.unwrap();
    assert_eq!(probe.heads(), 3, "deleted");
}

#[tokio::test]
async fn a_bucket_found_missing_past_the_cache_is_dropped_from_it() {
    let probe = ScriptedProbe::new();
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, vec![Source::Default(account(DEFAULT))], TTL);
    let name = bucket("photos");
    owners.owner(&name).await.unwrap();
    *probe.there.lock().unwrap() = Ok(false);
    assert_eq!(owners.owner(&name).await.unwrap(), owned_by(DEFAULT), "from the cache");
    assert!(!owners.exists(&name).await.unwrap());
    assert_eq!(owners.owner(&name).await.unwrap(), Ownership::NoSuchBucket);
}

#[test]
fn a_lookup_that_began_before_a_change_does_not_bring_the_old_answer_back() {
    let mut context = Context::from_waker(Waker::noop());
    let mut ready = |future: BoxFuture<'_, Result<(), OwnershipError>>| {
        assert!(matches!(std::pin::pin!(future).poll(&mut context), Poll::Ready(Ok(()))));
    };
    let name = bucket("photos");
    type Changing = for<'a> fn(&'a OwnerResolver, &'a BucketName) -> BoxFuture<'a, Result<(), OwnershipError>>;
    let changes: [(&str, Changing); 2] =
        [("created", |owners, name| owners.created(name, None)), ("deleted", |owners, name| owners.deleted(name))];
    for (row, change) in changes {
        let probe = ScriptedProbe::new();
        assert!(probe.gate.set(Semaphore::new(0)).is_ok());
        let owners = OwnerResolver::new(Arc::clone(&probe) as _, vec![Source::Default(account(DEFAULT))], TTL);

        let mut context = Context::from_waker(Waker::noop());
        let mut lookup = owners.owner(&name);
        assert!(lookup.as_mut().poll(&mut context).is_pending(), "{row}: the HEAD has its answer");
        ready(change(&owners, &name));
        probe.gate.get().unwrap().add_permits(2);
        let Poll::Ready(Ok(found)) = lookup.as_mut().poll(&mut context) else { panic!("{row}: the lookup ends") };
        assert_eq!(found, owned_by(DEFAULT), "{row}");

        *probe.there.lock().unwrap() = Ok(false);
        let mut after = owners.owner(&name);
        let Poll::Ready(Ok(found)) = after.as_mut().poll(&mut context) else { panic!("{row}: the second lookup ends") };
        assert_eq!(found, Ownership::NoSuchBucket, "{row}: asked anew");
    }
}

#[tokio::test]
async fn a_listed_bucket_is_not_asked_for_its_existence() {
    let (probe, clock) = (ScriptedProbe::new(), Clock::new());
    *probe.acl.lock().unwrap() = Ok(Some(canonical_id()));
    let read = clock.clone();
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, vec![by_acl(&probe)], TTL).with_clock(move || read.read());
    let (photos, music) = (bucket("photos"), bucket("music"));
    let acl = |id: Option<&str>| *probe.acl.lock().unwrap() = Ok(id.map(str::to_owned));

    assert_eq!(owners.owner_of_listed(&photos).await.unwrap(), owned_by(BY_ACL));
    acl(None);
    assert_eq!(owners.owner_of_listed(&photos).await.unwrap(), owned_by(BY_ACL), "kept");
    assert_eq!(owners.owner_of_listed(&music).await.unwrap(), Ownership::Unknown);
    assert_eq!(probe.heads(), 0);
    // What a list said does not make a bucket.
    *probe.there.lock().unwrap() = Ok(false);
    assert_eq!(owners.owner(&photos).await.unwrap(), Ownership::NoSuchBucket);
    *probe.there.lock().unwrap() = Ok(true);
    clock.set(30);
    assert_eq!(owners.owner_of_listed(&photos).await.unwrap(), Ownership::Unknown, "no longer kept");

    // What was found for a decision is as good.
    acl(Some(&canonical_id()));
    assert_eq!(owners.owner(&music).await.unwrap(), owned_by(BY_ACL));
    acl(None);
    assert_eq!(owners.owner_of_listed(&music).await.unwrap(), owned_by(BY_ACL));
    owners.deleted(&music).await.unwrap();
    assert_eq!(owners.owner_of_listed(&music).await.unwrap(), Ownership::Unknown, "dropped");

    *probe.acl.lock().unwrap() = Err(ProbeError { reason: "time-out".to_owned() });
    owners.owner_of_listed(&photos).await.unwrap_err();
}

#[tokio::test]
async fn a_change_drops_what_a_list_has_found() {
    let probe = ScriptedProbe::new();
    let records = Arc::new(MemoryRegistry::new());
    let sources = vec![registry(&records), Source::Default(account(DEFAULT))];
    let owners = OwnerResolver::new(Arc::clone(&probe) as _, sources, TTL);
    let name = bucket("photos");
    assert_eq!(owners.owner_of_listed(&name).await.unwrap(), owned_by(DEFAULT));
    owners.created(&name, Some(&account(CREATOR))).await.unwrap();
    assert_eq!(owners.owner_of_listed(&name).await.unwrap(), owned_by(CREATOR));
    owners.deleted(&name).await.unwrap();
    assert_eq!(owners.owner_of_listed(&name).await.unwrap(), owned_by(DEFAULT));
}
