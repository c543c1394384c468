//! Scans one unit and writes what was found in it.

use super::code_owners::CodeOwners;
use super::record::Record;
use super::result::{self, CoverageRecord, Facts as UnitFacts, Header, Name, PairPlace, TargetRecord, UnitRecord};
use super::target::{Source, Unit};
use crate::config::allow::{self, Paths};
use crate::credential::Fingerprint;
use crate::detect::Detector;
use crate::environment::Environment;
use crate::finding::path::to_path;
use crate::finding::{BlobPath, Finding, Times};
use crate::git::repository::{Facts, Repository};
use crate::report::{Coverage, Report};
use crate::rule::described::Described;
use crate::rule::{Finder, Matcher};
use crate::scan::{Progress, Scan, Scope};
use crate::source::SkipCause;
use crate::text::sanitize::one_line;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The maximum number of failures listed for a unit; the rest are counted.
const MAX_FAILURES: usize = 1000;

/// How units are scanned.
pub struct UnitScan<'a> {
    /// What is the same for all: configuration, limits, the moment.
    pub template: &'a Scan,
    pub detector: &'a Detector,
    /// The key of fingerprints.
    pub key: Option<&'a [u8]>,
    /// What every result begins with; its unit is replaced.
    pub header: &'a Header,
}

/// A clone: the repository is here, and was cloned from there.
pub struct Cloned<'a> {
    pub dir: &'a Path,
    pub name: &'a str,
}

impl UnitScan<'_> {
    /// Scans a unit in a state. A clone takes the place of a remote repository.
    pub fn run(&self, unit: &Unit, state: &str, clone: Option<Cloned>, progress: &Progress) -> UnitResult {
        let mut config = self.template.config.clone();
        let (roots, scope, no_ignore) = match (&unit.source, &clone) {
            (_, Some(clone)) => (vec![clone.dir.to_owned()], history(), false),
            (Source::Repositories(paths), None) => (paths.clone(), history(), self.template.no_ignore),
            (Source::Files(path), None) => {
                config.exclude.extend(excluded(path, &unit.apart));
                (vec![path.clone()], Scope::Tree, true)
            }
            (Source::Failed(problem), None) => return self.failed(unit, state, problem.clone(), false),
            (Source::Remote(_), None) => return self.failed(unit, state, "it was not cloned".into(), true),
        };
        let scan = Scan { roots, scope, no_ignore, config, ..self.template.clone() };
        let run = || self.result(unit, state, clone.as_ref(), scan.run(self.detector, progress));
        // A bug triggered by one unit must neither end the audit nor go unnoticed.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
            .unwrap_or_else(|_| self.failed(unit, state, SkipCause::Internal.to_string(), false))
    }

    /// The result for a unit of which nothing could be scanned.
    pub fn failed(&self, unit: &Unit, state: &str, problem: String, is_retryable: bool) -> UnitResult {
        let targets = names(unit).map(|name| target(name, matches!(unit.source, Source::Repositories(_)))).collect();
        let record = UnitRecord {
            name: unit.name.clone(),
            state: state.to_owned(),
            moment: self.template.now,
            times: Times::ALL,
            targets,
            coverage: CoverageRecord::default(),
            suppressed: [0; 5],
            rules: vec![],
            error: Some(problem),
            is_retryable,
        };
        UnitResult {
            header: Header { unit: record, ..self.header.clone() },
            facts: UnitFacts::default(),
            records: vec![],
        }
    }

    fn result(&self, unit: &Unit, state: &str, clone: Option<&Cloned>, mut report: Report) -> UnitResult {
        let mut places = Places::new(unit, clone, &report);
        report.findings.retain(|finding| finding.judgement().is_none() && !finding.is_unused_allow());
        report.suppressed.retain(|finding| finding.judgement().is_none());
        let mut facts = UnitFacts::default();
        let mut records = Vec::new();
        let mut described = BTreeSet::new();
        let suppressed = crate::report::wording::suppressed_by_reason(&report);
        for mut finding in std::mem::take(&mut report.findings) {
            // The files of a repository in a working tree are that repository's.
            let path = to_path(&finding.path);
            if finding.history.is_none() && unit.apart.iter().any(|dir| path.starts_with(dir)) {
                continue;
            }
            let number = places.settle(&mut finding, &self.template.environment);
            note_facts(&finding, self.key, &mut facts);
            let Some(mut record) = Record::new(&finding, number, self.key) else { continue };
            described.extend(Described::new(&finding.rule));
            record.owners = places.owners(&finding, number, &self.template.environment);
            let name = match Name::from_finding(&finding) {
                Name::Secret(print) => Name::Secret(self.key.map_or(print, |key| print.keyed(key))),
                other => other,
            };
            records.push((name, record));
        }
        // What changed while it was read, or could not be read now, may be readable next time.
        let is_retryable = report
            .coverage
            .failures()
            .any(|skip| matches!(skip.cause, SkipCause::Missing | SkipCause::Unreadable(_) | SkipCause::Internal));
        report.coverage.skips.retain(|skip| skip.cause != SkipCause::Excluded || unit.apart.is_empty());
        let record = UnitRecord {
            name: unit.name.clone(),
            state: state.to_owned(),
            moment: self.template.now,
            times: times(self.template, &records),
            coverage: coverage(&report.coverage, &places),
            targets: places.targets,
            suppressed,
            rules: described.into_iter().collect(),
            error: None,
            is_retryable,
        };
        UnitResult { header: Header { unit: record, ..self.header.clone() }, facts, records }
    }
}

/// As of which moments a result is the same.
fn times(scan: &Scan, records: &[(Name, Record)]) -> Times {
    let now = scan.now;
    let allows = scan.config.allows.iter().filter_map(|allow| allow.expires);
    let days = allows.chain(scan.config.unscanned.iter().filter_map(|entry| entry.expires));
    let ends = days.map(allow::end_of);
    // A record says by itself that a key has expired, but not what it was before, nor what the configuration makes of it.
    let has_grades = !scan.config.severity.is_empty() || !scan.config.overrides.is_empty();
    let expiries = records.iter().filter_map(|(_, record)| record.expires().map(|expires| expires + 1));
    let turns = ends.chain(expiries.filter(|moment| *moment <= now || has_grades));
    turns.fold(Times::ALL, |times, moment| {
        times.within(if moment <= now { Times::from(moment) } else { Times::until(moment) })
    })
}

fn history() -> Scope {
    // Submodules are found as repositories of their own.
    Scope::History { with_tree: true, with_submodules: false }
}

/// Patterns for folders below another.
fn excluded(root: &Path, apart: &[PathBuf]) -> Option<Paths> {
    let escaped = |dir: &PathBuf| {
        let below = dir.strip_prefix(root).ok()?.to_str()?;
        let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '!' | '#' | '\\' | ' ');
        Some(below.chars().fold("/".to_owned(), |text, c| {
            if special(c) { text + "\\" + &c.to_string() } else { text + &c.to_string() }
        }))
    };
    let patterns: Vec<String> = apart.iter().filter_map(escaped).collect();
    (!patterns.is_empty()).then(|| Paths::new(root, &patterns).ok()).flatten()
}

fn names(unit: &Unit) -> impl Iterator<Item = &str> {
    unit.name.split('\n')
}

fn target(name: &str, is_repository: bool) -> TargetRecord {
    TargetRecord { name: name.to_owned(), is_repository, url: None, head: None, branch: None }
}

/// What was found in a unit.
pub struct UnitResult {
    pub header: Header,
    facts: UnitFacts,
    records: Vec<(Name, Record)>,
}

impl UnitResult {
    /// The number of occurrences of keys.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Writes it as a result file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        result::write(out, self.header, self.facts, self.records)
    }
}

/// The targets of a unit, and the names that their paths get.
struct Places {
    targets: Vec<TargetRecord>,
    /// What paths in each target begin with, as bytes.
    prefixes: Vec<Vec<u8>>,
    /// Where each target is, if it is a repository.
    dirs: Vec<Option<PathBuf>>,
    /// The prefix of the paths of a clone, and what takes its place.
    renamed: Option<(Vec<u8>, String)>,
    origins: BTreeMap<u32, Option<Arc<str>>>,
    code_owners: BTreeMap<u32, CodeOwners>,
}

impl Places {
    fn new(unit: &Unit, clone: Option<&Cloned>, report: &Report) -> Self {
        let facts_of = |dir: &Path| {
            let is_it = |(path, _): &&(BlobPath, Facts)| to_path(path) == dir;
            report.repositories.iter().find(is_it).map(|(_, facts)| facts.clone()).unwrap_or_default()
        };
        let told = |name: &str, is_repository: bool, facts: Facts| TargetRecord {
            url: facts.url,
            head: facts.head.map(|head| head.to_string()),
            branch: facts.branch,
            ..target(name, is_repository)
        };
        let bytes = |dir: &Path| BlobPath::new(dir).file().to_vec();
        let mut renamed = None;
        let (targets, prefixes, dirs) = match (&unit.source, clone) {
            (_, Some(clone)) => {
                let (path, facts) = report
                    .repositories
                    .first()
                    .cloned()
                    .unwrap_or_else(|| (BlobPath::new(clone.dir), Facts::default()));
                renamed = Some((path.file().to_vec(), clone.name.to_owned()));
                // A mirror's own settings are not asked: it was cloned from where its name says.
                let facts = Facts { url: Some(clone.name.to_owned()), ..facts };
                (
                    vec![told(clone.name, true, facts)],
                    vec![clone.name.as_bytes().to_vec()],
                    vec![Some(clone.dir.to_owned())],
                )
            }
            (Source::Repositories(paths), None) => (
                paths.iter().map(|path| told(&super::target::name(path), true, facts_of(path))).collect(),
                paths.iter().map(|path| bytes(path)).collect(),
                paths.iter().map(|path| Some(path.clone())).collect(),
            ),
            (Source::Files(path), None) => (vec![target(&unit.name, false)], vec![bytes(path)], vec![None]),
            (Source::Remote(_) | Source::Failed(_), None) => {
                (vec![target(&unit.name, false)], vec![vec![]], vec![None])
            }
        };
        Self { targets, prefixes, dirs, renamed, origins: BTreeMap::new(), code_owners: BTreeMap::new() }
    }

    /// Gives a finding the place it has in the audit, and returns the number of its target.
    fn settle(&mut self, finding: &mut Finding, environment: &Environment) -> u32 {
        if let Some(path) = self.rename(&finding.path) {
            finding.path = Arc::new(path);
        }
        let number = self.target_of(finding.path.file());
        let target = &self.targets[number as usize];
        let repository = target.is_repository.then(|| Arc::from(target.name.as_str()));
        let origin = finding.secret().and_then(|_| self.origin(number, environment));
        let renamed = self.renamed.as_ref();
        if let Some(key) = finding.key_mut() {
            key.evidence.repository = repository;
            key.evidence.origin = origin;
            // Their sentences name places.
            if let (Some((prefix, name)), Some(link)) = (renamed, &mut key.link) {
                let link = Arc::make_mut(link);
                link.reason =
                    link.reason.replace(&format!("{}/", String::from_utf8_lossy(prefix)), &format!("{name}/"));
            }
            if let (Some((prefix, name)), Some(proof)) = (renamed, &mut key.proof) {
                *proof = proof.replace(&format!("{}/", String::from_utf8_lossy(prefix)), &format!("{name}/")).into();
            }
        }
        number
    }

    fn rename(&self, path: &BlobPath) -> Option<BlobPath> {
        let (prefix, name) = self.renamed.as_ref()?;
        let rest = path.file().strip_prefix(&prefix[..])?;
        let start = BlobPath::from_bytes(&[name.as_bytes(), rest].concat());
        Some(path.inside().iter().fold(start, |path, inner| path.within(inner)))
    }

    /// The target with the longest name that a path begins with; the first if there is none.
    fn target_of(&self, path: &[u8]) -> u32 {
        let is_below = |prefix: &[u8]| path.strip_prefix(prefix).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
        let fitting = self.prefixes.iter().enumerate().filter(|(_, prefix)| is_below(prefix));
        fitting.max_by_key(|(_, prefix)| prefix.len()).map_or(0, |(number, _)| number as u32)
    }

    /// The first commit, which clones have in common.
    fn origin(&mut self, number: u32, environment: &Environment) -> Option<Arc<str>> {
        let dir = self.dirs[number as usize].as_ref()?;
        let find = || Some(Repository::open(dir, environment).ok()?.first_commit()?.to_string().into());
        self.origins.entry(number).or_insert_with(find).clone()
    }

    /// Who answers for the file of a finding in a repository, whether or not it still exists.
    fn owners(&mut self, finding: &Finding, number: u32, environment: &Environment) -> Vec<String> {
        let Some(dir) = self.dirs[number as usize].as_ref() else { return vec![] };
        let path = finding.path.file();
        // What no commit has is named by its object.
        let object = finding.history.as_ref().map(|history| history.object.to_string());
        if object.is_some_and(|object| path.ends_with(object.as_bytes())) {
            return vec![];
        }
        let path = path.strip_prefix(&self.prefixes[number as usize][..]).unwrap_or(path);
        let url = self.targets[number as usize].url.clone();
        let read = || {
            let repository = Repository::open(dir, environment);
            repository.map(|it| CodeOwners::at_head(&it, url.as_deref())).unwrap_or_default()
        };
        let list = self.code_owners.entry(number).or_insert_with(read);
        let owners = list.of(path.strip_prefix(b"/").unwrap_or(path));
        // Whatever stands there is shown.
        owners.iter().map(|owner| crate::text::mask::hide_long_words(owner)).collect()
    }
}

/// Notes what a finding tells about findings in other units.
fn note_facts(finding: &Finding, key: Option<&[u8]>, facts: &mut UnitFacts) {
    let keyed = |print: Fingerprint| key.map_or(print, |key| print.keyed(key));
    let Some(print) = finding.secret_fingerprint().map(keyed) else { return };
    if matches!(finding.rule.matcher, Matcher::Finder(Finder::S3CompatibleKey)) {
        let vendor = finding.key().and_then(|key| key.vendor).map(str::to_owned);
        facts.of_stores.entry(print).or_insert(vendor);
    } else if let Some(id) = finding.id().filter(|_| !finding.is_of_others()) {
        let place =
            PairPlace { path: BlobPath::clone(&finding.path), location: finding.location, id: id.text.to_string() };
        facts.pairs.entry(print).or_insert(place);
    }
}

fn coverage(coverage: &Coverage, places: &Places) -> CoverageRecord {
    let failures = || coverage.failures();
    let shown = |path: &BlobPath| {
        let renamed = places.rename(path);
        one_line(&renamed.as_ref().unwrap_or(path).to_text())
    };
    CoverageRecord {
        files: coverage.files,
        bytes: coverage.bytes,
        inner_blobs: coverage.inner_blobs,
        inner_bytes: coverage.inner_bytes,
        commits: coverage.commits,
        objects: coverage.objects,
        object_bytes: coverage.object_bytes,
        failures: failures()
            .take(MAX_FAILURES)
            .map(|skip| (shown(&skip.path), one_line(&skip.cause.to_string())))
            .collect(),
        failure_count: failures().count() as u64,
        skips: coverage.skips_by_cause().into_iter().map(|(word, count)| (word.to_owned(), count as u64)).collect(),
    }
}
