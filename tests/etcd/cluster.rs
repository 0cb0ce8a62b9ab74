//! An etcd of three members, some of which are killed. Its own promise is that two of three are enough; ours, that nobody
//! notices then, and that without two of them nothing is believed for longer than `max_staleness`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::replica::{Load, Replica, opening};
use crate::server::Etcd;
use crate::support::eventually;

/// What answers "at once" where the right answer takes seconds at most and the wrong one minutes.
const AT_ONCE: Duration = Duration::from_secs(15);

/// The addresses of these members, in this order.
fn addresses<'m>(members: impl IntoIterator<Item = &'m Etcd>) -> String {
    members.into_iter().map(|member| member.address().to_string()).collect::<Vec<_>>().join(",")
}

/// Which of the members leads, as one that runs says.
async fn leader(members: &[Etcd], runs: usize) -> usize {
    let mut found = None;
    eventually("there is a leader", async || {
        let leads = members[runs].client().await.status().await.map_or(0, |status| status.leader());
        for (n, member) in members.iter().enumerate().filter(|(_, member)| member.runs()) {
            let id = member.client().await.status().await.ok().and_then(|status| Some(status.header()?.member_id()));
            if leads != 0 && id == Some(leads) {
                found = Some(n);
            }
        }
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// The key `open` is open and `closed` is closed, everywhere.
async fn is_in_force(replicas: &[Replica], open: &str, closed: &str) {
    for replica in replicas {
        eventually("it is in force", async || (replica.get(open).await, replica.get(closed).await) == (200, 403)).await;
    }
}

/// A replica by each of the members first, then by the others.
async fn replicas(members: &[Etcd], max_staleness: &str) -> Arc<Vec<Replica>> {
    let mut replicas = Vec::new();
    for first in 0..members.len() {
        let order = members.iter().cycle().skip(first).take(members.len());
        replicas.push(Replica::start(&addresses(order), max_staleness).await);
    }
    assert_eq!(replicas[0].put_policy(&opening("a")).await, 204);
    is_in_force(&replicas, "a", "b").await;
    Arc::new(replicas)
}

/// While all of them are asked, the leader is `lost`: reads have no gap, and changes are made once there is a new one. `b`
/// is open afterwards.
async fn nobody_notices(replicas: &Arc<Vec<Replica>>, lost: impl FnOnce()) {
    let load = Load::start(replicas, 6);
    lost();
    for (n, replica) in replicas.iter().enumerate() {
        let (open, closed) = if n % 2 == 0 { ("b", "a") } else { ("a", "b") };
        eventually("changes are made", async || {
            let status = replica.put_policy(&opening(open)).await;
            assert!(matches!(status, 204 | 503), "{status}");
            status == 204
        })
        .await;
        is_in_force(replicas, open, closed).await;
        assert!(replica.is_ready().await);
    }
    load.end().await;
}

async fn stop(replicas: Arc<Vec<Replica>>) {
    for replica in Arc::try_unwrap(replicas).ok().unwrap() {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_put_by_way_of_one_member_is_in_force_by_way_of_the_others() {
    let members = Etcd::three();
    let mut replicas = Vec::new();
    for member in &members {
        replicas.push(Replica::start(&addresses([member]), "30s").await);
    }
    for round in 0..6 {
        let (open, closed) = if round % 2 == 0 { ("a", "b") } else { ("b", "a") };
        let writer = &replicas[round % 3];
        assert_eq!(writer.put_policy(&opening(open)).await, 204);
        assert_eq!((writer.get(open).await, writer.get(closed).await), (200, 403), "its own at once");
        is_in_force(&replicas, open, closed).await;
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_member_may_be_missing_and_of_two_nobody_is_deceived() {
    let mut members = Etcd::three();
    let replicas = replicas(&members, "10s").await;
    let first = leader(&members, 0).await;
    nobody_notices(&replicas, || members[first].kill()).await;

    // The one that is left knows all there is, and cannot know that. `b` is open, and stays so for a while.
    let second = leader(&members, (first + 1) % 3).await;
    members[second].kill();
    for replica in replicas.iter() {
        assert!(matches!(replica.get("b").await, 200 | 503));
        let refused = timeout(AT_ONCE, replica.put_policy(&opening("a"))).await.expect("a change is refused at once");
        assert_eq!(refused, 503);
    }
    for replica in replicas.iter() {
        eventually("past max_staleness", async || match replica.get("b").await {
            200 => false,
            status => {
                assert_eq!(status, 503);
                true
            }
        })
        .await;
        assert!(!replica.is_ready().await);
        assert_eq!(replica.get("a").await, 503);
        let refused = timeout(AT_ONCE, replica.put_policy(&opening("a"))).await.expect("a change is refused at once");
        assert_eq!(refused, 503);
    }

    // Back they are, one after the other, and nobody is told.
    members[first].start_again();
    for replica in replicas.iter() {
        eventually("it is ready again", async || replica.is_ready().await).await;
    }
    members[second].start_again();
    eventually("changes are made again", async || replicas[1].put_policy(&opening("a")).await == 204).await;
    is_in_force(&replicas, "a", "b").await;
    stop(replicas).await;
}

/// A machine that hangs keeps its connections, and does not say that it is no use.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_hangs_is_as_good_as_killed() {
    let members = Etcd::three();
    let replicas = replicas(&members, "30s").await;
    let first = leader(&members, 0).await;
    nobody_notices(&replicas, || members[first].hold()).await;
    members[first].go_on();
    eventually("changes are made", async || replicas[first].put_policy(&opening("a")).await == 204).await;
    is_in_force(&replicas, "a", "b").await;
    stop(replicas).await;
}
