//! Is it a key of an account that is not the organisation's?

use super::Verdict;
use super::inventory::Credential;
use crate::config::Config;
use crate::rule::{Finder, Grade};

pub(super) fn judge<'a>(key: &Credential<'a>, config: &Config) -> Option<Verdict<'a>> {
    let own = &config.org_accounts;
    let account = key.occurrences.iter().find_map(|finding| finding.account)?;
    // A tripwire belongs to who made it, and is told as such.
    let is_canary = account.is_canary() || config.canary_accounts.contains(&account);
    if own.is_empty() || own.contains(&account) || is_canary {
        return None;
    }
    let reasons = vec![format!("Its account, {account}, is none of org_accounts in keyspill.toml.")];
    Some(Verdict { finder: Finder::ForeignKey, grade: Grade::Medium, reasons, findings: key.occurrences.clone() })
}
