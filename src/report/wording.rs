//! Sentences that all formats share.

use super::{Coverage, Report};
use crate::finding::history::Reach;
use crate::finding::history::{Commit, Exposure, History};
use crate::finding::message::{Medium, Message, Party};
use crate::finding::object::ObjectKind;
use crate::finding::verification::{KeyStatus, Usage, Verification};
use crate::finding::{Finding, Suppression};
use crate::rule::{Finder, Matcher};
use crate::text::sanitize::one_line;
use bytesize::ByteSize;

/// What was found, as the title of a diagnostic, without a full stop.
pub fn headline(finding: &Finding) -> String {
    let mut text = finding.rule.texts().name.clone();
    if let Some(id) = finding.id().filter(|_| finding.judgement().is_some()) {
        text = format!("{text}: {}", id.text);
    } else if let Some(id) = finding.id().filter(|_| finding.observation().is_some()) {
        text = format!("{text}: {}", one_line(&id.text));
        // The rule name says the rest.
        return text;
    } else if let Some(id) = finding.id() {
        let with_secret = is_temporary(finding) && finding.secret().is_some();
        text = format!("{text} {}{}", id.text, if with_secret { " with its secret" } else { "" });
    }
    if let Some(account) = finding.account {
        text = format!("{text} of account {account}");
    }
    text
}

/// Further facts about a finding, in sentences.
pub fn remarks(finding: &Finding) -> Vec<String> {
    let mut remarks: Vec<String> = finding.observation().map(str::to_owned).into_iter().collect();
    remarks.extend(finding.hint().map(str::to_owned));
    remarks.extend(finding.proof().map(str::to_owned));
    remarks.extend(finding.link().map(|partner| partner.reason.clone()));
    let key = finding.key();
    if key.is_some_and(|key| key.is_doubtful && key.proof.is_none()) {
        remarks.push("They probably belong together; other ids or secrets are about as near.".to_owned());
    }
    remarks.extend(key.and_then(|key| key.vendor).map(|name| format!("The text around it speaks of {name}.")));
    if let Some(expires) = key.and_then(|key| key.expires).filter(|_| finding.judgement().is_none()) {
        let words = if finding.is_expired_link() { "It has expired: it worked" } else { "It works" };
        remarks.push(format!("{words} until {}, according to the text.", moment(expires)));
    }
    remarks.extend(finding.verification().map(verified));
    if finding.is_canary {
        let text = "The account belongs to a canary token service: this key was planted as a tripwire. Do not try it: \
                    using it raises an alarm.";
        remarks.push(text.to_owned());
    }
    let encodings: Vec<_> = finding.values().flat_map(|value| &value.encodings).collect();
    if let Some(encoding) = encodings.first() {
        use crate::finding::Encoding::{
            Base64, ByteArray, Compressed, Escaped, Gzip, Hex, Utf16Be, Utf16Le, Utf32Be, Utf32Le,
        };
        let how = match encoding {
            Base64 => "in base64",
            Utf16Le | Utf16Be => "in UTF-16",
            Utf32Le | Utf32Be => "in UTF-32",
            Hex => "in hexadecimal",
            Gzip | Compressed => "compressed and in base64",
            ByteArray => "as a list of bytes",
            Escaped => "with escaped or invisible characters, or split by a line break",
        };
        remarks.push(format!("It is written {how}."));
    }
    remarks.extend(finding.expired.as_deref().map(str::to_owned));
    match finding.suppression.as_deref() {
        Some(Suppression::Dummy(dummy)) => remarks.push(format!("Not counted: it is {}.", dummy.describe())),
        Some(Suppression::Allowlist { place, reason } | Suppression::Baseline { place, reason }) => {
            let verb = if matches!(finding.suppression.as_deref(), Some(Suppression::Baseline { .. })) {
                "accepted"
            } else {
                "allowed"
            };
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            remarks.push(format!("Not counted: it is {verb} by {place}{why}."));
        }
        Some(Suppression::Inline { line, reason }) if reason.is_empty() => {
            remarks.push(format!("Not counted: the comment on line {line} allows it."));
        }
        Some(Suppression::Inline { line, reason }) => {
            remarks.push(format!("Not counted: the comment on line {line} allows it ({reason})."));
        }
        None => {}
    }
    remarks
}

/// What was answered when it was asked whether the key works, as a sentence.
pub fn verified(answer: &Verification) -> String {
    let Verification { status, checked, arn, usage, reason, .. } = answer;
    verified_words(*status, &moment(*checked), arn.as_deref(), usage.as_ref(), reason.as_deref())
}

/// The same, of its parts.
pub fn verified_words(
    status: KeyStatus,
    asked: &str,
    arn: Option<&str>,
    usage: Option<&Usage>,
    reason: Option<&str>,
) -> String {
    let reason = reason.unwrap_or("there is no answer");
    match (status, arn) {
        (KeyStatus::Active, Some(arn)) => format!("It works: AWS accepted it on {asked}, as {}.", one_line(arn)),
        (KeyStatus::Active, None) => {
            let fact =
                |words: &str, value: Option<&String>| value.map(|value| format!(", {words} {}", one_line(value)));
            let user = usage.and_then(|usage| fact("of user", usage.user.as_ref())).unwrap_or_default();
            let created = usage.and_then(|usage| fact("created", usage.created.as_ref())).unwrap_or_default();
            let last_use = usage.map(|usage| match &usage.last_used {
                Some(moment) => {
                    let by = fact("for", usage.service.as_ref()).unwrap_or_default();
                    let place = fact("in", usage.region.as_ref()).unwrap_or_default();
                    format!(", last used {}{by}{place}", one_line(moment))
                }
                None => ", never used".into(),
            });
            format!("IAM said on {asked} that it is active{user}{created}{}.", last_use.unwrap_or_default())
        }
        (KeyStatus::Inactive, _) if usage.is_some() => {
            format!("IAM said on {asked} that it is not active: it was deleted or deactivated.")
        }
        (KeyStatus::Inactive, _) => {
            format!("It does not work: AWS did not know the id on {asked}. It was deleted or deactivated.")
        }
        (KeyStatus::WrongSecret, _) => {
            format!("The id works, but AWS said on {asked} that this is not its secret.")
        }
        (KeyStatus::Expired, _) => format!("AWS said on {asked} that it has expired."),
        (KeyStatus::Unknown, _) => format!("Whether it works is not known: {reason}."),
        (KeyStatus::NotAsked, _) => format!("Not verified: {reason}."),
    }
}

/// The message that contains the finding, as a sentence.
pub fn correspondence(message: &Message) -> String {
    let noun = match message.medium {
        Medium::Mail => "mail message",
        Medium::Patch => "patch that was not mailed",
        Medium::Chat => "message",
        Medium::Ticket => "ticket or comment",
    };
    let list = |parties: &[Party]| {
        let shown: Vec<_> = parties.iter().take(3).map(Party::to_text).collect();
        let more = parties.len() - shown.len();
        shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
    };
    let mut text = format!("It is in a {noun}");
    let guest = if message.is_from_outside { " (a guest)" } else { "" };
    let roles = [
        (" from ", &message.from),
        (" to ", &message.to),
        (", copied to ", &message.cc),
        (", blind-copied to ", &message.bcc),
    ];
    for (word, parties) in roles.into_iter().filter(|(_, parties)| !parties.is_empty()) {
        text += &format!("{word}{}{}", list(parties), if word == " from " { guest } else { "" });
    }
    if let Some(channel) = &message.channel {
        let shared = if channel.is_external { " (shared with other organisations)" } else { "" };
        text += &format!(" in {}{shared}", channel.name);
    }
    if !message.list_id.is_empty() {
        text += &format!(", via the mailing list {}", message.list_id);
    }
    if !message.date.is_empty() {
        text += &format!(", {}", message.date);
    }
    if !message.subject.is_empty() {
        text += &format!(": {}", shorten(&message.subject));
    }
    text + "."
}

/// What a repository's history says, in sentences: what introduced the finding, whether it is still there, since when.
pub fn chronicle(history: &History) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(first) = history.introduced.listed.first() {
        let verb = match history.kind {
            ObjectKind::Commit => "Found in the text of commit",
            _ => "Introduced in commit",
        };
        let others = match history.introduced.count - 1 {
            0 => String::new(),
            1 => " and 1 more commit".into(),
            n => format!(" and {n} more commits"),
        };
        let cut = if history.is_cut { "; the shallow clone ends there, so it may be older" } else { "" };
        sentences.push(format!("{verb} {}{others}{cut}.", describe(first)));
    }
    let days = |exposure: &Exposure| match exposure.days {
        1 => "1 day".to_owned(),
        n => format!("{n} days"),
    };
    let exposure = history.exposure.as_ref();
    let removed = history.removed.listed.first().filter(|_| !history.is_at_head);
    if history.ref_count > 0 {
        let since = exposure.map_or_else(String::new, |exposure| format!(" (exposed for {} so far)", days(exposure)));
        sentences.push(format!("It is still in {}{since}.", whereabouts(history)));
        if let Some(removed) = removed {
            sentences.push(format!("Removed elsewhere in commit {}.", describe(removed)));
        }
    } else if let Some(removed) = removed {
        let after = exposure.map_or_else(String::new, |exposure| format!(", after {}", days(exposure)));
        sentences.push(format!("Removed in commit {}{after}; it is still in the history.", describe(removed)));
    }
    match (history.reach, history.kind) {
        (Reach::Head | Reach::Refs, _) => {}
        (Reach::Index, _) => sentences.push("It is staged but not yet committed.".into()),
        (Reach::Reflog, _) => {
            sentences.push("It is only reachable from a reflog: it was amended, rebased, reset or dropped.".into());
        }
        (Reach::Unreachable, ObjectKind::Blob) if history.introduced.count == 0 => {
            sentences.push("No commit contains it: it was staged but never committed, or its commit is gone.".into());
        }
        (Reach::Unreachable, _) => {
            sentences.push("No ref or reflog reaches it: it is kept until git garbage-collects it.".into());
        }
    }
    sentences
}

/// The first few refs that contain it, with short names.
fn whereabouts(history: &History) -> String {
    let short = |name: &String| {
        let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/remotes/"));
        let tag = name.strip_prefix("refs/tags/").map(|tag| format!("tag {tag}"));
        one_line(&tag.unwrap_or_else(|| short.unwrap_or(name).to_owned()))
    };
    let names: Vec<_> = history.refs.iter().take(3).map(short).collect();
    let more = match history.ref_count - names.len() {
        0 => String::new(),
        1 => " and 1 more ref".into(),
        n => format!(" and {n} more refs"),
    };
    names.join(", ") + &more
}

/// A commit in a sentence: abbreviated id, date, author, subject.
fn describe(commit: &Commit) -> String {
    let Commit { oid, author, subject, .. } = commit;
    let subject = if subject.is_empty() { String::new() } else { format!(": {}", shorten(subject)) };
    format!("{} ({}, {}{subject})", oid.short(), date(author.time), author.name)
}

fn shorten(text: &str) -> String {
    const MAX_LENGTH: usize = 60;
    if text.chars().count() <= MAX_LENGTH {
        text.to_owned()
    } else {
        text.chars().take(MAX_LENGTH).chain(['…']).collect()
    }
}

/// Formats seconds since 1970, as in `2026-05-04T03:02:01Z`.
pub fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// The UTC date of a moment in seconds since 1970, as in `2026-05-04`.
pub fn date(seconds: i64) -> String {
    moment(seconds).split('T').next().unwrap_or_default().to_owned()
}

/// The commit of a finding that is in history alone, for formats without a place for it.
pub fn in_history(finding: &Finding) -> Option<String> {
    let history = finding.history.as_ref().filter(|history| history.is_past())?;
    let commit = history.introduced.listed.first().or(history.last.as_ref());
    let commit = commit.map_or_else(String::new, |commit| format!(", since commit {}", commit.oid.short()));
    Some(format!("in history{commit}, and not in the current files"))
}

/// What to do about what a rule without a remedy has found.
pub const USUAL_REMEDY: &str =
    "Revoke it where it was issued, make a new one if something needs it, and keep that out of files.";

/// The rule's remedy, with the key id or user name filled in; what is left to do if the key is known not to work.
pub fn remedy(finding: &Finding) -> String {
    match finding.verification().map(|answer| answer.status) {
        Some(KeyStatus::Inactive) => {
            return "It does not work any more. Delete it if it is only deactivated, and take it out of the files."
                .into();
        }
        Some(KeyStatus::Expired) => return "It has expired. Take it out of the files.".into(),
        _ => {}
    }
    let remedy = match finding.rule.texts().remedy.trim() {
        "" => USUAL_REMEDY,
        remedy => remedy,
    };
    // A finding in a credential report names the user, not the key.
    let user = finding.id().filter(|_| finding.observation().is_some()).and_then(|id| id.text.rsplit_once(":user/"));
    match (finding.key_id(), user) {
        (Some(id), _) => remedy.replace("--access-key-id ID", &format!("--access-key-id {id}")),
        (None, Some((_, user))) if is_plain(user) => remedy.replace("--user-name USER", &format!("--user-name {user}")),
        _ => remedy.to_owned(),
    }
}

/// What to do about a key, as steps: commands, or console instructions where no command will do. Empty if it is not known
/// to be usable: then the rule's remedy says what to do.
pub fn steps(finding: &Finding, is_root: bool) -> Vec<String> {
    if is_root {
        return root_steps(finding);
    }
    if !can_be_revoked(finding) || finding.secret().is_none() {
        return vec![];
    }
    let owner = finding.owner().filter(|owner| !owner.is_profile).map(|owner| owner.name.as_str());
    let mut commands = finding.key_id().map(|id| commands(&one_line(id), owner)).unwrap_or_default();
    if finding.verification().is_some_and(|answer| answer.status == KeyStatus::Inactive) {
        commands.retain(|command| !command.contains("--status Inactive"));
    }
    commands
}

/// True if [`commands`] revoke the key that a finding is of: a user's, and not a tripwire.
pub fn can_be_revoked(finding: &Finding) -> bool {
    finding.key_id().is_some_and(|id| id.starts_with("AKIA")) && finding.key().is_some() && !finding.is_canary
}

/// The commands that revoke a user's key and show its use. The first one prints the user's name, and the last has a condition
/// before it (a comment after it would not do: in zsh, a `#` that is typed is none).
///
/// Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events-cli.html>.
pub fn commands(id: &str, user: Option<&str>) -> Vec<String> {
    let user = user.filter(|user| is_plain(user)).unwrap_or("USER");
    vec![
        format!("aws iam get-access-key-last-used --access-key-id {id}"),
        format!("aws iam update-access-key --user-name {user} --access-key-id {id} --status Inactive"),
        lookup_events(id),
        format!("once nothing needs it any more: aws iam delete-access-key --user-name {user} --access-key-id {id}"),
    ]
}

/// `CloudTrail` is asked region by region.
fn lookup_events(id: &str) -> String {
    format!(
        "for region in $(aws ec2 describe-regions --query 'Regions[].RegionName' --output text); do \
         aws cloudtrail lookup-events --region $region \
         --lookup-attributes AttributeKey=AccessKeyId,AttributeValue={id}; done"
    )
}

/// True if a step is a command and not a sentence.
pub fn is_command(step: &str) -> bool {
    step.starts_with("aws ") || step.starts_with("for ")
}

/// What to do about a root user's key.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user_manage_delete-key.html>.
pub fn root_steps(finding: &Finding) -> Vec<String> {
    let id = finding.key_id().map_or_else(|| "the key".into(), one_line);
    vec![
        "sign in to the console as the root user, open the account menu and choose \"Security credentials\"".into(),
        format!("under \"Access keys\" choose {id}, Actions, Deactivate; once nothing depends on it, Delete"),
        "change the root user's password, and make sure that MFA is enabled".into(),
        lookup_events(&id),
    ]
}

/// What was not scanned, counted: `3 files that git ignores`.
pub fn skipped_in_words(coverage: &Coverage) -> Vec<String> {
    coverage.skips_by_cause().into_iter().map(|(cause, count)| skips(cause, count)).collect()
}

/// How often something was not scanned because of one cause: `3 files that git ignores`.
pub fn skips(cause: &str, count: usize) -> String {
    format!("{} {}", with_thousands(count), skipped_noun(cause, count == 1))
}

/// What a [`SkipCause`](crate::source::SkipCause)'s word stands for, in the singular or plural.
pub fn skipped_noun(cause: &str, is_one: bool) -> &str {
    let (one, many) = match cause {
        "missing" => ("path that does not exist", "paths that do not exist"),
        "unreadable" => ("unreadable file or object", "unreadable files or objects"),
        "too-large" => ("file over the size limit", "files over the size limit"),
        "git-ignored" => ("path that git ignores", "paths that git ignores"),
        "tracking-unknown" => ("repository whose index is unreadable", "repositories whose indexes are unreadable"),
        "symlink" => ("symbolic link", "symbolic links"),
        "special" => ("pipe, socket or device", "pipes, sockets or devices"),
        "internal" => ("file, because of an internal error", "files, because of internal errors"),
        "damaged" => ("damaged archive or document", "damaged archives or documents"),
        "encrypted" => ("encrypted file", "encrypted files"),
        "unsupported" => ("archive of an unknown kind", "archives of an unknown kind"),
        "no-text" => ("document without readable text", "documents without readable text"),
        "over-limit" => ("archive over a limit", "archives over a limit"),
        "more-entries" => ("archive with more entries", "archives with more entries"),
        "not-opened" => ("archive, as requested", "archives, as requested"),
        "too-many" => ("file with too many findings", "files with too many findings"),
        "no-repository" => ("path that is not in a repository", "paths that are not in a repository"),
        "no-commits" => {
            ("repository whose changes cannot be determined", "repositories whose changes cannot be determined")
        }
        "more-unreadable" => ("repository with more unreadable objects", "repositories with more unreadable objects"),
        "too-many-paths" => ("history with too many paths", "histories with too many paths"),
        "not-fetched" => ("partial clone", "partial clones"),
        "shallow" => ("shallow clone's earlier commits", "shallow clones' earlier commits"),
        "no-submodule" => ("submodule that was never fetched", "submodules that were never fetched"),
        "not-verified" => ("key that could not be verified", "keys that could not be verified"),
        "settings" => ("file of settings that cannot be used", "files of settings that cannot be used"),
        "output" => ("file that a report is written to", "files that reports are written to"),
        "own-report" => ("report of keyspill", "reports of keyspill"),
        "excluded" => ("path excluded by the configuration", "paths excluded by the configuration"),
        "accepted" => ("path accepted as not scannable", "paths accepted as not scannable"),
        other => (other, other),
    };
    if is_one { one } else { many }
}

/// A key's short name: its id, or the start of its secret's fingerprint.
pub fn short_key(name: &str) -> String {
    match name.split_once("-v1:") {
        Some((_, digits)) => format!("secret {}", digits.chars().take(10).collect::<String>()),
        None => one_line(name),
    }
}

/// A number and its noun: `1 file`, `1,234 files`.
pub fn plural(n: usize, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", with_thousands(n))
}

/// A number with commas.
pub fn with_thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// True if a name is safe to paste into a shell unquoted.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

/// The first sentence of a text.
pub fn first_sentence(text: &str) -> &str {
    let end = text.match_indices(". ").map(|(at, _)| at + 1).next();
    &text[..end.unwrap_or(text.len())]
}

/// The noun for a finding's secret part.
pub fn secret_noun(finding: &Finding) -> &'static str {
    match finding.rule.matcher {
        Matcher::Finder(Finder::AccessKeyPair | Finder::SecretAccessKey | Finder::TemporaryKey) => "secret access key",
        Matcher::Finder(Finder::S3CompatibleKey | Finder::SecretKey40) => "secret key",
        Matcher::Finder(Finder::SesSmtpPassword) => "SMTP password",
        _ => "secret",
    }
}

fn is_temporary(finding: &Finding) -> bool {
    matches!(finding.rule.matcher, Matcher::Finder(Finder::TemporaryKey))
}

/// What was scanned: `3 files, 1.2 KiB; in history: 2 commits, 4 objects, 1.0 KiB`.
pub fn extent(coverage: &Coverage) -> String {
    let count = |n: u64, noun| plural(usize::try_from(n).unwrap_or(usize::MAX), noun);
    let mut words = format!("{}, {}", count(coverage.files, "file"), ByteSize(coverage.bytes));
    if coverage.inner_blobs > 0 {
        let parts = count(coverage.inner_blobs, "part");
        words += &format!("; in archives, documents and mail: {parts}, {}", ByteSize(coverage.inner_bytes));
    }
    if coverage.objects > 0 {
        let (commits, objects) = (count(coverage.commits, "commit"), count(coverage.objects, "object"));
        words += &format!("; in history: {commits}, {objects}, {}", ByteSize(coverage.object_bytes));
    } else if coverage.commits > 0 {
        words += &format!("; from {}", count(coverage.commits, "commit"));
    }
    words
}

/// The findings that do not count, in words and by reason: `6 documented examples`, `2 allowed inline`.
pub fn suppressed_in_words(report: &Report) -> Vec<String> {
    let [examples, placeholders, inline, configured, accepted] = suppressed_by_reason(report);
    let words = [
        (examples, plural(examples, "documented example")),
        (placeholders, plural(placeholders, "placeholder")),
        (inline, format!("{} allowed inline", with_thousands(inline))),
        (configured, format!("{} allowed by the configuration", with_thousands(configured))),
        (accepted, format!("{} accepted", with_thousands(accepted))),
    ];
    words.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect()
}

/// The number of findings that do not count, by reason: AWS's examples, placeholders, inline comments, configuration,
/// baseline.
pub fn suppressed_by_reason(report: &Report) -> [usize; 5] {
    use crate::finding::Dummy;
    let count = |wanted: fn(&Suppression) -> bool| {
        report.suppressed().filter_map(|finding| finding.suppression.as_ref()).filter(|reason| wanted(reason)).count()
    };
    [
        count(|reason| *reason == Suppression::Dummy(Dummy::Documented)),
        count(|reason| *reason == Suppression::Dummy(Dummy::Placeholder)),
        count(|reason| matches!(reason, Suppression::Inline { .. })),
        count(|reason| matches!(reason, Suppression::Allowlist { .. })),
        count(|reason| matches!(reason, Suppression::Baseline { .. })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(plural(1_234_567, "file"), "1,234,567 files");
        assert_eq!(with_thousands(12), "12");
    }
}
