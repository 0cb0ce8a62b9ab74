//! Does a text match a pattern with `*`, `?` and policy variables?
//!
//! Follows Amazon's "IAM JSON policy elements: Resource" (wildcards) and "IAM policy elements: Variables and tags".

use super::condition::Key;
use super::version::Version;

/// A compiled pattern: `*` matches any run of characters, `/` included, `?` exactly one, and a variable the value that
/// the request has for it, whose own `*` and `?` are plain characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// No two texts in a row, no empty text, no two runs in a row.
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    AnyOne,
    AnyRun,
    Variable(Variable),
}

/// `${key}` or `${key, 'default'}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) key: Key,
    pub(super) default: Option<Box<str>>,
}

/// What a text says of policy variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    /// There is one to expand.
    pub(super) present: bool,
    /// There is a `${` that is no variable, and stands for itself.
    pub(super) malformed: bool,
}

/// Whether `*` and `?` in a text are wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcards {
    Match,
    StandForThemselves,
}

/// Where a variable's value comes from. None: the request has no one value for it, so that nothing is equal to it or
/// like it.
pub(super) trait Resolve {
    fn resolve<'v>(&'v self, variable: &'v Variable) -> Option<&'v str>;
}

/// For patterns that have no variables.
pub(super) struct NoValues;

impl Resolve for NoValues {
    fn resolve<'v>(&'v self, _: &'v Variable) -> Option<&'v str> {
        None
    }
}

impl Pattern {
    /// A pattern of wildcards alone.
    pub(super) fn plain(text: &str) -> Self {
        Self::compile(text, Version::V2008, Wildcards::Match).0
    }

    /// Reads a text by a version of the language: in 2008-10-17 there are no variables, and `${` stands for itself.
    pub(super) fn compile(text: &str, version: Version, wildcards: Wildcards) -> (Self, Variables) {
        let mut pieces = Pieces::default();
        let mut variables = Variables::default();
        if version == Version::V2008 {
            pieces.text(text, wildcards);
            return (pieces.finish(), variables);
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            pieces.text(before, wildcards);
            rest = match split_variable(after) {
                Some((inside @ ("*" | "?" | "$"), behind)) => {
                    pieces.literal(inside);
                    behind
                }
                Some((inside, behind)) => {
                    variables.present = true;
                    pieces.push(Piece::Variable(Variable::parse(inside)));
                    behind
                }
                None => {
                    variables.malformed = true;
                    pieces.literal("${");
                    after
                }
            };
        }
        pieces.text(rest, wildcards);
        (pieces.finish(), variables)
    }

    /// What every match begins with.
    pub(super) fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            Some(Piece::AnyOne | Piece::AnyRun | Piece::Variable(_)) | None => "",
        }
    }

    /// The one text that matches, where that does not depend on the request.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it has neither wildcards nor variables.
    pub(super) fn is_fixed(&self) -> bool {
        self.literal().is_some()
    }

    pub(super) fn has_variables(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Variable(_)))
    }

    pub(super) fn matches(&self, text: &str, values: &impl Resolve) -> bool {
        matches(&self.pieces, text, values)
    }

    /// The same for a text that is known to begin with [`prefix`](Self::prefix).
    pub(super) fn matches_behind_prefix(&self, text: &str, values: &impl Resolve) -> bool {
        match (&*self.pieces, text.get(self.prefix().len()..)) {
            ([Piece::Text(_), pieces @ ..], Some(text)) => matches(pieces, text, values),
            (pieces, _) => matches(pieces, text, values),
        }
    }

    /// Whether the text is equal but for case, of a pattern without wildcards.
    pub(super) fn equals_ignoring_case(&self, text: &str, values: &impl Resolve) -> bool {
        let mut found = text.chars().flat_map(char::to_lowercase);
        for piece in &self.pieces {
            let Some(expected) = piece.text(values) else { return false };
            for c in expected.chars().flat_map(char::to_lowercase) {
                if found.next() != Some(c) {
                    return false;
                }
            }
        }
        found.next().is_none()
    }

    /// The pattern with its variables' values in it; none where one has no value.
    pub(super) fn resolved(&self, values: &impl Resolve) -> Option<Self> {
        let mut resolved = Pieces::default();
        for piece in &self.pieces {
            match piece {
                Piece::Text(_) | Piece::Variable(_) => resolved.literal(piece.text(values)?),
                Piece::AnyOne | Piece::AnyRun => resolved.push(piece.clone()),
            }
        }
        Some(resolved.finish())
    }

    /// The parts between colons, the last of `N` with all colons that are left; none where there are fewer.
    pub(super) fn split<const N: usize>(&self) -> Option<[Self; N]> {
        let mut parts = Vec::with_capacity(N);
        let mut part = Pieces::default();
        for piece in &self.pieces {
            let Piece::Text(text) = piece else {
                part.push(piece.clone());
                continue;
            };
            let mut rest = &**text;
            while parts.len() + 1 < N
                && let Some((before, after)) = rest.split_once(':')
            {
                part.literal(before);
                parts.push(std::mem::take(&mut part).finish());
                rest = after;
            }
            part.literal(rest);
        }
        parts.push(part.finish());
        parts.try_into().ok()
    }
}

impl Variable {
    fn parse(inside: &str) -> Self {
        let with_default = inside.split_once(',').and_then(|(key, default)| {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            Some((key, default))
        });
        match with_default {
            Some((key, default)) => Self { key: Key::of(key.trim()), default: Some(default.into()) },
            None => Self { key: Key::of(inside.trim()), default: None },
        }
    }
}

impl Piece {
    /// The text it stands for in this request, of one that stands for a single text.
    fn text<'p>(&'p self, values: &'p impl Resolve) -> Option<&'p str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Variable(variable) => values.resolve(variable),
            Self::AnyOne | Self::AnyRun => None,
        }
    }
}

/// Pieces being put together.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Piece>,
    text: String,
}

impl Pieces {
    fn text(&mut self, text: &str, wildcards: Wildcards) {
        if wildcards == Wildcards::StandForThemselves {
            return self.literal(text);
        }
        let mut rest = text;
        while let Some(at) = rest.find(['*', '?']) {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.literal(before);
            self.push(if after.starts_with('*') { Piece::AnyRun } else { Piece::AnyOne });
            rest = after.get(1..).unwrap_or_default();
        }
        self.literal(rest);
    }

    fn literal(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn push(&mut self, piece: Piece) {
        self.flush();
        if piece != Piece::AnyRun || self.pieces.last() != Some(&Piece::AnyRun) {
            self.pieces.push(piece);
        }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text).into()));
        }
    }

    fn finish(mut self) -> Pattern {
        self.flush();
        Pattern { pieces: self.pieces.into() }
    }
}

/// Iterative, with one step back: a mismatch makes the last `*` take more. An earlier `*` never needs another try, so the
/// time is bounded by the product of the lengths, and by their sum where only plain text stands between two `*`.
fn matches(pieces: &[Piece], text: &str, values: &impl Resolve) -> bool {
    let (mut pieces, mut text) = (pieces, text);
    // What follows the last `*`, and the shortest text it has not been tried on yet.
    let mut retry: Option<(&[Piece], &str)> = None;
    loop {
        let matched = match pieces {
            [Piece::AnyRun, behind @ ..] => match behind {
                [] => return true,
                [last @ (Piece::Text(_) | Piece::Variable(_))] => {
                    return last.text(values).is_some_and(|last| text.ends_with(last));
                }
                _ => {
                    retry = Some((behind, text));
                    Some((behind, text))
                }
            },
            [Piece::AnyOne, behind @ ..] => {
                let mut chars = text.chars();
                chars.next().map(|_| (behind, chars.as_str()))
            }
            [piece @ (Piece::Text(_) | Piece::Variable(_)), behind @ ..] => {
                piece.text(values).and_then(|expected| text.strip_prefix(expected)).map(|text| (behind, text))
            }
            [] if text.is_empty() => return true,
            [] => None,
        };
        (pieces, text) = match (matched, retry) {
            (Some(next), _) => next,
            (None, None) => return false,
            (None, Some((behind, tried))) => {
                let mut chars = tried.chars();
                if chars.next().is_none() {
                    return false;
                }
                let mut untried = chars.as_str();
                // A literal text can be searched for instead of being tried at every place.
                if let [Piece::Text(wanted), ..] = behind {
                    match untried.find(&**wanted).and_then(|at| untried.get(at..)) {
                        Some(found) => untried = found,
                        None => return false,
                    }
                }
                retry = Some((behind, untried));
                (behind, untried)
            }
        };
    }
}

/// Splits what follows `${` into the variable's inside and what comes behind its `}`, which a quoted default
/// (`${key, 'a}b'}`) may hold too. None where there is no variable.
fn split_variable(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let closing = text.find(|c| {
        quoted ^= c == '\'';
        c == '}' && !quoted
    });
    let (inside, behind) = text.split_at_checked(closing.or_else(|| text.find('}'))?)?;
    let behind = behind.strip_prefix('}')?;
    (!inside.is_empty()).then_some((inside, behind))
}

#[cfg(test)]
mod tests;
