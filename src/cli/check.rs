//! `portcullis check`: is the configuration one that `serve` would take?

use std::path::Path;

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
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
