//! A service that can be exchanged while it is in use: [`Swapped`].

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use tower::ServiceExt;
use tower::util::Oneshot;
use tower_service::Service;

/// Hands every request to the service of the moment; what is under way ends where it began. Clones share it.
pub(super) struct Swapped<S>(Arc<ArcSwap<S>>);

impl<S> Swapped<S> {
    pub(super) fn new(service: S) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(service)))
    }

    /// The next request goes to `service`.
    pub(super) fn replace(&self, service: S) {
        self.0.store(Arc::new(service));
    }
}

impl<S, R> Service<R> for Swapped<S>
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Oneshot<S, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Each call asks its own service.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        S::clone(&self.0.load()).oneshot(request)
    }
}

impl<S> Clone for Swapped<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Swapped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swapped")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::oneshot;
    use tower::service_fn;
    use tower::util::BoxCloneService;

    use super::*;

    /// Answers with its name, once it may.
    fn named(name: &'static str) -> BoxCloneService<oneshot::Receiver<()>, &'static str, Infallible> {
        BoxCloneService::new(service_fn(move |leave: oneshot::Receiver<()>| async move {
            let _ = leave.await;
            Ok(name)
        }))
    }

    #[tokio::test]
    async fn what_is_under_way_ends_where_it_began_and_what_comes_goes_to_the_new_one() {
        let mut service = Swapped::new(named("old"));
        let other = service.clone();
        let (leave, wait) = oneshot::channel();
        let old = tokio::spawn(service.call(wait));
        other.replace(named("new"));
        let (_, wait) = oneshot::channel();
        assert_eq!(service.call(wait).await, Ok("new"));
        leave.send(()).unwrap();
        assert_eq!(old.await.unwrap(), Ok("old"));
    }
}
