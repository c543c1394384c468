//! What the findings of one key mean together: is it a root user's, was it mailed, shared, copied, is it foreign? Each judgement is a finding of
//! its own rule, with its reasons and the places that they stand on.

mod foreign;
pub mod inventory;
mod mailed;
pub mod owner;
pub mod partner;
mod profile;
pub mod root;
mod shared;

use crate::config::Config;
use crate::finding::location::Location;
use crate::finding::{Finding, Judgement};
use crate::rule::{Finder, RuleSet, Severity};
use crate::source::BlobPath;
use inventory::Credential;
use rayon::prelude::*;
use std::sync::Arc;

/// How bad a judgement is, in four steps; reports have three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// To be known.
    Low,
    /// To be looked at.
    Medium,
    /// To be acted on.
    High,
    /// To be acted on at once.
    Critical,
}

impl Grade {
    /// The severity that stands for it.
    pub fn severity(self) -> Severity {
        match self {
            Self::Low => Severity::Note,
            Self::Medium => Severity::Warning,
            Self::High | Self::Critical => Severity::Error,
        }
    }
}

/// A place that a judgement stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The file, and what is in it.
    pub path: Arc<BlobPath>,
    /// Where in it.
    pub location: Location,
    /// Where in the file, if that is another place.
    pub outer: Option<Location>,
}

/// So many places are named in one judgement.
const MOST_EVIDENCE: usize = 100;

/// What speaks for a judgement.
struct Verdict<'a> {
    finder: Finder,
    grade: Grade,
    /// Sentences.
    reasons: Vec<String>,
    /// The findings it stands on, the most telling first; at least one.
    findings: Vec<&'a Finding>,
}

/// What can be told beyond the findings.
pub struct Surroundings<'a> {
    /// What the team tells of itself.
    pub config: &'a Config,
    /// Of a path: the repository it is in.
    pub repository: &'a (dyn Fn(&BlobPath) -> Option<Arc<str>> + Sync),
    /// Of a file: its mode, where files have one.
    pub mode: &'a (dyn Fn(&BlobPath) -> Option<u32> + Sync),
}

/// Judges all keys of `findings`, which are in the order of the report, and none of which is suppressed.
pub fn judge(findings: &[Box<Finding>], rules: &RuleSet, around: &Surroundings) -> Vec<Finding> {
    let keys = Credential::all(findings);
    let known = root::Known::of(findings);
    let verdicts = keys.par_iter().flat_map_iter(|key| {
        let root = root::judge(key, &known);
        let is_root = root.as_ref().is_some_and(|verdict| verdict.grade == Grade::Critical);
        let mailed = mailed::judge(key, around);
        let others = mailed.into_iter().chain(shared::judge(key, around)).map(move |mut verdict| {
            // A root user's key is the worst to let anyone have.
            if is_root && verdict.finder != Finder::CopiedKey && verdict.grade >= Grade::Medium {
                verdict.grade =
                    if verdict.finder == Finder::EmailedKey { Grade::Critical } else { verdict.grade.max(Grade::High) };
                verdict.reasons.push("It is a root user's key.".into());
            }
            verdict
        });
        let kept = profile::judge(key, around);
        root.into_iter().chain(others).chain(foreign::judge(key, around)).chain(kept).collect::<Vec<_>>()
    });
    verdicts.filter_map(|verdict| finding(&verdict, rules)).collect()
}

/// The finding that a verdict is.
fn finding(verdict: &Verdict, rules: &RuleSet) -> Option<Finding> {
    let rule = rules.of_finder(verdict.finder)?.clone();
    let first = verdict.findings.first()?;
    let evidence = verdict.findings.iter().take(MOST_EVIDENCE).map(|finding| Evidence {
        path: finding.path.clone(),
        location: finding.location,
        outer: finding.outer.as_deref().copied(),
    });
    let judgement = Judgement { grade: verdict.grade, reasons: verdict.reasons.clone(), evidence: evidence.collect() };
    let severity = verdict.grade.severity();
    Some(Finding { rule, severity, judgement: Some(Arc::new(judgement)), ..Finding::clone(first) })
}

/// `a`, `b` and 3 more.
fn list(items: &[String], most: usize) -> String {
    let shown = items.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
