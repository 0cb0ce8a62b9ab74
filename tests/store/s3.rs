//! The store in objects of an object store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis::auth::identity::{AccessKeyId, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::s3::address::Domains;
use portcullis::store::s3::objects::{Condition, Fetched, ObjectStorage, Written};
use portcullis::store::s3::{S3Store, S3StoreSettings};
use portcullis::store::{PolicyStore, StoreError};
use portcullis::upstream::{
    BucketObjects, ControlSettings, EmbeddedStore, Endpoint, Endpoints, KeyPair, Trust, UpstreamCredentials,
};

use crate::peers::garage::{Garage, REGION};
use crate::peers::moto::Moto;
use crate::peers::people::OPERATOR;
use crate::support::{Opened, bucket, put};
use crate::{again, conformance_in, replicas};

fn operator() -> KeyPair {
    KeyPair {
        access_key_id: AccessKeyId::new(OPERATOR.access_key_id),
        secret: SecretKey::new(OPERATOR.secret_access_key),
    }
}

/// An object store's address and region, and one bucket of it.
#[derive(Clone)]
struct Place {
    endpoint: String,
    region: &'static str,
    bucket: &'static str,
}

impl Place {
    fn objects(&self) -> BucketObjects {
        let endpoint = Endpoint::parse(&self.endpoint).unwrap();
        let settings = ControlSettings {
            endpoints: Endpoints::new([endpoint], Trust::System, Duration::from_secs(3)).unwrap(),
            region: self.region.to_owned(),
            credentials: UpstreamCredentials::new(Some(&operator()), []),
            timeout: Duration::from_secs(10),
        };
        BucketObjects::new(settings, bucket(self.bucket)).unwrap()
    }

    fn store(&self, prefix: &str, refresh: Duration) -> S3Store {
        let settings =
            S3StoreSettings { prefix: prefix.to_owned(), refresh, max_staleness: Duration::from_secs(30).max(refresh) };
        S3Store::new(Arc::new(self.objects()), settings)
    }

    fn open(&self, prefix: &str, refresh: Duration) -> Opened {
        let store = self.store(prefix, refresh);
        Opened { registry: Arc::new(store.registry()), policies: Arc::new(store) }
    }
}

/// Long enough that nothing is seen but what a store knows of its own changes.
const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(50);

async fn suite(place: &Place) {
    conformance_in(place.open("one/", LONG), 20).await;
    // Without a prefix, beside the others.
    again::conformance(async || place.open("", SHORT)).await;
    let (here, there) = (place.open("two/", SHORT), place.open("two/", SHORT));
    replicas::sharing(&here, &there).await;
}

/// A question about what is known already has a short answer.
async fn a_tag_spares_the_answer(place: &Place) {
    let objects = place.objects();
    let put = async |content: &'static str| {
        let written = objects.put("tagged", Bytes::from_static(content.as_bytes()), &Condition::None).await.unwrap();
        assert!(matches!(written, Written::Done(_)), "{written:?}");
        let Fetched::Found { content: found, etag } = objects.get("tagged", None).await.unwrap() else { return None };
        assert_eq!(found, content);
        etag
    };
    let first = put("one").await.expect("it has a tag");
    assert_eq!(objects.get("tagged", Some(&first)).await.unwrap(), Fetched::Unchanged);
    let second = put("two").await.expect("it has a tag");
    assert!(matches!(objects.get("tagged", Some(&first)).await.unwrap(), Fetched::Found { .. }));
    assert_eq!(objects.get("tagged", Some(&second)).await.unwrap(), Fetched::Unchanged);
    objects.delete("tagged").await.unwrap();
    assert_eq!(objects.get("tagged", Some(&second)).await.unwrap(), Fetched::Absent);
    objects.delete("tagged").await.unwrap();
}

async fn embedded(directory: &Path) -> (EmbeddedStore, Place) {
    let callers = Arc::new(StaticCredentials::from_iter([]));
    let store = EmbeddedStore::start(directory, operator(), callers, Domains::default()).await.unwrap();
    let place = Place { endpoint: format!("http://{}", store.address()), region: "us-east-1", bucket: "policies" };
    (store, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_the_embedded_object_store_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let (_store, place) = embedded(directory.path()).await;
    place.objects().make().await.unwrap();
    assert!(place.store("", SHORT).heeds_conditions().await.unwrap());
    suite(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_garage_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let garage = Garage::start(directory.path());
    let place = Place { endpoint: format!("http://{}", garage.address), region: REGION, bucket: "policies" };
    place.objects().make().await.unwrap();
    // Garage takes `If-Match` and writes all the same.
    assert!(!place.store("", SHORT).heeds_conditions().await.unwrap());
    a_tag_spares_the_answer(&place).await;
    suite(&place).await;
}

/// The server that AWS's users test with heeds conditions.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_moto_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let moto = Moto::start(directory.path());
    let place = Place { endpoint: format!("http://{}", moto.address), region: "us-east-1", bucket: "policies" };
    place.objects().make().await.unwrap();
    assert!(place.store("", SHORT).heeds_conditions().await.unwrap());
    a_tag_spares_the_answer(&place).await;
    suite(&place).await;
}

/// A bucket that is gone is not one without policies.
#[tokio::test]
async fn a_bucket_that_is_not_there_has_no_answers() {
    let directory = tempfile::tempdir().unwrap();
    let garage = Garage::start(directory.path());
    let place = Place { endpoint: format!("http://{}", garage.address), region: REGION, bucket: "never-made" };
    let store = place.store("", SHORT);
    let name = bucket("photos");
    for answer in [
        store.get(&name).await.map(drop),
        store.in_force(&name).await.map(drop),
        store.history(&name).await.map(drop),
        store.purge(&name).await.map(drop),
        store.list(None, 10).await.map(drop),
        store.check().await,
    ] {
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    }
    place.objects().make().await.unwrap();
    put(&store, "photos", 1).await;
    assert!(store.get(&name).await.unwrap().is_some());
}
