//! The inventory: every key that was found anywhere, once.

use super::result::TargetRecord;
use crate::credential::AccountId;
use crate::finding::verification::{KeyStatus, Verification};
use crate::report::wording::skips;
use crate::rule::{Grade, RuleId, Severity};
use std::collections::BTreeMap;

/// The maximum number of repositories, places and people listed for a key; the rest are counted.
pub const MAX_LISTED: usize = 10;

/// The maximum number of targets that are remembered of a key.
pub const MAX_REMEMBERED: usize = 1000;

/// What an audit found.
#[derive(Debug)]
pub struct Inventory {
    /// The moment as of which ages are computed, in seconds since 1970.
    pub now: i64,
    /// By account, and in each the worst first. Keys whose account is not known come last.
    pub keys: Vec<KeyEntry>,
    /// Evidence without a key, such as the use of a root user.
    pub observations: Vec<Observation>,
    /// The number of all of these; only the first are listed.
    pub observation_count: usize,
    /// Identifies the fingerprint key; empty if fingerprints are not keyed.
    pub key_check: Option<String>,
    /// What was scanned, in order of their names.
    pub units: Vec<UnitEntry>,
    /// How many findings do not count: documented examples, placeholders, allowed by comments, by the configuration, and
    /// by a baseline.
    pub suppressed: [usize; 5],
    /// What became of keys since the audit before, if there was one.
    pub changes: Option<Changes>,
    /// The audits before, the oldest first, and this one.
    pub trend: Vec<Moment>,
}

/// The maximum number of observations listed.
pub const MAX_OBSERVATIONS: usize = 1000;

/// A key.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its id, or the fingerprint of its secret if the id is not known.
    pub name: String,
    /// What it is, as a headline.
    pub title: String,
    /// Its account, if known.
    pub account: Option<AccountId>,
    /// True if it was planted to be found.
    pub is_canary: bool,
    /// True if it is AWS's, as far as is known.
    pub is_of_aws: bool,
    /// The worst severity of its occurrences and judgements.
    pub severity: Severity,
    /// Its id, if known.
    pub id: Option<String>,
    /// Identifies its secret, if that was found.
    pub secret: Option<String>,
    /// True if a signature proves that id and secret belong together.
    pub is_proven: bool,
    /// When it stops working, in seconds since 1970, if wherever it was found the text tells; the last such time.
    pub expires: Option<i64>,
    /// What AWS answered about it, if it was asked.
    pub verification: Option<Verification>,
    /// What its occurrences mean together, the worst first.
    pub judgements: Vec<JudgementEntry>,
    /// When it was first and last there, in seconds since 1970, as far as commits and messages tell.
    pub first_seen: Option<i64>,
    /// See [`Self::first_seen`].
    pub last_seen: Option<i64>,
    /// The longest time that it was in a repository, in whole days.
    pub days: Option<u64>,
    /// True if it is in a current file: at a HEAD, in a working tree, in a mailbox.
    pub is_current: bool,
    /// The number of occurrences.
    pub occurrences: usize,
    /// The targets that it is in; the first of them.
    pub targets: Vec<String>,
    /// The number of these.
    pub target_count: usize,
    /// The name of a unit in which both its id and its secret are.
    pub unit_of_pair: Option<String>,
    /// Hashes of the names of these, as far as they are remembered.
    pub all_targets: Vec<u64>,
    /// Where it is: paths and lines; the first of them.
    pub places: Vec<String>,
    /// People who introduced it, wrote it or received it; the first of them.
    pub people: Vec<String>,
    /// The number of these.
    pub people_count: usize,
    /// Who must act.
    pub owners: Vec<String>,
    /// How that is known.
    pub owned_by: OwnedBy,
    /// What to do.
    pub steps: Vec<String>,
    /// What became of it since the audit before.
    pub status: Option<Status>,
    /// When an audit first found it, in seconds since 1970.
    pub first_found: Option<i64>,
}

/// How it is known who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnedBy {
    /// By the list of code owners at HEAD.
    CodeOwners,
    /// They committed it last.
    LastCommitter,
    /// They sent it.
    Sender,
    /// It is not known.
    Nobody,
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgementEntry {
    /// Its rule.
    pub rule: RuleId,
    /// How bad it is.
    pub grade: Grade,
    /// Why, in sentences.
    pub reasons: Vec<String>,
}

/// Evidence without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Its rule.
    pub rule: RuleId,
    /// Its severity.
    pub severity: Severity,
    /// The account it is about, if known.
    pub account: Option<AccountId>,
    /// What was seen, as a sentence.
    pub sentence: String,
    /// Where.
    pub place: String,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitEntry {
    /// Its targets.
    pub targets: Vec<TargetRecord>,
    /// Why nothing of it could be scanned, if nothing could.
    pub error: Option<String>,
    /// What of it could not be scanned: its name, and why; the first of them.
    pub failures: Vec<(String, String)>,
    /// The number of these.
    pub failure_count: u64,
    /// True if it holds less than there was: it is a shallow or partial clone.
    pub is_cut: bool,
    /// How much of it was not scanned, also on purpose, by the word of the cause.
    pub skips: BTreeMap<String, u64>,
    /// The number of occurrences of keys in it.
    pub occurrences: usize,
    /// What was read.
    pub read: Read,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Read {
    /// Number of files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Number of commits.
    pub commits: u64,
    /// Number of objects in git.
    pub objects: u64,
    /// Their size in bytes.
    #[serde(rename = "objectBytes")]
    pub object_bytes: u64,
}

/// What became of a key between two audits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is there, and was never before.
    New,
    /// It is there again.
    BackAgain,
    /// It is there, and was there before.
    Known,
    /// It was there and is not any more: what held it is gone, or it is allowed now.
    Fixed,
}

impl Status {
    /// In reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::BackAgain => "back again",
            Self::Known => "known",
            Self::Fixed => "fixed",
        }
    }
}

/// What changed since the audit before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// When that was, in seconds since 1970.
    pub since: i64,
    /// How many keys have each status.
    pub counts: BTreeMap<Status, usize>,
    /// Keys that are not there any more, by name, and when they were first there.
    pub fixed: Vec<(String, i64)>,
    /// Keys that were not found, and not all of whose former places were scanned: a target could not be scanned, or was
    /// not audited.
    pub unseen: Vec<(String, i64)>,
}

/// One audit among several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moment {
    /// When it was, in seconds since 1970.
    pub at: i64,
    /// Keys that were there.
    pub keys: usize,
    /// Those of them that were in a current file.
    pub current: usize,
    /// Those that were new.
    pub new: usize,
    /// Keys that were not there any more.
    pub fixed: usize,
}

impl Inventory {
    /// What could not be scanned: its name, and why. Of each unit the first.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.units.iter().flat_map(|unit| {
            let whole = unit
                .error
                .iter()
                .flat_map(|error| unit.targets.iter().map(move |it| (it.name.as_str(), error.as_str())));
            let parts = unit.failures.iter().map(|(path, cause)| (path.as_str(), cause.as_str()));
            whole.chain(parts)
        })
    }

    /// The names of targets of which everything was scanned.
    pub fn scanned_targets(&self) -> impl Iterator<Item = &str> {
        let is_whole = |unit: &&UnitEntry| unit.error.is_none() && unit.failure_count == 0 && !unit.is_cut;
        self.units.iter().filter(is_whole).flat_map(|unit| unit.targets.iter().map(|target| target.name.as_str()))
    }

    /// True if everything was scanned, and every question answered.
    pub fn is_complete(&self) -> bool {
        self.units.iter().all(|unit| unit.error.is_none() && unit.failure_count == 0)
            && self.unanswered().next().is_none()
    }

    /// The keys about which AWS was asked in vain, and why.
    pub fn unanswered(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().filter_map(|key| {
            let answer = key.verification.as_ref().filter(|answer| answer.status == KeyStatus::Unknown)?;
            Some((key.name.as_str(), answer.reason.as_deref().unwrap_or("there is no answer")))
        })
    }

    /// The number of targets.
    pub fn target_count(&self) -> usize {
        self.units.iter().map(|unit| unit.targets.len()).sum()
    }

    /// What was not scanned, also on purpose, counted: `2 symbolic links`.
    pub fn skips_in_words(&self) -> Vec<String> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (word, count) in self.units.iter().flat_map(|unit| &unit.skips) {
            *sums.entry(word).or_default() += count;
        }
        sums.into_iter().map(|(word, count)| skips(word, count as usize)).collect()
    }

    /// Everything that was read.
    pub fn read(&self) -> Read {
        self.units.iter().fold(Read::default(), |sum, unit| Read {
            files: sum.files + unit.read.files,
            bytes: sum.bytes + unit.read.bytes,
            commits: sum.commits + unit.read.commits,
            objects: sum.objects + unit.read.objects,
            object_bytes: sum.object_bytes + unit.read.object_bytes,
        })
    }
}

impl KeyEntry {
    /// True if a judgement of a rule was made of it.
    pub fn is(&self, rule: &str) -> bool {
        self.judgements.iter().any(|judgement| judgement.rule.as_str() == rule)
    }
}
