//! Judgements about all findings of one key together: root user, mailed, shared, copied, foreign account, unsafely
//! kept. Each judgement is a finding of its own rule, with its reasons and evidence.

mod foreign;
pub mod inventory;
pub mod link;
mod mailed;
mod profile;
pub mod roles_anywhere;
mod root;
mod shared;

use crate::config::Config;
use crate::finding::verification::KeyStatus;
use crate::finding::{Finding, Judgement, Kind, Occurrence};
use crate::rule::{Finder, Grade, RuleSet};
use inventory::Credential;
use rayon::prelude::*;
use roles_anywhere::Commands;
use root::RootFacts;

/// The maximum number of occurrences listed in one judgement.
const MAX_OCCURRENCES: usize = 100;

/// A judgement and what it is based on.
struct Assessment<'a> {
    finder: Finder,
    grade: Grade,
    /// The reasons, as sentences.
    reasons: Vec<String>,
    /// The findings it is based on, strongest first; at least one.
    findings: Vec<&'a Finding>,
}

/// What findings without a key say that judging others needs.
#[derive(Debug, Default)]
pub struct Observed {
    root: RootFacts,
    commands: Commands,
}

impl Observed {
    /// Adds what a finding says.
    pub fn add(&mut self, finding: &Finding) {
        self.root.add(finding);
        self.commands.add(finding);
    }
}

/// Judges all keys of `findings`, which must be in report order and free of suppressed ones.
pub fn judge(findings: &[Box<Finding>], rules: &RuleSet, config: &Config) -> Vec<Finding> {
    let mut known = Observed::default();
    findings.iter().for_each(|finding| known.add(finding));
    let keys = Credential::all(findings);
    keys.par_iter().flat_map_iter(|key| judge_key(key, &known, rules, config)).collect()
}

/// Judges one key. `known` must be of everything that was scanned.
pub fn judge_key(key: &Credential, known: &Observed, rules: &RuleSet, config: &Config) -> Vec<Finding> {
    // An id alone says nothing of whose it is, if other places say that it imitates AWS's.
    let is_active = key.answer().is_some_and(|answer| answer.status == KeyStatus::Active);
    let may_be_of_others = |finding: &&Finding| finding.is_of_others() || finding.is_lone_id() && !is_active;
    let is_of_others = |finding: &&Finding| finding.is_of_others();
    if key.occurrences.iter().any(is_of_others) && key.occurrences.iter().all(may_be_of_others) {
        return judge_secret(key, known, rules, config);
    }
    let root = root::judge(key, &known.root);
    let is_root = root.as_ref().is_some_and(|verdict| verdict.grade == Grade::Critical);
    let exposed = key.without_expired_links();
    let mailed = mailed::judge(&exposed, config);
    let others = mailed.into_iter().chain(shared::judge(&exposed, config)).map(move |mut verdict| {
        // A root user's key is the worst one to expose.
        if is_root && verdict.finder != Finder::CopiedKey && verdict.grade >= Grade::Medium {
            verdict.grade =
                if verdict.finder == Finder::EmailedKey { Grade::Critical } else { verdict.grade.max(Grade::High) };
            verdict.reasons.push("It is a root user's key.".into());
        }
        verdict
    });
    let kept = profile::judge(key);
    let verdicts = root.into_iter().chain(others).chain(foreign::judge(key, config)).chain(kept);
    let verdicts = verdicts.map(|mut verdict| {
        if key.is_over() {
            verdict.grade = Grade::Low;
            verdict.reasons.push("It was verified that the key does not work any more.".into());
        }
        verdict
    });
    verdicts.filter_map(|verdict| finding(&verdict, rules)).collect()
}

/// Judges a secret that is not AWS's: where it was sent and who has it says the same of any.
fn judge_secret(key: &Credential, known: &Observed, rules: &RuleSet, config: &Config) -> Vec<Finding> {
    // Of keys that may be anybody's, nothing is known but their characters.
    if !key.occurrences.iter().any(|finding| finding.is_of_pack()) {
        return vec![];
    }
    let exposed = key.without_expired_links();
    let verdicts = mailed::judge(&exposed, config).into_iter().chain(shared::judge(&exposed, config));
    let neutral =
        verdicts.filter_map(|verdict| Some(Assessment { finder: verdict.finder.of_any_secret()?, ..verdict }));
    let of_role = roles_anywhere::judge(key, &known.commands);
    neutral.chain(of_role).filter_map(|verdict| finding(&verdict, rules)).collect()
}

/// Turns a verdict into a finding.
fn finding(verdict: &Assessment, rules: &RuleSet) -> Option<Finding> {
    let rule = rules.of_finder(verdict.finder)?.clone();
    let first = verdict.findings.first()?;
    let Kind::Key(key) = &first.kind else { return None };
    let occurrences = verdict.findings.iter().take(MAX_OCCURRENCES).map(|finding| Occurrence {
        path: finding.path.clone(),
        location: finding.location,
        outer: finding.outer.as_deref().copied(),
    });
    let Finding { path, location, outer, fingerprint, account, is_canary, excerpts, message, history, expired, .. } =
        first;
    Some(Finding {
        rule,
        severity: verdict.grade.severity(),
        path: path.clone(),
        location: *location,
        outer: outer.clone(),
        fingerprint: *fingerprint,
        account: *account,
        is_canary: *is_canary,
        excerpts: excerpts.clone(),
        message: message.clone(),
        history: history.clone(),
        expired: expired.clone(),
        suppression: None,
        kind: Kind::Judgement(Box::new(Judgement {
            grade: verdict.grade,
            reasons: verdict.reasons.clone(),
            occurrences: occurrences.collect(),
            key: key.clone(),
        })),
    })
}

/// Formats `a, b and 3 more`.
fn list(items: &[String], most: usize) -> String {
    let shown = items.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
