//! `policy list` and `policy history`.

use clap::Args;
use portcullis::admin::wire::{
    BucketPage, BucketSummary, History, PolicySummary, PublicAccessBlockDocument, RevisionAction, RevisionSummary,
};

use super::{Connection, path_of, print_json};
use crate::cli::Failure;
use crate::cli::terminal::{self, Shown};

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Also buckets that have no policy, but a public access block or a history
    #[arg(long)]
    all: bool,
    /// Write each bucket as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryOf {
    /// The bucket
    bucket: String,
    /// Write each revision as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Connection,
}

/// Fails where a bucket's record cannot be read, once all are told of.
pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    let (mut after, mut begun, mut unreadable) = (String::new(), false, false);
    loop {
        let page: BucketPage = client.ask(&format!("/v1/buckets?all={}{after}", arguments.all))?;
        unreadable |= page.buckets.iter().any(|bucket| bucket.unreadable.is_some());
        if arguments.json {
            page.buckets.iter().try_for_each(print_json)?;
        } else if !page.buckets.is_empty() {
            let rows = page.buckets.iter().map(bucket_row).collect();
            print_table((!begun).then_some(["BUCKET", "REVISION", "SIZE", "PUBLIC", "BLOCKS", "CHANGED", "BY"]), rows);
            begun = true;
        }
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None if unreadable => return Err(Failure::Reported),
            None => return Ok(()),
        }
    }
}

/// Newest first, as the server keeps them.
pub(crate) fn history(arguments: &HistoryOf) -> Result<(), Failure> {
    let path = path_of(&arguments.bucket, "/policy/revisions")?;
    let history: History = arguments.server.client()?.ask(&path)?;
    if arguments.json {
        return history.revisions.iter().try_for_each(print_json);
    }
    if history.revisions.is_empty() {
        terminal::print(format_args!("{}: no policy was ever kept", arguments.bucket));
        return Ok(());
    }
    let rows = history.revisions.iter().map(revision_row).collect();
    print_table(Some(["REVISION", "ACTION", "SIZE", "SHA-256", "CHANGED", "BY", "REQUEST"]), rows);
    Ok(())
}

fn bucket_row(bucket: &BucketSummary) -> [String; 7] {
    let name = Shown(&bucket.bucket).to_string();
    let blocks = bucket.public_access_block.map_or_else(|| "-".to_owned(), switches);
    let none = || "-".to_owned();
    match (&bucket.unreadable, &bucket.policy) {
        (Some(reason), _) => {
            terminal::error(format_args!("{name}: {}", Shown(reason)));
            [name, "unreadable".to_owned(), none(), none(), none(), none(), none()]
        }
        (None, None) => [name, none(), none(), none(), blocks, none(), none()],
        (None, Some(PolicySummary { revision, time, by, size, public, .. })) => {
            let public = if *public { "public" } else { "no" };
            [name, revision.to_string(), size.to_string(), public.to_owned(), blocks, to_the_second(time), shown(by)]
        }
    }
}

fn revision_row(revision: &RevisionSummary) -> [String; 7] {
    let action = match (revision.action, revision.in_force) {
        (RevisionAction::Put, true) => "put, in force",
        (RevisionAction::Put, false) => "put",
        (RevisionAction::Delete, _) => "delete",
    };
    let none = || "-".to_owned();
    [
        revision.revision.to_string(),
        action.to_owned(),
        revision.size.map_or_else(none, |size| size.to_string()),
        revision.sha256.as_deref().map_or_else(none, |sha256| Shown(sha256).to_string().chars().take(12).collect()),
        to_the_second(&revision.time),
        shown(&revision.by),
        shown(&revision.request_id),
    ]
}

fn shown(text: &str) -> String {
    Shown(text).to_string()
}

/// `acl,ignore,policy,restrict`: the switches that are on.
fn switches(block: PublicAccessBlockDocument) -> String {
    let on: Vec<_> = [
        ("acls", block.block_public_acls),
        ("ignore", block.ignore_public_acls),
        ("policy", block.block_public_policy),
        ("restrict", block.restrict_public_buckets),
    ]
    .into_iter()
    .filter(|(_, on)| *on == Some(true))
    .map(|(name, _)| name)
    .collect();
    if on.is_empty() { "off".to_owned() } else { on.join(",") }
}

/// `2026-11-24T09:00:00Z` of a moment with a fraction.
fn to_the_second(time: &str) -> String {
    let time = Shown(time).to_string();
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time,
    }
}

/// Prints rows, each column as wide as its widest text.
fn print_table(head: Option<[&str; 7]>, rows: Vec<[String; 7]>) {
    terminal::print(table(head, rows));
}

fn table(head: Option<[&str; 7]>, rows: Vec<[String; 7]>) -> String {
    let rows: Vec<_> = head.map(|head| head.map(str::to_owned)).into_iter().chain(rows).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 7]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> BucketSummary {
        BucketSummary {
            bucket: "photos".to_owned(),
            policy: Some(PolicySummary {
                revision: 12,
                time: "2026-11-24T09:00:00.123456789Z".to_owned(),
                by: "arn:aws:iam::111122223333:user/\u{1b}[2Jalice".to_owned(),
                request_id: "4442587FB7D0A2F9".to_owned(),
                size: 312,
                sha256: "ab".repeat(32),
                public: true,
            }),
            public_access_block: Some(PublicAccessBlockDocument {
                block_public_policy: Some(true),
                block_public_acls: Some(true),
                ..PublicAccessBlockDocument::default()
            }),
            unreadable: None,
        }
    }

    #[test]
    fn columns_are_aligned_and_hold_what_came_from_outside() {
        let bare = BucketSummary { bucket: "p".to_owned(), policy: None, ..summary() };
        let rows = [summary(), bare].iter().map(bucket_row).collect();
        assert_eq!(
            table(Some(["BUCKET", "REVISION", "SIZE", "PUBLIC", "BLOCKS", "CHANGED", "BY"]), rows),
            "BUCKET  REVISION  SIZE  PUBLIC  BLOCKS       CHANGED               BY\n\
             photos  12        312   public  acls,policy  2026-11-24T09:00:00Z  arn:aws:iam::111122223333:user/\\u001b[2Jalice\n\
             p       -         -     -       acls,policy  -                     -"
        );
    }

    #[test]
    fn a_deletion_has_no_document_and_what_is_in_force_says_so() {
        let put = RevisionSummary {
            revision: 3,
            action: RevisionAction::Put,
            in_force: true,
            time: "2026-11-24T09:00:00Z".to_owned(),
            by: "admin".to_owned(),
            request_id: "R1".to_owned(),
            size: Some(10),
            sha256: Some("0123456789abcdef".to_owned()),
        };
        let deletion = RevisionSummary {
            action: RevisionAction::Delete,
            revision: 2,
            in_force: false,
            size: None,
            sha256: None,
            ..put.clone()
        };
        assert_eq!(revision_row(&put)[..4], ["3", "put, in force", "10", "0123456789ab"]);
        assert_eq!(revision_row(&deletion)[..5], ["2", "delete", "-", "-", "2026-11-24T09:00:00Z"]);
    }
}
