//! `keyspill plan`.

use super::output;
use super::scan::parse_moment;
use crate::plan::{Form, Plan};
use crate::report::Verdict;
use anyhow::Context;
use std::io::Read;
use std::path::PathBuf;

/// Arguments as typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSON report of a scan; `-` means standard input, as in `keyspill scan -f json | keyspill plan`.
    #[arg(default_value = "-")]
    report: PathBuf,

    /// Form of the plan.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Form::Text)]
    format: Form,

    /// File for the plan [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Take this date or time, such as 2026-05-04, for the current one: what was used lately is in use.
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    now: Option<i64>,
}

impl Args {
    /// Makes the plan. Nothing in it is run.
    pub fn run(&self) -> anyhow::Result<Verdict> {
        let is_stdin = self.report.as_os_str() == "-";
        let name = if is_stdin { "standard input".into() } else { self.report.display().to_string() };
        let report = if is_stdin {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes).context("standard input: cannot be read")?
        } else {
            std::fs::read(&self.report)
                .map_err(|error| anyhow::anyhow!("{name}: cannot be read: {}", crate::file::describe(&error)))?
        };
        let plan = Plan::of_report(&report, self.now.unwrap_or_else(super::now))
            .map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        match &self.output {
            Some(path) => output::file(path, |out| plan.write(self.format, out))?,
            None => match output::stdout_with(|out| plan.write(self.format, out)) {
                Err(error) if !output::is_broken_pipe(&error) => return Err(error),
                _ => {}
            },
        }
        Ok(Verdict::Clean)
    }
}
