//! Answers for somebody to read: a row each and, explained, a line a statement in plain words.

use std::fmt::Write as _;
use std::io::{self, Write};

use portcullis::policy::{AccessRequest, Decision, FailedTest, GrantedTo, Missed, StatementExplanation};
use serde_json::value::RawValue;

use super::answer::Answer;
use crate::cli::fields;
use crate::cli::terminal::{Colour, Coloured, Shown};

/// Rows are held back, to be aligned with one another, until there are so many or so much.
const ROWS: usize = 200;
const ROWS_BYTES: usize = 256 * 1024;
/// The widest that an id makes its column; a longer one stands out.
const ID_WIDTH: usize = 40;
const DECISION_WIDTH: usize = "explicit_deny".len();
/// How many values of a condition are listed.
const VALUES: usize = 5;

/// A table on its way out.
#[derive(Debug)]
pub(super) struct Table {
    colours: bool,
    rows: Vec<Row>,
    bytes: usize,
    id_width: usize,
    begun: bool,
}

#[derive(Debug)]
struct Row {
    id: String,
    outcome: &'static str,
    colour: Colour,
    /// What stands in the last column.
    text: String,
    /// What stands below, indented.
    below: Vec<String>,
}

impl Table {
    pub(super) fn new(colours: bool) -> Self {
        Self { colours, rows: Vec::new(), bytes: 0, id_width: "ID".len(), begun: false }
    }

    pub(super) fn answer(&mut self, answer: &Answer<'_>, out: &mut impl Write) -> io::Result<()> {
        let request = answer.question.request();
        let statements = answer.statements.iter().flatten();
        let below = statements.map(|statement| format!("{}: {}", name(statement), what_of(statement, &request)));
        let (outcome, colour) = match answer.decided.decision() {
            Decision::Allow => ("allow", Colour::Green),
            Decision::ExplicitDeny => ("explicit_deny", Colour::Red),
            Decision::ImplicitDeny => ("implicit_deny", Colour::Yellow),
        };
        self.add(
            Row { id: shown_id(answer.id), outcome, colour, text: decided_by(answer), below: below.collect() },
            out,
        )
    }

    /// A line that could not be answered.
    pub(super) fn failure(
        &mut self,
        number: u64,
        id: Option<&RawValue>,
        problem: &str,
        out: &mut impl Write,
    ) -> io::Result<()> {
        // INVARIANT: what a message quotes is escaped already.
        let text = format!("line {number}: {problem}");
        self.add(Row { id: shown_id(id), outcome: "error", colour: Colour::Red, text, below: Vec::new() }, out)
    }

    /// Writes the rows that are held back.
    pub(super) fn write_rows(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let widest = self.rows.iter().map(|row| row.id.chars().count()).max().unwrap_or_default();
        self.id_width = self.id_width.max(widest.min(ID_WIDTH));
        let width = self.id_width;
        if !self.begun {
            self.begun = true;
            writeln!(out, "{:width$}  {:DECISION_WIDTH$}  DECIDED BY", "ID", "DECISION")?;
        }
        self.bytes = 0;
        for Row { id, outcome, colour, text, below } in self.rows.drain(..) {
            let outcome = Coloured(format!("{outcome:DECISION_WIDTH$}"), self.colours.then_some(colour));
            writeln!(out, "{}", format!("{id:width$}  {outcome}  {text}").trim_end())?;
            for line in below {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }

    fn add(&mut self, row: Row, out: &mut impl Write) -> io::Result<()> {
        self.bytes += row.id.len() + row.text.len() + row.below.iter().map(String::len).sum::<usize>();
        self.rows.push(row);
        if self.rows.len() >= ROWS || self.bytes >= ROWS_BYTES { self.write_rows(out) } else { Ok(()) }
    }
}

/// A string without its quotes, anything else as it is written.
fn shown_id(id: Option<&RawValue>) -> String {
    match id {
        None => "-".to_owned(),
        Some(raw) => Shown(fields::text(raw).unwrap_or_else(|_| raw.get().into())).to_string(),
    }
}

fn decided_by(answer: &Answer<'_>) -> String {
    let policies = answer.question.policies();
    let mut text = String::new();
    for by in answer.decided.by() {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{} statement {}{}", by.policy, by.statement, quoted(policies.sid(by)));
    }
    if let (Some(expected), Some(false)) = (answer.expected, answer.is_as_expected()) {
        let separator = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{separator}(expected: {expected})");
    }
    text
}

/// Which statement: `bucket statement 1 "OfficeOnly" (Deny)`.
fn name(statement: &StatementExplanation<'_>) -> String {
    let effect = if statement.denies { "Deny" } else { "Allow" };
    format!("{} statement {}{} ({effect})", statement.policy, statement.statement, quoted(statement.sid))
}

fn quoted(sid: Option<&str>) -> String {
    sid.map(|sid| format!(" \"{}\"", Shown(sid))).unwrap_or_default()
}

fn what_of(statement: &StatementExplanation<'_>, request: &AccessRequest<'_>) -> String {
    match statement.missed {
        // To grant something to an account leaves it to that account whom it passes the grant on to.
        None if !statement.denies && statement.applied == Some(GrantedTo::Account) => {
            "applies, to the account alone".to_owned()
        }
        None => "applies".to_owned(),
        Some(missed @ (Missed::Principal | Missed::Action | Missed::Resource)) => {
            format!("{} does not match", missed.element())
        }
        Some(missed @ (Missed::NotPrincipal | Missed::NotAction | Missed::NotResource)) => {
            format!("{} excepts it", missed.element())
        }
        Some(Missed::Condition(test)) => failed(&test, request),
    }
}

/// `Condition NotIpAddress aws:SourceIp: wanted not 192.0.2.0/24, found 192.0.2.7`.
fn failed(test: &FailedTest<'_>, request: &AccessRequest<'_>) -> String {
    let operator = test.operator();
    let base = operator.split_once(':').map_or(operator, |(_, base)| base);
    let wanted = if base == "Null" {
        values(test.wanted().map(|text| if text.eq_ignore_ascii_case("true") { "absent" } else { "present" }), " or ")
    } else if base.contains("Not") {
        format!("not {}", values(test.wanted(), " nor "))
    } else {
        values(test.wanted(), " or ")
    };
    let found = values(test.found(request), " and ");
    format!("Condition {} {}: wanted {wanted}, found {found}", Shown(operator), Shown(test.key()))
}

fn values<'v>(mut values: impl Iterator<Item = &'v str>, separator: &str) -> String {
    let shown = |value: &str| if value.is_empty() { "\"\"".to_owned() } else { Shown(value).to_string() };
    let mut listed: Vec<_> = values.by_ref().take(VALUES).map(shown).collect();
    match values.count() {
        0 => {}
        more => listed.push(format!("{more} more")),
    }
    if listed.is_empty() { "nothing".to_owned() } else { listed.join(separator) }
}

#[cfg(test)]
mod tests {
    use super::super::answer::With;
    use super::super::line::Expected;
    use super::super::{line, policies::Policies};
    use super::*;

    const ANONYMOUS: &str = r#""principal":{"type":"anonymous"},"bucket_owner":"111122223333","action":"s3:GetObject""#;

    /// The table of some lines.
    fn table(lines: &[String], with: With, colours: bool) -> String {
        let (mut table, mut out) = (Table::new(colours), Vec::new());
        let mut policies = Policies::new();
        for (number, text) in (1..).zip(lines) {
            let read = line::read(text.as_bytes(), &mut policies).unwrap();
            match read.question {
                Ok(question) => table.answer(&Answer::new(read.id, &question, with), &mut out).unwrap(),
                Err(problem) => table.failure(number, read.id, &problem, &mut out).unwrap(),
            }
        }
        table.write_rows(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const PLAIN: With = With { explanation: false, expected: None };

    #[test]
    fn columns_are_aligned_and_hold_their_lines() {
        let policy = r#"{"Statement":[{"Sid":"Every\u001b[2Jone","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
        let line = |id: &str, key: &str| {
            format!(r#"{{"id":{id},"bucket_policy":{policy},{ANONYMOUS},"resource":"arn:aws:s3:::{key}"}}"#)
        };
        let long = "i".repeat(130);
        let lines = [
            line("\"cat\"", "b/cat"),
            line("{\"n\": 7}", "c/cat"),
            line("\"a\\nb\u{9b}c\"", "b/cat"),
            format!(r#"{{{ANONYMOUS},"resource":"x\u0007"}}"#),
            line(&format!("\"{long}\""), "c/cat"),
        ];
        let allow = With { explanation: false, expected: Some(Expected::Allow) };
        let cut = "i".repeat(120);
        assert_eq!(
            table(&lines, allow, false),
            [
                "ID                                        DECISION       DECIDED BY",
                "cat                                       allow          bucket statement 0 \"Every\\u001b[2Jone\"",
                "{\"n\": 7}                                  implicit_deny  (expected: allow)",
                "a\\u000ab\\u009bc                           allow          bucket statement 0 \"Every\\u001b[2Jone\"",
                "-                                         error          line 4: `resource`: x\\u0007 is not an ARN",
                &format!("{cut}…  implicit_deny  (expected: allow)"),
                "",
            ]
            .join("\n")
        );
        let coloured = table(&lines[..1], PLAIN, true);
        assert!(coloured.contains("\ncat  \u{1b}[1;32mallow        \u{1b}[0m  bucket"), "{coloured:?}");
        assert_eq!(table(&[], PLAIN, false), "");
    }

    #[test]
    fn rows_are_held_back_for_so_long_and_no_longer() {
        let line = format!(r#"{{"id":"x",{ANONYMOUS},"resource":"arn:aws:s3:::b/k"}}"#);
        let mut policies = Policies::new();
        let read = line::read(line.as_bytes(), &mut policies).unwrap();
        let question = read.question.unwrap();
        let (mut table, mut out) = (Table::new(false), Vec::new());
        for row in 1..=2 * ROWS {
            table.answer(&Answer::new(read.id, &question, PLAIN), &mut out).unwrap();
            let written = out.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(written, if row < ROWS { 0 } else { row / ROWS * ROWS + 1 }, "{row}");
        }
        let long = "p".repeat(ROWS_BYTES);
        let before = out.len();
        table.failure(1, None, &long, &mut out).unwrap();
        assert!(out.len() > before + long.len());
    }

    #[test]
    fn statements_are_explained_in_plain_words() {
        let conditions = [
            (
                r#"{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#,
                "NotIpAddress aws:SourceIp: wanted not 192.0.2.0/24, found 192.0.2.7",
            ),
            (
                r#"{"StringLike":{"aws:UserAgent":["a*","b?"]}}"#,
                "StringLike aws:UserAgent: wanted a* or b?, found x\\u001b[2J",
            ),
            (
                r#"{"ForAnyValue:StringNotEqualsIfExists":{"aws:TagKeys":["a","b"]}}"#,
                "ForAnyValue:StringNotEqualsIfExists aws:TagKeys: wanted not a nor b, found a and b",
            ),
            (r#"{"Null":{"aws:SourceIp":true}}"#, "Null aws:SourceIp: wanted absent, found 192.0.2.7"),
            (
                r#"{"ForAllValues:Null":{"aws:Referer":"False"}}"#,
                "ForAllValues:Null aws:Referer: wanted present, found nothing",
            ),
            (
                r#"{"StringEquals":{"aws:PrincipalTag/none":["1","2","3","4","5","6",""]}}"#,
                "StringEquals aws:PrincipalTag/none: wanted 1 or 2 or 3 or 4 or 5 or 2 more, found nothing",
            ),
            (r#"{"StringEquals":{"aws:Empty":"x"}}"#, "StringEquals aws:Empty: wanted x, found \"\""),
        ];
        let with = |(condition, _): &(&str, &str)| {
            format!(
                r#"{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*","Condition":{condition}}}"#
            )
        };
        let mut statements: Vec<_> = conditions.iter().map(with).collect();
        statements.extend([
            r#"{"Sid":"A","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"}"#.to_owned(),
            r#"{"Effect":"Deny","NotPrincipal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}"#.to_owned(),
            r#"{"Effect":"Allow","Principal":"*","NotAction":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#.to_owned(),
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}"#.to_owned(),
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}"#.to_owned(),
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","NotResource":"arn:aws:s3:::b/k"}"#.to_owned(),
            r#"{"Sid":"","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/k"}"#.to_owned(),
        ]);
        let line = format!(
            r#"{{"id":1,"bucket_policy":{{"Version":"2012-10-17","Statement":[{}]}},{ANONYMOUS},"resource":"arn:aws:s3:::b/k","context":{{"aws:SourceIp":"192.0.2.7","aws:UserAgent":"x\u001b[2J","aws:TagKeys":["a","b"],"aws:Empty":""}}}}"#,
            statements.join(",")
        );
        let told = table(&[line], With { explanation: true, expected: None }, false);
        let mut lines = told.lines();
        assert_eq!(lines.next(), Some("ID  DECISION       DECIDED BY"));
        assert_eq!(lines.next(), Some("1   allow          bucket statement 13 \"\""));
        for (position, (_, words)) in conditions.iter().enumerate() {
            assert_eq!(lines.next().unwrap(), format!("    bucket statement {position} (Deny): Condition {words}"));
        }
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                "    bucket statement 7 \"A\" (Allow): Principal does not match",
                "    bucket statement 8 (Deny): NotPrincipal excepts it",
                "    bucket statement 9 (Allow): NotAction excepts it",
                "    bucket statement 10 (Allow): Action does not match",
                "    bucket statement 11 (Allow): Resource does not match",
                "    bucket statement 12 (Allow): NotResource excepts it",
                "    bucket statement 13 \"\" (Allow): applies",
            ]
        );
    }
}
