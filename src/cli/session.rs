//! What is in force where keyspill runs: configuration, accepted findings, threshold; and a scan under it.

use super::output;
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

/// Which files of a repository say what does not count in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obeyed {
    /// Those that are there.
    All,
    /// Those that are there and staged as they are, so that whoever reviews the commit sees them.
    Staged,
    /// None.
    Nothing,
}

impl Obeyed {
    /// The file, if it is obeyed. One that is not, and only because it is not staged, is told.
    pub fn file(self, file: PathBuf) -> Option<PathBuf> {
        match self {
            Self::All => Some(file),
            Self::Nothing => None,
            Self::Staged if is_staged(&file) => Some(file),
            Self::Staged => {
                let shown = file.display();
                output::warning(&format!(
                    "{shown} is not staged as it is, so it is not obeyed here; `git add {shown}`"
                ));
                None
            }
        }
    }

    /// The configuration for a scan of `path`, if there is one and it is obeyed.
    ///
    /// # Errors
    /// In words that name the file, if it cannot be read, or includes one that is not obeyed.
    pub fn config(self, path: &Path, rules: &RuleSet) -> Result<Config, String> {
        let Some(file) = Config::find(path).and_then(|file| self.file(file)) else { return Ok(Config::default()) };
        let config = Config::read_found(&file, rules).map_err(|error| error.to_string())?;
        match config.files.iter().skip(1).find(|file| self == Self::Staged && !is_staged(file)) {
            Some(file) => Err(format!("{} is included, and not staged as it is; `git add` it", file.display())),
            None => Ok(config),
        }
    }
}

impl Session {
    /// What is in force for the repository or directory at `root`: its configuration and, if they are read, its accepted
    /// findings, as far as those files are obeyed. What cannot be read is told, and makes every verdict
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
        let file = config.find_baseline(root).filter(|_| reads_baseline).and_then(|file| obeyed.file(file));
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
