//! What criterion measured, as Markdown.

use std::collections::BTreeMap;
use std::fmt::{Arguments, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;

use crate::engine::{Cedar, Engine, IamRs, Portcullis, Reader, RustFs, S3s};
use crate::scenario::{Scenario, documents, scenarios};

/// The time that each engine took for each group of benchmarks, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    by_group: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Measurements {
    /// Takes what the last run left in criterion's directory.
    ///
    /// # Errors
    /// Where the directory cannot be read, or what is in it is not criterion's.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for group in subdirectories(directory)? {
            for benchmark in subdirectories(&group)? {
                let newest = benchmark.join("new");
                if newest.is_dir() {
                    let (names, estimates) =
                        (json(&newest.join("benchmark.json"))?, json(&newest.join("estimates.json"))?);
                    let text = |name: &str| names[name].as_str().ok_or_else(|| strange(&newest, name));
                    // As criterion prints it: the slope where it took samples of growing length, else the mean.
                    let slope = estimates["slope"]["point_estimate"].as_f64();
                    let time = slope.or_else(|| estimates["mean"]["point_estimate"].as_f64());
                    let time = time.ok_or_else(|| strange(&newest, "point_estimate"))?;
                    found.insert(text("group_id")?, text("function_id")?, time);
                }
            }
        }
        Ok(found)
    }

    fn insert(&mut self, group: &str, engine: &str, nanoseconds: f64) {
        self.by_group.entry(group.to_owned()).or_default().insert(engine.to_owned(), nanoseconds);
    }

    fn time(&self, group: &str, engine: &str) -> Option<f64> {
        self.by_group.get(group)?.get(engine).copied()
    }

    /// How many times as long as Portcullis an engine took.
    fn ratio(&self, group: &str, engine: &str) -> Option<f64> {
        Some(self.time(group, engine)? / self.time(group, Portcullis::NAME)?)
    }

    fn cell(&self, group: &str, engine: &str) -> Option<String> {
        let time = duration(self.time(group, engine)?);
        Some(match self.ratio(group, engine) {
            Some(ratio) if engine != Portcullis::NAME => format!("{time} ({})", times(ratio)),
            _ => time,
        })
    }
}

/// The tables, and what is claimed of them.
pub fn render(measured: &Measurements) -> String {
    [claims(measured), deciding(measured), reading(measured)].join("\n")
}

/// What has to hold: the slowest, or least favourable, of all that it is said of.
fn claims(measured: &Measurements) -> String {
    let names: Vec<_> = scenarios().into_iter().map(|scenario| scenario.name).collect();
    let own = |part: &str| -> Vec<_> {
        let concerned = names.iter().filter(|name| name.contains(part));
        concerned.map(|name| (name.as_str(), measured.time(&group(name), Portcullis::NAME))).collect()
    };
    let peers = [IamRs::NAME, RustFs::NAME].into_iter().flat_map(|peer| {
        // One that cannot express a scenario has no time there; that all others have one, the tables show.
        names
            .iter()
            .map(move |name| (name, peer))
            .filter_map(|(name, peer)| Some((name, measured.ratio(&group(name), peer)?)))
    });
    let fastest_peer = peers.min_by(|one, other| one.1.total_cmp(&other.1));
    let growth = measured
        .time(&group("1000_statements/miss"), Portcullis::NAME)
        .zip(measured.time(&group("10_statements/miss"), Portcullis::NAME))
        .map(|(thousand, ten)| ("1000_statements/miss", thousand / ten));

    let mut out = "| claim | the least favourable | |\n|---|---|---|\n".to_owned();
    let mut claim = |text: &str, worst: Option<(&str, f64)>, show: fn(f64) -> String, holds: fn(f64) -> bool| {
        let (shown, verdict) = match worst {
            Some((name, value)) => {
                (format!("{} (`{name}`)", show(value)), if holds(value) { "holds" } else { "**does not hold**" })
            }
            None => (NOT_MEASURED.to_owned(), ""),
        };
        line(&mut out, format_args!("| {text} | {shown} | {verdict} |"));
    };
    claim("a decision on 10 statements takes at most 0.5 µs", slowest(own("10_statements")), duration, |time| {
        time <= 500.0
    });
    claim("a decision on a 20 KiB policy takes at most 10 µs", slowest(own("20_kib")), duration, |time| {
        time <= 10_000.0
    });
    let fastest_peer = fastest_peer.map(|(name, ratio)| (name.as_str(), ratio));
    claim("every peer with the same language takes at least 10 times as long", fastest_peer, times, |ratio| {
        ratio >= 10.0
    });
    claim("a miss on 1,000 statements takes at most twice as long as one on 10", growth, times, |ratio| ratio <= 2.0);
    out
}

/// The slowest, if all were measured.
fn slowest(measured: Vec<(&str, Option<f64>)>) -> Option<(&str, f64)> {
    let times = measured.into_iter().map(|(name, time)| Some((name, time?))).collect::<Option<Vec<_>>>()?;
    times.into_iter().max_by(|one, other| one.1.total_cmp(&other.1))
}

fn deciding(measured: &Measurements) -> String {
    let mut out = header("decide", &[Portcullis::NAME, IamRs::NAME, RustFs::NAME, Cedar::NAME]);
    let mut notes = Vec::new();
    for scenario in scenarios() {
        let cells = [
            deciding_cell::<Portcullis>(measured, &scenario, &mut notes),
            deciding_cell::<IamRs>(measured, &scenario, &mut notes),
            deciding_cell::<RustFs>(measured, &scenario, &mut notes),
            deciding_cell::<Cedar>(measured, &scenario, &mut notes),
        ];
        row(&mut out, &scenario.name, &cells);
    }
    for (index, note) in notes.iter().enumerate() {
        line(&mut out, format_args!("\n({}) {note}", index + 1));
    }
    out
}

fn deciding_cell<E: Engine>(measured: &Measurements, scenario: &Scenario, notes: &mut Vec<String>) -> String {
    if let Err(reason) = E::prepare(scenario) {
        let note = format!("{}: {}.", E::NAME, reason.0);
        let at = notes.iter().position(|known| *known == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        return format!("({})", at + 1);
    }
    measured.cell(&group(&scenario.name), E::NAME).unwrap_or_else(|| NOT_MEASURED.to_owned())
}

fn reading(measured: &Measurements) -> String {
    let engines = [Portcullis::NAME, IamRs::NAME, RustFs::NAME, S3s::NAME, Cedar::NAME];
    let mut out = header("read and compile", &engines);
    for (name, _) in documents() {
        let cell = |engine| measured.cell(&format!("read/{name}"), engine).unwrap_or_else(|| NOT_MEASURED.to_owned());
        row(&mut out, name, &engines.map(cell));
    }
    out
}

const NOT_MEASURED: &str = "not measured";

fn group(scenario: &str) -> String {
    format!("decide/{scenario}")
}

fn header(first: &str, engines: &[&str]) -> String {
    format!("| {first} | {} |\n|---|{}\n", engines.join(" | "), "---:|".repeat(engines.len()))
}

fn row(out: &mut String, name: &str, cells: &[String]) {
    line(out, format_args!("| `{name}` | {} |", cells.join(" | ")));
}

fn line(out: &mut String, text: Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes any text");
}

/// Three digits and a unit.
fn duration(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        small if small < 999.5 => (small, "ns"),
        middling if middling < 999_500.0 => (middling / 1e3, "µs"),
        large => (large / 1e6, "ms"),
    };
    format!("{} {unit}", three_digits(value))
}

fn times(ratio: f64) -> String {
    format!("{}×", if ratio < 99.95 { format!("{ratio:.1}") } else { format!("{ratio:.0}") })
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        ones if ones < 9.995 => 2,
        tens if tens < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

fn subdirectories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

fn json(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn strange(directory: &Path, name: &str) -> io::Error {
    io::Error::other(format!("{}: no `{name}`", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (nanoseconds, shown) in [
            (7.1914, "7.19 ns"),
            (9.996, "10.0 ns"),
            (99.96, "100 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 µs"),
            (12_345.0, "12.3 µs"),
            (999_600.0, "1.00 ms"),
            (123_456_789.0, "123 ms"),
        ] {
            assert_eq!(duration(nanoseconds), shown, "{nanoseconds}");
        }
        assert_eq!(
            (times(1.96), times(99.94), times(99.96)),
            ("2.0×".to_owned(), "99.9×".to_owned(), "100×".to_owned())
        );
    }

    #[test]
    fn a_row_compares_with_portcullis() {
        let mut measured = Measurements::default();
        measured.insert("decide/10_statements/hit", Portcullis::NAME, 50.0);
        measured.insert("decide/10_statements/hit", RustFs::NAME, 1_500.0);
        let table = deciding(&measured);
        let row = table.lines().find(|line| line.starts_with("| `10_statements/hit`")).unwrap();
        assert_eq!(row, "| `10_statements/hit` | 50.0 ns | not measured | 1.50 µs (30.0×) | not measured |");
        let row = table.lines().find(|line| line.starts_with("| `bucket_10_statements_with_variables/hit`")).unwrap();
        assert_eq!(row, "| `bucket_10_statements_with_variables/hit` | not measured | not measured | (1) | (2) |");
        assert!(table.ends_with(
            "\n(2) cedar-policy: its patterns are constants: the application would have to compare names.\n"
        ));
    }

    #[test]
    fn a_claim_is_about_the_worst_of_all_that_were_measured() {
        let mut measured = Measurements::default();
        for scenario in scenarios() {
            measured.insert(&group(&scenario.name), Portcullis::NAME, 100.0);
            measured.insert(&group(&scenario.name), RustFs::NAME, 2_000.0);
        }
        assert!(!claims(&measured).contains("not hold"), "{}", claims(&measured));
        measured.insert("decide/bucket_10_statements_with_conditions/miss", Portcullis::NAME, 501.0);
        measured.insert("decide/bucket_20_kib_values/hit", Portcullis::NAME, 10_001.0);
        measured.insert("decide/1000_statements/miss", Portcullis::NAME, 201.0);
        let claimed = claims(&measured);
        assert_eq!(claimed.matches("**does not hold**").count(), 4, "{claimed}");
        assert!(claimed.contains("| 10.0 µs (`bucket_20_kib_values/hit`) |"), "{claimed}");
        assert!(claimed.contains("| 0.2× (`bucket_20_kib_values/hit`) |"), "{claimed}");

        assert_eq!(claims(&Measurements::default()).matches("| not measured |").count(), 4);
    }
}
