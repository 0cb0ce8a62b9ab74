//! `portcullis debug classify`: lines in, a line of answer for each out; what is kept does not grow with the file.

use std::io::{self, BufWriter, ErrorKind, Read, Write, stdout};
use std::path::PathBuf;

use clap::Args;
use portcullis::s3::action_map::{Access, Requirement};
use portcullis::s3::address::Domains;
use portcullis::s3::error::S3Error;
use serde::Serialize;
use serde_json::value::RawValue;

use super::request::{self, Classified};
use crate::cli::input::{Lines, Stopped, UnknownFields, open};
use crate::cli::terminal::{self, Shown};
use crate::cli::{Failure, input};

/// The longest line that is read, in bytes: room for the longest body there may be, escaped.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// How many bytes of answers are gathered before they are written, while there is more to read.
const BUFFER: usize = 64 * 1024;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The requests; - for standard input
    #[arg(long, short, value_name = "FILE")]
    requests: PathBuf,
    /// A base domain of virtual-hosted style; may be given more than once
    #[arg(long, short, value_name = "DOMAIN")]
    domain: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let domains = Domains::parse(&arguments.domain).map_err(|error| Failure::Usage(error.to_string()))?;
    let (source, input) = open(&arguments.requests)
        .map_err(|error| Failure::Failed(format!("{}: cannot be read: {error}", arguments.requests.display())))?;
    let mut session = Session {
        domains,
        source,
        unknown: UnknownFields::default(),
        out: BufWriter::with_capacity(BUFFER, stdout().lock()),
        lines: 0,
        failed: false,
    };
    match session.answer_all(&mut Lines::new(input, MAX_LINE)) {
        Ok(()) => {}
        // Whoever reads the answers has seen enough of them.
        Err(Stopped::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(Stopped::Output(error)) => {
            return Err(Failure::Failed(format!("standard output: cannot be written: {error}")));
        }
        Err(Stopped::Input(error)) => {
            return Err(Failure::Failed(format!("{}: cannot be read: {error}", session.source)));
        }
    }
    if session.lines == 0 {
        terminal::warning(format_args!("{}: there are no requests in it", session.source));
    }
    if session.failed { Err(Failure::Reported) } else { Ok(()) }
}

struct Session<W: Write> {
    domains: Domains,
    source: String,
    unknown: UnknownFields,
    out: BufWriter<W>,
    lines: u64,
    failed: bool,
}

impl<W: Write> Session<W> {
    fn answer_all(&mut self, lines: &mut Lines<impl Read>) -> Result<(), Stopped> {
        loop {
            // Whoever writes a request and waits for its answer gets it.
            if lines.waits() {
                self.out.flush().map_err(Stopped::Output)?;
            }
            match lines.next() {
                Ok(Some(line)) => self.answer(&line).map_err(Stopped::Output)?,
                Ok(None) => return self.out.flush().map_err(Stopped::Output),
                Err(error) => return Err(Stopped::Input(error)),
            }
        }
    }

    fn answer(&mut self, line: &input::Line<'_>) -> io::Result<()> {
        let Some(bytes) = line.bytes else {
            let problem = format!("the line is longer than {} MiB, and is not read", MAX_LINE / (1024 * 1024));
            self.fail(line.number, None, &problem);
            return Ok(());
        };
        let Some(read) = request::read(bytes) else { return Ok(()) };
        self.lines += 1;
        for field in read.unknown {
            self.unknown.tell(&self.source, line.number, field, || ());
        }
        match read.request {
            Ok(request) => {
                let classified = request.classify(&self.domains);
                write_json(read.id, &classified, &mut self.out)
            }
            Err(problem) => {
                self.fail(line.number, read.id, &problem);
                Ok(())
            }
        }
    }

    fn fail(&mut self, number: u64, id: Option<&RawValue>, problem: &str) {
        self.lines += 1;
        self.failed = true;
        let of = id.map(|id| format!(" (id {})", Shown(id.get()))).unwrap_or_default();
        terminal::error(format_args!("{}: line {number}{of}: {problem}", self.source));
    }
}

fn write_json(id: Option<&RawValue>, classified: &Result<Classified, S3Error>, out: &mut impl Write) -> io::Result<()> {
    match classified {
        Ok(classified) => {
            let (mut actions, mut lookups) = (Vec::new(), Vec::new());
            for requirement in &classified.requirements {
                match requirement {
                    Requirement::Access(access) => actions.push(json_access(access)),
                    Requirement::Entry(_, all) => actions.extend(all.iter().map(json_access)),
                    Requirement::Foreign(action) => {
                        actions.push(JsonAccess { action: action.name(), resource: "*" });
                    }
                    Requirement::AccessIf(fact, access) => {
                        lookups.push(JsonLookup { when: fact.to_string(), access: json_access(access) });
                    }
                }
            }
            let bucket = classified.address.bucket().map(|bucket| bucket.as_str());
            let key = classified.address.key().map(|key| key.as_str());
            let answer = JsonAnswer { id, operation: classified.operation.name(), bucket, key, actions, lookups };
            serde_json::to_writer(&mut *out, &answer)?;
        }
        Err(error) => {
            let error = JsonError { status: error.status().as_u16(), code: error.code().name() };
            serde_json::to_writer(&mut *out, &JsonRefusal { id, operation: (), error })?;
        }
    }
    out.write_all(b"\n")
}

fn json_access(access: &Access) -> JsonAccess<'_> {
    JsonAccess { action: access.action.name(), resource: &access.resource }
}

#[derive(Serialize)]
struct JsonAnswer<'a> {
    id: Option<&'a RawValue>,
    operation: &'a str,
    bucket: Option<&'a str>,
    key: Option<&'a str>,
    actions: Vec<JsonAccess<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lookups: Vec<JsonLookup<'a>>,
}

#[derive(Serialize)]
struct JsonAccess<'a> {
    action: &'a str,
    resource: &'a str,
}

#[derive(Serialize)]
struct JsonLookup<'a> {
    when: String,
    #[serde(flatten)]
    access: JsonAccess<'a>,
}

#[derive(Serialize)]
struct JsonRefusal<'a> {
    id: Option<&'a RawValue>,
    /// Always `null`.
    operation: (),
    error: JsonError<'a>,
}

#[derive(Serialize)]
struct JsonError<'a> {
    status: u16,
    code: &'a str,
}
