//! `?publicAccessBlock` and `?policyStatus`, where we keep the policies.
//!
//! Follows Amazon's "PutPublicAccessBlock", "GetPublicAccessBlock", "DeletePublicAccessBlock" and "GetBucketPolicyStatus".
//! They are decided like any other request, and whatever is enforced.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::body::RequestBody;
use super::change::{ChangeKind, Outcome};
use super::findings::Conclusion;
use super::held::{Bound, Held};
use super::layer::Handler;
use super::policy_api::unavailable;
use super::ruling::Case;
use super::service::{Call, Exchange, Outcomes, Signed};
use crate::s3::action_map::Head;
use crate::s3::address::{Address, BucketName};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::{Operation, Query};
use crate::s3::public_access_block::{MAX_PUBLIC_ACCESS_BLOCK_BYTES, PublicAccessBlock, policy_status_xml};
use crate::store::PolicyStore;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublicAccessCall {
    Put,
    Get,
    Delete,
    Status,
}

impl PublicAccessCall {
    fn operation(self) -> Operation {
        match self {
            Self::Put => Operation::PutPublicAccessBlock,
            Self::Get => Operation::GetPublicAccessBlock,
            Self::Delete => Operation::DeletePublicAccessBlock,
            Self::Status => Operation::GetBucketPolicyStatus,
        }
    }
}

impl<S> Call<S> {
    pub(super) async fn public_access<B, R>(
        &mut self,
        call: PublicAccessCall,
        bucket: &BucketName,
        body: RequestBody<B>,
    ) -> Outcomes<R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // INVARIANT: only where policies are stored does a request come this way.
        let Handler::Store(store) = &self.exchange.shared.handler else {
            return Err(S3Error::new(ErrorCode::MethodNotAllowed).into());
        };
        let store = Arc::clone(store);
        let exchange = &self.exchange;
        let signed = exchange.authenticate().await?;
        exchange.grant(call, bucket, signed.as_ref()).await?;
        exchange.concluded(Some(call.operation()), Conclusion::Allowed);
        match call {
            PublicAccessCall::Put => {
                let headers = exchange.effective_headers()?;
                let payload = exchange.payload(signed.as_ref())?;
                let bound = Bound::bytes(MAX_PUBLIC_ACCESS_BLOCK_BYTES);
                let verified = signed.as_ref().map(|signed| &signed.verified);
                let held = Held::read(body, bound, &exchange.shared.held, &headers, payload, verified).await?;
                let block = PublicAccessBlock::parse(&held.content).map_err(S3Error::from)?;
                exchange.put_block(&*store, bucket, signed.as_ref(), block).await
            }
            PublicAccessCall::Delete => exchange.delete_block(&*store, bucket, signed.as_ref()).await,
            PublicAccessCall::Get => {
                let in_force = store.in_force(bucket).await.map_err(|error| unavailable(&error))?;
                match in_force.public_access_block {
                    Some(block) => Ok(exchange.responder.xml(block.to_xml())),
                    None => Err(S3Error::new(ErrorCode::NoSuchPublicAccessBlockConfiguration)
                        .with_field("BucketName", bucket.as_str())
                        .into()),
                }
            }
            PublicAccessCall::Status => {
                let in_force = store.in_force(bucket).await.map_err(|error| unavailable(&error))?;
                match in_force.policy {
                    Some(record) => Ok(exchange.responder.xml(policy_status_xml(record.policy.is_public()))),
                    None => Err(S3Error::new(ErrorCode::NoSuchBucketPolicy)
                        .with_field("BucketName", bucket.as_str())
                        .into()),
                }
            }
        }
    }
}

impl Exchange {
    async fn grant(&self, call: PublicAccessCall, bucket: &BucketName, signed: Option<&Signed>) -> Result<(), S3Error> {
        let query = Query::parse(self.parts.uri.query())?;
        let headers = effective_headers(&self.parts.headers, &query)?;
        let address = Address::Bucket(bucket.clone());
        let case = Case {
            operation: call.operation(),
            head: Head { address: &address, query: &query, headers: &headers },
            identity: signed.map(|signed| &*signed.identity),
            signature: signed.map(Signed::facts),
            body: None,
            form: None,
        };
        match self.rule(&case).await?.denied {
            None => Ok(()),
            Some(denial) => {
                let by = signed.map(|signed| &*signed.identity);
                self.tell_denial(call.operation(), by, &denial);
                Err(S3Error::new(ErrorCode::AccessDenied))
            }
        }
    }

    async fn put_block<R, E>(
        &self,
        store: &dyn PolicyStore,
        bucket: &BucketName,
        signed: Option<&Signed>,
        block: PublicAccessBlock,
    ) -> Outcomes<R, E> {
        let _turn = self.shared.locks.lock(bucket).await;
        // The body may have been long on its way, and the permission be gone.
        self.grant(PublicAccessCall::Put, bucket, signed).await?;
        let by = signed.map(|signed| &*signed.identity);
        let begun = self.begin(ChangeKind::PutPublicAccessBlock, bucket, by, None);
        match store.put_public_access_block(bucket, block, self.change(signed)).await {
            Ok(()) => {
                begun.ended(Outcome::Stored { revision: None });
                Ok(self.responder.empty(StatusCode::OK))
            }
            Err(error) => {
                begun.ended(Outcome::Failed { reason: error.to_string() });
                Err(unavailable(&error).into())
            }
        }
    }

    async fn delete_block<R, E>(
        &self,
        store: &dyn PolicyStore,
        bucket: &BucketName,
        signed: Option<&Signed>,
    ) -> Outcomes<R, E> {
        let _turn = self.shared.locks.lock(bucket).await;
        self.grant(PublicAccessCall::Delete, bucket, signed).await?;
        let by = signed.map(|signed| &*signed.identity);
        let begun = self.begin(ChangeKind::DeletePublicAccessBlock, bucket, by, None);
        match store.delete_public_access_block(bucket, self.change(signed)).await {
            Ok(true) => begun.ended(Outcome::Stored { revision: None }),
            Ok(false) => begun.changed_nothing(),
            Err(error) => {
                begun.ended(Outcome::Failed { reason: error.to_string() });
                return Err(unavailable(&error).into());
            }
        }
        Ok(self.responder.empty(StatusCode::NO_CONTENT))
    }
}
