//! Signs that a key is a root user's: the id alone never tells, the text around it may.
//!
//! Sources: the [CloudTrail record](https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html),
//! the [GuardDuty finding](https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-iam.html#policy-iam-rootcredentialusage),
//! and the file that the console lets a root user download.

use super::root_use;
use crate::credential::Account;
use crate::finding::evidence::{RootSign, Strength};
use crate::text::ini;
use crate::text::json::{self, Around};
use regex::bytes::Regex;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

const fn sign(strength: Strength, reason: &'static str) -> RootSign {
    RootSign { strength, reason: Cow::Borrowed(reason) }
}

/// How far from a key a comment may mention the root user, in lines before or after.
const NEAR: usize = 3;

/// For each of the ids at `spans`, in ascending order: the signs in the file at `path` that it is a root user's.
pub fn signs(path: &[u8], text: &[u8], spans: &[Range<usize>]) -> Vec<Vec<RootSign>> {
    let mut all = vec![Vec::new(); spans.len()];
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path).to_ascii_lowercase();
    let is_csv = name.ends_with(b".csv");
    let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let records = if is_json { recorded(text, spans) } else { vec![None; spans.len()] };
    let identities = root_use::identities(text);
    for ((span, signs), record) in spans.iter().zip(&mut all).zip(records) {
        signs.extend(record);
        if is_csv && name.strip_prefix(b"attachment ").unwrap_or(&name).starts_with(b"rootkey") {
            signs.push(sign(Strength::Strong, "Its file is named as the console names a root user's key file."));
        }
        if is_csv && text[..span.start].ends_with(b"AWSAccessKeyId=") {
            signs.push(sign(Strength::Strong, "It has the format that the console uses only for a root user's key."));
        }
        if let Some(section) = ini::section(text, span.start) {
            if has(section.body, b":mfa/root-account-mfa-device") {
                signs.push(sign(Strength::Strong, "Its profile uses the root user's MFA device."));
            }
            if section.name().eq_ignore_ascii_case("root") {
                signs.push(sign(Strength::Weak, "Its profile is named root."));
            }
        }
        if !is_long_term_prefix(&text[span.start..]) {
            signs.push(sign(Strength::Faint, "Its id may predate IAM, when only the account itself had keys."));
        }
        let account = std::str::from_utf8(&text[span.clone()]).ok().and_then(|id| Account::from_id(id).known());
        if account.is_some_and(|account| identities.contains(&account)) {
            signs.push(sign(
                Strength::Strong,
                "The same file shows the root user of its account as the caller identity.",
            ));
        }
        if is_called_root(text, span) {
            signs.push(sign(Strength::Weak, "The text around it calls it a root user's key."));
        }
        signs.sort();
        signs.dedup();
        signs.reverse();
    }
    all
}

fn is_long_term_prefix(id: &[u8]) -> bool {
    id.starts_with(b"AKIA")
}

fn has(text: &[u8], words: &[u8]) -> bool {
    memchr::memmem::find(text, words).is_some()
}

/// What `CloudTrail` and `GuardDuty` say about the ids.
fn recorded(text: &[u8], spans: &[Range<usize>]) -> Vec<Option<RootSign>> {
    let offsets: Vec<usize> = spans.iter().map(|span| span.start).collect();
    let ids: Vec<String> = spans.iter().map(|span| String::from_utf8_lossy(&text[span.clone()]).into_owned()).collect();
    let mut signs = vec![None; spans.len()];
    json::around(text, &offsets, &mut |number, around| {
        let id = &ids[number];
        let sign = |around: &&Around| cloud_trail(&around.object, id).or_else(|| guard_duty(&around.object, id));
        signs[number] = around.iter().find_map(sign);
    });
    signs
}

fn cloud_trail(record: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let identity = record.get("userIdentity")?.as_object()?;
    let is_root = identity.get("type")? == "Root";
    // A service acting for the account also shows as root.
    let is_service =
        record.get("eventType").is_some_and(|kind| kind == "AwsServiceEvent") || identity.contains_key("invokedBy");
    if !is_root || is_service {
        return None;
    }
    if identity.get("accessKeyId").is_some_and(|key| key == id) {
        return Some(sign(Strength::Proof, "CloudTrail recorded that the root user called AWS with it."));
    }
    let made = record.get("responseElements")?.get("accessKey")?.get("accessKeyId")?;
    let for_user = record.get("requestParameters").and_then(|parameters| parameters.get("userName"));
    let is_creation = record.get("eventName")? == "CreateAccessKey" && for_user.is_none_or(Value::is_null);
    (is_creation && made == id)
        .then(|| sign(Strength::Proof, "CloudTrail recorded that the root user created it for itself."))
}

fn guard_duty(finding: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let kind = finding.get("type").or_else(|| finding.get("Type"))?.as_str()?;
    let resource = finding.get("resource").or_else(|| finding.get("Resource"))?;
    let details = resource.get("accessKeyDetails").or_else(|| resource.get("AccessKeyDetails"))?;
    let key = details.get("accessKeyId").or_else(|| details.get("AccessKeyId"))?;
    (kind.contains("RootCredentialUsage") && key == id)
        .then(|| sign(Strength::Proof, "GuardDuty reported that it was used with the root user's credentials."))
}

/// True if a name such as `AWS_ROOT_ACCESS_KEY_ID` or `rootAccessKey` precedes it, or a nearby comment mentions the
/// root user or account.
fn is_called_root(text: &[u8], span: &Range<usize>) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i-u)(?:^|[^a-z0-9])(?:aws[_-]?)?root[_-]?(?:aws[_-]?)?(?:user[_-]?|account[_-]?)?access[_-]?key[a-z_-]*["']?\s*(?:=>?|:|,)\s*["']?$"#)
            .expect("a valid regex")
    });
    static COMMENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im-u)(?:#|//|;|--|<!--|/\*)[^\n]*\broot[ -](?:account|user|key|credential)")
            .expect("a valid regex")
    });
    // Lines may be arbitrarily long.
    const REACH: usize = 600;
    let from = span.start.saturating_sub(REACH);
    let above = memchr::memrchr_iter(b'\n', &text[from..span.start]).nth(NEAR);
    let start = above.map_or(from, |newline| from + newline + 1);
    let lines = memchr::memchr_iter(b'\n', &text[span.end..text.len().min(span.end + REACH)]);
    let end = lines.take(NEAR + 1).last().map_or(text.len().min(span.end + REACH), |newline| span.end + newline);
    // Compiling the regexes takes longer than most scans of one file.
    let around = &text[start..end];
    let is_root = |at: usize| around.get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case(b"root"));
    if !memchr::memchr2_iter(b'r', b'R', around).any(is_root) {
        return false;
    }
    let before = &text[span.start.saturating_sub(80)..span.start];
    let before = &before[memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1)..];
    if NAME.is_match(before) {
        return true;
    }
    COMMENT.is_match(around)
}
