//! Measures Portcullis beside nginx, HAProxy and Envoy, and prints what came of it: `--help` says what can be chosen.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, io};

use portcullis_proxy_bench::contender::{Contender, OTHER_CORE, Upstream};
use portcullis_proxy_bench::garage::Garage;
use portcullis_proxy_bench::measure::{Effort, Field, memory, policies};
use portcullis_proxy_bench::process::{run, stay_on};
use portcullis_proxy_bench::report::Report;
use portcullis_proxy_bench::sink;
use portcullis_proxy_bench::storage::Storage;
use portcullis_proxy_bench::tools::Tools;

const HELP: &str = "\
Measures Portcullis as a proxy beside nginx, HAProxy and Envoy: a table and JSON on the standard output.

  --write             put the table into benches/README.md, and the JSON beside this package's Cargo.toml
  --only ROWS         some of small,get,put,memory,policies,garage, with commas
  --proxies NAMES     some of pass-through,preserve,resign,nginx,haproxy,envoy, with commas
  --rounds N          rounds of each row (7)
  --seconds S         seconds of a round with small objects, for each proxy (2)
  --portcullis FILE   measure this program instead of building it
";

const BEGIN: &str =
    "<!-- proxies: written by `cargo run --release --manifest-path benches/proxy/Cargo.toml -- --write` -->\n";
const END: &str = "<!-- end of the proxies -->\n";

struct Arguments {
    write: bool,
    only: Option<Vec<String>>,
    proxies: Vec<Contender>,
    effort: Effort,
    portcullis: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprint!("{wrong}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match measure(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    /// None where help is asked for.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut parsed =
            Self { write: false, only: None, proxies: Contender::ALL.to_vec(), effort: Effort::FULL, portcullis: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match &*word {
                "--write" => parsed.write = true,
                "--only" => parsed.only = Some(value()?.split(',').map(str::to_owned).collect()),
                "--proxies" => {
                    let value = value()?;
                    let wanted = value.split(',').map(|key| {
                        let found = Contender::ALL.into_iter().find(|contender| contender.key() == key);
                        found.ok_or_else(|| format!("--proxies: {key}?"))
                    });
                    parsed.proxies = wanted.collect::<Result<_, _>>()?;
                }
                "--rounds" => parsed.effort.rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?,
                "--seconds" => {
                    let seconds = value()?.parse().map_err(|e| format!("--seconds: {e}"))?;
                    parsed.effort.small =
                        Duration::try_from_secs_f64(seconds).map_err(|e| format!("--seconds: {e}"))?;
                }
                "--portcullis" => parsed.portcullis = Some(value()?.into()),
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("{word}?")),
            }
        }
        if parsed.effort.rounds == 0 {
            return Err("--rounds: at least one".to_owned());
        }
        Ok(Some(parsed))
    }

    fn wants(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == row))
    }
}

fn measure(arguments: Arguments) -> io::Result<()> {
    let tools = Tools::find(arguments.portcullis.clone())?;
    let mut report = Report { circumstances: circumstances(&tools)?, ..Report::default() };
    stay_on(OTHER_CORE)?;
    let effort = arguments.effort;
    // On a disk: what is measured of policies has to reach one.
    let directory = tempfile::Builder::new().prefix("portcullis-bench-").tempdir()?;
    let directory = directory.path();
    let storage = Storage::start(&tools, directory)?;
    let (store, sink) = (&Upstream::lax(storage.address()), &Upstream::lax(sink::start()?));
    if arguments.wants("small") || arguments.wants("get") {
        let field = Field::start(&arguments.proxies, &tools, store, directory)?;
        if arguments.wants("small") {
            eprintln!("1 KiB GET");
            report.small = field.small(effort)?;
        }
        if arguments.wants("get") {
            eprintln!("64 MiB GET");
            report.get = field.large(effort, false)?;
        }
    }
    if arguments.wants("put") {
        eprintln!("64 MiB PUT");
        report.put = Field::start(&arguments.proxies, &tools, sink, directory)?.large(effort, true)?;
    }
    if arguments.wants("memory") {
        for &contender in &arguments.proxies {
            eprintln!("memory: {}", contender.name());
            report.memory.push(memory(contender, &tools, (store, sink), directory, effort)?);
        }
    }
    if arguments.wants("policies") {
        eprintln!("policies");
        let (writes, starts) = policies(&tools, store, directory, effort)?;
        (report.writes, report.starts) = (Some(writes), Some(starts));
    }
    if arguments.wants("garage") {
        eprintln!("Garage");
        let garage = Garage::start(directory)?;
        report.garage = Some(garage.measure(&arguments.proxies, &tools, directory, effort)?);
    }
    let (table, json) = (report.markdown(), format!("{:#}\n", report.json()));
    println!("{table}\n{json}");
    if arguments.write { write(&table, &json) } else { Ok(()) }
}

fn circumstances(tools: &Tools) -> io::Result<String> {
    let date = run(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    // Before this process is kept on one of them.
    let cores = std::thread::available_parallelism()?;
    let kernel = run(Command::new("uname").arg("-r"))?;
    let version = kernel.split('-').next().unwrap_or_default();
    Ok(format!("{date}, {model} ({cores} cores), Linux {version}; {}.", tools.versions()?))
}

fn write(table: &str, json: &str) -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = package.join("../README.md");
    let text = fs::read_to_string(&readme)?;
    let missing = |mark: &str| io::Error::other(format!("benches/README.md: no {mark}"));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    fs::write(&readme, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    fs::write(package.join("latest.json"), json)
}
