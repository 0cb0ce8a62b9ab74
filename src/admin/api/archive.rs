//! All that is kept, record by record: out, and back in.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::Full;

use super::answer::{ApiError, json};
use super::ask::{self, Ask, Parameters, invalid};
use crate::admin::archive::{BucketRecord, ImportAnswer, ImportOutcome, ImportedBucket, MAX_LINE, RecordPage};
use crate::layer::BoxError;
use crate::layer::administration::{AdministrationError, Import, Imported};
use crate::s3::address::BucketName;
use crate::store::StoreError;

type Answer = Result<Response<Full<Bytes>>, ApiError>;

/// Records on a page, at most.
const PAGE: usize = 1000;
/// A page ends with the record that takes its documents past so many bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn export(ask: &Ask<'_>) -> Answer {
    let parameters = Parameters::read(ask.parts, &["after", "limit"])?;
    let limit = parameters.count("limit", PAGE, PAGE)?;
    let after = parameters.bucket("after")?;
    let administration = ask.administration;
    let mut names = administration.store().list(after.as_ref(), limit).await?;
    names.append(&mut administration.registry().list(after.as_ref(), limit).await?);
    names.sort_unstable();
    names.dedup();
    names.truncate(limit);

    let is_full = names.len() == limit;
    let (mut records, mut bytes) = (Vec::with_capacity(names.len()), 0);
    let mut names = names.into_iter();
    for name in names.by_ref() {
        let record = match administration.kept(&name).await {
            Ok(kept) => {
                bytes += kept.revisions.iter().filter_map(|past| past.document.as_ref()).map(Bytes::len).sum::<usize>();
                BucketRecord::new(&name, kept)
            }
            Err(StoreError::Unreadable { reason, .. }) => BucketRecord::unreadable(&name, reason),
            Err(error) => return Err(error.into()),
        };
        records.push(record);
        if bytes > PAGE_BYTES {
            break;
        }
    }
    let is_last = !is_full && names.len() == 0;
    let next = if is_last { None } else { records.last().map(|last| last.bucket.clone()) };
    json(&RecordPage { records, next })
}

/// Checks every record before the first is written. What is written is so bucket by bucket: should that break off, the
/// same call made again goes on, since what is the same already is left alone.
pub(super) async fn import<B>(ask: &Ask<'_>, body: B) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let parameters = Parameters::read(ask.parts, &["replace", "dry_run"])?;
    let (replace, dry_run) = (parameters.flag("replace")?, parameters.flag("dry_run")?);
    let body = ask::body(body, MAX_LINE + MAX_LINE / 2).await?.ok_or_else(|| {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", "The body is too long: send fewer records.")
    })?;
    let page: RecordPage = serde_json::from_slice(&body)
        .map_err(|error| invalid("The body is not a list of records", &error.to_string()))?;
    let mut checked: Vec<(String, Option<(BucketName, Import)>)> = Vec::with_capacity(page.records.len());
    for record in &page.records {
        let import = record.import().map_err(|error| match error.invalid_policy() {
            Some(policy) => ApiError::malformed(policy).with_detail(error.to_string()),
            None => invalid("A record is not as it must be", &error.to_string()),
        })?;
        checked.push((record.bucket.clone(), import));
    }

    let mut rehearsed = Vec::with_capacity(checked.len());
    for (bucket, import) in &checked {
        let outcome = match import {
            Some((name, import)) => outcome(ask, name, import.clone(), replace, true).await?,
            None => ImportOutcome::Unreadable,
        };
        rehearsed.push(ImportedBucket { bucket: bucket.clone(), outcome });
    }
    if dry_run {
        return json(&ImportAnswer { buckets: rehearsed });
    }
    if let Some(first) = rehearsed.iter().find(|bucket| bucket.outcome == ImportOutcome::InTheWay) {
        return Err(ApiError::from(AdministrationError::InTheWay).with_detail(first.bucket.clone()));
    }
    let mut buckets = Vec::with_capacity(checked.len());
    for (bucket, import) in checked {
        let outcome = match import {
            Some((name, import)) => outcome(ask, &name, import, replace, false).await?,
            None => ImportOutcome::Unreadable,
        };
        if outcome == ImportOutcome::InTheWay {
            // It came in between.
            return Err(ApiError::from(AdministrationError::InTheWay).with_detail(bucket));
        }
        buckets.push(ImportedBucket { bucket, outcome });
    }
    json(&ImportAnswer { buckets })
}

async fn outcome(
    ask: &Ask<'_>,
    bucket: &BucketName,
    import: Import,
    replace: bool,
    rehearsal: bool,
) -> Result<ImportOutcome, ApiError> {
    match ask.administration.import(ask.occasion, bucket, import, replace, rehearsal).await {
        Ok(Imported::New) => Ok(ImportOutcome::New),
        Ok(Imported::Replaced) => Ok(ImportOutcome::Replaced),
        Ok(Imported::Unchanged) => Ok(ImportOutcome::Unchanged),
        Err(AdministrationError::InTheWay) => Ok(ImportOutcome::InTheWay),
        Err(error) => Err(error.into()),
    }
}
