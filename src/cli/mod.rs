//! The command line: one file a command, or a folder.
//!
//! Exit codes: 0 for success, 1 where a command found problems or failed, 2 for a command line that makes no sense.

mod check;
mod debug;
mod fields;
mod input;
mod load;
mod policy;
mod remote;
mod sandbox;
mod serve;
mod signals;
mod simulate;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// S3 bucket policies in front of any object store.
///
/// Portcullis is a reverse proxy: it authenticates S3 requests, keeps bucket policies (PUT, GET and DELETE ?policy) for
/// a store that has none, and passes everything else through.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Serve(ConfigArguments),
    /// Try it out: proxy, store, demo accounts and commands to paste, in one go
    Sandbox(sandbox::Arguments),
    /// Tell all problems of the configuration and the identities it names
    Check(ConfigArguments),
    /// Work with bucket policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// See what Portcullis makes of a request
    #[command(subcommand)]
    Debug(debug::Command),
}

#[derive(Args, Debug)]
struct ConfigArguments {
    /// The configuration file
    #[arg(long, short, value_name = "FILE", default_value = "proxy.toml")]
    config: PathBuf,
}

/// Why a command did not succeed.
#[derive(Debug)]
enum Failure {
    /// It was asked for something that makes no sense: exit code 2.
    Usage(String),
    /// It could not do it: exit code 1.
    Failed(String),
    /// What was wrong has been told already: exit code 1.
    Reported,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments.config),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Check(arguments) => check::run(&arguments.config),
        Command::Policy(command) => policy::run(&command),
        Command::Debug(command) => debug::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            terminal::error(&message);
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            terminal::error(&message);
            ExitCode::FAILURE
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
