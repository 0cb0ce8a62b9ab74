//! The elements that come in pairs, and the lists of strings in them.

use super::report::{Faulty, Place, Report};
use crate::policy::error::Fault;
use crate::policy::json::{Member, Node, Value};

/// Which of a pair such as `Action` and `NotAction` a statement has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selected<'d> {
    pub(super) name: &'static str,
    /// It is the `Not…` form.
    pub(super) negated: bool,
    pub(super) node: &'d Node,
}

/// The value of such an element: one string, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct Entries<'d, T> {
    pub(super) name: &'static str,
    pub(super) negated: bool,
    pub(super) entries: Vec<Entry<'d, T>>,
}

/// One string of an element, and what it means.
#[derive(Clone, Debug)]
pub(super) struct Entry<'d, T> {
    /// Its position, where it stands in a list.
    pub(super) index: Option<usize>,
    pub(super) node: &'d Node,
    pub(super) text: &'d str,
    pub(super) value: T,
}

impl<T> Entry<'_, T> {
    /// Where it stands within the element at `place`.
    pub(super) fn place<'a>(&self, place: &'a Place<'a>) -> Place<'a> {
        self.index.map_or(*place, |index| place.item(index))
    }
}

/// Picks the one of the two elements that is there.
pub(super) fn select<'d>(
    report: &mut Report<'d>,
    place: Place<'_>,
    statement: &Node,
    members: &'d [Member],
    (positive, negative): (&'static str, &'static str),
) -> Result<Selected<'d>, Faulty> {
    let found = |name| super::find(members, name);
    match (found(positive), found(negative)) {
        (Some(node), None) => Ok(Selected { name: positive, negated: false, node }),
        (None, Some(node)) => Ok(Selected { name: negative, negated: true, node }),
        (Some(_), Some(node)) => {
            let what = format!("there is {positive} in the same statement");
            Err(report.fault_at(Fault::Syntax, place.member(negative), node.at, &what))
        }
        (None, None) => {
            let what = format!("there is neither {positive} nor {negative}");
            Err(report.fault_at(Fault::MissingField(positive), place, statement.at, &what))
        }
    }
}

/// Reads a string, or a list of at least one string, each by `read`; what does not fit is `fault`, but `null`, which S3
/// holds against the syntax.
pub(super) fn entries<'d, T>(
    report: &mut Report<'d>,
    place: Place<'_>,
    selected: Selected<'d>,
    fault: impl Fn(&'d str) -> Fault<'d>,
    read: impl Fn(&'d str) -> Result<T, Fault<'d>>,
) -> Result<Entries<'d, T>, Faulty> {
    let (node, place) = (selected.node, place.member(selected.name));
    let nodes: Vec<(Option<usize>, &'d Node)> = match &node.value {
        Value::List(items) if !items.is_empty() => {
            items.iter().enumerate().map(|(index, item)| (Some(index), item)).collect()
        }
        Value::Null => return Err(report.fault(Fault::Syntax, place, node)),
        _ => vec![(None, node)],
    };
    let mut entries = Vec::with_capacity(nodes.len());
    let mut sound = Ok(());
    for (index, node) in nodes {
        let checked = match &node.value {
            Value::String(text) => read(text).map(|value| Entry { index, node, text, value }),
            _ => Err(fault("")),
        };
        match checked {
            Ok(entry) => entries.push(entry),
            Err(fault) => {
                let place = index.map_or(place, |index| place.item(index));
                sound = Err(report.fault(fault, place, node));
            }
        }
    }
    sound.map(|()| Entries { name: selected.name, negated: selected.negated, entries })
}
