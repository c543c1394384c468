//! The report as a CSV table, one row per finding.

use super::Report;
use super::wording::{headline, moment};
use crate::finding::Finding;
use crate::source::Skip;
use crate::text::sanitize::one_line;
use std::io;

const HEADER: [&str; 21] = [
    "rule",
    "severity",
    "grade",
    "path",
    "line",
    "column",
    "end_line",
    "end_column",
    "key_id",
    "account",
    "credential",
    "fingerprint",
    "owner",
    "in_files_now",
    "exposed_since",
    "exposed_until",
    "exposed_days",
    "introduced_by",
    "introduced_in",
    "message",
    "details",
];

/// Writes the report as RFC 4180 CSV.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    let rows = report.findings().map(row);
    let header = HEADER.map(str::to_owned);
    let skipped = report.coverage.failures().map(not_scanned);
    for record in std::iter::once(header).chain(rows).chain(skipped) {
        writer.write_record(record)?;
    }
    writer.flush()
}

fn row(finding: &Finding) -> [String; 21] {
    let place = finding.location;
    let history = finding.history.as_ref();
    let exposure = history.and_then(|history| history.exposure);
    let first = history.and_then(|history| history.introduced.listed.first());
    let grade = finding.judgement().map(|judgement| judgement.grade.to_string());
    let details = finding.judgement().into_iter().flat_map(|judgement| judgement.reasons.iter().cloned());
    let details: Vec<_> = details.chain(super::wording::remarks(finding)).collect();
    let row = [
        finding.rule.id.to_string(),
        finding.severity.to_string(),
        grade.unwrap_or_default(),
        finding.path.to_text().into_owned(),
        place.start_line.to_string(),
        place.start_column.to_string(),
        place.end_line.to_string(),
        place.end_column.to_string(),
        finding.id().map(|id| id.text.to_string()).unwrap_or_default(),
        finding.account.map(|account| account.to_string()).unwrap_or_default(),
        finding.credential().into_owned(),
        finding.fingerprint.to_string(),
        finding.owner().map(|owner| owner.name.clone()).unwrap_or_default(),
        history.is_none_or(|history| !history.is_past()).to_string(),
        exposure.map(|exposure| moment(exposure.since)).unwrap_or_default(),
        exposure.and_then(|exposure| exposure.until).map(moment).unwrap_or_default(),
        exposure.map(|exposure| exposure.days.to_string()).unwrap_or_default(),
        first.map(|commit| commit.author.email.clone()).unwrap_or_default(),
        first.map(|commit| commit.oid.to_string()).unwrap_or_default(),
        headline(finding),
        details.join(" "),
    ];
    row.map(|cell| harmless(&one_line(&cell)))
}

/// A row for what could not be scanned, so that nobody takes the table for complete.
fn not_scanned(skip: &Skip) -> [String; 21] {
    let mut row = [const { String::new() }; 21];
    row[0] = "not-scanned".into();
    row[1] = "error".into();
    row[3] = skip.path.to_text().into_owned();
    row[19] = skip.cause.to_string();
    row.map(|cell| harmless(&one_line(&cell)))
}

/// Neutralises cells that a spreadsheet would take for a formula, such as a hostile file name.
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>.
fn harmless(cell: &str) -> String {
    // Spreadsheets may skip leading spaces and treat full-width characters like the ASCII ones.
    if cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}
