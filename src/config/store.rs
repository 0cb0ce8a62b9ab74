//! The section `[store]`: where policies are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::etcd;
use super::settings::{StoreSettings, StoreUrl, UpstreamSettings};
use crate::s3::address::BucketName;
use crate::toml_reader::{Table, Zero};

/// Reads the section. `upstream` is the store that we stand before.
pub(super) fn read(mut table: Table<'_, '_>, upstream: Option<&UpstreamSettings>) -> StoreSettings {
    let reader = table.reader();
    let url = table.take("url").and_then(|value| value.parse(|text| parse_url(|path| reader.resolve(path), text)));
    let mut url = url.unwrap_or_else(|| StoreUrl::Redb(reader.resolve("portcullis.redb")));
    let max_staleness = table.duration("max_staleness", Zero::Allowed, Duration::from_secs(30));
    let refresh = table.duration("refresh", Zero::Allowed, Duration::from_secs(5).min(max_staleness));
    if refresh > max_staleness {
        table.problem("refresh", "is longer than `store.max_staleness`, and copies that old do not count");
    }
    if matches!(url, StoreUrl::S3 { .. }) && !upstream.is_none_or(UpstreamSettings::can_be_asked) {
        table.problem("url", "to keep policies in the object store needs `upstream.access_key_id`");
    }
    etcd::read(&mut table, &mut url, max_staleness);
    table.finish();
    StoreSettings { url, max_staleness, refresh }
}

/// Reads a place; `resolve` says where a path is.
pub(super) fn parse_url(resolve: impl Fn(&str) -> PathBuf, text: &str) -> Result<StoreUrl, String> {
    match text.split_once(':') {
        Some(("redb", "")) => Err("names no file: write `redb:PATH`".to_owned()),
        Some(("redb", path)) => Ok(StoreUrl::Redb(resolve(path))),
        Some(("s3", rest)) => parse_s3(rest),
        Some(("etcd", rest)) => etcd::parse_url(rest).map(StoreUrl::Etcd),
        _ => {
            Err(format!("`{text}` is not a place for policies: write `redb:PATH`, `s3://BUCKET/PREFIX` or `etcd://…`"))
        }
    }
}

/// What follows `s3:`.
fn parse_s3(rest: &str) -> Result<StoreUrl, String> {
    let wrong = |what: &str| Err(format!("{what}: write `s3://BUCKET/PREFIX`"));
    let Some(rest) = rest.strip_prefix("//") else { return wrong("is no URL of a bucket") };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let Ok(bucket) = BucketName::parse(bucket) else { return wrong("names no bucket") };
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed);
    if prefix.is_empty() {
        return Ok(StoreUrl::S3 { bucket, prefix: String::new() });
    }
    // A bucket's name has up to 255 bytes more, and a key 1,024.
    if prefix.len() > 512 || !prefix.split('/').all(is_segment) {
        return wrong("has a prefix of other characters than `A-Z a-z 0-9 . _ -`, or a long one");
    }
    Ok(StoreUrl::S3 { bucket, prefix: format!("{prefix}/") })
}
