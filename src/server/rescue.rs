//! What a client hears when our own code panics: `500 InternalError`, and nothing of why.

use std::any::Any;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::meters;
use crate::s3::error::{ErrorCode, S3Error};
use crate::upstream::respond::error_response;

/// The answer to the request that met the panic. The panic hook has told where it was; this tells what it said.
pub(super) fn answer(panic: Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    meters::PANICS.counter(&[]).increment(1);
    tracing::error!(panic = text.unwrap_or("(no text)"), "a request met a defect of ours");
    error_response(&S3Error::new(ErrorCode::InternalError), "")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Request;
    use http_body_util::BodyExt;
    use tower::{ServiceBuilder, ServiceExt, service_fn};
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_defect_is_an_internal_error_that_tells_nothing() {
        let broken = service_fn(|request: Request<()>| async move {
            assert!(request.uri().path() != "/b/k", "the secret of the house");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let service = ServiceBuilder::new().layer(CatchPanicLayer::custom(answer)).service(broken);
        let response = service.oneshot(Request::get("/b/k").body(()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(body.contains("<Code>InternalError</Code>") && !body.contains("secret"), "{body}");
    }
}
