//! IAM's credential report: a row for each user, with the age and use of passwords and keys, but no key.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>. The CLI wraps the
//! same table, in base64, in JSON that also says when it was generated.

use super::{Observation, Surroundings};
use crate::credential::AccountId;
use crate::detect::marks::CREDENTIAL_REPORT as START;
use crate::finding::Times;
use crate::rule::Finder;
use csv::ByteRecord;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// What stands between two cells: as AWS writes it, as spreadsheets save it where the comma is a decimal one, and as
/// they copy it.
pub const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// What the table calls the root user.
const ROOT: &[u8] = b"<root_account>";

/// Maximum age of a key before it should be rotated, in days.
const ROTATION: i64 = 90;
/// Maximum time without use before a credential should be removed, in days.
const UNUSED: i64 = 45;
/// Maximum time since a use of the root user that counts as recent, in days.
const RECENT: i64 = 90;

const DAY: i64 = 24 * 60 * 60;

/// The problems of users that the report in `text` shows.
pub(super) fn observe(text: &[u8], around: &Surroundings) -> Vec<Observation> {
    // Only a whole file, or a wrapped table: documentation contains tables, too.
    let table = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let Some(delimiter) = DELIMITERS.into_iter().find(|delimiter| starts_table(table, *delimiter)) else {
        return account_summary(text);
    };
    let start = text.len() - table.len();
    let made = (!std::ptr::eq(around.file, text)).then(|| time_of_making(around.file)).flatten();
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(table);
    let Ok(header) = reader.byte_headers() else { return vec![] };
    let columns = header.iter().enumerate().map(|(n, name)| (name.trim_ascii().to_ascii_lowercase(), n)).collect();
    let mut seen = Vec::new();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).unwrap_or(false) && seen.len() < super::MAX_COUNT {
        let at = start + record.position().map_or(0, |position| position.byte() as usize);
        // The reader takes the newline after a carriage return for the start of the next row.
        let at = at + usize::from(text.get(at) == Some(&b'\n'));
        let user = User { columns: &columns, record: &record, made };
        if let Some(arn) = user.arn() {
            let quote = usize::from(text.get(at) == Some(&b'"'));
            let span = at + quote..at + quote + record.get(0).map_or(0, <[u8]>::len);
            user.observe(&arn, &span, &mut seen);
        }
    }
    seen
}

fn starts_table(text: &[u8], delimiter: u8) -> bool {
    let start = START.map(|b| if b == b',' { delimiter } else { b });
    text.starts_with(&start)
}

/// The answer of `aws iam get-account-summary`, which counts the root user's keys and names no account
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html>).
fn account_summary(text: &[u8]) -> Vec<Observation> {
    const NAME: &[u8] = b"AccountAccessKeysPresent";
    // Only an answer as a whole: documentation and checks have parts of one.
    let opens = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'{' | b'"');
    let start = text.iter().position(|b| !opens(b)).unwrap_or(text.len());
    if !text[start..].starts_with(b"SummaryMap") {
        return vec![];
    }
    let places = memchr::memmem::find_iter(text, NAME).take(super::MAX_COUNT);
    let counts = places.filter_map(|at| {
        let end = at + NAME.len();
        let after = &text[end..text.len().min(end + 12)];
        let blanks = after.iter().take_while(|b| matches!(b, b'"' | b'\'' | b':' | b' ' | b'\t' | b'|')).count();
        let count = *after.get(blanks).filter(|_| blanks > 0)?;
        let is_number = after.get(blanks + 1).is_none_or(|b| !b.is_ascii_alphanumeric());
        (matches!(count, b'1' | b'2') && is_number).then_some((at..end, count - b'0'))
    });
    let tell = |(span, count): (Range<usize>, u8)| Observation {
        finder: Finder::ReportRootActiveKey,
        subject: "the root user".to_owned(),
        span,
        severity: None,
        account: None,
        profile: None,
        times: Times::ALL,
        note: format!(
            "The account summary counts {count} access key{} of the root user.",
            if count == 1 { "" } else { "s" }
        ),
    };
    counts.map(tell).collect()
}

/// When the report was generated according to the CLI's JSON, in seconds since 1970.
fn time_of_making(json: &[u8]) -> Option<i64> {
    let after = memchr::memmem::find(json, b"\"GeneratedTime\"")? + b"\"GeneratedTime\"".len();
    let value = json[after..].split(|&b| b == b'"').nth(1)?;
    seconds(value)
}

fn seconds(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// A row.
struct User<'a> {
    columns: &'a HashMap<Vec<u8>, usize>,
    record: &'a ByteRecord,
    /// When the report was generated, if it says so: ages are as of then, else as of now.
    made: Option<i64>,
}

impl User<'_> {
    fn cell(&self, name: &str) -> &[u8] {
        self.columns.get(name.as_bytes()).and_then(|n| self.record.get(*n)).unwrap_or_default().trim_ascii()
    }

    fn is_true(&self, name: &str) -> bool {
        self.cell(name).eq_ignore_ascii_case(b"true")
    }

    /// The time in a cell; `None` if there is none, as for `N/A` or `no_information`.
    fn time(&self, name: &str) -> Option<i64> {
        seconds(self.cell(name))
    }

    /// When something holds that would hold at these times; `None` if that is never.
    fn held(&self, times: Times) -> Option<Times> {
        match self.made {
            Some(made) => times.contain(Some(made)).then_some(Times::ALL),
            None => Some(times),
        }
    }

    fn day(&self, name: &str) -> String {
        String::from_utf8_lossy(self.cell(name)).split('T').next().unwrap_or_default().to_owned()
    }

    /// The ARN, if valid: a cell of a hostile file may contain anything.
    fn arn(&self) -> Option<String> {
        let arn = std::str::from_utf8(self.cell("arn")).ok()?;
        let is_plain = arn.bytes().all(|b| b.is_ascii_graphic()) && arn.len() <= 200;
        (is_plain && arn.starts_with("arn:aws")).then(|| arn.to_owned())
    }

    fn is_root(&self) -> bool {
        self.cell("user") == ROOT
    }

    /// The numbers of its active keys, 1 and 2.
    fn active_keys(&self) -> Vec<u8> {
        [1, 2].into_iter().filter(|n| self.is_true(&format!("access_key_{n}_active"))).collect()
    }

    fn observe(&self, arn: &str, span: &Range<usize>, seen: &mut Vec<Observation>) {
        let account = arn.split(':').nth(4).and_then(|digits| AccountId::new(digits.parse().ok()?));
        let mut note_at = |finder, note: String, times| {
            let subject = arn.to_owned();
            seen.push(Observation {
                finder,
                subject,
                span: span.clone(),
                severity: None,
                account,
                profile: None,
                note,
                times,
            });
        };
        let mut note = |finder, note: String| note_at(finder, note, Times::ALL);
        let keys = self.active_keys();
        if self.is_root() {
            if !keys.is_empty() {
                let what = if keys.len() == 1 { "an active access key" } else { "two active access keys" };
                note(Finder::ReportRootActiveKey, format!("The root user has {what}."));
            }
            if self.cell("mfa_active").eq_ignore_ascii_case(b"false") {
                note(Finder::ReportRootNoMfa, "The root user has no MFA device.".into());
            }
        } else if self.is_true("password_enabled") && self.cell("mfa_active").eq_ignore_ascii_case(b"false") {
            note(Finder::ReportUserNoMfa, "The user has a console password but no MFA device.".into());
        }
        if keys.len() == 2 {
            note(Finder::ReportTwoActiveKeys, "Both access keys of the user are active.".into());
        }
        if self.is_root() {
            self.observe_root_use(&mut note_at);
        }
        for n in &keys {
            let rotated = format!("access_key_{n}_last_rotated");
            let is_old = |time: i64| self.held(Times::from(time + (ROTATION + 1) * DAY));
            if let Some(times) = self.time(&rotated).and_then(is_old) {
                let day = self.day(&rotated);
                let text = format!("Access key {n} was last rotated on {day}, more than {ROTATION} days ago.");
                note_at(Finder::ReportKeyOlder90d, text, times);
            }
        }
        if !self.is_root() {
            self.observe_disuse(&keys, &mut note_at);
        }
    }

    fn observe_root_use(&self, note: &mut dyn FnMut(Finder, String, Times)) {
        let uses = ["password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date"];
        let last = uses.iter().rev().filter_map(|name| Some((self.time(name)?, *name))).max_by_key(|(time, _)| *time);
        let Some((time, name)) = last else { return };
        if let Some(times) = self.held(Times::until(time + (RECENT + 1) * DAY)) {
            let how = if name == uses[0] { "password" } else { "access key" };
            note(
                Finder::ReportRootRecentlyUsed,
                format!("The root user's {how} was used on {}.", self.day(name)),
                times,
            );
        }
    }

    fn observe_disuse(&self, keys: &[u8], note: &mut dyn FnMut(Finder, String, Times)) {
        let keys = keys.iter().map(|n| {
            let names = [format!("access_key_{n}_last_used_date"), format!("access_key_{n}_last_rotated")];
            (format!("access key {n}"), names)
        });
        let password = self.is_true("password_enabled").then(|| {
            let names = ["password_last_used".to_owned(), "password_last_changed".to_owned()];
            ("password".to_owned(), names)
        });
        let idle: Vec<(i64, String)> = password
            .into_iter()
            .chain(keys)
            .filter_map(|(what, [used, made])| {
                let (name, verb) = match self.time(&used) {
                    Some(_) => (&used, "last used"),
                    // What was never used counts from its last change.
                    None => (&made, "never used, last changed"),
                };
                let from = self.time(name)? + (UNUSED + 1) * DAY;
                Some((from, format!("{what} ({verb} on {})", self.day(name))))
            })
            .collect();
        // One after the other has been idle for too long.
        let turns: BTreeSet<i64> = idle.iter().map(|(from, _)| *from).collect();
        for (from, until) in turns.iter().zip(turns.iter().skip(1).map(Some).chain([None])) {
            let Some(times) = self.held(Times { from: Some(*from), until: until.copied() }) else { continue };
            let idle: Vec<&str> =
                idle.iter().filter(|(since, _)| since <= from).map(|(_, what)| what.as_str()).collect();
            let text = format!("Active but unused for over {UNUSED} days: {}.", idle.join(", "));
            note(Finder::ReportUnused45d, text, times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600; // 2026-01-01

    fn report(rows: &str) -> Vec<(Finder, String)> {
        let header = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated";
        let text = format!("{header}\r\n{rows}");
        let around = Surroundings { file: text.as_bytes(), path: None, secrets: &[] };
        let seen = observe(text.as_bytes(), &around);
        for observation in &seen {
            assert!(text[observation.span.clone()].len() > 2);
            assert_eq!(observation.account.map(|account| account.to_string()).as_deref(), Some("111122223333"));
        }
        let seen = seen.into_iter().filter(|observation| observation.times.contain(Some(NOW)));
        seen.map(|observation| (observation.finder, observation.note)).collect()
    }

    #[test]
    fn the_root_user() {
        let row = "<root_account>,arn:aws:iam::111122223333:root,2019-01-01T00:00:00+00:00,not_supported,2025-12-30T00:00:00+00:00,not_supported,not_supported,false,true,2019-02-01T00:00:00+00:00,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A\n";
        let found = report(row);
        let finders: Vec<_> = found.iter().map(|(finder, _)| *finder).collect();
        use Finder::{ReportKeyOlder90d, ReportRootActiveKey, ReportRootNoMfa, ReportRootRecentlyUsed};
        assert_eq!(finders, [ReportRootActiveKey, ReportRootNoMfa, ReportRootRecentlyUsed, ReportKeyOlder90d]);
        assert_eq!(found[2].1, "The root user's password was used on 2025-12-30.");
        let row = row.replace(",false,true,", ",TRUE,false,").replace("2025-12-30", "2025-01-30");
        assert_eq!(report(&row), []);
    }

    #[test]
    fn users() {
        let row = |password: &str, mfa: &str, one: &str, two: &str| {
            format!(
                "\"ann\",arn:aws:iam::111122223333:user/ann,2019-01-01T00:00:00+00:00,{password},N/A,{mfa},{one},{two},false,N/A,false,N/A\n"
            )
        };
        let fresh = "true,2025-12-20T00:00:00+00:00,2025-12-30T00:00:00+00:00,eu-west-1,s3";
        let none = "false,N/A,N/A,N/A,N/A";
        assert_eq!(report(&row("true,2025-12-31T00:00:00+00:00,2025-01-01T00:00:00+00:00", "true", fresh, none)), []);
        assert_eq!(report(&row("false,N/A,N/A", "false", none, none)), []);
        let found = report(&row("TRUE,no_information,2025-01-01T00:00:00+00:00", "FALSE", fresh, fresh));
        let finders: Vec<_> = found.iter().map(|(finder, _)| *finder).collect();
        assert_eq!(finders, [Finder::ReportUserNoMfa, Finder::ReportTwoActiveKeys, Finder::ReportUnused45d]);
        let old = "true,2025-10-02T00:00:00+00:00,N/A,N/A,N/A";
        let found = report(&row("false,N/A,N/A", "false", old, none));
        assert_eq!(found[0].1, "Access key 1 was last rotated on 2025-10-02, more than 90 days ago.");
        assert!(found[1].1.ends_with("access key 1 (never used, last changed on 2025-10-02)."), "{found:?}");
        let borders = "true,2025-10-03T00:00:00+00:00,2025-11-17T00:00:00+00:00,eu-west-1,s3";
        assert_eq!(report(&row("false,N/A,N/A", "false", borders, none)), [], "90 and 45 days are still in time");
    }

    #[test]
    fn what_is_no_report_is_passed_over() {
        assert_eq!(report("a,b\n"), []);
        assert_eq!(report("\"unclosed,arn"), []);
        assert_eq!(report("ann,javascript:x,2019-01-01T00:00:00+00:00,true,N/A,N/A,N/A,false\n"), []);
    }
}
