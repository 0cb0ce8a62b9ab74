//! `portcullis policy simulate`: what would be decided, request by request, without a server.
//!
//! Lines go in (`cli::input`), are read (`line`, `principal`, `policies`), decided (`answer`) and written (`answer` as JSON,
//! `table` for a reader), one after the other: what is kept does not grow with the file.

mod answer;
mod console;
mod line;
mod policies;
mod principal;
mod table;

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Read, Write, stderr, stdout};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::value::RawValue;

use self::answer::{Answer, With};
use self::console::{Console, Tally};
use self::line::Expected;
use self::policies::Policies;
use self::table::Table;
use super::input::{self, Lines, Stopped, open};
use super::{Failure, terminal};

/// The longest line that is read, in bytes. A line holds a bucket policy of at most 64 KiB, the policies of an identity
/// and the context of a request.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// How many bytes of answers are gathered before they are written, while there is more to read.
const BUFFER: usize = 64 * 1024;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The requests; - for standard input
    #[arg(long, short, value_name = "FILE")]
    requests: PathBuf,
    /// Tell of every statement whether it applied, or what it missed
    #[arg(long)]
    explain: bool,
    /// Fail unless every decision is this one, but where a line has an `expect` of its own
    #[arg(long, value_enum, value_name = "DECISION")]
    expect: Option<Expected>,
    /// The form of the answers; without it a table on a terminal, and JSON elsewhere
    #[arg(long, value_enum, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One object a line
    Json,
    /// Aligned, for reading
    Table,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (source, input) = open(&arguments.requests)
        .map_err(|error| Failure::Failed(format!("{}: cannot be read: {error}", arguments.requests.display())))?;
    let on_terminal = stdout().is_terminal();
    let output = arguments.output.unwrap_or(if on_terminal { Output::Table } else { Output::Json });
    let mut simulation = Simulation {
        policies: Policies::new(),
        with: With { explanation: arguments.explain, expected: arguments.expect },
        answers: Answers {
            table: (output == Output::Table).then(|| Table::new(terminal::takes_colours(&stdout()))),
            out: BufWriter::with_capacity(BUFFER, stdout().lock()),
        },
        console: Console::new(source.clone(), stderr().is_terminal() && !on_terminal),
        tally: Tally::default(),
    };

    let gate = arguments.expect.is_some();
    let done = simulation.answer_all(&mut Lines::new(input, MAX_LINE));
    let Simulation { mut console, tally, .. } = simulation;
    match done {
        Ok(()) => console.conclude(&tally, true),
        // Whoever reads the answers has seen enough of them, but a gate that was cut short has not been passed.
        Err(Stopped::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            console.clear();
            return if tally.is_good() && !gate { Ok(()) } else { Err(Failure::Reported) };
        }
        Err(Stopped::Output(error)) => {
            console.clear();
            return Err(Failure::Failed(format!("standard output: cannot be written: {error}")));
        }
        Err(Stopped::Input(error)) => {
            console.conclude(&tally, false);
            return Err(Failure::Failed(format!("{source}: cannot be read: {error}")));
        }
    }
    // Nor has one that was shown nothing.
    let good = tally.is_good() && (tally.requests() > 0 || !gate);
    if good { Ok(()) } else { Err(Failure::Reported) }
}

struct Simulation<W: Write> {
    policies: Policies,
    with: With,
    answers: Answers<W>,
    console: Console,
    tally: Tally,
}

/// Where answers go, as a table where there is one.
struct Answers<W: Write> {
    table: Option<Table>,
    out: BufWriter<W>,
}

impl<W: Write> Simulation<W> {
    fn answer_all(&mut self, lines: &mut Lines<impl Read>) -> Result<(), Stopped> {
        loop {
            // Whoever writes a request and waits for its answer gets it.
            if lines.waits() {
                self.answers.flush().map_err(Stopped::Output)?;
            }
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Stopped::Input(error)),
            };
            self.answer(&line).map_err(Stopped::Output)?;
            self.console.at(&self.tally);
        }
    }

    fn answer(&mut self, line: &input::Line<'_>) -> io::Result<()> {
        let Some(bytes) = line.bytes else {
            let problem = format!("the line is longer than {} MiB, and is not read", MAX_LINE / (1024 * 1024));
            return self.fail(line.number, None, &problem);
        };
        let Some(read) = line::read(bytes, &mut self.policies) else { return Ok(()) };
        for field in read.unknown {
            self.console.unknown(line.number, field);
        }
        match read.question {
            Ok(question) => {
                let answer = Answer::new(read.id, &question, self.with);
                self.tally.answered(line.number, &answer);
                self.answers.answer(&answer)
            }
            Err(problem) => self.fail(line.number, read.id, &problem),
        }
    }

    fn fail(&mut self, number: u64, id: Option<&RawValue>, problem: &str) -> io::Result<()> {
        self.tally.failed();
        match &mut self.answers.table {
            // Told once, in its place among the rows.
            Some(table) => table.failure(number, id, problem, &mut self.answers.out),
            None => {
                self.console.failed(number, id, problem);
                Ok(())
            }
        }
    }
}

impl<W: Write> Answers<W> {
    fn answer(&mut self, answer: &Answer<'_>) -> io::Result<()> {
        match &mut self.table {
            Some(table) => table.answer(answer, &mut self.out),
            None => answer::write_json(answer, &mut self.out),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(table) = &mut self.table {
            table.write_rows(&mut self.out)?;
        }
        self.out.flush()
    }
}
