//! The audit report: a self-contained page that is readable without scripts and makes no network requests.
//!
//! The template escapes every value, and the page's content security policy allows only its one script.

use super::wording::{
    chronicle, correspondence, date, extent, first_sentence, headline, is_command, remarks, remedy, skipped_in_words,
    steps, suppressed_in_words,
};
use super::{Options, Report, worst_first};
use crate::finding::{BlobPath, Finding};
use crate::git::repository::Facts;
use crate::judge::inventory::Credential;
use crate::rule::{Finder, Matcher, Severity};
use crate::source::SkipCause;
use crate::text::sanitize::one_line;
use data_encoding::BASE64;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io;

/// The page up to the cards, one card, and the rest.
const TEMPLATES: [(&str, &str); 3] =
    [("top", include_str!("top.html")), ("card", include_str!("card.html")), ("bottom", include_str!("bottom.html"))];
pub(crate) const STYLE: &str = include_str!("page.css");
pub(crate) const SCRIPT: &str = include_str!("page.js");

/// Maximum number of places listed per key, and of rows in the table: nobody reads a longer page.
const MAX_PLACES: usize = 50;
const MAX_ROWS: usize = 20_000;
const MAX_ACCEPTED: usize = 1000;

/// Cards beyond this many are folded.
const MAX_UNFOLDED: usize = 50;

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
    /// What was read, in words.
    extent: String,
    policy: Vec<String>,
    suppressed: Vec<String>,
    failures: Vec<(String, String)>,
    /// The first paths that the configuration accepts as not scannable, and why.
    accepted: Vec<(String, String)>,
    accepted_count: usize,
    skipped: Vec<String>,
    /// The paths that were asked for.
    scanned: Vec<String>,
    repositories: Vec<String>,
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
    is_current: bool,
    verdicts: Vec<JudgementView<'a>>,
    facts: Vec<String>,
    excerpt: Vec<Line<'a>>,
    places: Vec<PlaceView>,
    more_places: usize,
    /// Each step, and whether it is a command.
    steps: Vec<(String, bool)>,
    /// True if a step has a place for the name of the user.
    names_user: bool,
    /// What to do if there are no steps.
    advice: String,
    /// Folded, as there are many.
    is_folded: bool,
}

#[derive(Serialize)]
struct JudgementView<'a> {
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
struct PlaceView {
    text: String,
    rule: String,
    when: String,
}

#[derive(Serialize)]
struct Row<'a> {
    severity: String,
    /// Sort key of the severity.
    rank: u8,
    rule: &'a str,
    path: String,
    line: u32,
    key: String,
    account: String,
    days: String,
    anchor: Option<String>,
}

/// The time of a key in a repository, as percentages of the timeline.
#[derive(Serialize)]
struct Bar {
    name: String,
    anchor: String,
    start: String,
    width: String,
    text: String,
    is_current: bool,
}

/// Writes the report as a page: an overview and the table first, then a card for each key, one by one.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(io::Error::other)?;
    }
    let mut render = |name, value: minijinja::Value| {
        let template = environment.get_template(name).map_err(io::Error::other)?;
        template.render_captured_to(value, &mut *out).map(|_| ()).map_err(unwrapped)
    };
    let credentials = ranked(report);
    let anchors = anchors(&credentials);
    render("top", minijinja::value::Serde(page(report, options, &credentials, &anchors)).into())?;
    for (n, key) in credentials.iter().enumerate() {
        let card = card(key, &anchors, n >= MAX_UNFOLDED);
        render("card", minijinja::value::Serde(card).into())?;
    }
    render("bottom", minijinja::context! { script => SCRIPT })
}

/// The error of the output that is inside one of the template engine's.
pub(crate) fn unwrapped(error: minijinja::Error) -> io::Error {
    let inner = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    inner.map_or_else(|| io::Error::other("the page cannot be rendered"), |inner| io::Error::from(inner.kind()))
}

/// All keys, the worst first.
fn ranked(report: &Report) -> Vec<Credential<'_>> {
    let mut credentials = Credential::all(&report.findings);
    credentials.sort_by_key(|key| {
        let severity = key.occurrences.iter().chain(&key.judgements).map(|finding| finding.severity).max();
        let grade = key.judgements.iter().filter_map(|finding| Some(finding.judgement()?.grade)).max();
        std::cmp::Reverse((severity, grade))
    });
    credentials
}

fn anchors(credentials: &[Credential]) -> HashMap<String, String> {
    credentials.iter().enumerate().map(|(n, key)| (key.name.clone(), format!("key-{}", n + 1))).collect()
}

fn page<'a>(
    report: &'a Report,
    options: &Options,
    credentials: &[Credential],
    anchors: &HashMap<String, String>,
) -> Page<'a> {
    let findings = worst_first(report);
    let coverage = &report.coverage;
    let words = [("error", Severity::Error), ("warning", Severity::Warning), ("note", Severity::Note)];
    let (timeline, timeline_start, timeline_end) = timeline(credentials, anchors, report.now);
    let text = |path: &BlobPath| one_line(&path.to_text());
    let accepted = || coverage.skips.iter().filter(|skip| matches!(skip.cause, SkipCause::Accepted(..)));
    Page {
        style: STYLE,
        script: SCRIPT,
        script_hash: BASE64.encode(&Sha256::digest(SCRIPT)),
        version: env!("CARGO_PKG_VERSION"),
        date: date(report.now),
        is_complete: coverage.failures().next().is_none(),
        counts: words.map(|(word, severity)| (word, report.count(severity))).to_vec(),
        credential_count: credentials.len(),
        extent: extent(coverage),
        policy: report.config.iter().chain(&report.baseline).map(text).collect(),
        suppressed: suppressed_in_words(report),
        accepted: accepted()
            .take(MAX_ACCEPTED)
            .map(|skip| (text(&skip.path), one_line(&skip.cause.to_string())))
            .collect(),
        accepted_count: accepted().count(),
        failures: coverage.failures().map(|skip| (text(&skip.path), one_line(&skip.cause.to_string()))).collect(),
        skipped: skipped_in_words(coverage),
        scanned: options.scanned.iter().map(|path| one_line(path)).collect(),
        repositories: report.repositories.iter().map(repository).collect(),
        row_count: findings.len(),
        rows: findings.into_iter().take(MAX_ROWS).map(|finding| row(finding, anchors)).collect(),
        timeline,
        timeline_start,
        timeline_end,
    }
}

/// A repository whose history was scanned: where it comes from, and at which commit it was.
fn repository((path, facts): &(BlobPath, Facts)) -> String {
    let branch = facts.branch.as_ref().map(|branch| format!(" {branch}")).unwrap_or_default();
    let head = facts.head.map(|head| format!(", at{branch} {}", head.short())).unwrap_or_default();
    let place = path.to_text();
    let url = facts.url.as_ref().map(|url| format!(" ({url})")).unwrap_or_default();
    one_line(&format!("{place}{url}{head}"))
}

fn card<'a>(key: &Credential<'a>, anchors: &HashMap<String, String>, is_folded: bool) -> Card<'a> {
    // Reversed, since `max_by_key` returns the last of equals.
    let worst = key.occurrences.iter().rev().max_by_key(|finding| (finding.severity, finding.secret().is_some()));
    let worst = *worst.unwrap_or_else(|| &key.judgements[0]);
    let all = || key.occurrences.iter().chain(&key.judgements);
    let severity = all().map(|finding| finding.severity).max().unwrap_or(worst.severity);
    let verdict = |finding: &&'a Finding| {
        let judgement = finding.judgement()?;
        let grade = judgement.grade.to_string();
        let reasons = judgement.reasons.iter().map(|reason| one_line(reason)).collect();
        Some(JudgementView { rule: finding.rule.id.as_str(), grade, reasons })
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
        PlaceView { text: one_line(&text), rule: finding.rule.texts().name.clone(), when }
    };
    let excerpt = worst.excerpts.iter().map(|excerpt| Line { number: excerpt.line, text: &excerpt.text });
    Card {
        anchor: anchors.get(&key.name).cloned().unwrap_or_default(),
        severity: severity.to_string(),
        title: one_line(&headline(worst)),
        account: worst.account.map(|account| account.to_string()),
        is_current: key.is_current(),
        verdicts: key.judgements.iter().filter_map(verdict).collect(),
        facts: facts.map(|fact| one_line(&fact)).collect(),
        excerpt: excerpt.collect(),
        places: key.occurrences.iter().take(MAX_PLACES).map(place).collect(),
        more_places: key.occurrences.len().saturating_sub(MAX_PLACES),
        names_user: steps(worst, is_root).iter().any(|step| step.contains("--user-name USER")),
        steps: steps(worst, is_root).into_iter().map(|step| (step.clone(), is_command(&step))).collect(),
        advice: one_line(first_sentence(&remedy(worst))),
        is_folded,
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

/// When each key was in a repository, on a timeline from the first key until `now`.
fn timeline(keys: &[Credential], anchors: &HashMap<String, String>, now: i64) -> (Vec<Bar>, String, String) {
    let known: Vec<_> = keys.iter().filter_map(|key| Some((key, key.exposure()?))).collect();
    let Some(first) = known.iter().map(|(_, (since, _))| *since).min() else { return Default::default() };
    let last = known.iter().map(|(_, (_, until))| until.unwrap_or(now)).max().unwrap_or(now).max(first + 1);
    let percent = |seconds: i64| format!("{:.2}", seconds as f64 * 100.0 / (last - first) as f64);
    // The newest leak must be seen, too.
    let thinnest = (last - first) / 100;
    let bars = known.iter().map(|(key, (since, until))| {
        let end = until.unwrap_or(now).clamp(*since, last);
        let text = match until {
            Some(until) => format!("{} to {}", date(*since), date(*until)),
            None => format!("since {}", date(*since)),
        };
        Bar {
            name: one_line(&key.name),
            anchor: anchors.get(&key.name).cloned().unwrap_or_default(),
            start: percent((since - first).min(last - first - thinnest)),
            width: percent((end - since).max(thinnest)),
            text,
            is_current: until.is_none(),
        }
    });
    (bars.collect(), date(first), date(last))
}
