//! Decides which findings count: allow comments, the team's configuration, accepted findings. It neither detects nor
//! prints.

pub mod allow;
pub mod baseline;
pub mod inline;
pub mod migrate;
pub mod place;
pub mod unused;

use crate::config::Config;
use crate::finding::BlobPath;
use crate::finding::Excerpt;
use crate::finding::Finding;
use crate::finding::location::Locations;
use crate::rule::{Finder, RuleSet};
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

impl Policy<'_> {
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
                && over.paths.contain(&self.places.of(&finding.path))
        };
        if let Some(over) = self.config.overrides.iter().rev().find(fits) {
            finding.severity = over.severity;
        }
    }

    /// Marks findings that the configuration allows. Adds the indices of matching `[[allow]]` tables to `used`.
    pub fn apply(&self, findings: &mut [Box<Finding>], used: &mut BTreeSet<usize>) {
        for finding in findings.iter_mut().filter(|finding| finding.suppression.is_none()) {
            if self.config.allows.is_empty() || !self.speaks_of(finding) {
                continue;
            }
            for (number, allow) in self.config.allows.iter().enumerate() {
                if !allow::covers(allow, finding, &self.places) {
                    continue;
                }
                used.insert(number);
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
    pub fn unused(&self, used: &BTreeSet<usize>, rules: &RuleSet) -> Vec<Finding> {
        let allows = self.config.allows.iter().enumerate();
        let unused = allows.filter(|(number, _)| self.is_whole && !used.contains(number)).map(|(_, allow)| allow);
        unused.flat_map(|allow| without_effect(&allow.file, std::iter::once(allow.line), rules)).collect()
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
        unused::unused(rule, &path, location, [excerpt].into())
    };
    lines.iter().map(finding).collect()
}
