//! Where in a document a problem stands, and the list of those found.

use std::fmt;

use crate::policy::document::PolicyDocument;
use crate::policy::error::{Clipped, Fault, Problem, Quoted};
use crate::policy::json::Node;

/// How many problems, and how many warnings, are listed of one document.
const LISTED: usize = 100;

/// A place in a document, as a detail names it: `Statement 2 (Sid "ReadOnly"), Action[0]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) enum Place<'a> {
    Document,
    /// Counted from 0, as Amazon does in its `NO_ID-0`.
    Statement {
        index: usize,
        sid: Option<&'a str>,
    },
    Member {
        of: &'a Place<'a>,
        name: &'a str,
    },
    Item {
        of: &'a Place<'a>,
        index: usize,
    },
}

/// The proof that a problem was reported.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Faulty(());

/// What was found so far.
#[derive(Debug)]
pub(in crate::policy) struct Report<'d> {
    document: &'d PolicyDocument,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Place<'a> {
    pub(in crate::policy) fn member(&'a self, name: &'a str) -> Self {
        Self::Member { of: self, name }
    }

    pub(in crate::policy) fn item(&'a self, index: usize) -> Self {
        Self::Item { of: self, index }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("Document"),
            Self::Statement { index, sid: None } => write!(f, "Statement NO_ID-{index}"),
            Self::Statement { index, sid: Some(sid) } => write!(f, "Statement {index} (Sid {})", Quoted(sid)),
            Self::Member { of: Self::Document, name } => write!(f, "{}", Clipped(name)),
            Self::Member { of: of @ Self::Statement { .. }, name } => write!(f, "{of}, {}", Clipped(name)),
            Self::Member { of, name } => write!(f, "{of}.{}", Clipped(name)),
            Self::Item { of, index } => write!(f, "{of}[{index}]"),
        }
    }
}

impl<'d> Report<'d> {
    pub(in crate::policy) fn new(document: &'d PolicyDocument) -> Self {
        Self { document, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Reports a value, which is quoted.
    pub(in crate::policy) fn fault(&mut self, fault: Fault<'_>, place: Place<'_>, node: &Node) -> Faulty {
        self.fault_at(fault, place, node.at, &quote(node))
    }

    /// Reports something that has no value of its own.
    pub(in crate::policy) fn fault_at(&mut self, fault: Fault<'_>, place: Place<'_>, at: usize, what: &str) -> Faulty {
        if self.problems.len() < LISTED {
            let detail = self.detail(place, at, what);
            self.problems.push(Problem { message: fault.to_string(), detail: Some(detail) });
        }
        Faulty(())
    }

    /// Reports what concerns the document as a whole.
    pub(in crate::policy) fn fault_overall(&mut self, fault: Fault<'_>, what: String) -> Faulty {
        if self.problems.len() < LISTED {
            self.problems.push(Problem { message: fault.to_string(), detail: Some(what) });
        }
        Faulty(())
    }

    /// Warns of an element.
    pub(in crate::policy) fn warn(&mut self, place: Place<'_>, at: usize, text: &str) {
        if self.warnings.len() < LISTED {
            let (line, column) = self.document.position(at);
            let detail = format!("{place} (line {line}, column {column})");
            self.warnings.push(Problem { message: text.to_owned(), detail: Some(detail) });
        }
    }

    /// Warns of a value, which is quoted.
    pub(in crate::policy) fn warn_of(&mut self, place: Place<'_>, node: &Node, text: &str) {
        if self.warnings.len() < LISTED {
            let detail = self.detail(place, node.at, &quote(node));
            self.warnings.push(Problem { message: text.to_owned(), detail: Some(detail) });
        }
    }

    /// The problems and the warnings.
    pub(in crate::policy) fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    fn detail(&self, place: Place<'_>, at: usize, what: &str) -> String {
        let (line, column) = self.document.position(at);
        format!("{place}: {what} (line {line}, column {column})")
    }
}

fn quote(node: &Node) -> String {
    let mut text = String::new();
    node.write_compact(&mut text);
    Clipped(&text).to_string()
}
