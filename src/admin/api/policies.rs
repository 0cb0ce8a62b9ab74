//! Policies, their history, and public access blocks.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use sha2::{Digest, Sha256};

use super::answer::{ApiError, document, json, with_revision};
use super::ask::{self, Ask, Parameters, expected, invalid, no_condition};
use crate::admin::wire::{
    BucketPage, BucketSummary, DeleteAnswer, History, Notice, PolicySummary, PublicAccessBlockDocument, PutAnswer,
    RevisionAction, RevisionSummary, rfc3339,
};
use crate::layer::BoxError;
use crate::layer::administration::{AdministrationError, PutDone};
use crate::policy::{InvalidPolicy, MAX_BODY};
use crate::s3::address::BucketName;
use crate::s3::checksum::hex;
use crate::s3::error::ErrorCode;
use crate::store::{InForce, PolicyRecord, StoreError};

type Answer = Result<Response<Full<Bytes>>, ApiError>;

/// Buckets on a page, unless told otherwise.
const PAGE: usize = 1000;
/// How many times as many buckets are looked at for a page that shows only some of them.
const LOOKS: usize = 10;
/// The longest JSON that names four switches, with room to spare, in bytes.
const MAX_BLOCK: usize = 4096;

pub(super) async fn list(ask: &Ask<'_>) -> Answer {
    let parameters = Parameters::read(ask.parts, &["after", "limit", "all"])?;
    let (all, limit) = (parameters.flag("all")?, parameters.count("limit", PAGE, PAGE)?);
    let mut after = parameters.bucket("after")?;
    let store = ask.administration.store();
    let mut buckets = Vec::new();
    for _ in 0..LOOKS {
        let names = store.list(after.as_ref(), limit).await?;
        let is_last = names.len() < limit;
        for name in names {
            if buckets.len() == limit {
                return json(&BucketPage { buckets, next: after.map(|last| last.as_str().to_owned()) });
            }
            let summary = match store.in_force(&name).await {
                Ok(in_force) => summary(&name, &in_force),
                Err(StoreError::Unreadable { reason, .. }) => unreadable(&name, reason),
                Err(error) => return Err(error.into()),
            };
            if all || summary.policy.is_some() || summary.unreadable.is_some() {
                buckets.push(summary);
            }
            after = Some(name);
        }
        if is_last {
            return json(&BucketPage { buckets, next: None });
        }
    }
    json(&BucketPage { buckets, next: after.map(|last| last.as_str().to_owned()) })
}

pub(super) async fn get(ask: &Ask<'_>, bucket: &BucketName) -> Answer {
    Parameters::read(ask.parts, &[])?;
    let record = ask.administration.store().get(bucket).await?;
    let record = record.ok_or_else(|| ApiError::s3(ErrorCode::NoSuchBucketPolicy))?;
    Ok(document(record.document.clone(), record.revision))
}

pub(super) async fn put<B>(ask: &Ask<'_>, bucket: &BucketName, body: B) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    Parameters::read(ask.parts, &[])?;
    let expected = expected(&ask.parts.headers)?;
    let body = ask::body(body, MAX_BODY).await?;
    let body = body.ok_or_else(|| ApiError::malformed(&InvalidPolicy::too_long()))?;
    let done = ask.administration.put(ask.occasion, bucket, body, &expected).await?;
    put_answer(bucket, &done)
}

pub(super) async fn delete(ask: &Ask<'_>, bucket: &BucketName) -> Answer {
    Parameters::read(ask.parts, &[])?;
    let expected = expected(&ask.parts.headers)?;
    let deleted = ask.administration.delete(ask.occasion, bucket, &expected).await?;
    json(&DeleteAnswer { bucket: bucket.as_str().to_owned(), deleted })
}

pub(super) async fn history(ask: &Ask<'_>, bucket: &BucketName) -> Answer {
    Parameters::read(ask.parts, &[])?;
    let revisions = ask.administration.store().history(bucket).await?;
    let summaries = revisions.iter().enumerate().map(|(position, revision)| RevisionSummary {
        revision: revision.revision,
        action: if revision.document.is_some() { RevisionAction::Put } else { RevisionAction::Delete },
        in_force: position == 0 && revision.document.is_some(),
        time: rfc3339(revision.change.at),
        by: revision.change.by.clone(),
        request_id: revision.change.request_id.clone(),
        size: revision.document.as_ref().map(Bytes::len),
        sha256: revision.document.as_deref().map(sha256),
    });
    json(&History { bucket: bucket.as_str().to_owned(), revisions: summaries.collect() })
}

pub(super) async fn revision(ask: &Ask<'_>, bucket: &BucketName, revision: u64) -> Answer {
    Parameters::read(ask.parts, &[])?;
    let history = ask.administration.store().history(bucket).await?;
    let found = history.into_iter().find(|found| found.revision == revision);
    let found = found.ok_or(AdministrationError::NoSuchRevision(revision))?;
    let bytes = found.document.ok_or(AdministrationError::NoDocument(revision))?;
    Ok(document(bytes, revision))
}

pub(super) async fn roll_back(ask: &Ask<'_>, bucket: &BucketName, revision: u64) -> Answer {
    Parameters::read(ask.parts, &[])?;
    let expected = expected(&ask.parts.headers)?;
    let done = ask.administration.roll_back(ask.occasion, bucket, revision, &expected).await?;
    put_answer(bucket, &done)
}

pub(super) async fn get_block(ask: &Ask<'_>, bucket: &BucketName) -> Answer {
    Parameters::read(ask.parts, &[])?;
    let in_force = ask.administration.store().in_force(bucket).await?;
    match in_force.public_access_block {
        Some(block) => json(&PublicAccessBlockDocument::from(block)),
        None => Err(ApiError::s3(ErrorCode::NoSuchPublicAccessBlockConfiguration)),
    }
}

pub(super) async fn put_block<B>(ask: &Ask<'_>, bucket: &BucketName, body: B) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    Parameters::read(ask.parts, &[])?;
    no_condition(&ask.parts.headers)?;
    let body = ask::body(body, MAX_BLOCK).await?.unwrap_or_default();
    let document: PublicAccessBlockDocument = serde_json::from_slice(&body)
        .map_err(|error| invalid("The body is not a public access block in JSON", &error.to_string()))?;
    let block = document.block().ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "InvalidRequest", "Must specify at least one configuration.")
    })?;
    ask.administration.put_public_access_block(ask.occasion, bucket, block).await?;
    json(&PublicAccessBlockDocument::from(block))
}

pub(super) async fn delete_block(ask: &Ask<'_>, bucket: &BucketName) -> Answer {
    Parameters::read(ask.parts, &[])?;
    no_condition(&ask.parts.headers)?;
    let deleted = ask.administration.delete_public_access_block(ask.occasion, bucket).await?;
    json(&DeleteAnswer { bucket: bucket.as_str().to_owned(), deleted })
}

fn put_answer(bucket: &BucketName, done: &PutDone) -> Answer {
    let answer = PutAnswer {
        bucket: bucket.as_str().to_owned(),
        revision: done.revision,
        warnings: done.warnings.iter().map(Notice::from).collect(),
    };
    Ok(with_revision(json(&answer)?, done.revision))
}

fn summary(bucket: &BucketName, in_force: &InForce) -> BucketSummary {
    BucketSummary {
        bucket: bucket.as_str().to_owned(),
        policy: in_force.policy.as_deref().map(policy_summary),
        public_access_block: in_force.public_access_block.map(PublicAccessBlockDocument::from),
        unreadable: None,
    }
}

fn unreadable(bucket: &BucketName, reason: String) -> BucketSummary {
    BucketSummary {
        bucket: bucket.as_str().to_owned(),
        policy: None,
        public_access_block: None,
        unreadable: Some(reason),
    }
}

fn policy_summary(record: &PolicyRecord) -> PolicySummary {
    PolicySummary {
        revision: record.revision,
        time: rfc3339(record.change.at),
        by: record.change.by.clone(),
        request_id: record.change.request_id.clone(),
        size: record.document.len(),
        sha256: sha256(&record.document),
        public: record.policy.is_public(),
    }
}

fn sha256(document: &[u8]) -> String {
    hex(&Sha256::digest(document))
}
