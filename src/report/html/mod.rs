//! The report of an audit: one page that needs nothing else, can be read with scripts off and asks no network.
//!
//! The template escapes every value, and the page's own policy lets nothing run but its one script.

use super::wording::{chronicle, correspondence, date, headline, remarks, steps, suppressed_by_reason};
use super::{Report, worst_first};
use crate::finding::Finding;
use crate::judge::inventory::Credential;
use crate::rule::{Finder, Matcher, Severity};
use crate::text::sanitize::one_line;
use data_encoding::BASE64;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// So many places are listed of one key, and so many rows in the table: a page of more is no longer read.
const MOST_PLACES: usize = 50;
const MOST_ROWS: usize = 20_000;

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    script_hash: String,
    version: &'static str,
    date: String,
    is_complete: bool,
    counts: Vec<(&'static str, usize)>,
    credential_count: usize,
    files: u64,
    size: String,
    commits: u64,
    objects: u64,
    policy: Vec<String>,
    suppressed: Vec<(usize, &'static str)>,
    failures: Vec<(String, String)>,
    skipped: Vec<(&'static str, usize)>,
    cards: Vec<Card<'a>>,
    rows: Vec<Row<'a>>,
    row_count: usize,
    timeline: Vec<Bar>,
    timeline_start: String,
    timeline_end: String,
}

#[derive(Serialize)]
struct Card<'a> {
    anchor: String,
    severity: String,
    title: String,
    account: Option<String>,
    is_live: bool,
    verdicts: Vec<Verdict<'a>>,
    facts: Vec<String>,
    excerpt: Vec<Line<'a>>,
    places: Vec<Place>,
    more_places: usize,
    steps: Vec<String>,
}

#[derive(Serialize)]
struct Verdict<'a> {
    rule: &'a str,
    grade: String,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    number: u32,
    text: &'a str,
}

#[derive(Serialize)]
struct Place {
    text: String,
    rule: String,
    when: String,
}

#[derive(Serialize)]
struct Row<'a> {
    severity: String,
    /// For sorting.
    rank: u8,
    rule: &'a str,
    path: String,
    line: u32,
    key: String,
    account: String,
    days: String,
    anchor: Option<String>,
}

/// A key's time in a repository, in percent of the page's time.
#[derive(Serialize)]
struct Bar {
    name: String,
    anchor: String,
    start: String,
    width: String,
    text: String,
    is_live: bool,
}

/// The report as a page.
pub fn write(report: &Report) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", TEMPLATE).expect("a test renders the template");
    let template = environment.get_template("page").expect("it was just added");
    template.render(minijinja::value::Serde(page(report))).expect("a test renders the template")
}

fn page(report: &Report) -> Page<'_> {
    let mut credentials = Credential::all(&report.findings);
    credentials.sort_by_key(|key| {
        let severity = key.occurrences.iter().chain(&key.judgements).map(|finding| finding.severity).max();
        let grade = key.judgements.iter().filter_map(|finding| Some(finding.judgement()?.grade)).max();
        std::cmp::Reverse((severity, grade))
    });
    let anchors: HashMap<String, String> =
        credentials.iter().enumerate().map(|(n, key)| (key.name.clone(), format!("key-{}", n + 1))).collect();
    let findings = worst_first(report);
    let coverage = &report.coverage;
    let plural = [("errors", Severity::Error), ("warnings", Severity::Warning), ("notes", Severity::Note)];
    let (timeline, timeline_start, timeline_end) = timeline(&credentials, &anchors, report.now);
    let text = |path: &crate::finding::BlobPath| one_line(&path.to_text());
    Page {
        style: STYLE,
        script: SCRIPT,
        script_hash: BASE64.encode(&Sha256::digest(SCRIPT)),
        version: env!("CARGO_PKG_VERSION"),
        date: date(report.now),
        is_complete: coverage.failures().next().is_none(),
        counts: plural.map(|(word, severity)| (word, report.count(severity))).to_vec(),
        credential_count: credentials.len(),
        files: coverage.files,
        size: bytesize::ByteSize(coverage.bytes).to_string(),
        commits: coverage.commits,
        objects: coverage.objects,
        policy: report.config.iter().chain(&report.baseline).map(text).collect(),
        suppressed: suppressed_by_reason(report).into_iter().filter(|(n, _)| *n > 0).collect(),
        failures: coverage.failures().map(|skip| (text(&skip.path), one_line(&skip.cause.to_string()))).collect(),
        skipped: coverage.skips_by_cause().into_iter().collect(),
        cards: credentials.iter().map(|key| card(key, &anchors)).collect(),
        row_count: findings.len(),
        rows: findings.into_iter().take(MOST_ROWS).map(|finding| row(finding, &anchors)).collect(),
        timeline,
        timeline_start,
        timeline_end,
    }
}

fn card<'a>(key: &Credential<'a>, anchors: &HashMap<String, String>) -> Card<'a> {
    // The first of equals.
    let worst = key.occurrences.iter().rev().max_by_key(|finding| (finding.severity, finding.secret().is_some()));
    let worst = *worst.unwrap_or_else(|| &key.judgements[0]);
    let all = || key.occurrences.iter().chain(&key.judgements);
    let severity = all().map(|finding| finding.severity).max().unwrap_or(worst.severity);
    let verdict = |finding: &&'a Finding| {
        let judgement = finding.judgement()?;
        let grade = judgement.grade.to_string();
        let reasons = judgement.reasons.iter().map(|reason| one_line(reason)).collect();
        Some(Verdict { rule: finding.rule.id.as_str(), grade, reasons })
    };
    let is_root = key.judgements.iter().any(|finding| {
        matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey)) && finding.severity == Severity::Error
    });
    let facts = remarks(worst)
        .into_iter()
        .chain(worst.message.iter().map(|message| correspondence(message)))
        .chain(worst.history.iter().flat_map(|history| chronicle(history)));
    let place = |finding: &&Finding| {
        let past = finding.history.as_ref().filter(|history| history.is_past());
        let first = past.and_then(|history| history.introduced.listed.first());
        let when = match (past, first) {
            (None, _) => String::new(),
            (Some(_), Some(commit)) => format!("in history, since {}", commit.oid.short()),
            (Some(_), None) => "in history".to_owned(),
        };
        let text =
            format!("{}:{}:{}", finding.path.to_text(), finding.location.start_line, finding.location.start_column);
        Place { text: one_line(&text), rule: finding.rule.name.clone(), when }
    };
    let excerpt = worst.excerpts.iter().map(|excerpt| Line { number: excerpt.line, text: &excerpt.text });
    Card {
        anchor: anchors.get(&key.name).cloned().unwrap_or_default(),
        severity: severity.to_string(),
        title: one_line(&headline(worst)),
        account: worst.account.map(|account| account.to_string()),
        is_live: key.is_live(),
        verdicts: key.judgements.iter().filter_map(verdict).collect(),
        facts: facts.map(|fact| one_line(&fact)).collect(),
        excerpt: excerpt.collect(),
        places: key.occurrences.iter().take(MOST_PLACES).map(place).collect(),
        more_places: key.occurrences.len().saturating_sub(MOST_PLACES),
        steps: steps(worst, is_root),
    }
}

fn row<'a>(finding: &'a Finding, anchors: &HashMap<String, String>) -> Row<'a> {
    let days = finding.history.as_ref().and_then(|history| history.exposure).map(|exposure| exposure.days.to_string());
    Row {
        severity: finding.severity.to_string(),
        rank: finding.severity as u8,
        rule: finding.rule.id.as_str(),
        path: one_line(&finding.path.to_text()),
        line: finding.location.start_line,
        key: finding.id().map(|id| one_line(&id.text)).unwrap_or_default(),
        account: finding.account.map(|account| account.to_string()).unwrap_or_default(),
        days: days.unwrap_or_default(),
        anchor: anchors.get(finding.credential().as_ref()).cloned(),
    }
}

/// When each key was in a repository, from the first of all until `now`.
fn timeline(keys: &[Credential], anchors: &HashMap<String, String>, now: i64) -> (Vec<Bar>, String, String) {
    let known: Vec<_> = keys.iter().filter_map(|key| Some((key, key.exposure()?))).collect();
    let Some(first) = known.iter().map(|(_, (since, _))| *since).min() else { return Default::default() };
    let last = known.iter().map(|(_, (_, until))| until.unwrap_or(now)).max().unwrap_or(now).max(first + 1);
    let percent = |seconds: i64| format!("{:.2}", seconds as f64 * 100.0 / (last - first) as f64);
    let bars = known.iter().map(|(key, (since, until))| {
        let end = until.unwrap_or(now).clamp(*since, last);
        let text = match until {
            Some(until) => format!("{} to {}", date(*since), date(*until)),
            None => format!("since {}", date(*since)),
        };
        Bar {
            name: one_line(&key.name),
            anchor: anchors.get(&key.name).cloned().unwrap_or_default(),
            start: percent(since - first),
            width: percent(end - since),
            text,
            is_live: until.is_none(),
        }
    });
    (bars.collect(), date(first), date(last))
}
