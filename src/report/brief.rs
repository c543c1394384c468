//! One line per finding, `path:line:column: severity rule: message`, for editors, `grep` and quick looks.

use super::Report;
use super::wording::{headline, in_history, verified};
use crate::finding::Finding;
use crate::text::sanitize::one_line;
use std::io::{self, Write};

/// Writes the findings in the order of the report, then what could not be scanned.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, show_suppressed: bool, out: &mut dyn Write) -> io::Result<()> {
    report.findings().try_for_each(|finding| line(finding, "", out))?;
    if show_suppressed {
        report.suppressed().try_for_each(|finding| line(finding, " (not counted)", out))?;
    }
    for skip in report.coverage.failures() {
        let (path, cause) = (one_line(&skip.path.to_text()), one_line(&skip.cause.to_string()));
        writeln!(out, "{path}:1:1: error not-scanned: {cause}")?;
    }
    Ok(())
}

fn line(finding: &Finding, remark: &str, out: &mut dyn Write) -> io::Result<()> {
    let Finding { path, location, severity, rule, .. } = finding;
    // Editors can open the file, not what is in it.
    let (place, inside) = match finding.outer.as_deref() {
        Some(outer) => {
            (outer, Some(format!(" (inside it: {}:{})", one_line(&path.inside_text()), location.start_line)))
        }
        None => (location, None),
    };
    let file =
        if inside.is_some() { one_line(&String::from_utf8_lossy(path.file())) } else { one_line(&path.to_text()) };
    let (line, column, inside) = (place.start_line, place.start_column, inside.unwrap_or_default());
    let reasons = finding.judgement().into_iter().flat_map(|judgement| &judgement.reasons);
    let reasons = reasons.map(String::as_str).collect::<Vec<_>>().join(" ");
    let answer = finding.verification().filter(|_| reasons.is_empty()).map(verified);
    let reasons = answer.unwrap_or(reasons);
    let message = if reasons.is_empty() { headline(finding) } else { format!("{}: {reasons}", headline(finding)) };
    let history = in_history(finding).map(|history| format!(" ({history})")).unwrap_or_default();
    writeln!(out, "{file}:{line}:{column}: {severity} {}: {}{inside}{history}{remark}", rule.id, one_line(&message))
}
