//! What a report says of its keys, as far as a plan depends on it.

use crate::finding::verification::{KeyStatus, Usage, Verification};
use crate::report::wording::{USUAL_REMEDY, moment, verified_words};
use crate::rule::{Grade, RuleSet, Selection, Severity};
use crate::text::alphabet::ID_LEN;
use crate::text::sanitize::one_line;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Why a plan cannot be made of a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is something else.
    #[error("expected a JSON report, as `keyspill scan --format json` or `keyspill audit --format json` writes it")]
    NoReport,
    /// It is no list of answers.
    #[error("expected answers, as `keyspill verify --format json` writes them")]
    NoAnswers,
    /// It is of another version.
    #[error("the report is of version {0} of its schema, and this keyspill reads version 2; scan again")]
    Version(u64),
}

/// One key.
#[derive(Debug, Default)]
pub struct KeyFacts {
    /// Its id, or the fingerprint of its secret.
    pub name: String,
    /// What it is, as a headline without a full stop.
    pub title: String,
    /// The fingerprints of its findings.
    #[cfg_attr(not(feature = "verify"), expect(dead_code, reason = "keys are named by them to be verified"))]
    pub fingerprints: BTreeSet<String>,
    pub account: Option<String>,
    pub severity: Option<Severity>,
    /// The worst that was judged of it.
    pub grade: Option<Grade>,
    pub is_canary: bool,
    pub is_root: bool,
    /// True if people have it who should not.
    pub is_exposed: bool,
    pub secret_known: bool,
    pub status: Option<KeyStatus>,
    pub arn: Option<String>,
    pub usage: Option<Usage>,
    /// The user that it belongs to, if known.
    pub user: Option<String>,
    /// True if it was used within the last [`RECENT`] days, false if it was not, none if that is not known.
    pub is_in_use: Option<bool>,
    /// The rules of its findings.
    pub rules: BTreeSet<String>,
    /// What happened, in sentences.
    pub evidence: Vec<String>,
    /// Who must be told.
    pub tell: Vec<String>,
    /// What the first rule says to do.
    pub remedy: String,
    /// True if it says until when it works.
    pub is_short_lived: bool,
    /// True if it has expired, according to the text that it was found in.
    pub has_expired: bool,
    /// True if it is in a repository's history.
    pub is_in_history: bool,
}

/// Answers of `keyspill verify`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answers {
    pub schema_version: u32,
    /// By the ids of the keys.
    pub answers: BTreeMap<String, VerificationRecord>,
}

/// A key that was used within so many days is in use.
const RECENT: i64 = 90;

/// The most places that are named for a key.
const MAX_PLACES: usize = 5;

impl KeyFacts {
    /// True if its name is written like a key id, and so may stand in a command: a report may come from anywhere.
    pub fn is_id(&self) -> bool {
        self.name.len() == ID_LEN && self.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    }

    /// True if it does not work any more, as far as is known.
    pub fn is_over(&self) -> bool {
        match self.status {
            Some(KeyStatus::Active) => false,
            Some(status) if status.is_over() => true,
            _ => self.has_expired,
        }
    }

    /// Worst first.
    pub fn rank(&self) -> impl Ord + use<> {
        let is_over = self.is_over();
        let is_active = self.status == Some(KeyStatus::Active);
        (is_over, Reverse((is_active && self.is_root, self.grade, is_active, self.severity, self.secret_known)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportFile {
    credentials: Vec<CredentialRecord>,
    findings: Vec<FindingRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialRecord {
    name: String,
    severity: Severity,
    account: Option<String>,
    #[serde(default)]
    canary: bool,
    secret_known: bool,
    #[serde(default)]
    authors: Vec<String>,
    #[serde(default)]
    senders: Vec<String>,
    #[serde(default)]
    recipients: Vec<String>,
    judgements: Vec<JudgementRecord>,
}

#[derive(Deserialize)]
struct JudgementRecord {
    rule: String,
    grade: Grade,
    reasons: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FindingRecord {
    rule: String,
    message: String,
    path: String,
    location: LocationRecord,
    id: Option<ValueRecord>,
    partner: Option<PartnerRecord>,
    fingerprint: String,
    owner: Option<OwnerRecord>,
    expires: Option<String>,
    verification: Option<VerificationRecord>,
    suppression: Option<serde::de::IgnoredAny>,
    judgement: Option<serde::de::IgnoredAny>,
    message_context: Option<MessageRecord>,
    history: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocationRecord {
    start_line: u64,
}

#[derive(Deserialize)]
struct ValueRecord {
    value: String,
}

#[derive(Deserialize)]
struct PartnerRecord {
    id: String,
}

#[derive(Deserialize)]
struct OwnerRecord {
    name: String,
    kind: String,
}

/// An answer, as reports write it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationRecord {
    status: KeyStatus,
    checked_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&Verification> for VerificationRecord {
    fn from(answer: &Verification) -> Self {
        Self {
            status: answer.status,
            checked_at: moment(answer.checked),
            arn: answer.arn.clone(),
            usage: answer.usage.clone(),
            reason: answer.reason.clone(),
        }
    }
}

/// What an inventory says of a key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InventoryKey {
    name: String,
    title: String,
    severity: Severity,
    account: Option<String>,
    #[serde(default)]
    canary: bool,
    secret_fingerprint: Option<String>,
    expires: Option<String>,
    verification: Option<VerificationRecord>,
    judgements: Vec<JudgementRecord>,
    #[serde(default)]
    places: Vec<String>,
    #[serde(default)]
    people: Vec<String>,
    #[serde(default)]
    owners: Vec<String>,
    #[serde(default)]
    steps: Vec<String>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
struct MessageRecord {
    channel: Option<ChannelRecord>,
}

#[derive(Deserialize)]
struct ChannelRecord {
    name: String,
}

/// The keys of a report, in its order.
pub fn read(report: &[u8], now: i64) -> Result<Vec<KeyFacts>, ReadError> {
    let mut value: serde_json::Value = serde_json::from_slice(report).map_err(|_| ReadError::NoReport)?;
    if value["tool"]["name"] == "keyspill" && value["keys"].is_array() && value["units"].is_array() {
        let keys: Vec<InventoryKey> = serde_json::from_value(value["keys"].take()).map_err(|_| ReadError::NoReport)?;
        // What is fixed is in no file any more; it may still work, and is in the plan.
        return Ok(keys.into_iter().map(|key| of_inventory(key, now)).collect());
    }
    match (value["tool"]["name"].as_str(), value["schemaVersion"].as_u64()) {
        (Some("keyspill"), Some(2)) if value["findings"].is_array() => {}
        (Some("keyspill"), Some(version)) if value["findings"].is_array() => return Err(ReadError::Version(version)),
        _ => return Err(ReadError::NoReport),
    }
    let report: ReportFile = serde_json::from_value(value).map_err(|_| ReadError::NoReport)?;
    let mut of_keys: BTreeMap<&str, Vec<&FindingRecord>> = BTreeMap::new();
    let own = |finding: &&FindingRecord| finding.suppression.is_none() && finding.judgement.is_none();
    for finding in report.findings.iter().filter(own) {
        let partner = finding.partner.as_ref().map(|partner| partner.id.as_str());
        let id = finding.id.as_ref().map(|id| id.value.as_str());
        of_keys.entry(id.or(partner).unwrap_or(&finding.fingerprint)).or_default().push(finding);
    }
    let rules = RuleSet::selected(&Selection::everything());
    let key = |credential: &CredentialRecord| {
        let findings = of_keys.get(credential.name.as_str()).map_or(&[][..], Vec::as_slice);
        key_facts(credential, findings, &rules, now)
    };
    Ok(report.credentials.iter().map(key).collect())
}

fn key_facts(credential: &CredentialRecord, findings: &[&FindingRecord], rules: &RuleSet, now: i64) -> KeyFacts {
    let mut facts = KeyFacts {
        name: one_line(&credential.name),
        account: credential.account.as_deref().map(one_line),
        severity: Some(credential.severity),
        grade: credential.judgements.iter().map(|judgement| judgement.grade).max(),
        is_canary: credential.canary,
        secret_known: credential.secret_known,
        fingerprints: findings.iter().map(|finding| finding.fingerprint.clone()).collect(),
        rules: findings.iter().map(|finding| finding.rule.clone()).collect(),
        is_short_lived: findings.iter().any(|finding| finding.expires.is_some()),
        is_in_history: findings.iter().any(|finding| finding.history.is_some()),
        ..KeyFacts::default()
    };
    facts.title = findings.first().map(|finding| one_line(&finding.message)).unwrap_or_default();
    facts.evidence.extend(findings.first().map(|_| format!("{}.", facts.title)));
    // Of several times, the last counts.
    let ends: Option<BTreeSet<&str>> = findings.iter().map(|finding| finding.expires.as_deref()).collect();
    facts.add_end(ends.iter().flatten().copied(), now);
    facts.evidence.extend(places(findings));
    facts.add_judgements(&credential.judgements);
    let owners = findings.iter().filter_map(|finding| finding.owner.as_ref());
    facts.user = owners.into_iter().find(|owner| owner.kind == "user").map(|owner| owner.name.clone());
    // Of several secrets of an id, the one that works counts, or else the one that may.
    let answers = findings.iter().filter_map(|finding| finding.verification.as_ref());
    let safety = |answer: &&VerificationRecord| match answer.status {
        KeyStatus::Active => 0,
        status if status.is_over() => 2,
        _ => 1,
    };
    if let Some(answer) = answers.min_by_key(safety) {
        facts.add_answer(answer, now);
    }
    facts.tell = tell(credential, findings);
    let rule = findings.first().and_then(|finding| rules.get(&finding.rule));
    let remedy = rule.map(|rule| rule.texts().remedy.trim().to_owned()).filter(|remedy| !remedy.is_empty());
    facts.remedy = remedy.unwrap_or_else(|| USUAL_REMEDY.to_owned());
    facts
}

fn of_inventory(key: InventoryKey, now: i64) -> KeyFacts {
    let mut facts = KeyFacts {
        name: one_line(&key.name),
        account: key.account.as_deref().map(one_line),
        severity: Some(key.severity),
        grade: key.judgements.iter().map(|judgement| judgement.grade).max(),
        is_canary: key.canary,
        secret_known: key.secret_fingerprint.is_some(),
        fingerprints: key.secret_fingerprint.into_iter().collect(),
        remedy: key.steps.iter().map(|step| one_line(step)).collect::<Vec<_>>().join(" "),
        ..KeyFacts::default()
    };
    facts.title = one_line(&key.title);
    facts.evidence.push(format!("{}.", facts.title));
    facts.add_end(key.expires.as_deref().into_iter(), now);
    facts.evidence.extend(list_places(&key.places.iter().map(|place| one_line(place)).collect()));
    facts.add_judgements(&key.judgements);
    if let Some(answer) = &key.verification {
        facts.add_answer(answer, now);
    }
    if key.status.as_deref() == Some("fixed") {
        facts.evidence.push("It is not found any more where it was; that does not revoke it.".into());
    }
    for (names, why) in [(&key.owners, "must act"), (&key.people, "introduced, sent or received it")] {
        if !names.is_empty() {
            facts.tell.push(format!("{}: {why}.", people(names)));
        }
    }
    facts
}

impl KeyFacts {
    fn add_judgements(&mut self, judgements: &[JudgementRecord]) {
        for judgement in judgements {
            self.is_root |= judgement.rule == "aws-root-key" && judgement.grade >= Grade::High;
            let is_of_exposure = judgement.rule.contains("emailed") || judgement.rule.contains("shared");
            self.is_exposed |= is_of_exposure && judgement.grade >= Grade::High;
            self.evidence.extend(judgement.reasons.iter().map(|reason| one_line(reason)));
        }
    }

    /// Takes into account when it stops working, according to texts: the last of these times counts.
    fn add_end<'a>(&mut self, times: impl Iterator<Item = &'a str>, now: i64) {
        let ends: Option<Vec<_>> = times.map(|time| time.parse::<jiff::Timestamp>().ok()).collect();
        let end = ends.and_then(|ends| ends.into_iter().max());
        if let Some(end) = end.filter(|end| end.as_second() < now) {
            self.has_expired = true;
            self.evidence.push(format!("It has expired, according to the text: it worked until {end}."));
        }
    }

    /// Takes an answer into account.
    pub fn add_answer(&mut self, answer: &VerificationRecord, now: i64) {
        self.status = Some(answer.status);
        self.arn.clone_from(&answer.arn);
        self.usage.clone_from(&answer.usage);
        self.evidence.push(answer.words());
        self.user = answer.user().or(self.user.take());
        self.is_in_use = answer.usage.as_ref().and_then(|usage| was_used(usage, now));
        let is_active = answer.status == KeyStatus::Active;
        match answer.arn.as_ref().filter(|_| is_active).map(|arn| arn.ends_with(":root")) {
            Some(is_root) => self.is_root = is_root,
            None if answer.user().is_some() => self.is_root = false,
            None => {}
        }
    }
}

impl VerificationRecord {
    /// True if it tells whether the key works, and was given after a moment, in seconds since 1970.
    #[cfg(feature = "verify")]
    pub fn is_known_since(&self, moment: i64) -> bool {
        let checked = self.checked_at.parse::<jiff::Timestamp>().map_or(i64::MIN, jiff::Timestamp::as_second);
        matches!(self.status, KeyStatus::Active | KeyStatus::Inactive) && checked >= moment
    }

    /// What it tells.
    #[cfg(feature = "verify")]
    pub fn status(&self) -> KeyStatus {
        self.status
    }

    /// The answer as a sentence.
    pub fn words(&self) -> String {
        let asked = one_line(&self.checked_at);
        verified_words(self.status, &asked, self.arn.as_deref(), self.usage.as_ref(), self.reason.as_deref())
    }

    /// The user that AWS says it belongs to.
    fn user(&self) -> Option<String> {
        let by_iam = self.usage.as_ref().and_then(|usage| usage.user.clone());
        by_iam.or_else(|| self.arn.as_deref()?.split_once(":user/")?.1.rsplit('/').next().map(str::to_owned))
    }
}

fn places(findings: &[&FindingRecord]) -> Option<String> {
    let place = |finding: &&FindingRecord| format!("{}:{}", one_line(&finding.path), finding.location.start_line);
    list_places(&findings.iter().map(place).collect())
}

fn list_places(all: &BTreeSet<String>) -> Option<String> {
    let shown = all.iter().take(MAX_PLACES).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MAX_PLACES) {
        _ if all.is_empty() => None,
        0 => Some(format!("It is in {shown}.")),
        more => Some(format!("It is in {shown} and {more} more places.")),
    }
}

/// Whether it was used lately; none if that cannot be read.
fn was_used(usage: &Usage, now: i64) -> Option<bool> {
    let Some(date) = &usage.last_used else { return Some(false) };
    let last = date.parse::<jiff::Timestamp>().ok()?;
    Some(now.saturating_sub(last.as_second()) <= RECENT * 24 * 60 * 60)
}

/// People with their addresses, each once: `Ann <ann@example.com>` is also who `ann@example.com` is.
fn people(names: &[String]) -> String {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut order = Vec::new();
    for name in names.iter().map(|name| one_line(name)) {
        let address =
            name.rsplit_once('<').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches('>')).to_lowercase();
        let shown = known.entry(address.clone()).or_insert_with(|| {
            order.push(address);
            name.clone()
        });
        if name.len() > shown.len() {
            *shown = name;
        }
    }
    order.iter().filter_map(|address| known.remove(address)).collect::<Vec<_>>().join(", ")
}

fn tell(credential: &CredentialRecord, findings: &[&FindingRecord]) -> Vec<String> {
    let mut tell = Vec::new();
    let groups = [
        (&credential.recipients, "received it by mail or in a chat, and must delete it"),
        (&credential.senders, "sent it"),
        (&credential.authors, "committed it"),
    ];
    for (names, why) in groups.into_iter().filter(|(names, _)| !names.is_empty()) {
        tell.push(format!("{}: {why}.", people(names)));
    }
    let channels: BTreeSet<String> = findings
        .iter()
        .filter_map(|finding| finding.message_context.as_ref()?.channel.as_ref())
        .map(|channel| one_line(&channel.name))
        .collect();
    tell.extend(channels.into_iter().map(|name| format!("Everyone in {name}: it can be read there.")));
    tell
}
