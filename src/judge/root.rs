//! Is it a root user's key? The id alone never tells; signs around it do.
//!
//! The root user has all rights in an account and can be limited by nothing in it; AWS advises against keys for it.

use super::Verdict;
use super::inventory::Credential;
use crate::credential::AccountId;
use crate::finding::Finding;
use crate::finding::evidence::Strength;
use crate::rule::{Finder, Grade, Matcher};
use std::collections::{BTreeMap, BTreeSet};

/// What the findings say of the root users of accounts.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Accounts whose root user has an active key, and where a credential report says so.
    with_key: BTreeMap<AccountId, String>,
    /// Accounts whose root user was seen at work, and where.
    used: BTreeMap<AccountId, String>,
}

impl Known {
    /// What `findings` say.
    pub fn of(findings: &[Box<Finding>]) -> Self {
        let mut known = Self::default();
        for finding in findings.iter().filter(|finding| finding.observation().is_some()) {
            let Some(account) = finding.account else { continue };
            let list = match finding.rule.matcher {
                Matcher::Finder(Finder::ReportRootActiveKey) => &mut known.with_key,
                Matcher::Finder(Finder::RootUsage) => &mut known.used,
                _ => continue,
            };
            let place = || format!("{}:{}", finding.path.to_text(), finding.location.start_line);
            list.entry(account).or_insert_with(place);
        }
        known
    }
}

/// Whether any occurrence of the key is the root user's.
pub(super) fn judge<'a>(key: &Credential<'a>, known: &Known) -> Option<Verdict<'a>> {
    let signs = |finding: &'a Finding| finding.evidence().map_or(&[][..], |found| &found.root_signs);
    let strength = |finding: &&'a Finding| signs(finding).first().map(|sign| sign.strength);
    let mut telling: Vec<&Finding> = key.occurrences.iter().copied().filter(|one| !signs(one).is_empty()).collect();
    telling.sort_by_key(|finding| std::cmp::Reverse(strength(finding)));
    let strongest = telling.first().and_then(strength)?;
    let signs: BTreeSet<_> = telling.iter().flat_map(|finding| signs(finding)).collect();
    let mut reasons: Vec<String> = signs.into_iter().rev().map(|sign| sign.reason.clone().into_owned()).collect();
    let account = key.occurrences.iter().find_map(|finding| finding.account);
    // What somebody called it is worth more where the root user of its account is known to have a key.
    let with_key = account.and_then(|account| known.with_key.get(&account));
    reasons.extend(with_key.map(|place| format!("The root user of its account has an active key, says {place}.")));
    let used = account.and_then(|account| known.used.get(&account));
    reasons.extend(used.map(|place| format!("The root user of its account is seen at work at {place}.")));
    let strongest = if with_key.is_some() { strongest.max(Strength::Strong) } else { strongest };
    let grade = if strongest >= Strength::Strong { Grade::Critical } else { Grade::Medium };
    Some(Verdict { finder: Finder::RootKey, grade, reasons, findings: telling })
}
