//! The formats of reports.

use super::{Options, Report, brief, json};
#[cfg(feature = "reports")]
use super::{csv, github, gitlab, html, junit, sarif, text};
use std::io;

/// A format of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Format {
    /// Human-readable text.
    #[cfg(feature = "reports")]
    Text,
    /// One line per finding, for editors and grep.
    Brief,
    /// JSON.
    Json,
    /// JSON Lines: one finding per line, the summary last.
    Jsonl,
    /// SARIF 2.1.0, for code hosts.
    #[cfg(feature = "reports")]
    Sarif,
    /// GitHub Actions annotations.
    #[cfg(feature = "reports")]
    Github,
    /// GitLab secret detection report.
    #[cfg(feature = "reports")]
    Gitlab,
    /// JUnit XML, for other CI servers: each finding is a failed test.
    #[cfg(feature = "reports")]
    Junit,
    /// CSV table, one row per finding.
    #[cfg(feature = "reports")]
    Csv,
    /// Self-contained HTML page for an audit.
    #[cfg(feature = "reports")]
    Html,
}

impl Report {
    /// Writes the report in a format.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, format: Format, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
        match format {
            #[cfg(feature = "reports")]
            Format::Text => text::write(self, options, out),
            Format::Brief => brief::write(self, options.show_suppressed, out),
            Format::Json => json::write(self, options, out),
            Format::Jsonl => json::write_lines(self, options, out),
            #[cfg(feature = "reports")]
            Format::Sarif => sarif::write(self, options, out),
            #[cfg(feature = "reports")]
            Format::Github => github::write(self, &options.base, out),
            #[cfg(feature = "reports")]
            Format::Gitlab => gitlab::write(self, &options.base, out),
            #[cfg(feature = "reports")]
            Format::Junit => junit::write(self, options.fail_on, out),
            #[cfg(feature = "reports")]
            Format::Csv => csv::write(self, out),
            #[cfg(feature = "reports")]
            Format::Html => html::write(self, options, out),
        }
    }
}
