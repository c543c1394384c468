//! The outcome of a run, and one pure writer per format over it.

pub mod brief;
pub mod csv;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;
pub mod uri;
mod wording;

use crate::finding::BlobPath;
use crate::finding::Finding;
use crate::git::repository::Facts;
use crate::rule::Grade;
use crate::rule::{RuleSet, Severity};
use crate::source::Skip;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything a run has to say, in a fixed order: the same input gives the same report.
#[derive(Debug)]
pub struct Report {
    /// What counts, by path, place and rule.
    pub findings: Vec<Box<Finding>>,
    /// What was found and does not count, in the same order.
    pub suppressed: Vec<Box<Finding>>,
    /// What was scanned and what was not.
    pub coverage: Coverage,
    /// The repositories whose history was scanned: as in paths, and what names them to others.
    pub repositories: Vec<(BlobPath, Facts)>,
    /// The files of configuration that were in force, the main one first.
    pub config: Vec<BlobPath>,
    /// The file of accepted findings, if there was one.
    pub baseline: Option<BlobPath>,
    /// The moment from which ages are told, in seconds since 1970.
    pub now: i64,
    /// The rules that were looked for.
    pub rules: Arc<RuleSet>,
}

/// What was scanned and what was not.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Files, standard input included.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Blobs in archives, documents and mail, those in history included.
    pub inner_blobs: u64,
    /// Bytes of them, unpacked and decoded.
    pub inner_bytes: u64,
    /// Commits of repositories.
    pub commits: u64,
    /// Objects of repositories: versions of files and directories, commits, tags.
    pub objects: u64,
    /// Bytes of them.
    pub object_bytes: u64,
    /// By path.
    pub skips: Vec<Skip>,
}

impl Coverage {
    /// What was not scanned and should have been.
    pub fn failures(&self) -> impl Iterator<Item = &Skip> {
        self.skips.iter().filter(|skip| skip.cause.is_failure())
    }

    /// How many skips there are of each cause, by the cause's word.
    pub fn skips_by_cause(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.skips.iter().for_each(|skip| *counts.entry(skip.cause.word()).or_default() += 1);
        counts
    }
}

/// How a run ends; the worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing at or above the threshold.
    Clean,
    /// Findings at or above it.
    Findings,
    /// The scan is incomplete, whatever was found.
    Incomplete,
}

impl Report {
    /// The verdict for a threshold.
    pub fn verdict(&self, fail_on: Severity) -> Verdict {
        if self.coverage.failures().next().is_some() {
            Verdict::Incomplete
        } else if self.findings.iter().any(|finding| finding.severity >= fail_on) {
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

/// What a report shows beyond the findings.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Findings that do not count, too.
    pub show_suppressed: bool,
    /// Those also in SARIF, where most consumers take them for findings.
    pub sarif_suppressed: bool,
    /// Facts of this one run: how long it took. A report with them differs from run to run.
    pub stats: Option<Duration>,
}

/// All findings, the worst first; equals in the order of the report.
fn worst_first(report: &Report) -> Vec<&Finding> {
    let mut findings: Vec<&Finding> = report.findings().collect();
    findings.sort_by_key(|finding| {
        let grade = finding.judgement().map(|judgement| judgement.grade);
        let security = (finding.rule.security_severity * 10.0) as u32;
        std::cmp::Reverse((finding.severity, grade == Some(Grade::Critical), security))
    });
    findings
}
