//! Accepted findings: `keyspill-baseline.toml`, one line for each, sorted, so that branches can be merged.
//!
//! An entry identifies a value by its fingerprint, rule and file, not by line or commit, so it survives edits, rebases
//! and squashes. It follows a moved file; a copy is a new finding, and so is another value on the same line.

use super::place::Places;
use crate::config::allow::day_of;
use crate::credential::Fingerprint;
use crate::file;
use crate::finding::BlobPath;
use crate::finding::{Finding, Suppression};
use crate::text::mask::hide_long_words;
use crate::text::toml::explain;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The version of the format.
const VERSION: u32 = 1;

/// The baseline file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Where it is, or will be.
    pub file: PathBuf,
    /// The entries, sorted.
    pub entries: Vec<Entry>,
}

/// An accepted finding. Entries are ordered as in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The file of the finding, relative to the baseline, with `/`, and the names inside if it is in a container.
    pub path: String,
    /// The rule's id.
    pub rule: String,
    /// The fingerprint of the value.
    pub fingerprint: Fingerprint,
    /// Why it is accepted; empty if not given.
    pub reason: String,
    /// Who accepted it; empty if not given.
    pub author: String,
    /// The last day on which it is accepted.
    pub expires: Option<Date>,
    /// True if it was only in history when it was accepted. Such an entry does not follow moved files.
    pub is_past: bool,
    /// The 1-based line of the entry in the baseline file; 0 if it is not written yet.
    pub line: usize,
}

/// Why a file was rejected.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", hide_long_words(&file.display().to_string()))]
pub struct BaselineError {
    /// The file.
    pub file: PathBuf,
    problem: BaselineProblem,
}

impl BaselineError {
    /// What is wrong with the file.
    pub fn problem(&self) -> String {
        self.problem.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
enum BaselineProblem {
    #[error("cannot be read: {}", file::describe(.0))]
    Read(#[from] std::io::Error),
    #[error("is not a valid baseline: {0}")]
    Syntax(String),
    #[error("has version {0}, which this keyspill does not support; use a newer keyspill")]
    Version(u32),
    #[error("line {line}: {text}")]
    Entry { line: usize, text: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    version: u32,
    #[serde(default)]
    entries: Vec<Spanned<EntrySyntax>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntrySyntax {
    path: String,
    rule: String,
    fingerprint: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    author: String,
    expires: Option<String>,
    #[serde(default)]
    past: bool,
}

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a valid baseline.
    pub fn read(file: &Path) -> Result<Self, BaselineError> {
        let refused = |problem| BaselineError { file: file.to_owned(), problem };
        let text = file::read_text(file, file::MAX_SETTINGS).map_err(|error| refused(error.into()))?;
        let mut entries = Self::parse(&text).map_err(refused)?;
        entries.sort();
        Ok(Self { file: file.to_owned(), entries })
    }

    fn parse(text: &str) -> Result<Vec<Entry>, BaselineProblem> {
        let written: BaselineFile =
            toml::from_str(text).map_err(|error| BaselineProblem::Syntax(explain(text, &error)))?;
        if written.version != VERSION {
            return Err(BaselineProblem::Version(written.version));
        }
        let entry = |written: Spanned<EntrySyntax>| {
            let line = text[..written.span().start].matches('\n').count() + 1;
            let refused = |text: String| BaselineProblem::Entry { line, text };
            let EntrySyntax { path, rule, fingerprint, reason, author, expires, past } = written.into_inner();
            let fingerprint = Fingerprint::parse(&fingerprint)
                .ok_or_else(|| refused("fingerprint is not valid; expected `sha256-v1:` and 64 hex digits".into()))?;
            let expires = expires.map(|day| {
                day.parse().map_err(|_| refused("expires is not a valid date; expected one such as 2026-12-31".into()))
            });
            Ok(Entry { path, rule, fingerprint, reason, author, expires: expires.transpose()?, is_past: past, line })
        };
        written.entries.into_iter().map(entry).collect()
    }

    /// The file's text: a line for each entry.
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort();
        entries.dedup_by(|a, b| (&a.path, &a.rule, a.fingerprint) == (&b.path, &b.rule, b.fingerprint));
        let mut out = format!(
            "# Findings that keyspill does not count. `keyspill baseline` maintains this file. \
             Add `reason`, `author` and `expires` by hand.\n\
             version = {VERSION}\nentries = [\n"
        );
        for Entry { path, rule, fingerprint, reason, author, expires, is_past, .. } in entries {
            _ = write!(out, "  {{ path = {}, rule = {}, fingerprint = \"{fingerprint}\"", quoted(path), quoted(rule));
            for (key, value) in [("reason", reason), ("author", author)] {
                if !value.is_empty() {
                    _ = write!(out, ", {key} = {}", quoted(value));
                }
            }
            if let Some(day) = expires {
                _ = write!(out, ", expires = \"{day}\"");
            }
            out.push_str(if *is_past { ", past = true },\n" } else { " },\n" });
        }
        out + "]\n"
    }

    /// The entry that would accept a finding.
    pub fn entry(&self, finding: &Finding, places: &Places) -> Entry {
        Entry {
            path: self.relative(&finding.path, places),
            is_past: finding.history.as_ref().is_some_and(|history| history.is_past()),
            rule: finding.rule.id.to_string(),
            fingerprint: finding.fingerprint,
            reason: String::new(),
            author: String::new(),
            expires: None,
            line: 0,
        }
    }

    fn dir(&self, places: &Places) -> PathBuf {
        places.of_file(&self.file).parent().map(Path::to_owned).unwrap_or_default()
    }

    /// A path as in entries: relative to the directory of the baseline file, with `..` if needed.
    fn relative(&self, path: &BlobPath, places: &Places) -> String {
        let (file, dir) = (places.of(path), self.dir(places));
        let shared = file.components().zip(dir.components()).take_while(|(a, b)| a == b).count();
        let up = dir.components().skip(shared).map(|_| Path::new(".."));
        let down: PathBuf = file.components().skip(shared).collect();
        let relative = up.collect::<PathBuf>().join(down);
        path.inside().iter().fold(BlobPath::new(&relative), |file, name| file.within(name)).to_text().into_owned()
    }

    /// Marks the findings that entries accept, at `now` in seconds since 1970. Returns the entries that match none.
    pub fn apply(&self, findings: &mut [Box<Finding>], now: i64, places: &Places) -> Vec<&Entry> {
        type Value = (String, Fingerprint);
        let mut by_value: HashMap<Value, Vec<usize>> = HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            by_value.entry((entry.rule.clone(), entry.fingerprint)).or_default().push(number);
        }
        let mut used = BTreeSet::new();
        // Findings without an entry for their path, with the entries for their value: the file may have been moved.
        let mut left: Vec<(usize, &Vec<usize>)> = Vec::new();
        let mut live = BTreeSet::new();
        for (index, finding) in findings.iter_mut().enumerate().filter(|(_, finding)| finding.suppression.is_none()) {
            let Some(numbers) = by_value.get(&(finding.rule.id.to_string(), finding.fingerprint)) else { continue };
            let path = self.relative(&finding.path, places);
            match numbers.iter().find(|number| self.entries[**number].path == path) {
                Some(number) => {
                    used.insert(*number);
                    if finding.history.as_ref().is_none_or(|history| !history.is_past()) {
                        live.insert(*number);
                    }
                    self.accept(&self.entries[*number], finding, now);
                }
                None => left.push((index, numbers)),
            }
        }
        let dir = self.dir(places);
        for (index, numbers) in left {
            let is_gone = |number: &&usize| {
                let file = self.entries[**number].path.split(crate::finding::path::INSIDE).next().unwrap_or_default();
                !self.entries[**number].is_past && !live.contains(*number) && !dir.join(file).exists()
            };
            if let Some(number) = numbers.iter().find(is_gone).copied() {
                // A file cannot be moved to two places.
                live.insert(number);
                used.insert(number);
                self.accept(&self.entries[number], &mut findings[index], now);
            }
        }
        self.entries.iter().enumerate().filter(|(number, _)| !used.contains(number)).map(|(_, entry)| entry).collect()
    }

    fn accept(&self, entry: &Entry, finding: &mut Finding, now: i64) {
        let place = format!("{}:{}", self.file.display(), entry.line);
        match entry.expires.filter(|day| *day < day_of(now)) {
            Some(day) => finding.expired = Some(format!("It was accepted by {place} until {day}.").into()),
            None => {
                finding.suppression =
                    Some(Box::new(Suppression::Baseline { place, reason: hide_long_words(&entry.reason) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let entry = |path: &str, reason: &str| Entry {
            path: path.into(),
            rule: "aws-access-key-id".into(),
            fingerprint: Fingerprint::new(Some(path), None),
            reason: reason.into(),
            author: String::new(),
            expires: (!reason.is_empty()).then(|| "2026-12-31".parse().unwrap()),
            is_past: false,
            line: 0,
        };
        let entries = vec![entry("b", ""), entry("a \"quoted\" » x", "it's \\ old"), entry("b", "")];
        let text = Baseline { file: PathBuf::new(), entries: entries.clone() }.to_toml();
        assert_eq!(text.lines().count(), 6, "one line each, and no duplicates: {text}");
        let mut again = Baseline::parse(&text).unwrap();
        assert_eq!(again.iter().map(|entry| entry.line).collect::<Vec<_>>(), [4, 5]);
        again.iter_mut().for_each(|entry| entry.line = 0);
        assert_eq!(again, [entries[1].clone(), entries[0].clone()]);
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        for (text, expected) in [
            ("x", "is not a valid baseline"),
            ("version = 2", "has version 2"),
            (
                "version = 1\nentries = [\n{ path = \"a\", rule = \"b\", fingerprint = \"c\" },\n]",
                "line 3: fingerprint is not valid",
            ),
            ("version = 1\nentries = [{ path = \"a\" }]", "missing field"),
        ] {
            let error = Baseline::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
