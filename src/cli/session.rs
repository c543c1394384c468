//! The settings in effect where keyspill runs (configuration, accepted findings, threshold), and scans that use them.

use super::environment::environment;
use super::output;
use super::progress;
use super::selection::RuleArgs;
use crate::config::{Config, ConfigError};
use crate::detect::Detector;
use crate::git::staged::is_staged;
use crate::policy::baseline::{Baseline, BaselineError};
use crate::report::{Report, Verdict};
use crate::rule::{RuleFileError, RuleSet, Severity};
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
    refused: Vec<Refused>,
}

/// A file of settings that cannot be used. The scan goes on without it, and is incomplete.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Self {
        Self { problem: error.problem(), file: error.file }
    }
}

impl From<BaselineError> for Refused {
    fn from(error: BaselineError) -> Self {
        Self { problem: error.problem(), file: error.file }
    }
}

impl From<RuleFileError> for Refused {
    fn from(error: RuleFileError) -> Self {
        Self { problem: error.problem(), file: error.file }
    }
}

/// As a scan records them.
pub fn recorded(refused: Vec<Refused>) -> Vec<(PathBuf, String)> {
    refused.into_iter().map(|Refused { file, problem }| (file, problem)).collect()
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
    /// If the file cannot be read or includes one that is not obeyed.
    pub fn config(self, path: &Path, rules: &RuleSet) -> Result<Config, Refused> {
        let user = Config::read_user(rules, environment())?;
        let Some(file) = Config::find(path, environment()).and_then(|file| self.file(file)) else { return Ok(user) };
        let config = user.with_found(&file, rules)?;
        let is_refused = |file: &&PathBuf| self == Self::Staged && !is_staged(file, environment());
        let refused = config.included().find(is_refused).cloned();
        match refused {
            Some(file) => {
                let problem = "it is included, but its current content is not staged; `git add` it".to_owned();
                Err(Refused { file, problem })
            }
            None => Ok(config),
        }
    }
}

impl Session {
    /// Loads the configuration of the repository or directory at `root` and, if `reads_baseline`, its baseline, as far
    /// as these files are obeyed. A file that cannot be read makes every scan incomplete.
    pub fn load(root: &Path, obeyed: Obeyed, reads_baseline: bool) -> Self {
        // A configuration may name any built-in rule, whether it is on or not.
        let rules = RuleSet::default();
        let mut refused = Vec::new();
        let config = obeyed.config(root, &rules).unwrap_or_else(|error| {
            refused.push(error);
            Config::default()
        });
        let file =
            config.find_baseline(root, environment()).filter(|_| reads_baseline).and_then(|file| obeyed.file(file));
        let baseline = file.map(|file| Baseline::read(&file)).transpose().unwrap_or_else(|error| {
            refused.push(error.into());
            None
        });
        let rules = RuleArgs::default().selected(&config, &rules, &mut refused);
        let now = super::now();
        let fail_on = config.fail_on.unwrap_or(Severity::Warning);
        Self { detector: Detector::new(Arc::new(rules)).at(now), config, baseline, fail_on, now, refused }
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
            outputs: vec![],
            limit: SizeLimit::default(),
            archives: true,
            config: self.config.clone(),
            baseline: self.baseline.clone(),
            limits: Limits::default(),
            threads: 0,
            show_secrets: false,
            environment: Arc::new(environment().clone()),
            refused: recorded(self.refused.clone()),
            now: self.now,
            verifying: None,
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
        report.verdict(Some(self.fail_on))
    }
}
