//! Scans the paths given as arguments, and prints one line for each finding.

use keyspill::{Format, ReportOptions, Scanner, Severity, Verdict};
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let paths = std::env::args_os().skip(1);
    let report = paths.fold(Scanner::builder(), keyspill::ScannerBuilder::path).run();
    report.write(Format::Brief, &ReportOptions::default(), &mut std::io::stdout().lock())?;
    Ok(match report.verdict(Some(Severity::Warning)) {
        Verdict::Clean => ExitCode::SUCCESS,
        Verdict::Findings => ExitCode::from(1),
        Verdict::Incomplete => ExitCode::from(2),
    })
}
