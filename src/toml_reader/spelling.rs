//! Which known key was an unknown one meant to be?

/// The known key that `unknown` was probably meant to be.
pub(super) fn closest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['_', '-'], "");
    let unknown = plain(unknown);
    let misspelt = known
        .iter()
        .map(|key| (edits(&unknown, &plain(key)), *key))
        .filter(|(edits, key)| *edits <= 1 + key.len().min(unknown.len()) / 4)
        .min_by_key(|(edits, _)| *edits);
    let cut_short = || {
        let related =
            |key: &&&str| unknown.len() >= 4 && (plain(key).contains(&unknown) || unknown.contains(&plain(key)));
        known.iter().filter(related).map(|key| (key.len().abs_diff(unknown.len()), *key)).min_by_key(|(gap, _)| *gap)
    };
    misspelt.or_else(cut_short).map(|(_, key)| key)
}

/// How many characters must be put in, taken out or replaced to make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        for ((to, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != *to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_recognised() {
        let known = ["endpoint", "endpoints", "region", "connect_timeout", "response_header_timeout", "id"];
        for (unknown, expected) in [
            ("time_out", Some("connect_timeout")),
            ("endpiont", Some("endpoint")),
            ("Region", Some("region")),
            ("connecttimeout", Some("connect_timeout")),
            ("header_timeout", Some("response_header_timeout")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(closest(unknown, &known), expected, "{unknown}");
        }
    }
}
