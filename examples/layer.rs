//! The Layer in a plain tower and axum stack, in front of a toy store that knows nothing of policies.
//!
//! Run it with `cargo run --example layer`, then paste what it prints.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::response::IntoResponse;
use axum::{Router, http::StatusCode};
use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::ownership::fixed::OneOwner;
use portcullis::policy::{Account, AccountId, CanonicalUserId, Principal};
use portcullis::s3::address::Domains;
use portcullis::store::memory::MemoryStore;
use portcullis::{BucketPolicyLayer, Handler};
use tower::ServiceBuilder;

/// Whatever is not `?policy` arrives here.
async fn toy_store(request: Request<Body>) -> impl IntoResponse {
    (StatusCode::NOT_IMPLEMENTED, format!("the store got {} {}\n", request.method(), request.uri()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let account = AccountId::parse("111122223333")?;
    let canonical_id = CanonicalUserId::parse(&"0123456789abcdef".repeat(4)).ok_or("64 hexadecimal digits")?;
    let root = Credential {
        access_key_id: AccessKeyId::new("EXAMPLEROOT"),
        secret: SecretKey::new("example-secret"),
        session_token: None,
        identity: Arc::new(Identity {
            principal: Principal::root(Account { id: account.clone(), canonical_id }),
            policies: Vec::new(),
        }),
    };

    let policies = BucketPolicyLayer::builder(
        Arc::new(StaticCredentials::from_iter([root])),
        Arc::new(OneOwner::new(account)),
        Handler::Store(Arc::new(MemoryStore::default())),
    )
    .with_domains(Domains::parse(["s3.localhost"])?)
    .build();

    let store = ServiceBuilder::new()
        .layer(policies)
        .map_request(|request: Request<_>| request.map(Body::new))
        .service(Router::new().fallback(toy_store));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:9010").await?;
    println!(
        "export AWS_ACCESS_KEY_ID=EXAMPLEROOT AWS_SECRET_ACCESS_KEY=example-secret AWS_DEFAULT_REGION=us-east-1\n\
         aws --endpoint-url http://127.0.0.1:9010 s3api put-bucket-policy --bucket photos --policy '{{\"Statement\":\
         {{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::photos/*\"}}}}'\n\
         aws --endpoint-url http://127.0.0.1:9010 s3api get-bucket-policy --bucket photos"
    );
    axum::serve(listener, Router::new().fallback_service(store)).await?;
    Ok(())
}
