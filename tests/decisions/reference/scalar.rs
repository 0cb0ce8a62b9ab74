//! Numbers, dates and addresses, read the long way round.

use std::cmp::Ordering;
use std::net::IpAddr;

/// A decimal number, exactly: `digits` times ten to the `exponent`.
#[derive(Clone, Debug)]
pub(super) struct Number {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Number {
    /// A sign perhaps, digits, perhaps with a point among them, perhaps an exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, signed(exponent)?),
            None => (text, 0),
        };
        let (negative, unsigned) = sign(mantissa);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{decimals}");
        let exponent = exponent - i32::try_from(decimals.len()).ok()?;
        is_digits(&digits).then_some(Self { negative, digits, exponent })
    }

    /// The one with the larger exponent is written out until both have the same; then these are integers, of which the
    /// longer is the greater.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        let integer = |number: &Self| {
            let zeros = "0".repeat(usize::try_from(number.exponent - exponent).unwrap());
            let written = format!("{}{zeros}", number.digits);
            written.trim_start_matches('0').to_owned()
        };
        let (left, right) = (integer(self), integer(other));
        let by_size = left.len().cmp(&right.len()).then(left.cmp(&right));
        match (self.negative && !left.is_empty(), other.negative && !right.is_empty()) {
            (false, false) => by_size,
            (true, true) => by_size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    fn times_ten_to_the(self, power: i32) -> Self {
        Self { exponent: self.exponent + power, ..self }
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A small integer with a sign perhaps.
fn signed(text: &str) -> Option<i32> {
    let (negative, digits) = sign(text);
    let size: i32 = is_digits(digits).then(|| digits.parse().ok())??;
    // More than a double holds is no number.
    (size < 300).then_some(if negative { -size } else { size })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// A moment, in nanoseconds since 1970 began. Four digits are a year; any other number is seconds; the rest is a day or
/// a moment as the W3C's note on ISO 8601 has it, and what is left out is the beginning.
pub(super) fn date(text: &str) -> Option<Number> {
    if !(text.len() == 4 && is_digits(text))
        && let Some(seconds) = Number::parse(text)
    {
        return Some(seconds.times_ten_to_the(9));
    }
    let (day, time) = match text.split_once('T') {
        Some((day, time)) if day.len() == "2026-01-31".len() => (day, time),
        Some(_) => return None,
        None => (text, "00:00Z"),
    };
    let nanoseconds = i128::from(days_since_1970(day)?) * 86_400_000_000_000 + nanoseconds_of_day(time)?;
    Number::parse(&nanoseconds.to_string())
}

/// `2026`, `2026-01` or `2026-01-31`.
fn days_since_1970(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split('-').collect();
    let part = |index: usize, length: usize| match parts.get(index) {
        Some(digits) if digits.len() == length && is_digits(digits) => digits.parse::<i64>().ok(),
        Some(_) => None,
        None => Some(1),
    };
    let (year, month, day) = (part(0, 4)?, part(1, 2)?, part(2, 2)?);
    if parts.len() > 3 || !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let years: i64 =
        if year < 1970 { -(year..1970).map(days_of_year).sum::<i64>() } else { (1970..year).map(days_of_year).sum() };
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    Some(years + months + day - 1)
}

fn days_of_year(year: i64) -> i64 {
    (1..=12).map(|month| days_of_month(year, month)).sum()
}

/// Thirty days has September, April, June and November.
fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// `10:00Z`, `10:00:00Z` or `10:00:00.5+02:00`, counted in UTC.
fn nanoseconds_of_day(text: &str) -> Option<i128> {
    let zone_at = text.find(['Z', '+', '-'])?;
    let (clock, zone) = text.split_at(zone_at);
    let offset = match zone.split_at(1) {
        ("Z", "") => 0,
        ("+", ahead) => minutes(ahead)?,
        ("-", behind) => -minutes(behind)?,
        _ => return None,
    };
    let (to_the_minute, seconds) = match clock.len() {
        5 => (clock, "00"),
        _ => (clock.get(..5)?, clock.get(5..)?.strip_prefix(':')?),
    };
    let (whole, fraction) = match seconds.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (seconds, "0"),
    };
    let seconds = i128::from(minutes(to_the_minute)? - offset) * 60 + i128::from(below(60, whole)?);
    let nanoseconds: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(seconds * 1_000_000_000 + nanoseconds)
}

/// `10:30` as minutes.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    Some(below(24, hours)? * 60 + below(60, minutes)?)
}

/// Two digits that write a number below `limit`.
fn below(limit: i64, text: &str) -> Option<i64> {
    let number: i64 = (text.len() == 2 && is_digits(text)).then(|| text.parse().ok())??;
    (number < limit).then_some(number)
}

/// An address is in a network if both are of one family and it begins with the network's bits. One alone is a network
/// of itself. What is IPv4 written as IPv6 is IPv4.
pub(super) fn is_in_network(address: &str, network: &str) -> bool {
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base, length.parse().ok()),
        None => (network, None),
    };
    let (Some((family, bits)), Some((base_family, base_bits))) = (bits(address), bits(base)) else { return false };
    let prefix = base_bits.get(..length.unwrap_or(base_bits.len())).unwrap();
    let (family, bits) = unmapped(family, &bits);
    let (base_family, prefix) = unmapped(base_family, prefix);
    family == base_family && bits.starts_with(prefix)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// An address as 32 or 128 zeros and ones.
fn bits(text: &str) -> Option<(Family, String)> {
    Some(match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (Family::V4, format!("{:032b}", address.to_bits())),
        IpAddr::V6(address) => (Family::V6, format!("{:0128b}", address.to_bits())),
    })
}

/// `::ffff:10.0.0.1` is `10.0.0.1`.
fn unmapped(family: Family, bits: &str) -> (Family, &str) {
    let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
    match bits.strip_prefix(mapped.as_str()) {
        Some(rest) if family == Family::V6 => (Family::V4, rest),
        _ => (family, bits),
    }
}
