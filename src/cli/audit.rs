//! `keyspill audit`.

use super::environment::environment;
use super::inventory::ReportArgs;
use super::output;
use super::progress;
use super::selection::RuleArgs;
use super::session::Refused;
use crate::audit::answers::{Answers, MAX_AGE};
use crate::audit::clone::Cloner;
#[cfg(feature = "verify")]
use crate::audit::inventory::Inventory;
use crate::audit::merge::Merge;
use crate::audit::run::{Audit, AuditProgress, Shard, global_excludes};
use crate::audit::stamp;
use crate::audit::state::{State, StateError};
use crate::audit::target::{Source, Unit, read_list, refusal, shown_url, units};
use crate::config::Config;
use crate::detect::Detector;
use crate::environment::Environment;
use crate::report::Verdict;
use crate::report::wording::plural;
use crate::rule::{RuleSet, Selection};
use crate::scan::Scan;
use crate::text::sanitize::write_json_pretty;
use anyhow::{Context, bail};
use clap::ArgMatches;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The maximum size of a list of targets in bytes.
const MAX_LIST: u64 = 1 << 30;

/// The maximum size of the key of fingerprints in bytes, and the least that is not guessed.
const KEY_SIZES: std::ops::RangeInclusive<usize> = 16..=4096;

/// What a worker's exit code says to the engine that runs it.
mod worker {
    /// What a retry cannot cure: wrong arguments, a folder without rights.
    pub const HOPELESS: u8 = 2;
    /// What a retry may cure (`EX_TEMPFAIL` of sysexits.h).
    pub const TRY_AGAIN: u8 = 75;
}

/// Arguments as typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Repositories, folders of them, other folders, mailboxes and exports; or URLs of repositories, with --clone.
    ///
    /// For a repository, its whole history and working tree are scanned.
    #[arg(required_unless_present = "from")]
    targets: Vec<String>,

    /// Also audit the targets in a file, one per line, with comments after `#`; `-` means standard input. May be repeated.
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    from: Vec<PathBuf>,

    /// Clone URLs into this folder, using your git configuration. Only https, ssh and file are used.
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    clone: Option<PathBuf>,

    /// Keep clones after scanning, and update them next time.
    #[arg(long, requires = "clone", help_heading = "Input")]
    keep_clones: bool,

    /// How many repositories are cloned at a time.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "clone", value_parser = clap::value_parser!(u8).range(1..=64), help_heading = "Input")]
    clones: u8,

    /// Time limit per clone, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "clone", help_heading = "Input")]
    clone_timeout: u64,

    /// Number of retries after a network error.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "clone", value_parser = clap::value_parser!(u32).range(0..=10), help_heading = "Input")]
    clone_retries: u32,

    /// Also scan files of working trees that git ignores.
    #[arg(long, help_heading = "Input")]
    no_ignore: bool,

    /// Configuration file, which describes your organisation [default: keyspill.toml in this directory or a parent
    /// directory, up to the repository root]. Those of the targets are ignored.
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    config: Option<PathBuf>,

    #[command(flatten)]
    rules: RuleArgs,

    /// Folder for the state between audits: what did not change is not scanned again, an interrupted audit resumes, and
    /// reports say what is new.
    #[arg(long, value_name = "DIR", help_heading = "State")]
    state: Option<PathBuf>,

    /// File with a secret that fingerprints are made with, so that nobody without it can test guesses on a report.
    #[arg(long, value_name = "FILE", help_heading = "State")]
    fingerprint_key: Option<PathBuf>,

    /// Audit only part I of N, such as 0/4; results of all parts are joined by `keyspill merge`. I may be left out if
    /// `JOB_COMPLETION_INDEX` is set: /4.
    #[arg(long, value_name = "I/N", requires = "state", value_parser = parse_shard, help_heading = "State")]
    shard: Option<Shard>,

    /// Only print the units that the targets fall into, as JSON, with about how many bytes must be read for each: for
    /// schedulers, which give some of them to `--units`.
    #[arg(long, help_heading = "State")]
    plan: bool,

    /// Audit only the units whose names are in this file (a JSON list).
    #[arg(long, value_name = "FILE", requires = "state", conflicts_with = "shard", help_heading = "State")]
    units: Option<PathBuf>,

    /// For job engines: exit with 0 when the work is done, whatever was found; with 75 if a retry may help, with 2 if not.
    /// Reports are only written to files.
    #[arg(long, requires = "state", help_heading = "State")]
    worker: bool,

    #[cfg(feature = "verify")]
    #[command(flatten)]
    verify: super::verify::AuditVerifyArgs,

    #[command(flatten)]
    report: ReportArgs,

    /// Number of units that are scanned at a time [default: one per processor].
    #[arg(short = 'j', long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let words = "expected I/N, such as 0/4 for the first of four parts";
    let (number, count) = text.split_once('/').ok_or(words)?;
    let number = match number {
        "" => std::env::var("JOB_COMPLETION_INDEX")
            .map_err(|_| "the number of the part is left out, but JOB_COMPLETION_INDEX is not set")?,
        number => number.to_owned(),
    };
    let number: usize = number.parse().map_err(|_| words)?;
    let count: usize = count.parse().map_err(|_| words)?;
    if number < count && count <= 100_000 { Ok(Shard { number, count }) } else { Err(words.into()) }
}

impl Args {
    /// Audits and reports.
    pub fn run(self, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
        let is_worker = self.worker;
        match self.audit(matches) {
            Ok(done) if is_worker => Ok(ExitCode::from(match done {
                Done { is_retryable: true, .. } => worker::TRY_AGAIN,
                Done { has_failed_targets: true, .. } | Done { is_written: false, .. } => worker::HOPELESS,
                Done { .. } => 0,
            })),
            Ok(done) => Ok(super::exit_code(done.verdict)),
            Err(error) if is_worker => {
                let is_retryable = error.downcast_ref::<StateError>().is_some_and(StateError::is_retryable);
                output::error(&format!("{error:#}"));
                Ok(ExitCode::from(if is_retryable { worker::TRY_AGAIN } else { worker::HOPELESS }))
            }
            Err(error) => Err(error),
        }
    }

    fn audit(self, matches: &ArgMatches) -> anyhow::Result<Done> {
        let mut outputs = self.report.outputs(matches)?;
        if self.worker {
            outputs.retain(|output| output.file.is_some());
        }
        let mut refused = Vec::new();
        let known = self.rules.known(&mut refused);
        if let Some(unknown) = self.rules.unknown(&known) {
            bail!(unknown);
        }
        let now = self.report.moment();
        #[cfg(feature = "verify")]
        let verifying = self.verify.verifying()?;
        let key = self.fingerprint_key.as_deref().map(read_key).transpose()?;
        let targets = self.targets()?;
        let config = self.load_config(&known, &targets)?;
        let rules = Arc::new(self.rules.selected(&config, &known, &mut refused));
        if let Some(Refused { file, problem }) = refused.first() {
            bail!("{}: {problem}", file.display());
        }
        // Without a working directory, every path is absolute: names must not depend on where the audit runs.
        let environment = Arc::new(Environment { working_dir: PathBuf::new(), ..environment().clone() });
        if self.plan {
            let all = units(&targets, &[], &environment);
            output::stdout_with(|out| plan(&all, &environment, out))?;
            return Ok(Done {
                verdict: Verdict::Clean,
                is_retryable: false,
                has_failed_targets: false,
                is_written: true,
            });
        }
        let cloner = self.cloner()?;
        let wanted = self.units.as_deref().map(read_units).transpose()?;
        // Without a folder of its own, an audit remembers nothing.
        let temporary = match &self.state {
            Some(_) => None,
            None => Some(tempfile::tempdir().context("cannot make a folder for results")?),
        };
        if let Some(dir) = &temporary {
            output::remove_on_interrupt(dir.path());
        }
        let dir = self.state.as_deref().or(temporary.as_ref().map(tempfile::TempDir::path)).expect("there is one");
        let state = State::open(dir)?;
        // A file that cannot be used is told before hours of work.
        let mut answers = if self.state.is_some() { Answers::read(state.answers())? } else { Answers::default() };
        // A report is not there yet, or is an earlier one, with keys that may be gone.
        let written = outputs.iter().filter_map(|output| output.file.clone());
        let own: Vec<PathBuf> =
            std::iter::once(dir).chain(cloner.as_ref().map(Cloner::dir)).map(Path::to_owned).chain(written).collect();
        let all = units(&targets, &own, &environment);
        state.note_units(&all)?;
        let template =
            Scan { config, no_ignore: self.no_ignore, environment: environment.clone(), now, ..Scan::default() };
        let audit = Audit {
            template,
            detector: Detector::new(rules.clone()).at(now).keeping_later(),
            key,
            shard: self.shard.unwrap_or(Shard::ALL),
            cloner,
            clones_at_once: usize::from(self.clones),
            threads: self.threads(),
            forgets: wanted.is_none(),
            excludes: global_excludes(&environment),
        };
        let progress = AuditProgress::default();
        let mut chosen = all.clone();
        if let Some(wanted) = &wanted {
            chosen.retain(|unit| wanted.contains(&unit.name));
            if let Some(unknown) = wanted.iter().find(|name| !all.iter().any(|unit| unit.name == **name)) {
                let name = crate::text::sanitize::one_line(unknown);
                bail!("--units lists a name that is not a unit of these targets: {name}; `--plan` lists them");
            }
            state.forget_others(&all.iter().map(|unit| unit.name.clone()).collect());
        }
        let outcome = progress::shown_audit(&progress, !self.report.quiet, || audit.run(chosen, &state, &progress))?;
        outcome.warnings.iter().for_each(|warning| output::warning(warning));
        let is_whole = audit.shard == Shard::ALL && wanted.is_none();
        output::info(&format!("{}, {} unchanged", plural(outcome.results.len(), "unit"), outcome.reused));
        let mut merge = Merge::default();
        merge.add(&outcome.results)?;
        // A part of an audit is not asked about: who joins the parts has the keys of all.
        #[cfg_attr(not(feature = "verify"), expect(unused_mut, reason = "nothing is asked"))]
        let mut is_remembered = true;
        if is_whole {
            #[cfg(feature = "verify")]
            if let Some(verifying) = &verifying {
                let inventory = merge.run(&rules, now, &mut |_| {})?;
                let temporary = temporary.as_ref().map(tempfile::TempDir::path);
                is_remembered = ask(verifying, &mut answers, audit, all, &inventory, temporary);
            }
            answers.forget_before(super::now() - MAX_AGE);
            merge.know(answers.shared());
        }
        // What a shard knows is a part: only the whole has a history.
        let ledger = (self.state.is_some() && is_whole).then(|| state.keys());
        let written = self.report.write(&merge, &rules, now, ledger.as_deref(), &outputs)?;
        Ok(Done {
            verdict: if is_remembered { written.verdict } else { Verdict::Incomplete },
            is_retryable: outcome.is_retryable,
            has_failed_targets: written.has_failed_targets,
            is_written: written.is_written,
        })
    }

    fn targets(&self) -> anyhow::Result<Vec<String>> {
        let mut targets = self.targets.clone();
        for file in &self.from {
            let (name, text) = if file == Path::new("-") {
                let mut text = Vec::new();
                std::io::stdin().take(MAX_LIST).read_to_end(&mut text).context("standard input")?;
                ("standard input".to_owned(), text)
            } else {
                let name = file.display().to_string();
                let read = std::fs::File::open(file).and_then(|file| {
                    let mut text = Vec::new();
                    file.take(MAX_LIST).read_to_end(&mut text).map(|_| text)
                });
                (name.clone(), read.map_err(|error| anyhow::anyhow!("{name}: {}", crate::file::describe(&error)))?)
            };
            for (line, target) in read_list(&text).map_err(|problem| anyhow::anyhow!("{name}: {problem}"))? {
                // Its name is not shown in full, as it may have a password in it.
                if let Some(problem) = refusal(&target) {
                    output::warning(&format!("{name}:{line}: {}: {problem}", shown_url(&target)));
                }
                targets.push(target);
            }
        }
        if targets.iter().any(String::is_empty) {
            bail!("a target has no name; is a variable empty?");
        }
        if targets.is_empty() {
            bail!("there is nothing to audit: the list of targets is empty");
        }
        Ok(targets)
    }

    fn load_config(&self, rules: &RuleSet, targets: &[String]) -> anyhow::Result<Config> {
        let user = Config::read_user(rules, environment())?;
        let is_in_target = |file: &PathBuf| {
            let file = file.canonicalize().unwrap_or_default();
            targets
                .iter()
                .filter_map(|target| Path::new(target).canonicalize().ok())
                .any(|target| file.starts_with(target))
        };
        let mut found = Config::find(Path::new("."), environment());
        if let Some(file) = found.take_if(|file| self.config.is_none() && is_in_target(file)) {
            let file = file.display();
            output::warning(&format!("{file} belongs to a target and is ignored; pass --config {file} to use it"));
        }
        let file = self.config.clone().or(found);
        Ok(match file {
            Some(file) => user.with(&file, rules)?,
            None => user,
        })
    }

    fn cloner(&self) -> Result<Option<Cloner>, StateError> {
        let limit = Duration::from_secs(self.clone_timeout);
        let cloner = |dir| Cloner::new(dir, limit, self.clone_retries, self.keep_clones);
        self.clone.clone().map(cloner).transpose()
    }

    /// The number of units at a time, capped at what the processors can keep busy. 0 if not given.
    fn threads(&self) -> usize {
        const MAX_PER_PROCESSOR: usize = 4;
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.min(MAX_PER_PROCESSOR * processors)
    }
}

/// Asks about the keys of an inventory. False if not all was asked, or the answers cannot be remembered; the report has what
/// was answered nevertheless.
#[cfg(feature = "verify")]
fn ask(
    verifying: &crate::verify::Verifying,
    answers: &mut Answers,
    audit: Audit,
    units: Vec<Unit>,
    inventory: &Inventory,
    temporary: Option<&Path>,
) -> bool {
    let config = audit.template.config.clone();
    let read_again = |gathering, names| gather(audit.gathering(gathering), units, &names, temporary);
    let asked = super::verify::ask_about_inventory(verifying, answers, &config, inventory, read_again);
    asked.inspect_err(|error| output::error(&format!("{error:#}"))).is_ok()
}

/// Scans the units with some names again, and forgets what is found: only the questions that it gathers are of use. `temporary`
/// is a folder that is removed at the end, if there is one.
#[cfg(feature = "verify")]
fn gather(audit: Audit, units: Vec<Unit>, names: &BTreeSet<String>, temporary: Option<&Path>) -> anyhow::Result<()> {
    let units: Vec<Unit> = units.into_iter().filter(|unit| names.contains(&unit.name)).collect();
    output::notice(&format!("reading {} again for the secrets of keys", plural(units.len(), "unit")));
    let dir =
        temporary.map_or_else(tempfile::tempdir, tempfile::tempdir_in).context("cannot make a folder for results")?;
    if temporary.is_none() {
        output::remove_on_interrupt(dir.path());
    }
    let outcome = audit.run(units, &State::open(dir.path())?, &AuditProgress::default())?;
    outcome.warnings.iter().for_each(|warning| output::warning(warning));
    Ok(())
}

/// What became of an audit.
struct Done {
    verdict: Verdict,
    /// True if doing it again may help.
    is_retryable: bool,
    /// True if nothing of some target could be scanned.
    has_failed_targets: bool,
    is_written: bool,
}

/// All built-in rules, on or off, and those in files: a result may have findings of any.
pub fn load_rules(files: &[PathBuf]) -> anyhow::Result<RuleSet> {
    let mut rules = RuleSet::selected(&Selection::everything());
    for file in files {
        rules.add(file)?;
    }
    Ok(rules)
}

/// Writes the units, in order of their names.
fn plan(units: &[Unit], environment: &Environment, out: &mut dyn Write) -> std::io::Result<()> {
    let entry = |unit: &Unit| {
        let bytes = stamp::stamp(unit, environment).map_or(0, |stamp| stamp.size);
        serde_json::json!({ "name": unit.name, "bytes": bytes, "isRemote": matches!(unit.source, Source::Remote(_)) })
    };
    write_json_pretty(out, &units.iter().map(entry).collect::<Vec<_>>())
}

fn read_units(file: &Path) -> anyhow::Result<BTreeSet<String>> {
    let name = file.display();
    let text = crate::file::read(file, MAX_LIST);
    let text = text.map_err(|error| anyhow::anyhow!("{name}: {}", crate::file::describe(&error)))?;
    serde_json::from_slice(&text).map_err(|_| anyhow::anyhow!("{name}: expected a list of names in JSON"))
}

fn read_key(file: &Path) -> anyhow::Result<Vec<u8>> {
    let read = crate::file::read(file, *KEY_SIZES.end() as u64);
    let key = read.map_err(|error| anyhow::anyhow!("{}: {}", file.display(), crate::file::describe(&error)))?;
    // An editor ends the last line.
    let key = key.trim_ascii_end().to_vec();
    if !KEY_SIZES.contains(&key.len()) {
        bail!("{}: expected at least {} random bytes as the key of fingerprints", file.display(), KEY_SIZES.start());
    }
    Ok(key)
}
