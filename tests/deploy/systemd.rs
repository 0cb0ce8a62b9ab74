//! The unit, as systemd reads it.

use std::fs;

use crate::{cache, repository, tools};

/// How much may be exposed, in tenths of what `systemd-analyze security` calls ten. Sockets alone are about one.
const EXPOSURE: &str = "--threshold=15";

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("portcullis.service");
    let text = fs::read_to_string(repository("deploy/systemd/portcullis.service")).unwrap();
    // systemd looks whether the program is there.
    assert_eq!(text.matches("/usr/bin/portcullis ").count(), 2);
    let program = format!("{} ", env!("CARGO_BIN_EXE_portcullis"));
    fs::write(&unit, text.replace("/usr/bin/portcullis ", &program)).unwrap();

    let mut verify = tools::systemd_analyze();
    let output = verify.args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("portcullis.service"), "{told}");

    let mut security = tools::systemd_analyze();
    security.args(["security", "--offline=yes", "--no-pager", EXPOSURE]).arg(&unit);
    let told = cache::must_run(&mut security, "more is exposed than need be");
    assert!(told.contains("Overall exposure level for portcullis.service"), "{told}");
}

#[test]
fn the_unit_stops_as_the_program_does() {
    let text = fs::read_to_string(repository("deploy/systemd/portcullis.service")).unwrap();
    let seconds =
        |line: &str, key: &str| -> Option<u64> { line.strip_prefix(key)?.trim_matches(['"', 's']).parse().ok() };
    let stop = text.lines().find_map(|line| seconds(line, "TimeoutStopSec=")).unwrap();
    let shipped = fs::read_to_string(repository("proxy.toml")).unwrap();
    let drain = shipped.parse::<toml::Table>().unwrap()["limits"]["drain_timeout"].as_str().unwrap().to_owned();
    let drain = seconds(&drain, "").unwrap();
    assert!(drain < stop, "{drain} s of draining, and killed after {stop} s");
}
