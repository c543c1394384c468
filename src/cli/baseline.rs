//! `keyspill baseline`: the file of accepted findings.

use super::{
    output,
    session::{Obeyed, Session},
};
use crate::config::{BASELINE_NAME, Config};
use crate::finding::{Finding, Suppression};
use crate::policy::baseline::{Baseline, Entry};
use crate::policy::migrate::{self, Accepted};
use crate::policy::place::Places;
use crate::report::{Report, Verdict};
use crate::rule::RuleSet;
use crate::scan::Scope;
use crate::text::mask::hide_long_words;
use anyhow::{Context, bail};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Subcommands of `baseline`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Accept all that is found now, in a new file.
    Create {
        #[command(flatten)]
        what: What,
        /// Accept only what a peer's file accepts: .gitleaksignore, a report of gitleaks (JSON), or .secrets.baseline of
        /// detect-secrets. May be given several times.
        #[arg(long, value_name = "FILE")]
        from: Vec<PathBuf>,
    },
    /// Accept what is found now and is not accepted yet; what has expired is renewed, other entries stay as they are.
    Update {
        #[command(flatten)]
        what: What,
    },
    /// Remove entries that accept nothing any more, or have expired.
    Prune {
        #[command(flatten)]
        what: What,
    },
    /// List the entries.
    Show {
        /// The file [default: keyspill-baseline.toml, or what keyspill.toml says].
        #[arg(long, value_name = "FILE")]
        baseline: Option<PathBuf>,
    },
}

/// What is scanned, and which file it is about.
#[derive(Debug, clap::Args)]
pub struct What {
    /// Files and directories.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Also what the repository has ever held.
    #[arg(long)]
    history: bool,
    /// The file [default: keyspill-baseline.toml, or what keyspill.toml says].
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Why new entries are accepted.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// By whom.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Until when, as in 2026-12-31.
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    expires: Option<jiff::civil::Date>,
}

fn parse_day(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse().map_err(|_| "expected a day, as in 2026-12-31".into())
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<Verdict> {
        match self {
            Self::Create { what, from } => create(&what, &from),
            Self::Update { what } => update(&what),
            Self::Prune { what } => prune(&what),
            Self::Show { baseline } => show(baseline),
        }
    }
}

/// The file that is meant, whether it is there or not.
fn file_of(given: Option<&PathBuf>, root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(file) = given {
        return Ok(file.clone());
    }
    let config = match Config::find(root) {
        Some(file) => Config::read_found(&file, &RuleSet::built_in())?,
        None => Config::default(),
    };
    let beside = config.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("")).join(BASELINE_NAME);
    Ok(config.find_baseline(root).unwrap_or(beside))
}

impl What {
    fn file(&self) -> anyhow::Result<PathBuf> {
        file_of(self.baseline.as_ref(), self.paths.first().map_or(Path::new("."), PathBuf::as_path))
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

    /// True if what an entry is of would have been met.
    fn scans(&self, baseline: &Baseline, entry: &Entry, places: &Places) -> bool {
        let file = entry.path.split(crate::finding::path::INSIDE).next().unwrap_or_default();
        let dir = baseline.file.parent().unwrap_or(Path::new(""));
        let file = places.of_file(&dir.join(file));
        let is_below = |root: &PathBuf| file.starts_with(root.canonicalize().unwrap_or_else(|_| places.of_file(root)));
        (self.history || !entry.is_past) && self.paths.iter().any(is_below)
    }

    /// The entries for findings that can be accepted: a judgement goes with what it is of.
    fn entries<'a>(&self, baseline: &Baseline, findings: impl Iterator<Item = &'a Finding>) -> Vec<Entry> {
        let accepted = findings.filter(|finding| finding.judgement().is_none() && !finding.is_unused_allow());
        let entry = |finding: &Finding| Entry {
            reason: self.reason.clone().unwrap_or_default(),
            author: self.author.clone().unwrap_or_default(),
            expires: self.expires,
            ..baseline.entry(finding)
        };
        accepted.map(entry).collect()
    }
}

fn create(what: &What, from: &[PathBuf]) -> anyhow::Result<Verdict> {
    let file = what.file()?;
    if file.exists() {
        bail!("{}: it is there already; `keyspill baseline update` adds to it", file.display());
    }
    let mut baseline = Baseline { file, entries: vec![] };
    let (report, verdict) = what.scan(None);
    if from.is_empty() {
        baseline.entries = what.entries(&baseline, report.findings());
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
        baseline.entries = what.entries(&baseline, found.into_iter());
        let unknown = used.iter().filter(|used| !**used).count();
        if unknown > 0 {
            output::warning(&format!(
                "{unknown} of {} entries are of nothing that keyspill finds, and are left out",
                used.len()
            ));
        }
    }
    write(&mut baseline)?;
    Ok(verdict)
}

fn update(what: &What) -> anyhow::Result<Verdict> {
    let mut baseline = Baseline::read(&what.file()?)?;
    let (report, verdict) = what.scan(Some(baseline.clone()));
    let new = what.entries(&baseline, report.findings());
    // One that has expired is renewed.
    let name = |entry: &Entry| (entry.path.clone(), entry.rule.clone(), entry.fingerprint);
    let renewed: HashSet<_> = new.iter().map(name).collect();
    baseline.entries.retain(|entry| !renewed.contains(&name(entry)));
    baseline.entries.extend(new);
    write(&mut baseline)?;
    Ok(verdict)
}

fn prune(what: &What) -> anyhow::Result<Verdict> {
    let mut baseline = Baseline::read(&what.file()?)?;
    let (report, verdict) = what.scan(Some(baseline.clone()));
    if verdict == Verdict::Incomplete {
        bail!("not all could be scanned, so nothing is removed");
    }
    let before = baseline.entries.len();
    let place = |entry: &Entry| format!("{}:{}", baseline.file.display(), entry.line);
    let by_place: HashMap<String, &Entry> = baseline.entries.iter().map(|entry| (place(entry), entry)).collect();
    // Where a file was moved, its entry follows.
    let mut entries = Vec::new();
    let mut used = HashSet::new();
    for finding in &report.suppressed {
        let Some(Suppression::Baseline { place: own, .. }) = finding.suppression.as_deref() else { continue };
        let Some(entry) = by_place.get(own) else { continue };
        used.insert(entry.line);
        entries.push(Entry { path: baseline.entry(finding).path, ..Entry::clone(entry) });
    }
    // Of what was not scanned nothing is known.
    let places = Places::default();
    let unknown = |entry: &&Entry| !used.contains(&entry.line) && !what.scans(&baseline, entry, &places);
    entries.extend(baseline.entries.iter().filter(unknown).cloned());
    baseline.entries = entries;
    let left = write(&mut baseline)?;
    output::stdout(&format!("removed {}\n", before.saturating_sub(left)))?;
    Ok(verdict)
}

fn write(baseline: &mut Baseline) -> anyhow::Result<usize> {
    let text = baseline.to_toml();
    output::file(&baseline.file, &text)?;
    let count = Baseline::read(&baseline.file)?.entries.len();
    let noun = if count == 1 { "finding is" } else { "findings are" };
    output::stdout(&format!("{}: {count} {noun} accepted\n", baseline.file.display()))?;
    Ok(count)
}

fn show(given: Option<PathBuf>) -> anyhow::Result<Verdict> {
    let file = file_of(given.as_ref(), Path::new("."))?;
    let baseline = Baseline::read(&file).context("there are no accepted findings")?;
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
        output::stdout(&(crate::text::sanitize::one_line(&hide_long_words(&line)) + "\n"))?;
    }
    Ok(Verdict::Clean)
}
