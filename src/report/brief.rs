//! The report of a hook: what stands in the way, where, what to do, how to let it pass. Never more than some lines, since a
//! person meets it in the middle of something else.

use super::Report;
use super::wording::{headline, steps};
use crate::finding::Finding;
use crate::rule::{Finder, Matcher, Severity};
use crate::text::sanitize::one_line;
use std::collections::HashSet;
use std::fmt::Write;

/// So many keys are listed, one line each; the others are counted.
const MOST_KEYS: usize = 5;
/// So many failures are listed.
const MOST_FAILURES: usize = 3;

/// What was to be done when the hook ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// `git commit`.
    Commit,
    /// `git push`, here.
    Push,
    /// A push that came in.
    Receive,
    /// A check of files, without a commit.
    Check,
}

impl Deed {
    /// What the hook says that it did, as the start of a sentence.
    fn what(self) -> &'static str {
        match self {
            Self::Commit => "keyspill stopped the commit",
            Self::Push | Self::Receive => "keyspill stopped the push",
            Self::Check => "keyspill checked these files",
        }
    }

    /// How to go on in spite of it, if that can be said.
    fn way_round(self) -> &'static str {
        match self {
            Self::Commit => "git commit --no-verify",
            Self::Push => "git push --no-verify",
            Self::Receive | Self::Check => "",
        }
    }
}

/// The text; empty if nothing stands in the way. `command` shows all of it.
pub fn write(report: &Report, deed: Deed, fail_on: Severity, command: &str) -> String {
    let mut counted: Vec<&Finding> = report.findings().filter(|finding| finding.severity >= fail_on).collect();
    // Judgements tell more of keys that are listed anyway.
    counted.sort_by_key(|finding| (finding.judgement().is_some(), std::cmp::Reverse(finding.severity)));
    let mut seen = HashSet::new();
    counted.retain(|finding| seen.insert(finding.credential()));
    let failures: Vec<_> = report.coverage.failures().collect();
    let mut out = String::new();
    let what = deed.what();
    match (counted.len(), failures.len()) {
        (0, 0) => return out,
        (0, _) => _ = writeln!(out, "{what}: not all of it could be scanned"),
        // Code that mails a key is none.
        (1, _) if counted[0].key().is_none() => _ = writeln!(out, "{what}: see what is in it"),
        (1, _) => _ = writeln!(out, "{what}: there is an AWS key in it"),
        (n, _) => _ = writeln!(out, "{what}: there are AWS keys in it, {n} of them"),
    }
    for finding in counted.iter().take(MOST_KEYS) {
        let place = format!("{}:{}", one_line(&finding.path.to_text()), finding.location.start_line);
        _ = writeln!(out, "  {place}: {} [{}]", headline(finding), finding.rule.id);
    }
    for skip in failures.iter().take(MOST_FAILURES) {
        _ = writeln!(out, "  {}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string()));
    }
    let more = counted.len().saturating_sub(MOST_KEYS) + failures.len().saturating_sub(MOST_FAILURES);
    if more > 0 {
        _ = writeln!(out, "  … and {more} more: {command}");
    }
    if let Some(first) = counted.first() {
        let is_key = first.key().is_some();
        out.push_str(if !is_key {
            super::wording::first_sentence(first.rule.remedy.trim())
        } else if matches!(deed, Deed::Commit | Deed::Check) {
            "Take it out of the file, and keep it where code can get it (a profile, a secrets manager)."
        } else {
            "Take it out of every commit that is pushed (git rebase -i), not only out of the file."
        });
        out.push('\n');
        let is_root = report.findings.iter().any(|finding| {
            let is_root = matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey));
            is_root && finding.credential() == first.credential()
        });
        match steps(first, is_root).first() {
            Some(step) if first.secret().is_some() => _ = writeln!(out, "If it was anywhere else before: {step}"),
            _ => {}
        }
        let doubt = if is_key { "If it is no key" } else { "If it is meant to be so" };
        _ = writeln!(out, "{doubt}: end its line with a comment `{} REASON`.", crate::text::markers::MARKERS[0]);
        if !deed.way_round().is_empty() {
            _ = writeln!(out, "Just this once: {}", deed.way_round());
        }
    }
    out
}
