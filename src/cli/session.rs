//! What is in force where keyspill runs: configuration, accepted findings, threshold; and a scan under it.

use super::output;
use keyspill::config::Config;
use keyspill::detect::Detector;
use keyspill::policy::baseline::Baseline;
use keyspill::report::{Report, Verdict};
use keyspill::rule::{RuleSet, Severity};
use keyspill::scan::{Limits, Progress, Scan, Scope};
use keyspill::source::SizeLimit;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything but what to scan.
pub struct Session {
    detector: Detector,
    config: Config,
    baseline: Option<Baseline>,
    /// The least severity that stops something.
    pub fail_on: Severity,
    now: i64,
    is_complete: bool,
}

impl Session {
    /// What is in force for the repository or directory at `root`: its configuration if that is obeyed, and its accepted
    /// findings if they are read. What cannot be read is told, and makes every verdict
    /// [`Verdict::Incomplete`].
    pub fn load(root: &Path, obeys_repository: bool, reads_baseline: bool) -> Self {
        let rules = RuleSet::built_in();
        let mut is_complete = true;
        let mut refused = |error: String| {
            output::error(&error);
            is_complete = false;
        };
        let file = Config::find(root).filter(|_| obeys_repository);
        let config = file.map(|file| Config::read_found(&file, &rules)).transpose();
        let config = config.unwrap_or_else(|error| {
            refused(error.to_string());
            None
        });
        let config = config.unwrap_or_default();
        let file = config.find_baseline(root).filter(|_| obeys_repository && reads_baseline);
        let baseline = file.map(|file| Baseline::read(&file)).transpose().unwrap_or_else(|error| {
            refused(error.to_string());
            None
        });
        let now = super::now();
        let fail_on = config.fail_on.unwrap_or(Severity::Warning);
        Self { detector: Detector::new(Arc::new(rules)).at(now), config, baseline, fail_on, now, is_complete }
    }

    /// The same with other accepted findings.
    pub fn with_baseline(self, baseline: Option<Baseline>) -> Self {
        Self { baseline, ..self }
    }

    /// A scan of `roots` as they are, under what is in force.
    pub fn scan(&self, roots: Vec<PathBuf>) -> Scan {
        Scan {
            roots,
            texts: vec![],
            stdin: None,
            scope: Scope::Tree,
            no_ignore: false,
            limit: SizeLimit::default(),
            archives: true,
            config: self.config.clone(),
            baseline: self.baseline.clone(),
            limits: Limits::default(),
            threads: 0,
            show_secrets: false,
            now: self.now,
        }
    }

    /// Scans.
    pub fn run(&self, scan: &Scan) -> Report {
        scan.run(&self.detector, &Progress::default())
    }

    /// The verdict over a report.
    pub fn verdict(&self, report: &Report) -> Verdict {
        if self.is_complete { report.verdict(self.fail_on) } else { Verdict::Incomplete }
    }
}
