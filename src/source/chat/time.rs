//! Times as services write them.

use super::people::scalar;
use jiff::civil;
use jiff::fmt::{rfc2822, strtime};
use serde_json::Value;

/// Forms of times, as `strptime` describes them.
const FORMS: [&str; 20] = [
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y, %I:%M %p",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M",
    "%d/%b/%y %I:%M %p",
    "%d/%b/%Y %I:%M %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y, %I:%M:%S %p",
    "%d.%m.%Y %H:%M:%S UTC%:z",
    "%d.%m.%Y %H:%M:%S",
    "%A, %B %d, %Y %I:%M %p",
    "%A, %B %d, %Y at %I:%M:%S %p UTC",
    "%b %d, %Y %H:%M",
    "%b %d, %Y",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%dT%H%M%S",
];

/// A time in RFC 3339 format (without an offset if the export gives none), or unchanged if its form is unknown. Numbers
/// are seconds or milliseconds since 1970.
pub(super) fn moment(value: &Value) -> String {
    written(&scalar(value))
}

/// The same for a text.
pub(super) fn written(text: &str) -> String {
    // Narrow and fixed spaces, and marks of direction.
    let text: String = text.trim().chars().filter_map(plain).collect();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if let Ok(number) = whole.parse::<i64>()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        // Seconds reach this number in the year 5138, milliseconds did in 1973.
        let seconds = if number > 100_000_000_000 { number / 1000 } else { number };
        return jiff::Timestamp::from_second(seconds).map_or(text, |moment| moment.to_string());
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        let is_usual = text.get(4..5) == Some("-") && (text.ends_with('Z') || text.rfind(':') == Some(text.len() - 3));
        return if is_usual && text.contains('T') { text } else { moment.to_string() };
    }
    if let Ok(local) = text.parse::<civil::DateTime>() {
        return local.to_string();
    }
    if let Ok(time) = rfc2822::parse(&text) {
        return time.timestamp().to_string();
    }
    let known = FORMS.iter().find_map(|form| {
        let time = strtime::parse(form, &text).ok()?;
        // A time of day may be missing.
        let local = time.to_datetime().or_else(|_| time.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
        let is_utc = form.ends_with("UTC") || form.ends_with('Z');
        let offset = time.offset().or(is_utc.then_some(jiff::tz::Offset::UTC));
        match offset {
            Some(offset) => offset.to_timestamp(local).ok().map(|moment| moment.to_string()),
            None => Some(local.to_string()),
        }
    });
    known.unwrap_or(text)
}

/// A character as it is usually written; `None` if it is invisible.
pub(super) fn plain(char: char) -> Option<char> {
    match char {
        '\u{a0}' | '\u{202f}' => Some(' '),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}' => None,
        char => Some(char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_in_many_forms() {
        for (text, expected) in [
            ("1767261600", "2026-01-01T10:00:00Z"),
            ("1767261600000", "2026-01-01T10:00:00Z"),
            ("1767261600.000200", "2026-01-01T10:00:00Z"),
            ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
            ("2026-01-01T10:00:00", "2026-01-01T10:00:00"),
            ("2026-01-01T10:00:00.000+0100", "2026-01-01T09:00:00Z"),
            ("Thu, 1 Jan 2026 10:00:00 +0100", "2026-01-01T09:00:00Z"),
            ("2026-01-01 10:00:00", "2026-01-01T10:00:00"),
            ("2026-01-01 10:00:00.5 +0000", "2026-01-01T10:00:00.5Z"),
            ("2026-01-01 10:00:00.123000+00:00", "2026-01-01T10:00:00.123Z"),
            ("01/Jan/26 9:14 PM", "2026-01-01T21:14:00"),
            ("1/2/2026 9:14 AM", "2026-01-02T09:14:00"),
            ("1/2/2026, 9:14:27\u{202f}AM", "2026-01-02T09:14:27"),
            ("02.03.2026 09:14:27 UTC+01:00", "2026-03-02T08:14:27Z"),
            ("Monday, March 2, 2026 9:14 AM", "2026-03-02T09:14:00"),
            ("Thursday, January 1, 2026 at 10:00:00\u{202f}AM UTC", "2026-01-01T10:00:00Z"),
            ("Mar 02, 2026 09:14", "2026-03-02T09:14:00"),
            ("20260302T091427Z", "2026-03-02T09:14:27Z"),
            ("last week", "last week"),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
    }
}
