//! The report of a hook: what blocks the action, where, what to do, how to bypass it. It is only a few lines long,
//! since it interrupts a person in the middle of something else.

use super::Report;
use super::wording::{headline, steps};
use crate::finding::Finding;
use crate::finding::object::ObjectKind;
use crate::rule::{Finder, Matcher, Severity};
use crate::text::sanitize::one_line;
use std::collections::HashSet;
use std::fmt::Write;

/// Maximum number of keys listed, one per line; the others are only counted.
const MAX_KEYS: usize = 5;
/// Maximum number of failures listed.
const MAX_FAILURES: usize = 3;

/// The action that ran the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookAction {
    /// `git commit`.
    Commit,
    /// `git push`, on the local side.
    Push,
    /// A push, on the receiving side.
    Receive,
    /// `git commit`, of which the message was checked.
    Message,
    /// A check of files, without a commit.
    Check,
}

impl HookAction {
    /// The start of the first line: what the hook did.
    fn what(self) -> &'static str {
        match self {
            Self::Commit | Self::Message => "keyspill stopped the commit",
            Self::Push | Self::Receive => "keyspill stopped the push",
            Self::Check => "keyspill checked these files",
        }
    }

    /// The command that bypasses the hook; empty if there is none.
    fn way_round(self) -> &'static str {
        match self {
            Self::Commit | Self::Message => "git commit --no-verify",
            Self::Push => "git push --no-verify",
            Self::Receive | Self::Check => "",
        }
    }
}

/// The text; empty if nothing blocks the action. `command` shows the full report.
pub fn write(report: &Report, action: HookAction, fail_on: Severity, command: &str) -> String {
    let mut counted: Vec<&Finding> = report.findings().filter(|finding| finding.severity >= fail_on).collect();
    // Judgements come last: they are about keys that are listed anyway.
    counted.sort_by_key(|finding| (finding.judgement().is_some(), std::cmp::Reverse(finding.severity)));
    let mut seen = HashSet::new();
    counted.retain(|finding| seen.insert(finding.credential()));
    let failures: Vec<_> = report.coverage.failures().collect();
    let mut out = String::new();
    let what = action.what();
    let are_of_aws = counted.iter().all(|finding| finding.rule.id.as_str().starts_with("aws-"));
    match (counted.len(), failures.len()) {
        (0, 0) => return out,
        (0, _) => _ = writeln!(out, "{what}: the scan is incomplete"),
        // The finding may be something other than a key, such as code that mails one.
        (1, _) if counted[0].key().is_none() => _ = writeln!(out, "{what}: there is a finding"),
        (1, _) => _ = writeln!(out, "{what}: found {}", if are_of_aws { "an AWS key" } else { "a secret" }),
        (n, _) => _ = writeln!(out, "{what}: found {n} {}", if are_of_aws { "AWS keys" } else { "secrets" }),
    }
    for finding in counted.iter().take(MAX_KEYS) {
        let place = format!("{}:{}", one_line(&finding.path.to_text()), finding.location.start_line);
        // Which of the pushed commits to change.
        let commit = finding.history.as_ref().and_then(|history| history.introduced.listed.first());
        let commit = commit.filter(|_| matches!(action, HookAction::Push | HookAction::Receive));
        let commit = commit.map(|commit| format!(", in commit {} ({})", commit.oid.short(), commit.subject));
        _ = writeln!(out, "  {place}: {} [{}]{}", headline(finding), finding.rule.id, commit.unwrap_or_default());
    }
    for skip in failures.iter().take(MAX_FAILURES) {
        _ = writeln!(out, "  {}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string()));
    }
    let more = counted.len().saturating_sub(MAX_KEYS) + failures.len().saturating_sub(MAX_FAILURES);
    if more > 0 {
        _ = writeln!(out, "  … and {more} more: {command}");
    }
    if let Some(first) = counted.first() {
        let is_key = first.key().is_some();
        let remedy = super::wording::remedy(first);
        let is_in_tag = first.history.as_ref().is_some_and(|history| history.kind == ObjectKind::Tag);
        out.push_str(if !is_key {
            super::wording::first_sentence(&remedy)
        } else if action == HookAction::Message {
            "Remove it from the message."
        } else if matches!(action, HookAction::Commit | HookAction::Check) {
            "Remove it from the file and load it from elsewhere (a profile, a secrets manager)."
        } else if is_in_tag {
            "Delete the tag and make it anew without the key (git tag -d)."
        } else {
            "Remove it from every commit being pushed (git rebase -i), not only from the file."
        });
        out.push('\n');
        let is_root = report.findings.iter().any(|finding| {
            let is_root = matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey));
            is_root && finding.credential() == first.credential()
        });
        let steps = steps(first, is_root);
        if !steps.is_empty() {
            out.push_str("If it was already exposed elsewhere, revoke it:\n");
            // The first command tells the user that the second one needs.
            steps.iter().take(2).for_each(|step| _ = writeln!(out, "    {step}"));
        } else if is_key {
            let remedy = super::wording::first_sentence(first.rule.texts().remedy.trim());
            _ = writeln!(out, "If it was already exposed elsewhere: {}", one_line(remedy));
        }
        write_ways_to_allow(&mut out, &counted[..counted.len().min(MAX_KEYS)], action);
    } else {
        out.push_str("Fix or remove what cannot be scanned, or accept it with [[unscanned]] in keyspill.toml.\n");
    }
    if !action.way_round().is_empty() {
        _ = writeln!(out, "To bypass the hook once: {}", action.way_round());
    }
    out
}

/// How to let findings through for good: with a comment where one can be, else with an entry of the baseline.
fn write_ways_to_allow(out: &mut String, findings: &[&Finding], action: HookAction) {
    let marker = crate::text::markers::MARKERS[0];
    let doubt = match findings {
        [one] if one.key().is_none() => "If it is intentional",
        [_] => "If it is not a key",
        _ => "If they are not keys",
    };
    if action == HookAction::Message {
        let line = if findings.len() == 1 { "its line" } else { "their lines" };
        _ = writeln!(out, "{doubt}: end {line} with `{marker} REASON`.");
        return;
    }
    let (with_comment, others): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|one| takes_comments(one));
    if !with_comment.is_empty() {
        let mut places: Vec<String> = with_comment.iter().map(|finding| place_of_comment(finding)).collect();
        places.dedup();
        _ = writeln!(out, "{doubt}: append the comment `{marker} REASON` to {}", places.join(", "));
    }
    if !others.is_empty() {
        let mut places: Vec<String> = others.iter().map(|finding| place_in_baseline(finding)).collect();
        places.dedup();
        let doubt = if with_comment.is_empty() { doubt } else { "Where no comment can be" };
        // Places are relative to the top directory, where the hook runs.
        let places = places.join(" ");
        _ = writeln!(
            out,
            "{doubt}: keyspill baseline add {places} --reason REASON (in the top directory; then `git add` the baseline)"
        );
    }
}

/// True if a line of a finding can end with a comment.
fn takes_comments(finding: &Finding) -> bool {
    let path = finding.path.to_text();
    let name = path.rsplit('/').next().unwrap_or(&path).to_ascii_lowercase();
    finding.path.inside().is_empty() && !WITHOUT_COMMENTS.iter().any(|extension| name.ends_with(extension))
}

/// The line that people look at: the secret's.
fn place_of_comment(finding: &Finding) -> String {
    let line = finding.values().last().map_or(finding.location.start_line, |value| value.location.end_line);
    one_line(&format!("{}:{line}", finding.path.to_text()))
}

/// A place as `baseline add` takes it.
fn place_in_baseline(finding: &Finding) -> String {
    let place = one_line(&format!("{}:{}", finding.path.to_text(), finding.location.start_line));
    shlex::try_quote(&place).unwrap_or_default().into_owned()
}

/// Formats in which a line cannot end with a comment.
const WITHOUT_COMMENTS: [&str; 7] = [".json", ".ipynb", ".csv", ".tsv", ".md", ".txt", ".lock"];
