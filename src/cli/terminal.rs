//! What is printed, and what is said on the standard error stream: in colour where that is a terminal and `NO_COLOR` is
//! not set.

use std::fmt::{self, Display, Write as _};
use std::io::{IsTerminal, Write as _, stderr, stdout};

/// A colour, as a terminal is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Green,
    Red,
    Yellow,
}

/// Text in a colour, where colours are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coloured<T>(pub(crate) T, pub(crate) Option<Colour>);

impl<T: Display> Display for Coloured<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.1 {
            None => return self.0.fmt(f),
            Some(Colour::Green) => "\x1b[1;32m",
            Some(Colour::Red) => "\x1b[1;31m",
            Some(Colour::Yellow) => "\x1b[1;33m",
        };
        f.write_str(code)?;
        self.0.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// Text that came from outside, as a line on a terminal may hold it: a long one is cut, and control characters, which
/// could move the cursor or feign a line, are escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<T>(pub(crate) T);

const SHOWN: usize = 120;

impl<T: AsRef<str>> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.as_ref().chars();
        for c in chars.by_ref().take(SHOWN) {
            if c.is_control() {
                write!(f, "\\u{:04x}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        if chars.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

/// Text that came from outside, whole, as one line of a terminal may hold it: control characters are escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: AsRef<str>> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.as_ref().chars() {
            if c.is_control() {
                write!(f, "\\u{:04x}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Says what was done, where the standard output is for what was asked for. One who cannot be told did not ask.
pub(crate) fn note(message: impl Display) {
    let _ = writeln!(stderr(), "{message}");
}

/// Says what went wrong.
pub(crate) fn error(message: impl Display) {
    say(Colour::Red, "error:", message);
}

/// Says what may not be meant.
pub(crate) fn warning(message: impl Display) {
    say(Colour::Yellow, "warning:", message);
}

/// Prints what was asked for. A reader that has gone (`| head`) has what it wanted.
pub(crate) fn print(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Whether what goes to the stream may be coloured.
pub(crate) fn takes_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn say(colour: Colour, kind: &str, message: impl Display) {
    let kind = Coloured(kind, takes_colours(&stderr()).then_some(colour));
    let _ = writeln!(stderr(), "{kind} {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_stays_on_its_line() {
        for (text, shown) in [
            ("plain ü", "plain ü".to_owned()),
            ("a\r\n\u{1b}[2J\u{9b}b", "a\\u000d\\u000a\\u001b[2J\\u009bb".to_owned()),
            (&"x".repeat(121), format!("{}…", "x".repeat(120))),
            (&"x".repeat(120), "x".repeat(120)),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
        }
    }
}
