//! Who does a `Principal` or `NotPrincipal` element name?

use super::elements::Selected;
use super::report::{Faulty, Place, Report};
use crate::policy::error::Fault;
use crate::policy::json::{Member, Node, Value};
use crate::policy::principal::{NamedPrincipal, NamedPrincipals, PrincipalKind};

/// Checks the element's value; at least one entry comes of it.
pub(super) fn check<'d>(
    report: &mut Report<'d>,
    place: Place<'_>,
    selected: Selected<'d>,
) -> Result<NamedPrincipals, Faulty> {
    let node = selected.node;
    let place = place.member(selected.name);
    let kinds = match &node.value {
        Value::String(text) if text == "*" => {
            let everyone = [NamedPrincipal::Everyone];
            warn(report, place, selected, &everyone);
            return Ok(everyone.into_iter().collect());
        }
        Value::String(text) if text.is_empty() => return Err(report.fault(Fault::EmptyPrincipal, place, node)),
        Value::Object(kinds) if kinds.is_empty() => return Err(report.fault(Fault::EmptyPrincipal, place, node)),
        Value::Object(kinds) => kinds,
        _ => return Err(report.fault(Fault::Syntax, place, node)),
    };
    let mut named = Vec::new();
    let mut sound = Ok(());
    for member in kinds {
        sound = sound.and(check_kind(report, place.member(&member.name), member, &mut named));
    }
    sound?;
    warn(report, place, selected, &named);
    Ok(named.into_iter().collect())
}

fn check_kind(
    report: &mut Report<'_>,
    place: Place<'_>,
    member: &Member,
    named: &mut Vec<NamedPrincipal>,
) -> Result<(), Faulty> {
    let Some(kind) = PrincipalKind::parse(&member.name) else {
        let what = "the kinds are AWS, CanonicalUser, Federated, Service";
        return Err(report.fault_at(Fault::InvalidPrincipal, place, member.at, what));
    };
    match &member.value.value {
        Value::List(items) if !items.is_empty() => {
            let mut sound = Ok(());
            for (index, item) in items.iter().enumerate() {
                sound = sound.and(check_entry(report, place.item(index), kind, item, named));
            }
            sound
        }
        _ => check_entry(report, place, kind, &member.value, named),
    }
}

fn check_entry(
    report: &mut Report<'_>,
    place: Place<'_>,
    kind: PrincipalKind,
    node: &Node,
    named: &mut Vec<NamedPrincipal>,
) -> Result<(), Faulty> {
    let entry = match &node.value {
        Value::String(text) => NamedPrincipal::parse(kind, text),
        _ => None,
    };
    let Some(entry) = entry else {
        return Err(report.fault(Fault::InvalidPrincipal, place, node));
    };
    if entry.is_never_here() {
        report.warn_of(place, node, "this principal never asks here, so the entry matches nobody");
    }
    named.push(entry);
    Ok(())
}

fn warn(report: &mut Report<'_>, place: Place<'_>, selected: Selected<'_>, named: &[NamedPrincipal]) {
    let everyone = named.contains(&NamedPrincipal::Everyone);
    let text = if everyone && selected.negated {
        "this excepts everybody, so nobody is denied"
    } else if everyone && named.len() > 1 {
        "\"*\" is among the principals, so the others change nothing"
    } else if selected.negated && named.iter().any(|entry| lacks_account(entry, named)) {
        "a user, role or session that is listed without its account is denied with that account"
    } else {
        return;
    };
    report.warn(place, selected.node.at, text);
}

/// Canonical user ids count for any account: which account has one is not known here.
fn lacks_account(entry: &NamedPrincipal, named: &[NamedPrincipal]) -> bool {
    let NamedPrincipal::Arn { account, .. } = entry else { return false };
    !named.iter().any(|listed| match listed {
        NamedPrincipal::Account(id) => id == account,
        NamedPrincipal::CanonicalUser(_) => true,
        _ => false,
    })
}
