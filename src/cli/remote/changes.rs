//! `policy get`, `put`, `delete` and `rollback`.

use std::io::{ErrorKind, Write, stdout};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use http::Method;
use portcullis::admin::wire::{DeleteAnswer, PutAnswer};

use super::{Client, Condition, Connection, path_of, policy, print_json, read, warn};
use crate::cli::{Failure, terminal};

#[derive(Args, Debug)]
pub(crate) struct Get {
    /// The bucket
    bucket: String,
    /// An earlier revision, by its number in `policy history`
    #[arg(long, short, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    server: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    /// The bucket
    bucket: String,
    /// The policy; - for standard input
    file: PathBuf,
    /// Only if this is the revision in force, so that nobody else's change is undone
    #[arg(long, value_name = "N", conflicts_with = "if_none")]
    if_revision: Option<u64>,
    /// Only if the bucket has no policy
    #[arg(long)]
    if_none: bool,
    /// Write the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// The bucket
    bucket: String,
    /// Only if this is the revision in force
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
    /// Write the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Rollback {
    /// The bucket
    bucket: String,
    /// The revision whose document is to be in force again
    #[arg(value_name = "REVISION")]
    revision: u64,
    /// Only if this is the revision in force
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
    /// Write the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Connection,
}

/// Writes the policy's exact bytes, and nothing else.
pub(crate) fn get(arguments: &Get) -> Result<(), Failure> {
    let rest = match arguments.revision {
        Some(revision) => format!("/policy/revisions/{revision}"),
        None => "/policy".to_owned(),
    };
    let path = path_of(&arguments.bucket, &rest)?;
    let answer = arguments.server.client()?.call(Method::GET, &path, Condition::Nothing)?;
    let mut out = stdout().lock();
    match out.write_all(&answer).and_then(|()| out.flush()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output: cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(crate) fn put(arguments: &Put) -> Result<(), Failure> {
    let path = path_of(&arguments.bucket, "/policy")?;
    let client = arguments.server.client()?;
    let body = checked(&arguments.bucket, &arguments.file)?;
    let condition = match (arguments.if_revision, arguments.if_none) {
        (Some(revision), _) => Condition::Revision(revision),
        (None, true) => Condition::NoPolicy,
        (None, false) => Condition::Nothing,
    };
    let answer = client.send(Method::PUT, &path, condition, body.into())?;
    tell_put(&read(&answer)?, arguments.json)
}

pub(crate) fn delete(arguments: &Delete) -> Result<(), Failure> {
    let path = path_of(&arguments.bucket, "/policy")?;
    let condition = arguments.if_revision.map_or(Condition::Nothing, Condition::Revision);
    let answer = arguments.server.client()?.call(Method::DELETE, &path, condition)?;
    let answer: DeleteAnswer = read(&answer)?;
    if arguments.json {
        return print_json(&answer);
    }
    let what = if answer.deleted { "the policy is deleted" } else { "there was no policy" };
    terminal::print(format_args!("{}: {what}", arguments.bucket));
    Ok(())
}

pub(crate) fn rollback(arguments: &Rollback) -> Result<(), Failure> {
    let path = path_of(&arguments.bucket, &format!("/policy/revisions/{}/rollback", arguments.revision))?;
    let condition = arguments.if_revision.map_or(Condition::Nothing, Condition::Revision);
    let answer = arguments.server.client()?.call(Method::POST, &path, condition)?;
    tell_put(&read(&answer)?, arguments.json)
}

/// The bytes of a policy that this version finds valid. What it warns of the server says as well, and more.
fn checked(bucket: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    let body = policy::read(file)?;
    match portcullis::policy::Policy::parse(&body, bucket) {
        Ok(_) => Ok(body),
        Err(invalid) => {
            policy::report(&invalid);
            Err(Failure::Reported)
        }
    }
}

fn tell_put(answer: &PutAnswer, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(answer);
    }
    warn(&answer.warnings);
    terminal::print(format_args!("{}: revision {} is in force", terminal::Escaped(&answer.bucket), answer.revision));
    Ok(())
}

/// The document of a revision, or of the one in force.
pub(super) fn document(client: &Client, bucket: &str, revision: u64) -> Result<Bytes, Failure> {
    let path = path_of(bucket, &format!("/policy/revisions/{revision}"))?;
    client.call(Method::GET, &path, Condition::Nothing)
}
