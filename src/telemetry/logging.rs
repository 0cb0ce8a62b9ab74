//! Where log lines go and how they look.

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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

/// Puts another level in force.
static SET_LEVEL: OnceLock<Box<dyn Fn(Level) + Send + Sync>> = OnceLock::new();

/// Sends the log of the whole process to the standard error stream.
///
/// # Errors
/// [`AlreadySet`] when it goes somewhere already.
pub fn init(settings: LoggingSettings) -> Result<(), AlreadySet> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(settings.level)).with_writer(std::io::stderr);
    let set_level: Box<dyn Fn(Level) + Send + Sync> = match settings.format {
        Format::Text => {
            let ansi = std::io::stderr().is_terminal();
            let builder = builder.fmt_fields(text_fields()).with_ansi(ansi).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|_| AlreadySet)?;
            Box::new(move |level| drop(handle.reload(filter(level))))
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|_| AlreadySet)?;
            Box::new(move |level| drop(handle.reload(filter(level))))
        }
    };
    let _ = SET_LEVEL.set(set_level);
    Ok(())
}

/// Writes lines of this level and worse from now on, where [`init`] set up the log.
pub fn set_level(level: Level) {
    if let Some(set) = SET_LEVEL.get() {
        set(level);
    }
}

fn filter(level: Level) -> EnvFilter {
    let ours = LevelFilter::from_level(level);
    let others = if level == Level::TRACE { LevelFilter::TRACE } else { LevelFilter::WARN };
    // aws_sigv4 traces what it signs, headers and all. s3s traces whole requests and the signatures that would have been
    // right, and takes for an error of its own whatever it answers 500 or 501; what goes wrong on disk, s3s_fs says.
    EnvFilter::builder().parse_lossy(format!("{others},portcullis={ours},aws_sigv4=warn,s3s=off,s3s_fs=warn"))
}

/// Fields as `name=value`. What they say may come from a client or a store, so it is kept from ending the line and from
/// moving the terminal's cursor; messages are ours, and may have several lines.
fn text_fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        if field.name() == "message" {
            return write!(Printable { writer, lines: true }, "{value:?}");
        }
        write!(writer, "{}=", field.name())?;
        write!(Printable { writer, lines: false }, "{value:?}")
    })
    .delimited(" ")
}

/// Escapes control characters.
struct Printable<'a, 'w> {
    writer: &'a mut Writer<'w>,
    lines: bool,
}

impl Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            let (shown, control) = match piece.char_indices().next_back() {
                Some((at, last)) if last.is_control() && !(self.lines && last == '\n') => {
                    (piece.get(..at).unwrap_or_default(), Some(last))
                }
                _ => (piece, None),
            };
            self.writer.write_str(shown)?;
            if let Some(control) = control {
                write!(self.writer, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
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
    fn libraries_are_quieter_than_we_are_and_those_that_tell_secrets_are_always_quiet() {
        for (level, directives) in [
            (Level::ERROR, ["warn", "portcullis=error", "aws_sigv4=warn", "s3s=off", "s3s_fs=warn"]),
            (Level::DEBUG, ["warn", "portcullis=debug", "aws_sigv4=warn", "s3s=off", "s3s_fs=warn"]),
            (Level::TRACE, ["trace", "portcullis=trace", "aws_sigv4=warn", "s3s=off", "s3s_fs=warn"]),
        ] {
            let filter = filter(level).to_string();
            let mut found: Vec<&str> = filter.split(',').collect();
            let mut expected = directives.to_vec();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{level}");
        }
    }

    #[test]
    fn a_field_cannot_forge_a_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(text_fields())
            .without_time()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let evil = "a\nINFO forged\r\x1b[2J\u{9b}2J\tü";
            tracing::info!(shown = %evil, quoted = evil, number = 1, "two\nlines\x1b");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let fields = r"shown=a\nINFO forged\r\u{1b}[2J\u{9b}2J\tü ";
        let quoted = r#"quoted="a\nINFO forged\r\u{1b}[2J\u{9b}2J\tü" number=1"#;
        let target = module_path!();
        assert_eq!(text, format!(" INFO {target}: two\nlines\\u{{1b}} {fields}{quoted}\n"));
    }

    #[derive(Clone, Default)]
    struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
