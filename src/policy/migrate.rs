//! Reads what other scanners' files accept, so that a team can move to keyspill without reviewing everything again.

use crate::file;
use crate::finding::Finding;
use crate::text::mask::hide_long_words;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A finding accepted in another scanner's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The file, with `/` as separator.
    path: String,
    /// The 1-based line; 0 if not given.
    line: u32,
    /// SHA-1 of the value, as detect-secrets records it.
    hash: Option<String>,
}

impl fmt::Display for Accepted {
    /// Without what may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", hide_long_words(&self.path), self.line)
    }
}

/// Why a file was rejected.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct MigrateError {
    file: PathBuf,
    problem: MigrateProblem,
}

#[derive(Debug, thiserror::Error)]
enum MigrateProblem {
    #[error("cannot be read: {}", file::describe(.0))]
    Read(#[from] std::io::Error),
    #[error("is neither a gitleaks report nor a detect-secrets baseline: {0}")]
    Json(String),
    #[error("line {0}: expected `[COMMIT:]FILE:RULE:LINE`, as gitleaks writes it")]
    Ignore(usize),
}

/// A finding in a gitleaks report.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GitleaksFinding {
    file: String,
    start_line: u32,
}

/// The baseline of detect-secrets. Source: its `docs/design.md`.
#[derive(Deserialize)]
struct SecretsBaseline {
    results: BTreeMap<String, Vec<DetectedSecret>>,
}

#[derive(Deserialize)]
struct DetectedSecret {
    hashed_secret: Option<String>,
    #[serde(default)]
    line_number: u32,
}

/// Reads `.gitleaksignore`, a gitleaks report, or `.secrets.baseline`.
///
/// # Errors
/// If the file cannot be read, or is none of these.
pub fn read(file: &Path) -> Result<Vec<Accepted>, MigrateError> {
    let refused = |problem| MigrateError { file: file.to_owned(), problem };
    let text = file::read_text(file, file::MAX_SETTINGS).map_err(|error| refused(error.into()))?;
    parse(&text).map_err(refused)
}

/// Describes a JSON error without quoting the file.
fn explain(error: &serde_json::Error) -> MigrateProblem {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "unexpected structure",
        _ => "not valid JSON",
    };
    MigrateProblem::Json(format!("line {}, column {}: {kind}", error.line(), error.column()))
}

fn parse(text: &str) -> Result<Vec<Accepted>, MigrateProblem> {
    let accepted = |path: String, line, hash| Accepted { path: path.replace('\\', "/"), line, hash };
    match text.trim_start().chars().next() {
        Some('[') => {
            let findings: Vec<GitleaksFinding> = serde_json::from_str(text).map_err(|error| explain(&error))?;
            Ok(findings.into_iter().map(|finding| accepted(finding.file, finding.start_line, None)).collect())
        }
        Some('{') => {
            let baseline: SecretsBaseline = serde_json::from_str(text).map_err(|error| explain(&error))?;
            let all = baseline.results.into_iter().flat_map(|(path, secrets)| {
                secrets.into_iter().map(move |secret| accepted(path.clone(), secret.line_number, secret.hashed_secret))
            });
            Ok(all.collect())
        }
        _ => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
            lines.map(|(number, line)| ignored(line.trim()).ok_or(MigrateProblem::Ignore(number))).collect()
        }
    }
}

/// A line of `.gitleaksignore`.
fn ignored(line: &str) -> Option<Accepted> {
    let (rest, number) = line.rsplit_once(':')?;
    let (rest, _rule) = rest.rsplit_once(':')?;
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let path = rest.split_once(':').filter(|(commit, _)| is_commit(commit)).map_or(rest, |(_, path)| path);
    Some(Accepted { path: path.replace('\\', "/"), line: number.parse().ok()?, hash: None })
}

impl Accepted {
    /// True if it matches a finding: the same file, and the same value or line.
    pub fn is_of(&self, finding: &Finding) -> bool {
        let path = finding.path.to_text();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let is_hashed = || {
            let hash = finding.id().map(|id| data_encoding::HEXLOWER.encode(&Sha1::digest(id.text.as_bytes())));
            self.hash.is_some() && hash == self.hash
        };
        let on_line = || finding.values().any(|value| value.location.start_line == self.line);
        path == self.path && (is_hashed() || on_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_formats() {
        let told = |text: &str| {
            let accepted = parse(text).map_err(|problem| problem.to_string())?;
            Ok(accepted.into_iter().map(|one| (one.path, one.line)).collect::<Vec<_>>())
        };
        let one: Result<_, String> = Ok(vec![("a/b.env".to_owned(), 7)]);
        assert_eq!(told(&format!("# comment\n\n{}:a/b.env:aws-access-token:7\n", "0".repeat(40))), one);
        assert_eq!(told("a\\b.env:aws-access-token:7"), one);
        assert_eq!(told(r#"[{"File": "a/b.env", "StartLine": 7, "Secret": "x"}]"#), one);
        let baseline = r#"{"version": "1.5.0", "results": {"a/b.env": [{"type": "AWS Access Key", "hashed_secret": "00", "line_number": 7}]}}"#;
        assert_eq!(told(baseline), one);
        assert!(told("nonsense").unwrap_err().contains("line 1"));
        assert!(told("[1]").is_err() && told("{}").is_err());
    }
}
