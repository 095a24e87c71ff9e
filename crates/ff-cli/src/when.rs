//! Spans and times, as people write and read them.

use flowfabric::ff_core::limits::{SPAN_MS_MAX, TIMESTAMP_MS_MAX};
use flowfabric::ff_core::policy::When;
use flowfabric::ff_core::time::TimestampMs;
use jiff::Timestamp;

use crate::text::span;

/// The units of a span in milliseconds, longest name first.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
];

/// What a span looks like, for messages.
const SPAN_FORM: &str = "a span is 90s, 5m, 2h, 7d, 1h30m or a number of milliseconds";

/// Reads a span: `90s`, `1h30m`, or milliseconds.
pub(crate) fn parse_span(text: &str) -> Result<u64, String> {
    let ms = if let Ok(ms) = text.parse::<u64>() { Some(ms) } else { sum(text) };
    match ms {
        Some(ms) if ms <= SPAN_MS_MAX => Ok(ms),
        Some(_) => Err("a span is 10 years at most".to_owned()),
        None => Err(SPAN_FORM.to_owned()),
    }
}

fn sum(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == &unit[..end])?;
        total = Some(u64::checked_add(total.unwrap_or(0), count.checked_mul(*ms)?)?);
        rest = unit[end..].trim_start();
    }
    total
}

/// Reads a span from now, or a time: RFC 3339, or milliseconds since 1970. A bare number is a span
/// up to ten years, and a time beyond.
pub(crate) fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(number) = text.parse::<u64>() {
        return match number {
            ..=SPAN_MS_MAX => Ok(When::After(number)),
            number if number <= TIMESTAMP_MS_MAX => Ok(When::At(TimestampMs::from_millis(number))),
            _ => Err("that time is too far away".to_owned()),
        };
    }
    if let Some(ms) = sum(text) {
        return parse_span(&ms.to_string()).map(When::After);
    }
    let at = text.parse::<Timestamp>().map_err(|_| {
        format!("{SPAN_FORM}; a time is 2030-01-31T09:00:00Z or milliseconds since 1970")
    })?;
    let ms = u64::try_from(at.as_millisecond()).map_err(|_| "that time is past".to_owned())?;
    Ok(When::At(TimestampMs::from_millis(ms)))
}

/// Writes a time in UTC, to the second.
pub(crate) fn at(time: TimestampMs) -> String {
    written(time, "%Y-%m-%d %H:%M:%SZ")
}

/// Writes the time of day in UTC, to the millisecond.
pub(crate) fn time_of_day(time: TimestampMs) -> String {
    written(time, "%H:%M:%S%.3f")
}

/// Writes a time and how far it is from now.
pub(crate) fn at_from(time: TimestampMs, now: TimestampMs) -> String {
    format!("{}  {}", at(time), crate::out::dim(from(time, now)))
}

/// Writes how far a time is from now.
pub(crate) fn from(time: TimestampMs, now: TimestampMs) -> String {
    if time > now {
        return format!("in {}", span(time.since_ms(now)));
    }
    format!("{} ago", span(now.since_ms(time)))
}

fn written(time: TimestampMs, form: &str) -> String {
    let ms = i64::try_from(time.as_millis()).ok();
    match ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(timestamp) => timestamp.strftime(form).to_string(),
        None => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_and_without_units() {
        let cases = [
            ("0", 0),
            ("1500", 1_500),
            ("250ms", 250),
            ("90s", 90_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_span(text), Ok(ms), "{text}");
        }
        for text in ["", "s", "-1", "1.5h", "5 m", "3y", "11000d", "99999999999999999999s"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let at = |ms| Ok(When::At(TimestampMs::from_millis(ms)));
        assert_eq!(parse_when("90s"), Ok(When::After(90_000)));
        assert_eq!(parse_when("5000"), Ok(When::After(5_000)));
        assert_eq!(parse_when("1800000000000"), at(1_800_000_000_000));
        assert_eq!(parse_when("2027-01-15T08:00:00Z"), at(1_800_000_000_000));
        assert_eq!(parse_when("2027-01-15T10:00:00+02:00"), at(1_800_000_000_000));
        for text in ["tomorrow", "2027-01-15", "1960-01-01T00:00:00Z", "999999999999999999"] {
            assert!(parse_when(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        let time = TimestampMs::from_millis(1_800_000_000_123);
        assert_eq!(at(time), "2027-01-15 08:00:00Z");
        assert_eq!(time_of_day(time), "08:00:00.123");
        assert_eq!(from(time, time.plus_ms(3_000)), "3.0 s ago");
        assert_eq!(from(time.plus_ms(120_000), time), "in 2 min");
    }
}
