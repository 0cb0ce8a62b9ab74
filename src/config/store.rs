//! The section `[store]`: where policies are kept.

use std::time::Duration;

use super::settings::{StoreSettings, StoreUrl};
use crate::toml_reader::{Reader, Table, Zero};

/// What is said of a key whose time has not come.
const NOT_YET: &str = "is not available in this release";

/// Reads the section.
pub(super) fn read(mut table: Table<'_, '_>) -> StoreSettings {
    let reader = table.reader();
    let url = table.take("url").and_then(|value| value.parse(|text| parse_url(reader, text)));
    let url = url.unwrap_or_else(|| redb(reader, "portcullis.redb"));
    let max_staleness = table.duration("max_staleness", Zero::Allowed, Duration::from_secs(30));
    table.finish();
    StoreSettings { url, max_staleness }
}

fn parse_url(reader: &Reader<'_>, text: &str) -> Result<StoreUrl, String> {
    match text.split_once(':') {
        Some(("redb", "")) => Err("names no file: write `redb:PATH`".to_owned()),
        Some(("redb", path)) => Ok(redb(reader, path)),
        Some((scheme @ ("s3" | "etcd"), _)) => Err(format!("`{scheme}://` {NOT_YET}: use `redb:PATH`")),
        _ => Err(format!("`{text}` is not a place for policies: write `redb:PATH`")),
    }
}

fn redb(reader: &Reader<'_>, path: &str) -> StoreUrl {
    StoreUrl::Redb(reader.resolve(path))
}
