//! The public face: what to scan, told step by step, and a report.

use super::{Progress, Scan, Scope};
use crate::config::Config;
use crate::detect::Detector;
use crate::environment::Environment;
use crate::policy::baseline::Baseline;
use crate::report::Report;
use crate::rule::RuleSet;
use crate::source::SizeLimit;
use crate::source::unpack::limits::Limits;
use crate::verify::Verifying;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Scans files and repositories. See the [crate's documentation](crate) for examples.
#[derive(Debug)]
pub struct Scanner {
    scan: Scan,
    detector: Detector,
}

impl Scanner {
    /// A scanner with the built-in rules, and nothing to scan yet.
    pub fn builder() -> ScannerBuilder {
        ScannerBuilder { scan: Scan::default(), rules: RuleSet::built_in(), now: None }
    }

    /// Scans everything. What cannot be scanned is in the report's [`coverage`](Report::coverage), and the rest is still
    /// scanned.
    pub fn run(&self) -> Report {
        self.run_with(&Progress::default())
    }

    /// The same, and counts in `progress` what was done so far, for another thread to show.
    pub fn run_with(&self, progress: &Progress) -> Report {
        self.scan.run(&self.detector, progress)
    }
}

/// What to scan, and how. Everything has a default.
#[derive(Debug)]
#[must_use]
pub struct ScannerBuilder {
    scan: Scan,
    rules: RuleSet,
    now: Option<i64>,
}

impl ScannerBuilder {
    /// Adds a file or directory to scan, or a path in a repository. Reports name files as they are named here.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.scan.roots.push(path.into());
        self
    }

    /// Adds bytes to scan, under the name that reports give them.
    pub fn bytes(mut self, name: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.scan.texts.push((name.into(), bytes.into()));
        self
    }

    /// What of the paths is scanned: by default, the files as they are.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scan.scope = scope;
        self
    }

    /// Also scans everything ever stored in the repositories that the paths are in.
    pub fn history(self) -> Self {
        self.scope(Scope::History { with_tree: true, with_submodules: false })
    }

    /// Also scans files that git ignores.
    pub fn ignored_files(mut self) -> Self {
        self.scan.no_ignore = true;
        self
    }

    /// The maximum size of a file, in bytes. Larger ones are skipped; without a limit of yours they are scanned in pieces.
    pub fn max_file_size(mut self, bytes: u64) -> Self {
        self.scan.limit = SizeLimit { bytes, is_chosen: true };
        self
    }

    /// Does not unpack archives, compressed files and documents. Mail is always unpacked.
    pub fn without_archives(mut self) -> Self {
        self.scan.archives = false;
        self
    }

    /// How far archives are unpacked.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.scan.limits = limits;
        self
    }

    /// What is known of the organisation, and what does not count for it. See [`Config::read`].
    pub fn config(mut self, config: Config) -> Self {
        self.scan.config = config;
        self
    }

    /// Findings that are accepted. See [`Baseline::read`].
    pub fn baseline(mut self, baseline: Baseline) -> Self {
        self.scan.baseline = Some(baseline);
        self
    }

    /// The rules: the built-in ones by default. See [`RuleSet::add`].
    pub fn rules(mut self, rules: RuleSet) -> Self {
        self.rules = rules;
        self
    }

    /// The process that the scan is for. Without it the scan depends on no variable and no home directory.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.scan.environment = Arc::new(environment);
        self
    }

    /// The number of threads that walk a tree: by default, one per processor.
    pub fn threads(mut self, count: usize) -> Self {
        self.scan.threads = count;
        self
    }

    /// Leaves secrets in clear in the report.
    pub fn show_secrets(mut self) -> Self {
        self.scan.show_secrets = true;
        self
    }

    /// Asks whether the keys work. Nothing else opens a connection.
    pub fn verify(mut self, verifying: Verifying) -> Self {
        self.scan.verifying = Some(verifying);
        self
    }

    /// The moment as of which ages and exposure are computed, in seconds since 1970: by default, now.
    pub fn now(mut self, seconds: i64) -> Self {
        self.now = Some(seconds);
        self
    }

    /// The scanner. It can be run several times.
    pub fn build(self) -> Scanner {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let now = self.now.unwrap_or_else(clock);
        let detector = Detector::new(Arc::new(self.rules)).at(now);
        Scanner { scan: Scan { now, ..self.scan }, detector }
    }

    /// Builds the scanner and runs it once.
    pub fn run(self) -> Report {
        self.build().run()
    }
}
