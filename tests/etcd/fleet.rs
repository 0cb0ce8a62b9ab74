//! Three whole servers on one etcd, under load.

use std::sync::Arc;

use crate::replica::{Load, Replica, opening};
use crate::server::Etcd;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_policy_put_through_one_is_in_force_on_all() {
    let mut etcd = Etcd::start();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(&etcd.address().to_string(), "3s").await);
    }
    let replicas = Arc::new(replicas);
    assert_eq!(replicas[0].put_policy(&opening("a")).await, 204);
    for replica in replicas.iter() {
        eventually("the policy is in force", async || replica.get("a").await == 200).await;
        assert!(replica.is_ready().await);
    }

    // Load on each, which must never see but what one of the policies says.
    let load = Load::start(&replicas, 12);
    for round in 0..12 {
        let (open, closed) = if round % 2 == 0 { ("b", "a") } else { ("a", "b") };
        let writer = &replicas[round % 3];
        assert_eq!(writer.put_policy(&opening(open)).await, 204);
        assert_eq!((writer.get(open).await, writer.get(closed).await), (200, 403), "its own at once");
        for replica in replicas.iter() {
            eventually("the others' soon", async || (replica.get(open).await, replica.get(closed).await) == (200, 403))
                .await;
        }
    }
    load.end().await;

    // Etcd away: reads go on for a while, changes do not.
    etcd.kill();
    for replica in replicas.iter() {
        assert!(matches!(replica.get("a").await, 200 | 503));
        assert_eq!(replica.put_policy(&opening("b")).await, 503);
    }
    for replica in replicas.iter() {
        eventually("past max_staleness", async || replica.get("a").await == 503).await;
        assert!(!replica.is_ready().await);
        assert!(replica.staleness().await > 3.0);
        assert_eq!(replica.put_policy(&opening("b")).await, 503);
    }
    // And back: all recover by themselves.
    etcd.start_again();
    for replica in replicas.iter() {
        eventually("it is ready again", async || replica.is_ready().await).await;
        eventually("and current", async || replica.staleness().await < 3.0).await;
        assert_eq!((replica.get("a").await, replica.get("b").await), (200, 403), "as it was");
    }
    eventually("changes are made again", async || replicas[1].put_policy(&opening("b")).await == 204).await;
    for replica in replicas.iter() {
        eventually("everywhere", async || (replica.get("a").await, replica.get("b").await) == (403, 200)).await;
    }
    for replica in Arc::try_unwrap(replicas).ok().unwrap() {
        replica.stop().await;
    }
}
