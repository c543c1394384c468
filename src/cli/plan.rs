//! `keyspill plan`.

use super::output;
use super::scan::parse_moment;
use crate::plan::{Form, Plan, ReadError};
use crate::report::Verdict;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arguments as typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSON report of a scan or an audit; `-` means standard input, as in `keyspill scan -f json | keyspill plan`.
    #[arg(default_value = "-")]
    report: PathBuf,

    /// Answers of `keyspill verify --format json` about the keys of the report.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,

    /// Output format.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Form::Text)]
    format: Form,

    /// File for the plan [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Take this date or time, such as 2026-05-04, for the current one: recently used keys count as in use.
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    now: Option<i64>,
}

impl Args {
    /// Makes the plan. Nothing in it is run.
    pub fn run(&self) -> anyhow::Result<Verdict> {
        let (name, report) = read(&self.report)?;
        let answers = self.answers.as_deref().map(read).transpose()?;
        let now = self.now.unwrap_or_else(super::now);
        let plan = Plan::from_report(&report, answers.as_ref().map(|(_, bytes)| bytes.as_slice()), now);
        let plan = plan.map_err(|error| match (&error, &answers) {
            (ReadError::NoAnswers, Some((name, _))) => anyhow::anyhow!("{name}: {error}"),
            _ => anyhow::anyhow!("{name}: {error}"),
        })?;
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

/// The maximum size of a report in bytes: of some million findings.
const MAX_REPORT: u64 = 4 << 30;

/// The content of a report, and what it is called in errors.
pub fn read(file: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let failed = |error: &std::io::Error| anyhow::anyhow!("{name}: cannot be read: {}", crate::file::describe(error));
    let mut bytes = Vec::new();
    let read = if is_stdin {
        std::io::stdin().lock().take(MAX_REPORT + 1).read_to_end(&mut bytes)
    } else {
        // A pipe, as in `keyspill plan <(keyspill scan -f json)`.
        std::fs::File::open(file).and_then(|file| file.take(MAX_REPORT + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_REPORT {
        return Err(failed(&std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok((name, bytes))
}
