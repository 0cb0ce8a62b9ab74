//! When a request was signed, and the credential scope: which key, on which day, for which region.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime, Time};

use super::Kind;
use super::header::pieces;
use crate::auth::error::{AuthError, CredentialFault};
use crate::auth::identity::AccessKeyId;

/// The service every signature is for.
pub(super) const SERVICE: &str = "s3";
/// What ends every scope.
pub(super) const TERMINAL: &str = "aws4_request";

/// A moment, to the second, in the form that is signed: `20130524T000000Z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    seconds: i64,
    /// Of ASCII alone.
    text: [u8; 16],
}

impl Timestamp {
    /// Reads `yyyyMMdd'T'HHmmss'Z'`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let date = parse_date(text.get(..8)?)?;
        if text.len() != 16 || text.get(8..9)? != "T" || text.get(15..)? != "Z" {
            return None;
        }
        let part = |range| number(text, range).and_then(|n| u8::try_from(n).ok());
        let time = Time::from_hms(part(9..11)?, part(11..13)?, part(13..15)?).ok()?;
        let seconds = date.with_time(time).assume_utc().unix_timestamp();
        Some(Self { seconds, text: text.as_bytes().try_into().ok()? })
    }

    /// Reads the form of the `Date` header, `Fri, 24 May 2013 00:00:00 GMT`; `None` for anything else.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        Self::from_unix(seconds_since_epoch(httpdate::parse_http_date(text).ok()?))
    }

    /// The moment `seconds` after the epoch; `None` outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let moment = OffsetDateTime::from_unix_timestamp(seconds).ok().filter(|m| (0..=9999).contains(&m.year()))?;
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        let year = u16::try_from(year).ok()?;
        let [c, y] = [year / 100, year % 100].map(|part| digits(u8::try_from(part).unwrap_or_default()));
        let [mo, d, h, mi, s] = [u8::from(month), day, hour, minute, second].map(digits);
        let text = [c[0], c[1], y[0], y[1], mo[0], mo[1], d[0], d[1], b'T', h[0], h[1], mi[0], mi[1], s[0], s[1], b'Z'];
        Some(Self { seconds, text })
    }

    /// The second of this moment; `None` as of [`from_unix`](Self::from_unix).
    #[cfg(feature = "proxy")]
    pub(crate) fn at(moment: SystemTime) -> Option<Self> {
        Self::from_unix(seconds_since_epoch(moment))
    }

    /// As it is signed: sixteen characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The day, `20130524`.
    pub fn date(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    /// Seconds since the epoch.
    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A `Credential`: `AKID/20130524/us-east-1/s3/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    access_key_id: AccessKeyId,
    date: String,
    region: String,
}

impl Scope {
    /// Reads a `Credential`, percent-decoded where it came in a query.
    ///
    /// # Errors
    /// [`AuthError::Credential`], naming the part that is wrong.
    pub fn parse(credential: &str, kind: Kind) -> Result<Self, AuthError> {
        let wrong = |fault| Err(AuthError::Credential { kind, fault });
        let mut parts = pieces(credential, b'/');
        let (Some(key), Some(date), Some(region), Some(service), Some(terminal), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return wrong(CredentialFault::Form(credential.to_owned()));
        };
        if key.is_empty() {
            return wrong(CredentialFault::NoAccessKey);
        }
        if parse_date(date).is_none() {
            return wrong(CredentialFault::Date(date.to_owned()));
        }
        if region.is_empty() {
            return wrong(CredentialFault::NoRegion);
        }
        if service != SERVICE {
            return wrong(CredentialFault::Service(service.to_owned()));
        }
        if terminal != TERMINAL {
            return wrong(CredentialFault::Terminal(terminal.to_owned()));
        }
        Ok(Self { access_key_id: AccessKeyId::new(key), date: date.to_owned(), region: region.to_owned() })
    }

    /// The scope of a signature of ours at that moment.
    #[cfg(feature = "proxy")]
    pub(crate) fn of(access_key_id: &AccessKeyId, moment: &Timestamp, region: &str) -> Self {
        Self { access_key_id: access_key_id.clone(), date: moment.date().to_owned(), region: region.to_owned() }
    }

    /// Whose key it is said to be.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The day the signing key is for, `20130524`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The region the signing key is for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The scope without the key, as it is signed: `20130524/us-east-1/s3/aws4_request`.
    pub fn signed_form(&self) -> String {
        format!("{}/{}/{SERVICE}/{TERMINAL}", self.date, self.region)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{SERVICE}/{TERMINAL}", self.access_key_id, self.date, self.region)
    }
}

/// Whole seconds between the epoch and `moment`, rounded down; negative before the epoch.
pub(super) fn seconds_since_epoch(moment: SystemTime) -> i64 {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before: Duration = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            -whole.saturating_add(i64::from(before.subsec_nanos() > 0))
        }
    }
}

/// `2013-05-24T00:00:00Z`, as S3 gives its own clock in errors; empty outside the years 0 to 9999.
pub(super) fn long_form(seconds: i64) -> String {
    Timestamp::from_unix(seconds).map_or_else(String::new, |moment| {
        let part = |range: Range<usize>| moment.as_str().get(range).unwrap_or_default();
        format!("{}-{}-{}T{}:{}:{}Z", part(0..4), part(4..6), part(6..8), part(9..11), part(11..13), part(13..15))
    })
}

/// A number below a hundred.
fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

fn parse_date(text: &str) -> Option<Date> {
    if text.len() != 8 {
        return None;
    }
    let month = u8::try_from(number(text, 4..6)?).ok()?;
    let day = u8::try_from(number(text, 6..8)?).ok()?;
    Date::from_calendar_date(i32::from(number(text, 0..4)?), Month::try_from(month).ok()?, day).ok()
}

fn number(text: &str, range: Range<usize>) -> Option<u16> {
    text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_sixteen_characters_naming_a_second_that_exists() {
        let rows = [
            ("20130524T000000Z", Some(1_369_353_600)),
            ("19700101T000000Z", Some(0)),
            ("19691231T235959Z", Some(-1)),
            ("20240229T235959Z", Some(1_709_251_199)),
            ("20230229T000000Z", None),
            ("20130524T240000Z", None),
            ("20130524T000060Z", None),
            ("20130524T000000", None),
            ("20130524T000000z", None),
            ("20130524 000000Z", None),
            ("+0130524T000000Z", None),
            ("2013-05-24T00:00:00Z", None),
            ("2013052éT00000Z", None),
            ("", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(Timestamp::parse(text).map(|t| t.unix_seconds()), seconds, "{text}");
        }
    }

    #[test]
    fn the_date_header_reads_as_the_same_moment() {
        let moment = Timestamp::parse_http_date("Fri, 24 May 2013 00:00:00 GMT").unwrap();
        assert_eq!((moment.as_str(), moment.date()), ("20130524T000000Z", "20130524"));
        assert_eq!(long_form(moment.unix_seconds()), "2013-05-24T00:00:00Z");
    }

    #[test]
    fn moments_before_the_epoch_round_down() {
        assert_eq!(seconds_since_epoch(UNIX_EPOCH - Duration::from_millis(1500)), -2);
        assert_eq!(seconds_since_epoch(UNIX_EPOCH + Duration::from_millis(1500)), 1);
    }

    #[test]
    fn a_scope_prints_as_it_was_read() {
        let text = "AKID/20130524/us-east-1/s3/aws4_request";
        let scope = Scope::parse(text, Kind::Header).unwrap();
        assert_eq!(scope.to_string(), text);
        assert_eq!(scope.signed_form(), "20130524/us-east-1/s3/aws4_request");
    }
}
