//! What is said on the standard error stream meanwhile: problems of lines, how far it has got, and how it went.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use portcullis::policy::Decision;
use serde_json::value::RawValue;

use super::answer::Answer;
use crate::cli::input::UnknownFields;
use crate::cli::terminal::{self, Shown};

/// How often the progress line is written anew.
const REFRESH: Duration = Duration::from_millis(200);
/// How many unexpected decisions are named.
const NAMED: usize = 5;

/// The standard error stream, while lines come in from `source`.
#[derive(Debug)]
pub(super) struct Console {
    source: String,
    unknown: UnknownFields,
    progress: Option<Progress>,
    begun: Instant,
}

impl Console {
    /// `progress`: whether nothing else shows that something happens.
    pub(super) fn new(source: String, progress: bool) -> Self {
        let begun = Instant::now();
        Self { source, unknown: UnknownFields::default(), progress: progress.then(|| Progress::new(begun)), begun }
    }

    /// Tells of a line that failed.
    pub(super) fn failed(&mut self, number: u64, id: Option<&RawValue>, problem: &str) {
        self.clear();
        let of = id.map(|id| format!(" (id {})", Shown(id.get()))).unwrap_or_default();
        terminal::error(format_args!("{}: line {number}{of}: {}", self.source, problem));
    }

    /// Tells of a field without a meaning, once.
    pub(super) fn unknown(&mut self, number: u64, field: String) {
        let Self { source, unknown, progress, .. } = self;
        unknown.tell(source, number, field, || wipe(progress.as_mut()));
    }

    /// Shows how far it has got, where that is due.
    pub(super) fn at(&mut self, tally: &Tally) {
        if let Some(progress) = &mut self.progress {
            // A terminal that cannot be written to is none to tell of it.
            let _ = progress.show(tally.requests(), Instant::now(), &mut stderr());
        }
    }

    /// Says how it went. An input that was not read to its end may have had more.
    pub(super) fn conclude(&mut self, tally: &Tally, to_the_end: bool) {
        self.clear();
        if tally.requests() == 0 && to_the_end {
            terminal::warning(format_args!("{}: there are no requests in it", self.source));
        } else if stderr().is_terminal() {
            let _ = writeln!(stderr(), "{tally} ({:.1} s)", self.begun.elapsed().as_secs_f64());
        }
        if let Some(unexpected) = tally.unexpected() {
            terminal::error(unexpected);
        }
    }

    pub(super) fn clear(&mut self) {
        wipe(self.progress.as_mut());
    }
}

fn wipe(progress: Option<&mut Progress>) {
    if let Some(progress) = progress {
        let _ = progress.clear(&mut stderr());
    }
}

/// The line that says how far it has got.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    due: Instant,
    shown: bool,
}

impl Progress {
    fn new(begun: Instant) -> Self {
        Self { begun, due: begun + REFRESH, shown: false }
    }

    fn show(&mut self, requests: u64, now: Instant, out: &mut impl Write) -> io::Result<()> {
        if now < self.due {
            return Ok(());
        }
        self.due = now + REFRESH;
        self.shown = true;
        let millis = now.duration_since(self.begun).as_millis().max(1);
        let rate = u128::from(requests) * 1000 / millis;
        write!(out, "\r{requests} requests, {rate} per second\x1b[K")?;
        out.flush()
    }

    fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.shown {
            return Ok(());
        }
        self.shown = false;
        write!(out, "\r\x1b[K")?;
        out.flush()
    }
}

/// What came of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    allowed: u64,
    explicitly_denied: u64,
    implicitly_denied: u64,
    failed: u64,
    expectations: u64,
    unexpected: u64,
    /// The first of the unexpected.
    named: Vec<String>,
}

impl Tally {
    pub(super) fn failed(&mut self) {
        self.failed += 1;
    }

    pub(super) fn answered(&mut self, number: u64, answer: &Answer<'_>) {
        let decision = answer.decided.decision();
        match decision {
            Decision::Allow => self.allowed += 1,
            Decision::ExplicitDeny => self.explicitly_denied += 1,
            Decision::ImplicitDeny => self.implicitly_denied += 1,
        }
        let Some(expected) = answer.expected else { return };
        self.expectations += 1;
        if expected.is_met_by(decision) {
            return;
        }
        self.unexpected += 1;
        if self.named.len() < NAMED {
            let id = answer.id.map(|id| format!(" (id {})", Shown(id.get()))).unwrap_or_default();
            self.named.push(format!("line {number}{id}: {decision}, expected {expected}"));
        }
    }

    /// Whether every line was answered as expected.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.unexpected == 0
    }

    pub(super) fn requests(&self) -> u64 {
        self.allowed + self.explicitly_denied + self.implicitly_denied + self.failed
    }

    /// What to say of the decisions that were not expected.
    fn unexpected(&self) -> Option<String> {
        if self.unexpected == 0 {
            return None;
        }
        let (unexpected, expectations) = (self.unexpected, self.expectations);
        let mut text = format!("{unexpected} of {expectations} decisions differ from what is expected:");
        for named in &self.named {
            text.push_str("\n  ");
            text.push_str(named);
        }
        match unexpected.saturating_sub(u64::try_from(self.named.len()).unwrap_or(u64::MAX)) {
            0 => {}
            more => text.push_str(&format!("\n  and {more} more")),
        }
        Some(text)
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, explicitly_denied, implicitly_denied, failed, .. } = self;
        let requests = self.requests();
        write!(
            f,
            "{requests} request{}: {allowed} allow, {explicitly_denied} explicit_deny, {implicitly_denied} implicit_deny, {failed} failed",
            if requests == 1 { "" } else { "s" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::With;
    use super::super::line::{self, Expected};
    use super::super::policies::Policies;
    use super::*;

    #[test]
    fn progress_is_shown_now_and_then_and_wiped_out() {
        let begun = Instant::now();
        let (mut progress, mut out) = (Progress::new(begun), Vec::new());
        for (requests, millis) in [(10, 0), (500, 199), (600, 200), (700, 399), (1200, 400), (1300, 599)] {
            progress.show(requests, begun + Duration::from_millis(millis), &mut out).unwrap();
        }
        progress.clear(&mut out).unwrap();
        progress.clear(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\r600 requests, 3000 per second\x1b[K\r1200 requests, 3000 per second\x1b[K\r\x1b[K"
        );
    }

    #[test]
    fn unexpected_decisions_are_counted_and_the_first_named() {
        let mut tally = Tally::default();
        let mut policies = Policies::new();
        let with = With { explanation: false, expected: Some(Expected::Deny) };
        let mut answer = |tally: &mut Tally, number: u64, principal: &str, fields: &str| {
            let text = format!(
                r#"{{"principal":{principal},"bucket_owner":"111122223333","action":"s3:GetObject","resource":"arn:aws:s3:::b/k"{fields}}}"#
            );
            let read = line::read(text.as_bytes(), &mut policies).unwrap();
            tally.answered(number, &Answer::new(read.id, &read.question.unwrap(), with));
        };
        let (anonymous, root) = (r#"{"type":"anonymous"}"#, r#"{"type":"root","account":"111122223333"}"#);
        answer(&mut tally, 1, anonymous, "");
        answer(&mut tally, 2, root, r#","expect":"allow""#);
        assert!(tally.is_good() && tally.unexpected().is_none());
        answer(&mut tally, 3, root, "");
        answer(&mut tally, 4, anonymous, r#","id":"a","expect":"explicit_deny""#);
        let two = "2 of 4 decisions differ from what is expected:\n  line 3: allow, expected deny\n  line 4 (id \"a\"): implicit_deny, expected explicit_deny";
        assert_eq!(tally.unexpected().as_deref(), Some(two));
        for number in 5..=10 {
            answer(&mut tally, number, root, "");
        }
        let told = tally.unexpected().unwrap();
        assert!(
            told.starts_with("8 of 10 ") && told.ends_with("\n  and 3 more") && told.lines().count() == 7,
            "{told}"
        );
        assert!(!tally.is_good());
        assert_eq!(tally.to_string(), "10 requests: 8 allow, 0 explicit_deny, 2 implicit_deny, 0 failed");
    }
}
