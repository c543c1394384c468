//! The outcome of a run, and one pure writer per report format.

pub mod brief;
#[cfg(feature = "reports")]
pub mod csv;
mod format;
#[cfg(feature = "reports")]
pub mod github;
#[cfg(feature = "reports")]
pub mod gitlab;
#[cfg(feature = "cli")]
pub mod hook;
#[cfg(feature = "reports")]
pub mod html;
pub mod json;
#[cfg(feature = "reports")]
pub mod junit;
#[cfg(feature = "reports")]
pub mod sarif;
#[cfg(feature = "reports")]
pub mod text;
pub mod uri;
#[cfg_attr(not(feature = "reports"), expect(dead_code, reason = "brief lines need only headlines"))]
pub(crate) mod wording;

use crate::finding::BlobPath;
use crate::finding::Finding;
use crate::git::repository::Facts;
use crate::rule::{RuleSet, Severity};
use crate::source::Skip;
pub use format::Format;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uri::UriBase;

/// The results of a run, in a fixed order: the same input gives the same report.
#[derive(Debug)]
pub struct Report {
    /// Findings that count, ordered by path, location and rule.
    pub findings: Vec<Box<Finding>>,
    /// Findings that do not count, in the same order.
    pub suppressed: Vec<Box<Finding>>,
    /// What was scanned and what was not.
    pub coverage: Coverage,
    /// The repositories whose history was scanned: their paths, and facts that identify them.
    pub repositories: Vec<(BlobPath, Facts)>,
    /// The configuration files in effect, the main one first.
    pub config: Vec<BlobPath>,
    /// The baseline file, if there was one.
    pub baseline: Option<BlobPath>,
    /// The moment as of which ages are computed, in seconds since 1970.
    pub now: i64,
    /// The rules that were applied.
    pub rules: Arc<RuleSet>,
}

/// What was scanned and what was not.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Number of files, including standard input.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Number of blobs in archives, documents and mail, including those in history.
    pub inner_blobs: u64,
    /// Their total size in bytes, unpacked and decoded.
    pub inner_bytes: u64,
    /// Number of commits.
    pub commits: u64,
    /// Number of git objects: blobs, trees, commits, tags.
    pub objects: u64,
    /// Their total size in bytes.
    pub object_bytes: u64,
    /// What was skipped, by path.
    pub skips: Vec<Skip>,
}

impl Coverage {
    /// What was not scanned and should have been.
    pub fn failures(&self) -> impl Iterator<Item = &Skip> {
        self.skips.iter().filter(|skip| skip.cause.is_failure())
    }

    /// The number of skips for each cause, keyed by the cause's word.
    pub fn skips_by_cause(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.skips.iter().for_each(|skip| *counts.entry(skip.cause.word()).or_default() += 1);
        counts
    }
}

/// The outcome of a run; the greater is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing at or above the threshold.
    Clean,
    /// Findings at or above the threshold.
    Findings,
    /// The scan is incomplete, whatever was found.
    Incomplete,
}

impl Report {
    /// The verdict for a threshold; without one, no finding is too bad.
    pub fn verdict(&self, fail_on: Option<Severity>) -> Verdict {
        if self.coverage.failures().next().is_some() {
            Verdict::Incomplete
        } else if fail_on.is_some_and(|least| self.findings.iter().any(|finding| finding.severity >= least)) {
            Verdict::Findings
        } else {
            Verdict::Clean
        }
    }

    /// The findings that count.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().map(AsRef::as_ref)
    }

    /// The findings that do not.
    pub fn suppressed(&self) -> impl Iterator<Item = &Finding> {
        self.suppressed.iter().map(AsRef::as_ref)
    }

    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// What a report shows, and how. The default shows findings that count, in the order for files.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Also show findings that do not count.
    pub show_suppressed: bool,
    /// Also write them to SARIF, where most consumers treat them as findings.
    pub sarif_suppressed: bool,
    /// Another report of this scan could not be written.
    pub is_another_lost: bool,
    /// The duration of the run. It makes the report differ from run to run.
    pub stats: Option<Duration>,
    /// The least severity that fails the run, if any does: formats with a verdict of their own agree with it.
    pub fail_on: Option<Severity>,
    /// The paths that were asked for, as shown.
    pub scanned: Vec<String>,
    /// Where relative URIs start.
    pub base: UriBase,
    /// How text is laid out.
    pub layout: Layout,
}

/// How text is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// With colours, as terminals understand them.
    pub colour: bool,
    /// Sentences are wrapped at this many columns.
    pub width: Option<usize>,
    /// The worst findings come last: on a terminal these are the ones that stay in sight.
    pub worst_last: bool,
}

/// All findings, worst first; ties keep the order of the report.
#[cfg(feature = "reports")]
fn worst_first(report: &Report) -> Vec<&Finding> {
    let mut findings: Vec<&Finding> = report.findings().collect();
    findings.sort_by_key(|finding| {
        let security = (finding.rule.security_severity * 10.0) as u32;
        std::cmp::Reverse((finding.severity, finding.is_critical(), security))
    });
    findings
}
