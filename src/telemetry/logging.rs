//! Where log lines go and how they look.

use std::fmt;
use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What [`init`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggingSettings {
    /// How a line looks.
    pub format: Format,
    /// The least severe of our lines that are written. Of the libraries' lines, warnings and worse are, and at `TRACE`
    /// all of them but those that may hold secrets.
    pub level: Level,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in colours on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging had been set up already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadySet;

/// Sends the log of the whole process to the standard error stream.
///
/// # Errors
/// [`AlreadySet`] when it goes somewhere already.
pub fn init(settings: LoggingSettings) -> Result<(), AlreadySet> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(settings.level)).with_writer(std::io::stderr);
    match settings.format {
        Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    }
    .map_err(|_| AlreadySet)
}

fn filter(level: Level) -> EnvFilter {
    let ours = LevelFilter::from_level(level);
    let others = if level == Level::TRACE { LevelFilter::TRACE } else { LevelFilter::WARN };
    // aws_sigv4 traces what it signs, headers and all.
    EnvFilter::builder().parse_lossy(format!("{others},portcullis={ours},aws_sigv4=warn"))
}

impl fmt::Display for AlreadySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("logging was set up before")
    }
}

impl std::error::Error for AlreadySet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter_than_we_are_and_the_signer_is_always_quiet() {
        for (level, directives) in [
            (Level::ERROR, ["warn", "portcullis=error", "aws_sigv4=warn"]),
            (Level::DEBUG, ["warn", "portcullis=debug", "aws_sigv4=warn"]),
            (Level::TRACE, ["trace", "portcullis=trace", "aws_sigv4=warn"]),
        ] {
            let filter = filter(level).to_string();
            let mut found: Vec<&str> = filter.split(',').collect();
            let mut expected = directives.to_vec();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{level}");
        }
    }
}
