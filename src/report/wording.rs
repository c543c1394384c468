//! Sentences that all formats share.

use super::Report;
use crate::finding::{Finding, Suppression};
use crate::rule::{Finder, Matcher};

/// What was found, as the title of a diagnostic: no full stop.
pub fn headline(finding: &Finding) -> String {
    let mut text = finding.rule.name.clone();
    if let Some(id) = &finding.id {
        let with_secret = is_temporary(finding) && finding.secret.is_some();
        text = format!("{text} {}{}", id.text, if with_secret { " with its secret" } else { "" });
    }
    if let Some(account) = finding.account {
        text = format!("{text} of account {account}");
    }
    text
}

/// What there is to know besides, in sentences.
pub fn remarks(finding: &Finding) -> Vec<String> {
    let mut remarks = Vec::new();
    if finding.is_canary() {
        let text = "The account belongs to a service for canary tokens: this key was planted as a tripwire. Do not try it: \
                    using it raises an alarm.";
        remarks.push(text.to_owned());
    }
    let encodings: Vec<_> = finding.values().flat_map(|value| &value.encodings).collect();
    if let Some(encoding) = encodings.first() {
        use crate::detect::decode::Encoding::{Base64, Escaped, Utf16Be, Utf16Le};
        let how = match encoding {
            Base64 => "in base64",
            Utf16Le | Utf16Be => "in UTF-16",
            Escaped => "with escaped characters",
        };
        remarks.push(format!("It is written {how}."));
    }
    match &finding.suppression {
        Some(Suppression::Dummy(dummy)) => remarks.push(format!("Not counted: it is {}.", dummy.describe())),
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

/// What to do first, with the key's own id in the command.
pub fn remedy(finding: &Finding) -> String {
    let remedy = finding.rule.remedy.trim();
    match &finding.id {
        Some(id) => remedy.replace("--access-key-id ID", &format!("--access-key-id {}", id.text)),
        None => remedy.to_owned(),
    }
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

/// How many findings do not count, by reason: AWS's examples, placeholders, inline comments.
pub fn suppressed_by_reason(report: &Report) -> [(usize, &'static str); 3] {
    use crate::detect::dummy::Dummy;
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
    ]
}
