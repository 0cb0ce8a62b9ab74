//! What `/metrics` tells is what the documentation says, and alerts and dashboard ask for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{PUBLIC, Proxy, SOON, ask, cache, process, repository};

/// A row of `docs/metrics.md`.
#[derive(Debug, PartialEq, Eq)]
struct Documented {
    kind: String,
    labels: BTreeSet<String>,
}

fn documented() -> BTreeMap<String, Documented> {
    let text = fs::read_to_string(repository("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `portcullis_"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), Documented { kind: cells[2].to_owned(), labels })
    };
    rows.map(row).collect()
}

/// What was told, in the same form.
fn told(text: &str) -> BTreeMap<String, Documented> {
    let mut told = BTreeMap::new();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for (name, kind) in
        kinds.filter_map(|line| line.split_once(' ')).filter(|(name, _)| name.starts_with("portcullis_"))
    {
        let of = |line: &&str| {
            let series = line.split(['{', ' ']).next().unwrap();
            series == name
                || (kind == "histogram"
                    && ["_bucket", "_sum", "_count"].iter().any(|part| series == format!("{name}{part}")))
        };
        let series: Vec<_> = text.lines().filter(of).collect();
        assert!(!series.is_empty(), "{name} has a type and no series");
        let mut labels: BTreeSet<_> = series.iter().flat_map(|line| labels(line)).collect();
        assert_eq!(labels.remove("le"), kind == "histogram", "{name}");
        told.insert(name.to_owned(), Documented { kind: kind.to_owned(), labels });
    }
    told
}

/// The labels in a series or an expression: `{a="…",b=~"…"}`.
fn labels(text: &str) -> BTreeSet<String> {
    let braces = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside);
    let mut labels = BTreeSet::new();
    for inside in braces {
        // Every other piece is a value in quotes.
        for name in inside.split('"').step_by(2) {
            let name = name.trim_matches([',', ' ', '=', '~', '!']);
            if !name.is_empty() {
                labels.insert(name.to_owned());
            }
        }
    }
    labels
}

#[test]
fn what_is_told_is_what_is_documented() {
    let proxy = Proxy::start("", "");
    proxy.put_policy(PUBLIC);
    assert_eq!(proxy.get("/photos/public/hello").body, "hello");
    assert_eq!(proxy.get("/photos/secret").status, 403);
    assert_eq!(proxy.get("/photos?acl&cors").status, 400);
    // Counted when the answer has been sent, which its reader may know before.
    let counted = |code, decision, operation| {
        format!("portcullis_requests_total{{operation=\"{operation}\",code=\"{code}\",decision=\"{decision}\"}}")
    };
    proxy.until_metric(&counted(200, "allowed", "GetObject"), 1.0);
    proxy.until_metric(&counted(403, "denied", "GetObject"), 1.0);
    proxy.until_metric(&counted(400, "refused", "none"), 1.0);
    let decided = |decision| {
        format!("portcullis_decisions_total{{operation=\"GetObject\",decision=\"{decision}\",mode=\"enforce\"}}")
    };
    for decision in ["allowed", "denied"] {
        assert_eq!(proxy.metric(&decided(decision)), Some(1.0));
    }
    assert_eq!(proxy.metric("portcullis_request_duration_seconds_count{operation=\"GetObject\"}"), Some(2.0));
    assert_eq!(proxy.metric("portcullis_store_duration_seconds_count{call=\"put\"}"), Some(1.0));
    assert_eq!(proxy.metric("portcullis_requests_in_flight"), Some(0.0));
    assert_eq!(proxy.metric("portcullis_requests_in_flight_limit"), Some(4096.0));
    assert!(proxy.metric("portcullis_sent_bytes_total").unwrap() > 100.0, "two errors and an object");
    assert_eq!(proxy.metric("portcullis_received_bytes_total"), Some(0.0));
    let plain = proxy.scrape();

    // Certificates are those of another.
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(["s3.localhost".to_owned()]).unwrap();
    fs::write(directory.path().join("tls.crt"), key.cert.pem()).unwrap();
    fs::write(directory.path().join("tls.key"), key.signing_key.serialize_pem()).unwrap();
    let secure = Proxy::start_in(directory, "tls = { cert = \"tls.crt\", key = \"tls.key\" }", "");
    let mut all = told(&secure.scrape());
    all.extend(told(&plain));
    assert_eq!(all, documented());
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        assert!(plain.lines().any(|line| line.starts_with(name)), "{name}");
    }
    let version = format!("portcullis_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(plain.lines().any(|line| line == version), "{plain}");
}

#[test]
fn a_refused_request_and_a_busy_connection_are_counted() {
    let proxy = Proxy::start("", "[limits]\nmax_in_flight = 1\n");
    // One that is being sent takes the only place.
    let head =
        "PUT /photos/public/new HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    proxy.put_policy(&PUBLIC.replace("s3:GetObject", "s3:*Object"));
    let mut slow = std::net::TcpStream::connect(proxy.address).unwrap();
    std::io::Write::write_all(&mut slow, head.as_bytes()).unwrap();
    proxy.until_metric("portcullis_requests_in_flight", 1.0);
    assert_eq!(proxy.metric("portcullis_connections{listener=\"data\"}"), Some(1.0));
    let get = "GET /photos/public/hello HTTP/1.1\r\nHost: s3.localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(proxy.address, get).status, 503);
    proxy.until_metric("portcullis_limited_requests_total{limit=\"max_in_flight\"}", 1.0);
    std::io::Write::write_all(&mut slow, b"12345").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut slow, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    proxy.until_metric("portcullis_requests_in_flight", 0.0);
    proxy.until_metric("portcullis_connections{listener=\"data\"}", 0.0);
    proxy.until_metric("portcullis_received_bytes_total", 5.0);
    proxy.stop();
}

/// What an expression asks for: every name of a metric in it, whatever of a histogram it is.
fn asked(expression: &str, documented: &BTreeMap<String, Documented>) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_name(character));
    let names = words.filter(|word| word.starts_with("portcullis_") || word.starts_with("process_"));
    let family = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| word.strip_suffix(part));
        let base = base.filter(|base| documented.get(*base).is_some_and(|row| row.kind == "histogram"));
        base.unwrap_or(word).to_owned()
    };
    names.map(family).collect()
}

fn hold_against_the_document(what: &str, expression: &str) {
    let documented = documented();
    let names = asked(expression, &documented);
    assert!(!names.is_empty(), "{what}: `{expression}` asks for nothing of ours");
    // Of the scrape, and what the expression itself makes.
    let mut known: BTreeSet<_> = ["job", "instance", "le"].map(str::to_owned).into();
    for name in names.iter().filter(|name| name.starts_with("portcullis_")) {
        let row = documented.get(name).unwrap_or_else(|| panic!("{what}: there is no `{name}`"));
        known.extend(row.labels.iter().cloned());
    }
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    let grouped = grouped.flat_map(|(inside, _)| inside.split(',').map(|label| label.trim().to_owned()));
    for label in labels(expression).into_iter().chain(grouped) {
        assert!(known.contains(&label), "{what}: `{expression}` knows a label `{label}` that none of its metrics has");
    }
}

#[test]
fn alerts_ask_for_what_is_documented() {
    let rules = repository("deploy/prometheus/alerts.yaml");
    cache::must_run(Command::new(promtool()).args(["check", "rules"]).arg(&rules), "the rules are none");
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let python = cache::python_tool("python");
    let json = cache::must_run(Command::new(python).args(["-c", script]).arg(&rules), "the rules are no YAML");
    let rules: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() > 10);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        hold_against_the_document(name, rule["expr"].as_str().unwrap());
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(), "{name}");
    }
}

#[test]
fn the_dashboard_asks_for_what_is_documented_and_for_all_of_it() {
    let text = fs::read_to_string(repository("deploy/grafana/portcullis.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let documented = documented();
    let mut shown = BTreeSet::new();
    let mut rules = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its number is another's");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            hold_against_the_document(title, expression);
            shown.extend(asked(expression, &documented));
            // As it is when Grafana has put in what it does.
            let expression = expression.replace("$__rate_interval", "5m").replace("$__range", "1h");
            let name = format!("dashboard:{}", rules.len());
            rules.push(serde_json::json!({"record": name, "expr": expression}));
        }
    }
    // JSON is YAML.
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(file.path(), serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    cache::must_run(Command::new(promtool()).args(["check", "rules"]).arg(file.path()), "not all are expressions");
    for name in documented.keys() {
        assert!(shown.contains(name), "the dashboard does not show {name}");
    }
}

/// Prometheus' own checker, from Debian's package, which is unpacked and not installed.
fn promtool() -> PathBuf {
    static PROMTOOL: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        if Command::new("promtool").arg("--version").output().is_ok_and(|output| output.status.success()) {
            return PathBuf::from("promtool");
        }
        let home = cache::directory().join("prometheus");
        let tool = home.join("usr/bin/promtool");
        cache::with_lock("prometheus", || {
            if tool.exists() {
                return;
            }
            fs::create_dir_all(&home).unwrap();
            let download = || {
                let mut command = Command::new("apt-get");
                command.args(["-q", "download", "prometheus"]).current_dir(&home);
                process::run(&mut command, SOON * 5).code == Some(0)
            };
            let otherwise = "promtool is needed: install Debian's package `prometheus`";
            if !download() {
                cache::must_run(Command::new("apt-get").args(["-q", "update"]), otherwise);
                assert!(download(), "{otherwise}");
            }
            let mut files = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
            let package = files.find(|path| path.extension().is_some_and(|end| end == "deb")).unwrap();
            cache::must_run(Command::new("dpkg").arg("-x").arg(&package).arg(&home), otherwise);
        });
        tool
    };
    PROMTOOL.get_or_init(find).clone()
}
