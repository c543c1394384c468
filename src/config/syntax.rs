//! `keyspill.toml` as written. `schemas/config.schema.json` describes the same format for editors.

use crate::rule::Severity;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// The keys of the file, in the order of the documentation.
pub const KEYS: [&str; 16] = [
    "include",
    "org_domains",
    "org_accounts",
    "canary_accounts",
    "trusted_repos",
    "fail_on",
    "baseline",
    "packs",
    "enable",
    "disable",
    "rules",
    "exclude",
    "severity",
    "allow",
    "override",
    "unscanned",
];
/// The keys of an `[[allow]]` table.
pub const ALLOW_KEYS: [&str; 6] = ["paths", "rules", "fingerprints", "accounts", "reason", "expires"];
/// The keys of an `[[override]]` table.
pub const OVERRIDE_KEYS: [&str; 3] = ["paths", "rules", "severity"];

/// The keys of an `[[unscanned]]` table.
pub const UNSCANNED_KEYS: [&str; 3] = ["paths", "reason", "expires"];

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConfigFile {
    /// Files to include, relative to this one. Their settings are applied first.
    pub include: Vec<PathBuf>,
    /// Mail domains of the organisation.
    pub org_domains: Vec<String>,
    /// AWS accounts of the organisation.
    pub org_accounts: Vec<String>,
    /// Accounts whose keys are canaries, planted to be found.
    pub canary_accounts: Vec<String>,
    /// Parts of the URLs or paths of repositories that may share keys.
    pub trusted_repos: Vec<String>,
    /// Minimum severity that fails a run.
    pub fail_on: Option<Severity>,
    /// The file of accepted findings, relative to this one.
    pub baseline: Option<PathBuf>,
    /// Packs of rules; all but the generic one if not given.
    pub packs: Option<Vec<String>>,
    /// Rules that are turned on.
    pub enable: Vec<String>,
    /// Rules that are turned off.
    pub disable: Vec<String>,
    /// Files of rules, relative to this one.
    pub rules: Vec<PathBuf>,
    /// Patterns as in `.gitignore`, relative to the file: what is not scanned at all.
    pub exclude: Vec<String>,
    /// Severity overrides by rule.
    pub severity: BTreeMap<String, Severity>,
    /// Findings that do not count.
    pub allow: Vec<Spanned<AllowSyntax>>,
    /// Severity overrides by path.
    #[serde(rename = "override")]
    pub overrides: Vec<OverrideSyntax>,
    /// Files that are known not to be scannable.
    pub unscanned: Vec<Spanned<UnscannedSyntax>>,
}

/// An `[[allow]]` table: a finding must match all keys that are given.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AllowSyntax {
    /// Patterns as in `.gitignore`, relative to the file.
    pub paths: Vec<String>,
    /// Ids of rules.
    pub rules: Vec<String>,
    /// Fingerprints of values, as in reports.
    pub fingerprints: Vec<String>,
    /// AWS accounts.
    pub accounts: Vec<String>,
    /// Why it is allowed.
    pub reason: String,
    /// The last day on which it is valid, such as `2026-12-31`.
    pub expires: Option<String>,
}

/// An `[[override]]` table.
#[derive(Debug, Deserialize)]
pub struct OverrideSyntax {
    /// Patterns as in `.gitignore`, relative to the file.
    pub paths: Vec<String>,
    /// Ids of rules; all if empty.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The severity for these paths.
    pub severity: Severity,
}

/// An `[[unscanned]]` table.
#[derive(Debug, Deserialize)]
pub struct UnscannedSyntax {
    /// Patterns as in `.gitignore`, relative to the file.
    pub paths: Vec<String>,
    /// Why it is accepted that they are not scanned.
    pub reason: String,
    /// The last day on which it is, such as `2026-12-31`.
    pub expires: Option<String>,
}
