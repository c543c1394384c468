//! Judges whether a key belongs to an account outside the organisation.

use super::Assessment;
use super::inventory::Credential;
use crate::config::Config;
use crate::rule::{Finder, Grade};

pub(super) fn judge<'a>(key: &Credential<'a>, config: &Config) -> Option<Assessment<'a>> {
    let own = &config.org_accounts;
    let account = key.occurrences.iter().find_map(|finding| finding.account)?;
    // A canary belongs to whoever planted it, and is reported as a canary.
    let is_canary = account.is_canary() || config.canary_accounts.contains(&account);
    if own.is_empty() || own.contains(&account) || is_canary {
        return None;
    }
    let reasons = vec![format!("Its account, {account}, is not listed in org_accounts in keyspill.toml.")];
    Some(Assessment { finder: Finder::ForeignKey, grade: Grade::Medium, reasons, findings: key.occurrences.clone() })
}
