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
        let mut reader = VariableReader::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            pieces.text(before, wildcards);
            rest = match reader.read(after) {
                Some((Inside::Character(c), behind)) => {
                    pieces.literal(c);
                    behind
                }
                Some((Inside::Variable(variable), behind)) => {
                    variables.present = true;
                    pieces.push(Piece::Variable(variable));
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

    /// The keys that its variables name.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(&variable.key),
            Piece::Text(_) | Piece::AnyOne | Piece::AnyRun => None,
        })
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

    /// The pattern with its variables' values in it; none where one has no value, or where no text of `longest` bytes or
    /// less could match any more.
    pub(super) fn resolved(&self, values: &impl Resolve, longest: usize) -> Option<Self> {
        let mut resolved = Pieces::default();
        let mut left = longest;
        for piece in &self.pieces {
            match piece {
                Piece::Text(_) | Piece::Variable(_) => {
                    let text = piece.text(values)?;
                    left = left.checked_sub(text.len())?;
                    resolved.literal(text);
                }
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

/// What stands between `${` and `}`.
enum Inside<'t> {
    /// One that would mean something else without.
    Character(&'t str),
    Variable(Variable),
}

/// Reads variables from left to right.
struct VariableReader {
    /// There may be a `'}` yet. Once there is none, there is none further on, and nobody looks again.
    a_default_may_end: bool,
}

impl Default for VariableReader {
    fn default() -> Self {
        Self { a_default_may_end: true }
    }
}

impl VariableReader {
    /// Reads what follows `${`, up to its `}`: a character, a key, or a key and a default, `key, 'default'`, which may hold
    /// braces. None where there is no such thing.
    fn read<'t>(&mut self, text: &'t str) -> Option<(Inside<'t>, &'t str)> {
        for c in ["*", "?", "$"] {
            if let Some(behind) = text.strip_prefix(c).and_then(|text| text.strip_prefix('}')) {
                return Some((Inside::Character(c), behind));
            }
        }
        // No key has a dollar or a brace, so that a text of nothing but beginnings is not read to its end time and again.
        let (key, behind) = text.split_at_checked(text.find([',', '}', '$', '{'])?)?;
        let (default, behind) = match behind.strip_prefix(',') {
            Some(default) if self.a_default_may_end => {
                let default = default.trim_start().strip_prefix('\'')?;
                let split = default.split_once("'}");
                self.a_default_may_end = split.is_some();
                split.map(|(default, behind)| (Some(default), behind))?
            }
            Some(_) => return None,
            None => (None, behind.strip_prefix('}')?),
        };
        let key = key.trim();
        let variable = || Variable { key: Key::of(key), default: default.map(Box::from) };
        (!key.is_empty()).then(|| (Inside::Variable(variable()), behind))
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
/// time is bounded by the product of the lengths, those of the variables' values included, and by their sum where only plain
/// text stands between two `*`.
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

#[cfg(test)]
mod tests;
