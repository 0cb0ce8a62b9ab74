//! `portcullis check`: is the configuration one that `serve` would take?

use std::path::Path;

use portcullis::server::tls::Certificates;

use super::load::load;
use super::{Failure, terminal};

/// Says every problem and every warning. Warnings alone do not make it fail.
pub(crate) fn run(config: &Path) -> Result<(), Failure> {
    let loaded = load(config)?;
    for warning in &loaded.warnings {
        terminal::warning(warning);
    }
    let (accounts, keys) = loaded.identities.counts();
    terminal::print(format_args!("{}: ok", config.display()));
    let identities = loaded.identities.path().display();
    terminal::print(format_args!("{identities}: ok, {}, {}", count(accounts, "account"), count(keys, "access key")));
    for served in loaded.certificates.iter().flat_map(Certificates::served) {
        let names = if served.names.is_empty() { "no host".to_owned() } else { served.names.join(", ") };
        terminal::print(format_args!("{}: ok, for {names}, until {}", served.file, served.expiry()));
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
