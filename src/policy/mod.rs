//! Decides which findings count: allow comments, the team's configuration, accepted findings. It neither detects nor
//! prints.

pub mod allow;
pub mod baseline;
pub mod inline;
pub mod migrate;
pub mod place;
pub mod unused;

use crate::config::Config;
use crate::config::allow::Unscanned;
use crate::finding::BlobPath;
use crate::finding::Excerpt;
use crate::finding::Finding;
use crate::finding::location::Locations;
use crate::rule::{Finder, RuleSet};
use crate::source::{Skip, SkipCause};
use crate::text::mask;
use baseline::Baseline;
use place::Places;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The policy in effect.
pub struct Policy<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The accepted findings.
    pub baseline: Option<&'a Baseline>,
    /// The current time in seconds since 1970.
    pub now: i64,
    /// True if the scan covers everything the policy applies to, so that entries without effect can be reported.
    pub is_whole: bool,
    /// Resolves the paths of scanned files.
    pub places: Places,
}

/// Which entries of the configuration had an effect, by number.
#[derive(Debug, Default)]
pub struct Used {
    allows: BTreeSet<usize>,
    unscanned: BTreeSet<usize>,
}

impl Policy<'_> {
    /// Takes out what was found, or could not be scanned, in paths that the configuration excludes: in trees they were
    /// left out, in history and changes they were read. Each is listed once.
    pub fn exclude(&self, findings: &mut Vec<Box<Finding>>, skips: &mut Vec<Skip>) {
        if self.config.exclude.is_empty() {
            return;
        }
        let is_excluded = |path: &BlobPath| {
            let file = self.places.of(path);
            self.config.exclude.iter().any(|paths| paths.contain(&file, false))
        };
        let mut excluded = BTreeSet::new();
        findings.retain(|finding| {
            let keeps = !is_excluded(&finding.path);
            if !keeps {
                excluded.insert(BlobPath::from_bytes(finding.path.file()));
            }
            keeps
        });
        skips.retain(|skip| {
            let keeps = !skip.cause.is_failure() || !is_excluded(&skip.path);
            if !keeps {
                excluded.insert(BlobPath::from_bytes(skip.path.file()));
            }
            keeps
        });
        skips.extend(excluded.into_iter().map(|path| Skip { path, cause: SkipCause::Excluded }));
    }

    /// Accepts that some files cannot be scanned, where the configuration does.
    pub fn accept_unscanned(&self, skips: &mut [Skip], used: &mut Used) {
        for skip in skips.iter_mut().filter(|skip| skip.cause.is_failure()) {
            let file = self.places.of(&skip.path);
            let entries = self.config.unscanned.iter().enumerate();
            let is_dir = file.is_dir();
            let accepts = |(_, entry): &(usize, &Unscanned)| entry.paths.contain(&file, is_dir);
            let Some((number, entry)) = entries.clone().find(accepts) else { continue };
            used.unscanned.insert(number);
            let cause = Box::new(std::mem::replace(&mut skip.cause, SkipCause::Internal));
            let place = format!("{}:{}", entry.file.display(), entry.line);
            skip.cause = if entry.is_expired(self.now) {
                let day = entry.expires.map(|day| day.to_string()).unwrap_or_default();
                SkipCause::AcceptedOnce(cause, format!("{place} until {day}"))
            } else {
                SkipCause::Accepted(cause, format!("{place}: {}", mask::hide_long_words(&entry.reason)))
            };
        }
    }

    /// True if the configuration applies to a finding. One that was found, not given, only applies below its directory.
    fn speaks_of(&self, finding: &Finding) -> bool {
        self.config.home.as_ref().is_none_or(|home| self.places.of(&finding.path).starts_with(home))
    }

    /// Applies the severity overrides of the configuration to a finding.
    pub fn grade(&self, finding: &mut Finding) {
        if !self.speaks_of(finding) {
            return;
        }
        let rule = finding.rule.id.as_str();
        finding.severity = self.config.severity.get(rule).copied().unwrap_or(finding.severity);
        let fits = |over: &&crate::config::Override| {
            (over.rules.is_empty() || over.rules.iter().any(|known| known == rule))
                && over.paths.contain(&self.places.of(&finding.path), false)
        };
        if let Some(over) = self.config.overrides.iter().rev().find(fits) {
            finding.severity = over.severity;
        }
    }

    /// Marks findings that the configuration allows. Adds the indices of matching `[[allow]]` tables to `used`.
    pub fn apply(&self, findings: &mut [Box<Finding>], used: &mut Used) {
        for finding in findings.iter_mut().filter(|finding| finding.suppression.is_none()) {
            if self.config.allows.is_empty() || !self.speaks_of(finding) {
                continue;
            }
            for (number, allow) in self.config.allows.iter().enumerate() {
                if !allow::covers(allow, finding, &self.places) {
                    continue;
                }
                used.allows.insert(number);
                if allow.is_expired(self.now) {
                    let day = allow.expires.map(|day| day.to_string()).unwrap_or_default();
                    let text = format!("It was allowed by {}:{} until {day}.", allow.file.display(), allow.line);
                    finding.expired = Some(text.into());
                } else {
                    finding.suppression = Some(Box::new(allow::suppression(allow)));
                    break;
                }
            }
        }
    }

    /// Marks accepted findings, and returns findings for baseline entries without effect.
    pub fn accept(&self, findings: &mut [Box<Finding>], rules: &RuleSet) -> Vec<Finding> {
        let Some(baseline) = self.baseline else { return vec![] };
        let unused = baseline.apply(findings, self.now, &self.places);
        let lines = unused.iter().filter(|_| self.is_whole).map(|entry| entry.line);
        without_effect(&baseline.file, lines, rules)
    }

    /// Findings for the `[[allow]]` tables that are not in `used`.
    pub fn unused(&self, used: &Used, rules: &RuleSet) -> Vec<Finding> {
        if !self.is_whole {
            return vec![];
        }
        let unused = |used: &BTreeSet<usize>, number: &usize| !used.contains(number);
        let allows = self.config.allows.iter().enumerate().filter(|(number, _)| unused(&used.allows, number));
        let allows = allows.map(|(_, allow)| (&allow.file, allow.line));
        let unscanned = self.config.unscanned.iter().enumerate().filter(|(number, _)| unused(&used.unscanned, number));
        let unscanned = unscanned.map(|(_, entry)| (&entry.file, entry.line));
        allows
            .chain(unscanned)
            .filter(|(file, _)| !self.config.is_users_own(file))
            .flat_map(|(file, line)| without_effect(file, std::iter::once(line), rules))
            .collect()
    }
}

/// Findings for lines of a policy file that have no effect.
fn without_effect(file: &Path, lines: impl Iterator<Item = usize>, rules: &RuleSet) -> Vec<Finding> {
    let Some(rule) = rules.of_finder(Finder::UnusedAllow) else { return vec![] };
    let path = Arc::new(BlobPath::new(file));
    let text = crate::file::read_text(file, crate::file::MAX_SETTINGS).unwrap_or_default();
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line = |number: usize| {
        let start = number.checked_sub(1).and_then(|index| starts.get(index)).copied().unwrap_or(0);
        start..start + text[start..].lines().next().unwrap_or_default().len()
    };
    let lines: Vec<Range<usize>> = lines.map(line).collect();
    let without_indent = |line: &Range<usize>| line.end - text[line.clone()].trim_start().len()..line.end;
    let locations = Locations::new(text.as_bytes(), lines.iter().map(without_indent));
    let finding = |line: &Range<usize>| {
        let location = locations.of(&without_indent(line));
        // The sanitised text may be longer.
        let safe = crate::text::sanitize::one_line(&mask::hide_long_words(&text[line.clone()]));
        let indent = safe.len() - safe.trim_start().len();
        let id = Some(indent as u32..safe.len() as u32);
        let excerpt = Excerpt { line: location.start_line, text: safe.into(), id, secret: None };
        unused::unused(rule, &path, location, [excerpt].into(), None)
    };
    lines.iter().map(finding).collect()
}
