//! Judges whether a key is a root user's. The id alone never shows it; signs around it may.
//!
//! The root user has all permissions in an account, and nothing in the account can limit them; AWS advises against keys
//! for it.

use super::Assessment;
use super::inventory::Credential;
use crate::credential::AccountId;
use crate::finding::evidence::Strength;
use crate::finding::verification::Verification;
use crate::finding::{Finding, Kind};
use crate::rule::{Finder, Grade, Matcher};
use std::collections::{BTreeMap, BTreeSet};

/// What the findings say about the root users of accounts.
#[derive(Debug, Default)]
pub(super) struct RootFacts {
    /// Accounts whose root user has an active key, and where a credential report says so.
    with_key: BTreeMap<AccountId, String>,
    /// Accounts whose root user was seen in use, and where.
    used: BTreeMap<AccountId, String>,
    /// Profiles, by directory and name, that use the root user's MFA device: of which account, and where it says so. The
    /// CLI keeps the settings of a profile in one file (`config`) and its key in another beside it (`credentials`).
    devices: BTreeMap<(Vec<u8>, String), (AccountId, String)>,
}

impl RootFacts {
    /// Adds what a finding says. Of several that say the same, the first is quoted.
    pub fn add(&mut self, finding: &Finding) {
        let Some(account) = finding.account.filter(|_| finding.observation().is_some()) else { return };
        let list = match finding.rule.matcher {
            Matcher::Finder(Finder::ReportRootActiveKey) => &mut self.with_key,
            Matcher::Finder(Finder::RootUsage) => &mut self.used,
            _ => return,
        };
        let place = || format!("{}:{}", finding.path.to_text(), finding.location.start_line);
        if let Kind::Observation { profile: Some(profile), .. } = &finding.kind {
            let key = (finding.directory().to_vec(), profile.to_string());
            self.devices.entry(key).or_insert_with(|| (account, place()));
        }
        list.entry(account).or_insert_with(place);
    }
}

/// Judges whether any occurrence shows the key to be a root user's.
pub(super) fn judge<'a>(key: &Credential<'a>, known: &RootFacts) -> Option<Assessment<'a>> {
    // AWS knows better than any sign.
    if key.occurrences.iter().any(|finding| finding.verification().is_some_and(Verification::is_of_user)) {
        return None;
    }
    let signs = |finding: &'a Finding| finding.evidence().map_or(&[][..], |found| &found.root_signs);
    let strength = |finding: &&'a Finding| signs(finding).first().map(|sign| sign.strength);
    let device = |finding: &Finding| {
        let owner = finding.owner().filter(|owner| owner.is_profile)?;
        let (account, place) = known.devices.get(&(finding.directory().to_vec(), owner.name.clone()))?;
        finding.account.is_none_or(|own| own == *account).then_some(place)
    };
    let is_telling = |finding: &&'a Finding| !signs(finding).is_empty() || device(finding).is_some();
    let mut telling: Vec<&Finding> = key.occurrences.iter().copied().filter(is_telling).collect();
    telling.sort_by_key(|finding| std::cmp::Reverse(strength(finding)));
    let place = telling.iter().find_map(|finding| device(finding));
    let strongest = telling.first().and_then(strength).max(place.map(|_| Strength::Strong))?;
    let signs: BTreeSet<_> = telling.iter().flat_map(|finding| signs(finding)).collect();
    let mut reasons: Vec<String> = signs.into_iter().rev().map(|sign| sign.reason.clone().into_owned()).collect();
    reasons.extend(place.map(|place| format!("Its profile uses the root user's MFA device, by {place}.")));
    let account = key.occurrences.iter().find_map(|finding| finding.account);
    // A name counts for more if the root user of the account is known to have a key.
    let with_key = account.and_then(|account| known.with_key.get(&account));
    reasons.extend(with_key.map(|place| format!("{place} shows an active key of its account's root user.")));
    let used = account.and_then(|account| known.used.get(&account));
    reasons.extend(used.map(|place| format!("Use of its account's root user was found at {place}.")));
    let strongest = if with_key.is_some() { strongest.max(Strength::Strong) } else { strongest };
    let grade = match strongest {
        Strength::Proof | Strength::Strong => Grade::Critical,
        Strength::Weak => Grade::Medium,
        Strength::Faint => Grade::Low,
    };
    Some(Assessment { finder: Finder::RootKey, grade, reasons, findings: telling })
}
