//! The inventory for programs. `schemas/inventory-1.schema.json` describes it.

use crate::audit::inventory::{
    Inventory, JudgementEntry, KeyEntry, Moment, Observation, OwnedBy, Read, Status, UnitEntry,
};
use crate::report::json::{Tool, VerificationRecord};
use crate::report::wording::moment;
use crate::rule::{Grade, Severity};
use crate::text::sanitize::write_json_pretty;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::io;

/// Incremented when a field is removed or changes its meaning; new fields may be added at any time.
const SCHEMA_VERSION: u32 = 1;

pub(super) fn write(inventory: &Inventory, out: &mut dyn io::Write) -> io::Result<()> {
    write_json_pretty(out, &Document::new(inventory))
}

/// A list that is made while it is written.
struct List<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, A: Serialize, K: Serialize, O: Serialize, U: Serialize> {
    schema_version: u32,
    tool: Tool,
    now: String,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesRecord<'a>>,
    accounts: A,
    keys: K,
    observations: O,
    observation_count: usize,
    units: U,
    summary: Summary,
    trend: Vec<MomentRecord>,
}

impl<'a> Document<'a, (), (), (), ()> {
    #[expect(clippy::new_ret_no_self, reason = "the types of its lists cannot be named")]
    fn new(inventory: &'a Inventory) -> impl Serialize {
        Document {
            schema_version: SCHEMA_VERSION,
            tool: Tool::THIS,
            now: moment(inventory.now),
            complete: inventory.is_complete(),
            changes: ChangesRecord::new(inventory),
            accounts: accounts(inventory),
            keys: List(|| inventory.keys.iter().map(KeyRecord::new)),
            observations: List(|| inventory.observations.iter().map(ObservationRecord::new)),
            observation_count: inventory.observation_count,
            units: List(|| inventory.units.iter().map(UnitRecord::new)),
            summary: Summary::new(inventory),
            trend: inventory.trend.iter().map(MomentRecord::new).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangesRecord<'a> {
    since: String,
    counts: &'a BTreeMap<Status, usize>,
    unseen: usize,
    unseen_keys: Vec<GoneRecord<'a>>,
    fixed: Vec<GoneRecord<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GoneRecord<'a> {
    name: &'a str,
    first_found: String,
}

impl<'a> ChangesRecord<'a> {
    fn new(inventory: &'a Inventory) -> Option<Self> {
        let changes = inventory.changes.as_ref()?;
        let gone = |keys: &'a [(String, i64)]| {
            keys.iter().map(|(name, first)| GoneRecord { name, first_found: moment(*first) }).collect()
        };
        Some(Self {
            since: moment(changes.since),
            counts: &changes.counts,
            unseen: changes.unseen.len(),
            unseen_keys: gone(&changes.unseen),
            fixed: gone(&changes.fixed),
        })
    }
}

/// An account, and how many of its keys are what.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct AccountRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    keys: usize,
    root: usize,
    mailed: usize,
    shared: usize,
    foreign: usize,
    in_files_now: usize,
}

fn accounts(inventory: &Inventory) -> Vec<AccountRecord> {
    let mut accounts: BTreeMap<Option<String>, AccountRecord> = BTreeMap::new();
    for key in &inventory.keys {
        let account = key.account.map(|account| account.to_string());
        let record = accounts.entry(account.clone()).or_insert_with(|| AccountRecord { account, ..Default::default() });
        record.keys += 1;
        record.root += usize::from(key.is("aws-root-key"));
        record.mailed += usize::from(key.is("aws-emailed-key"));
        record.shared += usize::from(key.is("aws-shared-key"));
        record.foreign += usize::from(key.is("aws-foreign-key"));
        record.in_files_now += usize::from(key.is_current);
    }
    let unknown = accounts.remove(&None);
    accounts.into_values().chain(unknown).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyRecord<'a> {
    name: &'a str,
    title: &'a str,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    canary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_fingerprint: Option<&'a str>,
    proven: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<VerificationRecord<'a>>,
    judgements: Vec<JudgementRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_days: Option<u64>,
    in_files_now: bool,
    occurrences: usize,
    targets: &'a [String],
    target_count: usize,
    places: &'a [String],
    people: &'a [String],
    people_count: usize,
    owners: &'a [String],
    owned_by: OwnedBy,
    steps: &'a [String],
}

impl<'a> KeyRecord<'a> {
    fn new(key: &'a KeyEntry) -> Self {
        Self {
            name: &key.name,
            title: &key.title,
            severity: key.severity,
            status: key.status,
            first_found: key.first_found.map(moment),
            account: key.account.map(|account| account.to_string()),
            canary: key.is_canary,
            id: key.id.as_deref(),
            secret_fingerprint: key.secret.as_deref(),
            proven: key.is_proven,
            expires: key.expires.map(moment),
            verification: key.verification.as_ref().map(VerificationRecord::new),
            judgements: key.judgements.iter().map(JudgementRecord::new).collect(),
            first_seen: key.first_seen.map(moment),
            last_seen: key.last_seen.map(moment),
            exposed_days: key.days,
            in_files_now: key.is_current,
            occurrences: key.occurrences,
            targets: &key.targets,
            target_count: key.target_count,
            places: &key.places,
            people: &key.people,
            people_count: key.people_count,
            owners: &key.owners,
            owned_by: key.owned_by,
            steps: &key.steps,
        }
    }
}

#[derive(Serialize)]
struct JudgementRecord<'a> {
    rule: &'a str,
    grade: Grade,
    reasons: &'a [String],
}

impl<'a> JudgementRecord<'a> {
    fn new(judgement: &'a JudgementEntry) -> Self {
        Self { rule: judgement.rule.as_str(), grade: judgement.grade, reasons: &judgement.reasons }
    }
}

#[derive(Serialize)]
struct ObservationRecord<'a> {
    rule: &'a str,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    message: &'a str,
    place: &'a str,
}

impl<'a> ObservationRecord<'a> {
    fn new(seen: &'a Observation) -> Self {
        Self {
            rule: seen.rule.as_str(),
            severity: seen.severity,
            account: seen.account.map(|account| account.to_string()),
            message: &seen.sentence,
            place: &seen.place,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnitRecord<'a> {
    targets: Vec<TargetRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    failures: Vec<FailureRecord<'a>>,
    failure_count: u64,
    /// It is a shallow or partial clone.
    partial: bool,
    /// How much was not scanned, also on purpose, by cause.
    skips: &'a BTreeMap<String, u64>,
    occurrences: usize,
    read: Read,
}

#[derive(Serialize)]
struct TargetRecord<'a> {
    name: &'a str,
    repository: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'a str>,
}

#[derive(Serialize)]
struct FailureRecord<'a> {
    path: &'a str,
    message: &'a str,
}

impl<'a> UnitRecord<'a> {
    fn new(unit: &'a UnitEntry) -> Self {
        let targets = unit.targets.iter().map(|target| TargetRecord {
            name: &target.name,
            repository: target.is_repository,
            url: target.url.as_deref(),
            head: target.head.as_deref(),
            branch: target.branch.as_deref(),
        });
        Self {
            targets: targets.collect(),
            error: unit.error.as_deref(),
            failures: unit.failures.iter().map(|(path, message)| FailureRecord { path, message }).collect(),
            failure_count: unit.failure_count,
            partial: unit.is_cut,
            skips: &unit.skips,
            occurrences: unit.occurrences,
            read: unit.read,
        }
    }
}

#[derive(Serialize)]
struct Summary {
    targets: usize,
    keys: BTreeMap<&'static str, usize>,
    suppressed: BTreeMap<&'static str, usize>,
    read: Read,
}

impl Summary {
    fn new(inventory: &Inventory) -> Self {
        let count = |severity: Severity| inventory.keys.iter().filter(|key| key.severity == severity).count();
        let severities = [("error", Severity::Error), ("warning", Severity::Warning), ("note", Severity::Note)];
        let reasons = ["documented", "placeholder", "inline", "allowlist", "baseline"];
        Self {
            targets: inventory.target_count(),
            keys: severities.map(|(word, severity)| (word, count(severity))).into(),
            suppressed: reasons.into_iter().zip(inventory.suppressed).collect(),
            read: inventory.read(),
        }
    }
}

#[derive(Serialize)]
struct MomentRecord {
    at: String,
    keys: usize,
    current: usize,
    new: usize,
    fixed: usize,
}

impl MomentRecord {
    fn new(audit: &Moment) -> Self {
        Self { at: moment(audit.at), keys: audit.keys, current: audit.current, new: audit.new, fixed: audit.fixed }
    }
}
