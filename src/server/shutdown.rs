//! Stopping without dropping what runs: no new work, running requests finish, and only then, or when time is up, the
//! rest is cut off.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not at all.
    Serving,
    /// Nothing new is begun.
    Draining,
    /// What still runs is dropped.
    Cut,
}

/// Stops everything that holds one of its [`Running`]s.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<Phase>);

/// Held by what must have ended before the process may.
#[derive(Clone, Debug)]
pub(crate) struct Running(watch::Receiver<Phase>);

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything had ended by itself.
    Clean,
    /// So many connections were cut off when time was up.
    Cut(usize),
}

impl Drain {
    pub(crate) fn new() -> (Self, Running) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (Self(sender), Running(receiver))
    }

    /// Asks all to stop, waits `limit` for them, then cuts off the rest.
    pub(crate) async fn finish(self, limit: Duration) -> Drained {
        self.0.send_replace(Phase::Draining);
        if timeout(limit, self.0.closed()).await.is_ok() {
            return Drained::Clean;
        }
        let left = self.0.receiver_count();
        self.0.send_replace(Phase::Cut);
        self.0.closed().await;
        Drained::Cut(left)
    }
}

impl Running {
    /// Ready once stopping has come to `phase`.
    pub(crate) async fn reached(&mut self, phase: Phase) {
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            // The drain itself is gone, so nobody will ever ask.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_what_runs() {
        let (drain, mut running) = Drain::new();
        let task = tokio::spawn(async move { running.reached(Phase::Draining).await });
        assert_eq!(drain.finish(Duration::from_secs(25)).await, Drained::Clean);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn when_time_is_up_the_rest_is_cut_off() {
        let (drain, mut running) = Drain::new();
        let mut other = running.clone();
        tokio::spawn(async move { running.reached(Phase::Cut).await });
        tokio::spawn(async move { other.reached(Phase::Draining).await });
        assert_eq!(drain.finish(Duration::from_secs(25)).await, Drained::Cut(1));
    }
}
