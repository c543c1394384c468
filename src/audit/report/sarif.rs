//! SARIF, a file for each repository, ready to be uploaded to where that is kept.

use crate::audit::inventory::Inventory;
use crate::audit::merge::{Judged, Merge, MergeError};
use crate::audit::result::UnitRecord;
use crate::finding::object::Oid;
use crate::finding::{BlobPath, Finding};
use crate::git::repository::Facts;
use crate::report::uri::file_uri;
use crate::report::{Coverage, Format, Options, Report};
use crate::rule::RuleSet;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The judgements of an audit, by the number of the file in which each has its place.
#[derive(Debug, Default)]
pub struct Judgements(BTreeMap<usize, Vec<Finding>>);

impl Judgements {
    /// Adds those of a key.
    pub fn add(&mut self, judged: &Judged) {
        for judgement in &judged.judgements {
            let is_its_place = |(_, finding): &&(usize, Finding)| {
                finding.location == judgement.location && finding.path == judgement.path
            };
            if let Some((number, _)) = judged.occurrences.iter().find(is_its_place) {
                self.0.entry(*number).or_default().push(judgement.clone());
            }
        }
    }
}

/// A file for SARIF cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SarifError {
    /// Results cannot be read.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A file cannot be written.
    #[error("cannot write {}: {}", .0.display(), crate::file::describe(.1))]
    Write(PathBuf, io::Error),
}

/// Writes a file for each target into a folder, and returns how many.
///
/// # Errors
/// If one cannot be written, or results cannot be read.
pub fn write(
    merge: &Merge,
    inventory: &Inventory,
    mut judgements: Judgements,
    rules: &Arc<RuleSet>,
    dir: &Path,
) -> Result<usize, SarifError> {
    std::fs::create_dir_all(dir).map_err(|error| SarifError::Write(dir.to_owned(), error))?;
    let settings = merge.settings(rules)?;
    let described = merge.with_described(rules);
    let mut written_files = BTreeSet::new();
    for (number, file) in merge.files().enumerate() {
        let unit = &file.header.unit;
        // An empty report would close what is known of it where it is uploaded; an older one stays as it is.
        if unit.error.is_some() {
            written_files.extend(unit.targets.iter().map(|target| dir.join(file_name(&target.name))));
            continue;
        }
        let mut by_target: Vec<Vec<Box<Finding>>> = vec![vec![]; unit.targets.len()];
        for (finding, target) in merge.findings_of(file, &described, &settings, inventory.now)? {
            if let Some(list) = by_target.get_mut(target as usize) {
                list.push(Box::new(finding));
            }
        }
        for judgement in judgements.0.remove(&number).unwrap_or_default() {
            let path = judgement.path.file();
            let begins = |name: &str| name == "." || below(path, name).is_some();
            let fitting = unit.targets.iter().enumerate().filter(|(_, target)| begins(&target.name));
            let place = fitting.max_by_key(|(_, target)| target.name.len()).map_or(0, |(place, _)| place);
            if let Some(list) = by_target.get_mut(place) {
                list.push(Box::new(judgement));
            }
        }
        for (place, findings) in by_target.into_iter().enumerate() {
            let report = report(unit, place, findings, inventory.now, rules);
            let path = dir.join(file_name(&unit.targets[place].name));
            let options = Options::default();
            let written = std::fs::File::create(&path).and_then(|file| {
                let mut out = io::BufWriter::new(file);
                report.write(Format::Sarif, &options, &mut out)?;
                out.flush()
            });
            written.map_err(|error| SarifError::Write(path.clone(), error))?;
            written_files.insert(path);
        }
    }
    remove_others(dir, &written_files).map_err(|error| SarifError::Write(dir.to_owned(), error))?;
    Ok(written_files.len())
}

/// Removes files of targets that are not audited any more: nobody must upload them again. Those of units that are missing
/// stay, as do those of other programs.
fn remove_others(dir: &Path, written: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sarif"));
        let digest = name.and_then(|name| name.rsplit_once('-')).map(|(_, digest)| digest);
        let is_own = digest.is_some_and(|text| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_own && !written.contains(&path) && is_keyspills(&path) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// True for a report of this program.
fn is_keyspills(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = crate::file::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok() && memchr::memmem::find(&head, b"\"name\": \"keyspill\"").is_some()
}

/// The report of one target. Paths are relative to it, as code hosts expect.
fn report(unit: &UnitRecord, place: usize, mut findings: Vec<Box<Finding>>, now: i64, rules: &Arc<RuleSet>) -> Report {
    let target = &unit.targets[place];
    if target.is_repository {
        for finding in &mut findings {
            relocate(finding, &target.name);
        }
    }
    findings.sort_by(|a, b| a.order(b));
    let facts = Facts {
        url: Some(target.url.clone().unwrap_or_else(|| file_uri(Path::new(&target.name)))),
        head: target.head.as_ref().and_then(|head| Oid::from_hex(head.as_bytes())),
        branch: target.branch.clone(),
    };
    let repositories = if target.is_repository { vec![(BlobPath::from_bytes(b"."), facts)] } else { vec![] };
    let coverage = &unit.coverage;
    Report {
        findings,
        suppressed: vec![],
        coverage: Coverage {
            files: coverage.files,
            bytes: coverage.bytes,
            inner_blobs: coverage.inner_blobs,
            inner_bytes: coverage.inner_bytes,
            commits: coverage.commits,
            objects: coverage.objects,
            object_bytes: coverage.object_bytes,
            skips: failures(unit),
        },
        repositories,
        config: vec![],
        baseline: None,
        now,
        rules: rules.clone(),
    }
}

/// What was not scanned, so that the run counts as unsuccessful.
fn failures(unit: &UnitRecord) -> Vec<crate::source::Skip> {
    let of_unit = unit.error.iter().map(|error| (unit.name.as_str(), error.as_str()));
    let of_parts = unit.coverage.failures.iter().map(|(path, cause)| (path.as_str(), cause.as_str()));
    let skip = |(path, cause): (&str, &str)| crate::source::Skip {
        path: BlobPath::from_bytes(path.as_bytes()),
        cause: crate::source::SkipCause::Unreadable(cause.to_owned()),
    };
    of_unit.chain(of_parts).map(skip).collect()
}

/// What is below a target of that name in a path. A name is written with escapes, a path is not.
fn below<'a>(path: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let ends = memchr::memchr_iter(b'/', path).filter(|end| *end > 0);
    let is_it = |end: &usize| super::super::target::name_of_bytes(&path[..*end]) == name;
    ends.into_iter().find(is_it).map(|end| &path[end + 1..])
}

fn relocate(finding: &mut Finding, name: &str) {
    let moved = |path: &Arc<BlobPath>| {
        let start = BlobPath::from_bytes(below(path.file(), name)?);
        Some(Arc::new(path.inside().iter().fold(start, |path, inner| path.within(inner))))
    };
    if let Some(path) = moved(&finding.path) {
        finding.path = path;
    }
    if let crate::finding::Kind::Judgement(judgement) = &mut finding.kind {
        for occurrence in &mut judgement.occurrences {
            if let Some(path) = moved(&occurrence.path) {
                occurrence.path = path;
            }
        }
    }
}

/// A name for the file of a target that says which it is, and is of no other.
fn file_name(target: &str) -> String {
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(target)[..4]);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let name: String = target.trim_start_matches(['.', '/']).chars().map(plain).collect();
    let start = name.len().saturating_sub(80);
    format!("{}-{digest}.sarif", name[start..].trim_start_matches(['-', '.']))
}
