//! Root user activity: in `CloudTrail` records, `get-caller-identity` responses, profiles and scripts.
//!
//! A policy's `"AWS": "arn:aws:iam::…:root"` is not a sign: there it means the whole account.

use super::Observation;
use crate::credential::AccountId;
use crate::finding::Times;
use crate::rule::{Finder, Severity};
use crate::text::ini;
use crate::text::json::{self, Around};
use regex::bytes::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

/// The account in responses of `LocalStack` and similar tools.
const NO_ACCOUNT: &str = "000000000000";

/// Maximum number of records read.
const MAX_RECORDS: usize = 100_000;

pub(super) fn observe(text: &[u8]) -> Vec<Observation> {
    let mut seen = Vec::new();
    if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        seen.extend(recorded_calls(text));
    }
    seen.extend(answers(text));
    seen.extend(profiles(text));
    seen.extend(logins(text));
    seen.extend(scripts(text));
    seen
}

/// True if a keyword at an offset may be of what is looked for. Two are common words: descriptions of APIs are full of them.
pub(super) fn gives_reason(text: &[u8], keyword: usize) -> bool {
    /// How far the value of a member is from its name, in bytes.
    const REACH: usize = 256;
    let (before, here) = text.split_at(keyword.min(text.len()));
    if here.starts_with(b"\"Root\"") {
        let near = before[before.len().saturating_sub(REACH)..].trim_ascii_end();
        return near.strip_suffix(b":").is_some_and(|name| name.trim_ascii_end().ends_with(b"\"type\""));
    }
    let Some(after) = here.strip_prefix(b"UserId") else { return true };
    let value = after.iter().position(|byte| !matches!(byte, b'"' | b'\'' | b' ' | b'|' | b':'));
    value.is_some_and(|start| after[start..].first().is_some_and(u8::is_ascii_digit))
}

fn usage(subject: String, span: Range<usize>, account: Option<AccountId>, note: String) -> Observation {
    Observation {
        finder: Finder::RootUsage,
        subject,
        span,
        severity: None,
        account,
        profile: None,
        note,
        times: Times::ALL,
    }
}

fn account_of(digits: &str) -> Option<AccountId> {
    let is_real = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit()) && digits != NO_ACCOUNT;
    is_real.then(|| AccountId::new(digits.parse().ok()?)).flatten()
}

fn subject(account: Option<AccountId>) -> String {
    account.map_or_else(|| "the root user".to_owned(), |account| format!("arn:aws:iam::{account}:root"))
}

/// What is known about one account's calls.
#[derive(Default)]
struct Calls {
    span: Range<usize>,
    count: usize,
    by_key: usize,
    first: Option<String>,
    last: Option<String>,
}

/// The calls that a `CloudTrail` log attributes to root users, one observation for each account.
///
/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>.
fn recorded_calls(text: &[u8]) -> Vec<Observation> {
    let places: Vec<usize> = memchr::memmem::find_iter(text, b"\"Root\"").take(MAX_RECORDS).collect();
    let mut calls: BTreeMap<Option<AccountId>, Calls> = BTreeMap::new();
    json::around(text, &places, &mut |number, around| {
        let at = places[number];
        let Some((account, by_key, time)) = call(around) else { return };
        let known = calls.entry(account).or_default();
        if known.count == 0 {
            known.span = at..at + 6;
        }
        known.count += 1;
        known.by_key += usize::from(by_key);
        if let Some(time) = time {
            let first = known.first.take().map_or_else(|| time.clone(), |first| first.min(time.clone()));
            known.first = Some(first);
            known.last = known.last.take().max(Some(time));
        }
    });
    let tell = |(account, calls): (Option<AccountId>, Calls)| {
        let Calls { span, count, by_key, first, last } = calls;
        let noun = if count == 1 { "call" } else { "calls" };
        let when = match (first, last) {
            (Some(first), Some(last)) if first != last => format!(", from {first} to {last}"),
            (Some(first), _) => format!(", on {first}"),
            _ => String::new(),
        };
        let how = if by_key > 0 { format!(", {by_key} of them with a long-term access key") } else { String::new() };
        let note = format!("CloudTrail recorded {count} {noun} by the root user{how}{when}.");
        // Console use by a person: to be avoided, but no key is at risk.
        let severity = (by_key == 0).then_some(Severity::Note);
        Observation { severity, ..usage(subject(account), span, account, note) }
    };
    calls.into_iter().map(tell).collect()
}

/// The call in a record, if made by a root user: the account, whether a long-term key was used, when.
fn call(around: &[&Around]) -> Option<(Option<AccountId>, bool, Option<String>)> {
    let [identity, record, ..] = around else { return None };
    let (identity, key) = (&identity.object, &record.key);
    let record: &Map<String, Value> = &record.object;
    let is_event = record.contains_key("eventSource") || record.contains_key("eventName");
    let is_root = identity.get("type").is_some_and(|kind| kind == "Root");
    // A service acting for the account also shows as root.
    let is_service =
        identity.contains_key("invokedBy") || record.get("eventType").is_some_and(|kind| kind == "AwsServiceEvent");
    if key != "userIdentity" || !is_event || !is_root || is_service {
        return None;
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let account = text(identity.get("accountId"));
    if account.as_deref() == Some(NO_ACCOUNT) {
        return None;
    }
    let by_key = text(identity.get("accessKeyId")).is_some_and(|id| !id.is_empty() && !id.starts_with("ASIA"));
    let time = text(record.get("eventTime")).filter(|time| time.len() <= 40 && time.is_ascii());
    Some((account.and_then(|digits| account_of(&digits)), by_key, time))
}

/// The accounts whose root user is the caller identity somewhere in `text`.
pub fn identities(text: &[u8]) -> Vec<AccountId> {
    answers(text).into_iter().filter_map(|seen| seen.account).collect()
}

/// The responses of `aws sts get-caller-identity` to a root user: the user's id is the account's.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
fn answers(text: &[u8]) -> Vec<Observation> {
    // In JSON, YAML and tables, whatever the order: `"UserId": "…"`, `UserId: '…'`, `|  UserId |  …  |`.
    static ARN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?-u)\bArn["' |:]{1,20}(arn:aws[a-z-]*:iam::([0-9]{12}):root)\b"#).expect("a valid regex")
    });
    static USER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?-u)\bUserId["' |:]{1,20}([0-9]{12})\b"#).expect("a valid regex"));
    static ACCOUNT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?-u)\bAccount["' |:]{1,20}([0-9]{12})\b"#).expect("a valid regex"));
    /// How far from the ARN the other two are, in bytes.
    const REACH: usize = 300;
    static TEXT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m-u)^(?<account>[0-9]{12})\t(?<arn>arn:aws[a-z-]*:iam::(?<owner>[0-9]{12}):root)\t(?<user>[0-9]{12})\r?$")
            .expect("a valid regex")
    });
    if memchr::memmem::find(text, b":root").is_none() {
        return vec![];
    }
    let mut seen = Vec::new();
    let mut tell = |account: &[u8], user: &[u8], owner: &[u8], span: Range<usize>| {
        let known = std::str::from_utf8(account).ok().and_then(account_of);
        if known.is_some() && account == user && account == owner {
            let note = "The caller identity was the root user.".to_owned();
            seen.push(usage(subject(known), span, known, note));
        }
    };
    for captures in TEXT.captures_iter(text).take(super::MAX_COUNT) {
        let span = captures.name("arn").map_or(0..0, |arn| arn.range());
        tell(&captures["account"], &captures["user"], &captures["owner"], span);
    }
    for arn in ARN.captures_iter(text).take(super::MAX_COUNT) {
        let span = arn.get(1).map_or(0..0, |arn| arn.range());
        let around = &text[span.start.saturating_sub(REACH)..text.len().min(span.end + REACH)];
        let field = |name: &Regex| name.captures(around).map(|found| found[1].to_vec()).unwrap_or_default();
        tell(&field(&ACCOUNT), &field(&USER), &arn[2], span);
    }
    seen
}

/// Profiles that use the root user's MFA device but do not contain a key.
fn profiles(text: &[u8]) -> Vec<Observation> {
    static DEVICE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?m-u)^[ \t]*mfa_serial[ \t]*=[ \t]*(arn:aws[a-z-]*:iam::([0-9]{12}):mfa/root-account-mfa-device)\b",
        )
        .expect("a valid regex")
    });
    if memchr::memmem::find(text, b":mfa/root-account-mfa-device").is_none() {
        return vec![];
    }
    let mut seen = Vec::new();
    for captures in DEVICE.captures_iter(text).take(super::MAX_COUNT) {
        let Some(serial) = captures.get(1) else { continue };
        let section = ini::section(text, serial.start());
        // If the key is there, it is judged itself.
        if section.as_ref().is_some_and(|section| section.sets("aws_access_key_id")) {
            continue;
        }
        let account = std::str::from_utf8(&captures[2]).ok().and_then(account_of);
        if account.is_none() {
            continue;
        }
        let profile = section.map(|section| super::owner::shown(&section.name()));
        let name = profile.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let note = format!("The profile{name} uses the root user's MFA device, so its calls are the root user's.");
        seen.push(Observation { profile, ..usage(subject(account), serial.range(), account, note) });
    }
    seen
}

/// Profiles whose user signs in as the root user: `aws login` writes who did.
///
/// Source: AWS CLI User Guide, "Login for AWS local development using console credentials".
fn logins(text: &[u8]) -> Vec<Observation> {
    static SESSION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m-u)^[ \t]*login_session[ \t]*=[ \t]*(arn:aws[a-z-]*:iam::([0-9]{12}):root)[ \t]*\r?$")
            .expect("a valid regex")
    });
    if memchr::memmem::find(text, b"login_session").is_none() {
        return vec![];
    }
    let tell = |captures: regex::bytes::Captures| {
        let arn = captures.get(1)?;
        let account = std::str::from_utf8(&captures[2]).ok().and_then(account_of);
        account?;
        let profile = ini::section(text, arn.start()).map(|section| super::owner::shown(&section.name()));
        let name = profile.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let note = format!("Who uses the profile{name} signs in as the root user, with `aws login`.");
        // No key of the root user's is made for it, so the keys of the profile say nothing.
        Some(usage(subject(account), arn.range(), account, note))
    };
    SESSION.captures_iter(text).take(super::MAX_COUNT).filter_map(tell).collect()
}

/// Scripts that pass a root user's key, by its name, to commands, or choose a profile named root.
fn scripts(text: &[u8]) -> Vec<Observation> {
    static KEY: LazyLock<Regex> = LazyLock::new(|| {
        let name = r"(?:AWS_ROOT(?:_USER|_ACCOUNT)?_(?:ACCESS_)?KEY(?:_ID)?|ROOT_AWS_ACCESS_KEY(?:_ID)?)";
        let setting = r#"\bAWS_ACCESS_KEY_ID["']?\s*[:=]\s*["']?"#;
        Regex::new(&format!(r"(?-u){setting}(?:\$\{{?|\$\{{\{{\s*(?:secrets|env|vars)\.)({name})\b"))
            .expect("a valid regex")
    });
    static PROFILE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?-u)(?:\baws\b[^\n]*[ \t]--profile[ =]|\bAWS_(?:DEFAULT_)?PROFILE=)["']?(root)["']?(?:[\s;&|]|$)"#,
        )
        .expect("a valid regex")
    });
    let mut seen = Vec::new();
    let has = |words: &[u8]| memchr::memmem::find(text, words).is_some();
    if has(b"AWS_ROOT_") || has(b"ROOT_AWS_ACCESS_KEY") {
        for found in KEY.captures_iter(text).filter_map(|captures| captures.get(1)).take(super::MAX_COUNT) {
            let name = String::from_utf8_lossy(found.as_bytes()).into_owned();
            let note = format!("Commands run with the root user's access key, taken from {name}.");
            seen.push(usage(name, found.range(), None, note));
        }
    }
    if has(b"rofile root") || has(b"rofile=root") || has(b"PROFILE=") {
        for found in PROFILE.captures_iter(text).filter_map(|captures| captures.get(1)).take(super::MAX_COUNT) {
            let note = "Commands run with a profile named root.".to_owned();
            let weak = usage("profile root".to_owned(), found.range(), None, note);
            seen.push(Observation { severity: Some(Severity::Note), ..weak });
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_are_no_reason() {
        let is_reason =
            |text: &str, keyword: &str| gives_reason(text.as_bytes(), text.find(keyword).expect("it is there"));
        for (text, keyword, expected) in [
            (r#"{"type" : "Root"}"#, "\"Root\"", true),
            (r#"{"enum":["Root"]}"#, "\"Root\"", false),
            (r#"{"UserId": "111122223333"}"#, "UserId", true),
            ("|  UserId  |  111122223333  |", "UserId", true),
            (r#"{"UserId": {"shape": "String"}}"#, "UserId", false),
            ("UserId", "UserId", false),
            ("export AWS_PROFILE=root", "PROFILE=root", true),
        ] {
            assert_eq!(is_reason(text, keyword), expected, "{text}");
        }
    }

    fn notes(text: &str) -> Vec<String> {
        observe(text.as_bytes()).into_iter().map(|seen| format!("{}: {}", seen.subject, seen.note)).collect()
    }

    fn record(kind: &str, key: &str, more: &str) -> String {
        format!(
            r#"{{"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"ListBuckets"{more},"userIdentity":{{"type":"{kind}","accountId":"111122223333"{key}}}}}"#
        )
    }

    #[test]
    fn records_of_root_calls_are_counted() {
        let log = format!(
            r#"{{"Records":[{},{},{}]}}"#,
            record("Root", r#","accessKeyId":"AKIA****************""#, ""),
            record("Root", "", "").replace("01-02", "01-03"),
            record("IAMUser", "", ""),
        );
        let expected = "arn:aws:iam::111122223333:root: CloudTrail recorded 2 calls by the root user, 1 of them with a long-term access key, from 2026-01-02T03:04:05Z to 2026-01-03T03:04:05Z.";
        assert_eq!(notes(&log), [expected]);
        let console = record("Root", r#","accessKeyId":"ASIAXXXX""#, "");
        assert_eq!(observe(console.as_bytes())[0].severity, Some(Severity::Note));
        for silent in [
            record("Root", r#","invokedBy":"AWS Internal""#, ""),
            record("Root", "", r#","eventType":"AwsServiceEvent""#),
            record("Root", "", "").replace("111122223333", NO_ACCOUNT),
            r#"{"type":"Root"}"#.to_owned(),
            r#"{"component":{"type":"Root","accountId":"111122223333"}}"#.to_owned(),
        ] {
            assert_eq!(notes(&silent), [""; 0], "{silent}");
        }
    }

    #[test]
    fn answers_to_the_root_user() {
        let json = |user: &str, account: &str| {
            format!(
                "{{\n    \"UserId\": \"{user}\",\n    \"Account\": \"{account}\",\n    \"Arn\": \"arn:aws:iam::{account}:root\"\n}}\n"
            )
        };
        assert_eq!(notes(&json("111122223333", "111122223333")).len(), 1);
        assert_eq!(notes("$ aws\n111122223333\tarn:aws:iam::111122223333:root\t111122223333\n").len(), 1);
        assert_eq!(notes(&json("AKIAIOSFODNN7EXAMPLE", "000000000000")), [""; 0]);
        assert_eq!(notes(&json(NO_ACCOUNT, NO_ACCOUNT)), [""; 0]);
        for other in [
            "Account: '111122223333'\nArn: arn:aws:iam::111122223333:root\nUserId: '111122223333'\n",
            "|  Account  |  111122223333  |\n|  Arn  |  arn:aws:iam::111122223333:root  |\n|  UserId  |  111122223333  |\n",
            r#"{"Arn": "arn:aws:iam::111122223333:root", "UserId": "111122223333", "Account": "111122223333"}"#,
        ] {
            assert_eq!(notes(other).len(), 1, "{other}");
        }
        for silent in [
            r#"{"Principal":{"AWS":"arn:aws:iam::111122223333:root"}}"#,
            r#"{"Arn": "arn:aws:iam::111122223333:root", "UserId": "AIDAI", "Account": "111122223333"}"#,
            r#"{"Arn": "arn:aws:iam::111122223333:root", "UserId": "444455556666", "Account": "111122223333"}"#,
        ] {
            assert_eq!(notes(silent), [""; 0], "{silent}");
        }
    }

    #[test]
    fn profiles_and_scripts() {
        let profile = "[profile boss]\nmfa_serial = arn:aws:iam::111122223333:mfa/root-account-mfa-device\n";
        assert!(notes(profile)[0].contains("The profile boss uses"));
        assert_eq!(notes(&format!("{profile}aws_access_key_id = x\n")), [""; 0]);
        let login = "[profile boss]\nlogin_session = arn:aws:iam::111122223333:root\nregion = us-east-1\n";
        assert!(notes(login)[0].contains("the profile boss signs in as the root user"));
        assert_eq!(notes(&login.replace(":root", ":user/ann")), [""; 0]);
        for (text, expected) in [
            ("AWS_ACCESS_KEY_ID=$AWS_ROOT_ACCESS_KEY_ID aws s3 ls\n", 1),
            ("  AWS_ACCESS_KEY_ID: ${{ secrets.AWS_ROOT_ACCESS_KEY_ID }}\n", 1),
            ("aws iam list-users --profile root\n", 1),
            ("export AWS_PROFILE=root\n", 1),
            ("AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER\n", 0),
            ("AWS_ROOT_DIR=/x\n", 0),
            ("aws iam list-users --profile rooted\n", 0),
            ("cargo build --profile root\n", 0),
        ] {
            assert_eq!(notes(text).len(), expected, "{text}");
        }
    }
}
