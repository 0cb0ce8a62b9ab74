//! Wildcards and policy variables, by their definitions.

use super::condition::Facts;

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Itself.
    Char(char),
    /// `?`: any one character.
    AnyOne,
    /// `*`: any number of any characters.
    AnyRun,
}

/// A pattern matches a text.
pub(super) fn is_like(pattern: &[Piece], text: &str) -> bool {
    fn matches(pattern: &[Piece], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([Piece::AnyRun, pattern @ ..], text) => (0..=text.len()).any(|run| matches(pattern, &text[run..])),
            ([_, ..], []) => false,
            ([Piece::AnyOne, pattern @ ..], [_, text @ ..]) => matches(pattern, text),
            ([Piece::Char(c), pattern @ ..], [first, text @ ..]) => c == first && matches(pattern, text),
        }
    }
    matches(pattern, &text.chars().collect::<Vec<char>>())
}

/// A text in which only `*` and `?` mean something.
pub(super) fn plain(text: &str) -> Vec<Piece> {
    text.chars().map(wildcard).collect()
}

/// What a pattern says where no wildcards are known: `*` is an asterisk.
pub(super) fn literally(pattern: &[Piece]) -> String {
    let as_char = |piece: &Piece| match piece {
        Piece::Char(c) => *c,
        Piece::AnyOne => '?',
        Piece::AnyRun => '*',
    };
    pattern.iter().map(as_char).collect()
}

/// A text with its variables replaced. The value of one is taken as it is: there are no wildcards in it. None where a
/// variable has no value. Where the version knows no variables, `${` is text.
pub(super) fn expand(text: &str, facts: &Facts<'_>) -> Option<Vec<Piece>> {
    fn replaced(text: &[char], facts: &Facts<'_>) -> Option<Vec<Piece>> {
        let (mut pieces, rest) = match text {
            [] => return Some(Vec::new()),
            ['$', '{', rest @ ..] => match variable(rest) {
                Some((inside, rest)) => (value(&inside, facts)?.chars().map(Piece::Char).collect(), rest),
                None => (vec![Piece::Char('$'), Piece::Char('{')], rest),
            },
            [c, rest @ ..] => (vec![wildcard(*c)], rest),
        };
        pieces.extend(replaced(rest, facts)?);
        Some(pieces)
    }
    if !facts.has_variables {
        return Some(plain(text));
    }
    replaced(&text.chars().collect::<Vec<char>>(), facts)
}

fn wildcard(c: char) -> Piece {
    match c {
        '*' => Piece::AnyRun,
        '?' => Piece::AnyOne,
        c => Piece::Char(c),
    }
}

/// What stands between `${` and its `}`, and what follows; a `}` between quotes does not close. `${}` and what is never
/// closed are no variables.
fn variable(text: &[char]) -> Option<(String, &[char])> {
    let quotes_before = |at: usize| text[..at].iter().filter(|c| **c == '\'').count();
    let closings: Vec<usize> = (0..text.len()).filter(|at| text[*at] == '}').collect();
    let unquoted = closings.iter().copied().find(|at| quotes_before(*at) % 2 == 0);
    let end = unquoted.or_else(|| closings.first().copied())?;
    (end > 0).then(|| (text[..end].iter().collect(), &text[end + 1..]))
}

/// The value of a variable: `${*}`, `${?}` and `${$}` are these characters; a key that has one value is that value;
/// else it is the default, if there is one (`${key, 'default'}`).
fn value(inside: &str, facts: &Facts<'_>) -> Option<String> {
    if ["*", "?", "$"].contains(&inside) {
        return Some(inside.to_owned());
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => (key.trim(), Some(default.trim())),
        None => (inside, None),
    };
    match facts.values(key).as_deref() {
        Some([only]) => Some(only.clone()),
        _ => default.and_then(|text| text.strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned)),
    }
}
