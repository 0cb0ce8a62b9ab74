//! `portcullis policy`: bucket policies without a server.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use portcullis::policy::{InvalidPolicy, MAX_BODY, MAX_NORMALIZED, Policy, PolicyDocument, Problem};
use portcullis::s3::address::BucketName;

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
}

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Validate { bucket, file } => validate(bucket, file),
        Command::Simulate(arguments) => simulate::run(arguments),
    }
}

fn validate(bucket: &str, file: &Path) -> Result<(), Failure> {
    let bucket = BucketName::parse(bucket).map_err(|error| Failure::Usage(error.to_string()))?;
    let body = read(file).map_err(|error| Failure::Failed(format!("{}: cannot be read: {error}", file.display())))?;
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
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut body)?;
    } else {
        std::fs::File::open(file)?.take(limit).read_to_end(&mut body)?;
    }
    Ok(body)
}

/// Says what the API would answer, and then what it would answer once that is mended.
fn report(invalid: &InvalidPolicy) {
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
