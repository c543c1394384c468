//! Reports of inventories: what `keyspill audit` and `keyspill merge` have in common.

use super::output::{self, ColourChoice};
use super::scan::{FailOn, parse_moment};
use crate::audit::inventory::{Inventory, Read, Status};
use crate::audit::merge::Merge;
use crate::audit::report::sarif::{self, Judgements};
use crate::audit::report::{self, Format};
use crate::audit::state::{Ledger, StateError};
use crate::report::{Layout, Verdict};
use crate::rule::{RuleSet, Severity};
use crate::text::sanitize::one_line;
use anyhow::bail;
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments as typed.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Format of the report.
    ///
    /// May be repeated, each with its own --output. SARIF needs a folder.
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "Report")]
    format: Vec<Format>,

    /// File for the report of the preceding --format [default: standard output].
    #[arg(short, long, value_name = "FILE", help_heading = "Report")]
    output: Vec<PathBuf>,

    /// When to use colours.
    #[arg(long, alias = "colour", value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", help_heading = "Report")]
    color: ColourChoice,

    /// Do not show progress; errors are still printed.
    #[arg(short, long, help_heading = "Report")]
    pub quiet: bool,

    /// Compute ages and exposure as of this date or time, such as 2026-05-04, instead of now.
    #[arg(long, value_name = "DATE", value_parser = parse_moment, help_heading = "Report")]
    now: Option<i64>,

    /// Minimum severity of a key that makes keyspill exit with 1 [default: warning, or as set in keyspill.toml].
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Gate")]
    fail_on: Option<FailOn>,

    /// Exit with 1 only for keys that are new, or back again, since the audit before.
    #[arg(long, help_heading = "Gate")]
    fail_on_new: bool,
}

/// A report to write.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    format: Format,
    /// Standard output if `None`.
    pub file: Option<PathBuf>,
}

/// What became of the reports.
pub struct Reported {
    pub verdict: Verdict,
    /// True if nothing of some target could be scanned.
    pub has_failed_targets: bool,
    /// True if every report was written.
    pub is_written: bool,
}

impl ReportArgs {
    /// The moment as of which ages are computed.
    pub fn moment(&self) -> i64 {
        self.now.unwrap_or_else(super::now)
    }

    /// The reports to write.
    pub fn outputs(&self, matches: &ArgMatches) -> anyhow::Result<Vec<Output>> {
        let pairs = output::pair_formats(matches, &self.format, &self.output, Format::Text)?;
        let outputs: Vec<_> = pairs.into_iter().map(|(format, file)| Output { format, file }).collect();
        if outputs.iter().any(|output| output.format == Format::Sarif && output.file.is_none()) {
            bail!("--format sarif writes a file for each repository: give it a folder with --output");
        }
        Ok(outputs)
    }

    /// Judges what was found and writes all reports. `ledger` is the file that remembers keys.
    pub fn write(
        &self,
        merge: &Merge,
        rules: &Arc<RuleSet>,
        now: i64,
        ledger: Option<&Path>,
        outputs: &[Output],
    ) -> anyhow::Result<Reported> {
        let mut judgements = Judgements::default();
        let is_sarif = outputs.iter().any(|output| output.format == Format::Sarif);
        let mut inventory = merge.run(rules, now, &mut |judged| {
            if is_sarif {
                judgements.add(judged);
            }
        })?;
        let mut known = None;
        if let Some(path) = ledger {
            let known = known.insert(Ledger::read(path)?);
            if known.is_later_than(now) {
                return Err(StateError::Later { path: path.to_owned(), now }.into());
            }
            known.enter(&mut inventory);
        }
        print_failures(&inventory, outputs);
        if inventory.read() == Read::default() && inventory.is_complete() {
            output::warning("nothing was scanned: there are no files and no repositories, or only what is left out");
        }
        let mut judgements = Some(judgements);
        let mut is_written = true;
        for Output { format, file } in outputs {
            let written = match (format, file) {
                (Format::Sarif, Some(dir)) => {
                    let judgements = judgements.take().unwrap_or_default();
                    sarif::write(merge, &inventory, judgements, rules, dir).map(|_| ()).map_err(Into::into)
                }
                (_, Some(file)) => output::file(file, |out| report::write(&inventory, *format, Layout::default(), out)),
                (_, None) => {
                    let layout = output::layout(self.color);
                    output::stdout_with(|out| report::write(&inventory, *format, layout, out))
                }
            };
            match written {
                Err(error) if !output::is_broken_pipe(&error) => {
                    output::error(&format!("{error:#}"));
                    is_written = false;
                }
                _ => {}
            }
        }
        // Only what was reported is known.
        if let (Some(path), Some(known), true) = (ledger, known, is_written) {
            known.write(path)?;
        }
        let fail_on = merge.settings(rules)?.fail_on.unwrap_or(Severity::Warning);
        Ok(Reported {
            verdict: if is_written { self.verdict(&inventory, fail_on) } else { Verdict::Incomplete },
            has_failed_targets: inventory.units.iter().any(|unit| unit.error.is_some()),
            is_written,
        })
    }

    fn verdict(&self, inventory: &Inventory, usual: Severity) -> Verdict {
        if !inventory.is_complete() {
            return Verdict::Incomplete;
        }
        let Some(least) = self.fail_on.map_or(Some(usual), FailOn::threshold) else { return Verdict::Clean };
        let is_new = |status: Option<Status>| !matches!(status, Some(Status::Known));
        let keys = inventory.keys.iter().filter(|key| !self.fail_on_new || is_new(key.status));
        let observations = inventory.observations.iter().filter(|_| !self.fail_on_new);
        let worst = keys.map(|key| key.severity).chain(observations.map(|seen| seen.severity)).max();
        if worst >= Some(least) { Verdict::Findings } else { Verdict::Clean }
    }
}

/// Prints what was not scanned to standard error if a person would not see it in the report.
fn print_failures(inventory: &Inventory, outputs: &[Output]) {
    let is_seen = outputs.contains(&Output { format: Format::Text, file: None }) && output::both_on_terminal();
    for (name, cause) in inventory.failures().filter(|_| !is_seen) {
        output::error(&format!("{}: {}", one_line(name), one_line(cause)));
    }
    const MAX_UNANSWERED: usize = 20;
    for (name, cause) in inventory.unanswered().take(MAX_UNANSWERED) {
        output::error(&format!("{} was not verified: {}", one_line(name), one_line(cause)));
    }
    match inventory.unanswered().count().saturating_sub(MAX_UNANSWERED) {
        0 => {}
        more => output::error(&format!("{more} more keys were not verified")),
    }
}
