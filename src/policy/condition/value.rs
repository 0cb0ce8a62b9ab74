//! Can a condition value of this form ever match?
//!
//! Follows Amazon's "IAM JSON policy elements: Condition operators"; dates by the W3C note "Date and Time Formats".

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::{Date, Month};

/// An IPv4 or IPv6 address, perhaps with the length of a prefix; bits after the prefix may be set.
pub(super) fn is_ip_range(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| digits(prefix, 1..=3).is_some_and(|length| length <= longest))
}

pub(super) fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

/// Digits with a sign and decimals, and an exponent as JSON numbers may have it.
pub(super) fn is_number(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit();
    text.bytes().any(is_digit)
        && text.bytes().all(|b| is_digit(b) || b"+-.eE".contains(&b))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A year, month, day or moment in ISO 8601, or seconds since 1970.
pub(super) fn is_date(text: &str) -> bool {
    is_number(text) || iso_date(text).is_some()
}

fn iso_date(text: &str) -> Option<()> {
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let mut parts = day.split('-');
    let year = digits(parts.next()?, 4..=4)?;
    let month = parts.next().map(|month| digits(month, 2..=2));
    let day = parts.next().map(|day| digits(day, 2..=2));
    // Each part is given and well-formed, or not given at all.
    let (month_of, day_of) = (month.unwrap_or(Some(1))?, day.unwrap_or(Some(1))?);
    let month_of = Month::try_from(u8::try_from(month_of).ok()?).ok()?;
    Date::from_calendar_date(i32::try_from(year).ok()?, month_of, u8::try_from(day_of).ok()?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    match time {
        None => Some(()),
        Some(time) => day.and_then(|_| iso_time(time)),
    }
}

/// `hh:mm[:ss[.fraction]]`, then `Z` or an offset.
fn iso_time(text: &str) -> Option<()> {
    let clock = match text.strip_suffix('Z') {
        Some(clock) => clock,
        None => {
            let (clock, offset) = text.split_at_checked(text.find(['+', '-'])?)?;
            hours_and_minutes(offset.get(1..)?)?;
            clock
        }
    };
    let (minutes, seconds) = match clock.match_indices(':').nth(1) {
        Some((at, _)) => (clock.get(..at)?, Some(clock.get(at + 1..)?)),
        None => (clock, None),
    };
    hours_and_minutes(minutes)?;
    if let Some(seconds) = seconds {
        let (whole, fraction) = seconds.split_once('.').map_or((seconds, "0"), |(whole, fraction)| (whole, fraction));
        if digits(whole, 2..=2)? > 59 || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    Some(())
}

fn hours_and_minutes(text: &str) -> Option<()> {
    let (hours, minutes) = text.split_once(':')?;
    (digits(hours, 2..=2)? < 24 && digits(minutes, 2..=2)? < 60).then_some(())
}

/// The number that these ASCII digits write, where there are as many as `count` says (at most 9).
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
    (count.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

pub(super) fn is_bool(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

/// Six parts, any of them with wildcards; a variable may stand for any of them.
pub(super) fn is_arn(text: &str) -> bool {
    text == "*" || text.contains("${") || text.starts_with("arn:") && text.bytes().filter(|b| *b == b':').count() >= 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_can_match_are_told_from_those_that_cannot() {
        type Row<'a> = (&'a str, fn(&str) -> bool, &'a [&'a str], &'a [&'a str]);
        let rows: &[Row<'_>] = &[
            (
                "ip",
                is_ip_range,
                &["10.0.0.1", "10.0.0.7/8", "0.0.0.0/0", "2001:db8::/32", "::1", "fe80::1/128", "::ffff:10.0.0.1"],
                &[
                    "192.168.100",
                    "256.1.1.1",
                    "10.0.0.0/33",
                    "fe80::/129",
                    "home",
                    "10.0.0.1-9",
                    "10.0.0.0/",
                    "10.0.0.0/+8",
                    "",
                    "/8",
                    "10.0.0.0/8/8",
                    "fe80::1%eth0",
                ],
            ),
            ("base64", is_base64, &["", "QUJD", "QQ=="], &["%%%", "QQ", "Q Q="]),
            (
                "number",
                is_number,
                &["0", "-1", "+1.5", "1e3", "10"],
                &["many", "", ".", "1,5", "inf", "NaN", "0x10", "1e999"],
            ),
            (
                "date",
                is_date,
                &[
                    "2026",
                    "2026-01",
                    "2026-01-31",
                    "2024-02-29",
                    "2026-01-31T10:00Z",
                    "2026-01-31T10:00:00Z",
                    "2026-01-31T10:00:00.5+02:00",
                    "1767225600",
                    "-1",
                ],
                &[
                    "",
                    "yesterday",
                    "2026-13",
                    "2026-1-1",
                    "2026-02-30",
                    "2026-01T10:00Z",
                    "2026-01-31T10:00",
                    "2026-01-31T24:00Z",
                    "2026-01-31T10:00:60Z",
                    "2026-01-31T10:00:00.Z",
                    "2026-01-31 10:00Z",
                    "2026-01-31T10:00+2",
                ],
            ),
            ("bool", is_bool, &["true", "False"], &["yes", "1", ""]),
            (
                "arn",
                is_arn,
                &["arn:aws:s3:::b", "arn:aws:iam::*:role/x", "*", "${aws:PrincipalArn}"],
                &["b", "arn:aws:s3", ""],
            ),
        ];
        for (name, test, good, bad) in rows {
            for text in *good {
                assert!(test(text), "{name}: {text} can match");
            }
            for text in *bad {
                assert!(!test(text), "{name}: {text} cannot match");
            }
        }
    }
}
