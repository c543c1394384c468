//! What an `[[allow]]` table of the configuration makes of findings.

use super::place::Places;
use crate::config::allow::Allow;
use crate::credential::AccountId;
use crate::finding::{Finding, Suppression};
use crate::text::mask::hide_long_words;

/// True if a table applies to a finding: all that it gives must hold.
pub fn covers(allow: &Allow, finding: &Finding, places: &Places) -> bool {
    let is_one = |account: AccountId| allow.accounts.contains(&account);
    (allow.rules.is_empty() || allow.rules.iter().any(|rule| rule == finding.rule.id.as_str()))
        && (allow.fingerprints.is_empty() || allow.fingerprints.contains(&finding.fingerprint))
        && (allow.accounts.is_empty() || finding.account.is_some_and(is_one))
        && allow.paths.as_ref().is_none_or(|paths| paths.contain(&places.of(&finding.path), false))
}

/// What a table makes of a finding that it covers.
pub fn suppression(allow: &Allow) -> Suppression {
    let place = format!("{}:{}", allow.file.display(), allow.line);
    Suppression::Allowlist { place, reason: hide_long_words(&allow.reason) }
}
