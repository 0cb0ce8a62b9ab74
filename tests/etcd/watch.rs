//! A watch that was lost goes on without a gap.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis::policy::AccountId;
use portcullis::store::etcd::EtcdStoreSettings;
use portcullis::store::{EtcdStore, OwnerRegistry, PolicyStore};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::Etcd;
use crate::support::{bucket, change, document, eventually, in_force, put, put_block};

/// A way to etcd that can be cut.
struct Way {
    address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Way {
    async fn to(etcd: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(watch::channel(true).0);
        let switch = Arc::clone(&open);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut is_open = switch.subscribe();
                if !*is_open.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut etcd) = TcpStream::connect(etcd).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut etcd) => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        self.open.send_replace(false);
    }

    fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn behind(etcd: &Etcd, way: &Way) -> EtcdStore {
    let endpoints = vec![way.address.to_string()];
    EtcdStore::open(EtcdStoreSettings { endpoints, ..etcd.settings("watched") }).await
}

/// Everything that can happen while one does not look: something comes, changes, goes, is purged, comes again.
async fn much_happens(here: &EtcdStore, first: u64) {
    let account = AccountId::parse("444455556666").unwrap();
    put(here, "new", first).await;
    put(here, "changed", first + 1).await;
    put_block(here, "changed", first + 2).await;
    here.delete(&bucket("deleted"), change(first + 3)).await.unwrap();
    here.purge(&bucket("purged")).await.unwrap();
    here.purge(&bucket("anew")).await.unwrap();
    put(here, "anew", first + 4).await;
    here.registry().set(&bucket("owned"), &account).await.unwrap();
    here.registry().remove(&bucket("disowned")).await.unwrap();
}

async fn begin(here: &EtcdStore) {
    for name in ["changed", "deleted", "purged", "anew", "untouched"] {
        put(here, name, 1).await;
        put_block(here, name, 1).await;
    }
    let account = AccountId::parse("111122223333").unwrap();
    here.registry().set(&bucket("disowned"), &account).await.unwrap();
}

/// All that a store knows.
async fn all_of(store: &EtcdStore) -> String {
    let mut all = String::new();
    for name in store.list(None, 100).await.unwrap() {
        let found = store.in_force(&name).await.unwrap();
        let policy = found.policy.map(|record| (record.revision, record.document.clone(), record.change.clone()));
        all += &format!("{name}: {policy:?}, {:?}\n", found.public_access_block);
    }
    for name in store.registry().list(None, 100).await.unwrap() {
        all += &format!("{name}: {:?}\n", store.registry().get(&name).await.unwrap());
    }
    all
}

async fn catches_up(is_compacted: bool) {
    let etcd = Etcd::start();
    let way = Way::to(etcd.address()).await;
    let (here, there) = (etcd.open("watched").await, behind(&etcd, &way).await);
    begin(&here).await;
    eventually("there it is as here", async || all_of(&there).await == all_of(&here).await).await;

    for round in 1..4 {
        let before = all_of(&there).await;
        way.cut();
        much_happens(&here, 10 * round).await;
        assert_eq!(all_of(&there).await, before, "cut off, it stays as it was");
        if is_compacted {
            let mut client = etcd.client().await;
            let revision = client.get("any", None).await.unwrap().header().unwrap().revision();
            client.compact(revision, None).await.unwrap();
        }
        way.mend();
        eventually("there it is as here again", async || all_of(&there).await == all_of(&here).await).await;
        // And goes on watching.
        put(&here, "later", round).await;
        eventually("what comes later", async || in_force(&there, "later").await.0 == Some(document("later", round)))
            .await;
        put(&there, "changed", 10 * round + 9).await;
        eventually("and back", async || all_of(&there).await == all_of(&here).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_watch_goes_on_where_it_was() {
    catches_up(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compacted_meanwhile_is_read_whole() {
    catches_up(true).await;
}

/// More keys than are read at once, and more changes than a watch delivers at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_buckets_are_read_and_followed() {
    const BUCKETS: u64 = 1_200;
    let etcd = Etcd::start();
    let way = Way::to(etcd.address()).await;
    let (here, there) = (etcd.open("watched").await, behind(&etcd, &way).await);
    put(&here, "first", 1).await;
    eventually("the first", async || all_of(&there).await == all_of(&here).await).await;
    way.cut();
    let registry = here.registry();
    let account = AccountId::parse("111122223333").unwrap();
    for n in 0..BUCKETS {
        registry.set(&bucket(&format!("bucket-{n}")), &account).await.unwrap();
    }
    way.mend();
    let owned = async |store: &EtcdStore| store.registry().list(None, usize::MAX).await.unwrap().len() as u64;
    eventually("all of them there", async || owned(&there).await == BUCKETS).await;
    let late = etcd.open("watched").await;
    assert_eq!(owned(&late).await, BUCKETS);
    assert_eq!(all_of(&late).await, all_of(&here).await);
}

/// As whoever moves all that is kept to another place reads it: what was acknowledged anywhere is there.
#[tokio::test(flavor = "multi_thread")]
async fn without_any_staleness_every_read_is_current() {
    let etcd = Etcd::start();
    let here = etcd.open("watched").await;
    let settings = EtcdStoreSettings { max_staleness: Duration::ZERO, ..etcd.settings("watched") };
    let there = EtcdStore::open(settings).await;
    there.check().await.unwrap();
    for n in 0..50 {
        put(&here, "photos", n).await;
        assert_eq!(in_force(&there, "photos").await.0, Some(document("photos", n)));
        put_block(&there, "photos", n).await;
    }
    assert_eq!(there.list(None, 10).await.unwrap(), [bucket("photos")]);
}
