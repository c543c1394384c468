//! GitLab's secret detection report, `gl-secret-detection-report.json`.
//!
//! Source: GitLab's report schema for secret detection, version 15.0.7.

use super::uri::UriBase;
use super::wording::{first_sentence, headline, moment, remarks, remedy};
use super::{Report, worst_first};
use crate::finding::Finding;
use crate::rule::Grade;
use crate::rule::Severity;
use crate::text::sanitize::{one_line, write_json_pretty};
use serde::Serialize;
use std::collections::HashMap;
use std::io;
use uuid::Uuid;

const SCHEMA_VERSION: &str = "15.0.7";

/// The commit id that GitLab's own scanner uses where there is no commit.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    scan: Scan,
    vulnerabilities: Vec<Vulnerability<'a>>,
}

#[derive(Serialize)]
struct Scan {
    analyzer: Tool,
    scanner: Tool,
    #[serde(rename = "type")]
    kind: &'static str,
    start_time: String,
    end_time: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Tool {
    id: &'static str,
    name: &'static str,
    version: &'static str,
    vendor: Vendor,
}

#[derive(Serialize)]
struct Vendor {
    name: &'static str,
}

impl Tool {
    const THIS: Self = Self {
        id: "keyspill",
        name: "keyspill",
        version: env!("CARGO_PKG_VERSION"),
        vendor: Vendor { name: "keyspill" },
    };
}

#[derive(Serialize)]
struct Message {
    level: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Vulnerability<'a> {
    id: String,
    name: &'a str,
    description: String,
    severity: &'static str,
    solution: String,
    identifiers: Vec<Identifier<'a>>,
    location: Location,
    /// Masked.
    raw_source_code_extract: String,
}

#[derive(Serialize)]
struct Identifier<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    value: &'a str,
}

#[derive(Serialize)]
struct Location {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<u32>,
    commit: CommitRecord,
}

#[derive(Serialize)]
struct CommitRecord {
    sha: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Writes the report as one document. Both times are the report's `now`, so that the same input gives the same report.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, base: &UriBase, out: &mut dyn io::Write) -> io::Result<()> {
    let time = moment(report.now).trim_end_matches('Z').to_owned();
    let failures: Vec<_> = report.coverage.failures().collect();
    let message = |skip: &&crate::source::Skip| Message {
        level: "warn",
        value: format!("{}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string())),
    };
    // The same value in the same file keeps its id when its line changes. Repeats are numbered.
    let mut counts: HashMap<_, usize> = HashMap::new();
    let mut number = |finding: &Finding| {
        let count = counts.entry((finding.rule.id.clone(), finding.fingerprint, finding.path.clone())).or_default();
        *count += 1;
        *count - 1
    };
    let numbered: Vec<_> = worst_first(report).into_iter().map(|finding| (finding, number(finding))).collect();
    let document = Document {
        version: SCHEMA_VERSION,
        scan: Scan {
            analyzer: Tool::THIS,
            scanner: Tool::THIS,
            kind: "secret_detection",
            start_time: time.clone(),
            end_time: time,
            status: if failures.is_empty() { "success" } else { "failure" },
            messages: failures.iter().map(message).collect(),
        },
        vulnerabilities: numbered
            .into_iter()
            .map(|(finding, number)| vulnerability(finding, number, report, base))
            .collect(),
    };
    write_json_pretty(out, &document)
}

fn vulnerability<'a>(finding: &'a Finding, number: usize, report: &Report, base: &UriBase) -> Vulnerability<'a> {
    let rule = &finding.rule;
    let file = base.relative_text(&finding.path);
    let place = finding.location;
    let name = format!("{}\n{}\n{}\n{}", rule.id, finding.fingerprint, finding.path.to_text(), number);
    let reasons = finding.judgement().into_iter().flat_map(|judgement| judgement.reasons.iter().cloned());
    let mut description = format!("{}.", headline(finding));
    for sentence in reasons.chain(remarks(finding)) {
        description = format!("{description} {sentence}");
    }
    if !finding.path.inside().is_empty() {
        description = format!("{description} It is in {}:{}.", finding.path.to_text(), place.start_line);
    }
    let is_inside = !finding.path.inside().is_empty() && finding.outer.is_none();
    let shown = finding.outer.as_deref().copied().unwrap_or(place);
    let excerpts: Vec<_> = finding.excerpts.iter().map(|excerpt| &*excerpt.text).collect();
    Vulnerability {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("keyspill:{name}").as_bytes()).to_string(),
        name: &rule.texts().name,
        description: one_line(&description),
        severity: severity(finding),
        solution: one_line(first_sentence(&remedy(finding))),
        identifiers: vec![Identifier {
            kind: "keyspill_rule_id",
            name: format!("keyspill rule {}", rule.id),
            value: rule.id.as_str(),
        }],
        location: Location {
            file,
            start_line: (!is_inside).then_some(shown.start_line),
            end_line: (!is_inside).then_some(shown.end_line),
            commit: commit(finding, report),
        },
        raw_source_code_extract: excerpts.join("\n"),
    }
}

/// The severity in GitLab's terms. A judgement's grade maps directly unless its severity was overridden.
fn severity(finding: &Finding) -> &'static str {
    let grade = finding.judgement().map(|judgement| judgement.grade);
    match (grade, finding.severity) {
        (Some(grade), severity) if grade.severity() == severity => match grade {
            Grade::Critical => "Critical",
            Grade::High => "High",
            Grade::Medium => "Medium",
            Grade::Low => "Low",
        },
        (_, Severity::Error) if finding.is_critical() || finding.rule.security_severity >= 9.0 => "Critical",
        (_, Severity::Error) => "High",
        (_, Severity::Warning) => "Medium",
        (_, Severity::Note) => "Low",
    }
}

/// The commit that introduced the finding, else the one that is checked out.
fn commit(finding: &Finding, report: &Report) -> CommitRecord {
    let first = finding.history.as_ref().and_then(|history| history.introduced.listed.first());
    match first {
        Some(commit) => CommitRecord {
            sha: commit.oid.to_string(),
            author: Some(one_line(&format!("{} <{}>", commit.author.name, commit.author.email))),
            date: Some(moment(commit.author.time)),
            message: Some(one_line(&commit.subject)),
        },
        None => {
            let head = report.repositories.first().and_then(|(_, facts)| facts.head);
            let sha = head.map_or_else(|| NO_COMMIT.to_owned(), |head| head.to_string());
            CommitRecord { sha, author: None, date: None, message: None }
        }
    }
}
