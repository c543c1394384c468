//! `keyspill.toml`: what a team tells of itself, so that keys can be judged.

use crate::credential::AccountId;
use crate::rule::{RuleSet, Severity};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE_NAME: &str = "keyspill.toml";

/// Everything that can be in the file, in the order of the documentation.
const KEYS: [&str; 5] = ["org_domains", "org_accounts", "canary_accounts", "trusted_repos", "severity"];

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    org_domains: Vec<String>,
    org_accounts: Vec<String>,
    canary_accounts: Vec<String>,
    trusted_repos: Vec<String>,
    severity: BTreeMap<String, Severity>,
}

/// The file as resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Where it was read from, if from anywhere.
    pub path: Option<PathBuf>,
    /// Mail domains of the organisation, in lower case.
    pub org_domains: Vec<String>,
    /// AWS accounts of the organisation.
    pub org_accounts: BTreeSet<AccountId>,
    /// Accounts whose keys were planted to be found, besides those that keyspill knows.
    pub canary_accounts: BTreeSet<AccountId>,
    /// Repositories that may share keys: parts of their URLs or paths.
    pub trusted_repos: Vec<String>,
    /// Severities other than the rules' own, by rule.
    pub severity: BTreeMap<String, Severity>,
}

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("is not a valid configuration: {0}")]
    Syntax(#[from] Box<toml::de::Error>),
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// The file that is in force for a scan of `path`: in its directory or one above, up to the repository's root.
    pub fn find(path: &Path) -> Option<PathBuf> {
        let absolute = path.canonicalize().ok()?;
        let dir = if absolute.is_dir() { absolute.as_path() } else { absolute.parent()? };
        let root = dir.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(dir);
        let candidates = dir.ancestors().take_while(|dir| dir.starts_with(root));
        let file = candidates.map(|dir| dir.join(FILE_NAME)).find(|file| file.is_file())?;
        // As the user would write it.
        let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).ok();
        let below = here.and_then(|here| file.strip_prefix(here).ok().map(Path::to_owned));
        Some(below.unwrap_or(file))
    }

    /// Reads a file; `rules` are those that it may speak of.
    ///
    /// # Errors
    /// If it cannot be read, or says something that is not known or not allowed.
    pub fn read(file: &Path, rules: &RuleSet) -> Result<Self, ConfigError> {
        let refused = |problem| ConfigError { file: file.to_owned(), problem };
        let text = std::fs::read_to_string(file).map_err(|error| refused(error.into()))?;
        let mut config = Self::parse(&text, rules).map_err(refused)?;
        config.path = Some(file.to_owned());
        Ok(config)
    }

    fn parse(text: &str, rules: &RuleSet) -> Result<Self, Problem> {
        let table: toml::Table = toml::from_str(text).map_err(Box::new)?;
        if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let nearest = KEYS.iter().min_by_key(|known| strsim::damerau_levenshtein(known, unknown));
            let nearest = nearest.filter(|known| strsim::damerau_levenshtein(known, unknown) <= 4);
            let hint = nearest
                .map_or_else(|| format!("known are {}", KEYS.join(", ")), |known| format!("did you mean `{known}`?"));
            return Err(Problem::Value(format!("unknown key `{unknown}`: {hint}")));
        }
        let file: ConfigFile = toml::from_str(text).map_err(Box::new)?;
        if let Some(rule) = file.severity.keys().find(|rule| rules.get(rule).is_none()) {
            let hint = rules.nearest(rule).map_or_else(
                || "`keyspill rules list` lists them".into(),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            return Err(Problem::Value(format!("severity: there is no rule `{rule}`; {hint}")));
        }
        Ok(Self {
            path: None,
            org_domains: file.org_domains.iter().map(|text| domain(text)).collect::<Result<_, _>>()?,
            org_accounts: accounts("org_accounts", &file.org_accounts)?,
            canary_accounts: accounts("canary_accounts", &file.canary_accounts)?,
            trusted_repos: file.trusted_repos,
            severity: file.severity,
        })
    }

    /// True if a mail address is one of the organisation's: its domain is one of [`Self::org_domains`], or below one.
    pub fn is_inside(&self, address: &str) -> bool {
        let Some((_, domain)) = address.rsplit_once('@') else { return false };
        let domain = domain.trim_end_matches(['.', '>', ' ']).to_ascii_lowercase();
        let is_below =
            |own: &String| domain.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.org_domains.iter().any(is_below)
    }
}

fn domain(text: &str) -> Result<String, Problem> {
    let domain = text.trim_start_matches(['@', '.']).to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    if domain.split('.').all(is_label) {
        return Ok(domain);
    }
    Err(Problem::Value(format!("org_domains: `{text}` is no domain; expected one such as `corp.example`")))
}

fn accounts(key: &str, texts: &[String]) -> Result<BTreeSet<AccountId>, Problem> {
    let account = |text: &String| {
        let digits = text.replace('-', "");
        let is_number = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit());
        let number = is_number.then(|| digits.parse().ok()).flatten();
        number.and_then(AccountId::new).ok_or_else(|| {
            Problem::Value(format!(
                "{key}: `{text}` is no account; expected 12 digits in quotes, as in \"111122223333\""
            ))
        })
    };
    texts.iter().map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, &RuleSet::built_in()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_written_is_resolved() {
        let text = "org_domains = [\"@Corp.example\"]\norg_accounts = [\"1111-2222-3333\"]\n[severity]\naws-access-key-id = \"note\"\n";
        let config = parse(text).unwrap();
        assert_eq!(config.org_domains, ["corp.example"]);
        assert_eq!(config.org_accounts.first().map(ToString::to_string).as_deref(), Some("111122223333"));
        assert_eq!(config.severity["aws-access-key-id"], Severity::Note);
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn mistakes_are_named_and_corrected() {
        for (text, expected) in [
            ("org_domain = []", "unknown key `org_domain`: did you mean `org_domains`?"),
            ("nothing_like_it = 1", "unknown key `nothing_like_it`: known are org_domains"),
            ("org_accounts = [\"1111\"]", "org_accounts: `1111` is no account"),
            ("org_accounts = [111122223333]", "expected a string"),
            ("org_domains = [\"a b\"]", "`a b` is no domain"),
            ("severity.aws-acces-key-id = \"note\"", "did you mean `aws-access-key-id`?"),
            ("severity.aws-access-key-id = \"bad\"", "unknown variant `bad`"),
            ("org_domains = [", "is not a valid configuration"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn domains_are_compared_by_their_labels() {
        let config = parse("org_domains = [\"example.com\"]").unwrap();
        for inside in ["a@example.com", "a@mail.example.com", "a@EXAMPLE.com."] {
            assert!(config.is_inside(inside), "{inside}");
        }
        for outside in ["a@evil-example.com", "a@example.com.evil.io", "example.com", "a@example.org", ""] {
            assert!(!config.is_inside(outside), "{outside}");
        }
    }
}
