//! Sentences that all formats share.

use super::Report;
use crate::finding::history::Reach;
use crate::finding::history::{Commit, Exposure, History};
use crate::finding::message::{Medium, Message, Party};
use crate::finding::object::ObjectKind;
use crate::finding::{Finding, Suppression};
use crate::rule::{Finder, Matcher};
use crate::text::sanitize::one_line;

/// What was found, as the title of a diagnostic: no full stop.
pub fn headline(finding: &Finding) -> String {
    let mut text = finding.rule.name.clone();
    if let Some(id) = finding.id().filter(|_| finding.judgement().is_some()) {
        text = format!("{text}: {}", id.text);
    } else if let Some(id) = finding.id().filter(|_| finding.observation().is_some()) {
        text = format!("{text}: {}", one_line(&id.text));
        // The name tells it.
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

/// What there is to know besides, in sentences.
pub fn remarks(finding: &Finding) -> Vec<String> {
    let mut remarks: Vec<String> = finding.observation().map(str::to_owned).into_iter().collect();
    remarks.extend(finding.proof().map(str::to_owned));
    remarks.extend(finding.link().map(|partner| partner.reason.clone()));
    if finding.is_canary {
        let text = "The account belongs to a service for canary tokens: this key was planted as a tripwire. Do not try it: \
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
            Escaped => "with escaped or invisible characters, or cut by a line break",
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
            remarks.push(format!("Not counted: it is {verb} at {place}{why}."));
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

/// In whose message it is, as a sentence.
pub fn correspondence(message: &Message) -> String {
    let noun = match message.medium {
        Medium::Mail => "mail",
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
    let guest = if message.is_from_outside { " (who is a guest)" } else { "" };
    let roles = [
        (" from ", &message.from),
        (" to ", &message.to),
        (", copied to ", &message.cc),
        (", unseen to ", &message.bcc),
    ];
    for (word, parties) in roles.into_iter().filter(|(_, parties)| !parties.is_empty()) {
        text += &format!("{word}{}{}", list(parties), if word == " from " { guest } else { "" });
    }
    if let Some(channel) = &message.channel {
        let shared = if channel.is_external { ", which is shared with other organisations" } else { "" };
        text += &format!(" in {}{shared}", channel.name);
    }
    if !message.list_id.is_empty() {
        text += &format!(", through the list {}", message.list_id);
    }
    if !message.date.is_empty() {
        text += &format!(", {}", message.date);
    }
    if !message.subject.is_empty() {
        text += &format!(": {}", shorten(&message.subject));
    }
    text + "."
}

/// What a repository's history tells of it, in sentences: who brought it in, whether it is still there, since when.
pub fn chronicle(history: &History) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(first) = history.introduced.listed.first() {
        let verb = match history.kind {
            ObjectKind::Commit => "It is in the text of commit",
            _ => "It was brought in by commit",
        };
        let others = match history.introduced.count - 1 {
            0 => String::new(),
            1 => ", and by 1 more commit".into(),
            n => format!(", and by {n} more commits"),
        };
        let cut = if history.is_cut { "; the clone is shallow and ends there, so it may be older" } else { "" };
        sentences.push(format!("{verb} {}{others}{cut}.", describe(first)));
    }
    let days = |exposure: &Exposure| match exposure.days {
        1 => "1 day".to_owned(),
        n => format!("{n} days"),
    };
    let exposure = history.exposure.as_ref();
    let removed = history.removed.listed.first().filter(|_| !history.is_at_head);
    if history.ref_count > 0 {
        let since = exposure.map_or_else(String::new, |exposure| format!(", for {} now", days(exposure)));
        sentences.push(format!("It is still there: in {}{since}.", whereabouts(history)));
        if let Some(removed) = removed {
            sentences.push(format!("It was taken out elsewhere by commit {}.", describe(removed)));
        }
    } else if let Some(removed) = removed {
        let after = exposure.map_or_else(String::new, |exposure| format!(", after {}", days(exposure)));
        sentences.push(format!("It was taken out by commit {}{after}; history still holds it.", describe(removed)));
    }
    match (history.reach, history.kind) {
        (Reach::Head | Reach::Refs, _) => {}
        (Reach::Index, _) => sentences.push("It is staged, and in no commit yet.".into()),
        (Reach::Reflog, _) => {
            sentences
                .push("No ref leads there any more, only a reflog: it was amended, rebased, reset or dropped.".into());
        }
        (Reach::Unreachable, ObjectKind::Blob) if history.introduced.count == 0 => {
            sentences.push("No commit holds it: it was staged and never committed, or its commit is gone.".into());
        }
        (Reach::Unreachable, _) => {
            sentences.push("No ref and no reflog leads there: it is kept until git cleans up.".into());
        }
    }
    sentences
}

/// The first few refs that hold it, as people call them.
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

/// A commit in a sentence: name, day, author, subject.
fn describe(commit: &Commit) -> String {
    let Commit { oid, author, subject, .. } = commit;
    let subject = if subject.is_empty() { String::new() } else { format!(": {}", shorten(subject)) };
    format!("{} ({}, {}{subject})", oid.short(), date(author.time), author.name)
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The moment so many seconds after 1970, as in `2026-05-04T03:02:01Z`.
pub fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// The day of a moment, as in `2026-05-04`, in UTC.
pub fn date(seconds: i64) -> String {
    moment(seconds).split('T').next().unwrap_or_default().to_owned()
}

/// What to do first, with the key's own id in the command.
pub fn remedy(finding: &Finding) -> String {
    let remedy = finding.rule.remedy.trim();
    // Of what a report says, the user is known and not the key.
    let user = finding.id().filter(|_| finding.observation().is_some()).and_then(|id| id.text.rsplit_once(":user/"));
    match (finding.key_id(), user) {
        (Some(id), _) => remedy.replace("--access-key-id ID", &format!("--access-key-id {id}")),
        (None, Some((_, user))) if is_plain(user) => remedy.replace("--user-name USER", &format!("--user-name {user}")),
        _ => remedy.to_owned(),
    }
}

/// What to do about a key, as steps: commands with the key's own id, or what to click for what no command can do.
///
/// Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user_manage_delete-key.html>.
pub fn steps(finding: &Finding, is_root: bool) -> Vec<String> {
    let Some(id) = finding.key_id().filter(|_| finding.key().is_some() && !finding.is_canary) else { return vec![] };
    let id = one_line(id);
    let events = format!(
        "aws cloudtrail lookup-events --lookup-attributes AttributeKey=AccessKeyId,AttributeValue={id}  (in every region)"
    );
    if is_root {
        return vec![
            "sign in to the console as the root user, open the menu with the account's name, then \"Security credentials\"".into(),
            format!("under \"Access keys\" choose {id}, Actions, Deactivate; when nothing misses it, Delete"),
            "change the root user's password, and see that MFA is on".into(),
            events,
        ];
    }
    if !id.starts_with("AKIA") {
        return vec![];
    }
    let user = match finding.owner().filter(|owner| !owner.is_profile && is_plain(&owner.name)) {
        Some(owner) => format!(" --user-name {}", owner.name),
        None => String::new(),
    };
    vec![
        format!("aws iam update-access-key --access-key-id {id} --status Inactive{user}"),
        events,
        format!("aws iam delete-access-key --access-key-id {id}{user}"),
    ]
}

/// True for what may be pasted into a shell as it is.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

/// The first sentence of a text.
pub fn first_sentence(text: &str) -> &str {
    let end = text.match_indices(". ").map(|(at, _)| at + 1).next();
    &text[..end.unwrap_or(text.len())]
}

/// How to call a finding's secret part.
pub fn secret_noun(finding: &Finding) -> &'static str {
    match finding.rule.matcher {
        Matcher::Finder(Finder::AccessKeyPair | Finder::SecretAccessKey | Finder::TemporaryKey) => "secret access key",
        Matcher::Finder(Finder::SesSmtpPassword) => "SMTP password",
        _ => "secret",
    }
}

fn is_temporary(finding: &Finding) -> bool {
    matches!(finding.rule.matcher, Matcher::Finder(Finder::TemporaryKey))
}

/// How many findings do not count, by reason: AWS's examples, placeholders, inline comments, the configuration, the baseline.
pub fn suppressed_by_reason(report: &Report) -> [(usize, &'static str); 5] {
    use crate::finding::Dummy;
    let count = |wanted: fn(&Suppression) -> bool| {
        report
            .suppressed
            .iter()
            .filter_map(|finding| finding.suppression.as_ref())
            .filter(|reason| wanted(reason))
            .count()
    };
    [
        (count(|reason| *reason == Suppression::Dummy(Dummy::Documented)), "documented example"),
        (count(|reason| *reason == Suppression::Dummy(Dummy::Placeholder)), "placeholder"),
        (count(|reason| matches!(reason, Suppression::Inline { .. })), "allowed inline"),
        (count(|reason| matches!(reason, Suppression::Allowlist { .. })), "allowed by the configuration"),
        (count(|reason| matches!(reason, Suppression::Baseline { .. })), "accepted"),
    ]
}
