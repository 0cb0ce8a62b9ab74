//! Three replicas that share a bucket in Garage.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::auth::identity::{AccessKeyId, SecretKey};
use portcullis::s3::address::BucketName;
use portcullis::store::s3::objects::{Condition, ObjectStorage};
use portcullis::upstream::{BucketObjects, ControlSettings, Endpoint, Endpoints, KeyPair, Trust, UpstreamCredentials};

use crate::ground::{BUCKET, Load, Replica, eventually, policy, spread};
use crate::peers::garage::{Garage, REGION};
use crate::peers::people::OPERATOR;

const REFRESH: Duration = Duration::from_millis(500);
const MAX_STALENESS: Duration = Duration::from_secs(4);

/// Garage with the bucket of the policies and the one they are for.
fn garage(directory: &Path) -> Garage {
    let garage = Garage::start(directory);
    for bucket in ["policies", BUCKET] {
        garage.make_bucket(bucket, [&OPERATOR]);
    }
    garage
}

async fn replicas(garage: &Garage) -> Vec<Replica> {
    let upstream = format!(
        "endpoint = \"http://{}\"\nregion = \"{REGION}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"",
        garage.address, OPERATOR.access_key_id, OPERATOR.secret_access_key
    );
    let store = format!(
        "url = \"s3://policies/prod\"\nrefresh = \"{}ms\"\nmax_staleness = \"{}ms\"",
        REFRESH.as_millis(),
        MAX_STALENESS.as_millis()
    );
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(&upstream, &store).await);
    }
    for replica in &replicas {
        eventually("a replica is ready", async || replica.is_ready().await).await;
    }
    replicas
}

/// Puts the objects `0/k`, `1/k` and so on, which policies open one by one.
async fn put_objects(garage: &Garage, count: u64) {
    let endpoint = Endpoint::parse(&format!("http://{}", garage.address)).unwrap();
    let pair = KeyPair {
        access_key_id: AccessKeyId::new(OPERATOR.access_key_id),
        secret: SecretKey::new(OPERATOR.secret_access_key),
    };
    let settings = ControlSettings {
        endpoints: Endpoints::new([endpoint], Trust::System, Duration::from_secs(3)).unwrap(),
        region: REGION.to_owned(),
        credentials: UpstreamCredentials::new(Some(&pair), []),
        timeout: Duration::from_secs(10),
    };
    let objects = BucketObjects::new(settings, BucketName::parse(BUCKET).unwrap()).unwrap();
    for n in 0..count {
        objects.put(&format!("{n}/k"), Bytes::from_static(b"x"), &Condition::None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_policy_put_through_one_replica_is_in_force_on_all() {
    const ROUNDS: u64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let garage = garage(directory.path());
    let replicas = replicas(&garage).await;
    put_objects(&garage, ROUNDS).await;
    assert_eq!(replicas[0].put(ROUNDS + 1).await, 200);
    for replica in &replicas {
        eventually("the first policy", async || replica.read(0).await == 403).await;
    }
    let load = Load::start(&replicas, 2);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        let at = usize::try_from(n).unwrap() % replicas.len();
        assert_eq!(replicas[at].put(n).await, 200);
        let acknowledged = Instant::now();
        assert_eq!(replicas[at].read(n).await, 200, "at once where it was put");
        here.push(acknowledged.elapsed());
        for (number, replica) in replicas.iter().enumerate().filter(|(number, _)| *number != at) {
            eventually(&format!("policy {n} on replica {number}"), async || replica.read(n).await == 200).await;
            there.push(acknowledged.elapsed());
        }
    }
    let answers = load.end().await;
    println!("refresh {REFRESH:?}, under load ({answers} answers): median, 95th percentile, longest");
    println!("  in force where it was put: {:?}", spread(here));
    println!("  in force on the others:    {:?}", spread(there));
    for replica in replicas {
        replica.stop().await;
    }
}

/// Garage heeds no conditions on writes: what stays is one of the two, and the same for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_changes_in_the_same_moment_end_with_one_of_the_two() {
    let directory = tempfile::tempdir().unwrap();
    let garage = garage(directory.path());
    let replicas = replicas(&garage).await;
    for n in (0..40).step_by(2) {
        let (one, other) = tokio::join!(replicas[0].put(n), replicas[1].put(n + 1));
        assert_eq!((one, other), (200, 200));
        eventually("all have one of the two", async || {
            let seen = [&replicas[0], &replicas[1], &replicas[2]].map(Replica::policy);
            let [first, second, third] = seen;
            let (first, second, third) = (first.await, second.await, third.await);
            (first.1 == policy(n) || first.1 == policy(n + 1)) && first == second && second == third
        })
        .await;
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_garage_is_away_copies_count_and_changes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut garage = garage(directory.path());
    let replicas = replicas(&garage).await;
    assert_eq!(replicas[0].put(1).await, 200);
    for replica in &replicas {
        eventually("the policy", async || replica.policy().await.0 == 200).await;
        // Denied here, by the policy: so no answer of Garage's is needed.
        assert_eq!(replica.read(2).await, 403);
    }

    garage.kill();
    let killed = Instant::now();
    for replica in &replicas {
        assert_eq!((replica.read(2).await, replica.policy().await.0), (403, 200), "a copy counts");
    }
    let began = Instant::now();
    assert_eq!(replicas[0].put(3).await, 503);
    println!("a change was refused after {:?}", began.elapsed());
    assert_eq!(replicas[0].read(2).await, 403, "and changed nothing");
    for replica in &replicas {
        eventually("the copy counts no more", async || replica.read(2).await == 503).await;
        assert_eq!(replica.policy().await.0, 503);
        assert!(!replica.is_ready().await);
        assert!(replica.staleness().await >= MAX_STALENESS.as_secs_f64());
    }
    println!("max_staleness {MAX_STALENESS:?}: 503 on all {:?} after Garage was killed", killed.elapsed());
    assert!(killed.elapsed() + REFRESH >= MAX_STALENESS, "not before its time: {:?}", killed.elapsed());

    garage.restart();
    let back = Instant::now();
    for replica in &replicas {
        eventually("a denial again", async || replica.read(2).await == 403).await;
    }
    println!("denied by its policy again {:?} after Garage was back", back.elapsed());
    eventually("a change is made again", async || replicas[1].put(4).await == 200).await;
    for replica in &replicas {
        eventually("ready again", async || replica.is_ready().await).await;
        eventually("confirmed again", async || replica.staleness().await < 1.0).await;
        eventually("and seen", async || replica.policy().await.0 == 200).await;
    }
    for replica in replicas {
        replica.stop().await;
    }
}
