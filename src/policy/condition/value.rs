//! What does a value mean to the operators that read it as more than text?
//!
//! Follows Amazon's "IAM JSON policy elements: Condition operators"; dates by the W3C note "Date and Time Formats".

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::{IpNet, Ipv4Net};
use time::{Date, Month};

/// An IPv4 or IPv6 address, perhaps with the length of a prefix; bits after the prefix may be set. IPv4 addresses that
/// are written as IPv6 (`::ffff:192.0.2.1`) are IPv4.
pub(in crate::policy) fn ip_range(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => u8::try_from(digits(prefix, 1..=3)?).ok()?,
        None => longest,
    };
    let range = IpNet::new(address, prefix).ok()?.trunc();
    Some(match (range, range.network().to_canonical()) {
        (IpNet::V6(_), IpAddr::V4(mapped)) if prefix >= 96 => Ipv4Net::new(mapped, prefix - 96).ok()?.into(),
        (range, _) => range,
    })
}

/// The address a request comes from.
pub(in crate::policy) fn ip_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Base 64 as RFC 4648 has it, padded and without stray bits: two texts of it are equal where what they encode is.
pub(super) fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

/// The moment of a date in ISO 8601 that has at least a day, in nanoseconds since 1970; read as a condition reads it.
pub(crate) fn date(text: &str) -> Option<i128> {
    const SHORTEST: usize = "2026-01-31".len();
    let moment = iso_date(text).filter(|_| text.len() >= SHORTEST)?;
    Some(moment.seconds * SECOND + moment.nanoseconds)
}

/// A number. Integers stay exact, beyond what a floating-point number could hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    /// One with decimals that are not all zeros or with an exponent, or too long an integer.
    Decimal(f64),
}

// INVARIANT: `Decimal` is finite, so equality is reflexive.
impl Eq for Number {}

impl Number {
    /// Digits with a sign and decimals, and an exponent as JSON numbers may have it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let integer = match text.split_once('.') {
            Some((integer, decimals)) if !decimals.is_empty() && decimals.bytes().all(|b| b == b'0') => integer,
            _ => text,
        };
        if let Ok(integer) = integer.parse() {
            return Some(Self::Integer(integer));
        }
        let is_digit = |b: u8| b.is_ascii_digit();
        let plausible = text.bytes().any(is_digit) && text.bytes().all(|b| is_digit(b) || b"+-.eE".contains(&b));
        plausible.then(|| text.parse().ok())?.filter(|number: &f64| number.is_finite()).map(Self::Decimal)
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => Some(one.cmp(&other)),
            (Self::Decimal(one), Self::Decimal(other)) => one.partial_cmp(&other),
            (Self::Integer(one), Self::Decimal(other)) => Some(compare_mixed(one, other)),
            (Self::Decimal(one), Self::Integer(other)) => Some(compare_mixed(other, one).reverse()),
        }
    }
}

/// Without taking the integer for a floating-point number, which may not be able to hold it.
fn compare_mixed(integer: i128, decimal: f64) -> Ordering {
    let whole = decimal.floor();
    // The ends of the range of integers, the upper one already beyond it.
    if whole >= -(i128::MIN as f64) {
        return Ordering::Less;
    }
    if whole < i128::MIN as f64 {
        return Ordering::Greater;
    }
    match integer.cmp(&(whole as i128)) {
        Ordering::Equal if decimal > whole => Ordering::Less,
        ordering => ordering,
    }
}

/// A moment, in seconds since 1970 and nanoseconds on top; what is finer is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    seconds: i128,
    nanoseconds: i128,
}

const SECOND: i128 = 1_000_000_000;

impl Moment {
    /// A year, month, day or moment in ISO 8601, or seconds since 1970. A shorter form means where it begins, in UTC; four
    /// digits are a year.
    pub(super) fn parse(text: &str) -> Option<Self> {
        iso_date(text).or_else(|| match Number::parse(text)? {
            Number::Integer(seconds) => Some(Self { seconds, nanoseconds: 0 }),
            Number::Decimal(seconds) => {
                // Beyond any date: the conversion keeps it at the end of the range.
                let (whole, fraction) = (seconds.floor(), seconds - seconds.floor());
                Some(Self { seconds: whole as i128, nanoseconds: (fraction * 1e9) as i128 })
            }
        })
    }
}

fn iso_date(text: &str) -> Option<Moment> {
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let mut parts = day.split('-');
    let year = digits(parts.next()?, 4..=4)?;
    let month = parts.next().map(|month| digits(month, 2..=2));
    let day = parts.next().map(|day| digits(day, 2..=2));
    // Each part is given and well-formed, or not given at all.
    let (month_of, day_of) = (month.unwrap_or(Some(1))?, day.unwrap_or(Some(1))?);
    let month_of = Month::try_from(u8::try_from(month_of).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month_of, u8::try_from(day_of).ok()?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let of_day = match time {
        None => 0,
        Some(time) => day.and_then(|_| iso_time(time))?,
    };
    let days = i128::from(date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY);
    let seconds = days * 86_400 + of_day.div_euclid(SECOND);
    Some(Moment { seconds, nanoseconds: of_day.rem_euclid(SECOND) })
}

const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// `hh:mm[:ss[.fraction]]`, then `Z` or an offset, in nanoseconds since midnight in UTC.
fn iso_time(text: &str) -> Option<i128> {
    let (clock, offset) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let (clock, offset) = text.split_at_checked(text.find(['+', '-'])?)?;
            let minutes = hours_and_minutes(offset.get(1..)?)?;
            (clock, if offset.starts_with('+') { minutes } else { -minutes })
        }
    };
    let (minutes, seconds) = match clock.match_indices(':').nth(1) {
        Some((at, _)) => (clock.get(..at)?, Some(clock.get(at + 1..)?)),
        None => (clock, None),
    };
    let mut time = (hours_and_minutes(minutes)? - offset) * 60 * SECOND;
    if let Some(seconds) = seconds {
        let (whole, fraction) = seconds.split_once('.').map_or((seconds, "0"), |(whole, fraction)| (whole, fraction));
        let whole = digits(whole, 2..=2)?;
        if whole > 59 || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        time += i128::from(whole) * SECOND + nanoseconds.fold(0, |sum, b| sum * 10 + i128::from(b - b'0'));
    }
    Some(time)
}

/// In minutes.
fn hours_and_minutes(text: &str) -> Option<i128> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2..=2)?, digits(minutes, 2..=2)?);
    (hours < 24 && minutes < 60).then(|| i128::from(hours * 60 + minutes))
}

/// The number that these ASCII digits write, where there are as many as `count` says (at most 9).
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
    (count.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `true` or `false`, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") { Some(true) } else { text.eq_ignore_ascii_case("false").then_some(false) }
}

/// Six parts, any of them with wildcards; a variable may stand for any of them.
pub(super) fn may_be_arn(text: &str) -> bool {
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
                |text| ip_range(text).is_some(),
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
                |text| Number::parse(text).is_some(),
                &["0", "-1", "+1.5", "1e3", "10"],
                &["many", "", ".", "1,5", "inf", "NaN", "0x10", "1e999"],
            ),
            (
                "date",
                |text| Moment::parse(text).is_some(),
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
            ("bool", |text| boolean(text).is_some(), &["true", "False"], &["yes", "1", ""]),
            (
                "arn",
                may_be_arn,
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
    #[test]
    fn moments_are_the_same_however_they_are_written() {
        for (one, other) in [
            ("2026", "2026-01-01T00:00Z"),
            ("2026-02", "2026-02-01"),
            ("2026-01-31", "2026-01-31T00:00:00.000Z"),
            ("2026-01-31T10:00+02:00", "2026-01-31T08:00:00Z"),
            ("2026-01-31T00:30+01:00", "2026-01-30T23:30Z"),
            ("2026-01-31T23:30-01:00", "2026-02-01T00:30Z"),
            ("1970-01-01", "0"),
            ("1767225600", "2026"),
            ("1767225600.5", "2026-01-01T00:00:00.5Z"),
            ("-1", "1969-12-31T23:59:59Z"),
            ("-0.5", "1969-12-31T23:59:59.5Z"),
            ("2026-01-01T00:00:00.1234567891Z", "2026-01-01T00:00:00.123456789Z"),
        ] {
            assert_eq!(Moment::parse(one), Moment::parse(other), "{one} {other}");
        }
        let rising = [
            "-1e300",
            "-1e30",
            "-1.5",
            "-1",
            "0",
            "2025-12-31T23:59:59.999999999Z",
            "2026",
            "2026-01-01T00:00:00.000000001Z",
            "18446744073709551615",
            "1e30",
            "1e300",
        ];
        for pair in rising.windows(2) {
            assert!(Moment::parse(pair[0]) < Moment::parse(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn dates_are_moments_since_1970() {
        for (text, moment) in [
            ("1970-01-02", Some(86_400 * SECOND)),
            ("1970-01-01T00:00:00.5Z", Some(SECOND / 2)),
            ("1970-01-01T01:00+01:00", Some(0)),
            ("1969-12-31T23:59:59Z", Some(-SECOND)),
            ("1970-01", None),
            ("1970", None),
            ("12345678901", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None),
            ("", None),
        ] {
            assert_eq!(date(text), moment, "{text}");
        }
    }

    #[test]
    fn integers_are_compared_exactly_and_decimals_by_value() {
        assert_eq!(
            ["5.", ".5", "5.0.0", "--5", "5-"].map(|text| Number::parse(text).is_some()),
            [true, true, false, false, false]
        );
        for (one, other, ordering) in [
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("10", "9", Ordering::Greater),
            ("+5", "5", Ordering::Equal),
            ("5.0", "5", Ordering::Equal),
            ("1e3", "1000", Ordering::Equal),
            ("-0", "0", Ordering::Equal),
            ("0.1", "0.10", Ordering::Equal),
            ("-2", "-1.5", Ordering::Less),
            ("-1", "-1.5", Ordering::Greater),
            ("1", "1.5", Ordering::Less),
            ("18446744073709551616", "18446744073709551615", Ordering::Greater),
            ("9007199254740993", "9007199254740992.00", Ordering::Greater),
            ("9007199254740993", "9007199254740992.5e0", Ordering::Greater),
            ("1e300", "170141183460469231731687303715884105727", Ordering::Greater),
            ("-1e300", "-170141183460469231731687303715884105728", Ordering::Less),
        ] {
            let [a, b] = [one, other].map(|text| Number::parse(text).unwrap());
            assert_eq!(a.compare(b), Some(ordering), "{one} {other}");
            assert_eq!(b.compare(a), Some(ordering.reverse()), "{other} {one}");
        }
    }

    #[test]
    fn ranges_lose_their_host_bits_and_mapped_addresses_are_ipv4() {
        for (text, expected) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8:1::/32", "2001:db8::/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:0.0.0.0/95", "::fffe:0:0/95"),
        ] {
            assert_eq!(ip_range(text).map(|range| range.to_string()).as_deref(), Some(expected), "{text}");
        }
    }
}
