//! What there is to ask: each pair of id and secret once.

use crate::credential::{AccountId, Fingerprint};
use crate::finding::Finding;
use crate::judge::link::Secrets;
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
    /// Where AWS keeps the account.
    pub partition: Partition,
    /// True if it was planted to be found.
    pub is_canary: bool,
    /// The position of its first finding.
    pub finding: usize,
}

impl Question {
    /// About an id alone.
    #[cfg(feature = "cli")]
    pub(super) fn about(id: String, account: Option<AccountId>) -> Self {
        Self {
            id,
            fingerprint: None,
            secret: None,
            token: None,
            account,
            partition: Partition::default(),
            is_canary: false,
            finding: 0,
        }
    }
}

/// Where AWS keeps an account: keys of one partition are unknown in the others.
///
/// Source: AWS General Reference, "Amazon Resource Names", partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// The regions that everybody uses.
    #[default]
    Commercial,
    /// The regions in China.
    China,
    /// The regions of the government of the United States.
    GovCloud,
}

impl Partition {
    /// The one that the text around a finding speaks of; the commercial one, if of none.
    fn around(finding: &Finding) -> Self {
        let says = |words: &[&str]| {
            finding.excerpts.iter().any(|excerpt| words.iter().any(|word| excerpt.text.contains(word)))
        };
        if says(&["arn:aws-cn:", "cn-north-1", "cn-northwest-1", "amazonaws.com.cn"]) {
            Self::China
        } else if says(&["arn:aws-us-gov:", "us-gov-west-1", "us-gov-east-1"]) {
            Self::GovCloud
        } else {
            Self::Commercial
        }
    }
}

/// Everything to ask, in order. `uses_key` tells whether the one who would be asked about a finding needs the secret; none if
/// there is nobody to ask.
pub fn all(findings: &[Box<Finding>], secrets: &Secrets, uses_key: impl Fn(&Finding) -> Option<bool>) -> Vec<Question> {
    let mut all: BTreeMap<(String, Option<Fingerprint>), Question> = BTreeMap::new();
    for (position, finding) in findings.iter().enumerate() {
        let (Some(id), Some(uses_key)) = (finding.key_id(), uses_key(finding)) else { continue };
        let fingerprint = finding.secret_fingerprint().filter(|_| uses_key);
        let secret = fingerprint.and_then(|print| secrets.key(print));
        if uses_key && secret.is_none() {
            continue;
        }
        let partition = Partition::around(finding);
        let question = all.entry((id.to_owned(), fingerprint)).or_insert_with(|| Question {
            id: id.to_owned(),
            fingerprint,
            secret: secret.cloned(),
            token: fingerprint.and_then(|print| secrets.token(print)).cloned(),
            account: finding.account,
            partition,
            is_canary: false,
            finding: position,
        });
        question.is_canary |= finding.is_canary;
        // Any place may tell.
        question.account = question.account.or(finding.account);
        question.partition = question.partition.max(partition);
    }
    all.into_values().collect()
}
