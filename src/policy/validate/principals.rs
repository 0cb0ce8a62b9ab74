//! Who does a `Principal` or `NotPrincipal` element name?

use super::elements::Selected;
use super::report::{Faulty, Place, Report};
use crate::policy::error::Fault;
use crate::policy::json::{Member, Node, Value};
use crate::policy::principal::{PrincipalKind, PrincipalPattern};

/// Checks the element's value; at least one entry comes of it.
pub(super) fn check<'d>(
    report: &mut Report<'d>,
    place: Place<'_>,
    selected: Selected<'d>,
) -> Result<Vec<PrincipalPattern>, Faulty> {
    let node = selected.node;
    let place = place.member(selected.name);
    let kinds = match &node.value {
        Value::String(text) if text == "*" => {
            let everyone = vec![PrincipalPattern::Everyone];
            warn(report, place, selected, &everyone);
            return Ok(everyone);
        }
        Value::String(text) if text.is_empty() => return Err(report.fault(Fault::EmptyPrincipal, place, node)),
        Value::Object(kinds) if kinds.is_empty() => return Err(report.fault(Fault::EmptyPrincipal, place, node)),
        Value::Object(kinds) => kinds,
        _ => return Err(report.fault(Fault::Syntax, place, node)),
    };
    let mut patterns = Vec::new();
    let mut sound = Ok(());
    for member in kinds {
        sound = sound.and(check_kind(report, place.member(&member.name), member, &mut patterns));
    }
    sound?;
    warn(report, place, selected, &patterns);
    Ok(patterns)
}

fn check_kind(
    report: &mut Report<'_>,
    place: Place<'_>,
    member: &Member,
    patterns: &mut Vec<PrincipalPattern>,
) -> Result<(), Faulty> {
    let Some(kind) = PrincipalKind::parse(&member.name) else {
        let what = "the kinds are AWS, CanonicalUser, Federated, Service";
        return Err(report.fault_at(Fault::InvalidPrincipal, place, member.at, what));
    };
    match &member.value.value {
        Value::List(items) if !items.is_empty() => {
            let mut sound = Ok(());
            for (index, item) in items.iter().enumerate() {
                sound = sound.and(check_entry(report, place.item(index), kind, item, patterns));
            }
            sound
        }
        _ => check_entry(report, place, kind, &member.value, patterns),
    }
}

fn check_entry(
    report: &mut Report<'_>,
    place: Place<'_>,
    kind: PrincipalKind,
    node: &Node,
    patterns: &mut Vec<PrincipalPattern>,
) -> Result<(), Faulty> {
    let pattern = match &node.value {
        Value::String(text) => PrincipalPattern::parse(kind, text),
        _ => None,
    };
    let Some(pattern) = pattern else {
        return Err(report.fault(Fault::InvalidPrincipal, place, node));
    };
    if pattern.is_never_here() {
        report.warn_of(place, node, "this principal never asks here, so the entry matches nobody");
    }
    patterns.push(pattern);
    Ok(())
}

fn warn(report: &mut Report<'_>, place: Place<'_>, selected: Selected<'_>, patterns: &[PrincipalPattern]) {
    let everyone = patterns.contains(&PrincipalPattern::Everyone);
    let text = if everyone && selected.negated {
        "this excepts everybody, so nobody is denied"
    } else if everyone && patterns.len() > 1 {
        "\"*\" is among the principals, so the others change nothing"
    } else if selected.negated && patterns.iter().any(|entry| lacks_account(entry, patterns)) {
        "a user, role or session that is listed without its account is denied with that account"
    } else {
        return;
    };
    report.warn(place, selected.node.at, text);
}

/// Canonical user ids count for any account: which account has one is not known here.
fn lacks_account(entry: &PrincipalPattern, patterns: &[PrincipalPattern]) -> bool {
    entry.belongs_to().is_some_and(|account| {
        !patterns.iter().any(|listed| match listed {
            PrincipalPattern::Account(id) => id == account,
            PrincipalPattern::CanonicalUser(_) => true,
            _ => false,
        })
    })
}
