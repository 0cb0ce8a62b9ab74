//! What was measured, as Markdown and as JSON.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::contender::Contender;
use crate::garage::InFront;
use crate::measure::{Memory, Round, Series, Starts, Writes, median};
use crate::tools::GARAGE;

/// All that was measured in one run; what was left out is empty.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Machine, versions, date: one line.
    pub circumstances: String,
    pub small: Vec<Series>,
    pub get: Vec<Series>,
    pub put: Vec<Series>,
    pub memory: Vec<Memory>,
    pub writes: Option<Writes>,
    pub starts: Option<Starts>,
    pub garage: Option<InFront>,
}

/// What is to be reached: the design's section 8.
struct Claim {
    what: &'static str,
    at_most: f64,
    measured: Option<f64>,
    unit: &'static str,
}

impl Report {
    /// The tables, the most important first.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.circumstances);
        text.push_str("| to reach | at most | measured | |\n|---|---:|---:|---|\n");
        for claim in self.claims() {
            let Claim { what, at_most, unit, .. } = claim;
            let (measured, holds) = match claim.measured {
                Some(measured) => {
                    (format!("{measured:.2}{unit}"), if measured <= at_most { "holds" } else { "**does not hold**" })
                }
                None => ("not measured".to_owned(), ""),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {what} | {at_most}{unit} | {measured} | {holds} |");
        }
        for (title, series) in [
            ("1 KiB GET, 64 connections", &self.small),
            ("64 MiB GET, 4 connections", &self.get),
            ("64 MiB PUT, 4 connections", &self.put),
        ] {
            if !series.is_empty() {
                text.push_str(&table(title, series));
            }
        }
        if !self.memory.is_empty() {
            text.push_str(
                "\n| resident memory, MiB | fresh | idle connections | 5 GiB PUT, peak | 5 GiB GET, peak |\n",
            );
            text.push_str("|---|---:|---:|---:|---:|\n");
            for Memory { contender, fresh, idle, put, get } in &self.memory {
                let [fresh, idle, put, get] = [fresh, idle, put, get].map(|bytes| mebibytes(*bytes));
                let name = contender.name();
                let _ = writeln!(text, "| {name} | {fresh:.1} | {idle:.1} | {put:.1} | {get:.1} |");
            }
        }
        if let Some(Writes { flush, one, rate, flushes }) = self.writes {
            let flushes = flushes.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.2}"));
            text.push_str("\n| `PUT ?policy` on redb | |\n|---|---:|\n");
            let _ = writeln!(text, "| flushes | {flushes} |");
            let _ = writeln!(text, "| one after another | {} each |", duration(one));
            let _ = writeln!(text, "| sixteen at once | {rate:.0} a second |");
            let _ = writeln!(text, "| the disk's flush of 4 KiB | {} |", duration(flush));
        }
        if let Some(garage) = &self.garage {
            for (what, series) in garage.operations() {
                text.push_str(&beside_direct(what, series));
            }
        }
        text
    }

    fn claims(&self) -> Vec<Claim> {
        let ratio = |series: &[Series], own, other| find(series, own)?.ratio(find(series, other)?);
        let claim = |what, at_most, measured, unit| Claim { what, at_most, measured, unit };
        let own = self.memory.iter().filter(|memory| Contender::OWN.contains(&memory.contender));
        let most = |of: fn(&Memory) -> u64| own.clone().map(of).max().map(mebibytes);
        let (pass, nginx) = (Contender::PassThrough, Contender::Nginx);
        let started = self.starts.as_ref().and_then(|starts| median(starts.took.iter().copied(), Ord::cmp));
        let writes = self.writes.and_then(|writes| writes.flushes);
        vec![
            claim("CPU, 1 KiB GET, pass-through : nginx", 0.9, ratio(&self.small, pass, nginx), "×"),
            claim(
                "CPU, 1 KiB GET, `preserve`, enforced : nginx",
                1.0,
                ratio(&self.small, Contender::Preserve, nginx),
                "×",
            ),
            claim(
                "CPU, 1 KiB GET, `resign`, enforced : nginx",
                1.25,
                ratio(&self.small, Contender::Resign, nginx),
                "×",
            ),
            claim("CPU, 64 MiB GET, pass-through : Envoy", 0.6, ratio(&self.get, pass, Contender::Envoy), "×"),
            claim("CPU, 64 MiB PUT, pass-through : Envoy", 0.6, ratio(&self.put, pass, Contender::Envoy), "×"),
            claim("memory, 1,000 idle connections", 64.0, most(|memory| memory.idle), " MiB"),
            claim("memory, a 5 GiB PUT", 64.0, most(|memory| memory.put), " MiB"),
            claim("memory, a 5 GiB GET", 64.0, most(|memory| memory.get), " MiB"),
            claim("flushes of a `PUT ?policy`", 2.0, writes, ""),
            claim("start to serving, 10,000 policies", 0.3, started.map(|took| took.as_secs_f64()), " s"),
        ]
    }

    /// The same, every round of it.
    pub fn json(&self) -> Value {
        let claims = self.claims();
        let claims: Vec<_> = claims
            .iter()
            .map(|claim| {
                json!({"what": claim.what, "at_most": claim.at_most, "measured": claim.measured,
                    "unit": claim.unit.trim()})
            })
            .collect();
        let memory = self.memory.iter().map(|memory| {
            json!({"proxy": memory.contender.name(), "fresh_bytes": memory.fresh, "idle_bytes": memory.idle,
                "put_peak_bytes": memory.put, "get_peak_bytes": memory.get})
        });
        json!({
            "circumstances": self.circumstances,
            "claims": claims,
            "get_1_kib": self.small.iter().map(rounds).collect::<Vec<_>>(),
            "get_64_mib": self.get.iter().map(rounds).collect::<Vec<_>>(),
            "put_64_mib": self.put.iter().map(rounds).collect::<Vec<_>>(),
            "memory": memory.collect::<Vec<_>>(),
            "put_policy": self.writes.map(|writes| json!({
                "flushes": writes.flushes, "seconds": writes.one.as_secs_f64(), "per_second_of_16": writes.rate,
                "flush_seconds": writes.flush.as_secs_f64(),
            })),
            "start": self.starts.as_ref().map(|starts| json!({
                "policies": starts.policies,
                "seconds": starts.took.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            })),
            "garage": self.garage.as_ref().map(|garage| json!({
                "version": GARAGE,
                "get_1_kib": garage.small.iter().map(rounds).collect::<Vec<_>>(),
                "get_64_mib": garage.get.iter().map(rounds).collect::<Vec<_>>(),
                "put_64_mib": garage.put.iter().map(rounds).collect::<Vec<_>>(),
            })),
        })
    }
}

fn rounds(series: &Series) -> Value {
    // Of a proxy that is not there nothing was measured.
    let proxy = series.contender != Contender::Direct;
    let rounds = series.rounds.iter().map(|round| {
        json!({
            "cpu_seconds": proxy.then_some(round.cpu.as_secs_f64()), "requests_per_second": round.rate,
            "p50_seconds": round.p50.as_secs_f64(), "p99_seconds": round.p99.as_secs_f64(),
            "resident_bytes": proxy.then_some(round.resident),
        })
    });
    json!({"proxy": series.contender.name(), "rounds": rounds.collect::<Vec<_>>()})
}

fn table(title: &str, all: &[Series]) -> String {
    let mut text = format!("\n| {title} | CPU a request | : nginx | : Envoy | requests/s | p50 | p99 | resident |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for series in all {
        let ratio = |other| {
            let ratio = find(all, other).and_then(|other| series.ratio(other));
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×"))
        };
        let time = |of: fn(&Round) -> Duration| series.median(of).map_or_else(String::new, duration);
        let rate = series.median(|round| round.rate).unwrap_or_default();
        let rate = per_second(rate);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {rate} | {} | {} | {:.1} MiB |",
            series.contender.name(),
            time(|round| round.cpu),
            ratio(Contender::Nginx),
            ratio(Contender::Envoy),
            time(|round| round.p50),
            time(|round| round.p99),
            mebibytes(series.median(|round| round.resident).unwrap_or_default()),
        );
    }
    text
}

/// What is in front of Garage, beside Garage by itself: throughput and latencies, and how many times as much.
fn beside_direct(what: &str, all: &[Series]) -> String {
    let mut text = format!("\n| Garage {GARAGE}, {what} | requests/s | : direct | p50 | : direct | p99 | : direct |");
    text.push_str(" CPU a request, proxy |\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
    let direct = find(all, Contender::Direct);
    for series in all {
        let ratio = |of: fn(&Round) -> f64| {
            let ratio = direct.and_then(|direct| series.ratio_of(direct, of));
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×"))
        };
        let time = |of: fn(&Round) -> Duration| series.median(of).map_or_else(String::new, duration);
        let cpu = if series.contender == Contender::Direct { String::new() } else { time(|round| round.cpu) };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {cpu} |",
            series.contender.name(),
            per_second(series.median(|round| round.rate).unwrap_or_default()),
            ratio(|round| round.rate),
            time(|round| round.p50),
            ratio(|round| round.p50.as_secs_f64()),
            time(|round| round.p99),
            ratio(|round| round.p99.as_secs_f64()),
        );
    }
    text
}

fn per_second(rate: f64) -> String {
    if rate < 1000.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn find(series: &[Series], contender: Contender) -> Option<&Series> {
    series.iter().find(|series| series.contender == contender)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// With three digits.
fn duration(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    let (value, unit) = match micros {
        ..1e3 => (micros, "µs"),
        ..1e6 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    let decimals = if value >= 100.0 { 0 } else { 1 };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(contender: Contender, micros: u64) -> Series {
        let round = Round {
            cpu: Duration::from_micros(micros),
            rate: 12_345.6,
            p50: Duration::from_micros(1500),
            p99: Duration::from_millis(2500),
            resident: 3 << 20,
        };
        Series { contender, rounds: vec![round] }
    }

    #[test]
    fn a_claim_is_held_against_what_was_measured() {
        let report = Report {
            circumstances: "here and now".to_owned(),
            small: vec![
                series(Contender::PassThrough, 15),
                series(Contender::Preserve, 31),
                series(Contender::Nginx, 30),
            ],
            ..Report::default()
        };
        let text = report.markdown();
        for expected in [
            "here and now\n\n| to reach |",
            "| CPU, 1 KiB GET, pass-through : nginx | 0.9× | 0.50× | holds |\n",
            "| CPU, 1 KiB GET, `preserve`, enforced : nginx | 1× | 1.03× | **does not hold** |\n",
            "| CPU, 1 KiB GET, `resign`, enforced : nginx | 1.25× | not measured |  |\n",
            "| nginx | 30.0 µs | 1.00× |  | 12346 | 1.5 ms | 2.5 s | 3.0 MiB |\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        let json = report.json();
        assert_eq!(json["claims"][0]["measured"], 0.5);
        assert_eq!(json["get_1_kib"][1]["rounds"][0]["cpu_seconds"], 31e-6);
        assert_eq!(json["put_policy"], Value::Null);
    }

    #[test]
    fn what_is_in_front_of_garage_stands_beside_garage_itself() {
        let twice = |mut series: Series| {
            series.rounds[0].rate /= 2.0;
            series.rounds[0].p50 *= 2;
            series
        };
        let small = vec![series(Contender::Direct, 0), twice(series(Contender::Resign, 40))];
        let garage = Some(InFront { small, ..InFront::default() });
        let report = Report { garage, ..Report::default() };
        let text = report.markdown();
        for expected in [
            "| direct | 12346 | 1.00× | 1.5 ms | 1.00× | 2.5 s | 1.00× |  |\n",
            "| Portcullis, resign, enforced | 6173 | 0.50× | 3.0 ms | 2.00× | 2.5 s | 1.00× | 40.0 µs |\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        let garage = &report.json()["garage"];
        assert_eq!(garage["get_1_kib"][0]["rounds"][0]["cpu_seconds"], Value::Null);
        assert_eq!(garage["get_1_kib"][1]["rounds"][0]["cpu_seconds"], 40e-6);
    }
}
