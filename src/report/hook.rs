//! The report of a hook: what blocks the action, where, what to do, how to bypass it. It is only a few lines long,
//! since it interrupts a person in the middle of something else.

use super::Report;
use super::wording::{headline, steps};
use crate::finding::Finding;
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
    /// A check of files, without a commit.
    Check,
}

impl HookAction {
    /// The start of the first line: what the hook did.
    fn what(self) -> &'static str {
        match self {
            Self::Commit => "keyspill stopped the commit",
            Self::Push | Self::Receive => "keyspill stopped the push",
            Self::Check => "keyspill checked these files",
        }
    }

    /// The command that bypasses the hook; empty if there is none.
    fn way_round(self) -> &'static str {
        match self {
            Self::Commit => "git commit --no-verify",
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
    match (counted.len(), failures.len()) {
        (0, 0) => return out,
        (0, _) => _ = writeln!(out, "{what}: the scan is incomplete"),
        // The finding may be something other than a key, such as code that mails one.
        (1, _) if counted[0].key().is_none() => _ = writeln!(out, "{what}: there is a finding"),
        (1, _) => _ = writeln!(out, "{what}: found an AWS key"),
        (n, _) => _ = writeln!(out, "{what}: found {n} AWS keys"),
    }
    for finding in counted.iter().take(MAX_KEYS) {
        let place = format!("{}:{}", one_line(&finding.path.to_text()), finding.location.start_line);
        _ = writeln!(out, "  {place}: {} [{}]", headline(finding), finding.rule.id);
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
        out.push_str(if !is_key {
            super::wording::first_sentence(first.rule.remedy.trim())
        } else if matches!(action, HookAction::Commit | HookAction::Check) {
            "Remove it from the file and load it from elsewhere (a profile, a secrets manager)."
        } else {
            "Remove it from every commit being pushed (git rebase -i), not only from the file."
        });
        out.push('\n');
        let is_root = report.findings.iter().any(|finding| {
            let is_root = matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey));
            is_root && finding.credential() == first.credential()
        });
        match steps(first, is_root).first() {
            Some(step) if first.secret().is_some() => _ = writeln!(out, "If it was already exposed elsewhere: {step}"),
            _ => {}
        }
        let doubt = if is_key { "If it is not a key" } else { "If it is intentional" };
        _ = writeln!(out, "{doubt}: end the line with a comment `{} REASON`.", crate::text::markers::MARKERS[0]);
        if !action.way_round().is_empty() {
            _ = writeln!(out, "To bypass the hook once: {}", action.way_round());
        }
    }
    out
}
