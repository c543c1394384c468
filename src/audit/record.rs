//! A finding as a result file keeps it: with everything that judging it needs, and nothing in clear that is secret.

use crate::credential::{AccountId, Fingerprint, SpecialPartitions};
use crate::detect::vendor;
use crate::finding::evidence::{Evidence, Link, Owner, RootSign};
use crate::finding::history::{Exposure, History};
use crate::finding::limited::at_most;
use crate::finding::location::Location;
use crate::finding::message::Message;
use crate::finding::{BlobPath, Encoding, Excerpt, Finding, Key, Kind, Times, Value};
use crate::rule::{RuleSet, Severity};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A rule that is not known: its id.
#[derive(Debug, thiserror::Error)]
#[error("there is no rule {0}")]
pub struct UnknownRule(pub String);

/// An occurrence of a key, or an observation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    rule: String,
    severity: Severity,
    path: BlobPath,
    location: Location,
    outer: Option<Location>,
    fingerprint: Fingerprint,
    account: Option<AccountId>,
    is_canary: bool,
    #[serde(deserialize_with = "at_most::<1000, _, _>")]
    excerpts: Vec<Excerpt>,
    message: Option<Arc<Message>>,
    history: Option<Arc<History>>,
    expired: Option<String>,
    kind: RecordKind,
    /// Which of the unit's targets it is in, by number.
    pub target: u32,
    /// Who answers for the file, by the list of code owners at HEAD.
    #[serde(deserialize_with = "at_most::<1000, _, _>")]
    pub owners: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum RecordKind {
    Key(Box<KeyRecord>),
    Observation { subject: ValueRecord, profile: Option<String>, sentence: String, times: Times },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeyRecord {
    id: Option<ValueRecord>,
    secret: Option<ValueRecord>,
    secret_fingerprint: Option<Fingerprint>,
    link: Option<Arc<Link>>,
    vendor: Option<String>,
    expires: Option<i64>,
    is_doubtful: bool,
    proof: Option<String>,
    owner: Option<Arc<Owner>>,
    #[serde(deserialize_with = "at_most::<10000, _, _>")]
    root_signs: Vec<RootSign>,
    label: Option<String>,
    repository: Option<String>,
    origin: Option<String>,
    file_mode: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ValueRecord {
    text: String,
    location: Location,
    #[serde(deserialize_with = "at_most::<100, _, _>")]
    encodings: Vec<Encoding>,
}

impl ValueRecord {
    fn new(value: &Value) -> Self {
        Self { text: value.text.to_string(), location: value.location, encodings: value.encodings.to_vec() }
    }

    fn into_value(self) -> Value {
        Value { text: self.text.into(), location: self.location, encodings: self.encodings.into() }
    }
}

impl Record {
    /// Of a finding in a target; `None` for what is made anew when results are joined. Fingerprints are keyed if there is a
    /// key.
    pub fn new(finding: &Finding, target: u32, key: Option<&[u8]>) -> Option<Self> {
        let keyed = |print: Fingerprint| key.map_or(print, |key| print.keyed(key));
        let kind = match &finding.kind {
            Kind::Key(found) => RecordKind::Key(Box::new(KeyRecord {
                id: found.id.as_ref().map(ValueRecord::new),
                secret: found.secret.as_ref().map(ValueRecord::new),
                secret_fingerprint: found.secret_fingerprint.map(keyed),
                link: found.link.clone(),
                vendor: found.vendor.map(str::to_owned),
                expires: found.expires,
                is_doubtful: found.is_doubtful,
                proof: found.proof.as_deref().map(str::to_owned),
                owner: found.evidence.owner.clone(),
                root_signs: found.evidence.root_signs.clone(),
                label: found.evidence.label.as_deref().map(str::to_owned),
                repository: found.evidence.repository.as_deref().map(str::to_owned),
                origin: found.evidence.origin.as_deref().map(str::to_owned),
                file_mode: found.evidence.file_mode,
            })),
            Kind::Observation { subject, profile, sentence, times } => RecordKind::Observation {
                subject: ValueRecord::new(subject),
                profile: profile.as_deref().map(str::to_owned),
                sentence: sentence.to_string(),
                times: *times,
            },
            Kind::Judgement(_) | Kind::UnusedAllow { .. } => return None,
        };
        Some(Self {
            rule: finding.rule.id.to_string(),
            severity: finding.severity,
            path: BlobPath::clone(&finding.path),
            location: finding.location,
            outer: finding.outer.as_deref().copied(),
            fingerprint: keyed(finding.fingerprint),
            account: finding.account,
            is_canary: finding.is_canary,
            excerpts: finding.excerpts.to_vec(),
            message: finding.message.clone(),
            history: finding.history.clone(),
            expired: finding.expired.as_deref().map(str::to_owned),
            kind,
            target,
            owners: vec![],
        })
    }

    /// When the key stops working, in seconds since 1970, if the text tells.
    pub fn expires(&self) -> Option<i64> {
        match &self.kind {
            RecordKind::Key(key) => key.expires,
            RecordKind::Observation { .. } => None,
        }
    }

    /// The finding, as of `now`, in seconds since 1970.
    ///
    /// # Errors
    /// If its rule is not among `rules`.
    pub fn into_finding(self, rules: &RuleSet, now: i64) -> Result<Finding, UnknownRule> {
        let rule = rules.get(&self.rule).ok_or(UnknownRule(self.rule))?.clone();
        let history = self.history.map(|mut history| {
            if let Some(Exposure { since, until, .. }) = history.exposure {
                Arc::make_mut(&mut history).exposure = Some(Exposure::new(since, until, now));
            }
            history
        });
        let mut severity = self.severity;
        let kind = match self.kind {
            RecordKind::Key(key) => {
                if key.expires.is_some_and(|expires| expires < now) {
                    severity = Severity::Note;
                }
                Kind::Key(Arc::new(key.into_key()))
            }
            RecordKind::Observation { subject, profile, sentence, times } => Kind::Observation {
                subject: subject.into_value(),
                profile: profile.map(Into::into),
                sentence: sentence.into(),
                times,
            },
        };
        Ok(Finding {
            rule,
            severity,
            path: Arc::new(self.path),
            location: self.location,
            outer: self.outer.map(Box::new),
            fingerprint: self.fingerprint,
            account: self.account,
            is_canary: self.is_canary,
            excerpts: self.excerpts.into(),
            message: self.message,
            history,
            expired: self.expired.map(Into::into),
            suppression: None,
            kind,
        })
    }
}

impl KeyRecord {
    fn into_key(self) -> Key {
        Key {
            id: self.id.map(ValueRecord::into_value),
            secret: self.secret.map(ValueRecord::into_value),
            secret_fingerprint: self.secret_fingerprint,
            link: self.link,
            vendor: self.vendor.and_then(|name| vendor::by_name(&name)),
            expires: self.expires,
            is_doubtful: self.is_doubtful,
            proof: self.proof.map(Into::into),
            verification: None,
            evidence: Evidence {
                owner: self.owner,
                root_signs: self.root_signs,
                label: self.label.map(Into::into),
                request: None,
                clear: None,
                token: None,
                partitions: SpecialPartitions::default(),
                repository: self.repository.map(Into::into),
                origin: self.origin.map(Into::into),
                file_mode: self.file_mode,
            },
        }
    }
}
