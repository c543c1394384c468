//! Is it a key of an account that is not the organisation's?

use super::inventory::Credential;
use super::{Grade, Surroundings, Verdict};
use crate::rule::Finder;

pub(super) fn judge<'a>(key: &Credential<'a>, around: &Surroundings) -> Option<Verdict<'a>> {
    let own = &around.config.org_accounts;
    let account = key.occurrences.iter().find_map(|finding| finding.account)?;
    // A tripwire belongs to who made it, and is told as such.
    let is_canary = account.is_canary() || around.config.canary_accounts.contains(&account);
    if own.is_empty() || own.contains(&account) || is_canary {
        return None;
    }
    let reasons = vec![format!("Its account, {account}, is none of org_accounts in keyspill.toml.")];
    Some(Verdict { finder: Finder::ForeignKey, grade: Grade::Medium, reasons, findings: key.occurrences.clone() })
}
