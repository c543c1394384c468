//! The settings in effect where keyspill runs (configuration, accepted findings, threshold), and scans that use them.

use super::environment::environment;
use super::output;
use super::progress;
use crate::config::Config;
use crate::detect::Detector;
use crate::git::staged::is_staged;
use crate::policy::baseline::Baseline;
use crate::report::{Report, Verdict};
use crate::rule::{RuleSet, Severity};
use crate::scan::{Limits, Progress, Scan, Scope};
use crate::source::SizeLimit;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything a scan needs, except what to scan.
pub struct Session {
    detector: Detector,
    config: Config,
    baseline: Option<Baseline>,
    /// The minimum severity that blocks a commit or push.
    pub fail_on: Severity,
    now: i64,
    is_complete: bool,
}

/// Which policy files of a repository (configuration and baseline) are obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obeyed {
    /// All that exist.
    All,
    /// Those whose current content is staged, so that reviewers of the commit see it.
    Staged,
    /// None.
    Nothing,
}

impl Obeyed {
    /// The file, if it is obeyed. Warns if it is ignored because its current content is not staged.
    pub fn file(self, file: PathBuf) -> Option<PathBuf> {
        match self {
            Self::All => Some(file),
            Self::Nothing => None,
            Self::Staged if is_staged(&file, environment()) => Some(file),
            Self::Staged => {
                let shown = file.display();
                output::warning(&format!(
                    "{shown} is ignored: its current content is not staged; run `git add {shown}`"
                ));
                None
            }
        }
    }

    /// The configuration for a scan of `path`, if there is one and it is obeyed.
    ///
    /// # Errors
    /// A message with the file name, if the file cannot be read or includes one that is not obeyed.
    pub fn config(self, path: &Path, rules: &RuleSet) -> Result<Config, String> {
        let user = Config::read_user(rules, environment()).map_err(|error| error.to_string())?;
        let Some(file) = Config::find(path, environment()).and_then(|file| self.file(file)) else { return Ok(user) };
        let config = user.with_found(&file, rules).map_err(|error| error.to_string())?;
        let is_refused = |file: &&PathBuf| self == Self::Staged && !is_staged(file, environment());
        let refused = config.included().find(is_refused).map(|file| file.display().to_string());
        match refused {
            Some(file) => Err(format!("{file} is included, but its current content is not staged; `git add` it")),
            None => Ok(config),
        }
    }
}

impl Session {
    /// Loads the configuration of the repository or directory at `root` and, if `reads_baseline`, its baseline, as far
    /// as these files are obeyed. A file that cannot be read is reported and makes every verdict
    /// [`Verdict::Incomplete`].
    pub fn load(root: &Path, obeyed: Obeyed, reads_baseline: bool) -> Self {
        let rules = RuleSet::built_in();
        let mut is_complete = true;
        let mut refused = |error: String| {
            output::error(&error);
            is_complete = false;
        };
        let config = obeyed.config(root, &rules).unwrap_or_else(|error| {
            refused(error);
            Config::default()
        });
        let file =
            config.find_baseline(root, environment()).filter(|_| reads_baseline).and_then(|file| obeyed.file(file));
        let baseline = file.map(|file| Baseline::read(&file)).transpose().unwrap_or_else(|error| {
            refused(error.to_string());
            None
        });
        let now = super::now();
        let fail_on = config.fail_on.unwrap_or(Severity::Warning);
        Self { detector: Detector::new(Arc::new(rules)).at(now), config, baseline, fail_on, now, is_complete }
    }

    /// Replaces the accepted findings.
    pub fn with_baseline(self, baseline: Option<Baseline>) -> Self {
        Self { baseline, ..self }
    }

    /// A scan of the current files in `roots` with these settings.
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
            outputs: vec![],
            environment: Arc::new(environment().clone()),
            now: self.now,
        }
    }

    /// Scans.
    pub fn run(&self, scan: &Scan) -> Report {
        scan.run(&self.detector, &Progress::default())
    }

    /// Scans, and shows progress on a terminal.
    pub fn run_shown(&self, scan: &Scan) -> Report {
        let progress = Progress::default();
        progress::shown(&progress, true, || scan.run(&self.detector, &progress))
    }

    /// The verdict on a report.
    pub fn verdict(&self, report: &Report) -> Verdict {
        if self.is_complete { report.verdict(Some(self.fail_on)) } else { Verdict::Incomplete }
    }
}
