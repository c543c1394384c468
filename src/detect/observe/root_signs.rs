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

/// For each of the ids at `spans`, in ascending order: the signs in the file at `path` that it is a root user's. Its `text`
/// has no byte order mark.
pub fn signs(path: &[u8], text: &[u8], spans: &[Range<usize>]) -> Vec<Vec<RootSign>> {
    let mut all = vec![Vec::new(); spans.len()];
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path).to_ascii_lowercase();
    let is_csv = name.ends_with(b".csv");
    let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let records = if is_json { recorded(text, spans) } else { vec![None; spans.len()] };
    let identities = root_use::identities(text);
    for ((span, signs), record) in spans.iter().zip(&mut all).zip(records) {
        signs.extend(record);
        if is_csv && is_rootkey(name.strip_prefix(b"attachment ").unwrap_or(&name)) {
            signs.push(sign(Strength::Strong, "Its file is named as the console names a root user's key file."));
        }
        if is_csv && text[..span.start].strip_suffix(b"AWSAccessKeyId=").is_some_and(ends_line) {
            signs.push(sign(Strength::Strong, "It has the format that the console uses only for a root user's key."));
        }
        if let Some(section) = ini::section(text, span.start) {
            if has(section.body, b":mfa/root-account-mfa-device") {
                signs.push(sign(Strength::Strong, "Its profile uses the root user's MFA device."));
            }
            if is_root_name(&section.name()) {
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
        if in_row(text, span) {
            signs.push(sign(Strength::Proof, "CloudTrail recorded that the root user called AWS with it."));
        }
        if is_below_root(text, span) {
            signs.push(sign(Strength::Weak, "It is set below the name root."));
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

/// True for the names that the console and browsers give the file: `rootkey.csv`, `rootkey (1).csv`.
fn is_rootkey(name: &[u8]) -> bool {
    let rest = name.strip_prefix(b"rootkey").and_then(|rest| rest.strip_suffix(b".csv"));
    let is_number = |b: &u8| b.is_ascii_digit() || matches!(b, b' ' | b'(' | b')' | b'-' | b'_');
    rest.is_some_and(|rest| rest.strip_prefix(b"s").unwrap_or(rest).iter().all(is_number))
}

/// True at the start of a line, or of a file.
fn ends_line(before: &[u8]) -> bool {
    before.is_empty() || before.ends_with(b"\n")
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
        let sign = |around: &&Around| {
            let object = &around.object;
            in_record(object, id).or_else(|| in_text(object, &around.key, id))
        };
        signs[number] = around.iter().find_map(sign);
    });
    signs
}

fn in_record(record: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let signs = [cloud_trail, flattened, guard_duty, security_hub];
    signs.into_iter().find_map(|sign| sign(record, id))
}

/// A record in a text, as `lookup-events` (`CloudTrailEvent`) and `CloudWatch` Logs (`message`) write it.
fn in_text(object: &Map<String, Value>, key: &str, id: &str) -> Option<RootSign> {
    /// The names of fields with such a text; `lookup-events` also has the id beside it.
    const TEXTS: [&str; 3] = ["CloudTrailEvent", "message", "@message"];
    let names = TEXTS.iter().copied().chain([key]);
    let texts = names.filter_map(|name| object.get(name)?.as_str()).filter(|text| text.starts_with('{'));
    texts.filter(|text| text.len() <= json::MAX_OBJECT).find_map(|text| {
        let record: Map<String, Value> = serde_json::from_str(text).ok()?;
        in_record(&record, id)
    })
}

/// A field by the name that AWS gives it, or by that of the Elastic Common Schema.
fn field<'a>(object: &'a Map<String, Value>, names: [&str; 2]) -> Option<&'a Value> {
    names.into_iter().find_map(|name| object.get(name))
}

fn cloud_trail(record: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let identity = field(record, ["userIdentity", "user_identity"])?.as_object()?;
    let is_root = identity.get("type")? == "Root";
    // A service acting for the account also shows as root.
    let is_service =
        record.get("eventType").is_some_and(|kind| kind == "AwsServiceEvent") || identity.contains_key("invokedBy");
    if !is_root || is_service {
        return None;
    }
    if field(identity, ["accessKeyId", "access_key_id"]).is_some_and(|key| key == id) {
        return Some(sign(Strength::Proof, "CloudTrail recorded that the root user called AWS with it."));
    }
    let made = record.get("responseElements")?.get("accessKey")?.get("accessKeyId")?;
    let for_user = record.get("requestParameters").and_then(|parameters| parameters.get("userName"));
    let is_creation = record.get("eventName")? == "CreateAccessKey" && for_user.is_none_or(Value::is_null);
    (is_creation && made == id)
        .then(|| sign(Strength::Proof, "CloudTrail recorded that the root user created it for itself."))
}

/// A `CloudTrail` record with the field names of the Elastic Common Schema, in one flat object; Kibana and the search API
/// write each value as a list
/// ([fields](https://www.elastic.co/docs/reference/beats/filebeat/exported-fields-aws)).
fn flattened(record: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let field = |name: &str| {
        let value = record.get(&format!("aws.cloudtrail.user_identity.{name}"))?;
        value.as_array().and_then(|values| values.first()).unwrap_or(value).as_str()
    };
    (field("type")? == "Root" && field("access_key_id")? == id && field("invoked_by").is_none())
        .then(|| sign(Strength::Proof, "CloudTrail recorded that the root user called AWS with it."))
}

fn guard_duty(finding: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let kind = finding.get("type").or_else(|| finding.get("Type"))?.as_str()?;
    let resource = finding.get("resource").or_else(|| finding.get("Resource"))?;
    let details = resource.get("accessKeyDetails").or_else(|| resource.get("AccessKeyDetails"))?;
    let key = details.get("accessKeyId").or_else(|| details.get("AccessKeyId"))?;
    let is_root = details.get("userType").or_else(|| details.get("UserType")).is_some_and(|kind| kind == "Root");
    ((kind.contains("RootCredentialUsage") || is_root) && key == id)
        .then(|| sign(Strength::Proof, "GuardDuty reported that it was used with the root user's credentials."))
}

/// A resource in a finding of Security Hub
/// ([`AwsIamAccessKey`](https://docs.aws.amazon.com/securityhub/latest/userguide/asff-resourcedetails-awsiam.html)).
fn security_hub(resource: &Map<String, Value>, id: &str) -> Option<RootSign> {
    let name = resource.get("Id")?.as_str()?;
    let details = resource.get("Details")?.get("AwsIamAccessKey")?;
    let own = details.get("AccessKeyId").and_then(Value::as_str).or_else(|| name.rsplit(':').next())?;
    (details.get("PrincipalType")? == "Root" && own == id)
        .then(|| sign(Strength::Proof, "Security Hub lists it as a key of the root user."))
}

/// A row of `CloudTrail` Lake or of a table that Athena reads: `{type=Root, …, accesskeyid=AKIA…, …}`.
fn in_row(text: &[u8], span: &Range<usize>) -> bool {
    const REACH: usize = 1000;
    let before = &text[span.start.saturating_sub(REACH)..span.start];
    let identity = &before[memchr::memrchr(b'{', before).map_or(before.len(), |brace| brace + 1)..];
    let lower = identity.to_ascii_lowercase();
    let is_service = || {
        let after = &text[span.end..text.len().min(span.end + REACH)];
        let rest = after.split(|&b| b == b'}').next().unwrap_or_default().to_ascii_lowercase();
        memchr::memmem::find(&rest, b"invokedby=").is_some_and(|at| !rest[at + 10..].starts_with(b"null"))
    };
    lower.starts_with(b"type=root,") && lower.ends_with(b"accesskeyid=") && !is_service()
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
    COMMENT.find_iter(around).any(|comment| is_of_aws(around, &comment.range()))
}

/// True unless a comment denies that a key is the root user's, or is about the root user of something else.
fn is_of_aws(text: &[u8], comment: &Range<usize>) -> bool {
    const DENIALS: [&str; 8] = ["not ", "n't ", "never ", "no ", "non-", "instead of ", "rather than ", "without "];
    const OTHERS: [&str; 14] = [
        "mysql",
        "mariadb",
        "postgres",
        "mongo",
        "redis",
        "sql",
        "linux",
        "unix",
        "docker",
        "container",
        "sudo",
        "ssh",
        "minio",
        "database",
    ];
    let end = memchr::memchr(b'\n', &text[comment.end..]).map_or(text.len(), |newline| comment.end + newline);
    let line = text[comment.start..end].to_ascii_lowercase();
    let root = memchr::memmem::rfind(&line[..comment.len()], b"root").unwrap_or(0);
    let has =
        |part: &[u8], words: &[&str]| words.iter().any(|word| memchr::memmem::find(part, word.as_bytes()).is_some());
    !has(&line[root.saturating_sub(30)..root], &DENIALS) && !has(&line, &OTHERS)
}

/// True for `root`, `corp-root`, `root_2024`: the word by itself.
fn is_root_name(name: &str) -> bool {
    name.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphabetic()).any(|word| word == "root")
}

/// True for the id in `aws: root: access_key_id: AKIA…` as YAML writes it: lines above are less and less indented.
fn is_below_root(text: &[u8], span: &Range<usize>) -> bool {
    const REACH: usize = 1000;
    let from = span.start.saturating_sub(REACH);
    let mut lines = text[from..span.start].rsplit(|&b| b == b'\n');
    let indent = |line: &[u8]| line.iter().take_while(|b| **b == b' ').count();
    let own = lines.next().unwrap_or_default();
    let mut depth = indent(own);
    let is_set = own.trim_ascii_end().ends_with(b":") || own.trim_ascii_end().ends_with(b": \"");
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        let key = line.trim_ascii();
        if !is_set || depth == 0 {
            break;
        }
        if indent(line) < depth {
            depth = indent(line);
            let name = key.strip_suffix(b":").unwrap_or_default();
            if name.eq_ignore_ascii_case(b"root") || name.eq_ignore_ascii_case(b"root_account") {
                return true;
            }
        }
    }
    false
}
