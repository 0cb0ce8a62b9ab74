//! `portcullis policy`: bucket policies, without a server and in one that runs.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use portcullis::policy::{InvalidPolicy, MAX_BODY, MAX_NORMALIZED, Policy, PolicyDocument, Problem};
use portcullis::s3::address::BucketName;

use super::remote::{archive, changes, diff, listing, migrate};
use super::{Failure, simulate, terminal};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a policy as PUT ?policy would
    ///
    /// The verdict and its words are those of the API. Exit code 1 where the policy would be refused.
    Validate {
        /// The bucket the policy is for
        #[arg(long, short, value_name = "BUCKET")]
        bucket: String,
        /// The policy; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Decide requests from a file, one JSON object a line
    ///
    /// Each line has a `principal` (its `type`, which is anonymous, root, user or assumed-role, and its `account`, `arn`,
    /// `user_id`, `name` and `tags`), an `action`, a `resource` (an ARN) and a `bucket_owner` (an account), perhaps a
    /// `bucket_policy`, `identity_policies` (a list), a `context` (lists of strings by condition key), and an `id` that
    /// is given back. Each that can be read gets a line of output, in order: `id`, `decision` (allow, explicit_deny or
    /// implicit_deny) and the statements it was `decided_by`. One that cannot, or has more than 4 MiB, is reported on the
    /// standard error stream with its number.
    ///
    /// Exit code 1 where a line failed or a decision was not the one expected; the other lines are answered all the same.
    /// Exit code 2 for a wrong command line.
    ///
    /// Example: portcullis policy simulate --requests cases.jsonl --explain --expect allow
    Simulate(simulate::Arguments),
    /// List the buckets that have a policy
    ///
    /// A row each: the revision in force, its size in bytes, whether it is public by Amazon's definition, which switches of
    /// the public access block are on, and when and by whom it was put.
    ///
    /// This command and those below ask a running server, through the admin API on its admin listener, which is there once
    /// `[admin] token_file` names a file with a token. What they change is durable when they end, and in the audit trail by
    /// the principal `admin`. Exit code 1 where the server refuses, 2 for a wrong command line.
    ///
    /// Example: portcullis policy list --config proxy.toml
    List(listing::List),
    /// Write a bucket's policy to standard output, byte for byte
    ///
    /// Example: portcullis policy get photos --config proxy.toml > photos.json
    Get(changes::Get),
    /// Put a policy in force
    ///
    /// It is checked here first, in the words of the API, and by the server once more. A policy that may deny the owner's
    /// users its own replacement is put with a warning. Where the bucket's BlockPublicPolicy is on, a public policy is
    /// refused, as it is for everybody.
    ///
    /// Example: portcullis policy put photos photos.json --if-revision 7 --config proxy.toml
    Put(changes::Put),
    /// Take a bucket's policy out of force; it stays in the history
    Delete(changes::Delete),
    /// List the revisions of a bucket's policy, newest first
    History(listing::HistoryOf),
    /// Put an earlier revision in force again, as a new one
    ///
    /// Its document must be valid by today's rules.
    ///
    /// Example: portcullis policy rollback photos 5 --config proxy.toml
    Rollback(changes::Rollback),
    /// Show what changed between two revisions, as `diff -u` does
    ///
    /// Without revisions: what the last change did. With one: what changed from it to what is in force. Documents are
    /// compared with a value a line, so that white space is no change.
    Diff(diff::Arguments),
    /// Write all that is kept to an archive
    ///
    /// That is, for each bucket: the policy's exact bytes and history with times and authors, the public access block, and
    /// the account recorded as its creator. The archive is JSON, a bucket a line, with a checksum at its end; each bucket
    /// is as of one moment, and changes may fall between two. Records that cannot be read are named in it, and here, with
    /// exit code 1.
    ///
    /// Example: portcullis policy export policies.jsonl --config proxy.toml
    Export(archive::Export),
    /// Bring back what an archive holds
    ///
    /// All of it is checked, here and by the server, before the first bucket is written; each bucket is then written in one
    /// step, so that nobody sees it without a policy or with an old one. Revisions keep their order, times and authors, and
    /// get new numbers. What is kept already is left alone, and so are buckets that the archive does not name: an import
    /// that broke off can be made again.
    ///
    /// Example: portcullis policy import policies.jsonl --dry-run --config proxy.toml
    Import(archive::Import),
    /// Move all that is kept from one place to another
    ///
    /// Policies with their history, public access blocks and the registry of owners; revisions get numbers of the new
    /// place. It can be run while the place is in use, and as often as wanted: what is there already is left alone. With
    /// --freeze it ends with both the same: the servers given refuse every change from then on (503; reading, and all that
    /// policies allow, goes on), what changed during the first copy is copied, and both places are compared. Switch them to
    /// the new place then. Where anything goes wrong they are thawed. docs/stores.md has the whole procedure.
    ///
    /// Exit code 1 where a record cannot be read, something else is in the way, or a place does not answer.
    ///
    /// Example: portcullis policy migrate --from http://127.0.0.1:9001 --to s3://policies/prod --freeze http://127.0.0.1:9001
    Migrate(migrate::Migrate),
    /// Refuse every change of policies in a running server, so that what is kept can be moved
    Freeze(migrate::Freeze),
    /// Make changes again in a server that was frozen
    Thaw(migrate::Freeze),
}

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Validate { bucket, file } => validate(bucket, file),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::List(arguments) => listing::list(arguments),
        Command::Get(arguments) => changes::get(arguments),
        Command::Put(arguments) => changes::put(arguments),
        Command::Delete(arguments) => changes::delete(arguments),
        Command::History(arguments) => listing::history(arguments),
        Command::Rollback(arguments) => changes::rollback(arguments),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Export(arguments) => archive::export(arguments),
        Command::Import(arguments) => archive::import(arguments),
        Command::Migrate(arguments) => migrate::migrate(arguments),
        Command::Freeze(arguments) => migrate::freeze(arguments),
        Command::Thaw(arguments) => migrate::thaw(arguments),
    }
}

fn validate(bucket: &str, file: &Path) -> Result<(), Failure> {
    let bucket = BucketName::parse(bucket).map_err(|error| Failure::Usage(error.to_string()))?;
    let body = read(file)?;
    let checked = Policy::parse(&body, bucket.as_str())
        .and_then(|validated| Ok((validated, PolicyDocument::parse(&body)?.normalized().len())));
    match checked {
        Ok((validated, size)) => {
            for warning in &validated.warnings {
                terminal::warning(in_lines(warning));
            }
            terminal::print(format_args!("valid: {size} of {MAX_NORMALIZED} bytes when normalised"));
            Ok(())
        }
        Err(invalid) => {
            report(&invalid);
            Err(Failure::Reported)
        }
    }
}

/// The file's bytes: all of them, or one more than any policy may have.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut body)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut body))
    };
    match read {
        Ok(_) => Ok(body),
        Err(error) => Err(Failure::Failed(format!("{}: cannot be read: {error}", file.display()))),
    }
}

/// Says what the API would answer, and then what it would answer once that is mended.
pub(super) fn report(invalid: &InvalidPolicy) {
    for (index, problem) in invalid.problems().iter().enumerate() {
        if index == 0 {
            terminal::error(format_args!("MalformedPolicy: {}", in_lines(problem)));
        } else {
            terminal::error(format_args!("also: {}", in_lines(problem)));
        }
    }
}

fn in_lines(problem: &Problem) -> String {
    match &problem.detail {
        Some(detail) => format!("{}\n  {detail}", problem.message),
        None => problem.message.clone(),
    }
}
