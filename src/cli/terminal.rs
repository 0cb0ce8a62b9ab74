//! What is printed, and what is said on the standard error stream: in colour where that is a terminal and `NO_COLOR` is
//! not set.

use std::fmt::Display;
use std::io::{IsTerminal, Write as _, stderr, stdout};

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const PLAIN: &str = "\x1b[0m";

/// Says what went wrong.
pub(crate) fn error(message: impl Display) {
    say(RED, "error", message);
}

/// Says what may not be meant.
pub(crate) fn warning(message: impl Display) {
    say(YELLOW, "warning", message);
}

/// Prints what was asked for. A reader that has gone (`| head`) has what it wanted.
pub(crate) fn print(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

fn say(colour: &str, kind: &str, message: impl Display) {
    let coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (colour, plain) = if coloured { (colour, PLAIN) } else { ("", "") };
    let _ = writeln!(stderr(), "{colour}{kind}:{plain} {message}");
}
