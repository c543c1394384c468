//! GitHub Actions annotations, for runs that may not upload SARIF, such as those from forks.
//!
//! Source: [workflow commands](https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands). GitHub shows
//! ten of each level for a step, so the worst come first.

use super::uri::UriBase;
use super::wording::plural;
use super::wording::{first_sentence, headline, in_history, remarks, remedy};
use super::{Report, worst_first};
use crate::finding::Finding;
use crate::rule::Severity;
use crate::text::sanitize::one_line;
use std::io::{self, Write};

/// Writes the report as workflow commands, one per line.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, base: &UriBase, out: &mut dyn Write) -> io::Result<()> {
    for skip in report.coverage.failures() {
        let (path, cause) = (one_line(&skip.path.to_text()), one_line(&skip.cause.to_string()));
        command(out, "error", &[("title", "keyspill: the scan is incomplete")], &format!("{path}: {cause}"))?;
    }
    for finding in worst_first(report) {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let place = finding.outer.as_deref().unwrap_or(&finding.location);
        // For a finding only in history, or in a container, the line number does not refer to the current file.
        let is_there = finding.history.as_ref().is_none_or(|history| !history.is_past());
        let has_line = is_there && (finding.path.inside().is_empty() || finding.outer.is_some());
        let numbers = [place.start_line, place.end_line, place.start_column, place.end_column].map(|n| n.to_string());
        let file = one_line(&base.relative_text(&finding.path));
        let mut properties = vec![("file", file.as_str())];
        if has_line {
            let [line, end_line, column, end_column] = &numbers;
            properties.extend([("line", line.as_str()), ("endLine", end_line)]);
            // GitHub accepts columns only if the annotation is on one line.
            if line == end_line {
                properties.extend([("col", column.as_str()), ("endColumn", end_column)]);
            }
        }
        let title = format!("{}: {}", finding.rule.id, finding.rule.texts().name);
        properties.push(("title", &title));
        command(out, level, &properties, &text(finding, has_line))?;
    }
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| report.count(severity));
    let [errors, warnings, notes] = counts;
    let files = report.coverage.files;
    writeln!(
        out,
        "keyspill: {}, {}, {} in {}",
        plural(errors, "error"),
        plural(warnings, "warning"),
        plural(notes, "note"),
        plural(usize::try_from(files).unwrap_or(usize::MAX), "file")
    )
}

fn text(finding: &Finding, has_line: bool) -> String {
    let mut text = format!("{}.", headline(finding));
    if !has_line {
        let place = format!("{}:{}", finding.path.to_text(), finding.location.start_line);
        match in_history(finding) {
            Some(history) => text += &format!(" It is {history}: {place}."),
            None => text += &format!(" It is in {place}."),
        }
    }
    let reasons = finding.judgement().into_iter().flat_map(|judgement| judgement.reasons.iter().cloned());
    for sentence in reasons.chain(remarks(finding)) {
        text += &format!(" {sentence}");
    }
    one_line(&format!("{text} {}", first_sentence(&remedy(finding))))
}

fn command(out: &mut dyn Write, level: &str, properties: &[(&str, &str)], text: &str) -> io::Result<()> {
    let properties: Vec<_> =
        properties.iter().map(|(name, value)| format!("{name}={}", escaped(value, true))).collect();
    writeln!(out, "::{level} {}::{}", properties.join(","), escaped(text, false))
}

/// Percent-encodes what would end a command or one of its properties; the runner decodes it.
fn escaped(text: &str, is_property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if is_property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}
