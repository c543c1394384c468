//! `keyspill baseline`: the file of accepted findings.

use super::environment::environment;
use super::{
    output,
    session::{Obeyed, Session},
};
use crate::config::{BASELINE_NAME, Config};
use crate::finding::location::Location;
use crate::finding::{BlobPath, Finding, Suppression};
use crate::policy::baseline::{Baseline, Entry};
use crate::policy::migrate::{self, Accepted};
use crate::policy::place::Places;
use crate::report::{Report, Verdict};
use crate::rule::RuleSet;
use crate::scan::Scope;
use crate::text::mask::hide_long_words;
use crate::text::sanitize::one_line;
use anyhow::bail;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Subcommands of `baseline`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Accept all current findings in a new baseline file.
    Create {
        #[command(flatten)]
        what: What,
        /// Accept only what another scanner's file accepts: .gitleaksignore, a gitleaks report (JSON), or
        /// detect-secrets' .secrets.baseline. May be repeated.
        #[arg(long, value_name = "FILE")]
        from: Vec<PathBuf>,
    },
    /// Accept the findings at some places: `PATH:LINE`, or `PATH` for all in a file.
    Add {
        /// Where: as reports name it, such as config/app.json:12.
        #[arg(required = true, value_name = "PATH:LINE")]
        places: Vec<String>,
        #[command(flatten)]
        entry: EntryArgs,
    },
    /// Accept new findings and renew expired entries; other entries stay unchanged.
    Update {
        #[command(flatten)]
        what: What,
    },
    /// Remove entries that have expired or no longer match a finding.
    Prune {
        #[command(flatten)]
        what: What,
    },
    /// List the entries.
    Show {
        /// The baseline file [default: keyspill-baseline.toml, or as set in keyspill.toml].
        #[arg(long, value_name = "FILE")]
        baseline: Option<PathBuf>,
    },
}

/// Scan paths, baseline file and metadata for new entries.
#[derive(Debug, clap::Args)]
pub struct What {
    /// Files and directories to scan.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Also scan the repository's history.
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    entry: EntryArgs,
}

/// The baseline file, and what new entries say.
#[derive(Debug, Default, clap::Args)]
pub struct EntryArgs {
    /// The baseline file [default: keyspill-baseline.toml, or as set in keyspill.toml].
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Reason recorded in new entries.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Author recorded in new entries.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Last day on which new entries are valid, such as 2026-12-31.
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    expires: Option<jiff::civil::Date>,
}

fn parse_day(text: &str) -> Result<jiff::civil::Date, String> {
    let day: jiff::civil::Date = text.parse().map_err(|_| "expected a date such as 2026-12-31")?;
    let today = jiff::Timestamp::from_second(super::now()).unwrap_or_default().to_string();
    if day.to_string().as_str() < today.split('T').next().unwrap_or_default() {
        return Err("the date is in the past".into());
    }
    Ok(day)
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<Verdict> {
        match self {
            Self::Create { what, from } => create(&what, &from),
            Self::Add { places, entry } => add(&places, &entry),
            Self::Update { what } => update(&what),
            Self::Prune { what } => prune(&what),
            Self::Show { baseline } => show(baseline),
        }
    }
}

/// The path of the baseline file, whether or not it exists.
fn file_of(given: Option<&PathBuf>, root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(file) = given {
        return Ok(file.clone());
    }
    let config = match Config::find(root, environment()) {
        Some(file) => Config::default().with_found(&file, &RuleSet::built_in())?,
        None => Config::default(),
    };
    let beside = config.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("")).join(BASELINE_NAME);
    Ok(config.find_baseline(root, environment()).unwrap_or(beside))
}

impl What {
    fn file(&self) -> anyhow::Result<PathBuf> {
        file_of(self.entry.baseline.as_ref(), self.paths.first().map_or(Path::new("."), PathBuf::as_path))
    }

    /// Scans under the configuration and `baseline`.
    fn scan(&self, baseline: Option<Baseline>) -> (Report, Verdict) {
        let root = self.paths.first().map_or(Path::new("."), PathBuf::as_path);
        let session = Session::load(root, Obeyed::All, false).with_baseline(baseline);
        let mut scan = session.scan(self.paths.clone());
        if self.history {
            scan.scope = Scope::History { with_tree: true, with_submodules: false };
        }
        let report = session.run(&scan);
        report.coverage.failures().for_each(|skip| output::error(&format!("{}: {}", skip.path.to_text(), skip.cause)));
        let verdict = session.verdict(&report);
        (report, if verdict == Verdict::Incomplete { verdict } else { Verdict::Clean })
    }

    /// True if this scan covers the file of an entry.
    fn scans(&self, baseline: &Baseline, entry: &Entry, places: &Places) -> bool {
        let file = entry.path.split(crate::finding::path::INSIDE).next().unwrap_or_default();
        let dir = baseline.file.parent().unwrap_or(Path::new(""));
        let file = places.of_file(&dir.join(file));
        let is_below = |root: &PathBuf| file.starts_with(root.canonicalize().unwrap_or_else(|_| places.of_file(root)));
        (self.history || !entry.is_past) && self.paths.iter().any(is_below)
    }
}

impl EntryArgs {
    /// New entries for findings. A judgement goes with the key it is about.
    fn entries<'a>(&self, baseline: &Baseline, findings: impl Iterator<Item = &'a Finding>) -> Vec<Entry> {
        let places = Places::new(environment());
        let accepted = findings.filter(|finding| finding.judgement().is_none() && !finding.is_unused_allow());
        let entry = |finding: &Finding| Entry {
            reason: self.reason.clone().unwrap_or_default(),
            author: self.author.clone().unwrap_or_default(),
            expires: self.expires,
            ..baseline.entry(finding, &places)
        };
        accepted.map(entry).collect()
    }
}

/// A place as typed: a path, and a line if it ends with one, and maybe a column.
fn place_of(typed: &str) -> (&str, Option<u32>) {
    let split = |typed: &'_ str| {
        let (path, number) = typed.rsplit_once(':')?;
        Some((path.len(), number.parse().ok()?))
    };
    match split(typed) {
        // Brief reports have a column, too.
        Some((end, number)) => match split(&typed[..end]) {
            Some((start, line)) => (&typed[..start], Some(line)),
            None => (&typed[..end], Some(number)),
        },
        None => (typed, None),
    }
}

fn add(typed: &[String], entry: &EntryArgs) -> anyhow::Result<Verdict> {
    let places: Vec<(&str, Option<u32>)> = typed.iter().map(|place| place_of(place)).collect();
    // What is in a container is named after it.
    let file = |path: &str| PathBuf::from(path.split(crate::finding::path::INSIDE).next().unwrap_or(path));
    let paths: Vec<PathBuf> = places.iter().map(|(path, _)| file(path)).collect();
    let baseline_file = file_of(entry.baseline.as_ref(), &paths[0])?;
    let mut baseline = if baseline_file.exists() {
        Baseline::read(&baseline_file)?
    } else {
        Baseline { file: baseline_file, entries: vec![] }
    };
    let what = What { paths, history: false, entry: EntryArgs::default() };
    let (report, verdict) = what.scan(None);
    let mut found: Vec<&Finding> = Vec::new();
    for ((path, line), typed) in places.iter().zip(typed) {
        let path = BlobPath::new(Path::new(path));
        let before = found.len();
        found.extend(report.findings().filter(|finding| is_at(finding, &path, *line)));
        if found.len() == before {
            bail!("{typed}: there is no finding here that counts; see `keyspill scan --format brief`");
        }
    }
    let new = entry.entries(&baseline, found.into_iter());
    accept(&mut baseline, new)?;
    Ok(verdict)
}

/// The baseline that is to be changed or shown.
fn read_baseline(file: &Path) -> anyhow::Result<Baseline> {
    if !file.exists() {
        bail!("{}: there is no baseline; `keyspill baseline create` makes one", file.display());
    }
    Ok(Baseline::read(file)?)
}

/// True if a finding is at a line of a file, or anywhere in it.
fn is_at(finding: &Finding, path: &BlobPath, line: Option<u32>) -> bool {
    let lines = |location: &Location| location.start_line..=location.end_line;
    let places =
        finding.values().map(|value| &value.location).chain([&finding.location]).chain(finding.outer.as_deref());
    let is_there = finding.path.to_text() == path.to_text();
    // A whole container, with all that is in it.
    let is_inside = line.is_none() && path.inside().is_empty() && finding.path.file() == path.file();
    (is_there || is_inside) && line.is_none_or(|line| places.into_iter().any(|place| lines(place).contains(&line)))
}

/// Adds entries and writes the file. Entries of the same findings are replaced, so that one that has expired is renewed.
fn accept(baseline: &mut Baseline, new: Vec<Entry>) -> anyhow::Result<()> {
    let name = |entry: &Entry| (entry.path.clone(), entry.rule.clone(), entry.fingerprint);
    let renewed: HashSet<_> = new.iter().map(name).collect();
    let known: HashSet<_> = baseline.entries.iter().map(name).filter(|name| renewed.contains(name)).collect();
    baseline.entries.retain(|entry| !renewed.contains(&name(entry)));
    for entry in &new {
        let verb = if known.contains(&name(entry)) { "renewed" } else { "accepted" };
        let place = format!("{}  {}", entry.path, entry.rule);
        output::stdout(&format!("{verb} {}\n", one_line(&hide_long_words(&place))))?;
    }
    let has_reasons = new.iter().all(|entry| !entry.reason.is_empty());
    baseline.entries.extend(new);
    write(baseline)?;
    if !has_reasons {
        output::warning("no reason recorded; add one with --reason");
    }
    output::stdout(&format!("`git add {}`, so that hooks and CI use it\n", baseline.file.display()))?;
    Ok(())
}

fn create(what: &What, from: &[PathBuf]) -> anyhow::Result<Verdict> {
    let file = what.file()?;
    if file.exists() {
        bail!("{}: already exists; use `keyspill baseline update` to add to it", file.display());
    }
    let mut baseline = Baseline { file, entries: vec![] };
    let (report, verdict) = what.scan(None);
    if from.is_empty() {
        baseline.entries = what.entry.entries(&baseline, report.findings());
    } else {
        let mut accepted: Vec<Accepted> = Vec::new();
        for file in from {
            accepted.extend(migrate::read(file)?);
        }
        let mut used = vec![false; accepted.len()];
        let is_accepted = |finding: &&Finding| {
            let numbers: Vec<usize> = (0..accepted.len()).filter(|n| accepted[*n].is_of(finding)).collect();
            numbers.iter().for_each(|n| used[*n] = true);
            !numbers.is_empty()
        };
        let found: Vec<&Finding> = report.findings().filter(is_accepted).collect();
        baseline.entries = what.entry.entries(&baseline, found.into_iter());
        for (accepted, _) in accepted.iter().zip(&used).filter(|(_, used)| !**used) {
            output::warning(&format!("left out {accepted}: keyspill finds nothing there"));
        }
        let unknown = used.iter().filter(|used| !**used).count();
        if unknown > 0 {
            output::warning(&format!(
                "{unknown} of {} entries match no finding of keyspill and are left out",
                used.len()
            ));
        }
    }
    write(&mut baseline)?;
    Ok(verdict)
}

fn update(what: &What) -> anyhow::Result<Verdict> {
    let mut baseline = read_baseline(&what.file()?)?;
    let (report, verdict) = what.scan(Some(baseline.clone()));
    let new = what.entry.entries(&baseline, report.findings());
    accept(&mut baseline, new)?;
    Ok(verdict)
}

fn prune(what: &What) -> anyhow::Result<Verdict> {
    let mut baseline = read_baseline(&what.file()?)?;
    let (report, verdict) = what.scan(Some(baseline.clone()));
    if verdict == Verdict::Incomplete {
        bail!("the scan is incomplete, so nothing is removed");
    }
    let before = baseline.entries.len();
    let place = |entry: &Entry| format!("{}:{}", baseline.file.display(), entry.line);
    let by_place: HashMap<String, &Entry> = baseline.entries.iter().map(|entry| (place(entry), entry)).collect();
    // The entry of a moved file follows the file.
    let mut entries = Vec::new();
    let mut used = HashSet::new();
    for finding in &report.suppressed {
        let Some(Suppression::Baseline { place: own, .. }) = finding.suppression.as_deref() else { continue };
        let Some(entry) = by_place.get(own) else { continue };
        used.insert(entry.line);
        entries.push(Entry { path: baseline.entry(finding, &Places::new(environment())).path, ..Entry::clone(entry) });
    }
    // Keep entries for files that were not scanned.
    let places = Places::new(environment());
    let unknown = |entry: &&Entry| !used.contains(&entry.line) && !what.scans(&baseline, entry, &places);
    entries.extend(baseline.entries.iter().filter(unknown).cloned());
    baseline.entries = entries;
    let left = write(&mut baseline)?;
    output::stdout(&format!("removed {}\n", before.saturating_sub(left)))?;
    Ok(verdict)
}

fn write(baseline: &mut Baseline) -> anyhow::Result<usize> {
    let text = baseline.to_toml();
    output::file(&baseline.file, |out| out.write_all(text.as_bytes()))?;
    let count = Baseline::read(&baseline.file)?.entries.len();
    let noun = if count == 1 { "finding is" } else { "findings are" };
    output::stdout(&format!("{}: {count} {noun} accepted\n", baseline.file.display()))?;
    Ok(count)
}

fn show(given: Option<PathBuf>) -> anyhow::Result<Verdict> {
    let file = file_of(given.as_ref(), Path::new("."))?;
    let baseline = read_baseline(&file)?;
    for Entry { path, rule, fingerprint, reason, author, expires, .. } in &baseline.entries {
        let mut line = format!("{path}  {rule}  {}", &fingerprint.to_string()[..20]);
        if !reason.is_empty() {
            line += &format!("  {reason}");
        }
        if !author.is_empty() {
            line += &format!("  ({author})");
        }
        if let Some(day) = expires {
            line += &format!("  until {day}");
        }
        output::stdout(&(one_line(&hide_long_words(&line)) + "\n"))?;
    }
    Ok(Verdict::Clean)
}
