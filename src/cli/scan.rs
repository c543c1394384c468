//! `keyspill scan`.

use super::output::{self, ColourChoice};
use super::progress;
use super::session::Obeyed;
use crate::config::Config;
use crate::detect::Detector;
use crate::policy::baseline::Baseline;
use crate::report::uri::UriBase;
use crate::report::{Options, Report, Verdict, csv, github, gitlab, html, json, junit, sarif, text};
use crate::rule::{RuleSet, Severity};
use crate::scan::{Limit, Limits, Progress, Scan, Scope, Selection};
use crate::source::SizeLimit;
use crate::text::sanitize::one_line;
use anyhow::{Context, bail};
use clap::{ArgMatches, ValueEnum};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Arguments as typed.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("changes").args(["staged", "range", "branch", "since"]).multiple(true))]
pub struct Args {
    /// Files and directories to scan; `-` is standard input.
    ///
    /// A path that is named here is scanned even if git ignores it.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,

    /// Scan all that the repositories of the given paths have ever held, too.
    #[arg(long, conflicts_with_all = ["range", "branch", "since"], help_heading = "What is scanned")]
    history: bool,

    /// Scan what `git commit` would record now: lines that are added, as they are in the index.
    #[arg(long, conflicts_with_all = ["history", "range", "branch", "since"], help_heading = "What is scanned")]
    staged: bool,

    /// Scan what some commits bring in: `A..B`, `A...B`, or a commit with all before it.
    #[arg(long, value_name = "RANGE", help_heading = "What is scanned")]
    range: Option<String>,

    /// Scan what the commits of a branch brought in. May be given several times.
    #[arg(long, value_name = "NAME", help_heading = "What is scanned")]
    branch: Vec<String>,

    /// Scan what commits brought in since a date, as in 2026-05-04, or for a time, as in "2 weeks".
    ///
    /// The dates are those of the committers, in UTC. With --range or --branch, only of those commits.
    #[arg(long, value_name = "DATE", value_parser = parse_since, help_heading = "What is scanned")]
    since: Option<Since>,

    /// With --staged, --range, --branch or --since: report what was in a changed file before, too.
    #[arg(long, requires = "changes", help_heading = "What is scanned")]
    whole_files: bool,

    /// With --history: do not scan the working tree.
    #[arg(long, requires = "history", help_heading = "What is scanned")]
    no_tree: bool,

    /// With --history: scan the submodules' repositories, too.
    #[arg(long, requires = "history", help_heading = "What is scanned")]
    submodules: bool,

    /// Scan what git ignores, too.
    #[arg(long, help_heading = "What is scanned")]
    no_ignore: bool,

    /// Do not scan files larger than this, as in 10MB or 512KiB [default: 1GiB].
    ///
    /// A file over the default limit makes the scan incomplete (exit code 2); one over a limit that you set does not.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "What is scanned")]
    max_file_size: Option<u64>,

    /// Do not look into archives, compressed files and documents. Mail is looked into in any case.
    #[arg(long, help_heading = "What is scanned")]
    no_archives: bool,

    /// How deep archives may lie in each other [default: 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64), help_heading = "What is scanned")]
    max_archive_depth: Option<u64>,

    /// How many entries the archives in one file may have [default: 1000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "What is scanned")]
    max_archive_entries: Option<u64>,

    /// To how much the archives in one file may unfold, as in 500MB [default: 16GiB].
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "What is scanned")]
    max_archive_size: Option<u64>,

    /// To how many times its size a file may unfold, beyond the first 256 MiB [default: 200].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "What is scanned")]
    max_archive_ratio: Option<u64>,

    /// What to call standard input in the report.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "<stdin>",
        hide_default_value = true,
        help_heading = "What is scanned"
    )]
    stdin_path: PathBuf,

    /// What your organisation is: its domains and accounts [default: keyspill.toml, in the directory of the first path or
    /// above, up to the repository's root].
    #[arg(long, value_name = "FILE", help_heading = "What is scanned")]
    config: Option<PathBuf>,

    /// Do not obey configuration and accepted findings of what is scanned: it may be somebody else's. Allow comments
    /// are part of the code, and hold.
    #[arg(long, help_heading = "What is scanned")]
    no_repo_config: bool,

    /// Findings that are accepted [default: keyspill-baseline.toml, or what keyspill.toml says].
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    baseline: Option<PathBuf>,

    /// Count accepted findings, too.
    #[arg(long, conflicts_with = "baseline", help_heading = "Gate")]
    no_baseline: bool,

    /// Add the rules of a TOML file. May be given several times.
    #[arg(long = "rules", value_name = "FILE", help_heading = "What is scanned")]
    rules: Vec<PathBuf>,

    /// How to write the report.
    ///
    /// May be given several times, each with an --output of its own.
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "Report")]
    format: Vec<Format>,

    /// Where to write the report of the preceding --format; standard output if not given.
    #[arg(short, long, value_name = "FILE", help_heading = "Report")]
    output: Vec<PathBuf>,

    /// List findings that do not count, too: documented examples, placeholders, allowed ones.
    #[arg(long, help_heading = "Report")]
    show_suppressed: bool,

    /// Write those to SARIF, too, marked as suppressed. GitHub opens alerts for them all the same.
    #[arg(long, help_heading = "Report")]
    sarif_suppressed: bool,

    /// Write secrets in clear.
    #[arg(long, help_heading = "Report")]
    show_secrets: bool,

    /// Add how long the scan took. Without it the same input always gives the same report.
    #[arg(long, help_heading = "Report")]
    stats: bool,

    /// When to use colours.
    #[arg(long, alias = "colour", value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", help_heading = "Report")]
    color: ColourChoice,

    /// The least severity that makes keyspill exit with 1 [default: warning, or what keyspill.toml says].
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Gate")]
    fail_on: Option<FailOn>,

    /// No progress bar, and no hints; errors are told all the same.
    #[arg(short, long, help_heading = "Report")]
    quiet: bool,

    /// Tell ages and exposure as of this moment, as in 2026-05-04, instead of now.
    #[arg(long, value_name = "DATE", value_parser = parse_moment, help_heading = "Report")]
    now: Option<i64>,

    /// How many threads to use, up to four for each processor [default: one for each].
    #[arg(short = 'j', long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// JSON Lines: a finding each, the summary last.
    Jsonl,
    /// SARIF 2.1.0, for GitHub code scanning and others.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
    /// GitLab's report of secret detection.
    Gitlab,
    /// Tests that failed, in XML, for other CI servers.
    Junit,
    /// A table, a row for each finding.
    Csv,
    /// One page for an audit.
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Note,
    Warning,
    Error,
}

impl From<FailOn> for Severity {
    fn from(threshold: FailOn) -> Self {
        match threshold {
            FailOn::Note => Self::Note,
            FailOn::Warning => Self::Warning,
            FailOn::Error => Self::Error,
        }
    }
}

/// What `--since` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Seconds since 1970.
    Moment(i64),
    /// Seconds before now.
    Ago(i64),
}

/// Seconds since 1970 of a moment or day, in UTC.
fn parse_moment(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(moment.as_second());
    }
    let day = text.parse::<jiff::civil::DateTime>().or_else(|_| text.parse::<jiff::civil::Date>().map(Into::into));
    let day = day.map_err(|_| "expected a date, as in 2026-05-04, or a moment, as in 2026-05-04T10:00:00Z")?;
    let moment = jiff::tz::TimeZone::UTC.to_timestamp(day).map_err(|error| error.to_string())?;
    Ok(moment.as_second())
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = parse_moment(text) {
        return Ok(Since::Moment(moment));
    }
    let ago = text.trim().trim_end_matches("ago").trim();
    let span =
        ago.parse::<jiff::Span>().map_err(|_| "expected a date, as in 2026-05-04, or a time, as in `2 weeks`")?;
    let day = jiff::SpanRelativeTo::days_are_24_hours();
    let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
    let rest = span.years(0).months(0).total((jiff::Unit::Second, day)).map_err(|error| error.to_string())?;
    // Months and years of no particular length, as git has them, too.
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
        let (rules, rules_complete) = self.load_rules();
        let (config, config_complete) = self.load_config(&rules);
        let (baseline, baseline_complete) = self.load_baseline(&config);
        let complete = rules_complete && config_complete && baseline_complete;
        let fail_on = self.fail_on.map(Severity::from).or(config.fail_on).unwrap_or(Severity::Warning);
        let detector = Detector::new(Arc::new(rules)).at(self.moment());
        let progress = Progress::default();
        tell_what_is_in_force(&config, baseline.as_ref(), detector.rules(), fail_on);
        let scan = self.scan(config, baseline);
        output::info(&format!("scanning {} ({:?})", list(&scan.roots), scan.scope));
        let report = progress::shown(&progress, !self.quiet, || scan.run(&detector, &progress));
        tell(&report, &targets);
        if scan.scope == Scope::Tree
            && report.coverage.files == 0
            && !self.quiet
            && report.coverage.failures().next().is_none()
        {
            output::warning("nothing was scanned: there is no file in the given paths that git does not ignore");
        }
        let elapsed = started.elapsed();
        let coverage = &report.coverage;
        let (files, objects) = (coverage.files, coverage.objects);
        output::info(&format!("{files} files and {objects} objects in {:.3} s", elapsed.as_secs_f64()));
        let sarif_suppressed = self.sarif_suppressed;
        let options =
            Options { show_suppressed: self.show_suppressed, sarif_suppressed, stats: self.stats.then_some(elapsed) };
        for target in &targets {
            match self.write(&report, &options, target) {
                // Whoever reads less than all of the report does not change what was found.
                Err(error) if output::is_broken_pipe(&error) => {}
                written => written?,
            }
        }
        let verdict = report.verdict(fail_on);
        // The process is about to end; to free a million findings one by one takes as long as to write them.
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
            limit,
            archives: !self.no_archives,
            config,
            baseline,
            limits: self.limits(),
            threads: self.threads(),
            show_secrets: self.show_secrets,
            now: self.moment(),
        }
    }

    /// How many threads are used: no more than the processors can have work for, since those that wait for some cost time.
    fn threads(&self) -> usize {
        const MAX_PER_PROCESSOR: usize = 4;
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.min(MAX_PER_PROCESSOR * processors)
    }

    /// From when ages are told.
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

    /// The paths but standard input.
    fn roots(&self) -> Vec<PathBuf> {
        self.paths.iter().filter(|path| *path != Path::new("-")).cloned().collect()
    }

    /// Whose word counts in what is scanned.
    fn obeyed(&self) -> Obeyed {
        if self.no_repo_config {
            Obeyed::Nothing
        } else if self.staged {
            Obeyed::Staged
        } else {
            Obeyed::All
        }
    }

    /// The configuration that was given or is there; false if it could not be read.
    fn load_config(&self, rules: &RuleSet) -> (Config, bool) {
        let first = self.roots().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
        let config = match &self.config {
            Some(file) => Config::read(file, rules).map_err(|error| error.to_string()),
            None => self.obeyed().config(&first, rules),
        };
        match config {
            Ok(config) => (config, true),
            Err(error) => {
                output::error(&error);
                (Config::default(), false)
            }
        }
    }

    /// The accepted findings that were given or are there; false if they could not be read.
    fn load_baseline(&self, config: &Config) -> (Option<Baseline>, bool) {
        if self.no_baseline {
            return (None, true);
        }
        let first = self.roots().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
        let found = match self.obeyed() {
            Obeyed::Nothing => config.baseline.clone(),
            obeyed => config.find_baseline(&first).and_then(|file| obeyed.file(file)),
        };
        let Some(file) = self.baseline.clone().or(found) else { return (None, true) };
        match Baseline::read(&file) {
            Ok(baseline) => (Some(baseline), true),
            Err(error) => {
                output::error(&error.to_string());
                (None, false)
            }
        }
    }

    /// The built-in rules and those of all files that could be loaded; false if one could not.
    fn load_rules(&self) -> (RuleSet, bool) {
        let mut rules = RuleSet::built_in();
        let mut complete = true;
        for file in &self.rules {
            if let Err(error) = rules.add(file) {
                output::error(&error.to_string());
                complete = false;
            }
        }
        (rules, complete)
    }

    fn write(&self, report: &Report, options: &Options, target: &Target) -> anyhow::Result<()> {
        let text = match target.format {
            Format::Text => text::write(report, options, target.output.is_none() && self.color.for_stdout()),
            Format::Json => json::write(report, options),
            Format::Jsonl => json::write_lines(report, options),
            Format::Sarif => sarif::write(report, options, &self.base()?),
            Format::Github => github::write(report, &self.base()?),
            Format::Gitlab => gitlab::write(report, &self.base()?),
            Format::Junit => junit::write(report),
            Format::Csv => csv::write(report),
            Format::Html => html::write(report),
        };
        match &target.output {
            Some(path) => output::file(path, &text),
            None => output::stdout(&text),
        }
    }

    /// Where paths start that code hosts understand.
    fn base(&self) -> anyhow::Result<UriBase> {
        let dir = std::env::current_dir().context("cannot tell the working directory")?;
        Ok(UriBase::of_scan(&dir, &self.roots()))
    }

    /// Gives each --output to the --format before it. A lone --output may also stand before its --format.
    fn targets(&self, matches: &ArgMatches) -> anyhow::Result<Vec<Target>> {
        let indices = |name| matches.indices_of(name).into_iter().flatten();
        let formats = indices("format").zip(&self.format).map(|(at, format)| (at, Some(*format), None));
        let outputs = indices("output").zip(&self.output).map(|(at, output)| (at, None, Some(output.clone())));
        let mut typed: Vec<_> = formats.chain(outputs).collect();
        if let [(_, None, Some(_)), (_, Some(_), None)] = typed_sorted(&mut typed) {
            typed.swap(0, 1);
        }
        let mut targets: Vec<Target> = Vec::new();
        for (_, format, output) in typed {
            match (format, output, targets.last_mut()) {
                (Some(format), _, _) => targets.push(Target { format, output: None }),
                (None, output, None) => targets.push(Target { format: Format::Text, output }),
                (None, output, Some(last)) if last.output.is_none() => last.output = output,
                (None, output, Some(_)) => {
                    let file = output.unwrap_or_default();
                    bail!("--output {} has no --format of its own: give the --format before it", file.display());
                }
            }
        }
        if targets.is_empty() {
            targets.push(Target { format: Format::Text, output: None });
        }
        if targets.iter().filter(|target| target.output.is_none()).count() > 1 {
            bail!("only one --format can go to standard output: give the others an --output");
        }
        Ok(targets)
    }
}

/// Says under what a scan runs.
fn tell_what_is_in_force(config: &Config, baseline: Option<&Baseline>, rules: &RuleSet, fail_on: Severity) {
    output::info(&format!("{} rules; failing on {fail_on} and worse", rules.iter().len()));
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

/// Says on standard error what a person must know and would not see in the report.
fn tell(report: &Report, targets: &[Target]) {
    let is_seen = targets.contains(&Target { format: Format::Text, output: None }) && output::both_on_terminal();
    if !is_seen {
        for skip in report.coverage.failures() {
            output::error(&format!("{}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string())));
        }
    }
}

type Typed = (usize, Option<Format>, Option<PathBuf>);

fn typed_sorted(typed: &mut [Typed]) -> &[Typed] {
    typed.sort_by_key(|(at, _, _)| *at);
    typed
}
