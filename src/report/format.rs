//! The formats of reports.

use super::{Options, Report, brief, csv, github, gitlab, html, json, junit, sarif, text};
use std::io;

/// A format of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Format {
    /// Human-readable text.
    Text,
    /// One line per finding, for editors and grep.
    Brief,
    /// JSON.
    Json,
    /// JSON Lines: one finding per line, the summary last.
    Jsonl,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// GitHub Actions annotations.
    Github,
    /// GitLab secret detection report.
    Gitlab,
    /// JUnit XML, for other CI servers: each finding is a failed test.
    Junit,
    /// CSV table, one row per finding.
    Csv,
    /// Self-contained HTML page for an audit.
    Html,
}

impl Report {
    /// Writes the report in a format.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, format: Format, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
        match format {
            Format::Text => text::write(self, options, out),
            Format::Brief => brief::write(self, options.show_suppressed, out),
            Format::Json => json::write(self, options, out),
            Format::Jsonl => json::write_lines(self, options, out),
            Format::Sarif => sarif::write(self, options, out),
            Format::Github => github::write(self, &options.base, out),
            Format::Gitlab => gitlab::write(self, &options.base, out),
            Format::Junit => junit::write(self, options.fail_on, out),
            Format::Csv => csv::write(self, out),
            Format::Html => html::write(self, options, out),
        }
    }
}
