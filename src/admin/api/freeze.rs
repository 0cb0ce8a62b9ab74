//! Holding all that is kept still.

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;

use super::answer::{ApiError, json};
use super::ask::Ask;
use crate::admin::wire::FreezeAnswer;
use crate::store::freeze::Freeze;

pub(super) async fn answer(ask: &Ask<'_>, freeze: &Freeze) -> Result<Response<Full<Bytes>>, ApiError> {
    let id = ask.occasion.request_id.as_str();
    let frozen = match ask.parts.method {
        Method::PUT => {
            let frozen = freeze.freeze(id.to_owned()).await;
            tracing::warn!(
                request_id = id,
                frozen,
                "policies are frozen: every change is refused until they are thawed"
            );
            Some(frozen)
        }
        Method::DELETE => {
            if freeze.thaw().await {
                tracing::warn!(request_id = id, "policies are thawed: changes are made again");
            }
            None
        }
        _ => freeze.id().await,
    };
    json(&FreezeAnswer { frozen })
}
