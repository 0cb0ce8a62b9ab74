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
        assert_eq!(Pattern::plain(pattern).matches(text, &NoValues), expected, "{pattern} ~ {text}");
    }
}

/// Values by their keys' texts.
struct Given(&'static [(&'static str, &'static str)]);

impl Resolve for Given {
    fn resolve<'v>(&'v self, variable: &'v Variable) -> Option<&'v str> {
        let given = self.0.iter().find(|(key, _)| Key::of(key) == variable.key).map(|(_, value)| *value);
        given.or(variable.default.as_deref())
    }
}

#[test]
fn variables_escapes_and_text_are_told_apart() {
    let (none, present, malformed) = (
        Variables::default(),
        Variables { present: true, malformed: false },
        Variables { present: false, malformed: true },
    );
    let given = Given(&[("aws:username", "al*ce"), ("aws:PrincipalTag/team", ""), ("aws:PrincipalTag/o'b", "1")]);
    for (pattern, variables, matching, other) in [
        ("a${*}", none, "a*", "ab"),
        ("a${?}b", none, "a?b", "axb"),
        ("${$}{x}", none, "${x}", "x"),
        ("home/${aws:username}/*", present, "home/al*ce/x", "home/alice/x"),
        ("${AWS:UserName}", present, "al*ce", "alxce"),
        ("*${aws:username}", present, "xal*ce", "xal*cex"),
        ("*${aws:username}?", present, "al*ceal*ce!", "al*ce"),
        ("${aws:username, 'x'}", present, "al*ce", "x"),
        ("${aws:userid, 'a}b'}!", present, "a}b!", "!"),
        ("${aws:userid,'x*'}", present, "x*", "xy"),
        ("a${aws:PrincipalTag/team}b", present, "ab", "axb"),
        ("a${", malformed, "a${", "a"),
        ("a${}b", malformed, "a${}b", "ab"),
        ("a${aws:username", malformed, "a${aws:username", "aalice"),
        ("$a$", none, "$a$", "a"),
        ("${aws:username,'x'}", present, "al*ce", "x"),
        ("${aws:userid, ''}!", present, "!", "x!"),
        ("${aws:PrincipalTag/o'b}-${aws:username}", present, "1-al*ce", "1"),
        ("${aws:username, x}", malformed, "${aws:username, x}", "al*ce"),
        ("${aws:username, 'x}", malformed, "${aws:username, 'x}", "al*ce"),
        ("${${aws:username}}", Variables { present: true, malformed: true }, "${al*ce}", "al*ce"),
        (
            "${aws:userid, 'x ${aws:username}",
            Variables { present: true, malformed: true },
            "${aws:userid, 'x al*ce",
            "x",
        ),
    ] {
        let (compiled, found) = Pattern::compile(pattern, Version::V2012, Wildcards::Match);
        assert_eq!(found, variables, "{pattern}");
        assert!(compiled.matches(matching, &given), "{pattern} ~ {matching}");
        assert!(!compiled.matches(other, &given), "{pattern} !~ {other}");
    }
    for pattern in ["${aws:userid}", "*${aws:userid}*", "${aws:PrincipalTag/Team}"] {
        let (compiled, _) = Pattern::compile(pattern, Version::V2012, Wildcards::Match);
        for text in ["", pattern, "x"] {
            assert!(!compiled.matches(text, &given), "without a value nothing is like {pattern}, not {text}");
        }
        let (text, found) = Pattern::compile(pattern, Version::V2008, Wildcards::StandForThemselves);
        assert_eq!((text.literal(), found), (Some(pattern), none), "2008-10-17 has no variables");
    }
}

#[test]
fn a_text_of_nothing_but_beginnings_is_read_in_one_pass() {
    // Of quadratic time the test would not see the end.
    for part in ["${", "${a,'", "${,"] {
        let (pattern, variables) = Pattern::compile(&part.repeat(500_000), Version::V2012, Wildcards::Match);
        assert!(variables.malformed && !variables.present, "{part}");
        assert!(pattern.is_fixed(), "{part}");
    }
}

#[test]
fn a_pattern_is_split_at_its_own_colons() {
    let split = |text| Pattern::compile(text, Version::V2012, Wildcards::Match).0.split::<3>();
    let parts = |texts: [&str; 3]| Some(texts.map(|text| Pattern::compile(text, Version::V2012, Wildcards::Match).0));
    assert_eq!(split("a:b:c"), parts(["a", "b", "c"]));
    assert_eq!(split("::"), parts(["", "", ""]));
    assert_eq!(split("a*:?b:c:d:*"), parts(["a*", "?b", "c:d:*"]));
    assert_eq!(split("a:${aws:username}x:c"), parts(["a", "${aws:username}x", "c"]));
    assert_eq!(split("a:b"), None);
    assert_eq!(split("*"), None);
}

#[test]
fn a_contrived_pattern_takes_no_exponential_time() {
    let pattern = Pattern::plain(&format!("{}b", "a*".repeat(500)));
    assert!(!pattern.matches(&"a".repeat(1024), &NoValues));
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
    fn matching_is_what_its_definition_says(pattern in "[abü*?]{0,8}", text in "[abü]{0,10}") {
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(Pattern::plain(&pattern).matches(&text, &NoValues), by_definition(&p, &t));
        let prefixed = Pattern::plain(&format!("pre{pattern}"));
        let text = format!("pre{text}");
        if text.starts_with(prefixed.prefix()) {
            prop_assert_eq!(prefixed.matches_behind_prefix(&text, &NoValues), by_definition(&p, &t));
        }
    }
}
