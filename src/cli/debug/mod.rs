//! `portcullis debug`: what is made of a request, without a server.

mod classify;
mod request;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell of requests from a file, one JSON object a line, which operation each is and what it needs
    ///
    /// Each line has a `method` and a `target` (as on the wire), perhaps a `host`, `headers` (a string or a list of
    /// strings by name), a `body` (a string; needed for POST ?delete and forms alone), and an `id` that is given back.
    /// Each gets a line of output, in order: `id`, `operation`, `bucket`, `key` and the `actions` that must all be
    /// granted, each on a `resource`; those that depend on what the store alone knows are `lookups`. What must be refused
    /// has no operation but an `error` with its `status` and `code`. A line of more than 16 MiB is an error.
    ///
    /// Exit code 1 where a line is no such object; the other lines are answered all the same. Exit code 2 for a wrong
    /// command line.
    ///
    /// Example: portcullis debug classify --domain s3.example.com --requests requests.jsonl
    Classify(classify::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Classify(arguments) => classify::run(arguments),
    }
}
