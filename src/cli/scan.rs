//! `keyspill scan`.

use super::environment::environment;
use super::output::{self, ColourChoice};
use super::progress;
use super::selection::RuleArgs;
use super::session::{Obeyed, Refused, recorded};
#[cfg(feature = "verify")]
use super::verify::VerifyArgs;
use crate::config::Config;
use crate::detect::Detector;
use crate::policy::baseline::Baseline;
use crate::report::uri::UriBase;
use crate::report::{Format, Options, Report, Verdict};
use crate::rule::{RuleSet, Severity};
use crate::scan::{Limit, Limits, Progress, Scan, Scope, Selection};
use crate::source::SizeLimit;
use crate::text::sanitize::one_line;
use anyhow::{Context, bail};
use clap::{ArgMatches, ValueEnum};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Arguments as typed.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("changes").args(["staged", "range", "branch", "since"]).multiple(true))]
pub struct Args {
    /// Files and directories to scan; `-` means standard input.
    ///
    /// Paths given here are scanned even if git ignores them.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,

    /// Also scan everything ever stored in the repositories of the given paths.
    #[arg(long, conflicts_with_all = ["range", "branch", "since"], help_heading = "Input")]
    history: bool,

    /// Scan what `git commit` would record now: added lines, as they are in the index.
    #[arg(long, conflicts_with_all = ["history", "range", "branch", "since"], help_heading = "Input")]
    staged: bool,

    /// Scan what a range of commits introduces: `A..B`, `A...B`, or a commit with all its ancestors.
    #[arg(long, value_name = "RANGE", help_heading = "Input")]
    range: Option<String>,

    /// Scan what the commits of a branch introduced. May be repeated.
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    branch: Vec<String>,

    /// Scan what commits introduced since a date such as 2026-05-04, or within a period such as "2 weeks".
    ///
    /// Compares committer dates, in UTC. With --range or --branch, only those commits are considered.
    #[arg(long, value_name = "DATE", value_parser = parse_since, help_heading = "Input")]
    since: Option<Since>,

    /// With --staged, --range, --branch or --since: also report what was already in the changed files.
    #[arg(long, requires = "changes", help_heading = "Input")]
    whole_files: bool,

    /// With --history: do not scan the working tree.
    #[arg(long, requires = "history", help_heading = "Input")]
    no_tree: bool,

    /// With --history: also scan the repositories of submodules.
    #[arg(long, requires = "history", help_heading = "Input")]
    submodules: bool,

    /// Also scan files that git ignores.
    #[arg(long, help_heading = "Input")]
    no_ignore: bool,

    /// Skip files larger than this, such as 10MB or 512KiB [default: no limit].
    ///
    /// By default, files over 1 GiB are read in pieces; archives that cannot be make the scan incomplete.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Input")]
    max_file_size: Option<u64>,

    /// Do not unpack archives, compressed files and documents. Mail is always unpacked.
    #[arg(long, help_heading = "Input")]
    no_archives: bool,

    /// Maximum nesting depth of archives [default: 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64), help_heading = "Input")]
    max_archive_depth: Option<u64>,

    /// Maximum number of archive entries in one file [default: 1000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Input")]
    max_archive_entries: Option<u64>,

    /// Maximum unpacked size of the archives in one file, such as 500MB [default: 16GiB].
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Input")]
    max_archive_size: Option<u64>,

    /// Maximum ratio of unpacked size to file size, beyond the first 256 MiB [default: 200].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Input")]
    max_archive_ratio: Option<u64>,

    /// Name for standard input in the report.
    #[arg(long, value_name = "NAME", default_value = "<stdin>", hide_default_value = true, help_heading = "Input")]
    stdin_path: PathBuf,

    /// Configuration file, which describes your organisation [default: keyspill.toml in the directory of the first path
    /// or in a parent directory, up to the repository root].
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    config: Option<PathBuf>,

    /// Ignore the configuration and baseline found with the scanned files, which may be untrusted. Allow comments are
    /// part of the code and still apply.
    #[arg(long, help_heading = "Input")]
    no_repo_config: bool,

    /// File of accepted findings [default: keyspill-baseline.toml, or as set in keyspill.toml].
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    baseline: Option<PathBuf>,

    /// Ignore the baseline: accepted findings count.
    #[arg(long, conflicts_with = "baseline", help_heading = "Gate")]
    no_baseline: bool,

    #[command(flatten)]
    rules: RuleArgs,

    #[cfg(feature = "verify")]
    #[command(flatten)]
    verify: VerifyArgs,

    /// Format of the report.
    ///
    /// May be repeated, each with its own --output.
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "Report")]
    format: Vec<Format>,

    /// File for the report of the preceding --format [default: standard output].
    #[arg(short, long, value_name = "FILE", help_heading = "Report")]
    output: Vec<PathBuf>,

    /// Also list findings that do not count: documented examples, placeholders, allowed and accepted findings.
    #[arg(long, help_heading = "Report")]
    show_suppressed: bool,

    /// Also write findings that do not count to SARIF, marked as suppressed. GitHub still opens alerts for them.
    #[arg(long, help_heading = "Report")]
    sarif_suppressed: bool,

    /// Show secrets unmasked.
    #[arg(long, help_heading = "Report")]
    show_secrets: bool,

    /// Include the duration of the scan. Reports of the same input then differ from run to run.
    #[arg(long, help_heading = "Report")]
    stats: bool,

    /// When to use colours.
    #[arg(long, alias = "colour", value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", help_heading = "Report")]
    color: ColourChoice,

    /// Minimum severity that makes keyspill exit with 1 [default: warning, or as set in keyspill.toml].
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Gate")]
    fail_on: Option<FailOn>,

    /// Do not show a progress bar or hints; errors are still printed.
    #[arg(short, long, help_heading = "Report")]
    quiet: bool,

    /// Compute ages and exposure as of this date or time, such as 2026-05-04, instead of now.
    #[arg(long, value_name = "DATE", value_parser = parse_moment, help_heading = "Report")]
    now: Option<i64>,

    /// Number of threads, at most four per processor [default: one per processor].
    #[arg(short = 'j', long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

/// The value of `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Any finding fails the run.
    Note,
    /// Warnings and errors do.
    Warning,
    /// Only errors do.
    Error,
    /// No finding does; an incomplete scan still does.
    Never,
}

impl FailOn {
    /// The least severity that fails the run.
    pub fn threshold(self) -> Option<Severity> {
        match self {
            Self::Note => Some(Severity::Note),
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
            Self::Never => None,
        }
    }
}

/// The value of `--since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Seconds since 1970.
    Moment(i64),
    /// Seconds before now.
    Ago(i64),
}

/// Parses a date or timestamp in UTC to seconds since 1970.
pub fn parse_moment(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(moment.as_second());
    }
    let day = text.parse::<jiff::civil::DateTime>().or_else(|_| text.parse::<jiff::civil::Date>().map(Into::into));
    let day = day.map_err(|_| "expected a date such as 2026-05-04, or a timestamp such as 2026-05-04T10:00:00Z")?;
    let moment = jiff::tz::TimeZone::UTC.to_timestamp(day).map_err(|error| error.to_string())?;
    Ok(moment.as_second())
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = parse_moment(text) {
        return Ok(Since::Moment(moment));
    }
    let ago = text.trim().trim_end_matches("ago").trim();
    let span =
        ago.parse::<jiff::Span>().map_err(|_| "expected a date such as 2026-05-04, or a period such as `2 weeks`")?;
    let day = jiff::SpanRelativeTo::days_are_24_hours();
    let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
    let rest = span.years(0).months(0).total((jiff::Unit::Second, day)).map_err(|error| error.to_string())?;
    // A month counts as 30 days and a year as 12 months: no particular ones are meant.
    Ok(Since::Ago(rest.abs() as i64 + months.abs() * 30 * 24 * 60 * 60))
}

fn parse_size(text: &str) -> Result<u64, String> {
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) if size.0 > 0 => Ok(size.0),
        _ => Err("expected a size such as 500KB, 10MB or 2GiB".into()),
    }
}

/// A report to write.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    format: Format,
    /// Standard output if `None`.
    output: Option<PathBuf>,
}

impl Args {
    /// Scans and reports.
    pub fn run(self, matches: &ArgMatches) -> anyhow::Result<Verdict> {
        let started = Instant::now();
        let targets = self.targets(matches)?;
        if self.threads > 0 {
            rayon::ThreadPoolBuilder::new()
                .num_threads(self.threads())
                .build_global()
                .context("cannot start threads")?;
        }
        let mut refused = Vec::new();
        let known = self.rules.known(&mut refused);
        if let Some(unknown) = self.rules.unknown(&known) {
            bail!(unknown);
        }
        let config = self.load_config(&known, &mut refused);
        let rules = self.rules.selected(&config, &known, &mut refused);
        let baseline = self.load_baseline(&config, &mut refused);
        let usual = Some(config.fail_on.unwrap_or(Severity::Warning));
        let fail_on = self.fail_on.map_or(usual, FailOn::threshold);
        let detector = Detector::new(Arc::new(rules)).at(self.moment());
        let progress = Progress::default();
        log_settings(&config, baseline.as_ref(), detector.rules(), fail_on);
        let outputs = targets.iter().filter_map(|target| target.output.clone()).collect();
        let scan = Scan { refused: recorded(refused), outputs, ..self.scan(config, baseline) };
        #[cfg(feature = "verify")]
        let scan = Scan { verifying: self.verify.verifying()?, ..scan };
        output::info(&format!("scanning {} ({:?})", list(&scan.roots), scan.scope));
        let report = progress::shown(&progress, !self.quiet, || scan.run(&detector, &progress));
        print_failures(&report, &targets);
        if scan.scope == Scope::Tree && !self.quiet {
            for root in scan.roots.iter().filter(|root| is_bare_repository(root)) {
                output::warning(&format!(
                    "{}: a repository without a working tree: its objects are compressed; use --history",
                    root.display()
                ));
            }
        }
        if scan.scope == Scope::Tree
            && report.coverage.files == 0
            && !self.quiet
            && report.coverage.failures().next().is_none()
        {
            output::warning("nothing was scanned: the given paths contain no files, or only ones that are left out");
        }
        let elapsed = started.elapsed();
        let coverage = &report.coverage;
        let (files, objects) = (coverage.files, coverage.objects);
        output::info(&format!("{files} files and {objects} objects in {:.3} s", elapsed.as_secs_f64()));
        let options = self.options(fail_on, self.stats.then_some(elapsed))?;
        let complete = self.write_all(&report, &options, &targets);
        let verdict = report.verdict(fail_on);
        // The process is about to end; freeing a million findings one by one takes as long as writing them.
        std::mem::forget(report);
        Ok(if complete { verdict } else { Verdict::Incomplete })
    }

    fn scan(&self, config: Config, baseline: Option<Baseline>) -> Scan {
        let roots = self.roots();
        let stdin = self.paths.len() > roots.len();
        let limit = self.max_file_size.map_or_else(SizeLimit::default, |bytes| SizeLimit { bytes, is_chosen: true });
        Scan {
            roots,
            texts: vec![],
            stdin: stdin.then(|| self.stdin_path.clone()),
            scope: self.scope(),
            no_ignore: self.no_ignore,
            outputs: vec![],
            limit,
            archives: !self.no_archives,
            config,
            baseline,
            limits: self.limits(),
            threads: self.threads(),
            show_secrets: self.show_secrets,
            environment: Arc::new(environment().clone()),
            refused: vec![],
            now: self.moment(),
            verifying: None,
        }
    }

    /// The number of threads, capped at what the processors can keep busy: idle threads cost time. 0 if not given.
    fn threads(&self) -> usize {
        const MAX_PER_PROCESSOR: usize = 4;
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.min(MAX_PER_PROCESSOR * processors)
    }

    /// The moment as of which ages are computed.
    fn moment(&self) -> i64 {
        self.now.unwrap_or_else(super::now)
    }

    fn limits(&self) -> Limits {
        let usual = Limits::default();
        let limit = |chosen: Option<u64>, usual| chosen.map_or(usual, |most| Limit { most, is_chosen: true });
        Limits {
            depth: limit(self.max_archive_depth, usual.depth),
            entries: limit(self.max_archive_entries, usual.entries),
            bytes: limit(self.max_archive_size, usual.bytes),
            ratio: limit(self.max_archive_ratio, usual.ratio),
        }
    }

    fn scope(&self) -> Scope {
        let whole_files = self.whole_files;
        if self.history {
            return Scope::History { with_tree: !self.no_tree, with_submodules: self.submodules };
        }
        if self.staged {
            return Scope::Staged { whole_files };
        }
        let since = self.since.map(|since| match since {
            Since::Moment(moment) => moment,
            Since::Ago(seconds) => self.moment() - seconds,
        });
        let selection = Selection { range: self.range.clone(), branches: self.branch.clone(), since, pushed: None };
        if selection == Selection::default() { Scope::Tree } else { Scope::Commits { selection, whole_files } }
    }

    /// The given paths, without standard input.
    fn roots(&self) -> Vec<PathBuf> {
        self.paths.iter().filter(|path| *path != Path::new("-")).cloned().collect()
    }

    /// Which policy files of the scanned repository are obeyed.
    fn obeyed(&self) -> Obeyed {
        if self.no_repo_config {
            Obeyed::Nothing
        } else if self.staged {
            Obeyed::Staged
        } else {
            Obeyed::All
        }
    }

    /// The configuration that was given or found.
    fn load_config(&self, rules: &RuleSet, refused: &mut Vec<Refused>) -> Config {
        let first = self.roots().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
        let config = match &self.config {
            Some(file) => {
                Config::read_user(rules, environment()).and_then(|user| user.with(file, rules)).map_err(Refused::from)
            }
            None => self.obeyed().config(&first, rules),
        };
        config.unwrap_or_else(|error| {
            refused.push(error);
            Config::default()
        })
    }

    /// The baseline that was given or found.
    fn load_baseline(&self, config: &Config, refused: &mut Vec<Refused>) -> Option<Baseline> {
        if self.no_baseline {
            return None;
        }
        let first = self.roots().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
        let found = || match self.obeyed() {
            Obeyed::Nothing => config.baseline.clone(),
            obeyed => config.find_baseline(&first, environment()).and_then(|file| obeyed.file(file)),
        };
        let file = self.baseline.clone().or_else(found)?;
        Baseline::read(&file).map_err(|error| refused.push(error.into())).ok()
    }

    /// What reports show.
    fn options(&self, fail_on: Option<Severity>, stats: Option<Duration>) -> anyhow::Result<Options> {
        let dir = &environment().working_dir;
        if dir.as_os_str().is_empty() {
            bail!("cannot determine the working directory");
        }
        Ok(Options {
            show_suppressed: self.show_suppressed,
            sarif_suppressed: self.sarif_suppressed,
            stats,
            fail_on,
            scanned: self.paths.iter().map(|path| path.display().to_string()).collect(),
            base: UriBase::new(dir, &self.roots()),
            ..Options::default()
        })
    }

    /// Writes all reports. One that cannot be written is reported and does not keep the others from being written; false
    /// if there is one.
    fn write_all(&self, report: &Report, options: &Options, targets: &[Target]) -> bool {
        let mut complete = true;
        // What is shown last may say that a file could not be written.
        let (files, shown): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(|target| target.output.is_some());
        for target in files.into_iter().chain(shown) {
            let written = match &target.output {
                Some(path) => output::file(path, |out| report.write(target.format, options, out)),
                None => {
                    let mut options = options.clone();
                    options.layout = output::layout(self.color);
                    options.is_another_lost = !complete;
                    output::stdout_with(|out| report.write(target.format, &options, out))
                }
            };
            match written {
                Ok(()) => {}
                // A reader that stops early does not change the verdict.
                Err(error) if output::is_broken_pipe(&error) => {}
                Err(error) => {
                    output::error(&format!("{error:#}"));
                    complete = false;
                }
            }
        }
        complete
    }

    fn targets(&self, matches: &ArgMatches) -> anyhow::Result<Vec<Target>> {
        let pairs = output::pair_formats(matches, &self.format, &self.output, Format::Text)?;
        Ok(pairs.into_iter().map(|(format, output)| Target { format, output }).collect())
    }
}

/// True for a directory that git would use as a bare repository, or for `.git` itself.
fn is_bare_repository(dir: &Path) -> bool {
    dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir()
}

/// Logs the settings that are in effect.
fn log_settings(config: &Config, baseline: Option<&Baseline>, rules: &RuleSet, fail_on: Option<Severity>) {
    let gate = fail_on
        .map_or("no finding fails the run".to_owned(), |severity| format!("failing on severity {severity} or higher"));
    output::info(&format!("{} rules; {gate}", rules.iter().len()));
    match config.files.as_slice() {
        [] => output::info("no configuration"),
        files => output::info(&format!("configuration: {}", list(files))),
    }
    if let Some(baseline) = baseline {
        output::info(&format!("baseline: {}, {} entries", baseline.file.display(), baseline.entries.len()));
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Prints failures to standard error if a person would not see them in the report.
fn print_failures(report: &Report, targets: &[Target]) {
    let is_seen = targets.contains(&Target { format: Format::Text, output: None }) && output::both_on_terminal();
    if !is_seen {
        for skip in report.coverage.failures() {
            output::error(&format!("{}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string())));
        }
    }
}
