//! Does the object store heed conditions on writes?
//!
//! Some say that they don't (`501`), and some take the header and write all the same, Garage among them. So it is tried
//! out on an object that nobody reads.

use std::time::Instant;

use bytes::Bytes;

use super::objects::{Condition, ETag, Fetched, ObjectError, ObjectStorage, Written};
use crate::s3::checksum::hex;

/// Whether `If-None-Match: *` and `If-Match` do on a `PUT` what they say.
///
/// # Errors
/// [`ObjectError`] where that could not be found out.
pub(super) async fn are_heeded(objects: &dyn ObjectStorage, prefix: &str) -> Result<bool, ObjectError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| ObjectError { reason: format!("no random numbers: {error}") })?;
    let key = format!("{prefix}probe/{}", hex(&random));
    let began = Instant::now();
    let heeded = try_out(objects, &key).await;
    // Left behind it would do no harm.
    if let Err(error) = objects.delete(&key).await {
        tracing::debug!(%error, key, "a probe's object was not taken away");
    }
    let heeded = heeded?;
    let took = began.elapsed();
    if heeded {
        tracing::info!(?took, "the object store heeds conditions on writes: no change of a policy is lost to another");
    } else {
        tracing::warn!(
            ?took,
            "the object store heeds no conditions on writes: of two changes that two replicas make to one bucket in the \
             same moment, the last one stays"
        );
    }
    Ok(heeded)
}

async fn try_out(objects: &dyn ObjectStorage, key: &str) -> Result<bool, ObjectError> {
    let put = |content: &'static str, condition: Condition| async move {
        objects.put(key, Bytes::from_static(content.as_bytes()), &condition).await
    };
    if !matches!(put("first", Condition::Absent).await?, Written::Done(_)) {
        return Ok(false);
    }
    if put("second", Condition::Absent).await? != Written::Refused {
        return Ok(false);
    }
    // By the tag that a reader is told, since that is what will be written by.
    let Fetched::Found { etag: Some(etag), .. } = objects.get(key, None).await? else { return Ok(false) };
    let Some(other) = ETag::parse("\"00000000000000000000000000000000\"") else { return Ok(false) };
    Ok(put("third", Condition::Unchanged(other)).await? == Written::Refused
        && matches!(put("fourth", Condition::Unchanged(etag)).await?, Written::Done(_)))
}
