//! Who serves a connection: one thread a processor, each with a runtime, connections to the store, and buffers of its own.
//!
//! A request then never leaves the processor it came to: nothing is woken on another one, and nothing that two of them
//! write to stands in its way. New connections go to the thread that has fewest of them, since one that was given away
//! stays where it is; sockets of each thread's own (`SO_REUSEPORT`) would leave that to a hash of the client's port, and let a
//! second server start on the same port unnoticed.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::{io, thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// Those who serve connections. Threads of their own end when the last clone is dropped.
pub struct Workers<S> {
    workers: Arc<[Worker<S>]>,
    _stop: Option<Arc<watch::Sender<()>>>,
}

struct Worker<S> {
    service: S,
    runtime: Handle,
    /// Held by every connection, and by the worker.
    connections: Arc<()>,
}

impl<S> Workers<S> {
    /// One worker, which is the runtime at hand.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn here(service: S) -> Self {
        Self { workers: [Worker::new(service, Handle::current())].into(), _stop: None }
    }

    /// Threads of their own, each with what `service` makes on it.
    ///
    /// # Errors
    /// Where the system gives no thread, or no runtime for it.
    pub fn start(count: NonZeroUsize, service: impl Fn() -> S) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(());
        let mut workers = Vec::with_capacity(count.get());
        for index in 0..count.get() {
            let runtime = Unhurried(Some(Builder::new_current_thread().enable_all().build()?));
            if let Some(runtime) = &runtime.0 {
                // What the service begins in the background begins there.
                let _there = runtime.enter();
                workers.push(Worker::new(service(), runtime.handle().clone()));
            }
            run(thread::Builder::new().name(format!("worker-{index}")), runtime, stopped.clone())?;
        }
        Ok(Self { workers: workers.into(), _stop: Some(Arc::new(stop)) })
    }

    /// Serves a connection where fewest are served.
    pub(crate) fn serve<F>(&self, connection: impl FnOnce(S) -> F)
    where
        S: Clone,
        F: Future<Output = ()> + Send + 'static,
    {
        // INVARIANT: there is at least one.
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.load()) else { return };
        let counted = Arc::clone(&worker.connections);
        let connection = connection(worker.service.clone());
        worker.runtime.spawn(async move {
            connection.await;
            drop(counted);
        });
    }
}

/// Runs it on a thread of its own until it is to stop.
fn run(thread: thread::Builder, runtime: Unhurried, mut stopped: watch::Receiver<()>) -> io::Result<()> {
    let spawned = thread.spawn(move || {
        if let Some(runtime) = &runtime.0 {
            // An error is the end of it too: nobody is left who could say so.
            let _ = runtime.block_on(stopped.changed());
        }
    });
    spawned.map(drop)
}

/// A runtime that is not waited for when it is dropped. One that is panics where nobody may wait, as in the runtime that
/// starts the workers and finds that there is no thread for this one. It is there until then.
struct Unhurried(Option<Runtime>);

impl Drop for Unhurried {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl<S> Worker<S> {
    fn new(service: S, runtime: Handle) -> Self {
        Self { service, runtime, connections: Arc::new(()) }
    }

    fn load(&self) -> usize {
        Arc::strong_count(&self.connections)
    }
}

impl<S> Clone for Workers<S> {
    fn clone(&self) -> Self {
        Self { workers: Arc::clone(&self.workers), _stop: self._stop.clone() }
    }
}

impl<S> fmt::Debug for Workers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("count", &self.workers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_connection_goes_to_who_has_fewest_and_is_counted_until_it_ends() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap(), || ()).unwrap();
        let mut ends = Vec::new();
        for _ in 0..4 {
            let (end, ended) = oneshot::channel::<()>();
            workers.serve(move |()| async move {
                let _ = ended.await;
            });
            ends.push(end);
        }
        let loads = || workers.workers.iter().map(Worker::load).collect::<Vec<_>>();
        assert_eq!(loads(), [3, 3], "two connections each, and the worker itself");
        drop(ends);
        while loads() != [1, 1] {
            tokio::task::yield_now().await;
        }
    }

    /// As where the system has no room for one more.
    #[tokio::test]
    async fn no_thread_is_an_error_and_nothing_worse() {
        let runtime = Unhurried(Some(Builder::new_current_thread().enable_all().build().unwrap()));
        let (_stop, stopped) = watch::channel(());
        let too_large = thread::Builder::new().stack_size(1 << 48);
        let error = run(too_large, runtime, stopped).unwrap_err();
        let told = crate::server::ServeError::Workers(error).to_string();
        assert!(told.starts_with("no threads are to be had: "), "{told}");
    }

    #[tokio::test]
    async fn each_worker_has_a_thread_of_its_own() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap(), || ()).unwrap();
        let mut names = Vec::new();
        let mut busy = Vec::new();
        for _ in 0..2 {
            let (tell, told) = oneshot::channel();
            let (end, ended) = oneshot::channel::<()>();
            workers.serve(move |()| async move {
                let _ = tell.send(thread::current().name().map(str::to_owned));
                let _ = ended.await;
            });
            names.push(told.await.unwrap().unwrap());
            busy.push(end);
        }
        assert_eq!(names, ["worker-0", "worker-1"]);
    }
}
