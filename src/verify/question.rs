//! What there is to ask: each pair of id and secret once.

use crate::credential::{Account, AccountId, Fingerprint, Partition, SpecialPartitions};
use crate::finding::Finding;
use crate::judge::link::Secrets;
use foldhash::HashMap;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// A key to ask about: a pair of id and secret, or an id where the secret is not needed.
#[derive(Debug, Clone)]
pub struct Question {
    /// The id.
    pub id: String,
    /// Identifies the secret.
    pub fingerprint: Option<Fingerprint>,
    /// The secret, in clear.
    pub secret: Option<SecretString>,
    /// The session token that a temporary key needs, if it was found near it.
    pub token: Option<SecretString>,
    /// The account that the id tells.
    pub account: Option<AccountId>,
    /// Where the key may be known, the likeliest first.
    pub partitions: Vec<Partition>,
    /// True if it was planted to be found.
    pub is_canary: bool,
    /// The position of its first finding.
    pub finding: usize,
}

impl Question {
    /// What it is remembered by: the id, and the fingerprint of the secret.
    pub fn name(&self) -> String {
        match self.fingerprint {
            Some(print) => format!("{} {print}", self.id),
            None => self.id.clone(),
        }
    }

    /// About an id alone.
    #[cfg(any(test, feature = "cli"))]
    pub(super) fn about(id: String, account: Option<AccountId>) -> Self {
        Self {
            id,
            fingerprint: None,
            secret: None,
            token: None,
            account,
            partitions: vec![Partition::Commercial],
            is_canary: false,
            finding: 0,
        }
    }
}

/// What all findings together say of an id.
#[derive(Default)]
struct Known {
    account: Option<AccountId>,
    is_canary: bool,
    partitions: SpecialPartitions,
}

/// Everything to ask, in order. `uses_key` tells whether the one who would be asked about a finding needs the secret; none if
/// there is nobody to ask.
pub fn all(findings: &[Box<Finding>], secrets: &Secrets, uses_key: impl Fn(&Finding) -> Option<bool>) -> Vec<Question> {
    // The id of a secret may be in another file, with what is known of it.
    let mut known: HashMap<&str, Known> = HashMap::default();
    for finding in findings {
        let Some(id) = finding.key_id() else { continue };
        let known =
            known.entry(id).or_insert_with(|| Known { account: Account::from_id(id).known(), ..Known::default() });
        known.account = known.account.or(finding.account);
        known.is_canary |= finding.is_canary;
        known.partitions = known.partitions.or(finding.evidence().map(|found| found.partitions).unwrap_or_default());
    }
    let mut all: BTreeMap<(&str, Option<Fingerprint>), Question> = BTreeMap::new();
    for (position, finding) in findings.iter().enumerate() {
        let (Some(id), Some(uses_key)) = (finding.key_id(), uses_key(finding)) else { continue };
        let fingerprint = finding.secret_fingerprint().filter(|_| uses_key);
        let secret = fingerprint.and_then(|print| secrets.key(print));
        if uses_key && secret.is_none() {
            continue;
        }
        let Known { account, is_canary, partitions } = known[id];
        all.entry((id, fingerprint)).or_insert_with(|| Question {
            id: id.to_owned(),
            fingerprint,
            secret: secret.cloned(),
            token: fingerprint.and_then(|print| secrets.token(print)).cloned(),
            account,
            partitions: partitions.and_commercial(),
            is_canary,
            finding: position,
        });
    }
    all.into_values().collect()
}
