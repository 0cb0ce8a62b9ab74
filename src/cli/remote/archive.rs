//! `policy export` and `policy import`: all that is kept, as one file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use clap::Args;
use http::Method;
use portcullis::admin::archive::{ArchiveReader, ArchiveWriter, ImportAnswer, ImportOutcome, MAX_LINE, RecordPage};
use serde::Serialize;

use super::{Client, Condition, Connection, print_json, read};
use crate::cli::input::{Line, Lines};
use crate::cli::terminal::{self, Escaped};
use crate::cli::{Failure, policy};

/// A batch of records is sent when it has so many, or so many bytes.
const BATCH: usize = 200;
const BATCH_BYTES: usize = 1024 * 1024;
/// Of how many problems of a kind is told.
const TOLD: usize = 20;

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Where to write the archive; - for standard output. A file appears when it is complete
    file: PathBuf,
    #[command(flatten)]
    server: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The archive; - for standard input
    file: PathBuf,
    /// Check all and say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Put what the archive holds of a bucket in place of something else that is kept of it
    #[arg(long)]
    replace: bool,
    /// Write the counts as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Connection,
}

/// Fails, once all else is written, where a record could not be read.
pub(crate) fn export(arguments: &Export) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    if arguments.file == Path::new("-") {
        let mut out = BufWriter::new(stdout().lock());
        return write_archive(&client, &mut out, "standard output")?.told();
    }
    let name = arguments.file.display().to_string();
    let failed = |error: io::Error| Failure::Failed(format!("{name}: cannot be written: {error}"));
    let unfinished = Unfinished::beside(&arguments.file).map_err(failed)?;
    let mut out = BufWriter::new(&unfinished.file);
    let exported = write_archive(&client, &mut out, &name)?;
    out.flush().map_err(failed)?;
    drop(out);
    unfinished.finish(&arguments.file).map_err(failed)?;
    exported.told()
}

/// Reads the archive up to three times: all of it is checked here, then by the server, and only then is anything written.
pub(crate) fn import(arguments: &Import) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    let source = Source::open(&arguments.file)?;
    check(&source)?;

    let replace = arguments.replace;
    let rehearsed = send_all(&client, &source, replace, true)?;
    if !rehearsed.in_the_way.is_empty() {
        for bucket in rehearsed.in_the_way.iter().take(TOLD) {
            terminal::error(format_args!(
                "{}: something else is kept for it (--replace puts the archive's in its place)",
                Escaped(bucket)
            ));
        }
        and_more(rehearsed.in_the_way.len());
        return Err(Failure::Failed("nothing was imported".to_owned()));
    }
    let tally = if arguments.dry_run { rehearsed } else { send_all(&client, &source, replace, false)? };
    tally.tell(arguments.dry_run, arguments.json)
}

/// What an export came to.
struct Exported {
    buckets: u64,
    unreadable: Vec<(String, String)>,
}

impl Exported {
    fn told(self) -> Result<(), Failure> {
        for (bucket, reason) in self.unreadable.iter().take(TOLD) {
            terminal::error(format_args!("{}: not exported: {}", Escaped(bucket), Escaped(reason)));
        }
        and_more(self.unreadable.len());
        // Standard output may be the archive.
        terminal::note(format_args!("{} exported", buckets(self.buckets)));
        if self.unreadable.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }
}

fn write_archive(client: &Client, out: &mut impl Write, name: &str) -> Result<Exported, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("{name}: cannot be written: {error}"));
    let encoding = |error: serde_json::Error| Failure::Failed(error.to_string());
    let (mut archive, header) = ArchiveWriter::new(SystemTime::now()).map_err(encoding)?;
    out.write_all(&header).map_err(failed)?;
    let mut exported = Exported { buckets: 0, unreadable: Vec::new() };
    let mut query = String::new();
    loop {
        let page: RecordPage = client.ask(&format!("/v1/archive{query}"))?;
        for record in &page.records {
            out.write_all(&archive.record(record).map_err(encoding)?).map_err(failed)?;
            match &record.unreadable {
                Some(reason) => exported.unreadable.push((record.bucket.clone(), reason.clone())),
                None => exported.buckets += 1,
            }
        }
        match page.next {
            Some(next) => query = format!("?after={next}"),
            None => break,
        }
    }
    out.write_all(&archive.end().map_err(encoding)?).map_err(failed)?;
    out.flush().map_err(failed)?;
    Ok(exported)
}

/// A file on its way to its name, so that one that is there stays until the new one is complete.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it is not the name of a file"))?.to_string_lossy();
        let path = path.with_file_name(format!(".{name}.{:016x}", random()?));
        Ok(Self { file: create(&path)?, path })
    }

    fn finish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already, where it got its name.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A new file, for its owner alone.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

/// An archive that can be read again and again.
struct Source {
    name: String,
    file: File,
}

impl Source {
    /// Standard input is kept in a temporary file that nobody else can find.
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let spooled = || -> io::Result<File> {
                let path = std::env::temp_dir().join(format!("portcullis-import.{:016x}", random()?));
                let mut file = create(&path)?;
                let removed = std::fs::remove_file(&path);
                io::copy(&mut stdin().lock(), &mut file)?;
                removed.map(|()| file)
            };
            let failed = |error| Failure::Failed(format!("standard input: cannot be kept for a second look: {error}"));
            return Ok(Self { name: "standard input".to_owned(), file: spooled().map_err(failed)? });
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Ok(Self { name, file }),
            Err(error) => Err(Failure::Failed(format!("{name}: cannot be read: {error}"))),
        }
    }

    /// Calls `take` with each line and its record, from the first on.
    fn each(
        &self,
        mut take: impl FnMut(u64, &[u8], portcullis::admin::archive::BucketRecord) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::Failed(format!("{}: cannot be read: {error}", self.name));
        let mut file = &self.file;
        file.rewind().map_err(failed)?;
        let mut lines = Lines::new(file, MAX_LINE);
        let mut archive = ArchiveReader::default();
        while let Some(Line { number, bytes }) = lines.next().map_err(failed)? {
            let wrong = |why: String| Failure::Failed(format!("{}: line {number}: {}", self.name, Escaped(why)));
            let line = bytes.ok_or_else(|| wrong(format!("it has more than {MAX_LINE} bytes")))?;
            if let Some(record) = archive.line(line).map_err(|error| wrong(error.to_string()))? {
                take(number, line, record)?;
            }
        }
        archive.end().map_err(|error| Failure::Failed(format!("{}: {error}", self.name)))?;
        Ok(())
    }
}

/// Every record, by the rules of this version, before anything is sent.
fn check(source: &Source) -> Result<(), Failure> {
    let mut wrong = 0;
    source.each(|number, _, record| {
        match record.import() {
            Ok(Some(_)) => {}
            Ok(None) => terminal::warning(format_args!(
                "{}: line {number}: {}: could not be read when it was exported, and is passed over",
                source.name,
                Escaped(&record.bucket)
            )),
            Err(error) => {
                wrong += 1;
                if wrong <= TOLD {
                    terminal::error(format_args!("{}: line {number}: {}", source.name, Escaped(error.to_string())));
                    if let Some(invalid) = error.invalid_policy() {
                        policy::report(invalid);
                    }
                }
            }
        }
        Ok(())
    })?;
    and_more(wrong);
    if wrong == 0 { Ok(()) } else { Err(Failure::Failed("nothing was imported".to_owned())) }
}

/// What became of the records.
#[derive(Debug, Default)]
struct Tally {
    new: u64,
    replaced: u64,
    unchanged: u64,
    unreadable: u64,
    in_the_way: Vec<String>,
}

/// The same for a program.
#[derive(Serialize)]
struct TallyDocument {
    dry_run: bool,
    new: u64,
    replaced: u64,
    unchanged: u64,
    unreadable: u64,
}

impl Tally {
    fn add(&mut self, answer: ImportAnswer) {
        for bucket in answer.buckets {
            match bucket.outcome {
                ImportOutcome::New => self.new += 1,
                ImportOutcome::Replaced => self.replaced += 1,
                ImportOutcome::Unchanged => self.unchanged += 1,
                ImportOutcome::Unreadable => self.unreadable += 1,
                ImportOutcome::InTheWay => self.in_the_way.push(bucket.bucket),
            }
        }
    }

    fn tell(&self, dry_run: bool, json: bool) -> Result<(), Failure> {
        let Self { new, replaced, unchanged, unreadable, .. } = *self;
        if json {
            return print_json(&TallyDocument { dry_run, new, replaced, unchanged, unreadable });
        }
        let verb = if dry_run { "would be imported" } else { "imported" };
        let changed = buckets(new + replaced);
        terminal::print(format_args!("{changed} {verb}: {new} new, {replaced} replaced; {unchanged} unchanged"));
        Ok(())
    }
}

fn send_all(client: &Client, source: &Source, replace: bool, dry_run: bool) -> Result<Tally, Failure> {
    let path = format!("/v1/archive?replace={replace}&dry_run={dry_run}");
    let (mut tally, mut batch, mut records) = (Tally::default(), Vec::new(), 0);
    let send = |batch: &mut Vec<u8>, tally: &mut Tally| -> Result<(), Failure> {
        batch.extend_from_slice(b"]}");
        let sent = client.send(Method::POST, &path, Condition::Nothing, Bytes::from(std::mem::take(batch)));
        let answer = match sent {
            Err(failure) if !dry_run => {
                let done = buckets(tally.new + tally.replaced);
                terminal::error(format_args!("the import broke off after {done}; made again, it goes on from there"));
                return Err(failure);
            }
            sent => sent?,
        };
        tally.add(read(&answer)?);
        Ok(())
    };
    source.each(|_, line, _| {
        // Lines are JSON, so a list of them is too.
        batch.extend_from_slice(if batch.is_empty() { br#"{"records":["# } else { b"," });
        batch.extend_from_slice(line);
        records += 1;
        if records == BATCH || batch.len() >= BATCH_BYTES {
            records = 0;
            return send(&mut batch, &mut tally);
        }
        Ok(())
    })?;
    if !batch.is_empty() {
        send(&mut batch, &mut tally)?;
    }
    Ok(tally)
}

fn buckets(count: u64) -> String {
    format!("{count} bucket{}", if count == 1 { "" } else { "s" })
}

fn and_more(count: usize) {
    if count > TOLD {
        terminal::error(format_args!("and {} more", count - TOLD));
    }
}
