//! Does a text match a pattern with `*` and `?`?
//!
//! Follows Amazon's "IAM JSON policy elements: Resource" (wildcards) and "… Variables and tags".

/// A compiled pattern: `*` matches any run of characters, `/` included, `?` exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What a match must begin with; the whole of it where `rest` is empty.
    prefix: String,
    rest: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    AnyOne,
    AnyRun,
}

/// What a text says of policy variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    /// There is one to expand.
    pub(super) present: bool,
    /// There is a `${` that is no variable, and stands for itself.
    pub(super) malformed: bool,
}

impl Pattern {
    /// A pattern of wildcards only; `${` stands for itself.
    pub(super) fn plain(text: &str) -> Self {
        Self::compile(text.chars().map(wildcard))
    }

    /// A pattern with policy variables. `${*}`, `${?}` and `${$}` are the characters themselves; any other variable
    /// matches whatever it might stand for, as `*` does, and [`Variables`] says that there is one.
    pub(super) fn with_variables(text: &str) -> (Self, Variables) {
        let mut variables = Variables::default();
        let mut tokens = Vec::new();
        let mut rest = text;
        loop {
            let (before, after) = rest.split_once("${").map_or((rest, None), |(before, after)| (before, Some(after)));
            tokens.extend(before.chars().map(wildcard));
            let Some(after) = after else { break };
            match split_variable(after) {
                Some((name, behind)) => {
                    match name {
                        "*" => tokens.push(Token::Char('*')),
                        "?" => tokens.push(Token::Char('?')),
                        "$" => tokens.push(Token::Char('$')),
                        _ => {
                            variables.present = true;
                            tokens.push(Token::AnyRun);
                        }
                    }
                    rest = behind;
                }
                None => {
                    variables.malformed = true;
                    tokens.extend([Token::Char('$'), Token::Char('{')]);
                    rest = after;
                }
            }
        }
        (Self::compile(tokens), variables)
    }

    fn compile(tokens: impl IntoIterator<Item = Token>) -> Self {
        let mut pattern = Self { prefix: String::new(), rest: Vec::new() };
        for token in tokens {
            match (token, pattern.rest.last()) {
                (Token::Char(c), None) => pattern.prefix.push(c),
                (Token::AnyRun, Some(Token::AnyRun)) => {}
                _ => pattern.rest.push(token),
            }
        }
        pattern
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        text.strip_prefix(self.prefix.as_str()).is_some_and(|text| self.rest_matches(text.chars(), |c| c))
    }

    /// The same without regard to the case of ASCII letters.
    pub(super) fn matches_ignoring_case(&self, text: &str) -> bool {
        text.split_at_checked(self.prefix.len()).is_some_and(|(start, text)| {
            start.eq_ignore_ascii_case(&self.prefix) && self.rest_matches(text.chars(), |c| c.to_ascii_lowercase())
        })
    }

    /// Iterative, with one step back: a mismatch makes the last `*` take one character more. An earlier `*` never needs
    /// another try, so time is bounded by the product of the lengths, and near linear on anything but a contrived text.
    fn rest_matches(&self, text: std::str::Chars<'_>, fold: fn(char) -> char) -> bool {
        let mut text = text;
        let mut tokens = self.rest.iter();
        let mut retry = None;
        loop {
            let before = text.clone();
            match (tokens.next(), text.next()) {
                (Some(Token::AnyRun), _) => {
                    if tokens.as_slice().is_empty() {
                        return true;
                    }
                    text = before;
                    retry = Some((tokens.clone(), text.clone()));
                }
                (None, None) => return true,
                (Some(Token::AnyOne), Some(_)) => {}
                (Some(Token::Char(expected)), Some(found)) if fold(*expected) == fold(found) => {}
                // The text ended before the pattern: giving more of it to a `*` cannot help.
                (Some(_), None) => return false,
                (Some(_) | None, Some(_)) => {
                    let Some((after_run, mut run)) = retry.take() else { return false };
                    run.next();
                    tokens = after_run.clone();
                    text = run.clone();
                    retry = Some((after_run, run));
                }
            }
        }
    }
}

fn wildcard(c: char) -> Token {
    match c {
        '*' => Token::AnyRun,
        '?' => Token::AnyOne,
        c => Token::Char(c),
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
    let (name, behind) = text.split_at_checked(closing.or_else(|| text.find('}'))?)?;
    let behind = behind.strip_prefix('}')?;
    (!name.is_empty()).then_some((name, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_match_as_amazon_says() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abc", "aBc", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?", "aü", true),
            ("a??", "aü", false),
            ("*.jpg", "x.jpg.jpg", true),
            ("**a**", "bab", true),
            ("a*b*c*d", "a1b2c3d", true),
            ("a*b*c*d", "a1c2b3d", false),
            ("${*}", "${x}", true),
            ("*?", "", false),
            ("*?", "xy", true),
        ] {
            assert_eq!(Pattern::plain(pattern).matches(text), expected, "{pattern} ~ {text}");
        }
    }

    #[test]
    fn variables_are_told_from_escapes_and_from_text() {
        let (none, present, malformed) = (
            Variables::default(),
            Variables { present: true, malformed: false },
            Variables { present: false, malformed: true },
        );
        for (pattern, variables, matching, other) in [
            ("a${*}", none, "a*", "ab"),
            ("a${?}b", none, "a?b", "axb"),
            ("${$}{x}", none, "${x}", "x"),
            ("home/${aws:username}/*", present, "home/alice/x", "home/alice"),
            ("${aws:username, 'a}b'}!", present, "x!", "x"),
            ("a${", malformed, "a${", "a"),
            ("a${}b", malformed, "a${}b", "ab"),
            ("a${aws:username", malformed, "a${aws:username", "aalice"),
            ("$a$", none, "$a$", "a"),
        ] {
            let (compiled, found) = Pattern::with_variables(pattern);
            assert_eq!(found, variables, "{pattern}");
            assert!(compiled.matches(matching), "{pattern} ~ {matching}");
            assert!(!compiled.matches(other), "{pattern} !~ {other}");
        }
    }

    #[test]
    fn a_contrived_pattern_takes_no_exponential_time() {
        let pattern = Pattern::plain(&format!("{}b", "a*".repeat(500)));
        assert!(!pattern.matches(&"a".repeat(1024)));
    }

    /// The definition, written down as it is.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', pattern @ ..], _) => (0..=text.len()).any(|run| by_definition(pattern, &text[run..])),
            (['?', pattern @ ..], [_, text @ ..]) => by_definition(pattern, text),
            ([p, pattern @ ..], [t, text @ ..]) => p == t && by_definition(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_its_definition_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Pattern::plain(&pattern).matches(&text), by_definition(&p, &t));
            let upper = text.to_ascii_uppercase();
            prop_assert_eq!(Pattern::plain(&pattern).matches_ignoring_case(&upper), by_definition(&p, &t));
        }
    }
}
