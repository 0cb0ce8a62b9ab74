//! Is this process alive, should it get requests, and what has it done? `/livez`, `/readyz` and `/metrics`.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::api::{self, AdminApi};
use crate::layer::BoxError;

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Finds out whether a part works; otherwise why not.
pub type Check = Box<dyn Fn() -> Answer<Result<(), String>> + Send + Sync>;

/// What readiness depends on.
#[derive(Clone)]
pub struct Health {
    draining: Arc<AtomicBool>,
    checks: Arc<[(&'static str, Check)]>,
}

impl Health {
    /// Ready while all of `checks` succeed and nobody drains. Each check must answer within a second or so by itself.
    pub fn new(checks: impl IntoIterator<Item = (&'static str, Check)>) -> Self {
        Self { draining: Arc::default(), checks: checks.into_iter().collect() }
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Why requests should not come here; empty when they should.
    pub async fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            problems.push("draining".to_owned());
        }
        for (part, check) in self.checks.iter() {
            if let Err(reason) = check().await {
                problems.push(format!("{part}: {reason}"));
            }
        }
        problems
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.checks.iter().map(|(part, _)| part).collect();
        f.debug_struct("Health").field("draining", &self.draining).field("checks", &parts).finish()
    }
}

/// Writes the process's metrics in the Prometheus text format.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The text format of Prometheus.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The service of the admin listener.
#[derive(Clone)]
pub struct Admin {
    health: Health,
    metrics: Metrics,
    api: Option<AdminApi>,
}

impl Admin {
    /// Tells what `health` knows, and what `metrics` writes.
    pub fn new(health: Health, metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { health, metrics: Arc::new(metrics), api: None }
    }

    /// Answers under `/v1/` what `api` answers. Without it there is nothing there.
    #[must_use]
    pub fn with_api(mut self, api: Option<AdminApi>) -> Self {
        self.api = api;
        self
    }
}

impl<B> Service<Request<B>> for Admin
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(api) = self.api.clone().filter(|_| request.uri().path().starts_with(api::ROOT)) {
            return Box::pin(async move { Ok(api.answer(request).await) });
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path().to_owned();
        let (health, metrics) = (self.health.clone(), Arc::clone(&self.metrics));
        Box::pin(async move {
            Ok(match path.as_str() {
                "/livez" | "/readyz" | "/metrics" if !reads => {
                    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n".to_owned());
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                    response
                }
                "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
                "/readyz" => match health.problems().await {
                    problems if problems.is_empty() => text(StatusCode::OK, "ok\n".to_owned()),
                    problems => text(StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n"),
                },
                "/metrics" => {
                    let mut response = text(StatusCode::OK, metrics());
                    response.headers_mut().insert(CONTENT_TYPE, METRICS);
                    response
                }
                _ => text(StatusCode::NOT_FOUND, "not found\n".to_owned()),
            })
        })
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};
    use tower::ServiceExt;

    use super::*;

    async fn ask(health: &Health, method: Method, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Empty::<Bytes>::new()).unwrap();
        let response = Admin::new(health.clone(), || "counted 1\n".to_owned()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn check(result: Result<(), &'static str>) -> Check {
        Box::new(move || Box::pin(std::future::ready(result.map_err(str::to_owned))))
    }

    #[tokio::test]
    async fn alive_and_ready_are_different_questions() {
        let health = Health::new([("store", check(Err("disk full"))), ("upstream", check(Ok(())))]);
        assert_eq!(ask(&health, Method::GET, "/livez").await, (200, "ok\n".to_owned()));
        assert_eq!(ask(&health, Method::GET, "/readyz").await, (503, "store: disk full\n".to_owned()));
    }

    #[tokio::test]
    async fn a_draining_process_lives_and_is_not_ready() {
        let health = Health::new([("store", check(Ok(())))]);
        assert_eq!(ask(&health, Method::GET, "/readyz").await, (200, "ok\n".to_owned()));
        health.drain();
        assert_eq!(ask(&health, Method::GET, "/readyz").await, (503, "draining\n".to_owned()));
        assert_eq!(ask(&health, Method::HEAD, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn there_are_metrics_and_nothing_else() {
        let health = Health::new([]);
        assert_eq!(ask(&health, Method::GET, "/metrics").await, (200, "counted 1\n".to_owned()));
        for path in ["/", "/metrics/", "/livez/", "/bucket/key", "/v1/buckets"] {
            assert_eq!(ask(&health, Method::GET, path).await.0, 404, "{path}");
        }
        assert_eq!(ask(&health, Method::POST, "/readyz").await.0, 405);
    }
}
